"""What goes on beside the files: signs of life, typed lines, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from dcsend.engines.base import Channel, Connection
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.protocol.limits import MAX_TEXT, PROGRESS_SECONDS, WORKING_SECONDS
from dcsend.session.events import Emit, TextExchanged, Warned
from dcsend.session.liveness import Deadline, Liveness, Overdue, Sign, is_line, random_letters
from dcsend.settings import Settings

__all__ = ["Conversation", "Party", "race", "send_all"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_BROWSER_GIVES_UP: Final = 16
"""Seconds of silence after which a browser ends the connection by itself, and can't be told to wait
longer (measured: Chromium 156, 16 to 18 s)."""
_FAREWELL: Final = 2.0
"""Seconds for the last message to arrive before the connection is torn down. Waited in full only
where the peer is gone; half a second is too short on a busy machine: the peer then reports a lost
connection in place of the error."""
_PARTING: Final = 0.5
"""The same where a person has ended the run, which is over within a second, and where the peer has
been silent for long."""


class Party(Protocol[T_co]):
    """The sending or the receiving half of a transfer."""

    async def run(self) -> T_co:
        """Carry the transfer through."""
        ...

    async def farewell(self, error: BaseException) -> None:
        """Tell the peer why we stop; may take its time, it is cut off."""
        ...

    async def put_away(self) -> None:
        """Let go of the disk, once the peer knows how it ended."""
        ...


async def send_all(channel: Channel, messages: list[str]) -> None:
    """Send in order, waiting for room as often as it takes."""
    for message in messages:
        while not channel.send(message):
            await channel.writable()


async def race(main: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, None]) -> T:
    """Run *main* with *others* beside it; return what *main* returns.

    An error of any one ends them all and is raised; one of *others* that returns is just done.
    """
    first = asyncio.create_task(main)
    tasks = [first, *(asyncio.create_task(other) for other in others)]
    pending: set[asyncio.Task[Any]] = set(tasks)
    try:
        while not first.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {first}:
                task.result()
        return first.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Conversation:
    """Keeps the text channel of one connection."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        emit: Emit,
        lines: asyncio.Queue[str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            connection: open.
            settings: for the three clocks.
            emit: told what is said, and about silence.
            lines: what the person here types, without line ends.
        """
        self._text = connection.channels["text"]
        self._emit = emit
        self._lines = lines
        # What was typed before was meant for nobody, or for a shell.
        while lines is not None and not lines.empty():
            lines.get_nowait()
        self._peer_is_browser = False
        self._loop = asyncio.get_running_loop()
        self._liveness = Liveness(
            self._loop.time(),
            heartbeat=settings.heartbeat,
            report=settings.silence_report,
            limit=settings.silence_limit,
        )
        self._deadline = Deadline()

    def introduced(self, agent: str) -> None:
        """Note what the peer calls itself."""
        self._peer_is_browser = "Python" not in agent

    def heard(self) -> None:
        """Note that something has come from the peer, on whatever channel."""
        self._liveness.heard(self._loop.time())

    def expect(self, missed: str, seconds: float | None = None) -> None:
        """Give the peer *seconds*, or PROGRESS_SECONDS, for its next step, or the run ends.

        Looked at with each sign of life of ours, so that it may take one interval longer.

        Args:
            missed: completes "the other side …" where it has not been taken.
            seconds: None for PROGRESS_SECONDS.
        """
        allowed = PROGRESS_SECONDS if seconds is None else seconds
        self._deadline.expect(self._loop.time(), allowed, missed)

    def lift(self) -> None:
        """Give the peer as much time for its next step as it takes."""
        self._deadline.lift()

    async def reassure(
        self, works: Callable[[], bool], tell: Callable[[], Awaitable[None]]
    ) -> None:
        """Call *tell* now and then while *works* says that the peer waits for this side."""
        while True:
            await asyncio.sleep(WORKING_SECONDS)
            if works():
                await tell()

    async def run(self, party: Party[T], *others: Coroutine[Any, Any, None]) -> T:
        """Carry a transfer through with the text channel, and *others*, beside it."""
        try:
            return await race(party.run(), self._receive(), self._beat(), self._say(), *others)
        except (DcsendError, asyncio.CancelledError) as exc:
            if isinstance(exc, ConnectionFailed):
                self._explain(exc)
            with contextlib.suppress(TimeoutError, DcsendError):
                soon = isinstance(exc, asyncio.CancelledError | ConnectionFailed)
                async with asyncio.timeout(_PARTING if soon else _FAREWELL):
                    await party.farewell(exc)
            raise
        finally:
            await party.put_away()

    def _explain(self, error: ConnectionFailed) -> None:
        """Add what a browser does in silence: a network that came back in time did not help."""
        silence = self._liveness.silence(self._loop.time())
        if self._peer_is_browser and silence >= _BROWSER_GIVES_UP:
            error.message += (
                f"; it is a browser, which ends a connection after about {_BROWSER_GIVES_UP} s of"
                " silence by itself"
            )

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionFailed):  # the control channel says it better
            while True:
                message = await self._text.receive()
                self.heard()
                if isinstance(message, str):
                    kind = "line" if is_line(message) else "random"
                    text = message[:MAX_TEXT].removesuffix("\n")
                    self._emit(TextExchanged(text, sent=False, kind=kind))

    async def _beat(self) -> None:
        liveness = self._liveness
        while True:
            due = min(liveness.next_due(), self._deadline.due)
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            for sign in liveness.due(self._loop.time()):
                await self._act(sign)
            if missed := self._deadline.missed(self._loop.time()):
                raise Overdue(missed)

    async def _act(self, sign: Sign) -> None:
        silent = round(self._liveness.silence(self._loop.time()))
        if sign is Sign.GIVE_UP:
            raise ConnectionFailed(
                f"the other side has been silent for {silent} s", "run it again on both sides"
            )
        if sign is Sign.REPORT:
            self._emit(Warned("silent", f"nothing from the other side for {silent} s"))
            return
        letters = random_letters()
        # Not waited for: a full buffer means that something is on its way already.
        with contextlib.suppress(ConnectionFailed):
            if self._text.send(letters):
                self._emit(TextExchanged(letters, sent=True, kind="random"))

    async def _say(self) -> None:
        if self._lines is None:
            return
        with contextlib.suppress(ConnectionFailed):
            while True:
                line = await self._lines.get()
                # Four bytes per character at most, so a piece never exceeds the limit.
                for start in range(0, max(1, len(line)), MAX_TEXT // 4 - 1):
                    piece = line[start : start + MAX_TEXT // 4 - 1]
                    await send_all(self._text, [piece + "\n"])
                    self._emit(TextExchanged(piece, sent=True, kind="line"))
