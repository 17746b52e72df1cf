"""Announces the number of a short code in the local network, and finds it, by mDNS and DNS-SD.

What is announced: the number, a random host name, a port, and the addresses of this machine. Where
multicast does not work nothing raises an error: nothing is announced and nothing is found.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dcsend.net.interfaces import interfaces, is_loopback, own_addresses
from dcsend.net.multicast import joined, rejoin

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

    from dcsend.rendezvous.dns_sd import Responders

__all__ = ["LOOK", "Found", "NumberAnnouncement", "announced", "find", "is_taken"]

logger = logging.getLogger(__name__)

GRACE: Final = 0.15
"""Seconds for which a second responder is waited for after the first one. A response is sent after
120 ms at the latest if others may have one too (RFC 6762, 6)."""

LOOK: Final = 0.3
"Seconds until a number counts as free: twice `GRACE`, so that one lost query is made good."

_RETURN: Final = 0.25
"Seconds in which the announcement comes back to this machine; it takes about 1 ms."

_QUERIES: Final = ((0.0, True), (0.1, False), (0.3, True), (0.7, False), (1.0, True))
"""Pauses in seconds, and whether unicast responses are permitted. Both kinds, since a unicast
response reaches only one of the programs that share port 5353, and zeroconf delays a multicast one
if the last was sent less than a second ago. The last one is repeated."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where the mailbox of a number is served."""

    hosts: tuple[str, ...]
    """IP addresses, at least one; those in a network of this machine are first. IPv6 link-local
    addresses have the index of their interface as scope: `fe80::7%2`."""
    port: int


class NumberAnnouncement:
    """A number that is announced until the end of `announced`."""

    def __init__(self, number: str, port: int, addresses: Callable[[], Iterable[str]]) -> None:
        """Announce nothing yet.

        Args:
            number: of the code.
            port: of its mailbox.
            addresses: returns those of this machine.
        """
        self._number = number
        self._port = port
        self._read = addresses
        self._host = secrets.token_hex(8)
        "Label of the host name: a new one for each code, so that codes cannot be associated."
        self._addresses: list[str] = []
        self._network: AsyncZeroconf | None = None
        self._service: ServiceInfo | None = None
        self._returned: Responders | None = None
        self._sending: asyncio.Future[object] | None = None
        self._stack = AsyncExitStack()
        self._updating = asyncio.Lock()

    @property
    def is_announced(self) -> bool:
        """Whether the announcement was sent, and came back to this machine.

        Otherwise there is no network, no multicast, or a firewall that drops UDP port 5353.
        """
        return (
            self._service is not None
            and self._returned is not None
            and self._returned.answered.is_set()
        )

    async def update(self) -> None:
        """Announce the addresses that this machine has now; do nothing if they are the same.

        To be called when they may have changed. Takes up to half a second if they have.
        """
        async with self._updating:
            addresses = list(self._read())
            if addresses == self._addresses:
                return
            self._addresses = addresses
            if self._network is None:
                self._network = await self._stack.enter_async_context(joined())
            if self._network is None:
                return
            from zeroconf import Error

            try:
                await self._announce(self._network, addresses)
            except (OSError, RuntimeError, Error) as exc:
                logger.debug("mDNS: the number is not announced: %s", type(exc).__name__)

    async def _announce(self, network: AsyncZeroconf, addresses: list[str]) -> None:
        from dcsend.rendezvous.dns_sd import Responders, service

        self._stop_listening(network)
        if not addresses:
            await self._withdraw(network)
            return
        new = service(self._number, self._host, self._port, addresses)
        returned = self._returned = Responders(self._number, only=new.server)
        network.zeroconf.async_add_listener(returned, None)
        if self._service is None:
            # Without zeroconf's probes, which take 1.2 s: `is_taken` has looked for the number.
            self._send(await network.async_register_service(new, cooperating_responders=True))
            self._service = new
        else:
            self._send(await network.async_update_service(new))
            self._service = new
            await rejoin(network)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETURN):
                await returned.answered.wait()

    def _stop_listening(self, network: AsyncZeroconf) -> None:
        if self._returned is not None:
            network.zeroconf.async_remove_listener(self._returned)
            self._returned = None

    def _send(self, sending: Awaitable[object]) -> None:
        """Keep the task that sends an announcement three times, and end the one before."""
        if self._sending is not None:
            self._sending.cancel()
        self._sending = asyncio.ensure_future(sending)

    async def _withdraw(self, network: AsyncZeroconf) -> None:
        """Announce the end of the records once: zeroconf's three times take 0.25 s."""
        if self._service is None:
            return
        service, self._service = self._service, None
        self._send(await network.async_unregister_service(service))
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Withdraw the number, and leave the multicast groups."""
        try:
            async with self._updating:
                if self._network is not None:
                    self._stop_listening(self._network)
                    await self._withdraw(self._network)
        finally:
            if self._sending is not None:
                self._sending.cancel()
            await self._stack.aclose()


@asynccontextmanager
async def announced(
    number: str,
    port: int,
    addresses: Callable[[], Iterable[str]] = own_addresses,
) -> AsyncIterator[NumberAnnouncement]:
    """Announce a number while the body runs.

    The body begins when the announcement was sent: about 20 ms later, with zeroconf's import 0.2 s.
    Raises no error where that is impossible; see `NumberAnnouncement.is_announced`.

    Args:
        number: of the code; `is_taken` has to be called first.
        port: of the mailbox on this machine.
        addresses: returns those of this machine, without scopes.

    Raises:
        ValueError: *number* is not 1 to 40 decimal digits.
    """
    announcement = NumberAnnouncement(number, port, addresses)
    try:
        await announcement.update()
        yield announcement
    finally:
        await announcement.close()


async def find(number: str, *, patience: float = 3.0) -> list[Found]:
    """Return where a number is announced: `GRACE` after the first response with an address.

    Args:
        number: of the code.
        patience: seconds, at most, until the first such response.

    Returns:
        One place for each distinct responder, at most 8 with at most 8 addresses each; none without
        a response or without multicast. With two or more, it is unknown which has the code.

    Raises:
        ValueError: *number* is not 1 to 40 decimal digits.
    """
    async with _asking(number) as responders:
        if responders is None:
            return []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await responders.reachable.wait()
            await asyncio.sleep(GRACE)
        return [Found(_nearest_first(hosts), port) for port, hosts in responders.places]


async def is_taken(number: str, *, patience: float = LOOK) -> bool:
    """Return whether a responder in the local network has a number.

    Args:
        number: of the code.
        patience: seconds until the number counts as free.

    Raises:
        ValueError: *number* is not 1 to 40 decimal digits.
    """
    async with _asking(number) as responders:
        if responders is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await responders.answered.wait()
                return True
    return False


@asynccontextmanager
async def _asking(number: str) -> AsyncIterator[Responders | None]:
    """Query a number while the body runs; yield its responders, or None without multicast."""
    async with joined() as network:
        if network is None or not await _has_started(network):
            yield None
            return
        from dcsend.rendezvous.dns_sd import Responders

        zeroconf = network.zeroconf
        responders = Responders(number, loopback=all(map(is_loopback, own_addresses())))
        zeroconf.async_add_listener(responders, None)
        responders.read_cache(zeroconf)
        asking = asyncio.create_task(_ask(network, number, responders))
        try:
            yield responders
        finally:
            asking.cancel()
            zeroconf.async_remove_listener(responders)


async def _has_started(network: AsyncZeroconf) -> bool:
    from zeroconf import NotRunningException

    try:
        await network.zeroconf.async_wait_for_start()
    except (OSError, RuntimeError, NotRunningException) as exc:
        logger.debug("mDNS: not started: %s", type(exc).__name__)
        return False
    return True


async def _ask(network: AsyncZeroconf, number: str, responders: Responders) -> None:
    from dcsend.rendezvous.dns_sd import query

    for pause, unicast in itertools.chain(_QUERIES, itertools.repeat(_QUERIES[-1])):
        await asyncio.sleep(pause)
        network.zeroconf.async_send(query(number, responders.unresolved, unicast=unicast))


def _nearest_first(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return addresses in a network of this machine first: the others may be behind a VPN."""
    networks = [
        ipaddress.ip_network(f"{one.address}/{one.prefix}", strict=False)
        for one in interfaces()
        if one.prefix
    ]

    def is_far(host: str) -> bool:
        ip = ipaddress.ip_address(host)
        return not (ip.is_link_local or any(ip in network for network in networks))

    return tuple(sorted(hosts, key=is_far))
