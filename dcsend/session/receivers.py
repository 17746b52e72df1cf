"""The receivers of a sender that serves several of them with one code.

    next ─► a receiver ─► its conversation ─┬─► has everything: one is needed less
      ▲                                     ├─► has declined, or was lost after it has accepted
      └── a free place ◄────────────────────┴─► has left before that

They end when enough receivers have everything, or when the code has expired and those that are
connected have ended. An error of one receiver is reported as its own, and affects no other one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from dcsend.errors import DcsendError, PeerRefused, TimedOut, UsageError
from dcsend.ice.rate_limits import TokenBucket
from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Arrivals, Awaited
from dcsend.session.conclusion import unexpected
from dcsend.session.events import (
    Event,
    ManifestKnown,
    OfReceiver,
    ReceiverCounts,
    ReceiverFinished,
    TextExchanged,
    Warned,
    total_size,
)
from dcsend.session.one_peer import Half, converse
from dcsend.session.outcome import Tally, failure
from dcsend.settings import STDIO, Settings, Signal

if TYPE_CHECKING:
    from dcsend.entry import Entry
    from dcsend.session.conversation import Room

__all__ = ["Receivers", "refuse_streams", "refuse_ways"]

logger = logging.getLogger(__name__)

_TEXTS_PER_SECOND: Final = 10
"""Messages on the text channel of one receiver. Others wait, since they would take the time of the
other receivers; a receiver sends one in 5 s, and the lines that a person types."""
_LOOK: Final = 0.1
"Seconds between two looks whether another one can be read."


def refuse_ways(paths: Sequence[str], settings: Settings) -> None:
    """Refuse what only one receiver can have.

    Raises:
        UsageError: there are to be several.
    """
    if settings.times == 1:
        return
    if settings.times is not None and settings.times < 1:
        raise UsageError(
            f"{settings.times} receivers can't be served", "give a number from 1, or any"
        )
    if STDIO in paths:
        raise UsageError(
            "standard input can be sent to one receiver only, because it can be read once",
            "save it to a file and send that, or leave out --times",
        )
    if settings.code:
        raise UsageError(
            "--times is for the side that prints the code", "leave it out, or leave out --to"
        )
    if settings.signal is Signal.SDP:
        raise UsageError(
            "--times can't be used with two codes, which connect two sides only",
            "leave out --signal sdp",
        )


def refuse_streams(entries: Sequence[Entry], settings: Settings) -> None:
    """Refuse pipes and devices, which can be read once, if there are to be several receivers.

    Raises:
        UsageError: *entries* has one.
    """
    if settings.times != 1 and total_size(entries) is None:
        raise UsageError(
            "a pipe or device can be sent to one receiver only, because it can be read once",
            "save its content to a file and send that, or leave out --times",
        )


class Receivers:
    """Serves them.

    Args:
        arrivals: of the run.
        half: makes the sending half for one of them.
        settings: of the run; how many there are to be.
        tally: of the run.
        room: as of `Conversation`.
    """

    def __init__(
        self, arrivals: Arrivals, half: Half, settings: Settings, tally: Tally, room: Room | None
    ) -> None:
        self._arrivals = cast(Awaited, arrivals)
        self._half = half
        self._settings = settings
        self._tally = tally
        self._room = room
        self._clock = asyncio.get_running_loop().time
        self._number = 0
        "Of the receiver that connected last."
        self._counts = ReceiverCounts()
        self._connected: dict[int, Tally] = {}
        "Of the receivers that are connected, by number."
        self._enough = asyncio.Event()
        self._is_offer_known = False
        self._serving: set[asyncio.Task[None]] = set()
        tally.serve(self._counts)

    async def serve(self) -> None:
        """Serve receivers until enough have everything, or until there are no more.

        Raises:
            DcsendError: too few have everything.
        """
        accepting = asyncio.create_task(self._accept())
        enough = asyncio.create_task(self._enough.wait())
        try:
            await asyncio.wait({accepting, enough}, return_when=asyncio.FIRST_COMPLETED)
            if not enough.done():
                await self._serve_rest(accepting.exception())
        except asyncio.CancelledError:
            if self._settings.times is None and self._counts.complete and not self._is_busy:
                self._tally.end()
            raise
        finally:
            tasks = {accepting, enough, *self._serving}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def _is_busy(self) -> bool:
        """Whether a receiver has accepted, and does not have everything yet."""
        return any(one.started is not None and not one.complete for one in self._connected.values())

    async def _serve_rest(self, error: BaseException | None) -> None:
        """Wait for the receivers that are connected: the code works no more, because of *error*."""
        if not isinstance(error, DcsendError):
            error = unexpected(error or RuntimeError("no receiver is awaited"))
        self._arrivals.limit(0)
        if self._serving:
            going_on = "the connected receivers are served to their end"
            self._tally.emit(Warned(error.kind, f"the code works no more; {going_on}"))
            await asyncio.wait(self._serving)
        if self._enough.is_set():
            return
        wanted, complete = self._settings.times, self._counts.complete
        if not isinstance(error, TimedOut) or (wanted is None and not self._number):
            raise error
        if wanted is None and complete:
            return
        result = "the code has expired, and no receiver has everything"
        if wanted is not None:
            result = f"the code has expired, and {complete} of {wanted} receivers have everything"
        raise TimedOut(result, "run it again for a new code")

    async def _accept(self) -> None:
        """Begin to serve each receiver that connects.

        Raises:
            DcsendError: no more can connect.
        """
        while True:
            number = self._number + 1

            def emit(event: Event, number: int = number) -> None:
                self._emit(number, event)

            arrivals = self._arrivals.beside(emit)
            connection = await arrivals.next()
            self._number = number
            task = asyncio.create_task(self._serve(number, arrivals, connection))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, number: int, arrivals: Awaited, connection: Connection) -> None:
        """Serve one receiver; report how it ends."""
        texts = TokenBucket(_TEXTS_PER_SECOND)

        def emit(event: Event) -> None:
            if isinstance(event, TextExchanged) and not event.sent:
                texts.take(self._clock())
            self._emit(number, event)

        async def room() -> None:
            if self._room is not None:
                await self._room()
            while texts.is_empty(self._clock()):  # noqa: ASYNC110 - they come by time
                await asyncio.sleep(_LOOK)

        tally = Tally(emit)
        self._connected[number] = tally
        error: DcsendError | None = None
        is_answered = True
        try:
            is_answered = await converse(
                connection, arrivals, self._half, self._settings, tally, None, room
            )
            error = failure(tally.files)
        except DcsendError as exc:
            error = exc
        except Exception as exc:  # a bug; the other receivers are not affected
            logger.exception("receiver %d", number)
            error = unexpected(exc)
        finally:
            del self._connected[number]
            self._tally.count(tally.bytes)
            if tally.started is not None and self._tally.started is None:
                self._tally.begin(tally.started)
            await arrivals.leave()
        if is_answered:
            self._end(number, tally, error)

    def _end(self, number: int, tally: Tally, error: DcsendError | None) -> None:
        """Count and report a receiver that has accepted or declined."""
        counts = self._counts
        if error is None:
            counts = counts._replace(complete=counts.complete + 1)
        elif isinstance(error, PeerRefused) and tally.started is None:
            counts = counts._replace(declined=counts.declined + 1)
        else:
            counts = counts._replace(failed=counts.failed + 1)
        self._counts = counts
        self._tally.serve(counts)
        seconds = self._clock() - tally.started if tally.started is not None else 0.0
        self._emit(
            number,
            ReceiverFinished(
                0 if error is None else error.exit_status,
                tally.bytes,
                seconds,
                tally.files.good,
                error,
            ),
        )
        wanted = self._settings.times
        if wanted is None:
            return
        self._arrivals.limit(min(self._settings.at_once, wanted - counts.complete))
        if counts.complete == wanted:
            self._enough.set()

    def _emit(self, number: int, event: Event) -> None:
        """Emit an event of a receiver; the offer, which is the same for all, only once."""
        if isinstance(event, ManifestKnown):
            if not self._is_offer_known:
                self._is_offer_known = True
                self._tally.emit(event)
        else:
            self._tally.emit(OfReceiver(number, event))
