"""One side of an offer/answer exchange: gather candidates, wait, connect.

    offerer:   gather ─► send our description ─► receive theirs ─► connect
    answerer:  receive theirs ─► gather ─► send ours ─► connect, whenever it is pasted

Users copy the descriptions. Meanwhile checks are answered, since a browser fails after 11 to 15 s
without a response (measured: Firefox 153, Chromium 156), and NAT mappings are kept. aioice gets no
end of candidates, since it would fail after 63 s then.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError, TimedOut
from dcsend.ice.stun import KEEP_ALIVE_SECONDS, MappedAddresses, binding_indication
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address
from dcsend.net.interfaces import own_addresses
from dcsend.net.mdns import is_local, resolve
from dcsend.net.udp import UdpPort
from dcsend.peers import reasons
from dcsend.peers.diagnosis import Diagnosis, local_facts
from dcsend.peers.loading import Make, Peer, load_aiortc
from dcsend.peers.situations import Facts, RemoteAddress, Role, foreseen

__all__ = ["PUNCH_SECONDS", "Negotiation", "Servers"]

logger = logging.getLogger(__name__)

PUNCH_SECONDS: Final = 5.0
"""Between the datagrams that keep the mappings of our NAT for the peer. Its user may paste our
description minutes after our last check; NATs keep a mapping for 30 s or more (RFC 4787)."""
_Gathered = tuple[CandidateType, str, int]
"Type, host and port of a candidate."
_TYPE_PREFERENCE: Final = {CandidateType.HOST: 126, CandidateType.SERVER_REFLEXIVE: 100}


@dataclass(frozen=True, slots=True)
class Servers:
    """STUN and TURN servers."""

    stun: Sequence[Address] = ()
    turn: Sequence[TurnServer] = ()
    timeout: float = 2.0
    "Seconds for the responses of STUN servers."
    diagnosing: Sequence[Address] = ()
    "STUN servers for the diagnosis after a failure."
    chosen: bool = True
    "Whether the user has named the STUN servers."


class Negotiation:
    """This side of the exchange: one UDP port, one certificate, one peer."""

    def __init__(self, port: UdpPort, servers: Servers, addresses: Sequence[str]) -> None:
        """Receive from *port* from now on; `open` opens one and gathers candidates."""
        from dcsend.ice.endpoint import IceEndpoint

        self.port = port
        self._servers = servers
        self._addresses = addresses
        self._certificate = Certificate.generate()
        self._mapped = MappedAddresses(port, servers.stun, chosen=servers.chosen)
        self._diagnosis = Diagnosis(port, servers.diagnosing)
        self._candidates: list[Candidate] = []
        self._peers: set[Address] = set()
        "The addresses of the peer's candidates."
        self._tasks: set[asyncio.Task[None]] = set()
        self.problems: list[DcsendError] = []
        "The errors of STUN and TURN servers."
        self.ice = IceEndpoint(port, controlling=True, drops_early=True)
        port.route_unknown(self._received_unknown)

    @classmethod
    async def open(
        cls, servers: Servers, *, port: int = 0, addresses: Sequence[str] = ()
    ) -> Negotiation:
        """Bind a port and gather candidates.

        Args:
            servers: STUN and TURN servers.
            port: our UDP port; 0 for a random one.
            addresses: in place of the addresses of this machine and those of STUN.

        Raises:
            UsageError: *port* can't be used.
            ConnectionFailed: this machine has no address.
            ImportError: aiortc can't be loaded.
        """
        await load_aiortc()
        self = cls(await UdpPort.open(port), servers, addresses)
        try:
            await self._gather()
        except BaseException:
            await self.close()
            raise
        self._begin(self._keep_open())
        return self

    def describe(
        self, type: SdpType, offer: Description | None = None, *, active: bool = False
    ) -> Description:
        """Return our description: an offer, or the answer to *offer*.

        Args:
            type: offer or answer.
            offer: of the peer.
            active: whether an answerer starts the handshake, if the offer permits both. JSEP
                recommends it (RFC 8829, 5.3.1). It costs a round trip: the offerer is the first
                to have both descriptions and a nominated pair.
        """
        setup = Setup.ACTPASS
        if type is SdpType.ANSWER:
            if offer is not None and offer.setup is not Setup.ACTPASS:
                active = offer.setup is Setup.PASSIVE
            setup = Setup.ACTIVE if active else Setup.PASSIVE
        return Description(
            type=type,
            ufrag=self.ice.connection.local_username,
            password=self.ice.connection.local_password,
            fingerprint=self._certificate.fingerprint,
            setup=setup,
            candidates=tuple(self._candidates),
            mid="0" if offer is None else offer.mid,
        )

    async def connect(
        self,
        ours: Description,
        theirs: Description,
        make: Make[Peer],
        *,
        timeout: float,
    ) -> Peer:
        """Connect; the connection owns the port from now on.

        Args:
            ours: our description.
            theirs: that of the peer.
            make: of `loading`: makes the connection.
            timeout: seconds.

        Raises:
            ConnectionFailed: no pair works. The message has the reason if it is known. For an
                offerer without a route to any address at once, otherwise up to `diagnosis.LIMIT`
                seconds after *timeout*.
            TimedOut: the answerer has received no check in time.
            DcsendError: as `PeerConnection.establish`.
        """
        connection = self.prepare(ours, theirs, make)
        try:
            await self.establish(connection, theirs, timeout=timeout)
        except BaseException:
            await connection.close()
            raise
        return connection

    def prepare(self, ours: Description, theirs: Description, make: Make[Peer]) -> Peer:
        """Return the connection for `establish`; it closes the port when it is closed."""
        from dcsend.peers.peer import ConnectionRole

        # The offerer controls (RFC 8445, 6.1.1), and opens the channels.
        offers = ours.type is SdpType.OFFER
        self.ice.set_controlling(offers)
        answer = theirs if offers else ours
        server = (answer.setup is Setup.ACTIVE) is offers
        role = ConnectionRole(published=False, dtls_server=server, opens=offers)
        connection = make(self.ice.connection, self._certificate, role)
        connection.own(self.port)
        return connection

    async def establish(self, connection: Peer, theirs: Description, *, timeout: float) -> None:
        """Connect the connection of `prepare`; see `connect`."""
        from dcsend.peers.peer import Remote

        facts = self.facts(theirs)
        if facts.role is Role.OFFERER and (why := foreseen(facts)):
            raise reasons.error(facts, why)
        remote = Remote(theirs.ufrag, theirs.password, theirs.fingerprint, theirs.max_message_size)
        await self._add_all(theirs.candidates)
        punching = asyncio.create_task(self._punch())
        try:
            async with asyncio.timeout(timeout):
                await connection.establish(remote)
        except TimeoutError:
            raise await self._why(theirs) from None
        finally:
            # From now on the consent checks of ICE keep the mappings.
            punching.cancel()
            await asyncio.wait({punching})
            await self._end_tasks()

    async def close(self) -> None:
        """Close the port, unless a connection owns it; idempotent."""
        await self._end_tasks()
        await self.ice.close()
        await self.port.close()

    def facts(self, theirs: Description) -> Facts:
        """Return what is known without sending anything."""
        role = Role.ANSWERER if theirs.type is SdpType.OFFER else Role.OFFERER
        relayed = CandidateType.RELAYED
        places = (RemoteAddress(c.host, c.port, c.type is relayed) for c in theirs.candidates)
        relay = any(c.type is relayed for c in self._candidates)
        asked = () if self._addresses else self._servers.stun
        return replace(
            local_facts(role, places, relay=relay),
            heard=self.ice.has_received or self.ice.is_nominated,
            servers=tuple(f"{host}:{port}" for host, port in asked),
            mapped=tuple(self._mapped.answers.values()),
        )

    async def _why(self, theirs: Description) -> DcsendError:
        """Return the error that explains why there is no connection."""
        facts = self.facts(theirs)
        if facts.role is Role.ANSWERER and not facts.heard:
            return TimedOut(
                "the other side did not connect in time",
                "paste the code of this side there; start again on both sides",
            )
        facts = await self._diagnosis.complete(facts)
        return reasons.error(facts, reasons.situation(facts))

    async def _gather(self) -> None:
        """Gather our candidates; servers that do not respond delay it by their timeouts only."""
        hosts = list(self._addresses) or list(own_addresses())
        places: list[_Gathered] = [(CandidateType.HOST, host, self.port.port) for host in hosts]
        relays = (self._relay(server) for server in self._servers.turn)
        # Addresses that the user has named replace those of STUN.
        uses_stun = not self._addresses
        mapped, *relayed = await asyncio.gather(self._reflect(uses_stun), *relays)
        for more in (mapped, *relayed):
            places += more
        if not places:
            raise ConnectionFailed(
                "this machine has no network address", "connect it, or name one with --address"
            )
        found: dict[Address, Candidate] = {}
        for number, (kind, host, port) in enumerate(places):
            # RFC 8445, 5.1.2.1
            priority = _TYPE_PREFERENCE.get(kind, 0) << 24 | 65535 - number << 8 | 255
            found.setdefault((host, port), Candidate(kind, host, port, priority))
        self._candidates = list(found.values())
        for candidate in self._candidates:
            logger.debug("gathered: %s", candidate)

    async def _reflect(self, uses_stun: bool) -> list[_Gathered]:
        mapped = await self._mapped.query(self._servers.timeout) if uses_stun else []
        self.problems += self._mapped.problems
        return [(CandidateType.SERVER_REFLEXIVE, *place) for place in mapped]

    async def _relay(self, server: TurnServer) -> list[_Gathered]:
        try:
            place = await self.ice.add_relay(server)
        except DcsendError as exc:
            self.problems.append(exc)
            return []
        return [(CandidateType.RELAYED, *place)]

    async def _add_all(self, candidates: Sequence[Candidate]) -> None:
        """Add the candidates of the peer; those with a `.local` name when it is resolved."""
        hidden: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            if is_local(candidate.host):
                hidden.setdefault(candidate.host, []).append(candidate)
            else:
                await self._add(candidate, candidate.host)

        async def found(name: str, host: str) -> None:
            for candidate in hidden[name]:
                await self._add(candidate, host)

        if hidden:
            self._begin(resolve(hidden, found))

    async def _add(self, candidate: Candidate, host: str) -> None:
        place = (candidate.type.value, host, candidate.port, candidate.priority)
        if (address := await self.ice.add_candidate(*place)) is not None:
            self._peers.add(address)

    async def _keep_open(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            self._mapped.keep_alive()

    async def _punch(self) -> None:
        while not self.ice.is_nominated:
            for address in self._peers:
                self.port.send(binding_indication(secrets.token_bytes(12)), address)
            await asyncio.sleep(PUNCH_SECONDS)

    def _received_unknown(self, data: bytes, source: Address) -> None:
        """Handle a datagram of a source without a route."""
        if not (self._mapped.received(data, source) or self._diagnosis.received(data, source)):
            self.ice.received_unknown(data, source)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
