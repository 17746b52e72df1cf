"""The `.local` names of browsers, which hide the addresses of a machine behind them (RFC 6762).

aioice has a resolver of its own: it asks once, for IPv4, on one interface, and with dnspython 2.9
it drops every answer of Chromium (with a compressed NSEC record, as RFC 6762, 18.14 allows). So
zeroconf is used. It takes 0.16 s of processor time to load (Python 3.11), hence only when there
is a name to be resolved.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["is_local", "resolve"]

_FOREVER: Final = 3_600_000
"Milliseconds for which one request is repeated; after that another one is made."
_AGAIN: Final = 5.0
"Seconds until a name that has no address, or a machine without multicast, is tried again."


def is_local(host: str) -> bool:
    """Tell a name of mDNS from an address."""
    return host.endswith(".local")


async def resolve(names: Iterable[str], found: Callable[[str, str], Awaitable[None]]) -> None:
    """Ask for *names* on all interfaces, for IPv4 and IPv6, until each has an address.

    zeroconf asks at once, again after 0.2 s, and from then on every second. This never gives up;
    its caller cancels it. A machine without multicast is no error, it may get some.

    Args:
        names: such as `2ee1….local`.
        found: awaited with a name and its address, once for each name.
    """
    # In a thread: what else the loop does must not wait for the import.
    await asyncio.to_thread(_load)
    while (network := _open()) is None:  # noqa: ASYNC110 - nothing notifies
        await asyncio.sleep(_AGAIN)
    try:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(_ask(network, name, found))
    finally:
        await _close(network)


async def _close(network: AsyncZeroconf) -> None:
    """Close its sockets, also where the task that waits for it is cancelled once more.

    zeroconf opens them in a task of its own; a close that is cut off would leave them open.
    Takes a second at most.
    """
    closing = asyncio.create_task(network.async_close())
    while not closing.done():
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await asyncio.shield(closing)


def _load() -> None:
    import zeroconf.asyncio  # noqa: F401


def _open() -> AsyncZeroconf | None:
    """Join the multicast groups; None where there are none."""
    from zeroconf import InterfaceChoice, IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    for version in (IPVersion.All, IPVersion.V4Only):  # a kernel may lack IPv6
        # The second one where no interface has an address.
        with contextlib.suppress(OSError, RuntimeError):
            return AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=version)
    return None


async def _ask(
    network: AsyncZeroconf, name: str, found: Callable[[str, str], Awaitable[None]]
) -> None:
    """Ask for both kinds of address, each in a datagram of its own: Chromium reads one question."""
    from zeroconf import (  # type: ignore[attr-defined] # two are not in its __all__
        AddressResolverIPv4,
        AddressResolverIPv6,
        IPVersion,
        ServiceInfo,
    )

    async def ask(resolver: ServiceInfo) -> str:
        # At once where the answer was that there is no address of this kind.
        while not await resolver.async_request(network.zeroconf, _FOREVER):  # noqa: ASYNC110
            await asyncio.sleep(_AGAIN)
        return str(resolver.ip_addresses_by_version(IPVersion.All)[0])

    asking = [
        asyncio.create_task(ask(kind(f"{name}.")))
        for kind in (AddressResolverIPv4, AddressResolverIPv6)
    ]
    try:
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in asking:
            task.cancel()
    await found(name, done.pop().result())
