"""Collects the facts from which `reasons` concludes why two sides do not connect.

What this machine knows of itself costs nothing. STUN servers are asked after a failure only, from
the port that failed: then they see what the other side would have seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from dcsend.engines.addresses import has_route, interfaces, route_sources
from dcsend.engines.situations import Facts, IPInterface, Place, Role
from dcsend.engines.stun import MappedAddresses, binding_indication
from dcsend.engines.udp import Address, UdpPort

__all__ = ["LIMIT", "Diagnosis", "known"]

LIMIT: Final = 2.0
"Seconds that a diagnosis takes at most; no longer, because a person waits for it."
_TCP_AFTER: Final = 0.75
"Seconds without any STUN answer until TCP is tried: three requests over UDP."
_TCP_PORT: Final = 443
"Besides the server's own: the port that a firewall closes last."
_ICMP: Final = 1.0
"Seconds for an ICMP message about a port that is closed."


def known(role: Role, theirs: Iterable[Place], *, relay: bool = False) -> Facts:
    """Return what this machine knows of itself, without sending anything.

    Args:
        role: what this side does.
        theirs: where the other side can be reached; of a listener, what its own code has.
        relay: whether this side has a relay.
    """
    places = tuple(theirs)
    hosts = {place.host for place in places if not place.host.endswith(".local")}
    routed = frozenset(host for host in hosts if has_route(host))
    return Facts(role, places, tuple(_own()), routed=routed, relay=relay)


def _own() -> list[IPInterface]:
    found = {one.address: one.prefix for one in interfaces()}
    for source in route_sources():  # all there is where interfaces can't be listed
        found.setdefault(source, 0)
    own = []
    for address, prefix in found.items():
        ip = ipaddress.ip_address(address)
        if not ip.is_loopback:
            own.append(ipaddress.ip_interface(f"{address}/{prefix or ip.max_prefixlen}"))
    return own


class Diagnosis:
    """Finds out, after a failure, what can be found out from one port."""

    def __init__(self, port: UdpPort, servers: Sequence[Address]) -> None:
        """Prepare; nothing is sent yet.

        Args:
            port: from which the connection was tried.
            servers: STUN servers; none for asking none.
        """
        self._servers = servers
        self._mapped = MappedAddresses(port, servers)

    def received(self, data: bytes, source: Address) -> bool:
        """Take a datagram from an unknown source; True if it was an answer to a query."""
        return self._mapped.received(data, source)

    async def complete(self, facts: Facts) -> Facts:
        """Return *facts* and what others say, within `LIMIT` seconds."""
        closed, tcp, _ = await asyncio.gather(
            _closed_ports(facts.theirs), self._try_tcp(), self._mapped.survey(LIMIT)
        )
        resolved = set(self._mapped.asked.values())
        asked = [server for server in self._servers if server in resolved] or self._servers
        return replace(
            facts,
            servers=tuple(f"{host}:{port}" for host, port in asked),
            mapped=tuple(self._mapped.answers.values()),
            tcp=tcp,
            closed=frozenset(closed),
        )

    async def _try_tcp(self) -> bool:
        """Tell whether a server can be reached by TCP, unless one answers over UDP in time."""
        if not self._servers:
            return False
        await asyncio.sleep(_TCP_AFTER)
        if self._mapped.answers:
            return False
        try:
            async with asyncio.timeout(LIMIT - _TCP_AFTER):
                await self._mapped.resolved.wait()  # a name server may take its time
                return await self._any_by_tcp()
        except TimeoutError:
            return False

    async def _any_by_tcp(self) -> bool:
        places = {(host, port) for host, own in self._mapped.asked for port in (own, _TCP_PORT)}
        tries = [asyncio.create_task(_reaches(place)) for place in places]
        try:
            for one in asyncio.as_completed(tries):
                if await one:
                    return True
            return False
        finally:
            for task in tries:
                task.cancel()
            await asyncio.gather(*tries, return_exceptions=True)


async def _reaches(place: Address) -> bool:
    """Tell whether TCP gets an answer; a refusal is one. Nothing is sent."""
    try:
        _, writer = await asyncio.open_connection(*place)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _closed_ports(theirs: Iterable[Place]) -> set[str]:
    """Return the hosts that answer by ICMP that nothing listens at the port."""
    closed: set[str] = set()
    loop = asyncio.get_running_loop()
    transports = []
    for place in theirs:
        if place.relayed or place.host.endswith(".local"):
            continue
        with contextlib.suppress(OSError):  # there is no route
            transport, _ = await loop.create_datagram_endpoint(
                functools.partial(_Probe, closed, place.host),
                remote_addr=(place.host, place.port),
            )
            transports.append(transport)
            # Of no effect on whoever reads it (RFC 8489, 6.3.2).
            transport.sendto(binding_indication(secrets.token_bytes(12)))
    if transports:
        await asyncio.sleep(_ICMP)
    for transport in transports:
        transport.close()
    return closed


class _Probe(asyncio.DatagramProtocol):
    """A connected socket: the system reports ICMP messages to such ones only."""

    def __init__(self, closed: set[str], host: str) -> None:
        self._closed = closed
        self._host = host

    def error_received(self, exc: Exception) -> None:
        """Note that the port is closed."""
        if isinstance(exc, ConnectionRefusedError | ConnectionResetError):  # POSIX; Windows
            self._closed.add(self._host)
