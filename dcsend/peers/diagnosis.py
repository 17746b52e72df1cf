"""Collects the facts by which `situations` decides why two sides do not connect.

STUN servers are queried after a failure or a long silence only, from the port of the failed
connection, so that their responses have the address that the peer would have seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from dcsend.ice.stun import MappedAddresses, binding_indication
from dcsend.net.address import Address
from dcsend.net.interfaces import has_route, interfaces, route_sources
from dcsend.net.udp import UdpPort
from dcsend.peers.situations import Facts, IPInterface, RemoteAddress, Role

__all__ = ["LIMIT", "Diagnosis", "listener_facts", "local_facts", "stay_closed"]

logger = logging.getLogger(__name__)

LIMIT: Final = 2.0
"Seconds of a diagnosis, at most, since the user waits for it."
_TCP_AFTER: Final = 0.75
"Seconds without a STUN response until TCP is tried: three requests over UDP."
TCP_PORT: Final = 443
"Tried besides the port of the server: firewalls rarely block it."
_ICMP: Final = 1.0
"Seconds until the ICMP message of a closed port has arrived."
_AGAIN: Final = 0.5
"Seconds until an ICMP message that has not arrived is asked for again."


def local_facts(role: Role, theirs: Iterable[RemoteAddress], *, relay: bool = False) -> Facts:
    """Return the facts that are known without sending anything.

    Args:
        role: of this side.
        theirs: addresses of the other side; for a listener, those in its own code.
        relay: whether this side has a relayed candidate.
    """
    places = tuple(theirs)
    hosts = {place.host for place in places if not place.host.endswith(".local")}
    routed = frozenset(host for host in hosts if has_route(host))
    return Facts(role, places, tuple(_own()), routed=routed, relay=relay)


def listener_facts(port: int, mapped: MappedAddresses, *, check_arrived: bool) -> Facts:
    """Return the facts that are known of a listener.

    Args:
        port: its UDP port.
        mapped: what STUN servers have responded.
        check_arrived: whether a check with the right secret has arrived.
    """
    facts = local_facts(Role.LISTENER, ())
    return replace(
        facts,
        theirs=tuple(RemoteAddress(str(one.ip), port) for one in facts.own),
        check_arrived=check_arrived,
        servers=tuple(f"{host}:{server_port}" for host, server_port in mapped.servers),
        mapped=tuple(mapped.answers.values()),
    )


def _own() -> list[IPInterface]:
    found = {one.address: one.prefix for one in interfaces()}
    for source in route_sources():  # the only ones if interfaces can't be listed
        found.setdefault(source, 0)
    own = []
    for address, prefix in found.items():
        ip = ipaddress.ip_address(address)
        if not ip.is_loopback:
            own.append(ipaddress.ip_interface(f"{address}/{prefix or ip.max_prefixlen}"))
    return own


class Diagnosis:
    """The tests after a failure, from one port."""

    def __init__(
        self,
        port: UdpPort,
        servers: Sequence[Address],
        *,
        tcp_port: int = TCP_PORT,
        icmp: float = _ICMP,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            port: of the failed connection.
            servers: STUN servers; may be empty.
            tcp_port: tried besides the ports of the servers.
            icmp: seconds until the ICMP message of a closed port has arrived.
        """
        self._icmp = icmp
        self._tcp_port = tcp_port
        self._servers = servers
        self._mapped = MappedAddresses(port, servers)

    def received(self, data: bytes, source: Address) -> bool:
        """Handle a datagram of a source without a route; return whether it was a STUN response."""
        return self._mapped.received(data, source)

    async def complete(self, facts: Facts) -> Facts:
        """Return *facts* with the results of the tests, within `LIMIT` seconds."""
        closed, complete = await asyncio.gather(
            _closed_ports(facts.theirs, self._icmp), self.network(facts)
        )
        return replace(complete, closed=frozenset(closed))

    async def network(self, facts: Facts) -> Facts:
        """Return *facts* with what the servers show, within `LIMIT` seconds.

        Nothing is sent to the other side.
        """
        tcp, _ = await asyncio.gather(self._try_tcp(), self._mapped.survey(LIMIT))
        resolved = set(self._mapped.asked.values())
        asked = [server for server in self._servers if server in resolved] or self._servers
        complete = replace(
            facts,
            servers=tuple(f"{host}:{port}" for host, port in asked),
            mapped=tuple(self._mapped.answers.values()),
            tcp=tcp,
        )
        logger.debug("diagnosis: %s", complete)
        return complete

    async def _try_tcp(self) -> bool:
        """Return whether a server is reachable over TCP; False if one responds over UDP."""
        if not self._servers:
            return False
        await asyncio.sleep(_TCP_AFTER)
        if self._mapped.answers:
            return False
        try:
            async with asyncio.timeout(LIMIT - _TCP_AFTER):
                await self._mapped.resolved.wait()  # a name server may respond late
                return await self._any_by_tcp()
        except TimeoutError:
            return False

    async def _any_by_tcp(self) -> bool:
        places = {
            (host, port) for host, own in self._mapped.asked for port in (own, self._tcp_port)
        }
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
    """Return whether a TCP connection is accepted or refused. No data is sent."""
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


async def stay_closed(
    theirs: Iterable[RemoteAddress], seconds: float, is_over: Callable[[], bool]
) -> None:
    """Return when each address has answered that its port is closed, and again *seconds* later.

    Nothing is sent in the first `_AGAIN` seconds, in which most dials connect. A host limits how
    many ICMP messages it sends, so one that is missing is asked for again. Anyone who sees the
    packets can forge them.

    Args:
        theirs: IP addresses; those to which there is no route are ignored.
        seconds: from the first to the last message of each.
        is_over: whether to return without a result.
    """
    now = asyncio.get_running_loop().time
    with _probes(theirs) as probes:
        await asyncio.sleep(_AGAIN)
        while not (is_over() or (probes and all(one.closed_for >= seconds for one in probes))):
            for probe in probes:
                probe.send_if_due(now(), seconds)
            await asyncio.sleep(_AGAIN)
            for probe in probes:
                probe.read()


async def _closed_ports(theirs: Iterable[RemoteAddress], seconds: float) -> set[str]:
    """Return the hosts that respond in time with an ICMP message: port unreachable."""
    now = asyncio.get_running_loop().time
    with _probes(theirs) as probes:
        for probe in probes:
            probe.send_if_due(now(), seconds)
        if probes:
            await asyncio.sleep(seconds)
        for probe in probes:
            probe.read()
        return {probe.host for probe in probes if probe.first is not None}


@contextlib.contextmanager
def _probes(theirs: Iterable[RemoteAddress]) -> Iterator[list[_Probe]]:
    """Open a connected socket for each address that can be probed."""
    with contextlib.ExitStack() as stack:
        probes: list[_Probe] = []
        for place in theirs:
            if place.relayed or place.host.endswith(".local"):
                continue
            with contextlib.suppress(OSError):  # there is no route
                probes.append(stack.enter_context(contextlib.closing(_Probe(place))))
        yield probes


class _Probe:
    """A connected UDP socket; the system reports ICMP messages to no others.

    The socket is read by its user at intervals, not by the event loop: a task that is cancelled
    while `create_datagram_endpoint` of uvloop 0.23 runs leaves a transport that nothing closes.
    """

    def __init__(self, place: RemoteAddress) -> None:
        """Connect a socket to *place*, which sends nothing.

        Raises:
            OSError: there is no route, or the host is not an IP address.
        """
        self.host = place.host
        self.first: float | None = None
        "When the first request was sent that an ICMP message has answered."
        self.closed_for = 0.0
        "Seconds from then until the last one was sent."
        self._sent = 0.0
        version, _, _, _, address = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        self._socket = socket.socket(version, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(address)
        except BaseException:
            self._socket.close()
            raise

    def send_if_due(self, now: float, seconds: float) -> None:
        """Send a request that has no effect, or the last one *seconds* after the first answer."""
        is_due = self.first is None or now - self.first >= seconds
        if is_due and self.closed_for < seconds:
            # Without effect on a STUN agent (RFC 8489, 6.3.2).
            request = binding_indication(secrets.token_bytes(12))
            if self._succeeds(lambda: self._socket.send(request)):
                self._sent = now

    def read(self) -> None:
        """Note whether an ICMP message has arrived: port unreachable."""
        self._succeeds(lambda: self._socket.recv(1))

    def _succeeds(self, call: Callable[[], object]) -> bool:
        """Call the system, which reports an ICMP message that has arrived as an error of it."""
        try:
            call()
        except (ConnectionRefusedError, ConnectionResetError):  # POSIX; Windows
            self.first = self._sent if self.first is None else self.first
            self.closed_for = self._sent - self.first
        except OSError:
            pass  # nothing has arrived, or another ICMP message
        else:
            return True
        return False

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
