"""Resolves the `.local` names that browsers use in place of their addresses (RFC 6762).

The resolver of aioice sends one query, for IPv4, on one interface, and with dnspython 2.9 it
discards every response of Chromium (which has a compressed NSEC record, as RFC 6762, 18.14 allows).
So zeroconf is used, which is imported only when there is a name to resolve.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from dcsend.net.multicast import join_groups, joined

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["is_local", "resolve"]

logger = logging.getLogger(__name__)

_QUERY_TIME: Final = 3_600_000
"Milliseconds for which zeroconf repeats one query."
_RETRY: Final = 5.0
"Seconds until the next attempt, for a name without an address or a machine without multicast."


def is_local(host: str) -> bool:
    """Return whether *host* is a name of mDNS, not an address."""
    return host.endswith(".local")


async def resolve(
    names: Iterable[str],
    found: Callable[[str, str], Awaitable[None]],
    join: Callable[[], AsyncZeroconf | None] = join_groups,
) -> None:
    """Query *names* on all interfaces, for IPv4 and IPv6, until each has an address.

    zeroconf sends a query at once, after 0.2 s, and then every second. There is no timeout; the
    caller cancels the task. A machine without multicast is no error, since it may get an interface.

    Args:
        names: such as `2ee1….local`.
        found: awaited with a name and its address, once for each name.
        join: joins the multicast groups; returns None if there are none.
    """
    while True:
        async with joined(join) as network:
            if network is not None:
                async with asyncio.TaskGroup() as group:
                    for name in names:
                        group.create_task(_query(network, name, found))
                return
        await asyncio.sleep(_RETRY)


async def _query(
    network: AsyncZeroconf, name: str, found: Callable[[str, str], Awaitable[None]]
) -> None:
    """Query both families, in a datagram each, since Chromium reads one question of a datagram."""
    from zeroconf import (  # type: ignore[attr-defined] # two are not in its __all__
        AddressResolverIPv4,
        AddressResolverIPv6,
        IPVersion,
        ServiceInfo,
    )

    async def query(resolver: ServiceInfo) -> str:
        # Returns at once if the response was that there is no address of this family.
        while not await resolver.async_request(network.zeroconf, _QUERY_TIME):  # noqa: ASYNC110
            await asyncio.sleep(_RETRY)
        return str(resolver.ip_addresses_by_version(IPVersion.All)[0])

    queries = [
        asyncio.create_task(query(kind(f"{name}.")))
        for kind in (AddressResolverIPv4, AddressResolverIPv6)
    ]
    try:
        done, _ = await asyncio.wait(queries, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in queries:
            task.cancel()
    address = done.pop().result()
    logger.debug("mDNS: %s has the address %s", name, address)
    await found(name, address)
