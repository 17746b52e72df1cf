"""The multicast groups of mDNS (RFC 6762), joined once for all users of one event loop.

Two sets of sockets in one process would share port 5353, and a unicast response reaches only one of
them. So all code that queries or announces uses `joined`; the last user closes the sockets.

The import of zeroconf takes 0.16 s of processor time (Python 3.11), hence it is imported late, in a
thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import ifaddr

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["join_groups", "joined", "rejoin"]

logger = logging.getLogger(__name__)

logging.getLogger("zeroconf").addHandler(logging.NullHandler())
"""It logs each interface without multicast as a warning or an error, which Python would print in
programs without handlers."""


class _Shared:
    """The sockets of one event loop, and the number of their users."""

    def __init__(self, network: AsyncZeroconf) -> None:
        self.network = network
        self._users = 1

    def add_user(self) -> None:
        self._users += 1

    def remove_user(self) -> bool:
        """Count one user less; return whether it was the last one."""
        self._users -= 1
        return not self._users


_SHARED: Final[WeakKeyDictionary[AbstractEventLoop, _Shared]] = WeakKeyDictionary()


def join_groups() -> AsyncZeroconf | None:
    """Join the multicast groups; return None if there are none."""
    from zeroconf import IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    for version in (IPVersion.All, IPVersion.V4Only):  # the kernel may have no IPv6
        where = _interfaces(ipv6=version is IPVersion.All)
        if where:
            with contextlib.suppress(OSError, RuntimeError):
                return AsyncZeroconf(interfaces=where, ip_version=version)
    return None


def _interfaces(*, ipv6: bool) -> list[str | int]:
    """Return IPv4 addresses and indexes of IPv6 interfaces; of loopback if there are no others.

    No other host is on loopback, and a message always arrives there. Without it, a message that
    comes back shows that the groups work.
    """
    found: dict[str | int, bool] = {}
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:  # not permitted on Android
        return []
    for adapter in adapters:
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                found[ip.ip] = ipaddress.ip_address(ip.ip).is_loopback
            elif ipv6 and adapter.index is not None:
                found[adapter.index] = ipaddress.ip_address(ip.ip[0]).is_loopback
    return [one for one, is_loopback in found.items() if not is_loopback] or list(found)


@asynccontextmanager
async def joined(
    join: Callable[[], AsyncZeroconf | None] = join_groups,
) -> AsyncIterator[AsyncZeroconf | None]:
    """Join the groups, or use those that another task of this event loop has joined.

    Yields None on a machine without multicast. The end takes at most a second, also if the task is
    cancelled meanwhile.

    Args:
        join: joins the groups, if no other task has; returns None if there are none.
    """
    # In a thread, so that the import does not block the loop.
    await asyncio.to_thread(_load)
    loop = asyncio.get_running_loop()
    shared = _SHARED.get(loop)
    is_new = shared is None
    if shared is None:
        network = join()
        if network is None:
            logger.debug("mDNS: there is no multicast")
            yield None
            return
        from dcsend.net.mdns_cache import CacheLimit

        network.zeroconf.async_add_listener(CacheLimit(network.zeroconf), None)
        shared = _SHARED[loop] = _Shared(network)
    else:
        shared.add_user()
    try:
        if not is_new:
            await rejoin(shared.network)
        yield shared.network
    finally:
        if shared.remove_user():
            del _SHARED[loop]
            await _close(shared.network)


async def rejoin(network: AsyncZeroconf) -> None:
    """Join the groups on interfaces that are new, and leave those that are gone."""
    from zeroconf import Error

    # An interface may disappear meanwhile; the next call finds the next state.
    with contextlib.suppress(OSError, RuntimeError, Error):
        if where := _interfaces(ipv6=True):
            await network.async_update_interfaces(interfaces=where)


async def _close(network: AsyncZeroconf) -> None:
    """Close the sockets, also if the task is cancelled again meanwhile.

    zeroconf opens them in a task of its own, so that an interrupted close would leave them open.
    """
    closing = asyncio.create_task(network.async_close())
    cancelled: asyncio.CancelledError | None = None
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except OSError:
            pass
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # Otherwise the task would go on, for instance show a code that nothing ends any more.
        raise cancelled


def _load() -> None:
    import zeroconf.asyncio  # noqa: F401

    import dcsend.net.mdns_cache  # noqa: F401
