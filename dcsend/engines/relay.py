"""An address at a TURN server (RFC 8656), and why there is none.

aioice's client does the protocol. Here all addresses of the server's name are tried, each next one
a little later (RFC 8305). A rejection by ICMP and a closed connection count at once, where aioice
repeats its request for 63 s. Every failure becomes a sentence about the server.
"""

from __future__ import annotations

import asyncio
import contextlib
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

from dcsend.engines.integrity import is_bounded
from dcsend.engines.resolving import NameUnknownError, resolve
from dcsend.engines.turn import TurnServer
from dcsend.engines.udp import Address
from dcsend.errors import ConnectionFailed
from dcsend.printable import printable

__all__ = ["allocate"]

_SILENCE: Final = 3.0
"Seconds without any answer after which a server is given up: the request is sent three times."
_LIMIT: Final = 6.0
"Seconds after the look-up of the name: TCP, TLS and two requests are about five round trips."
_STAGGER: Final = 0.3
"Seconds until the next address of the same name is tried, too; RFC 8305, 5 has 0.25."
_FAREWELL: Final = 0.5
"Seconds that a server has when a run ends, which waits for nothing else then."
_LARGEST: Final = 65_535
"Bytes of a message of a server, which may hold a datagram of the peer."
_ATTEMPTS: Final = 4
"Addresses of one name that are tried."

_UNAUTHORIZED: Final = 401
_Protocol = TypeVar("_Protocol", bound=asyncio.DatagramProtocol)

# What OpenSSL says of a certificate (x509_vfy.h): by number, since its texts vary with its version.
_UNTRUSTED: Final = {18, 19, 20, 21}
_NOT_YET: Final = 9
_EXPIRED: Final = 10
_MISNAMED: Final = {62, 64}


class _AccountIgnoredError(TransactionError):
    """The server has asked for user and password, and does not answer to these.

    Pion's does so with a wrong password: aioice drops its error, which is not signed.
    """


class _Client(TurnClientMixin):
    """What both of aioice's clients lack: a notice of the first answer, and an end in time."""

    def watch(self) -> None:
        """Make the futures; called within the loop."""
        loop = asyncio.get_running_loop()
        self.heard: asyncio.Future[None] = loop.create_future()
        self.broken: asyncio.Future[Exception] = loop.create_future()

    async def delete(self) -> None:
        """Free the relayed address; the server has `_FAREWELL` seconds to confirm that.

        aioice waits 63 s for a server that is gone. Without a word it is freed after ten minutes.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await super().delete()
        # Closing in order would wait for what TLS has still to send.
        cast(asyncio.DatagramTransport | asyncio.Transport, self.transport).abort()

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Handle what can be parsed at a bounded cost; a source address can be forged."""
        if isinstance(data, str) or not data:  # asyncio's annotation; it never is text
            return
        if not is_channel_data(data) and not is_bounded(data, _LARGEST):
            return
        with contextlib.suppress(struct.error):  # an attribute of the wrong length
            super().datagram_received(data, addr)

    def mark_heard(self) -> None:
        """Note an answer."""
        if not self.heard.done():
            self.heard.set_result(None)

    def mark_broken(self, error: Exception) -> None:
        """Note that none will come."""
        if not self.broken.done():
            self.broken.set_result(error)


class _UdpClient(_Client, TurnClientUdpProtocol):
    """aioice's client over UDP."""

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Note the answer, then handle it."""
        self.mark_heard()
        super().datagram_received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Note an ICMP error."""
        self.mark_broken(exc)


class _TcpClient(_Client, TurnClientTcpProtocol):
    """aioice's client over TCP, with or without TLS."""

    def data_received(self, data: bytes) -> None:
        """Note the answer, then handle it."""
        self.mark_heard()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, then handle it."""
        self.mark_broken(exc or ConnectionResetError())
        super().connection_lost(exc)


async def allocate(
    server: TurnServer, make: Callable[[], _Protocol]
) -> tuple[TurnTransport, _Protocol]:
    """Return a transport that relays through *server*, and the protocol that uses it.

    Args:
        server: where, and our account there.
        make: makes the protocol; for each address that is tried.

    Raises:
        ConnectionFailed: the server gives no address; the message tells why.
    """
    try:
        addresses = _alternating(await _looked_up(server.address))[:_ATTEMPTS]
        async with asyncio.timeout(_LIMIT):
            return await _first(server, addresses, make)
    except (OSError, TimeoutError, TransactionError, NameUnknownError) as exc:
        raise _explained(server, exc) from None


async def _looked_up(address: Address) -> list[Address]:
    try:
        async with asyncio.timeout(_SILENCE):
            return await resolve(address)
    except TimeoutError:
        raise NameUnknownError(exists_not=False) from None


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """Order addresses so that the families alternate, beginning with that of the first.

    >>> _alternating([("2001:db8::1", 1), ("2001:db8::2", 1), ("192.0.2.1", 1)])
    [('2001:db8::1', 1), ('192.0.2.1', 1), ('2001:db8::2', 1)]
    """
    ranks: dict[bool, int] = {}
    keyed = []
    for address in addresses:
        family = ":" in address[0]
        ranks[family] = ranks.get(family, -1) + 1
        keyed.append((ranks[family], address))
    return [address for _, address in sorted(keyed, key=lambda pair: pair[0])]


async def _first(
    server: TurnServer, addresses: Sequence[Address], make: Callable[[], _Protocol]
) -> tuple[TurnTransport, _Protocol]:
    """Try *addresses*, each a little later than the one before; the first that works is used.

    Raises:
        OSError, TimeoutError, TransactionError: none works; of these the one that tells most.
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
    """Ask the server at one of its addresses."""
    client, inner = await _connected(server, address)
    outer = TurnTransport(client)
    protocol = make()
    connecting = asyncio.create_task(outer._connect(protocol))
    events: set[asyncio.Future[Any]] = {connecting, client.broken}
    try:
        await asyncio.wait(
            {*events, client.heard}, timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if not client.heard.done() and not connecting.done() and not client.broken.done():
            raise TimeoutError
        await asyncio.wait(events, timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            raise client.broken.result() if client.broken.done() else _AccountIgnoredError
        await connecting
    except BaseException:
        inner.close()
        raise
    finally:
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait({connecting})
    return outer, protocol


async def _connected(
    server: TurnServer, address: Address
) -> tuple[_UdpClient | _TcpClient, asyncio.BaseTransport]:
    """Return aioice's client with a socket to *address*."""
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
        transport, _ = await loop.create_datagram_endpoint(lambda: udp, remote_addr=address)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        return udp, transport
    tcp = _TcpClient(*account)
    tcp.watch()
    async with asyncio.timeout(_SILENCE):
        stream, _ = await loop.create_connection(
            lambda: tcp,
            *address,
            # Certificates of SSL_CERT_FILE and SSL_CERT_DIR, if set, else those of the system.
            ssl=ssl.create_default_context() if server.tls else None,
            server_hostname=server.address[0] if server.tls else None,
        )
    return tcp, stream


def _rank(error: Exception) -> int:
    """Return 0 for an answer of the server, and more for what tells less about it."""
    if _answer(error)[0] or isinstance(error, _AccountIgnoredError):
        return 0
    if isinstance(error, ssl.SSLError):
        return 1
    if isinstance(error, ConnectionError):
        return 2
    # The last: no route, often because this machine lacks one of the address families.
    return 3 if isinstance(error, TimeoutError | TransactionError) else 4


def _answer(error: Exception) -> tuple[int, str]:
    """Return code and phrase of the server's error response; 0 without one."""
    response = getattr(error, "response", None)
    if response is None or response.error_code is None:
        return 0, ""
    code, phrase = response.attributes["ERROR-CODE"]
    return int(code), str(phrase)


def _explained(server: TurnServer, error: Exception) -> ConnectionFailed:
    """Return what to show of a failure: no text of OpenSSL or of the system."""
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
            f"{relay} does not listen on {kind} port {port}", f"look at its port; {_other(server)}"
        )
    if type(error) is ConnectionError:  # aioice's own: an attribute is missing
        return ConnectionFailed(f"{relay} gives no address: its answer is incomplete")
    if isinstance(error, ConnectionError):
        return ConnectionFailed(
            f"{relay} closed the connection on {kind} port {port}", _other(server)
        )
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return ConnectionFailed(
            f"{relay} can't be reached from this network", "look at this machine's network"
        )
    return ConnectionFailed(f"{relay} does not answer on {kind} port {port}", _other(server))


def _unknown_name(relay: str, error: NameUnknownError) -> ConnectionFailed:
    if error.exists_not:
        return ConnectionFailed(f"{relay} does not exist: no such name", "look at its spelling")
    return ConnectionFailed(
        f"{relay} can't be found: no name server answers", "look at this machine's network"
    )


def _account(server: TurnServer) -> str:
    """Say what to look at after a 401; temporary accounts have their end in the user's name."""
    expires, colon, _ = server.user.partition(":")
    if colon and expires.isdecimal() and int(expires) < time.time():
        return "this temporary user has expired; ask for a new one"
    return "look at user and password; %3A stands for a : in the password"


def _bad_tls(relay: str, port: int, error: ssl.SSLError) -> ConnectionFailed:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionFailed(
            f"{relay} speaks no TLS on port {port}",
            "look at its port, or write turn:USER:PASSWORD@HOST:PORT?transport=tcp",
        )
    code = error.verify_code
    if code in _UNTRUSTED:
        return ConnectionFailed(
            f"the certificate of {relay} is not signed by an authority known here",
            "if the authority is a private one: SSL_CERT_FILE=FILE names its certificate",
        )
    if code in _MISNAMED:
        return ConnectionFailed(
            f"the certificate of {relay} has another name",
            "name the server as its certificate does",
        )
    if code in (_EXPIRED, _NOT_YET):
        state = "has expired" if code == _EXPIRED else "is not valid yet"
        return ConnectionFailed(
            f"the certificate of {relay} {state}", "look at the clock of this machine"
        )
    return ConnectionFailed(f"the certificate of {relay} can't be verified", "use another server")


def _other(server: TurnServer) -> str:
    """Name the ways to a relay that firewalls let through more often."""
    if server.transport == "udp":
        return "if UDP is blocked here: turn:…@HOST?transport=tcp, or turns:…@HOST:443"
    if server.address[1] != 443:
        return "if only port 443 is open here: turns:…@HOST:443"
    return "look at its address, and at this machine's network"
