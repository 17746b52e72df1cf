"""Allocates an address at a TURN server (RFC 8656), or explains why there is none.

The client of aioice implements the protocol. Here all addresses of the server are tried, one after
the other with a delay (RFC 8305). An ICMP error or a closed connection ends an attempt at once;
aioice alone would retransmit its request for 63 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

from aioice.stun import TransactionError
from aioice.turn import (
    DEFAULT_ALLOCATION_LIFETIME,
    DEFAULT_CHANNEL_REFRESH_TIME,
    UDP_SOCKET_BUFFER_SIZE,
    TurnClientMixin,
    TurnClientTcpProtocol,
    TurnClientUdpProtocol,
    TurnTransport,
    is_channel_data,
)

from dcsend.errors import ConnectionFailed
from dcsend.ice.integrity import is_bounded
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address, is_ipv6
from dcsend.net.resolving import NameUnknownError, Resolve, resolve
from dcsend.printable import printable

__all__ = ["LIMIT", "allocate"]

logger = logging.getLogger(__name__)

_SILENCE: Final = 3.0
"Seconds without a response until an attempt fails: the request is sent three times."
LIMIT: Final = 6.0
"Seconds for all attempts: TCP, TLS and two requests take about five round trips."
_STAGGER: Final = 0.3
"Seconds until the next address of the name is tried as well (RFC 8305, 5 has 0.25)."
_DELETE_TIME: Final = 0.5
"Seconds for the response to the deletion of an allocation, which delays the end of a run."
_LARGEST: Final = 65_535
"Bytes of a message of a server, which can contain a datagram of the peer."
_ATTEMPTS: Final = 4
"Addresses of one name that are tried."

_UNAUTHORIZED: Final = 401
_Protocol = TypeVar("_Protocol", bound=asyncio.DatagramProtocol)

# Error codes of OpenSSL (x509_vfy.h), since its texts depend on the version.
_UNTRUSTED: Final = {18, 19, 20, 21}
_NOT_YET: Final = 9
_EXPIRED: Final = 10
_MISNAMED: Final = {62, 64}


class _AccountIgnoredError(TransactionError):
    """The server has required user and password, and does not respond to these.

    The server of Pion does so for a wrong password: aioice ignores its unsigned error response.
    """


class _Client(TurnClientMixin):
    """Extends the clients of aioice: it reports the first response and errors, and ends in time."""

    def watch(self) -> None:
        """Create the futures, in the running loop."""
        loop = asyncio.get_running_loop()
        self.responded: asyncio.Future[None] = loop.create_future()
        self.broken: asyncio.Future[Exception] = loop.create_future()

    async def delete(self) -> None:
        """Delete the allocation; wait at most `_DELETE_TIME` seconds for the response.

        aioice waits 63 s for a server that does not respond. Allocations expire in ten minutes.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DELETE_TIME):
                await super().delete()
        # An orderly close would wait for the data that TLS still has to send.
        cast(asyncio.DatagramTransport | asyncio.Transport, self.transport).abort()

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Handle messages that can be parsed at a bounded cost, since the source can be forged."""
        if isinstance(data, str) or not data:  # asyncio's annotation; it is never text
            return
        if not is_channel_data(data) and not is_bounded(data, _LARGEST):
            return
        with contextlib.suppress(struct.error):  # an attribute of the wrong length
            super().datagram_received(data, addr)

    def mark_responded(self) -> None:
        """Note a response."""
        if not self.responded.done():
            self.responded.set_result(None)

    def mark_broken(self, error: Exception) -> None:
        """Note an error after which there is no response."""
        if not self.broken.done():
            self.broken.set_result(error)


class _UdpClient(_Client, TurnClientUdpProtocol):
    """aioice's client over UDP."""

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Note the response, then handle it."""
        self.mark_responded()
        super().datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Note an ICMP error."""
        self.mark_broken(exc)


class _TcpClient(_Client, TurnClientTcpProtocol):
    """aioice's client over TCP, with or without TLS."""

    def data_received(self, data: bytes) -> None:
        """Note the response, then handle it."""
        self.mark_responded()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, then handle it."""
        self.mark_broken(exc or ConnectionResetError())
        super().connection_lost(exc)


async def allocate(
    server: TurnServer, make: Callable[[], _Protocol], *, resolve: Resolve = resolve
) -> tuple[TurnTransport, _Protocol]:
    """Allocate an address; return a transport that relays through it, and its protocol.

    Args:
        server: the server and the account.
        make: returns the protocol; called for each attempt.
        resolve: returns the addresses of the server.

    Raises:
        ConnectionFailed: there is none; the message has the reason.
    """
    try:
        addresses = _alternating(await _looked_up(server.address, resolve))[:_ATTEMPTS]
        async with asyncio.timeout(LIMIT):
            transport, protocol = await _first(server, addresses, make)
    except (OSError, TimeoutError, TransactionError, NameUnknownError) as exc:
        failure = _explained(server, exc)
        logger.debug("TURN: %s (%s)", failure, type(exc).__name__)
        raise failure from None
    logger.debug("TURN: allocated %s", transport.get_extra_info("sockname"))
    return transport, protocol


async def _looked_up(address: Address, resolve: Resolve) -> list[Address]:
    try:
        async with asyncio.timeout(_SILENCE):
            return await resolve(address)
    except TimeoutError:
        raise NameUnknownError(exists_not=False) from None


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """Order addresses with alternating families, starting with that of the first one.

    >>> _alternating([("2001:db8::1", 1), ("2001:db8::2", 1), ("192.0.2.1", 1)])
    [('2001:db8::1', 1), ('192.0.2.1', 1), ('2001:db8::2', 1)]
    """
    ranks: dict[bool, int] = {}
    keyed = []
    for address in addresses:
        version = is_ipv6(address[0])
        ranks[version] = ranks.get(version, -1) + 1
        keyed.append((ranks[version], address))
    return [address for _, address in sorted(keyed, key=lambda pair: pair[0])]


async def _first(
    server: TurnServer, addresses: Sequence[Address], make: Callable[[], _Protocol]
) -> tuple[TurnTransport, _Protocol]:
    """Try *addresses*, each `_STAGGER` seconds after the previous one; use the first that works.

    Raises:
        OSError, TimeoutError, TransactionError: none works; the most specific of the errors.
    """
    errors: list[Exception] = []
    rest = list(addresses)
    running: set[asyncio.Task[tuple[TurnTransport, _Protocol]]] = set()
    try:
        while rest or running:
            if rest:
                running.add(asyncio.create_task(_attempt(server, rest.pop(0), make)))
            done, running = await asyncio.wait(
                running,
                timeout=_STAGGER if rest else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            made = [task.result() for task in done if not task.exception()]
            for transport, _ in made[1:]:
                transport.close()
            if made:
                return made[0]
            errors += [exc for task in done if isinstance(exc := task.exception(), Exception)]
        raise min(errors, key=_rank)
    finally:
        for task in running:
            task.cancel()
        for late in await asyncio.gather(*running, return_exceptions=True):
            if not isinstance(late, BaseException):
                late[0].close()


async def _attempt(
    server: TurnServer, address: Address, make: Callable[[], _Protocol]
) -> tuple[TurnTransport, _Protocol]:
    """Allocate at one address of the server."""
    logger.debug("TURN: request to %s over %s, TLS %s", address, server.transport, server.tls)
    client, inner = await _connected(server, address)
    outer = TurnTransport(client)
    protocol = make()
    connecting = asyncio.create_task(outer._connect(protocol))
    events: set[asyncio.Future[Any]] = {connecting, client.broken}
    try:
        await asyncio.wait(
            {*events, client.responded}, timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if not client.responded.done() and not connecting.done() and not client.broken.done():
            raise TimeoutError
        await asyncio.wait(events, timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            raise client.broken.result() if client.broken.done() else _AccountIgnoredError
        await connecting
    except BaseException:
        connecting.cancel()
        await asyncio.wait({connecting})
        if client.refresh_task is None:
            inner.close()
        else:  # cancelled just after the server has allocated an address
            await client.delete()
        raise
    return outer, protocol


async def _connected(
    server: TurnServer, address: Address
) -> tuple[_UdpClient | _TcpClient, asyncio.BaseTransport]:
    """Return a client with a socket that is connected to *address*."""
    loop = asyncio.get_running_loop()
    account: tuple[Address, str, str, int, int] = (
        address,
        server.user,
        server.password,
        DEFAULT_ALLOCATION_LIFETIME,
        DEFAULT_CHANNEL_REFRESH_TIME,
    )
    if server.transport == "udp":
        udp = _UdpClient(*account)
        udp.watch()
        opening = asyncio.create_task(
            loop.create_datagram_endpoint(lambda: udp, remote_addr=address)
        )
        try:
            transport, _ = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # If that were cancelled, uvloop 0.23 would leave a transport that nothing closes.
            with contextlib.suppress(OSError):
                (await opening)[0].close()
            raise
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        return udp, transport
    tcp = _TcpClient(*account)
    tcp.watch()
    async with asyncio.timeout(_SILENCE):
        stream, _ = await loop.create_connection(
            lambda: tcp,
            *address,
            # Authorities from SSL_CERT_FILE and SSL_CERT_DIR if set, otherwise those of the system.
            ssl=ssl.create_default_context() if server.tls else None,
            server_hostname=server.address[0] if server.tls else None,
        )
    return tcp, stream


def _rank(error: Exception) -> int:
    """Return 0 for a response of the server, and more for less specific errors."""
    if _answer(error)[0] or isinstance(error, _AccountIgnoredError):
        return 0
    if isinstance(error, ssl.SSLError):
        return 1
    if isinstance(error, ConnectionError):
        return 2
    # 4: no route, often because this machine has one address family only.
    return 3 if isinstance(error, TimeoutError | TransactionError) else 4


def _answer(error: Exception) -> tuple[int, str]:
    """Return code and phrase of the server's error response; 0 without one."""
    response = getattr(error, "response", None)
    if response is None or response.error_code is None:
        return 0, ""
    code, phrase = response.attributes["ERROR-CODE"]
    return int(code), str(phrase)


def _explained(server: TurnServer, error: Exception) -> ConnectionFailed:
    """Return the error for the user, without texts of OpenSSL or of the system."""
    name = printable(server.address[0])
    port = server.address[1]
    kind = "TLS" if server.tls else server.transport.upper()
    relay = f"the TURN server {name}"
    code, phrase = _answer(error)
    if isinstance(error, NameUnknownError):
        return _unknown_name(relay, error)
    if code == _UNAUTHORIZED:
        return ConnectionFailed(f"{relay} refuses this user or password (401)", _account(server))
    if isinstance(error, _AccountIgnoredError):
        return ConnectionFailed(
            f"{relay} does not answer to this user and password", _account(server)
        )
    if code:
        said = printable(f"{code} {phrase}".strip())
        return ConnectionFailed(
            f"{relay} gives no address: {said}", "try again later, or use another one"
        )
    if isinstance(error, ssl.SSLError):
        return _bad_tls(relay, port, error)
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFailed(
            f"{relay} does not listen on {kind} port {port}", f"check its port; {_other(server)}"
        )
    if type(error) is ConnectionError:  # aioice's own: an attribute is missing
        return ConnectionFailed(f"{relay} gives no address: its answer is incomplete")
    if isinstance(error, ConnectionError):
        return ConnectionFailed(
            f"{relay} closed the connection on {kind} port {port}", _other(server)
        )
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return ConnectionFailed(
            f"{relay} can't be reached from this network", "check the network of this machine"
        )
    return ConnectionFailed(f"{relay} does not answer on {kind} port {port}", _other(server))


def _unknown_name(relay: str, error: NameUnknownError) -> ConnectionFailed:
    if error.exists_not:
        return ConnectionFailed(f"{relay} does not exist: no such name", "check its spelling")
    return ConnectionFailed(
        f"{relay} can't be found: no name server answers", "check the network of this machine"
    )


def _account(server: TurnServer) -> str:
    """Return the hint for a 401; the user name of a temporary account has its time of expiry."""
    expires, colon, _ = server.user.partition(":")
    if colon and expires.isdecimal() and int(expires) < time.time():
        return "this temporary user has expired; ask for a new one"
    return "check user and password; %3A stands for a : in the password"


def _bad_tls(relay: str, port: int, error: ssl.SSLError) -> ConnectionFailed:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionFailed(
            f"{relay} does not support TLS on port {port}",
            "check its port, or write turn:USER:PASSWORD@HOST:PORT?transport=tcp",
        )
    code = error.verify_code
    if code in _UNTRUSTED:
        return ConnectionFailed(
            f"the certificate of {relay} is not signed by a trusted authority",
            "if the authority is a private one: SSL_CERT_FILE=FILE names its certificate",
        )
    if code in _MISNAMED:
        return ConnectionFailed(
            f"the certificate of {relay} has another name",
            "use the name in its certificate",
        )
    if code in (_EXPIRED, _NOT_YET):
        state = "has expired" if code == _EXPIRED else "is not valid yet"
        return ConnectionFailed(
            f"the certificate of {relay} {state}", "check the clock of this machine"
        )
    return ConnectionFailed(f"the certificate of {relay} can't be verified", "use another server")


def _other(server: TurnServer) -> str:
    """Return a hint with transports that more firewalls permit."""
    if server.transport == "udp":
        return "if UDP is blocked here: turn:…@HOST?transport=tcp, or turns:…@HOST:443"
    if server.address[1] != 443:
        return "if only port 443 is open here: turns:…@HOST:443"
    return "check its address, and the network of this machine"
