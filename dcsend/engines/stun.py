"""Binding requests to a STUN server (RFC 8489): which address does the world see?

Written out here, thirty bytes of it, because the code must not wait until aioice and
what it brings has been loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import secrets
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

from dcsend.engines.resolving import NameUnknownError, resolve
from dcsend.engines.udp import Address, UdpPort
from dcsend.errors import ConnectionFailed, UsageError
from dcsend.printable import printable

__all__ = [
    "MappedAddresses",
    "binding_indication",
    "binding_request",
    "is_binding_request",
    "mapped_address",
    "parse_server",
]

_HEADER: Final = struct.Struct("!HHI12s")
_COOKIE: Final = 0x2112A442
_REQUEST, _INDICATION, _SUCCESS = 0x0001, 0x0011, 0x0101
_XOR_MAPPED_ADDRESS: Final = 0x0020
_RETRY: Final = 0.25
"Seconds between requests while there is no answer: half of RFC 8489's RTO, the time is short."
_OTHERS: Final = 0.3
"""Seconds that other servers, and the other address family, get after the first answer: IPv6
that leads nowhere is common, and must not cost the whole timeout."""
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
        # There may be a password in front of an @, of a relay whose name was mistyped.
        _before, at, host = uri.rpartition("@")
        shown = printable(f"…@{host}" if at else uri)
        if uri.strip().lower().startswith("stuns:"):
            raise UsageError(
                "a STUN server is asked over UDP, without TLS: stuns: is not supported",
                "write stun:HOST or stun:HOST:PORT; nothing secret is sent to it",
            )
        raise UsageError(
            f"{shown!r} is not a STUN server", "write stun:HOST or stun:HOST:PORT, or none"
        )
    return match[1].strip("[]"), port


def is_binding_request(data: bytes) -> bool:
    """Tell cheaply whether a datagram can be a Binding request at all.

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
    """Return a Binding indication, which nobody answers (RFC 8489, 6.3.2; RFC 8445, 11)."""
    return _HEADER.pack(_INDICATION, 0, _COOKIE, transaction_id)


def mapped_address(data: bytes, transaction_id: bytes) -> Address | None:
    """Return the address that a Binding success response tells, or None if it is none.

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
    """Undo RFC 8489, 14.2: port and address XORed with cookie and transaction id."""
    if (len(value), value[1:2]) not in ((8, b"\x01"), (20, b"\x02")):
        return None
    port = int.from_bytes(value[2:4]) ^ int.from_bytes(key[:2])
    packed = bytes(a ^ b for a, b in zip(value[4:], key, strict=False))
    address = ipaddress.ip_address(packed)
    usable = port and not (address.is_unspecified or address.is_multicast)
    return (str(address), port) if usable else None


class MappedAddresses:
    """Asks every server at once, from the port that is to be known, and keeps the mapping open."""

    def __init__(self, port: UdpPort, servers: Sequence[Address]) -> None:
        self._port = port
        self.servers = servers
        self._transactions: dict[bytes, tuple[Address, asyncio.Future[Address]]] = {}
        "By transaction id: who was asked, and what is to become of the answer."
        self._resolved: dict[Address, Address] = {}
        "Which server each address that was asked is of."
        self.resolved = asyncio.Event()
        "Set when there is one."
        self._lookups: dict[Address, NameUnknownError | None] = {}
        "How the look-up of a server's name ended; None for well."
        self._found: dict[bool, Address] = {}
        self.problems: list[ConnectionFailed] = []
        "Servers of no use to the last query."
        self.moved = False
        "Whether an address that the last query returned is no longer the one that its server sees."
        self._origins: dict[Address, bool] = {}
        "The servers' addresses whose answers the last query returned, and their family."
        self._kept: dict[bytes, Address] = {}
        "The last requests that keep the mapping open: transaction -> server's address."
        self._strays: dict[bool, Address] = {}
        "By family, another address that was seen once; a second time counts."
        self._answered = asyncio.Event()
        self.answers: dict[Address, Address] = {}
        "What each address of a server has last answered."

    @property
    def asked(self) -> dict[Address, Address]:
        """The addresses that were asked, and which of the servers each is of."""
        return dict(self._resolved)

    @property
    def is_silent(self) -> bool:
        """Whether servers were asked by `query`, and none has answered."""
        return bool(self.servers) and not self._found

    async def survey(self, timeout: float) -> None:
        """Ask all servers, and wait for all: what they say is in `answers`.

        Args:
            timeout: seconds for everything, name look-ups included.
        """
        self.answers.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._ask_all()

    async def query(self, timeout: float) -> list[Address]:
        """Return the addresses the servers see, one per family; what is late is left out.

        Args:
            timeout: seconds for everything, name look-ups included.
        """
        if not self.servers:
            return []
        for kept in (self._found, self._origins, self._strays, self._lookups):
            kept.clear()
        self.moved = False
        self._answered.clear()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        everything = asyncio.create_task(self._ask_all())
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
        return list(self._found.values())

    def _problem(self, server: Address) -> ConnectionFailed | None:
        """Return why *server* was of no use, if it was not just slower than another one."""
        name = printable(server[0])
        unknown = self._lookups.get(server, NameUnknownError(exists_not=False))
        without = "" if self._found else "; the code has no public address"
        if unknown is not None and unknown.exists_not:
            return ConnectionFailed(
                f"the STUN server {name} does not exist: no such name{without}",
                "look at its spelling in --stun",
            )
        if self._found:
            return None
        lacks = "can't be found, no name server answers" if unknown else "does not answer"
        return ConnectionFailed(f"the STUN server {name} {lacks}{without}")

    async def _ask_all(self) -> None:
        async with asyncio.TaskGroup() as asking:
            for server in self.servers:
                asking.create_task(self._ask(server))

    def received(self, data: bytes, source: Address) -> bool:
        """Take a datagram from an unknown source; True if it was an answer to a query."""
        transaction_id = data[8:20]
        address = mapped_address(data, transaction_id)
        # Who has seen a request may answer it from elsewhere, sooner than the server.
        if self._kept.get(transaction_id) == source:
            self._compare(self._kept.pop(transaction_id), address)
            return True
        target, future = self._transactions.get(transaction_id, (None, None))
        if future is None or source != target:
            return False
        if address is not None and not future.done():
            future.set_result(address)
        return True

    def keep_alive(self) -> None:
        """Send another request, so that a NAT keeps the mapping; the answer is not awaited.

        RFC 8445, 11 asks for one each 15 seconds at most. An answer that comes before the next
        request is compared with what the query found: `moved` tells of a difference.
        """
        self._kept = {secrets.token_bytes(12): server for server in self._resolved}
        for transaction_id, server in self._kept.items():
            self._port.send(binding_request(transaction_id), server)

    def _compare(self, target: Address, address: Address | None) -> None:
        """Compare a later answer of a server with the address that it gave to the query."""
        family = self._origins.get(target)
        if family is None or address is None or family != (":" in address[0]):
            return
        if address == self._found.get(family):
            self._strays.pop(family, None)
        elif address == self._strays.get(family):
            self.moved = True
        else:
            self._strays[family] = address

    async def _ask(self, server: Address) -> None:
        try:
            targets = await _resolve(server, self._port.families)
        except NameUnknownError as exc:
            self._lookups[server] = exc
            return
        self._lookups[server] = None
        async with asyncio.TaskGroup() as asking:
            for target in targets:
                self._resolved[target] = server
                self.resolved.set()
                asking.create_task(self._transact(target))

    async def _transact(self, target: Address) -> None:
        transaction_id = secrets.token_bytes(12)
        future: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._transactions[transaction_id] = (target, future)
        try:
            while True:
                self._port.send(binding_request(transaction_id), target)
                done, _ = await asyncio.wait([future], timeout=_RETRY)
                if done:
                    address = self.answers[target] = future.result()
                    family = ":" in address[0]
                    if family not in self._found:
                        self._found[family] = address
                        self._origins[target] = family
                    self._answered.set()
                    return
        finally:
            del self._transactions[transaction_id]


async def _resolve(server: Address, families: frozenset[socket.AddressFamily]) -> list[Address]:
    """Return one address of *server* per family."""
    found: dict[bool, Address] = {}
    for address in await resolve(server):
        is_ipv6 = ":" in address[0]
        if (socket.AF_INET6 if is_ipv6 else socket.AF_INET) in families:
            found.setdefault(is_ipv6, address)
    return list(found.values())
