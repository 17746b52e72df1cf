"""The peers of a run that several of them use with one code: receivers, or senders.

    next ─► a peer ─► its conversation ─┬─► everything is transferred: one is needed less
      ▲                                 ├─► declined, or lost after acceptance
      └── a free place ◄────────────────┴─► has left before that

They end when there were enough, or when the code has expired and those that are connected have
ended. An error of one peer is reported as its own, and affects no other one.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, ClassVar, Final, cast

from dcsend.errors import DcsendError, PeerRefused, TimedOut
from dcsend.ice.rate_limits import TokenBucket
from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Arrivals, Awaited
from dcsend.session.conclusion import unexpected
from dcsend.session.events import (
    Event,
    OfReceiver,
    OfSender,
    PeerCounts,
    ReceiverFinished,
    SenderFinished,
    TextExchanged,
    Warned,
)
from dcsend.session.one_peer import Half, converse
from dcsend.session.outcome import Tally, failure
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.session.conversation import Room

__all__ = ["Several"]

logger = logging.getLogger(__name__)

_TEXTS_PER_SECOND: Final = 10
"""Messages on the text channel of one peer. Others wait, since they would take the time of the
other peers; a peer sends one in 5 s, and the lines that a person types."""
_GARBAGE: Final = 100
"""Peers that have ended until the memory of all of them is freed, in 0.03 s. Their objects refer to
each other, 40 KB for each. Of those that a collection has found in use, the collector frees most
after some thousand peers only: 26 of 112 MB after 5000 senders (`tests/endurance.py`)."""
_LOOK: Final = 0.1
"Seconds between two tests of whether another message may be read."


class Several:
    """Serves the peers of a run, each with a conversation of its own.

    Args:
        arrivals: of the run.
        half: makes the half of this side for one of them.
        settings: of the run; `peers` is how many are to be served.
        tally: of the run.
        room: as of `Conversation`.
    """

    _of_peer: ClassVar[type[OfReceiver | OfSender]]
    "The event that has the number of a peer."
    _finished: ClassVar[type[ReceiverFinished | SenderFinished]]
    "The last event of a peer."

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
        "The number of the peer that connected last."
        self._ended = 0
        "Number of peers that have ended."
        self._counts = PeerCounts()
        self._connected: dict[int, Tally] = {}
        "Of the peers that are connected, by number."
        self._enough = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        tally.serve(self._counts)

    async def serve(self) -> None:
        """Serve peers until there were enough, or until there are no more.

        Raises:
            DcsendError: too few transfers are complete.
        """
        accepting = asyncio.create_task(self._accept())
        enough = asyncio.create_task(self._enough.wait())
        try:
            await asyncio.wait({accepting, enough}, return_when=asyncio.FIRST_COMPLETED)
            if not enough.done():
                await self._serve_rest(accepting.exception())
        except asyncio.CancelledError:
            if self._is_done:
                self._tally.end()
            raise
        finally:
            tasks = {accepting, enough, *self._serving}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def _is_done(self) -> bool:
        """Whether a run that a person ends now has achieved what it is for."""
        raise NotImplementedError

    @property
    def _expired(self) -> str:
        """The error when the code has expired."""
        raise NotImplementedError

    @property
    def _is_busy(self) -> bool:
        """Whether something was accepted, and is not complete yet."""
        return any(one.started is not None and not one.complete for one in self._connected.values())

    async def _serve_rest(self, error: BaseException | None) -> None:
        """Wait for the peers that are connected: the code works no more, because of *error*."""
        if not isinstance(error, DcsendError):
            error = unexpected(error or RuntimeError("no peer is awaited"))
        self._arrivals.limit(0)
        if self._serving:
            going_on = f"the connected {self._of_peer.role}s are served to their end"
            self._tally.emit(Warned(error.kind, f"the code works no more; {going_on}"))
            await asyncio.wait(self._serving)
        if self._enough.is_set():
            return
        wanted, complete = self._settings.peers, self._counts.complete
        if not isinstance(error, TimedOut) or (wanted is None and not self._number):
            raise error
        if wanted is None and complete:
            return
        raise TimedOut(self._expired, "run it again for a new code")

    async def _accept(self) -> None:
        """Begin to serve each peer that connects.

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
            task.add_done_callback(self._forget)

    async def _serve(self, number: int, arrivals: Awaited, connection: Connection) -> None:
        """Serve one peer; report how it ends."""
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

        tally = Tally(emit, number)
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
        except Exception as exc:  # a bug; the others are not affected
            logger.exception("peer %d", number)
            error = unexpected(exc)
        finally:
            del self._connected[number]
            self._tally.count(tally.bytes)
            if tally.started is not None and self._tally.started is None:
                self._tally.begin(tally.started)
            await arrivals.leave()
        if is_answered:
            self._end(number, tally, error)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Remove the task of a peer that has ended; free the memory of many of them at once."""
        self._serving.discard(task)
        self._ended += 1
        if self._ended % _GARBAGE == 0:
            gc.collect()

    def _end(self, number: int, tally: Tally, error: DcsendError | None) -> None:
        """Count and report the end of a peer, unless it has left before an answer."""
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
            self._finished(
                0 if error is None else error.exit_status,
                tally.bytes,
                seconds,
                tally.files.good,
                error,
            ),
        )
        wanted = self._settings.peers
        if wanted is None:
            return
        self._arrivals.limit(min(self._settings.at_once, wanted - counts.complete))
        if counts.complete == wanted:
            self._enough.set()

    def _emit(self, number: int, event: Event) -> None:
        """Emit an event of a peer."""
        self._tally.emit(self._of_peer(number, event))
