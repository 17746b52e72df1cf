"""The public functions of `import dcsend`.

They call `session`, which is imported when they are called.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, BinaryIO

from dcsend.chat.events import ChatEvent
from dcsend.chat.settings import ChatSettings
from dcsend.entry import Chosen, Existing
from dcsend.errors import UsageError
from dcsend.session.events import Event, Finished, ManifestKnown
from dcsend.session.published import Published, published
from dcsend.settings import Settings, Signal

if TYPE_CHECKING:
    from dcsend.session.exchange import Ask
    from dcsend.session.limiting import RateLimit
    from dcsend.session.short_codes import Confirm

__all__ = ["chat", "invite", "offer", "receive", "send"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def offer(
    paths: Paths = (),
    *,
    text: str | None = None,
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    lines: asyncio.Queue[str] | None = None,
    limit: RateLimit | None = None,
    stdin: BinaryIO | None = None,
    confirm: Confirm | None = None,
) -> AbstractAsyncContextManager[Published]:
    """Publish a code, and send files, folders or a text to the receiver that uses it.

        async with dcsend.offer("film.mkv") as offer:
            print(offer.code)

    The body of the `async with` runs while the code waits and while the files are sent. At its end
    the transfer is awaited; an exception in the body cancels the transfer on both sides. If the
    transfer fails, the body is cancelled.

    Args:
        paths: one path or several; `-` is *stdin*.
        text: a text to send as well, which is shown on the other side and not saved.
        settings: all other settings; see `Settings`.
        on_event: called with each event, in the thread of the event loop; must not block.
        lines: a queue of lines to send on the text channel during the transfer.
        limit: of the rate, in place of that of the settings; it can be changed at any time, and
            several calls can share it.
        stdin: a binary file, read for the path `-`; its name is `Settings.stdin_name`.
        confirm: called after three wrong short codes in a row; True shows another one. If it is
            None, or returns False, no more are shown, and the event `ShortCodeOver` follows; the
            dial code stays valid.

    Returns:
        A context manager that yields a `Published`.

    Raises:
        DcsendError: on entry, no code could be published, for instance because a file is missing or
            a port is in use; on exit, the transfer was not completed.
    """
    _refuse_descriptions(settings)

    async def run(emit: Callable[[Event], None]) -> Finished:
        return await send(
            paths,
            text=text,
            settings=settings,
            on_event=emit,
            lines=lines,
            limit=limit,
            stdin=stdin,
            confirm=confirm,
        )

    return published(run, on_event)


def invite(
    *,
    output: str | os.PathLike[str] = ".",
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    accept: Callable[[ManifestKnown], Awaitable[bool | Existing | Chosen]] | None = None,
    lines: asyncio.Queue[str] | None = None,
    limit: RateLimit | None = None,
    stdout: BinaryIO | None = None,
    confirm: Confirm | None = None,
) -> AbstractAsyncContextManager[Published]:
    """Publish a code, and receive from the sender that uses it.

        async with dcsend.invite(output="inbox") as invitation:
            print(invitation.link)

    The body runs as for `offer`.

    Args:
        output: as for `receive`.
        settings: all other settings; see `Settings`.
        on_event: called with each event, in the thread of the event loop; must not block.
        accept: as for `receive`; **if None, everything is accepted**.
        lines: a queue of lines to send on the text channel during the transfer.
        limit: of the rate, in place of that of the settings; it can be changed at any time, and
            several calls can share it.
        stdout: a binary file for *output* `-`.
        confirm: as for `offer`.

    Returns:
        A context manager that yields a `Published`.

    Raises:
        DcsendError: as for `offer`.
    """
    _refuse_descriptions(settings)

    async def run(emit: Callable[[Event], None]) -> Finished:
        return await receive(
            output=output,
            settings=settings,
            on_event=emit,
            accept=accept,
            lines=lines,
            limit=limit,
            stdout=stdout,
            confirm=confirm,
        )

    return published(run, on_event)


async def send(
    paths: Paths = (),
    *,
    to: str = "",
    text: str | None = None,
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    lines: asyncio.Queue[str] | None = None,
    limit: RateLimit | None = None,
    stdin: BinaryIO | None = None,
    ask: Ask | None = None,
    confirm: Confirm | None = None,
) -> Finished:
    """Send files, folders or a text.

    Without *to* a code is published, which is passed to *on_event* as `CodeReady`; a new one
    follows each time the addresses of this machine change before a receiver has connected. `offer`
    returns the code to its caller.

    Args:
        paths: one path or several; `-` is *stdin*.
        to: code or link of a waiting receiver, to dial it.
        text: a text to send as well, which is shown on the other side and not saved.
        settings: all other settings; see `Settings`.
        on_event: called with each event, in the thread of the event loop; must not block.
        lines: a queue of lines to send on the text channel during the transfer.
        limit: of the rate, in place of that of the settings; it can be changed at any time, and
            several calls can share it.
        stdin: a binary file, read for the path `-`; its name is `Settings.stdin_name`.
        ask: with `Signal.SDP`, returns the session description of the other side.
        confirm: as for `offer`.

    Returns:
        The result, when the receiver has sent a verdict for every file. `ok` is False if a file
        failed; `files` has the verdicts.

    Raises:
        DcsendError: the transfer was not completed; `kind`, `hint` and `exit_status` give details.
            Cancelling the task cancels the transfer on both sides.
    """
    from dcsend.session.story import send_files

    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    chosen = dataclasses.replace(settings or Settings(), code=to)
    if text is not None:
        chosen = dataclasses.replace(chosen, text=text)
    named = [os.fspath(path) for path in several]
    return await send_files(
        named, chosen, on_event, ask=ask, confirm=confirm, lines=lines, limit=limit, stdin=stdin
    )


async def receive(
    code: str = "",
    *,
    output: str | os.PathLike[str] = ".",
    settings: Settings | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    accept: Callable[[ManifestKnown], Awaitable[bool | Existing | Chosen]] | None = None,
    lines: asyncio.Queue[str] | None = None,
    limit: RateLimit | None = None,
    stdout: BinaryIO | None = None,
    ask: Ask | None = None,
    confirm: Confirm | None = None,
) -> Finished:
    """Receive files, folders or a text.

    **Without *accept* everything is accepted**: only a peer that has the code can send, but it
    decides what it sends.

    After the call, no module is imported from the folder *output* for the rest of the process,
    except by `__main__` and by modules that were loaded from that folder.

    Args:
        code: code or link of a waiting sender; if empty, a code is published for a sender to dial,
            which is passed to *on_event*. `invite` returns it to its caller.
        output: folder to save in, created if missing; `-` writes the single offered file to
            *stdout*.
        settings: all other settings; see `Settings`.
        on_event: called with each event, in the thread of the event loop; must not block.
        accept: called with the manifest before any file is accepted; `taken` has the numbers of the
            entries that exist in *output*. False declines; True accepts, unless some exist and
            `settings.existing` is `REFUSE`; `Existing.OVERWRITE`, `RENAME` or `SKIP` accepts and
            decides about those; `Existing.REFUSE` refuses if some exist, and the code stays valid;
            `Chosen` accepts a part of the offer.
            If None, everything is accepted, except hidden names in the home folder, such as
            `.profile`.
        lines: a queue of lines to send on the text channel during the transfer.
        limit: of the rate, in place of that of the settings; it can be changed at any time, and
            several calls can share it.
        stdout: a binary file for *output* `-`.
        ask: with `Signal.SDP`, returns the session description of the other side.
        confirm: as for `offer`.

    Returns:
        The result; `files` has the path and the SHA-256 of each saved file.

    Raises:
        DcsendError: the transfer was not completed.
    """
    from dcsend.session.story import receive_files

    chosen = dataclasses.replace(settings or Settings(), code=code, output=os.fspath(output))
    return await receive_files(
        chosen,
        on_event,
        accept or _all,
        ask=ask,
        confirm=confirm,
        lines=lines,
        limit=limit,
        stdout=stdout,
        unattended=accept is None,
    )


async def chat(
    code: str = "",
    *,
    choices: ChatSettings | None = None,
    settings: Settings | None = None,
    on_event: Callable[[Event | ChatEvent], None] = lambda event: None,
    lines: asyncio.Queue[str | None] | None = None,
    ask: Ask | None = None,
) -> Finished:
    """Exchange messages with any WebRTC peer over data channels, until one side ends the chat.

    Args:
        code: a dial code, or the offer of the other side; if empty, this side publishes a dial code
            or creates an offer.
        choices: signaling and channels; see `ChatSettings`.
        settings: how to connect; see `Settings`.
        on_event: called with each event, in the thread of the event loop; must not block.
        lines: a queue of lines to send on every open channel; None ends the chat.
        ask: returns the session description of the other side, if it is needed.

    Returns:
        The result, when one side has ended the chat in order.

    Raises:
        DcsendError: no connection could be made, or it was lost.
    """
    from dcsend.chat.session import chat as story

    chosen = dataclasses.replace(settings or Settings(), code=code)
    return await story(chosen, choices or ChatSettings(), on_event, ask, lines=lines)


def _refuse_descriptions(settings: Settings | None) -> None:
    """Raise UsageError for `Signal.SDP`, with which no code is published."""
    if settings is not None and settings.signal is Signal.SDP:
        raise UsageError(
            "session descriptions are exchanged, so there is no code to publish",
            "use send() or receive() with ask=…",
        )


async def _all(manifest: ManifestKnown) -> bool:
    return True
