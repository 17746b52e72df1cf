"""Binding requests of one candidate pair: each has its own transaction id; timers repeat them.

They take the place of aioice's `Transaction`, which accepts no response after half a second and has
intervals that grow without end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from aioice.ice import CandidatePair
from aioice.stun import Class, Message

if TYPE_CHECKING:
    from dcsend.ice.connection import IceConnection

__all__ = ["PairCheck", "Requests"]

_FIRST: Final = 0.1
"""Seconds until the first retransmission of a check; then doubled. RFC 8445, 14.3 has at least 0.5,
for whole check lists; browsers have 0.05 (Chromium 156). The first check of one side is lost while
the NAT of the other has no mapping for it."""
_LONGEST: Final = 5.0
"Seconds between two checks of a pair, at most."
_MIN_INTERVAL: Final = 0.02
"Seconds between two checks of one pair, at least, also if the peer triggers more."
_HIGHEST: Final = 2**31 - 1
"PRIORITY, at most (RFC 8445, 5.1.2)."
_OUTSTANDING: Final = 32
"""The latest requests of a pair, whose responses are accepted: with a check per second, those of
the time after which consent expires. Behind a full queue a response can take 20 s."""


class Requests:
    """Binding requests of one pair, each with its own transaction id; one response is enough.

    It takes the place of aioice's `Transaction` in `StunProtocol.transactions`, which accepts no
    response after its last retransmission.
    """

    def __init__(
        self,
        connection: IceConnection,
        pair: CandidatePair,
        answered: Callable[[bool], None],
        *,
        nominate: bool = False,
    ) -> None:
        """Prepare.

        Args:
            connection: has the credentials and the role.
            pair: has the protocol and the remote address.
            answered: called for each valid response from that address, with whether it is a success
                response.
            nominate: whether the requests carry USE-CANDIDATE.
        """
        self._connection = connection
        self.pair = pair
        self._answered = answered
        self._nominate = nominate
        self._ids: deque[bytes] = deque()

    def send(self, raised: int = 0) -> None:
        """Send a request, with a PRIORITY that is raised by so much.

        A controlling browser uses the pair of the highest priority (Chromium 156). It follows this
        side to a new address at once if the first check from there has a higher PRIORITY than those
        before, and otherwise 2.5 s after the last datagram from the former address.
        """
        request = self._connection.build_request(self.pair, nominate=self._nominate)
        request.attributes["PRIORITY"] = min(request.attributes["PRIORITY"] + raised, _HIGHEST)
        request.add_message_integrity(str(self._connection.remote_password).encode())
        transactions = cast(dict[bytes, Any], self.pair.protocol.transactions)
        transactions[request.transaction_id] = self
        self._ids.append(request.transaction_id)
        if len(self._ids) > _OUTSTANDING:
            transactions.pop(self._ids.popleft(), None)
        self.pair.protocol.send_stun(request, self.pair.remote_addr)

    def response_received(self, message: Message, source: tuple[str, int]) -> None:
        """Handle an authentic response (`agent.FilteredStunProtocol` passes on no others).

        One from another address does not validate the pair (RFC 8445, 7.2.5.2.1), and an attacker
        on the path can change the address: it is ignored, and the right one still counts.
        """
        if source == self.pair.remote_addr:
            self._answered(message.message_class is Class.RESPONSE)

    def stop(self) -> None:
        """Accept no more responses; idempotent."""
        while self._ids:
            self.pair.protocol.transactions.pop(self._ids.popleft(), None)


class PairCheck:
    """A connectivity check (RFC 8445, 7.2): retransmitted until it is answered or stopped."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._loop = asyncio.get_running_loop()
        self._wait = _FIRST
        self._sent = self._loop.time()
        self._timer = self._loop.call_later(self._wait, self._send)
        requests.send()

    def _send(self) -> None:
        self._sent = self._loop.time()
        self._wait = min(2 * self._wait, _LONGEST)
        self._timer = self._loop.call_later(self._wait, self._send)
        self._requests.send()

    def repeat(self) -> None:
        """Send the check again at once, and then with the intervals of a new one.

        Earlier requests stay valid: if each side discarded its pending check because of that of the
        other, neither would accept the responses on the path.
        """
        self._timer.cancel()
        self._wait = _FIRST / 2
        self._timer = self._loop.call_at(
            max(self._loop.time(), self._sent + _MIN_INTERVAL), self._send
        )

    def stop(self) -> None:
        """Send no more requests and accept no more responses; idempotent."""
        self._timer.cancel()
        self._requests.stop()
