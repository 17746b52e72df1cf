"""The text channel of a transfer: keep-alive messages, typed lines, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.peers.contract import Connection, ConnectionLost
from dcsend.protocol.limits import MAX_TEXT
from dcsend.protocol.messages import BROWSER
from dcsend.session.awake import Awake
from dcsend.session.control import Control, send_all
from dcsend.session.events import Emit, TextExchanged, Warned
from dcsend.session.liveness import Deadline, Liveness, Overdue, Sign, is_line, random_letters
from dcsend.settings import Settings

__all__ = ["FAREWELL", "Conversation", "Room", "TransferHalf", "race"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Room = Callable[[], Awaitable[None]]
"Waits until there is room for more events, whose reader may be slow."

FAREWELL: Final = 2.0
"""Seconds for Cancel to arrive before the connection is closed. Waited in full only where the peer
is gone; on a busy machine 0.5 is too short: the peer then reports a lost connection instead."""
_PARTING: Final = 0.5
"""The same where a person has ended the run, which has a second in total, and where the connection
was lost."""
_STOPPED: Final = 3.0
"Seconds by which a timer is late if this program was stopped, so that it received nothing."
_LOOK: Final = 0.25
"Seconds between two looks at whether the connection is interrupted."
_BROWSER_GIVES_UP: Final = 16
"""Seconds of silence after which a browser ends the connection; not configurable (measured:
Chromium 156, 16 to 18 s)."""


class TransferHalf(Protocol[T_co]):
    """The sending or the receiving half of a transfer."""

    @property
    def control(self) -> Control:
        """Its control channel."""
        ...

    async def run(self) -> T_co:
        """Carry the transfer out."""
        ...

    async def close(self) -> None:
        """Release the disk; called after Cancel has been sent to the peer, if it is sent."""
        ...


async def race(main: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, None]) -> T:
    """Run *main* with *others* beside it; return what *main* returns.

    An error of any one ends them all and is raised; one of *others* that returns has no effect.
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
    """The text channel of one connection, the peer's deadlines, and how a transfer ends.

    Args:
        connection: open.
        settings: has the intervals.
        emit: gets texts, and a warning of silence.
        lines: typed here, without line ends.
        room: see `Room`; None where there always is room.
        interrupted: returns whether the connection is lost and may be made again, so that silence
            means nothing; None where it can't.
    """

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        emit: Emit,
        lines: asyncio.Queue[str] | None = None,
        room: Room | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> None:
        self.deadlines: Final = settings.deadlines
        self._text = connection.channels["text"]
        self._emit = emit
        self._lines = lines
        self._room = room
        self._is_one_of_several = settings.peers != 1
        self._interrupted = interrupted
        self._waiting_for_room = 0
        "Number of tasks that wait for room."
        self._text_paused = False
        "Whether the task that reads the text channel is one of them."
        # A line that was typed before was for no peer, or for a shell.
        while lines is not None and not lines.empty():
            lines.get_nowait()
        self._peer_is_browser = False
        self._loop = asyncio.get_running_loop()
        self._liveness = Liveness(
            self._loop.time(),
            interval=settings.keep_alive_interval,
            report=settings.silence_report,
            limit=settings.silence_limit,
        )
        self._deadline = Deadline()
        self._awake = Awake() if settings.inhibit else None
        self._logged = ""
        "The last deadline in the log: during a transfer the same one is set for each portion."

    def introduced(self, features: Sequence[str]) -> None:
        """Note the features in the peer's Hello."""
        self._peer_is_browser = BROWSER in features

    def accepted(self) -> None:
        """Note that the offer is accepted: content follows."""
        if self._awake is not None:
            self._awake.hold()

    def note_arrival(self) -> None:
        """Note that a message has arrived, on any channel."""
        self._liveness.note_arrival(self._loop.time())

    def expect(self, missed: str, seconds: float | None = None) -> None:
        """Set the deadline of the peer's next step; the run ends if it is missed.

        It is checked with each keep-alive message of this side, so up to one interval later.

        Args:
            missed: completes "the other side …" in the error.
            seconds: from now; None for the `progress` of the deadlines.
        """
        allowed = self.deadlines.progress if seconds is None else seconds
        self._deadline.expect(self._loop.time(), allowed, missed)
        if missed != self._logged:
            self._logged = missed
            logger.debug("deadline in %g s, or the peer %s", allowed, missed)

    def lift(self) -> None:
        """Remove the deadline."""
        self._deadline.lift()

    async def wait(self, seconds: float) -> None:
        """Wait for *seconds* in a row in which the connection is not interrupted."""
        left = seconds
        while left > 0:
            step = min(left, _LOOK)
            await asyncio.sleep(step)
            left = seconds if self._is_interrupted else left - step

    async def room(self) -> None:
        """Wait until there is room for more events; `held_up` is true meanwhile."""
        if self._room is None:
            return
        self._waiting_for_room += 1
        try:
            await self._room()
        finally:
            self._waiting_for_room -= 1

    @property
    def held_up(self) -> bool:
        """Whether this side waits for the reader of its events."""
        return self._waiting_for_room > 0

    async def run(self, half: TransferHalf[T], *others: Coroutine[Any, Any, None]) -> T:
        """Carry a transfer out with the text channel, and *others*, beside it."""
        try:
            return await race(
                half.run(), self._receive(), self._beat(), self._send_lines(), *others
            )
        except (DcsendError, asyncio.CancelledError) as exc:
            if isinstance(exc, ConnectionFailed):
                self._explain(exc)
            with contextlib.suppress(TimeoutError, DcsendError):
                soon = isinstance(exc, asyncio.CancelledError | ConnectionFailed)
                async with asyncio.timeout(_PARTING if soon else FAREWELL):
                    await half.control.cancel(exc)
            raise
        finally:
            if self._awake is not None:
                self._awake.release()
            await half.close()

    def _explain(self, error: ConnectionFailed) -> None:
        """Add why a network that came back in time did not help."""
        silence = self._liveness.silence(self._loop.time())
        if self._peer_is_browser and silence >= _BROWSER_GIVES_UP:
            error.amend(
                f"{error.message}; it is a browser, which ends a connection after about"
                f" {_BROWSER_GIVES_UP} s of silence by itself"
            )

    @property
    def _is_interrupted(self) -> bool:
        return self._interrupted is not None and self._interrupted()

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionFailed):  # the control channel reports it better
            while True:
                message = await self._text.receive()
                self.note_arrival()
                if isinstance(message, str):
                    # A peer may send them faster than they are read.
                    if is_line(message) or self._is_one_of_several:
                        await self._room_for_text()
                    kind = "line" if is_line(message) else "random"
                    text = message[:MAX_TEXT].removesuffix("\n")
                    self._emit(TextExchanged(text, sent=False, kind=kind))

    async def _room_for_text(self) -> None:
        """Wait for room; meanwhile no keep-alive message is read, so silence means nothing."""
        self._text_paused = True
        try:
            await self.room()
        finally:
            self._text_paused = False
            self.note_arrival()

    async def _beat(self) -> None:
        liveness = self._liveness
        while True:
            due = min(liveness.next_due(), self._deadline.due)
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            is_late = self._loop.time() - due >= _STOPPED
            if is_late or self._is_interrupted:
                self.note_arrival()
                self._deadline.put_off(self._loop.time())
            if self._text_paused:
                self.note_arrival()
            for sign in liveness.due(self._loop.time()):
                self._act(sign)
            if missed := self._deadline.missed(self._loop.time()):
                logger.debug("deadline missed: the peer %s", missed)
                raise Overdue(missed)

    def _act(self, sign: Sign) -> None:
        silent = round(self._liveness.silence(self._loop.time()))
        if sign is not Sign.SEND:
            logger.debug("no message of the peer for %d s", silent)
        if sign is Sign.GIVE_UP:
            raise ConnectionLost(
                f"the other side has been silent for {silent} s", "run it again on both sides"
            )
        if sign is Sign.REPORT:
            self._emit(Warned("silent", f"nothing from the other side for {silent} s"))
            return
        letters = random_letters()
        # Not waited for: a full buffer means that something is being sent already.
        with contextlib.suppress(ConnectionFailed):
            if self._text.send(letters):
                self._emit(TextExchanged(letters, sent=True, kind="random"))

    async def _send_lines(self) -> None:
        if self._lines is None:
            return
        with contextlib.suppress(ConnectionFailed):
            while True:
                line = await self._lines.get()
                # A character has four bytes at most, so a piece never exceeds the limit.
                for start in range(0, max(1, len(line)), MAX_TEXT // 4 - 1):
                    piece = line[start : start + MAX_TEXT // 4 - 1]
                    await send_all(self._text, [piece + "\n"])
                    self._emit(TextExchanged(piece, sent=True, kind="line"))
