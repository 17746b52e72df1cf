"""One side of an exchange of session descriptions: gather, wait, connect.

    offer:   gather ─► our description out ─► theirs in ─► connect
    answer:  theirs in ─► gather ─► ours out ─► connect, however long they take to paste it

Between the steps sits a person with a clipboard. Meanwhile the port answers early checks, since a
browser gives up on somebody silent after 11 to 15 s (measured: Firefox 153, Chromium 156), and
keeps the NATs on the way open. No end of candidates is ever told to aioice, which would then give
up after 63 s. Unlike a listener it knows one peer only.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.engines import reasons
from dcsend.engines.addresses import interfaces, rank, route_sources
from dcsend.engines.certificate import Certificate
from dcsend.engines.diagnosis import Diagnosis, known
from dcsend.engines.loading import Make, Peer, load_aiortc
from dcsend.engines.mdns import is_local, resolve
from dcsend.engines.peerchecks import PeerChecks
from dcsend.engines.situations import Facts, Place, Role, foreseen
from dcsend.engines.stun import MappedAddresses, binding_indication, is_binding_request
from dcsend.engines.turn import TurnServer
from dcsend.engines.udp import Address, UdpPort
from dcsend.errors import ConnectionFailed, DcsendError, TimedOut

if TYPE_CHECKING:
    from aioice.stun import Message

__all__ = ["Endpoint", "Servers"]

_KEEP_ALIVE: Final = 10.0
"Seconds between requests that keep our mapping at a NAT (RFC 8445, 11: at least each 15 s)."
_PUNCH: Final = 5.0
"""Seconds between the datagrams that keep our NAT open for the peer, who may paste our description
minutes after a check of ours was answered, with which checks end; NATs keep a path for 30 s or more
(RFC 4787)."""
_Place = tuple[CandidateType, str, int]
"Type, host and port of a candidate."
_TYPE_PREFERENCE: Final = {CandidateType.HOST: 126, CandidateType.SERVER_REFLEXIVE: 100}


@dataclass(frozen=True, slots=True)
class Servers:
    """Who is asked for addresses besides our own."""

    stun: Sequence[Address] = ()
    turn: Sequence[TurnServer] = ()
    timeout: float = 2.0
    "Seconds that STUN servers have."
    diagnosing: Sequence[Address] = ()
    "STUN servers asked only after a failure, to find out why; none for asking none."


class Endpoint:
    """Our end: one UDP port, one certificate, one peer."""

    def __init__(self, port: UdpPort, servers: Servers, addresses: Sequence[str]) -> None:
        """Take over *port*; `open` makes one and gathers."""
        from dcsend.engines import private

        self._port = port
        self._servers = servers
        self._addresses = addresses
        self._certificate = Certificate.generate()
        self._mapped = MappedAddresses(port, servers.stun)
        self._diagnosis = Diagnosis(port, servers.diagnosing)
        self._candidates: list[Candidate] = []
        self._peers: set[Address] = set()
        "Where the other side says it can be reached."
        self._tasks: set[asyncio.Task[None]] = set()
        self.problems: list[DcsendError] = []
        "STUN and TURN servers that can't be used, and why."
        self._ice, self._protocols = private.muxed_connection(
            controlling=True,
            port=port,
            hosts=["::" if family == socket.AF_INET6 else "0.0.0.0" for family in port.families],
            judge=self._judge,
        )
        self._checks = PeerChecks(self._ice.local_password, controlling=True)
        port.unknown = self._unknown

    @classmethod
    async def open(
        cls, servers: Servers, *, port: int = 0, addresses: Sequence[str] = ()
    ) -> Endpoint:
        """Bind a port and gather candidates.

        Args:
            servers: who else is asked.
            port: our UDP port; 0 for a random one.
            addresses: in place of those found on this machine, and of what STUN says.

        Raises:
            UsageError: *port* can't be used.
            ConnectionFailed: this machine has no address at all.
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
            type: which of the two.
            offer: of the other side.
            active: whether we begin the handshake as the answerer, where the offer leaves it to us.
                JSEP prefers that (RFC 8829, 5.3.1). It costs a round trip: the offerer is the first
                to have both descriptions, and to know a path.
        """
        setup = Setup.ACTPASS
        if type is SdpType.ANSWER:
            if offer is not None and offer.setup is not Setup.ACTPASS:
                active = offer.setup is Setup.PASSIVE
            setup = Setup.ACTIVE if active else Setup.PASSIVE
        return Description(
            type=type,
            ufrag=self._ice.local_username,
            password=self._ice.local_password,
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
        """Connect; the connection owns the port from then on.

        Args:
            ours: what the other side was given.
            theirs: what it gave.
            make: of `loading`: what kind of connection it shall be.
            timeout: seconds until it is given up.

        Raises:
            ConnectionFailed: there is no path, and why, as far as that is known: for an offerer at
                once where no address can be reached from this machine, else up to
                `diagnosis.LIMIT` seconds after *timeout*.
            TimedOut: the other side has not sent any check in time, which an answerer waits for.
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
        """Make the connection that `establish` then connects; closing it closes the port."""
        from dcsend.engines.peer import Role

        # The offerer controls (RFC 8445, 6.1.1), and opens the channels.
        offers = ours.type is SdpType.OFFER
        self._ice.ice_controlling = self._checks.controlling = offers
        answer = theirs if offers else ours
        server = (answer.setup is Setup.ACTIVE) is offers
        role = Role(published=False, dtls_server=server, opens=offers)
        connection = make(self._ice, self._certificate, role)
        connection.owned = self._port
        return connection

    async def establish(self, connection: Peer, theirs: Description, *, timeout: float) -> None:
        """Connect what `prepare` made; see `connect`."""
        from dcsend.engines.peer import Remote

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
            # From now on ICE itself keeps the path open.
            punching.cancel()
            await asyncio.wait({punching})
            await self._end_tasks()

    async def close(self) -> None:
        """Close the port, unless a connection owns it; idempotent."""
        await self._end_tasks()
        await self._ice.close()
        await self._port.close()

    def facts(self, theirs: Description) -> Facts:
        """Return what is known without asking anybody."""
        from dcsend.engines import private

        role = Role.ANSWERER if theirs.type is SdpType.OFFER else Role.OFFERER
        relayed = CandidateType.RELAYED
        places = (Place(c.host, c.port, c.type is relayed) for c in theirs.candidates)
        relay = any(c.type is relayed for c in self._candidates)
        asked = () if self._addresses else self._servers.stun
        return replace(
            known(role, places, relay=relay),
            heard=self._checks.heard or private.is_nominated(self._ice),
            servers=tuple(f"{host}:{port}" for host, port in asked),
            mapped=tuple(self._mapped.answers.values()),
        )

    async def _why(self, theirs: Description) -> DcsendError:
        """Find out why there is no connection."""
        facts = self.facts(theirs)
        if facts.role is Role.ANSWERER and not facts.heard:
            return TimedOut(
                "the other side did not connect in time",
                "it must be given the code that was shown here; begin anew on both sides",
            )
        facts = await self._diagnosis.complete(facts)
        return reasons.error(facts, reasons.situation(facts))

    async def _gather(self) -> None:
        """Find out where we can be reached; nothing waits for a dead server."""
        hosts = list(self._addresses) or rank(interfaces(), route_sources())
        places: list[_Place] = [(CandidateType.HOST, host, self._port.port) for host in hosts]
        relays = (self._relay(server) for server in self._servers.turn)
        # Who names addresses knows how to be reached; no STUN server is asked then.
        asks_stun = not self._addresses
        mapped, *relayed = await asyncio.gather(self._reflect(asks_stun), *relays)
        for found in (mapped, *relayed):
            places += found
        if not places:
            raise ConnectionFailed(
                "this machine has no network address", "connect it, or name one with --address"
            )
        known: dict[Address, Candidate] = {}
        for number, (kind, host, port) in enumerate(places):
            # RFC 8445, 5.1.2.1
            priority = _TYPE_PREFERENCE.get(kind, 0) << 24 | 65535 - number << 8 | 255
            known.setdefault((host, port), Candidate(kind, host, port, priority))
        self._candidates = list(known.values())

    async def _reflect(self, wanted: bool) -> list[_Place]:
        mapped = await self._mapped.query(self._servers.timeout) if wanted else []
        self.problems += self._mapped.problems
        return [(CandidateType.SERVER_REFLEXIVE, *place) for place in mapped]

    async def _relay(self, server: TurnServer) -> list[_Place]:
        from dcsend.engines import private

        try:
            place = await private.add_relay(self._ice, self._judge, server)
        except DcsendError as exc:
            self.problems.append(exc)
            return []
        return [(CandidateType.RELAYED, *place)]

    async def _add_all(self, candidates: Sequence[Candidate]) -> None:
        """Let ICE try the other side's addresses; names are resolved meanwhile."""
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
        """Let ICE try an address, and let what comes from there in."""
        from dcsend.engines import private

        place = (candidate.type.value, host, candidate.port, candidate.priority)
        for address in await private.add_remote(self._ice, *place):
            if (protocol := self._protocols.get(":" in address[0])) is not None:
                self._peers.add(address)
                self._port.route(address, protocol.datagram_received)

    async def _keep_open(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_ALIVE)
            self._mapped.keep_alive()

    async def _punch(self) -> None:
        from dcsend.engines import private

        while not private.is_nominated(self._ice):
            for address in self._peers:
                self._port.send(binding_indication(secrets.token_bytes(12)), address)
            await asyncio.sleep(_PUNCH)

    def _judge(self, data: bytes, source: Address) -> Message | None:
        """Return the peer's check in what a known source has sent, or None."""
        return self._heard(self._checks.known, data, source)

    def _heard(
        self, judge: Callable[[bytes, Address], Message | None], data: bytes, source: Address
    ) -> Message | None:
        """Judge a datagram; on the first check of the peer, drop what is queued for DTLS.

        The peer sends checks before it begins a handshake, so those datagrams are forged.
        """
        before = self._checks.heard
        message = judge(data, source)
        if self._checks.heard and not before:
            self._ice.drop_queued()
        return message

    def _unknown(self, data: bytes, source: Address) -> None:
        """Take a datagram from an address that is in no description."""
        from dcsend.engines import private

        if self._mapped.received(data, source) or self._diagnosis.received(data, source):
            return
        if private.is_settled(self._ice) or not is_binding_request(data):
            return
        message = self._heard(self._checks.stranger, data, source)
        if message is not None:
            protocol = self._protocols[":" in source[0]]
            self._port.route(source, protocol.datagram_received)
            protocol.answer(message, source)

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
