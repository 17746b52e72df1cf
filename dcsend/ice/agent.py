"""The protocols ("sockets") of aioice over the shared port, and its private names.

`connection` and `relay` have the other private names of aioice, `dtls.transport` those of aiortc.
They are those of aiortc 1.16 and aioice 0.13; tests/peers/test_private_names.py fails if one
changes. Importing this module imports aiortc, which takes 0.4 to 0.6 s (warm cache, Python 3.11).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from socket import AF_INET6, AddressFamily
from typing import Any, Final, cast

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol
from aioice.stun import Class, Message, Transaction
from aiortc import RTCIceGatherer, RTCIceTransport

from dcsend.errors import ConnectionFailed
from dcsend.ice.check_sources import CheckSources
from dcsend.ice.checks import parse_answer
from dcsend.ice.connection import COMPONENT, IceConnection, is_relayed
from dcsend.ice.integrity import is_authentic, is_error
from dcsend.ice.rate_limits import RecentSet, TokenBucket
from dcsend.ice.relay import allocate
from dcsend.ice.stun import is_binding_request
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort

__all__ = [
    "FilteredStunProtocol",
    "PortStunProtocol",
    "Validate",
    "add_relay",
    "add_remote",
    "ice_transport",
    "is_nominated",
    "is_settled",
    "nominated",
    "port_connection",
    "remote_address",
]

_UNAUTHORIZED: Final = 401
_ROLE_CONFLICT: Final = 487

UNSIGNED_PER_SECOND: Final = 20
"Error responses without a valid MESSAGE-INTEGRITY that are parsed; one is enough for a message."

Validate = Callable[[bytes, Address], Message | None]
"Returns the request in a datagram if it may be passed to aioice, which answers every request."


class FilteredStunProtocol(StunProtocol):
    """An aioice protocol that passes on validated STUN messages only."""

    def __init__(
        self, connection: Connection, validate: Validate, rejected: Callable[[int], None]
    ) -> None:
        super().__init__(connection)
        self._validate = validate
        self._rejected = rejected
        self._unsigned = TokenBucket(UNSIGNED_PER_SECOND)
        self._handled = RecentSet()
        self.arrived = 0
        """Authentic datagrams of the peer so far. A copy of a handled one is not counted, since an
        attacker can send it."""

    def count_arrived(self, count: int) -> None:
        """Count authentic datagrams that are not STUN."""
        self.arrived += count

    def mute(self) -> None:
        """Discard everything that is sent from now on; not so at a TURN server."""

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams in order."""
        for data in datagrams:
            self.transport.sendto(data, target)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Handle any datagram by its first byte (RFC 7983); raises nothing."""
        if not data or isinstance(data, str):  # asyncio's annotation; it is never text
            return
        source = (addr[0], addr[1])
        if 20 <= data[0] <= 63:
            self.receiver.data_received(data, COMPONENT)
        elif is_binding_request(data):
            message = self._validate(data, source)
            if message is not None:
                self.answer(message, source)
        elif (transaction := self.transaction(data[8:20])) is not None:
            self._answer_received(data, source, transaction)

    def answer(self, message: Message, source: Address) -> None:
        """Pass on a valid request, which aioice answers and which may trigger a check."""
        self.arrived += self._handled.add((message.transaction_id, source))
        self.receiver.request_received(message, source, self)

    def _answer_received(self, data: bytes, source: Address, transaction: Transaction) -> None:
        """Pass on an authentic response; report the code of an error response.

        An unsigned 401 proves nothing, since anyone can forge it; it still is the only sign of a
        wrong secret, in contrast to a host that does not respond.
        """
        if (data[:20], source) in self._handled:
            return
        if not is_authentic(data, str(self.receiver.remote_password).encode()):
            if is_error(data) and self._unsigned.take(asyncio.get_running_loop().time()):
                message = parse_answer(data)
                if message is not None and message.error_code == _UNAUTHORIZED:
                    self._rejected(_UNAUTHORIZED)
            return
        message = parse_answer(data)
        if message is None or not self.counts(message.transaction_id, source):
            return
        self.arrived += self._handled.add((data[:20], source))
        if message.message_class is Class.ERROR:
            code = message.error_code
            if code is None or code == _ROLE_CONFLICT:
                return  # see `checks.parse_request`; aioice would retry without end
            self._rejected(code)
        if message.message_class in (Class.ERROR, Class.RESPONSE):
            transaction.response_received(message, source)

    def transaction(self, transaction_id: bytes) -> Transaction | None:
        """Return our transaction to which a response belongs, or None."""
        return self.transactions.get(transaction_id)

    def counts(self, transaction_id: bytes, source: Address) -> bool:
        """Return whether an authentic response, which is being handled, is to be passed on."""
        return True


class PortStunProtocol(FilteredStunProtocol):
    """One that sends and receives through the shared port."""

    def __init__(
        self,
        connection: Connection,
        port: UdpPort,
        host: str,
        validate: Validate,
        rejected: Callable[[int], None],
    ) -> None:
        super().__init__(connection, validate, rejected)
        self.local_candidate = _candidate("host", host, port.port)
        self._port = port
        self._sources = CheckSources(port)
        self._transport = _PortTransport(self, port)
        # The cast: `_PortTransport` has what aioice uses of a transport.
        self.connection_made(cast(asyncio.BaseTransport, self._transport))

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams in order, in as few system calls as possible."""
        self._transport.send_all(datagrams, target)

    def answer(self, message: Message, source: Address) -> None:
        """Pass on a valid request; checks may leave from the local address at which it arrived."""
        self._sources.request_received(source)
        super().answer(message, source)

    def send_stun(self, message: Message, addr: Address) -> None:
        """Send a check, or respond from the local address at which the request arrived."""
        if message.message_class is not Class.REQUEST:
            self._transport.reply(bytes(message), addr)
            return
        key = str(self.receiver.remote_password).encode()
        for check, local in self._sources.outgoing(message, addr, key):
            self._transport.sendto(bytes(check), addr, local)

    def transaction(self, transaction_id: bytes) -> Transaction | None:
        """Return our transaction to which a response belongs; it may answer a copy of a check."""
        return self.transactions.get(self._sources.original(transaction_id))

    def counts(self, transaction_id: bytes, source: Address) -> bool:
        """Return whether an authentic response is to be passed on; see `check_sources`."""
        return self._sources.answered(transaction_id, source)

    def has_route(self, source: Address) -> bool:
        """Return whether datagrams of *source* are passed to this protocol."""
        return self._port.routed(source) == self.datagram_received

    def mute(self) -> None:
        """Remove all routes, and discard everything that is sent from now on."""
        self._transport.mute()


def _candidate(kind: str, host: str, port: int, priority: int | None = None) -> Candidate:
    if priority is None:
        priority = candidate_priority(COMPONENT, kind)
    return Candidate(
        foundation=candidate_foundation(kind, "udp", host),
        component=COMPONENT,
        transport="udp",
        priority=priority,
        host=host,
        port=port,
        type=kind,
    )


class _PortTransport:
    """The transport of a `StunProtocol`."""

    def __init__(self, protocol: PortStunProtocol, port: UdpPort) -> None:
        self._protocol = protocol
        self._port = port
        self.sendto: Callable[..., None] = port.send
        self.reply = port.reply
        self.send_all = port.send_all

    def mute(self) -> None:
        """Remove all routes, and discard everything that is sent from now on."""
        self._port.unroute(self._protocol.datagram_received)
        self.sendto = lambda data, target, local=None: None
        self.reply = lambda data, source: None
        self.send_all = lambda datagrams, target: None

    def close(self) -> None:
        """Remove all routes; the port stays open."""
        self._port.unroute(self._protocol.datagram_received)
        self._protocol.connection_lost(None)


def port_connection(
    port: UdpPort,
    families: Collection[AddressFamily],
    *,
    controlling: bool,
    validate: Validate,
    credentials: tuple[str, str] | None,
    rejected: Callable[[int], None],
) -> tuple[IceConnection, dict[AddressFamily, PortStunProtocol]]:
    """Return an ICE connection over *port*, and its protocol for each address family.

    Args:
        port: the shared port.
        families: those in which the port is used.
        controlling: the ICE role of this side.
        validate: called with each datagram of a routed source that may be a Binding request.
        credentials: our ice-ufrag and ice-pwd; None for random ones.
        rejected: called with the error code of each local check that the peer refuses.
    """
    ufrag, password = credentials or (None, None)
    connection = IceConnection(
        ice_controlling=controlling, local_username=ufrag, local_password=password
    )
    protocols = {
        family: PortStunProtocol(
            connection, port, "::" if family == AF_INET6 else "0.0.0.0", validate, rejected
        )
        for family in families
    }
    for protocol in protocols.values():
        connection.add_protocol(protocol)
    return connection, protocols


async def add_relay(connection: IceConnection, validate: Validate, server: TurnServer) -> Address:
    """Add an address at a TURN server (RFC 8656) to our candidates; return it.

    Takes at most 6 s.

    Raises:
        ConnectionFailed: the server provides none, or the connection was closed meanwhile.
    """
    _, protocol = await allocate(
        server, lambda: FilteredStunProtocol(connection, validate, lambda code: None)
    )
    if connection.is_closing:
        await protocol.close()
        raise ConnectionFailed("the connection is closed")
    host, port = protocol.transport.get_extra_info("sockname")
    protocol.local_candidate = _candidate("relay", host, port)
    connection.add_protocol(protocol)
    return host, port


async def add_remote(
    connection: Connection, kind: str, host: str, port: int, priority: int
) -> None:
    """Add a candidate of the peer.

    Args:
        connection: the ICE connection.
        kind: `host`, `srflx` or `relay`.
        host: an IP address. aioice would resolve a name; `net.mdns` does that.
        port: of the peer.
        priority: as the peer has set it (RFC 8445, 5.1.2).
    """
    await connection.add_remote_candidate(_candidate(kind, host, port, priority))


def ice_transport(connection: Connection) -> RTCIceTransport:
    """Return an ORTC object for a connection of `port_connection`."""
    gatherer = RTCIceGatherer(iceServers=[])
    # Before the transport is built, since it copies the connection's methods.
    gatherer._connection = connection
    return RTCIceTransport(gatherer)


def nominated(connection: Connection) -> CandidatePair | None:
    """Return the nominated pair, or None."""
    return connection._nominated.get(COMPONENT)


def is_nominated(connection: Connection) -> bool:
    """Return whether ICE has nominated a pair."""
    return bool(connection._nominated)


def is_settled(connection: Connection) -> bool:
    """Return whether ICE has nominated a direct pair, which is not replaced by another one."""
    pair = nominated(connection)
    return pair is not None and not is_relayed(pair)


def remote_address(connection: Connection) -> tuple[str, bool] | None:
    """Return the remote host of the nominated pair, and whether either end is relayed."""
    pair = nominated(connection)
    if pair is None:
        return None
    return str(pair.remote_addr[0]), is_relayed(pair)
