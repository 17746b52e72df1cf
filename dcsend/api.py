"""The public functions: what `import dcsend` is for.

Thin on purpose: `session.story` tells what happens. Loads nothing heavy at import.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from dcsend.session.events import Event, Finished, ManifestKnown
from dcsend.settings import ChatSettings, Settings

if TYPE_CHECKING:
    from dcsend.session.exchange import Ask

__all__ = ["chat", "receive", "send"]


async def send(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    to: str = "",
    text: str | None = None,
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    lines: asyncio.Queue[str] | None = None,
    ask: Ask | None = None,
) -> Finished:
    """Send files, folders or a text to whoever holds, or published, a code.

    Without *to* a code is published: `on_event` gets it as `CodeReady` within milliseconds, and
    another one each time the addresses of this machine change before somebody has connected.

    Args:
        paths: one path or several.
        to: code or link of a waiting receiver, to dial it.
        text: a text to send along, shown at the other end and not saved.
        settings: everything else; see `Settings`.
        on_event: called with each event, on the loop's thread; must not block.
        lines: put lines here to send them on the text channel meanwhile.
        ask: asked for the other side's session description with `Signal.SDP`.

    Returns:
        The outcome, once the receiver has judged every file. `ok` is False if some file
        did not make it; `files` tells which.

    Raises:
        DcsendError: the transfer was not carried to its end; its `kind`, `hint` and
            `exit_status` tell more. Cancelling the task tells the other side, too.
    """
    from dcsend.session.story import send_files

    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    chosen = dataclasses.replace(settings or Settings(), code=to)
    if text is not None:
        chosen = dataclasses.replace(chosen, text=text)
    return await send_files([os.fspath(p) for p in several], chosen, on_event, ask=ask, lines=lines)


async def receive(
    code: str = "",
    *,
    output: str | os.PathLike[str] = ".",
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    accept: Callable[[ManifestKnown], Awaitable[bool]] | None = None,
    lines: asyncio.Queue[str] | None = None,
    stdout: BinaryIO | None = None,
    ask: Ask | None = None,
) -> Finished:
    """Receive what the other side sends.

    From the call on, no module is imported out of the folder *output* for the rest of the
    process, except by `__main__` and by modules that were loaded from that folder.

    Args:
        code: code or link of a waiting sender; without one a code is published, for a sender
            to dial.
        output: folder to save in, made if missing; `-` writes the one file that is offered to
            *stdout*.
        settings: everything else; see `Settings`.
        on_event: called with each event, on the loop's thread; must not block.
        accept: asked with the whole manifest before a byte is taken. If None, everything is
            accepted, but for hidden names in the home folder, such as `.profile`.
        lines: put lines here to send them on the text channel meanwhile.
        stdout: a binary file for *output* `-`.
        ask: asked for the other side's session description with `Signal.SDP`.

    Returns:
        The outcome; `files` tells where each file was saved, and its SHA-256.

    Raises:
        DcsendError: the transfer was not carried to its end.
    """
    from dcsend.session.story import receive_files

    chosen = dataclasses.replace(settings or Settings(), code=code, output=os.fspath(output))
    return await receive_files(
        chosen,
        on_event,
        accept or _all,
        ask=ask,
        lines=lines,
        stdout=stdout,
        unattended=accept is None,
    )


async def chat(
    code: str = "",
    *,
    choices: ChatSettings | None = None,
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    lines: asyncio.Queue[str | None] | None = None,
    ask: Ask | None = None,
) -> Finished:
    """Talk to any WebRTC peer over data channels, until one side ends it.

    Args:
        code: a dial code, or the other side's offer; neither to make something of our own.
        choices: which of the two, and what channels; see `ChatSettings`.
        settings: how to meet; see `Settings`.
        on_event: called with each event, on the loop's thread; must not block.
        lines: put lines here to send them on every open channel; None ends the chat.
        ask: asked for the other side's session description, where that is needed.

    Returns:
        The outcome, when one of the sides ended it in order.

    Raises:
        DcsendError: there was no connection, or it was lost.
    """
    from dcsend.session.chat import chat as story

    chosen = dataclasses.replace(settings or Settings(), code=code)
    return await story(chosen, choices or ChatSettings(), on_event, ask, lines=lines)


async def _all(manifest: ManifestKnown) -> bool:
    return True
