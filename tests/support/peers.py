"""Listeners, dialers and other peers for tests: real sockets, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aioice.stun import Class, Message, Method, parse_message

from dcsend.dtls.certificate import Certificate
from dcsend.errors import DcsendError
from dcsend.ice.connection import IceConnection
from dcsend.ice.stun import is_binding_request
from dcsend.ice.ufrag import encode_ufrag
from dcsend.net.address import Address
from dcsend.net.resolving import NameUnknownError, Resolve
from dcsend.net.udp import Bind, UdpPort, bind_family
from dcsend.peers.contract import Connection
from dcsend.peers.dialer import GRACE, dial
from dcsend.peers.listener import MAX_HALF_OPEN, Listener, half_open_timeout
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.peers.peer import ConnectionRole
from dcsend.peers.sctp_transport import SctpTransport
from dcsend.peers.transfer import TransferConnection

__all__ = [
    *("HalfOpen", "PASSWORD", "MakeTransfer", "NotingConnection", "Published", "Relay"),
    *("UdpClient", "check", "ethernet", "has_ipv6", "over_mtu", "published"),
    *("signed_answer", "transfer", "until"),
]

PASSWORD: Final = "the+secret/of+this+test0"
LOCAL: Final = "127.0.0.1"

MakeTransfer = Callable[[IceConnection, Certificate, ConnectionRole], TransferConnection]
"`transfer_peer` for our SCTP, `aiortc_sctp.aiortc_peer` for aiortc's."


class _NotingTransport(SctpTransport):
    """Our SCTP, which stores the packets that arrive."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of the base
        self.arrived: list[bytes] = []
        super().__init__(*arguments, **options)

    def _receive(self, packets: list[bytes]) -> None:
        self.arrived += packets
        super()._receive(packets)


class NotingConnection(TransferConnection):
    """A connection that stores the SCTP packets that arrive."""

    transport_type = _NotingTransport

    @property
    def arrived(self) -> list[bytes]:
        """The packets."""
        assert isinstance(self.sctp, _NotingTransport)
        return self.sctp.arrived


def over_mtu(mtu: int) -> MakeTransfer:
    """Return a function that makes connections as over a route with this MTU."""
    return lambda ice, certificate, role: TransferConnection(
        ice, certificate, role, mtu=lambda host: mtu
    )


ethernet: Final = over_mtu(1500)
"Makes connections as over an Ethernet: the packets of loopback are longer."


def has_ipv6() -> bool:
    """Return whether ::1 can be used."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


async def _turn() -> None:
    """Wait a millisecond: there is no event for a dropped datagram."""
    await asyncio.sleep(0.001)


async def until(condition: Callable[[], bool], seconds: float = 150.0) -> None:
    """Run the loop until *condition* holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await _turn()


class HalfOpen:
    """The timeouts of the dials of a listener; they expire when a test calls `expire`."""

    def __init__(self) -> None:
        self._timeouts: list[asyncio.Timeout] = []

    def __call__(self) -> asyncio.Timeout:
        """Return the timeout of one dial."""
        self._timeouts.append(asyncio.timeout(None))
        return self._timeouts[-1]

    def expire(self) -> None:
        """Let the timeouts of all present dials expire."""
        for timeout in self._timeouts:
            timeout.reschedule(asyncio.get_running_loop().time())
        self._timeouts.clear()


@dataclass
class Published:
    """A listener that waits for a dialer, and the contents of its code."""

    listener: Listener[TransferConnection]
    certificate: Certificate
    errors: list[DcsendError]
    "The arguments of `failed`."
    accepting: asyncio.Task[TransferConnection]
    dialed: list[TransferConnection] = field(default_factory=list)

    @property
    def number(self) -> int:
        """The port."""
        return self.listener.port.port

    async def dial(
        self,
        *,
        host: str = LOCAL,
        addresses: list[Address] | None = None,
        password: str = PASSWORD,
        fingerprint: bytes | None = None,
        timeout: float = 8.0,
        port: int = 0,
        announced: bytes | None = None,
        certificate: Certificate | None = None,
        grace: float = GRACE,
        make: MakeTransfer = transfer_peer,
    ) -> TransferConnection:
        """Dial it; the default of each argument is valid."""
        connection = await dial(
            addresses or [(host, self.number)],
            password=password,
            fingerprint=fingerprint or self.certificate.fingerprint,
            timeout=timeout,
            make=make,
            port=port,
            announced=announced,
            certificate=certificate,
            grace=grace,
        )
        self.dialed.append(connection)
        return connection

    async def pair_over(
        self, relay: Relay, make: MakeTransfer = transfer_peer
    ) -> tuple[TransferConnection, TransferConnection]:
        """Return both ends of a connection that goes through *relay*."""
        host = relay.outer.get_extra_info("sockname")[0]
        dialer = await self.dial(addresses=[(host, relay.port)], make=make)
        return dialer, await self.accepting

    async def pair(
        self, *, host: str = LOCAL, make: MakeTransfer = transfer_peer
    ) -> tuple[TransferConnection, TransferConnection]:
        """Return both ends of a connection: the dialer's, the listener's."""
        return await self.dial(host=host, make=make), await self.accepting


@contextlib.asynccontextmanager
async def published(
    make: MakeTransfer = transfer_peer,
    *,
    password: str = PASSWORD,
    half_open: Callable[[], asyncio.Timeout] = half_open_timeout,
    max_half_open: int = MAX_HALF_OPEN,
    bind: Bind = bind_family,
    stun_servers: Sequence[Address] = (),
    places: int = 1,
) -> AsyncIterator[Published]:
    """Wait for a dialer, with aiortc loaded."""
    await load_aiortc()
    certificate = Certificate.generate()
    errors: list[DcsendError] = []
    listener = Listener(
        await UdpPort.open(bind=bind),
        certificate=certificate,
        password=password,
        make=make,
        failed=errors.append,
        half_open=half_open,
        max_half_open=max_half_open,
        stun_servers=stun_servers,
        places=places,
    )

    async def accept() -> TransferConnection:
        """Accept the first dialer; the only one, if there is one place."""
        connection = await listener.accept()
        if places == 1:
            listener.use_up()
        return connection

    accepting = asyncio.create_task(accept())
    here = Published(listener, certificate, errors, accepting)
    try:
        await asyncio.sleep(0)  # the turn in which `accept` begins, since aiortc is loaded
        yield here
    finally:
        accepting.cancel()
        await asyncio.wait({accepting})
        for connection in here.dialed:
            await connection.close()
        await listener.close()


def unresolved(*, exists_not: bool) -> Resolve:
    """Return a resolver that finds no name; see `NameUnknownError` for *exists_not*."""

    async def resolve(server: Address) -> list[Address]:
        raise NameUnknownError(exists_not=exists_not)

    return resolve


class UdpClient(asyncio.DatagramProtocol):
    """A UDP socket with an address that is new to the listener; records datagrams."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Address]] = []
        self.answer: Callable[[bytes], bytes | None] = lambda data: None
        self.transport: asyncio.DatagramTransport

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host: str = LOCAL) -> AsyncIterator[UdpClient]:
        """Bind a random port."""
        transport, self = await asyncio.get_running_loop().create_datagram_endpoint(
            cls, local_addr=(host, 0)
        )
        self.transport = transport
        try:
            yield self
        finally:
            transport.abort()
            await asyncio.sleep(0)

    @property
    def address(self) -> Address:
        """Where it is."""
        host, port = self.transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Record a datagram; send the response of `answer`, if any."""
        source = (str(addr[0]), int(addr[1]))
        self.received.append((data, source))
        answer = self.answer(data)
        if answer is not None:
            self.transport.sendto(answer, source)

    def send(self, data: bytes, port: int) -> None:
        """Send to *port* of loopback."""
        self.transport.sendto(data, (LOCAL, port))

    async def silence(self, port: int, listener: Listener[TransferConnection]) -> None:
        """Return when *listener* has handled all earlier datagrams.

        A check with a wrong secret always gets a response, after those to earlier datagrams.
        """
        probe = check(password="some+other+secret+000000")
        before = len(self.received)
        self.send(bytes(probe), port)
        await until(lambda: any(d[8:20] == probe.transaction_id for d, _ in self.received[before:]))
        self.received = [r for r in self.received if r[0][8:20] != probe.transaction_id]


class Relay:
    """Forwards and records the datagrams between one dialer and a listener."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.dialer: Address | None = None
        self.held: list[bytes] | None = None
        "While it is a list: the DTLS records of the dialer, held until `release`."
        self.seen: list[bytes] = []
        "Datagrams of the dialer."
        self.passes: Callable[[bytes], bool] = lambda data: True
        "Whether a datagram, of either side, gets through."
        self.delay = 0.0
        "Seconds that a datagram takes, each way."
        self.sources: set[Address] = set()
        "Addresses that the listener has sent DTLS from."
        self.dialers: set[Address] = set()
        "Addresses that the dialer has sent from."
        self._former: list[asyncio.DatagramTransport] = []
        self.outer: asyncio.DatagramTransport
        "The socket that the dialer sends to."
        self.inner: asyncio.DatagramTransport
        "The socket that sends to the listener."

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, target: int, host: str = LOCAL, at: str = LOCAL, port: int = 0
    ) -> AsyncIterator[Relay]:
        """Relay to the port *target* of *host*, from and to *port* of the address *at*."""
        self = cls((host, target))
        loop = asyncio.get_running_loop()
        self.outer, outer = await loop.create_datagram_endpoint(UdpClient, local_addr=(at, port))
        self.inner, inner = await loop.create_datagram_endpoint(UdpClient, local_addr=(at, 0))

        def from_dialer(data: bytes, source: tuple[str, int]) -> None:
            self.dialer = source[:2]
            self.dialers.add(self.dialer)
            if len(self.seen) < 1000:
                self.seen.append(data)
            if self.held is not None and data[0] >= 20:
                self.held.append(data)
            elif self.passes(data):
                loop.call_later(self.delay, self.inner.sendto, data, self.target)

        def from_listener(data: bytes, source: tuple[str, int]) -> None:
            if data[0] >= 20:
                self.sources.add(source[:2])
            if self.passes(data):
                loop.call_later(self.delay, self.outer.sendto, data, self.dialer)

        outer.datagram_received = from_dialer  # type: ignore[method-assign, assignment]
        inner.datagram_received = from_listener  # type: ignore[method-assign, assignment]
        try:
            yield self
        finally:
            for transport in (self.outer, self.inner, *self._former):
                transport.abort()
            await asyncio.sleep(0)

    async def rebind(self) -> None:
        """Send to the listener from another port, as a NAT that has lost its mapping."""
        self.inner = await self._another(self.inner)

    async def rebind_listener(self) -> None:
        """Send to the dialer from another port, as if the listener were behind such a NAT."""
        self.outer = await self._another(self.outer)

    async def _another(self, former: asyncio.DatagramTransport) -> asyncio.DatagramTransport:
        """Return a socket in place of a former one, which discards what arrives from now on."""
        protocol = cast(UdpClient, former.get_protocol())
        host = former.get_extra_info("sockname")[0]
        former.set_protocol(UdpClient())
        self._former.append(former)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: protocol, local_addr=(host, 0))
        return transport

    @property
    def port(self) -> int:
        """The port that the dialer dials."""
        return int(self.outer.get_extra_info("sockname")[1])

    @property
    def checks(self) -> list[bytes]:
        """The dialer's checks so far."""
        return [data for data in self.seen if is_binding_request(data)]

    def release(self) -> None:
        """Forward the held DTLS records."""
        held, self.held = self.held or [], None
        for data in held:
            self.inner.sendto(data, self.target)

    def spoof(self, data: bytes) -> None:
        """Send to the listener from the dialer's address."""
        self.inner.sendto(data, self.target)


def check(
    *,
    password: str = PASSWORD,
    username: str | None = None,
    role: str = "ICE-CONTROLLING",
    without: str = "",
    software: str = "",
) -> Message:
    """Return a check of a dialer; the default of each argument is valid."""
    if username is None:
        ufrag = encode_ufrag(secrets.token_bytes(32), secrets.token_hex(12))
        username = f"{ufrag}:{secrets.token_hex(4)}"
    message = Message(
        message_method=Method.BINDING,
        message_class=Class.REQUEST,
        attributes={
            "USERNAME": username,
            "PRIORITY": 1,
            role: secrets.randbits(64),
            "USE-CANDIDATE": None,
            "SOFTWARE": software,
        },
    )
    message.attributes.pop(without, None)
    message.add_message_integrity(password.encode())
    return message


def signed_answer(password: str) -> Callable[[bytes], bytes | None]:
    """Return a function that responds to checks as an ICE agent with *password* does."""

    def answer(data: bytes) -> bytes | None:
        if not is_binding_request(data):
            return None
        request = parse_message(data)
        response = Message(
            message_method=Method.BINDING,
            message_class=Class.RESPONSE,
            transaction_id=request.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": (LOCAL, 1)},
        )
        response.add_message_integrity(password.encode())
        return bytes(response)

    return answer


async def transfer(source: Connection, target: Connection, count: int) -> None:
    """Send large messages and check that they arrive."""

    async def send() -> None:
        for number in range(count):
            while not source.channels["data"].send(bytes([number]) * 64_960):
                await source.channels["data"].writable()

    async with asyncio.timeout(150):
        sending = asyncio.create_task(send())
        for number in range(count):
            assert await target.channels["data"].receive() == bytes([number]) * 64_960
        await sending
