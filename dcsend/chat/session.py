"""One chat: data channels of any kind, random messages, typed lines and files.

chat ─► connect ─► _Chat: receive, send ─► end
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from dcsend.chat.chat_input import ChatInput, until_quit
from dcsend.chat.connecting import connect
from dcsend.chat.events import (
    ChannelAnnounced,
    ChannelClosed,
    ChannelOpened,
    Emit,
    MessageExchanged,
    StateChanged,
)
from dcsend.chat.settings import ChatSettings
from dcsend.errors import ConnectionFailed, RemoteProtocolError, UsageError
from dcsend.importing import keep_out
from dcsend.peers.channel import ChannelParameters, SctpChannel
from dcsend.peers.contract import MAX_QUEUED
from dcsend.printable import printable, system_reason
from dcsend.session.conclusion import conclude
from dcsend.session.conversation import Room, race
from dcsend.session.events import Finished, Warned
from dcsend.session.liveness import random_letters
from dcsend.session.worker import Worker
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.chat.connection import ChatConnection, ConnectionState
    from dcsend.chat.message_folder import MessageFolder
    from dcsend.session.exchange import Ask
    from dcsend.session.outcome import Tally

__all__ = ["HELP", "chat"]

_PIECE: Final = 16_384
"Bytes of a file in one message; agents from before 2020 accept no more (RFC 8831, 6.6)."
_LAST_LINES: Final = 3.0
"Seconds for which the end waits until the lines typed before it are sent."
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
    room: Room | None = None,
) -> Finished:
    """Exchange messages with any WebRTC peer over data channels, until one side ends the chat.

    Args:
        settings: how to connect.
        choices: signaling and channels.
        emit: called with each event; the last one is also returned.
        ask: returns the other side's session description.
        lines: typed lines; None in it ends the chat.
        interrupt: set to a signal's number to end the run as that signal does.
        room: awaited before a received message is emitted, since the reader of events may be slow.

    Returns:
        The result, when one of the sides ended the chat in order.

    Raises:
        DcsendError: no connection could be made, or it was lost; `Failed` and `Finished` were
            emitted.
    """

    async def story(tally: Tally) -> None:
        if choices.save is not None:
            from dcsend.files.planning import check_root

            keep_out(choices.save)
            check_root(choices.save, "--save")
        typed = ChatInput(lines)
        # The tally passes events of any class on to `emit`.
        emit_any = cast("Emit", tally.emit)

        async def connect_and_chat() -> None:
            async with connect(settings, choices, emit_any, ask) as peer:
                await _Chat(peer, choices, emit_any, typed, room).run()

        await until_quit(connect_and_chat(), typed)

    return await conclude(story, emit, "chat", interrupt)


class _Chat:
    """A chat over one connection, which it observes until the end."""

    def __init__(
        self,
        peer: ChatConnection,
        choices: ChatSettings,
        emit: Emit,
        typed: ChatInput,
        room: Room | None,
    ) -> None:
        self._peer = peer
        self._room = room
        self._choices = choices
        self._emit = emit
        self._typed = typed
        self._overrun = asyncio.Event()
        "Set when the peer sends faster than messages can be saved and read."
        self._open: list[SctpChannel] = []
        self._some_open = asyncio.Event()
        self._random_tasks: dict[SctpChannel, asyncio.Task[None]] = {}
        self._worker = Worker("dcsend-chat")
        self._waiting: asyncio.Queue[tuple[str, bytes | str]] = asyncio.Queue()
        "Messages that wait until those before them are saved and read."
        self._held = 0
        "Bytes of these."
        self._folder: MessageFolder | None = None
        if choices.save is not None:
            from dcsend.chat.message_folder import MessageFolder

            self._folder = MessageFolder(choices.save)

    async def run(self) -> None:
        """Run the chat until one side ends it.

        Raises:
            ConnectionFailed: the connection was lost.
            DestinationError: a message could not be saved.
        """
        self._typed.session_begins()
        self._peer.observe(self)
        try:
            for parameters in self._wanted():
                self._peer.open_channel(parameters)
            await race(self._until_over(), self._emit_received(), self._send_typed())
        finally:
            for task in self._random_tasks.values():
                task.cancel()
            self._worker.close()

    def _wanted(self) -> list[ChannelParameters]:
        """Return the parameters of the channels that this side opens."""
        choices = self._choices
        labels = choices.channels
        if not labels and (self._peer.opens or choices.negotiated is not None):
            labels = ("data",)
        return [
            ChannelParameters(
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
                raise RemoteProtocolError(
                    "the other side sends faster than messages can be saved and shown"
                )
            if not over.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_LINES if self._open else 0):
                        await self._typed.to_send.join()
                await self._peer.drain()
            await self._waiting.join()
            if over.done() and (error := over.result()) is not None:
                raise error
        finally:
            for task in either:
                task.cancel()

    # Callbacks of the connection.

    def announced(self, channel: SctpChannel) -> None:
        """As `Observer.announced`."""
        self._emit(ChannelAnnounced(channel.label, channel.id))

    def opened(self, channel: SctpChannel) -> None:
        """As `Observer.opened`."""
        self._open.append(channel)
        self._some_open.set()
        self._emit(ChannelOpened(channel.label, channel.id))
        if self._choices.interval > 0:
            self._random_tasks[channel] = asyncio.create_task(self._send_random(channel))

    def closed(self, channel: SctpChannel) -> None:
        """As `Observer.closed`."""
        if channel in self._open:
            self._open.remove(channel)
        if not self._open:
            self._some_open.clear()
        if (task := self._random_tasks.pop(channel, None)) is not None:
            task.cancel()
        self._emit(ChannelClosed(channel.label, channel.id))

    def received(self, channel: SctpChannel, message: bytes | str) -> None:
        """As `Observer.received`."""
        self._held += len(message) + _OVERHEAD
        if self._held > MAX_QUEUED:
            self._overrun.set()
            return
        self._waiting.put_nowait((channel.label, message))

    def changed(self, state: ConnectionState) -> None:
        """As `Observer.changed`."""
        self._emit(StateChanged(state.value))

    async def _emit_received(self) -> None:
        """Emit received messages in their order; binary ones once they are saved."""
        while True:
            label, message = await self._waiting.get()
            saved = None
            if isinstance(message, bytes) and self._folder is not None:
                saved = await self._worker.run(partial(self._folder.save, label, message))
            if self._room is not None:
                await self._room()
            self._held -= len(message) + _OVERHEAD
            self._emit(MessageExchanged(label, message, sent=False, saved=saved))
            self._waiting.task_done()
            await asyncio.sleep(0)  # the queue may never be empty, and other tasks must run

    async def _send_random(self, channel: SctpChannel) -> None:
        # A peer may accept no message of fifteen letters.
        with contextlib.suppress(ConnectionFailed, UsageError):
            while True:
                await asyncio.sleep(self._choices.interval)
                letters = random_letters()
                if channel.send(letters):
                    self._emit(MessageExchanged(channel.label, letters, sent=True, random=True))

    # Typed lines.

    async def _send_typed(self) -> None:
        while True:
            line = await self._typed.to_send.get()
            if line.startswith("/") and not line.startswith("//"):
                command, _, rest = line.partition(" ")
                await self._run_command(command, rest.strip())
            else:
                await self._send_text(line.removeprefix("/") if line.startswith("//") else line)
            self._typed.to_send.task_done()

    async def _run_command(self, command: str, rest: str) -> None:
        if command == "/send" and rest:
            try:
                await self._send_file(rest)
            except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
                reason = system_reason(exc, "can't be read")
                self._emit(Warned("source", f"{printable(rest)}: {reason}"))
        elif command == "/help":
            self._emit(Warned("help", HELP))
        else:
            self._emit(Warned("usage", f"{printable(command)} is not understood", HELP))

    async def _channels(self) -> list[SctpChannel]:
        """Return the open channels; wait until there is one, so that early lines are not lost."""
        if not self._open:
            self._emit(Warned("waiting", "no channel is open; it is sent when one is"))
            await self._some_open.wait()
        return list(self._open)

    async def _send_text(self, text: str) -> None:
        """Send a typed line."""
        for channel in await self._channels():
            try:
                while not channel.send(text):
                    await channel.writable()
            except UsageError as exc:
                self._emit(Warned(exc.kind, exc.message, exc.hint))
            except ConnectionFailed:
                continue  # it has just closed, and `closed` has emitted that
            else:
                self._emit(MessageExchanged(channel.label, text, sent=True))

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
                        while not channel.send(piece):
                            await channel.writable()
                number += 1
                total += len(piece)
        labels = " and ".join(repr(printable(channel.label)) for channel in channels)
        amount = f"{total} byte{'s' * (total != 1)}, {number} message{'s' * (number != 1)}"
        self._emit(Warned("sent", f"{printable(path.name)} sent on {labels}: {amount}"))


def _existing(name: str) -> Path:
    """Return the path that a typed name means: as typed, or quoted by a shell or a file manager.

    Raises:
        OSError: it exists and is not a regular file; reading a pipe might never return.
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
