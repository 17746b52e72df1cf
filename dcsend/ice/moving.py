"""The path follows the peer to another address: of another network, or another port of its NAT.

request from another address ─► check to that address, and to the present one
        the present one answers ─► the path stays
        only the other one does ─► the path moves, `PATIENCE` after the last sign of the present one

RFC 8445 has a restart of ICE for this, which needs signalling, and there is none during a transfer.
A source address proves nothing, since a request can be recorded and sent from elsewhere. So the
path moves only to an address that answers a check, and only if the present one does not in twice
the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aioice.ice import CandidatePair

from dcsend.ice.transactions import PairCheck, Requests

if TYPE_CHECKING:
    from dcsend.ice.connection import IceConnection

__all__ = ["PATIENCE", "Moves"]

PATIENCE: Final = 0.5
"Seconds without a sign of the present address: a datagram, or the answer to a check."
_LEAST: Final = 0.25
"Seconds for the present address to answer the check, at least."
_LEAST_RATIO: Final = 2.0
"""Those seconds as a multiple of the time in which the other address has answered, and of the last
round trip: the present path may be long, and have a queue that the other path does not have."""
_MOST: Final = 2.0
"Seconds for the present address to answer, at most."
_LIMIT: Final = 5.0
"Seconds in which another address may answer; its requests follow each other within a second."
_CALM: Final = 1.0
"Seconds after an answer of the present address in which no other one is checked."
_MAX_PAIRS: Final = 4
"Addresses that are checked at the same time; for one more, the first one is given up."


class Moves:
    """The checks that decide whether the path of one connection moves.

    Args:
        connection: sends the checks.
        move: called with the pair to which the path moves.
    """

    def __init__(self, connection: IceConnection, move: Callable[[CandidatePair], None]) -> None:
        self._connection = connection
        self._move = move
        self._present: PairCheck | None = None
        "The check to the present address."
        self._others: dict[CandidatePair, PairCheck] = {}
        self._answered: CandidatePair | None = None
        "The pair in `_others` that has answered last."
        self._began = self._until = 0.0
        "When the check to the present address was sent, and until when an answer counts."
        self._limit: asyncio.TimerHandle | None = None
        "Until all checks end."
        self._decision: asyncio.TimerHandle | None = None
        "Until the path moves, when another address has answered."
        self._calm_until = 0.0

    def requested(self, pair: CandidatePair, present: CandidatePair, received: float) -> None:
        """Handle an authentic request for another pair than the present one.

        Args:
            pair: from whose remote address it has come.
            present: the pair in use.
            received: when the last authentic datagram arrived; see `IceConnection.received_at`.
        """
        loop = asyncio.get_running_loop()
        if self._is_checked(pair) or loop.time() < self._calm_until:
            return
        if self._present is None:
            silence = max(0.0, loop.time() - received)
            self._present = PairCheck(Requests(self._connection, present, self._present_answered))
            self._began = loop.time()
            patience = max(_LEAST, PATIENCE - silence, _LEAST_RATIO * self._connection.round_trip)
            self._until = self._began + min(patience, _MOST)
            self._limit = loop.call_later(_LIMIT, self.stop)
        elif len(self._others) >= _MAX_PAIRS:
            self._others.pop(next(iter(self._others))).stop()
        begun = loop.time()
        requests = Requests(
            self._connection, pair, lambda success: self._reached(pair, begun, success)
        )
        self._others[pair] = PairCheck(requests)

    def stop(self) -> None:
        """End all checks; idempotent."""
        for timer in (self._limit, self._decision):
            if timer is not None:
                timer.cancel()
        for check in (self._present, *self._others.values()):
            if check is not None:
                check.stop()
        self._others = {}
        self._present = self._answered = None

    def _is_checked(self, pair: CandidatePair) -> bool:
        return any(
            one.protocol is pair.protocol and one.remote_addr == pair.remote_addr
            for one in self._others
        )

    def _present_answered(self, success: bool) -> None:
        if success:
            self.stop()
            self._calm_until = asyncio.get_running_loop().time() + _CALM

    def _reached(self, pair: CandidatePair, begun: float, success: bool) -> None:
        if not success or pair is self._answered:
            return
        loop = asyncio.get_running_loop()
        self._answered = pair
        patience = min(_LEAST_RATIO * (loop.time() - begun), _MOST)
        self._until = max(self._until, self._began + patience)
        if self._decision is not None:
            self._decision.cancel()
        self._decision = loop.call_at(self._until, self._leave, pair)

    def _leave(self, pair: CandidatePair) -> None:
        self.stop()
        self._move(pair)
