"""The demo: channels of any kind, a random message every five seconds, and what people type.

chat ─► meet (dial code or descriptions) ─► Talk: what comes, what is typed ─► the end
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dcsend.engines.base import MAX_QUEUED
from dcsend.engines.loading import stock, talk_peer
from dcsend.engines.transport import Parameters
from dcsend.errors import ConnectionFailed, RemoteProtocolError, UsageError
from dcsend.importing import keep_out
from dcsend.printable import printable
from dcsend.session.conclusion import conclude
from dcsend.session.conversation import race
from dcsend.session.events import (
    ChannelAnnounced,
    ChannelClosed,
    ChannelOpened,
    Emit,
    Event,
    Failed,
    Finished,
    MessageExchanged,
    StateChanged,
    Warned,
)
from dcsend.session.liveness import random_letters
from dcsend.session.worker import Worker
from dcsend.settings import ChatSettings, Engine, Settings

if TYPE_CHECKING:
    from dcsend.engines.talk import State, TalkChannel, TalkConnection
    from dcsend.files.messages import MessageFolder
    from dcsend.session.exchange import Ask
    from dcsend.session.outcome import Tally

__all__ = ["HELP", "chat"]

_PIECE: Final = 16_384
"Bytes of a file in one message: what every agent takes, also those of before 2020."
_LAST_LINES: Final = 3.0
"Seconds that lines typed before the end may take to be sent."
_OVERHEAD: Final = 64
"Bytes counted for a message besides its content."

HELP: Final = (
    "what you type is sent on every open channel; /send FILE sends a file as binary messages, "
    "/quit or Ctrl-D ends, //text is sent as /text"
)


async def chat(
    settings: Settings,
    choices: ChatSettings,
    emit: Emit,
    ask: Ask | None = None,
    *,
    lines: asyncio.Queue[str | None] | None = None,
    interrupt: asyncio.Future[int] | None = None,
) -> Finished:
    """Talk to any WebRTC peer over data channels, until one side ends it.

    Args:
        settings: how to meet.
        choices: what to do then.
        emit: told of every event; the last one is what is returned.
        ask: asked for the other side's session description.
        lines: what the person types; None in it ends the chat.
        interrupt: set to a signal's number to end the run as that signal does.

    Returns:
        The outcome, when one of the sides ended the chat in order.

    Raises:
        DcsendError: there was no connection, or it was lost; also told by `error` and `done`.
    """

    async def story(tally: Tally, emit: Emit) -> None:
        if choices.save is not None:
            from dcsend.files.planning import check_root

            keep_out(choices.save)
            check_root(choices.save)
        typed = Typed(lines)

        async def meet_and_talk() -> None:
            async with _meet(settings, choices, emit, ask) as peer:
                await _Talk(peer, choices, emit, typed).run()

        await _until_quit(meet_and_talk(), typed)

    return await conclude(story, emit, "chat", interrupt)


class Typed:
    """What the person types, sorted: lines to deal with one by one, and the wish to quit.

    That is heard at once, whatever a line before it waits for.
    """

    def __init__(self, lines: asyncio.Queue[str | None] | None) -> None:
        self._lines = lines
        self.todo: asyncio.Queue[str] = asyncio.Queue()
        self.quit = asyncio.Event()
        self.talking = False
        "Whether somebody looks at `quit`, to end in order."

    async def sort(self) -> None:
        """Sort until the person wants to quit."""
        if self._lines is None:  # nobody types
            await self.quit.wait()
            return
        while (line := await self._lines.get()) is not None and line.strip() != "/quit":
            self.todo.put_nowait(line)
        self.quit.set()


async def _until_quit(talk: Coroutine[None, None, None], typed: Typed) -> None:
    """Talk; who quits before there is a connection ends it at once."""
    talking, sorting = asyncio.create_task(talk), asyncio.create_task(typed.sort())
    try:
        await asyncio.wait({talking, sorting}, return_when=asyncio.FIRST_COMPLETED)
        if talking.done() or typed.talking:
            await talking
    finally:
        for task in (talking, sorting):
            task.cancel()
        await asyncio.gather(talking, sorting, return_exceptions=True)


@asynccontextmanager
async def _meet(
    settings: Settings, choices: ChatSettings, emit: Emit, ask: Ask | None
) -> AsyncIterator[TalkConnection]:
    """Yield a connection; tell the states before it and, where it fails, the last one."""
    begun = connected = False

    def connecting(peer: object = None) -> None:
        nonlocal begun
        begun = True
        emit(StateChanged("connecting"))

    def show(event: Event) -> None:
        if isinstance(event, Failed) and begun and not connected:
            emit(StateChanged("failed"))
        emit(event)

    async with _way(settings, choices, show, ask, connecting) as peer:
        if not begun:  # who listens learns of it when it is done
            connecting()
        connected = True
        yield peer


def _way(
    settings: Settings,
    choices: ChatSettings,
    emit: Emit,
    ask: Ask | None,
    connecting: Callable[[object], None],
) -> AbstractAsyncContextManager[TalkConnection]:
    """Choose how to meet: by a dial code, or by descriptions."""
    from dcsend.signaling.blob import is_blob

    make = stock(talk_peer) if settings.engine is Engine.STOCK else talk_peer
    if choices.listens or (settings.code and not is_blob(settings.code)):
        from dcsend.session.meeting import by_code

        if settings.turn and not settings.code:
            raise UsageError(
                "a TURN server is of no use with a code that goes one way only",
                "exchange descriptions: dcsend chat --offer here, dcsend chat there",
            )
        if settings.code:
            connecting(None)
        return by_code(settings, emit, "chat", make)
    from dcsend.session.exchange import Manners, exchange

    # The demo's answerer begins the handshake, which shows in the numbers of the channels.
    manners = Manners(choices.offers, compact=not choices.shows_json, active=True)
    return exchange(settings, manners, emit, ask, make, prepared=connecting)


class _Talk:
    """One chat, from open connection to end; follows the connection's events."""

    def __init__(
        self,
        peer: TalkConnection,
        choices: ChatSettings,
        emit: Emit,
        typed: Typed,
    ) -> None:
        self._peer = peer
        self._choices = choices
        self._emit = emit
        self._typed = typed
        self._overrun = asyncio.Event()
        "Set when the peer sends faster than messages can be saved."
        self._open: list[TalkChannel] = []
        self._some_open = asyncio.Event()
        self._beats: dict[TalkChannel, asyncio.Task[None]] = {}
        self._worker = Worker("dcsend-chat")
        self._waiting: asyncio.Queue[tuple[str, bytes | str]] = asyncio.Queue()
        "Messages that are shown when those before them are saved."
        self._held = 0
        "Bytes of these."
        self._folder: MessageFolder | None = None
        if choices.save is not None:
            from dcsend.files.messages import MessageFolder

            self._folder = MessageFolder(choices.save)

    async def run(self) -> None:
        """Talk until one side ends it.

        Raises:
            ConnectionFailed: the connection was lost.
            DestinationError: a message could not be saved.
        """
        self._typed.talking = True
        self._peer.follow(self)
        try:
            for options in self._wanted():
                self._peer.open_channel(options)
            await race(self._until_over(), self._show(), self._say())
        finally:
            for beat in self._beats.values():
                beat.cancel()
            self._worker.close()

    def _wanted(self) -> list[Parameters]:
        """Return the channels that we open."""
        choices = self._choices
        labels = choices.channels
        if not labels and (self._peer.opens or choices.negotiated is not None):
            labels = ("data",)
        return [
            Parameters(
                label,
                ordered=choices.ordered,
                max_retransmits=choices.max_retransmits,
                max_lifetime=choices.max_lifetime,
                protocol=choices.protocol,
                negotiated=choices.negotiated,
            )
            for label in labels
        ]

    async def _until_over(self) -> None:
        over = asyncio.create_task(self._peer.over())
        leaving = asyncio.create_task(self._typed.quit.wait())
        overrun = asyncio.create_task(self._overrun.wait())
        either: set[asyncio.Task[Any]] = {over, leaving, overrun}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if overrun.done():
                raise RemoteProtocolError("the other side sends faster than messages can be saved")
            if not over.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_LINES if self._open else 0):
                        await self._typed.todo.join()
                await self._peer.drain()
            await self._waiting.join()
            if over.done() and (error := over.result()) is not None:
                raise error
        finally:
            for task in either:
                task.cancel()

    # What the connection tells.

    def announced(self, channel: TalkChannel) -> None:
        """As `Follower.announced`."""
        self._emit(ChannelAnnounced(channel.label, channel.id))

    def opened(self, channel: TalkChannel) -> None:
        """As `Follower.opened`."""
        self._open.append(channel)
        self._some_open.set()
        self._emit(ChannelOpened(channel.label, channel.id))
        if self._choices.interval > 0:
            self._beats[channel] = asyncio.create_task(self._beat(channel))

    def closed(self, channel: TalkChannel) -> None:
        """As `Follower.closed`."""
        if channel in self._open:
            self._open.remove(channel)
        if not self._open:
            self._some_open.clear()
        if (beat := self._beats.pop(channel, None)) is not None:
            beat.cancel()
        self._emit(ChannelClosed(channel.label, channel.id))

    def received(self, channel: TalkChannel, message: bytes | str) -> None:
        """As `Follower.received`."""
        self._held += len(message) + _OVERHEAD
        if self._held > MAX_QUEUED:
            self._overrun.set()
            return
        self._waiting.put_nowait((channel.label, message))

    def changed(self, state: State) -> None:
        """As `Follower.changed`."""
        self._emit(StateChanged(state.value))

    async def _show(self) -> None:
        """Show messages in their order; binary ones once they are saved."""
        while True:
            label, message = await self._waiting.get()
            saved = None
            if isinstance(message, bytes) and self._folder is not None:
                saved = await self._worker.run(partial(self._folder.save, label, message))
            self._held -= len(message) + _OVERHEAD
            self._emit(MessageExchanged(label, message, sent=False, saved=saved))
            self._waiting.task_done()
            await asyncio.sleep(0)  # the queue may never be empty, and others wait for the loop

    async def _beat(self, channel: TalkChannel) -> None:
        # A peer that takes no message of fifteen letters gets none.
        with contextlib.suppress(ConnectionFailed, UsageError):
            while True:
                await asyncio.sleep(self._choices.interval)
                letters = random_letters()
                channel.send(letters)
                self._emit(MessageExchanged(channel.label, letters, sent=True, random=True))

    # What is typed.

    async def _say(self) -> None:
        while True:
            line = await self._typed.todo.get()
            if line.startswith("/") and not line.startswith("//"):
                command, _, rest = line.partition(" ")
                await self._obey(command, rest.strip())
            else:
                await self._send_text(line.removeprefix("/") if line.startswith("//") else line)
            self._typed.todo.task_done()

    async def _obey(self, command: str, rest: str) -> None:
        if command == "/send" and rest:
            try:
                await self._send_file(rest)
            except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
                reason = getattr(exc, "strerror", None) or "can't be read"
                self._emit(Warned("source", f"{printable(rest)}: {reason}"))
        elif command == "/help":
            self._emit(Warned("help", HELP))
        else:
            self._emit(Warned("usage", f"{printable(command)} is not understood", HELP))

    async def _channels(self) -> list[TalkChannel]:
        """Return the open channels, at least one: what is typed early is not lost."""
        if not self._open:
            self._emit(Warned("waiting", "no channel is open; it is sent when one is"))
            await self._some_open.wait()
        return list(self._open)

    async def _send_text(self, text: str) -> None:
        """Send a typed line."""
        for channel in await self._channels():
            try:
                channel.send(text)
            except UsageError as exc:
                self._emit(Warned(exc.kind, exc.message, exc.hint))
            except ConnectionFailed:
                continue  # closed a moment ago; that has been told
            else:
                self._emit(MessageExchanged(channel.label, text, sent=True))
                await channel.writable()

    async def _send_file(self, name: str) -> None:
        """Send a file as binary messages, one after the other."""
        path = await self._worker.run(lambda: _existing(name))
        channels = await self._channels()
        size = min(_PIECE, self._peer.max_message_size or _PIECE)
        number = total = 0
        with await self._worker.run(lambda: path.open("rb")) as file:
            while piece := await self._worker.run(lambda: file.read(size)):
                for channel in channels:
                    with contextlib.suppress(ConnectionFailed):
                        channel.send(piece)
                        await channel.writable()
                number += 1
                total += len(piece)
        labels = " and ".join(repr(printable(channel.label)) for channel in channels)
        self._emit(
            Warned(
                "sent", f"{printable(path.name)} sent on {labels}: {total} bytes, {number} messages"
            )
        )


def _existing(name: str) -> Path:
    """Return the file that is meant: as typed, or as a shell or a file manager quotes it.

    Raises:
        OSError: it is there and no file; a pipe could keep us for ever.
    """
    path = Path(os.path.expanduser(name))
    if not path.exists():
        with contextlib.suppress(ValueError):  # a quote without its end
            words = shlex.split(name)
            if len(words) == 1:
                path = Path(os.path.expanduser(words[0]))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is not a file")
    return path
