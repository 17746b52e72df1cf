"""Private names of aioice, but for those of `ice`; `dtls` and `stock` have aiortc's.

Pinned to aiortc 1.16 and aioice 0.13; tests/test_private_names.py fails when one moves.
Loading this module loads aiortc: 0.4 to 0.6 s (warm cache, Python 3.11).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol
from aioice.stun import Class, Message, Transaction
from aiortc import (
    RTCIceGatherer,
    RTCIceTransport,
)

from dcsend.engines.asking import Asking
from dcsend.engines.checks import parse_answer
from dcsend.engines.ice import COMPONENT, IceConnection, is_relayed
from dcsend.engines.integrity import is_authentic, is_error
from dcsend.engines.quota import Budget, Once
from dcsend.engines.relay import allocate
from dcsend.engines.stun import is_binding_request
from dcsend.engines.turn import TurnServer
from dcsend.engines.udp import Address, UdpPort

__all__ = [
    "Judge",
    "JudgedProtocol",
    "MuxedProtocol",
    "add_relay",
    "add_remote",
    "ice_transport",
    "is_nominated",
    "is_settled",
    "muxed_connection",
    "nominated",
    "remote_address",
]

_UNAUTHORIZED = 401
_ROLE_CONFLICT = 487

UNSIGNED_PER_SECOND: Final = 20
"Error responses without a right signature that are read: one each is enough for a person."

Judge = Callable[[bytes, Address], Message | None]
"Gives the request in a datagram if it may reach aioice, which answers whatever it gets."


class JudgedProtocol(StunProtocol):
    """An aioice "socket" that lets through only what was judged."""

    def __init__(
        self, connection: Connection, judge: Judge, rejected: Callable[[int], None]
    ) -> None:
        super().__init__(connection)
        self._judge = judge
        self._rejected = rejected
        self._unsigned = Budget(UNSIGNED_PER_SECOND)
        self._handled = Once()
        self.arrived = 0
        """Authentic datagrams of this peer so far, of whatever kind: signs of life. A message that
        comes again is none: anybody could have recorded it."""

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams in order."""
        for data in datagrams:
            self.transport.sendto(data, target)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Sort by the first byte (RFC 7983); anything may come here, nothing may raise."""
        if not data or isinstance(data, str):  # asyncio's annotation; it never is text
            return
        source = (addr[0], addr[1])
        if 20 <= data[0] <= 63:
            self.receiver.data_received(data, COMPONENT)
        elif is_binding_request(data):
            message = self._judge(data, source)
            if message is not None:
                self.answer(message, source)
        elif (transaction := self.transaction(data[8:20])) is not None:
            self._answer_received(data, source, transaction)

    def answer(self, message: Message, source: Address) -> None:
        """Let ICE answer, and learn from, an authentic check, which is being handled."""
        self.arrived += self._handled.is_first((message.transaction_id, source))
        self.receiver.request_received(message, source, self)

    def _answer_received(self, data: bytes, source: Address, transaction: Transaction) -> None:
        """Let aioice have an authentic answer; report errors of both kinds.

        An unsigned 401 proves nothing, since anybody could forge it; to a person it still is the
        difference between "nobody there" and "wrong secret".
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
        self.arrived += self._handled.is_first((data[:20], source))
        if message.message_class is Class.ERROR:
            code = message.error_code
            if code is None or code == _ROLE_CONFLICT:
                return  # see `checks.parse_request`; aioice would try again without end
            self._rejected(code)
        if message.message_class in (Class.ERROR, Class.RESPONSE):
            transaction.response_received(message, source)

    def transaction(self, transaction_id: bytes) -> Transaction | None:
        """Return the check of ours that an answer is for."""
        return self.transactions.get(transaction_id)

    def counts(self, transaction_id: bytes, source: Address) -> bool:
        """Take an authentic answer, which is being handled; False if it proves nothing."""
        return True


class MuxedProtocol(JudgedProtocol):
    """One that is really a share of the one UDP port."""

    def __init__(
        self,
        connection: Connection,
        port: UdpPort,
        host: str,
        judge: Judge,
        rejected: Callable[[int], None],
    ) -> None:
        super().__init__(connection, judge, rejected)
        self.local_candidate = _local_candidate("host", host, port.port)
        self._port = port
        self._asking = Asking(port)
        self._share = _PortTransport(self, port)
        # The cast: what is used of a transport, `_PortTransport` has.
        self.connection_made(cast(asyncio.BaseTransport, self._share))

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams in order and at once."""
        self._share.send_all(datagrams, target)

    def answer(self, message: Message, source: Address) -> None:
        """Let ICE answer a check; the address of ours that it came to may be asked from."""
        self._asking.authenticated(source)
        super().answer(message, source)

    def send_stun(self, message: Message, addr: Address) -> None:
        """Send a check, or answer the one that is being handled from where it came to."""
        if message.message_class is not Class.REQUEST:
            self._share.reply(bytes(message), addr)
            return
        key = str(self.receiver.remote_password).encode()
        for check, origin in self._asking.check(message, addr, key):
            self._share.sendto(bytes(check), addr, origin)

    def transaction(self, transaction_id: bytes) -> Transaction | None:
        """Return the check of ours that an answer, to it or to a copy of it, is for."""
        return self.transactions.get(self._asking.original(transaction_id))

    def counts(self, transaction_id: bytes, source: Address) -> bool:
        """Take an authentic answer, which is being handled; see `asking`."""
        return self._asking.answered(transaction_id, source)

    def hears(self, source: Address) -> bool:
        """Tell whether what *source* sends comes here."""
        return self._port.routed(source) == self.datagram_received

    def fall_silent(self) -> None:
        """Hear and say nothing any more, not even a goodbye."""
        self._share.mute()


def _local_candidate(kind: str, host: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation(kind, "udp", host),
        component=COMPONENT,
        transport="udp",
        priority=candidate_priority(COMPONENT, kind),
        host=host,
        port=port,
        type=kind,
    )


class _PortTransport:
    """The transport that `StunProtocol` writes to."""

    def __init__(self, protocol: MuxedProtocol, port: UdpPort) -> None:
        self._protocol = protocol
        self._port = port
        self.sendto: Callable[..., None] = port.send
        self.reply = port.reply
        self.send_all = port.send_all

    def mute(self) -> None:
        """Hear and send nothing from now on."""
        self._port.unroute(self._protocol.datagram_received)
        self.sendto = lambda data, target, origin=None: None
        self.reply = lambda data, source: None
        self.send_all = lambda datagrams, target: None

    def close(self) -> None:
        """Leave the port; the port itself stays open."""
        self._port.unroute(self._protocol.datagram_received)
        self._protocol.connection_lost(None)


def muxed_connection(
    *,
    controlling: bool,
    port: UdpPort,
    hosts: Sequence[str],
    judge: Judge,
    local: tuple[str, str] | None = None,
    rejected: Callable[[int], None] = lambda code: None,
) -> tuple[IceConnection, dict[bool, MuxedProtocol]]:
    """Return an ICE connection that shares *port*, and its protocols by "is IPv6".

    Args:
        controlling: the ICE role; the dialer controls.
        port: the one UDP port.
        hosts: one local address per family that shall be used.
        judge: asked about every Binding request.
        local: ufrag and password, or None for random ones.
        rejected: called with the error code of each refused check.
    """
    ufrag, password = local or (None, None)
    connection = IceConnection(
        ice_controlling=controlling, local_username=ufrag, local_password=password
    )
    protocols = {
        ":" in host: MuxedProtocol(connection, port, host, judge, rejected) for host in hosts
    }
    # Where gather_candidates() would have put them after opening sockets of its own.
    connection._protocols = list(protocols.values())
    connection._local_candidates = [p.local_candidate for p in protocols.values()]
    connection._local_candidates_start = connection._local_candidates_end = True
    return connection, protocols


async def add_relay(connection: Connection, judge: Judge, server: TurnServer) -> Address:
    """Let *connection* also use an address at a TURN server (RFC 8656); return that address.

    Takes 6 s at most.

    Raises:
        ConnectionFailed: the server does not give one.
    """
    _, protocol = await allocate(
        server, lambda: JudgedProtocol(connection, judge, lambda code: None)
    )
    host, port = protocol.transport.get_extra_info("sockname")
    protocol.local_candidate = _local_candidate("relay", host, port)
    connection._protocols.append(protocol)
    connection._local_candidates.append(protocol.local_candidate)
    return host, port


async def add_remote(
    connection: Connection, kind: str, host: str, port: int, priority: int
) -> list[Address]:
    """Add a candidate of the peer; return all addresses known so far.

    Args:
        connection: which is to try it.
        kind: `host`, `srflx`, `relay`.
        host: an IP address. A name would be resolved by aioice; `mdns` does that.
        port: of the peer.
        priority: as the peer has set it.
    """
    candidate = Candidate(
        foundation=candidate_foundation(kind, "udp", host),
        component=COMPONENT,
        transport="udp",
        priority=priority,
        host=host,
        port=port,
        type=kind,
    )
    await connection.add_remote_candidate(candidate)
    return [(c._network_host, c.port) for c in connection._remote_candidates]


def ice_transport(connection: Connection) -> RTCIceTransport:
    """Return the ORTC object over a connection that was made here."""
    gatherer = RTCIceGatherer(iceServers=[])
    # Before the transport is built: it copies the connection's methods.
    gatherer._connection = connection
    return RTCIceTransport(gatherer)


def nominated(connection: Connection) -> CandidatePair | None:
    """Return the pair that ICE has settled on."""
    return connection._nominated.get(COMPONENT)


def is_nominated(connection: Connection) -> bool:
    """Tell whether ICE has settled on a pair."""
    return bool(connection._nominated)


def is_settled(connection: Connection) -> bool:
    """Tell whether ICE has settled on a direct pair, which no other one replaces."""
    pair = nominated(connection)
    return pair is not None and not is_relayed(pair)


def remote_address(connection: Connection) -> tuple[str, bool] | None:
    """Return the nominated pair's remote host, and whether either end is a relayed address."""
    pair = nominated(connection)
    if pair is None:
        return None
    return str(pair.remote_addr[0]), is_relayed(pair)
