"""ICE with one peer whose candidates arrive one by one (RFC 8838): the two sides of a short code.

    joiner:     open ─► describe: the offer ─► outgoing ─► establish, when the answer is there
    allocator:  on_listener, when the offer is there ─► describe: the answer ─► outgoing, establish
    both:       add, end: what arrives from the peer, also before `establish` and while it runs

The joiner has a UDP port of its own. The allocator uses that of its `Listener`, so that one NAT
mapping serves its dial code and its short codes; a joiner that has open channels is the accepted
peer of that listener, as a dialer is. The caller carries descriptions and candidates.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, Generic

from dcsend.description import Candidate, CandidateType, Description, SdpType
from dcsend.dtls.certificate import Certificate
from dcsend.errors import DcsendError, LocalProtocolError, UsageError
from dcsend.ice.stun import KEEP_ALIVE_SECONDS, MappedAddresses, is_binding_request
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address
from dcsend.net.interfaces import own_addresses
from dcsend.net.udp import UdpPort
from dcsend.peers import reasons
from dcsend.peers.candidates import RemoteCandidates
from dcsend.peers.describing import connection_role, describe, remote
from dcsend.peers.diagnosis import Diagnosis, local_facts
from dcsend.peers.gathering import MAX_REMOTE, Gathering
from dcsend.peers.incoming_dial import IncomingDial
from dcsend.peers.listener import Listener
from dcsend.peers.loading import Make, Peer, load_aiortc
from dcsend.peers.offer_answer import Servers
from dcsend.peers.situations import Facts, Network, Role, Situation, foreseen
from dcsend.peers.tasks import Tasks

__all__ = ["PATIENCE", "Trickle"]

logger = logging.getLogger(__name__)

PATIENCE: Final = 15.0
"Seconds without a pair, after the candidates of both sides are complete, until the attempt fails."
_SURVEY: Final = 1 / 3
"""The part of these seconds after which STUN servers are queried about the network, so that the
error of the peer can contain the result."""


class Trickle(Generic[Peer]):
    """One attempt to connect with one peer."""

    def __init__(
        self,
        port: UdpPort,
        mapped: MappedAddresses,
        gathering: Gathering,
        make: Make[Peer],
        servers: Servers,
        *,
        certificate: Certificate,
        relay_only: bool,
        listener: Listener[Peer] | None = None,
    ) -> None:
        """Prepare; `open` and `on_listener` make instances."""
        from dcsend.ice.endpoint import IceEndpoint

        self._port = port
        self._mapped = mapped
        self._make = make
        self._servers = servers
        self._certificate = certificate
        self._relay_only = relay_only
        self._listener = listener
        self._name = secrets.token_hex(4)
        "Our ice-ufrag. 32 bits, and 128 of the password; hexadecimal digits are 4 bits in a code."
        self._mark = f"{self._name}:".encode()
        "How the USERNAME of the peer's checks begins."
        self.ice = IceEndpoint(
            port,
            controlling=listener is None,
            credentials=(self._name, secrets.token_hex(16)),
            drops_early=True,
            relay_only=relay_only,
            forged=self._received_forged,
        )
        self._diagnosis = Diagnosis(port, () if relay_only else servers.diagnosing)
        self._gathering = gathering
        self._remote = RemoteCandidates(self.ice, resolves=not relay_only)
        self._ours: Description | None = None
        self._ended = asyncio.Event()
        "Set when the candidates of the peer are complete."
        self._there = Network()
        self._surveyed: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        self._surveying: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._is_given = False
        "Whether a connection owns the endpoint, and the port of a joiner."
        self._is_closed = False
        self._refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        "The error of the peer, once it has given up."

    @classmethod
    async def open(
        cls,
        servers: Servers,
        make: Make[Peer],
        *,
        port: int = 0,
        addresses: Sequence[str] = (),
        relay_only: bool = False,
        certificate: Certificate | None = None,
    ) -> Trickle[Peer]:
        """Return the joiner's side; gathering runs from now on.

        Args:
            servers: STUN and TURN servers.
            make: of `loading`: makes the connection.
            port: our UDP port; 0 for a random one.
            addresses: in place of the addresses of this machine and those of STUN.
            relay_only: whether only relayed candidates are used, so that the peer never gets an
                address of this machine.
            certificate: ours; None for a new one.

        Raises:
            UsageError: *port* can't be used.
            ConnectionFailed: this machine has no address.
            ImportError: aiortc can't be loaded.
        """
        udp = await UdpPort.open(port)
        mapped = MappedAddresses(udp, servers.stun, chosen=servers.chosen)
        gathered = Gathering()

        udp.route_unknown(mapped.received)
        try:
            if not relay_only:
                gathered.note_hosts(addresses or own_addresses(), udp.port)
                if not addresses:
                    gathered.reflect(mapped, servers.timeout)
            # Servers respond meanwhile.
            await load_aiortc()
            certificate = certificate or Certificate.generate()
            self = cls(
                udp, mapped, gathered, make, servers, certificate=certificate, relay_only=relay_only
            )
        except BaseException:
            await gathered.end()
            await udp.close()
            raise
        udp.route_unknown(self._received)
        self.allocate(servers.turn)
        if not relay_only:
            self._tasks.begin(self._keep_alive())
        return self

    @classmethod
    async def on_listener(
        cls,
        listener: Listener[Peer],
        servers: Servers,
        *,
        addresses: Sequence[str] = (),
        relay_only: bool = False,
        again: bool = False,
    ) -> Trickle[Peer]:
        """Return the allocator's side, for a joiner that is confirmed.

        Args:
            listener: its port, certificate and mapped addresses are used.
            servers: TURN servers; and STUN servers if none has responded to the listener yet.
            addresses: as `open`.
            relay_only: as `open`; the dial code of the listener is not affected.
            again: whether the accepted joiner connects again: the network may be another one.

        Raises:
            Taken: another peer is connected, or has used the code.
            CodeExpired: the code of the listener has expired.
            ConnectionFailed: this machine has no address.
            ImportError: aiortc can't be loaded.
        """
        await load_aiortc()
        port = listener.port
        self = cls(
            port,
            MappedAddresses(port, servers.stun, chosen=servers.chosen),
            Gathering(),
            listener.make,
            servers,
            certificate=listener.certificate,
            relay_only=relay_only,
            listener=listener,
        )
        try:
            if not relay_only:
                self._gathering.note_hosts(addresses or own_addresses(), port.port)
            listener.attach(self._name, self._received, again=again)
        except BaseException:
            await self.close()
            raise
        if not relay_only and not addresses:
            known = () if again else listener.mapped.addresses
            for address in known:
                self._gathering.found(CandidateType.SERVER_REFLEXIVE, address)
            if not known:
                self._gathering.reflect(self._mapped, servers.timeout)
        self.allocate(servers.turn)
        return self

    # Our candidates

    @property
    def problems(self) -> Sequence[DcsendError]:
        """The errors of STUN and TURN servers so far."""
        return self._gathering.problems

    def allocate(self, servers: Sequence[TurnServer]) -> None:
        """Allocate addresses at more TURN servers, besides those of `Servers`.

        Raises:
            LocalProtocolError: our candidates are complete.
        """
        self._gathering.allocate(servers, self.ice)

    def describe(self, offer: Description | None = None) -> Description:
        """Return our description with the candidates that are known now, to be called once.

        `outgoing` has the others.

        Args:
            offer: of the peer, for the allocator; None for the joiner.

        Raises:
            UsageError: only relayed candidates are used, and there is no TURN server.
        """
        if self._relay_only and not self._gathering.has_servers:
            raise UsageError(
                "--relay-only needs a TURN server", "name one: --ice-server turn:USER:PASSWORD@HOST"
            )
        type = SdpType.OFFER if self._listener is None else SdpType.ANSWER
        candidates = self._gathering.described()
        self._ours = describe(type, self.ice, self._certificate.fingerprint, candidates, offer)
        return self._ours

    def outgoing(self) -> AsyncIterator[Candidate]:
        """Yield our candidates that the description has not, as they are gathered.

        Its end is the end of our candidates; it comes at the latest 6 s after the last call of
        `allocate`, and also when the attempt is over.
        """
        return self._gathering.outgoing()

    # The candidates of the peer

    async def add(self, candidate: Candidate) -> None:
        """Use a candidate of the peer, also before its description has arrived."""
        if not self._ended.is_set():
            await self._add(candidate)

    async def _add(self, candidate: Candidate) -> None:
        if self._is_closed or self._remote.count >= MAX_REMOTE:
            logger.debug("ignored: %s", candidate)
            return
        await self._remote.add(candidate)

    def end(self) -> None:
        """Note that the peer has no more candidates (RFC 8838, 14)."""
        self._ended.set()

    def set_network(self, there: Network) -> None:
        """Note how the network of the peer behaves, for the error."""
        self._there = there

    def give_up(self, theirs: str) -> None:
        """End `establish`, since the peer has given up, with the error *theirs*."""
        self._ended.set()
        self._refused.set_result(theirs)

    # The connection

    async def establish(
        self, theirs: Description, *, timeout: float, patience: float = PATIENCE
    ) -> Peer:
        """Connect; to be called once, after `describe`.

        The allocator's connection is also returned by `Listener.accept`, and closed with the
        listener. The joiner's connection owns the port.

        Args:
            theirs: the description of the peer.
            timeout: seconds, also if the end of the peer's candidates never arrives.
            patience: seconds without a pair after the candidates of both sides are complete.

        Raises:
            ConnectionFailed: no pair works; the message has the reason as far as it is known. It
                comes up to `diagnosis.LIMIT` seconds after the time, or at once without a route.
            Taken: another peer of the listener was faster.
            CodeExpired: the code of the listener has expired.
            DcsendError: as `PeerConnection.establish`.
        """
        if self._ours is None:
            raise LocalProtocolError("there is no description of this side")
        role = connection_role(self._ours, theirs, published=self._listener is not None)
        connection = self._make(self.ice.connection, self._certificate, role)
        if self._listener is None:
            connection.own(self._port)
        self._is_given = True
        try:
            for candidate in theirs.candidates:
                await self._add(candidate)
            await self._connect(connection, theirs, timeout, patience)
        except BaseException:
            self._is_closed = True
            if self._listener is not None:
                self._listener.detach(self._name)
            await connection.close()
            await self._end_tasks()
            raise
        # In the background, since the sockets of mDNS take up to a second to close.
        self._ending = asyncio.create_task(self._end_tasks())
        return connection

    async def _connect(
        self, connection: Peer, theirs: Description, timeout: float, patience: float
    ) -> None:
        try:
            async with asyncio.timeout(timeout) as limit:
                watching = self._tasks.begin(self._give_up(limit, patience))
                try:
                    if self._listener is None:
                        await connection.establish(remote(theirs))
                    else:
                        joiner = IncomingDial(self._name, self.ice, connection, remote(theirs))
                        await self._listener.admit(joiner)
                finally:
                    watching.cancel()
        except TimeoutError:
            raise await self._why() from None

    async def _give_up(self, limit: asyncio.Timeout, patience: float) -> None:
        """Let *limit* expire when no pair has been found in time."""
        await self._gathering.complete.wait()
        await self._ended.wait()
        if not self._is_hopeless:
            for part in (_SURVEY, 1 - _SURVEY):
                await asyncio.wait({self._refused}, timeout=patience * part)
                if not self.ice.is_nominated:
                    self._begin_survey()
        if not self.ice.is_nominated:
            limit.reschedule(asyncio.get_running_loop().time())

    @property
    def _is_hopeless(self) -> bool:
        """Whether it is known that no pair can work; the candidates of both are complete."""
        facts = self.facts()
        return not facts.check_arrived and (self._gathering.is_empty or foreseen(facts) is not None)

    def facts(self) -> Facts:
        """Return what is known without sending anything."""
        mapped = {} if self._listener is None else dict(self._listener.mapped.answers)
        mapped |= self._mapped.answers
        facts = local_facts(Role.SHORT_CODE, self._remote.places, relay=self._gathering.is_relayed)
        return replace(
            facts,
            own=() if self._relay_only else facts.own,
            check_arrived=self.ice.has_received or self.ice.is_nominated,
            servers=tuple(f"{host}:{port}" for host, port in self._mapped.servers),
            mapped=tuple(mapped.values()),
            there=self._there,
        )

    async def network(self) -> Network:
        """Return how the network of this side behaves, for the error of the peer.

        Returns when no pair has been found for a third of `establish`'s *patience*, and STUN
        servers have been queried about it; so never, if there is a pair by then.
        """
        return (await asyncio.shield(self._surveyed)).network

    def _begin_survey(self) -> asyncio.Task[None]:
        if self._surveying is None:
            self._surveying = self._tasks.begin(self._survey())
        return self._surveying

    async def _survey(self) -> None:
        """Query STUN servers about the network of this side, unless only relays are used."""
        facts = self.facts()
        if self._servers.diagnosing and not self._relay_only:
            facts = await self._diagnosis.network(facts)
        self._surveyed.set_result(facts)

    async def _why(self) -> DcsendError:
        """Return the error that explains why there is no connection."""
        facts = self.facts()
        if self._gathering.is_empty and self.problems:
            return self.problems[0]
        complete = self._gathering.complete.is_set() and self._ended.is_set()
        if complete and not facts.check_arrived and (situation := foreseen(facts)):
            return reasons.error(facts, situation)
        await asyncio.wait({self._begin_survey()})
        if self._surveyed.done():  # unless `close` was called meanwhile
            found = self._surveyed.result()
            facts = replace(facts, servers=found.servers, mapped=found.mapped, tcp=found.tcp)
        which = reasons.situation(facts)
        error = reasons.error(facts, which)
        if which is Situation.UNKNOWN and self._refused.done():
            error.amend(f"{error.message}; the other side reports: {self._refused.result()}")
        return error

    async def close(self) -> None:
        """End what still runs; idempotent. A connection of `establish` is not affected."""
        if self._ending is not None:
            await self._ending
        await self._end_tasks()
        if self._is_given or self._is_closed:
            return
        self._is_closed = True
        await self.ice.close()
        if self._listener is None:
            await self._port.close()
        else:
            self._listener.detach(self._name)

    async def _end_tasks(self) -> None:
        for part in (self._tasks.end, self._gathering.end, self._remote.end_tasks):
            await part()

    # Datagrams

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            self._mapped.keep_alive()

    def _received(self, data: bytes, source: Address) -> bool:
        """Handle a datagram of a source without a route; return False if it is for another peer."""
        if self._mapped.received(data, source) or self._diagnosis.received(data, source):
            return True
        if self._mark not in data or not is_binding_request(data):
            return False
        self.ice.received_unknown(data, source)
        return True

    def _received_forged(self, data: bytes, source: Address) -> None:
        """Handle a check of a routed source that is not authentic: it may be for another peer."""
        if self._listener is not None and self._mark not in data:
            self._listener.received_forged(data, source)
