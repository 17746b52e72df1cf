"""ICE where aioice 0.13 differs from RFC 8445 and 7675: checks, nomination, consent, the end.

aioice keeps the candidates and the check list and answers the peer. What it does otherwise:

- A check that arrives for a pair in progress triggers none (7.3.1.4), so that behind two NATs the
  connection has to wait for the next repetition, which comes later and later.
- The pair that is nominated last is used (8.1.1 wants one), so that a relay replaces a direct path.
- It accepts answers for half a second only, and its consent checks have doubling gaps.
- Its `close` waits 63 s for a TURN server that is gone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from aioice import Candidate, Connection
from aioice.ice import ICE_COMPLETED, CandidatePair, StunProtocol, candidate_pair_priority
from aioice.stun import Class, Message

from dcsend.engines.consent import Consent

__all__ = ["COMPONENT", "IceConnection", "is_relayed"]

COMPONENT: Final = 1
"The only one: RTP is not used (RFC 8445, 4)."
_BACKLOG: Final = 8192
"Datagrams that wait for DTLS, at most: a peer can't send more while it does not finish ICE."
_LONGEST_WAITING: Final = 2048
"""Bytes of the longest of them. Of a handshake none has more than an Ethernet carries; packets that
probe for more come later. UDP allows 65 507, which anybody could send with the peer's address."""
_FIRST: Final = 0.1
"""Seconds until a check is repeated, then doubled. RFC 8445, 14.3 has 0.5 at least, for whole lists
of checks; browsers repeat theirs after 0.05 (Chromium 156). The first check of one side is lost
whenever the NAT of the other is still closed."""
_LONGEST: Final = 5.0
"Seconds between two checks of a pair, at most."
_PACE: Final = 0.005
"Seconds between the first checks of two pairs: Ta, at the least that RFC 8445, 14.2 allows."
_AGAIN: Final = 0.02
"Seconds between two checks of one pair, at least, however often the peer triggers one."
_OUTSTANDING: Final = 16
"The latest requests of a pair, whose answers are accepted: those of at least 16 s."
_RELAY_DELAY: Final = 0.3
"""Seconds for which a direct path may still be found after a relayed one. A direct path is the
shorter one; it answers later only if one of its first checks was lost."""


class _Requests:
    """Binding requests of one pair, each with a transaction id of its own; one answer is enough.

    In `StunProtocol.transactions` it stands for aioice's `Transaction`, whose place it takes: that
    one gives up, and accepts no answer that comes after its last repetition.
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
            connection: whose credentials and role are used.
            pair: its protocol sends, to its remote address.
            answered: called for each answer that is authentic and from that address, with whether
                it is a success.
            nominate: whether the requests carry USE-CANDIDATE.
        """
        self._connection = connection
        self._pair = pair
        self._answered = answered
        self._nominate = nominate
        self._ids: deque[bytes] = deque()

    def send(self) -> None:
        """Send one more."""
        request = self._connection.build_request(self._pair, nominate=self._nominate)
        request.add_message_integrity(str(self._connection.remote_password).encode())
        transactions = cast(dict[bytes, Any], self._pair.protocol.transactions)
        transactions[request.transaction_id] = self
        self._ids.append(request.transaction_id)
        if len(self._ids) > _OUTSTANDING:
            transactions.pop(self._ids.popleft(), None)
        self._pair.protocol.send_stun(request, self._pair.remote_addr)

    def response_received(self, message: Message, source: tuple[str, int]) -> None:
        """Take an authentic answer (`private.JudgedProtocol` passes on no others).

        One from another address shows nothing about the pair (RFC 8445, 7.2.5.2.1), and anybody
        on the path can make it come from there: it is ignored, and the right one still counts.
        """
        if source == self._pair.remote_addr:
            self._answered(message.message_class is Class.RESPONSE)

    def stop(self) -> None:
        """Accept no answers any more; idempotent."""
        while self._ids:
            self._pair.protocol.transactions.pop(self._ids.popleft(), None)


class _Check:
    """A connectivity check (RFC 8445, 7.2): repeated until it is answered or stopped."""

    def __init__(self, requests: _Requests) -> None:
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
        """Send it again at once, and then as if it were new.

        What was sent before stays valid: if each side dropped its own pending check because of that
        of the other, neither would accept the answers that are on their way.
        """
        self._timer.cancel()
        self._wait = _FIRST / 2
        self._timer = self._loop.call_at(max(self._loop.time(), self._sent + _AGAIN), self._send)

    def stop(self) -> None:
        """Send nothing more, accept nothing more; idempotent."""
        self._timer.cancel()
        self._requests.stop()


class IceConnection(Connection):
    """An ICE connection whose datagrams may go straight to whoever decrypts them."""

    direct: Callable[[bytes], None] | None = None
    "Gets what is not STUN; None for aioice's queue."
    heard_at: float = math.inf
    """When an authentic datagram was last seen to arrive, within half a second; seconds of the
    loop's clock. Infinite until a path is chosen."""
    expired = False
    "Whether it has ended because the peer has not answered for `consent.EXPIRES` seconds."

    def __init__(
        self,
        *,
        ice_controlling: bool,
        local_username: str | None = None,
        local_password: str | None = None,
    ) -> None:
        """Prepare; see aioice for the arguments."""
        super().__init__(
            ice_controlling=ice_controlling,
            local_username=local_username,
            local_password=local_password,
        )
        self._checks: dict[CandidatePair, _Check] = {}
        "Those under way."
        self._pacing: asyncio.TimerHandle | None = None
        "Until the next check may begin."
        self._nomination: _Check | None = None
        "Announces our choice to the controlled side."
        self._relay_timer: asyncio.TimerHandle | None = None
        "Runs from the first relayed path to `_RELAY_DELAY` later, or for good once it has fired."

    # Datagrams

    @property
    def arrived(self) -> int:
        """How many datagrams have come from the peer."""
        return sum(cast(Any, protocol).arrived for protocol in self._protocols)

    def data_received(self, data: bytes, component: int) -> None:
        """Pass on, or queue while the handshake goes on."""
        if self.direct is not None:
            self.direct(data)
        elif len(data) <= _LONGEST_WAITING and self._queue.qsize() < _BACKLOG:
            super().data_received(data, component)

    def drop_queued(self) -> None:
        """Forget the datagrams that have arrived and nobody has taken."""
        ended = False
        while not self._queue.empty():
            ended |= self._queue.get_nowait() is None
        if ended:
            self.farewell()

    def farewell(self) -> None:
        """Let whoever waits for a datagram know that none will come."""
        self._queue.put_nowait(None)

    # Checks

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """Take an address of the peer, no name, at any time; None: there are no more."""
        if remote_candidate is not None:
            ipaddress.ip_address(remote_candidate.host)  # or aioice would resolve it
        await super().add_remote_candidate(remote_candidate)
        self._begin_checks()

    async def connect(self) -> None:
        """Return when a pair is nominated.

        aioice looks for what is to be done fifty times a second, here each thing has its timer.

        Raises:
            ConnectionError: there is none, or the connection was closed.
        """
        for candidate in self._remote_candidates:
            self._pair_remote_candidate(candidate)
        self.sort_check_list()
        early = list(self._early_checks)
        self._early_checks.clear()
        self._early_checks_done = True
        self._begin_checks()
        for check in early:
            self.check_incoming(*check)
        if await self._check_list_state.get() != ICE_COMPLETED:
            raise ConnectionError("ICE negotiation failed")
        self._query_consent_task = asyncio.create_task(self.query_consent())

    def _begin_checks(self) -> None:
        """Begin the check of the best pair that has none, and of the others one after the other."""
        if self._pacing is None and self._early_checks_done and not self._check_list_done:
            self._begin_next()

    def _begin_next(self) -> None:
        self._pacing = None
        waiting = (CandidatePair.State.WAITING, CandidatePair.State.FROZEN)
        pair = next((pair for pair in self._check_list if pair.state in waiting), None)
        if pair is not None and not self._check_list_done:
            self.check_start_task(pair)
            self._pacing = asyncio.get_running_loop().call_later(_PACE, self._begin_next)

    def check_start_task(self, pair: CandidatePair) -> None:
        """Begin the check of a pair, unless it is under way."""
        if pair in self._checks:
            return
        self.check_state(pair, CandidatePair.State.IN_PROGRESS)
        requests = _Requests(self, pair, lambda success: self._check_answered(pair, success))
        self._checks[pair] = _Check(requests)

    def check_incoming(
        self, message: Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        """Take a check of the peer; repeat ours of the same pair at once (RFC 8445, 7.3.1.4)."""
        for pair, check in self._checks.items():
            if pair.protocol is protocol and pair.remote_addr == addr:
                check.repeat()
                break
        super().check_incoming(message, addr, protocol)

    def _check_answered(self, pair: CandidatePair, success: bool) -> None:
        check = self._checks.pop(pair, None)
        if check is not None:
            check.stop()
        if not success:
            self.check_state(pair, CandidatePair.State.FAILED)
        else:
            self.check_state(pair, CandidatePair.State.SUCCEEDED)
            pair.nominated = pair.remote_nominated
            if self.ice_controlling:
                self._choose()
        self.check_complete(pair)

    # Nomination (RFC 8445, 8)

    def check_complete(self, pair: CandidatePair) -> None:
        """Take the outcome of a check; of several nominated pairs the best one is used.

        A browser that controls nominates a pair while it still looks for a better one; that one it
        nominates, too (Chromium 156, Firefox 153).
        """
        before = self._nominated.get(COMPONENT)
        super().check_complete(pair)
        if before is not None and self._rank(before) > self._rank(pair):
            self._nominated[COMPONENT] = before
        self._stop_needless()

    def _rank(self, pair: CandidatePair) -> tuple[bool, int]:
        """Return what grows with how good a pair is: direct first, then by RFC 8445, 6.1.2.3."""
        priority = candidate_pair_priority(
            pair.local_candidate, pair.remote_candidate, self.ice_controlling
        )
        return not is_relayed(pair), priority

    def _choose(self) -> None:
        """Nominate, as the controlling side: the first direct path that works, or else a relay.

        Once a direct path is chosen, it stays, so that both sides agree; a relayed one is replaced
        by a direct one that works after all.
        """
        current = self._nominated.get(COMPONENT)
        if current is not None and not is_relayed(current):
            return
        valid = [p for p in self._check_list if p.state is CandidatePair.State.SUCCEEDED]
        best = max(valid, key=self._rank)
        if not is_relayed(best):
            self._nominate(best)
        elif self._relay_timer is None:
            loop = asyncio.get_running_loop()
            self._relay_timer = loop.call_later(_RELAY_DELAY, self._take_relay)

    def _take_relay(self) -> None:
        if COMPONENT not in self._nominated:
            valid = [p for p in self._check_list if p.state is CandidatePair.State.SUCCEEDED]
            self._nominate(max(valid, key=self._rank))

    def _nominate(self, pair: CandidatePair) -> None:
        """Use a pair from now on, and let the peer know until it has confirmed it."""
        if self._nomination is not None:
            self._nomination.stop()
        self._nomination = _Check(_Requests(self, pair, self._nomination_answered, nominate=True))
        pair.nominated = True
        self.check_complete(pair)

    def _nomination_answered(self, success: bool) -> None:
        if self._nomination is not None:
            self._nomination.stop()

    def _stop_needless(self) -> None:
        """End the checks that can change nothing: of relays, and all once a path is direct."""
        current = self._nominated.get(COMPONENT)
        if current is None:
            return
        for pair in list(self._checks):
            if not is_relayed(current) or is_relayed(pair):
                self._checks.pop(pair).stop()
                # A check of the peer begins it anew.
                self.check_state(pair, CandidatePair.State.WAITING)

    # Consent (RFC 7675)

    async def query_consent(self) -> None:
        """Ask again and again whether the peer still wants our packets; close when it does not.

        Each check is a new one, and an answer counts whenever it comes: aioice gives up on a line
        with a long queue, or a satellite in it, after 32 s (measured). Those of the controlling
        side nominate, as those of Chromium do.
        """
        clock = asyncio.get_running_loop().time
        consent = Consent(clock())
        requests: _Requests | None = None
        asked: CandidatePair | None = None
        count = self.arrived
        self.heard_at = clock()
        try:
            while clock() < consent.expires:
                await asyncio.sleep(consent.wait(clock()))
                count, before = self.arrived, count
                if count != before:
                    self.heard_at = clock()
                    consent.heard(self.heard_at)
                pair = self._nominated.get(COMPONENT)
                if pair is None:
                    return
                if pair is not asked:
                    if requests is not None:
                        requests.stop()
                    requests = _Requests(
                        self,
                        pair,
                        lambda success: consent.answered(clock()) if success else None,
                        nominate=self.ice_controlling,
                    )
                    asked = pair
                if requests is not None and consent.is_due(clock()):
                    requests.send()
        finally:
            if requests is not None:
                requests.stop()
        self.expired = True
        # Whoever waits learns it now; a TURN server may take its time.
        self._nominated.clear()
        self.farewell()
        # `close` would cancel the task that this runs in.
        self._query_consent_task = None
        await self.close()

    async def close(self) -> None:
        """End; wait for half a second at most, for a TURN server; idempotent."""
        for timer in (self._relay_timer, self._pacing):
            if timer is not None:
                timer.cancel()
        for check in (*self._checks.values(), self._nomination):
            if check is not None:
                check.stop()
        self._checks.clear()
        # Nothing begins any more; aioice would wait for one TURN server after the other.
        self._closing = True
        await asyncio.gather(*(protocol.close() for protocol in self._protocols))
        await super().close()


def is_relayed(pair: CandidatePair) -> bool:
    """Tell whether either end of a pair is an address at a TURN server."""
    return "relay" in (pair.remote_candidate.type, pair.local_candidate.type)
