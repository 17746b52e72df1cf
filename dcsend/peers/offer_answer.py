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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dcsend.description import CandidateType, Description, SdpType
from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError, TimedOut
from dcsend.ice.stun import KEEP_ALIVE_SECONDS, MappedAddresses, binding_indication
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address
from dcsend.net.interfaces import own_addresses
from dcsend.net.udp import UdpPort
from dcsend.peers import reasons
from dcsend.peers.candidates import LocalCandidates, RemoteCandidates
from dcsend.peers.describing import connection_role, describe, remote
from dcsend.peers.diagnosis import Diagnosis, local_facts
from dcsend.peers.loading import Make, Peer, load_aiortc
from dcsend.peers.situations import Facts, RemoteAddress, Role, foreseen
from dcsend.peers.tasks import Tasks

__all__ = ["PUNCH_SECONDS", "Negotiation", "Servers"]

logger = logging.getLogger(__name__)

PUNCH_SECONDS: Final = 5.0
"""Between the datagrams that keep the mappings of our NAT for the peer. Its user may paste our
description minutes after our last check; NATs keep a mapping for 30 s or more (RFC 4787)."""
_Gathered = tuple[CandidateType, str, int]
"Type, host and port of a candidate."


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
        self._local = LocalCandidates()
        self._tasks = Tasks()
        self.problems: list[DcsendError] = []
        "The errors of STUN and TURN servers."
        self.ice = IceEndpoint(port, controlling=True, drops_early=True)
        self._remote = RemoteCandidates(self.ice)
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
        self._tasks.begin(self._keep_open())
        return self

    def describe(
        self, type: SdpType, offer: Description | None = None, *, active: bool = False
    ) -> Description:
        """Return our description: an offer, or the answer to *offer*; see `describing.describe`."""
        fingerprint = self._certificate.fingerprint
        return describe(type, self.ice, fingerprint, self._local.all, offer, active=active)

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
        role = connection_role(ours, theirs)
        self.ice.set_controlling(role.opens)  # the offerer (RFC 8445, 6.1.1)
        connection = make(self.ice.connection, self._certificate, role)
        connection.own(self.port)
        return connection

    async def establish(self, connection: Peer, theirs: Description, *, timeout: float) -> None:
        """Connect the connection of `prepare`; see `connect`."""
        facts = self.facts(theirs)
        if facts.role is Role.OFFERER and (why := foreseen(facts)):
            raise reasons.error(facts, why)
        await self._remote.add(*theirs.candidates)
        punching = asyncio.create_task(self._punch())
        try:
            async with asyncio.timeout(timeout):
                await connection.establish(remote(theirs))
        except TimeoutError:
            raise await self._why(theirs) from None
        finally:
            # From now on the consent checks of ICE keep the mappings.
            punching.cancel()
            await asyncio.wait({punching})
            await self._tasks.end()
            await self._remote.end_tasks()

    async def close(self) -> None:
        """Close the port, unless a connection owns it; idempotent."""
        await self._tasks.end()
        await self._remote.end_tasks()
        await self.ice.close()
        await self.port.close()

    def facts(self, theirs: Description) -> Facts:
        """Return what is known without sending anything."""
        role = Role.ANSWERER if theirs.type is SdpType.OFFER else Role.OFFERER
        relayed = CandidateType.RELAYED
        places = (RemoteAddress(c.host, c.port, c.type is relayed) for c in theirs.candidates)
        asked = () if self._addresses else self._servers.stun
        return replace(
            local_facts(role, places, relay=self._local.is_relayed),
            check_arrived=self.ice.has_received or self.ice.is_nominated,
            servers=tuple(f"{host}:{port}" for host, port in asked),
            mapped=tuple(self._mapped.answers.values()),
        )

    async def _why(self, theirs: Description) -> DcsendError:
        """Return the error that explains why there is no connection."""
        facts = self.facts(theirs)
        if facts.role is Role.ANSWERER and not facts.check_arrived:
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
        for place in places:
            self._local.add(*place)

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

    async def _keep_open(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            self._mapped.keep_alive()

    async def _punch(self) -> None:
        while not self.ice.is_nominated:
            for address in self._remote.reached:
                self.port.send(binding_indication(secrets.token_bytes(12)), address)
            await asyncio.sleep(PUNCH_SECONDS)

    def _received_unknown(self, data: bytes, source: Address) -> None:
        """Handle a datagram of a source without a route."""
        if not (self._mapped.received(data, source) or self._diagnosis.received(data, source)):
            self.ice.received_unknown(data, source)
