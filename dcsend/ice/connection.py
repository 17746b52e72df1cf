"""ICE where aioice 0.13 differs from RFC 8445 and 7675: checks, nomination, consent, the end.

aioice has the candidates and the check list, and responds to the peer. It differs in that

- a request for a pair in progress triggers no check (7.3.1.4), so that behind two NATs the pair
  succeeds with the next retransmission only, and their intervals grow;
- the pair that is nominated last is used (8.1.1 has one), so that a relay replaces a direct path;
- it accepts a response for half a second only, and its consent checks have doubling intervals;
- a connected peer can't change its address without a restart (`moving`);
- its `close` waits 63 s for a TURN server that does not respond.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
from collections.abc import Callable
from typing import Any, Final, cast

from aioice import Candidate, Connection
from aioice.ice import ICE_COMPLETED, CandidatePair, StunProtocol, candidate_pair_priority
from aioice.stun import Message

from dcsend.ice.consent import Consent
from dcsend.ice.moving import Moves
from dcsend.ice.transactions import PairCheck, Requests

__all__ = ["COMPONENT", "MAX_QUEUED", "IceConnection", "is_relayed"]

logger = logging.getLogger(__name__)

COMPONENT: Final = 1
"The only one, since RTP is not used (RFC 8445, 4)."
MAX_QUEUED: Final = 8192
"Datagrams that wait for DTLS, at most, until ICE and the handshake are complete."
_LONGEST_WAITING: Final = 2048
"""Bytes of the longest of them. A handshake has none that exceeds the MTU of an Ethernet; probes of
the path MTU follow later. UDP allows 65 507, which any host could send with a forged source."""
_PACE: Final = 0.005
"Seconds between the first checks of two pairs: the minimum of Ta (RFC 8445, 14.2)."
_NOMINATING: Final = 1.0
"""Seconds after the first nomination in which a better pair is learned from a nomination. Chromium
156 nominates the first pair that works, and after 0.05 s one of the other address family."""
_RELAY_DELAY: Final = 0.3
"""Seconds after the first valid relayed pair in which a direct pair is preferred. A direct path is
shorter; its response is later only if one of its first checks was lost."""


class IceConnection(Connection):
    """An ICE connection that can pass datagrams to DTLS without a queue."""

    _receiver: Callable[[bytes], None] | None = None
    received_at: float = math.inf
    "Loop time of the last authentic datagram, up to half a second late; infinite before the first."
    round_trip = 0.0
    "See `Consent.round_trip`."
    expired = False
    "Whether it has ended because the peer has not responded for `consent.EXPIRES` seconds."

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
        self._checks: dict[CandidatePair, PairCheck] = {}
        "The checks in progress."
        self._pacing: asyncio.TimerHandle | None = None
        "Until the next check starts."
        self._nomination: PairCheck | None = None
        "The check with USE-CANDIDATE of the controlling side."
        self._relay_timer: asyncio.TimerHandle | None = None
        "`_RELAY_DELAY` after the first valid relayed pair; kept when it has fired."
        self._nominated_at = math.inf
        "When the first pair was nominated."
        self._moves = Moves(self, self._move)
        self._has_moved = False
        self._resumed: Callable[[], None] = lambda: None
        self._moved: Callable[[bool], None] = lambda port_only: None

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    def add_protocol(self, protocol: StunProtocol) -> None:
        """Use a protocol and its local candidate, at any time; aioice would gather others.

        A candidate that comes late is paired with those of the peer (RFC 8838, 10).
        """
        assert protocol.local_candidate is not None
        self._protocols.append(protocol)
        self._local_candidates.append(protocol.local_candidate)
        self._local_candidates_start = self._local_candidates_end = True
        for candidate in self._remote_candidates:
            self._pair_remote_candidate(candidate)
        self.sort_check_list()
        self._begin_checks()

    # Datagrams

    @property
    def arrived(self) -> int:
        """The number of authentic datagrams from the peer."""
        return sum(cast(Any, protocol).arrived for protocol in self._protocols)

    @property
    def queued(self) -> int:
        """Datagrams that wait for DTLS; the end counts as one."""
        return self._queue.qsize()

    def mute(self) -> None:
        """Send nothing more, and receive nothing more."""
        for protocol in self._protocols:
            cast(Any, protocol).mute()

    def data_received(self, data: bytes, component: int) -> None:
        """Pass on a datagram, or queue it for the handshake."""
        if self._receiver is not None:
            self._receiver(data)
        elif len(data) <= _LONGEST_WAITING and self.queued < MAX_QUEUED:
            super().data_received(data, component)

    def pass_to(self, receiver: Callable[[bytes], None] | None) -> None:
        """Call *receiver* with each datagram that is not STUN; None is aioice's queue."""
        self._receiver = receiver

    def when_resumed(self, call: Callable[[], None]) -> None:
        """Call *call* when a datagram has arrived after a silence; see `Consent.received`."""
        self._resumed = call

    def when_moved(self, call: Callable[[bool], None]) -> None:
        """Call *call* when the path has moved, with whether only the port of the peer differs."""
        self._moved = call

    def drop_queued(self) -> None:
        """Discard the queued datagrams; an end that is queued is kept."""
        ended = False
        while not self._queue.empty():
            ended |= self._queue.get_nowait() is None
        if ended:
            self.end_queue()

    def end_queue(self) -> None:
        """Queue the end: the reader of the queue gets no further datagram."""
        self._queue.put_nowait(None)

    # Checks

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """Add a candidate of the peer with an IP address, at any time; None for the end of them."""
        if remote_candidate is not None:
            ipaddress.ip_address(remote_candidate.host)  # aioice would resolve a name
            logger.debug("remote candidate: %s", remote_candidate.to_sdp())
        await super().add_remote_candidate(remote_candidate)
        self._begin_checks()

    async def connect(self) -> None:
        """Return when a pair is nominated.

        aioice polls 50 times a second; here each check has a timer.

        Raises:
            ConnectionError: all checks failed, or the connection was closed.
        """
        for candidate in self._local_candidates:
            logger.debug("local candidate: %s", candidate.to_sdp())
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
        """Start the check of the best pair without one, and then of the others one by one."""
        if self._pacing is None and self._early_checks_done:
            self._begin_next()

    def _begin_next(self) -> None:
        self._pacing = None
        pair = next((pair for pair in self._check_list if self._is_to_check(pair)), None)
        if pair is not None:
            self.check_start_task(pair)
            self._pacing = asyncio.get_running_loop().call_later(_PACE, self._begin_next)

    def _is_to_check(self, pair: CandidatePair) -> bool:
        """Return whether to start the check of a pair, which has none yet.

        A candidate of the peer that arrives after a relayed pair was nominated may have the direct
        path, which replaces that pair.
        """
        if pair.state not in (CandidatePair.State.WAITING, CandidatePair.State.FROZEN):
            return False
        current = self._nominated.get(COMPONENT)
        if current is None:
            return not self._check_list_done
        return not self._closing and is_relayed(current) and not is_relayed(pair)

    def check_start_task(self, pair: CandidatePair) -> None:
        """Start the check of a pair, unless it is in progress."""
        if pair in self._checks:
            return
        self.check_state(pair, CandidatePair.State.IN_PROGRESS)
        requests = Requests(self, pair, lambda success: self._check_answered(pair, success))
        self._checks[pair] = PairCheck(requests)

    def check_incoming(
        self, message: Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        """Handle a request of the peer; repeat our check of the same pair (RFC 8445, 7.3.1.4)."""
        for checked, check in self._checks.items():
            if checked.protocol is protocol and checked.remote_addr == addr:
                check.repeat()
                break
        present = self._nominated.get(COMPONENT)
        pair = self._pair(protocol, addr)
        is_settled = present is not None and not is_relayed(present)
        # A nomination moves the path only until it has moved by `moving`, and the pairs that were
        # learned until then are enough.
        is_late = is_settled and pair is None and not self._is_better(message, addr, protocol)
        if not (self._has_moved or is_late):
            super().check_incoming(message, addr, protocol)
            present = self._nominated.get(COMPONENT)
            pair = self._pair(protocol, addr)
        if present is None or (present.protocol is protocol and present.remote_addr == addr):
            return
        if pair is None:
            pair = CandidatePair(protocol, _peer_reflexive(message, addr))
        if is_relayed(present) or not is_relayed(pair):
            self._moves.requested(pair, present, self.received_at)

    def _is_better(self, message: Message, addr: tuple[str, int], protocol: StunProtocol) -> bool:
        """Return whether a request nominates a pair that is not known, in time, and a better one.

        A request that was recorded and is sent from elsewhere has no better priority.
        """
        present = self._nominated.get(COMPONENT)
        is_in_time = asyncio.get_running_loop().time() < self._nominated_at + _NOMINATING
        if self.ice_controlling or present is None or not is_in_time:
            return False
        pair = CandidatePair(protocol, _peer_reflexive(message, addr))
        return "USE-CANDIDATE" in message.attributes and self._rank(pair) > self._rank(present)

    def _pair(self, protocol: StunProtocol, addr: tuple[str, int]) -> CandidatePair | None:
        """Return the pair of a remote address in the check list."""
        for pair in self._check_list:
            if pair.protocol is protocol and pair.remote_addr == addr:
                return pair
        return None

    def _move(self, pair: CandidatePair) -> None:
        """Use another address of the peer from now on."""
        logger.debug("the path moves: %s", pair)
        before, self._nominated[COMPONENT] = self._nominated[COMPONENT], pair
        self._has_moved = True
        if self.ice_controlling:
            self._send_nomination(pair)
        is_near = pair.protocol is before.protocol
        self._moved(is_near and pair.remote_addr[0] == before.remote_addr[0])

    def _check_answered(self, pair: CandidatePair, success: bool) -> None:
        check = self._checks.pop(pair, None)
        if check is not None:
            check.stop()
        logger.debug("check of %s: %s", pair, "succeeded" if success else "failed")
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
        """Handle the result of a check; of several nominated pairs the best one is used.

        A controlling browser nominates a pair before it has checked better ones, which it nominates
        later (Chromium 156, Firefox 153).
        """
        before = self._nominated.get(COMPONENT)
        listed = list(self._check_list)
        super().check_complete(pair)
        if before is not None and self._rank(before) > self._rank(pair):
            self._nominated[COMPONENT] = before
        if (after := self._nominated.get(COMPONENT)) is not before:
            logger.debug("nominated: %s", after)
            self._nominated_at = min(self._nominated_at, asyncio.get_running_loop().time())
        self._stop_needless()
        # aioice removes the pairs without a check; those of a direct path are still to be checked.
        removed = [one for one in listed if one not in self._check_list and self._is_to_check(one)]
        if removed:
            self._check_list += removed
            self.sort_check_list()
            self._begin_checks()

    def _rank(self, pair: CandidatePair) -> tuple[bool, int]:
        """Return the rank of a pair: direct pairs first, then by priority (RFC 8445, 6.1.2.3)."""
        priority = candidate_pair_priority(
            pair.local_candidate, pair.remote_candidate, self.ice_controlling
        )
        return not is_relayed(pair), priority

    def _choose(self) -> None:
        """Nominate, as the controlling side, the first valid direct pair, or a relayed one.

        A nominated direct pair is kept, so that both sides use the same one; a relayed pair is
        replaced by a direct one that becomes valid later.
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
        """Use a pair from now on, and send USE-CANDIDATE until the peer has responded."""
        self._send_nomination(pair)
        pair.nominated = True
        self.check_complete(pair)

    def _send_nomination(self, pair: CandidatePair) -> None:
        if self._nomination is not None:
            self._nomination.stop()
        self._nomination = PairCheck(Requests(self, pair, self._nomination_answered, nominate=True))

    def _nomination_answered(self, success: bool) -> None:
        if self._nomination is not None:
            self._nomination.stop()

    def _stop_needless(self) -> None:
        """Stop checks without effect: those of relayed pairs, and all once a direct one is used."""
        current = self._nominated.get(COMPONENT)
        if current is None:
            return
        for pair in list(self._checks):
            if not is_relayed(current) or is_relayed(pair):
                self._checks.pop(pair).stop()
                # A request of the peer starts it again.
                self.check_state(pair, CandidatePair.State.WAITING)

    # Consent (RFC 7675)

    async def query_consent(self) -> None:
        """Send consent checks; close when consent expires.

        Each check has a new transaction id, and a late response counts: aioice closes a connection
        over a link with a long queue, or a satellite, after 32 s (measured). The checks of the
        controlling side have USE-CANDIDATE, as those of Chromium do.
        """
        clock = asyncio.get_running_loop().time
        consent = Consent(clock())
        requests: Requests | None = None
        count = self.arrived
        self.received_at = now = clock()
        try:
            while now < consent.expires:
                await asyncio.sleep(consent.wait(now))
                now, self.round_trip = clock(), consent.round_trip
                count, before = self.arrived, count
                if count != before:
                    self.received_at = now
                    if consent.received(now, count - before):
                        self._resumed()
                pair = self._nominated.get(COMPONENT)
                if pair is None:
                    return
                if requests is None or requests.pair is not pair:
                    if requests is not None:
                        requests.stop()
                    requests = Requests(
                        self,
                        pair,
                        lambda success: consent.answered(clock()) if success else None,
                        nominate=self.ice_controlling,
                    )
                if consent.is_due(now):
                    requests.send(0 if self.ice_controlling else consent.quiet_checks)
        finally:
            if requests is not None:
                requests.stop()
        self.expired = True
        logger.debug("consent has expired")
        # At once, since a TURN server may respond late.
        self._nominated.clear()
        self.end_queue()
        # `close` would cancel the task that this runs in.
        self._query_consent_task = None
        await self.close()

    async def close(self) -> None:
        """Close; takes at most half a second, for the response of a TURN server; idempotent."""
        self._moves.stop()
        for timer in (self._relay_timer, self._pacing):
            if timer is not None:
                timer.cancel()
        for check in (*self._checks.values(), self._nomination):
            if check is not None:
                check.stop()
        self._checks.clear()
        # No check starts from now on. aioice would wait for one TURN server after the other.
        self._closing = True
        await asyncio.gather(*(protocol.close() for protocol in self._protocols))
        await super().close()


def _peer_reflexive(message: Message, addr: tuple[str, int]) -> Candidate:
    """Return the candidate of an address from which a request has come (RFC 8445, 7.3.1.3)."""
    return Candidate(
        foundation="prflx",
        component=COMPONENT,
        transport="udp",
        priority=message.attributes["PRIORITY"],
        host=addr[0],
        port=addr[1],
        type="prflx",
    )


def is_relayed(pair: CandidatePair) -> bool:
    """Return whether either end of a pair is an address at a TURN server."""
    return "relay" in (pair.remote_candidate.type, pair.local_candidate.type)
