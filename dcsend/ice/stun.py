"""Binding requests to STUN servers (RFC 8489), for the addresses of this side behind a NAT.

Does not import aioice, so that the code can be shown before that is loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import secrets
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from dcsend.errors import ConnectionFailed, UsageError
from dcsend.net.address import Address, family
from dcsend.net.resolving import NameUnknownError, Resolve, resolve
from dcsend.net.udp import UdpPort
from dcsend.printable import printable

__all__ = [
    "KEEP_ALIVE_SECONDS",
    "MappedAddresses",
    "binding_indication",
    "binding_request",
    "is_binding_request",
    "mapped_address",
    "parse_server",
]

logger = logging.getLogger(__name__)

_HEADER: Final = struct.Struct("!HHI12s")
_COOKIE: Final = 0x2112A442
_REQUEST, _INDICATION, _SUCCESS = 0x0001, 0x0011, 0x0101
_XOR_MAPPED_ADDRESS: Final = 0x0020
KEEP_ALIVE_SECONDS: Final = 10.0
"Between the requests that keep a NAT mapping (RFC 8445, 11: at most 15 s)."
_RETRY: Final = 0.25
"Seconds between retransmissions: half of the RTO of RFC 8489, since the time is limited."
_OTHERS: Final = 0.3
"""Seconds for the other servers and the other address family after the first response: IPv6 without
connectivity is common, and must not take the whole timeout."""
_SERVER = re.compile(r"(?:(?i:stun):)?(\[[0-9A-Fa-f:]+\]|[^\[\]:/?\s]+)(?::(\d{1,5}))?", re.ASCII)


def parse_server(uri: str) -> Address:
    """Split `stun:host:port` (RFC 7064); the port is 3478 unless given.

    Raises:
        UsageError: it is not a STUN URI.

    >>> parse_server("stun:stun.example.org:19302")
    ('stun.example.org', 19302)
    """
    match = _SERVER.fullmatch(uri.strip())
    port = int(match[2] or 3478) if match else 0
    if match is None or not 0 < port < 65536:
        # In front of an @ there may be the password of a TURN server with a misspelt scheme.
        _before, at, host = uri.rpartition("@")
        shown = printable(f"…@{host}" if at else uri)
        if uri.strip().lower().startswith("stuns:"):
            raise UsageError(
                "STUN over TLS (stuns:) is not supported",
                "write stun:HOST or stun:HOST:PORT; nothing secret is sent to it",
            )
        raise UsageError(
            f"{shown!r} is not a STUN server", "write stun:HOST or stun:HOST:PORT, or none"
        )
    return match[1].strip("[]"), port


def is_binding_request(data: bytes) -> bool:
    """Return whether the header of a datagram is that of a Binding request.

    >>> is_binding_request(binding_request(bytes(12)))
    True
    >>> is_binding_request(b"hello")
    False
    """
    if len(data) < _HEADER.size:
        return False
    kind, length, cookie, _ = _HEADER.unpack_from(data)
    return (kind, cookie, length) == (_REQUEST, _COOKIE, len(data) - _HEADER.size)


def binding_request(transaction_id: bytes) -> bytes:
    """Return a Binding request without attributes; *transaction_id* has 12 bytes."""
    return _HEADER.pack(_REQUEST, 0, _COOKIE, transaction_id)


def binding_indication(transaction_id: bytes) -> bytes:
    """Return a Binding indication, which has no response (RFC 8489, 6.3.2; RFC 8445, 11)."""
    return _HEADER.pack(_INDICATION, 0, _COOKIE, transaction_id)


def mapped_address(data: bytes, transaction_id: bytes) -> Address | None:
    """Return the mapped address in a Binding success response, or None if it is anything else.

    >>> mapped_address(bytes.fromhex("0101000c2112a442" + "00" * 12 + "002000080001" + "32a3"
    ...     "e1baa542"), bytes(12))
    ('192.168.1.0', 5041)
    """
    if len(data) < _HEADER.size:
        return None
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if (kind, cookie, transaction) != (_SUCCESS, _COOKIE, transaction_id):
        return None
    if length != len(data) - _HEADER.size:
        return None
    position = _HEADER.size
    while position + 4 <= len(data):
        attribute, size = struct.unpack_from("!HH", data, position)
        if attribute == _XOR_MAPPED_ADDRESS:
            return _unxor(data[position + 4 : position + 4 + size], data[4:20])
        position += 4 + size + -size % 4
    return None


def _unxor(value: bytes, key: bytes) -> Address | None:
    """Return the address of XOR-MAPPED-ADDRESS; *key* is cookie and id (RFC 8489, 14.2)."""
    if (len(value), value[1:2]) not in ((8, b"\x01"), (20, b"\x02")):
        return None
    port = int.from_bytes(value[2:4]) ^ int.from_bytes(key[:2])
    packed = bytes(a ^ b for a, b in zip(value[4:], key, strict=False))
    address = ipaddress.ip_address(packed)
    usable = port and not (address.is_unspecified or address.is_multicast)
    return (str(address), port) if usable else None


class MappedAddresses:
    """The addresses that STUN servers report for a port, and the requests that keep the mapping."""

    def __init__(
        self,
        port: UdpPort,
        servers: Sequence[Address],
        *,
        chosen: bool = True,
        resolve: Resolve = resolve,
    ) -> None:
        """Prepare.

        Args:
            port: from which requests are sent.
            servers: host name or IP address, and port.
            chosen: whether the user has named the servers, and may have misspelt them.
            resolve: returns the addresses of a server.
        """
        self._port = port
        self._resolve = resolve
        self._chosen = chosen
        self.servers = servers
        self._transactions: dict[bytes, tuple[Address, asyncio.Future[Address]]] = {}
        "By transaction id: the address of the server, and the result."
        self._resolved: dict[Address, Address] = {}
        "By address: the server that was resolved to it."
        self.resolved = asyncio.Event()
        "Set when there is an entry."
        self._lookups: dict[Address, NameUnknownError | None] = {}
        "By server: the error of the look-up of its name, or None."
        self._mapped: dict[socket.AddressFamily, Address] = {}
        "By family: the result of the last query."
        self._found: Callable[[Address], None] = lambda address: None
        "Gets the result of the last query; the argument `found` of `query`."
        self.problems: list[ConnectionFailed] = []
        "Servers that did not respond to the last query."
        self.moved = False
        "Whether a later response had another address than the one of the last query."
        self._responders: dict[Address, socket.AddressFamily] = {}
        "The addresses of the servers whose responses the last query returned, and their family."
        self._keep_alives: dict[bytes, Address] = {}
        "By transaction id: the address of the server of a request of `keep_alive`."
        self._changed: dict[socket.AddressFamily, Address] = {}
        "By family: another address in one response. `moved` needs two."
        self._answered = asyncio.Event()
        self.answers: dict[Address, Address] = {}
        "By address of a server: the mapped address in its last response."

    @property
    def asked(self) -> dict[Address, Address]:
        """The addresses to which requests were sent, and the server of each."""
        return dict(self._resolved)

    @property
    def is_silent(self) -> bool:
        """Whether requests were sent by `query`, and no server has responded."""
        return bool(self.servers) and not self._mapped

    async def survey(self, timeout: float) -> None:
        """Query all servers, and wait for all; the results are in `answers`.

        Args:
            timeout: seconds for everything, name look-ups included.
        """
        self.answers.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._query_all()

    @property
    def addresses(self) -> list[Address]:
        """The mapped addresses now, one for each family, as far as servers have responded."""
        current = self._mapped | self._changed if self.moved else self._mapped
        return list(current.values())

    async def query(
        self, timeout: float, found: Callable[[Address], None] = lambda address: None
    ) -> list[Address]:
        """Return the mapped addresses, one for each family; late responses are ignored.

        Args:
            timeout: seconds for everything, name look-ups included.
            found: called with each of them as soon as it is known.
        """
        if not self.servers:
            return []
        self._found = found
        for results in (self._mapped, self._responders, self._changed, self._lookups):
            results.clear()
        self.moved = False
        self._answered.clear()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        everything = asyncio.create_task(self._query_all())
        answered = asyncio.create_task(self._answered.wait())
        either: set[asyncio.Task[Any]] = {everything, answered}
        try:
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                await asyncio.wait({everything}, timeout=min(_OTHERS, deadline - loop.time()))
        finally:
            for task in either:
                task.cancel()
            await asyncio.wait(either)
        self.problems = [
            problem for server in self.servers if (problem := self._problem(server)) is not None
        ]
        return list(self._mapped.values())

    def _problem(self, server: Address) -> ConnectionFailed | None:
        """Return why *server* did not respond, unless it was only slower than another one."""
        name = printable(server[0])
        unknown = self._lookups.get(server, NameUnknownError(exists_not=False))
        without = "" if self._mapped else "; the code has no public address"
        if unknown is not None and not self._chosen:
            # A default server: its name is not misspelt, so there is no internet.
            if self._mapped:
                return None
            return ConnectionFailed(
                "no STUN server can be found (no internet here?)",
                "the code has no public address: it may work inside this network only",
            )
        if unknown is not None and unknown.exists_not:
            return ConnectionFailed(
                f"the STUN server {name} does not exist: no such name{without}",
                "check its spelling",
            )
        if self._mapped:
            return None
        lacks = "can't be found, no name server answers" if unknown else "does not answer"
        return ConnectionFailed(f"the STUN server {name} {lacks}{without}")

    async def _query_all(self) -> None:
        async with asyncio.TaskGroup() as queries:
            for server in self.servers:
                queries.create_task(self._query(server))

    def received(self, data: bytes, source: Address) -> bool:
        """Handle a datagram of a source without a route; return whether it was a response."""
        transaction_id = data[8:20]
        address = mapped_address(data, transaction_id)
        # A host on the path can respond from another address before the server does.
        if self._keep_alives.get(transaction_id) == source:
            self._compare(self._keep_alives.pop(transaction_id), address)
            return True
        target, future = self._transactions.get(transaction_id, (None, None))
        if future is None or source != target:
            return False
        if address is not None and not future.done():
            future.set_result(address)
        return True

    def keep_alive(self) -> None:
        """Send a request to each server, so that a NAT keeps the mapping, without waiting.

        The interval is at most 15 s (RFC 8445, 11). A response before the next request is compared
        with the address of the query; see `moved`.
        """
        self._keep_alives = {secrets.token_bytes(12): server for server in self._resolved}
        for transaction_id, server in self._keep_alives.items():
            self._port.send(binding_request(transaction_id), server)

    async def keep_alive_always(self) -> None:
        """Call `keep_alive` in intervals, until this is cancelled."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            self.keep_alive()

    def _compare(self, target: Address, address: Address | None) -> None:
        """Compare a later response of a server with its response to the query."""
        if address is None or self._responders.get(target) is not family(address[0]):
            return
        version = family(address[0])
        if address == self._mapped.get(version):
            self._changed.pop(version, None)
        elif address == self._changed.get(version):
            self.moved = True
            logger.debug("STUN: the mapped address has changed to %s", address)
        else:
            self._changed[version] = address

    async def _query(self, server: Address) -> None:
        try:
            targets = self._one_of_each_family(await self._resolve(server))
        except NameUnknownError as exc:
            self._lookups[server] = exc
            return
        self._lookups[server] = None
        async with asyncio.TaskGroup() as queries:
            for target in targets:
                self._resolved[target] = server
                self.resolved.set()
                queries.create_task(self._transact(target))

    def _one_of_each_family(self, addresses: Sequence[Address]) -> list[Address]:
        found: dict[socket.AddressFamily, Address] = {}
        for address in addresses:
            if (version := family(address[0])) in self._port.families:
                found.setdefault(version, address)
        return list(found.values())

    async def _transact(self, target: Address) -> None:
        transaction_id = secrets.token_bytes(12)
        future: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._transactions[transaction_id] = (target, future)
        try:
            while True:
                self._port.send(binding_request(transaction_id), target)
                logger.debug("STUN: request to %s", target)
                done, _ = await asyncio.wait([future], timeout=_RETRY)
                if done:
                    address = self.answers[target] = future.result()
                    logger.debug("STUN: %s reports %s", target, address)
                    version = family(address[0])
                    if version not in self._mapped:
                        self._mapped[version] = address
                        self._responders[target] = version
                        self._found(address)
                    self._answered.set()
                    return
        finally:
            del self._transactions[transaction_id]
