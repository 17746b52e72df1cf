"""The addresses of this machine, and those of them that are put into a code, best first.

aioice gives the address of each interface the same priority, also those of bridges for containers;
a code has room for four. The order is: addresses of the default routes; those of other interfaces;
if there are none of these, those of virtual bridges and of 169.254.0.0/16.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import ifaddr

from dcsend.net.address import family, is_ipv6

__all__ = [
    *("MAX_IPV4", "MAX_IPV6", "Interface", "has_route", "interfaces", "is_loopback"),
    "is_point_to_point",
    *("own_addresses", "rank", "route_mtu", "route_sources", "side_network"),
]

logger = logging.getLogger(__name__)

MAX_IPV4: Final = 3
MAX_IPV6: Final = 1
"An IPv6 address takes 16 bytes of the code; four addresses fit into a QR code of version 6."

_VIRTUAL = (
    *("br-", "cni", "docker", "flannel", "lxc", "lxdbr", "podman", "vboxnet", "veth"),
    *("virbr", "vmnet", "vethernet", "hyper-v virtual", "virtualbox host-only", "vmware virtual"),
)
"""Prefixes of the names of interfaces to containers or virtual machines on this machine; names with
a space are those of Windows."""

_VPN = (
    *("gpd", "ipsec", "mullvad", "nordlynx", "openvpn", "proton", "tailscale", "tap", "tun"),
    *("utun", "wg", "wintun", "wireguard", "zt"),
)
"""Prefixes of the names of interfaces to a VPN. ppp0 and wwan0 are not in the list: many machines
reach the internet through these."""

# Documentation addresses (RFC 5737, RFC 3849). Connecting a UDP socket sends nothing; the routing
# table selects its source address.
_PROBES = ("192.0.2.1", "2001:db8::1")

_MTU: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 14),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 24),
}
"Level and number of IP_MTU and IPV6_MTU on Linux; Python has no names for them."


_SIOCGIFFLAGS: Final = 0x8913
_UP: Final = 0x1 | 0x40
"IFF_UP and IFF_RUNNING: enabled, and with a link."
_POINT_TO_POINT: Final = 0x10
"IFF_POINTOPOINT."


@dataclass(frozen=True, slots=True)
class Interface:
    """One address of one network interface."""

    name: str
    address: str
    prefix: int = 0
    "Length of the network prefix in bits; 0 if unknown."
    is_up: bool = True
    "False without a link: no cable, no Wi-Fi, a tunnel whose program has ended (Linux only)."


def interfaces() -> list[Interface]:
    """Return every address of every interface of this machine, without link-local IPv6 ones."""
    found: list[Interface] = []
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:  # not permitted on Android; the default routes remain
        return found
    for adapter in adapters:
        name = str(adapter.nice_name)
        flags = _flags(name)
        is_up = flags is None or flags & _UP == _UP
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                found.append(Interface(name, ip.ip, ip.network_prefix, is_up))
            elif ip.ip[2] == 0:  # a link-local address needs a scope, which differs on the peer
                found.append(Interface(name, ip.ip[0], ip.network_prefix, is_up))
    return found


def _flags(name: str) -> int | None:
    """Return the flags of an interface (netdevice(7)), or None if unknown."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            request = struct.pack("16sH14x", name.encode()[:15], 0)
            return int(struct.unpack_from("16xH", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[0])
    except OSError:  # the interface was removed, or the kernel has no IPv4
        return None


def is_point_to_point(name: str) -> bool:
    """Return whether an interface is point-to-point, as tunnels and modems are (Linux only)."""
    return bool((_flags(name) or 0) & _POINT_TO_POINT)


def route_sources() -> list[str]:
    """Return the source addresses of the IPv4 and the IPv6 default route, if they exist.

    A route through an interface without an address of its family, as with WireGuard, has the source
    address 0.0.0.0, which is left out.
    """
    sources = []
    for probe in _PROBES:
        try:
            with socket.socket(family(probe), socket.SOCK_DGRAM) as sock:
                sock.connect((probe, 9))
                source = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
                if not source.is_unspecified:
                    sources.append(str(source))
        except OSError:
            continue  # no route of this family
    return sources


def has_route(host: str) -> bool:
    """Return whether this machine has a route to an address; sends nothing."""
    try:
        with socket.socket(family(host), socket.SOCK_DGRAM) as sock:
            sock.connect((host, 9))
    except OSError:
        return False
    return True


def own_addresses() -> dict[str, str]:
    """Return the addresses of this machine that are put into a code, best first; see `rank`.

    Returns:
        Address -> name of its interface; an empty name if the system does not list it.
    """
    found, routes = interfaces(), route_sources()
    names = {str(ipaddress.ip_address(one.address)): one.name for one in found}
    chosen = {address: names.get(address, "") for address in rank(found, routes)}
    logger.debug("interfaces: %s; default routes: %s; chosen: %s", found, routes, list(chosen))
    return chosen


def side_network(name: str) -> str:
    """Return what an interface leads to if it is not a network of other devices, otherwise "".

    >>> side_network("wg0"), side_network("docker0"), side_network("eth0")
    ('a VPN', 'containers or guests', '')
    """
    name = name.lower()
    if name.startswith(_VPN):
        return "a VPN"
    return "containers or guests" if name.startswith(_VIRTUAL) else ""


def is_loopback(address: str) -> bool:
    """Return whether *address* is a loopback address."""
    return ipaddress.ip_address(address).is_loopback


def route_mtu(host: str) -> int | None:
    """Return the MTU of the route to an address, in bytes; None if unknown."""
    level, option = _MTU[family(host)]
    try:
        with socket.socket(family(host), socket.SOCK_DGRAM) as sock:
            sock.connect((host, 9))
            return sock.getsockopt(level, option) if sys.platform == "linux" else None
    except OSError:
        return None


def rank(found: Iterable[Interface], preferred: Iterable[str]) -> list[str]:
    """Select and order the addresses for a code.

    Args:
        found: of `interfaces`; those without a link are ignored.
        preferred: of `route_sources`.

    Returns:
        At most `MAX_IPV4` IPv4 and `MAX_IPV6` IPv6 addresses in canonical form, best first.

    >>> rank([Interface("docker0", "172.17.0.1"), Interface("wlan0", "192.168.1.7")], [])
    ['192.168.1.7']
    >>> rank([Interface("lo", "127.0.0.1")], [])
    ['127.0.0.1']
    """
    found = list(found)
    up = {str(ipaddress.ip_address(one.address)) for one in found if one.is_up}
    down = {str(ipaddress.ip_address(one.address)) for one in found} - up
    first = [str(ipaddress.ip_address(address)) for address in preferred]
    first = [address for address in first if address not in down]
    classes: dict[str, int] = {}
    for interface in found:
        if not interface.is_up:
            continue
        address = str(ipaddress.ip_address(interface.address))
        classes[address] = _class(interface.name, address, address in first)
    for address in first:
        classes.setdefault(address, _class("", address, routed=True))
    if not classes:
        return []
    best = min(classes.values())
    # The classes after `_REAL` are used only without an address of a better one.
    kept = [a for a in classes if classes[a] <= max(best, _REAL)]
    kept.sort(key=lambda a: (classes[a], first.index(a) if a in first else len(first)))
    v4 = [a for a in kept if not is_ipv6(a)][:MAX_IPV4]
    v6 = [a for a in kept if is_ipv6(a)][:MAX_IPV6]
    return [a for a in kept if a in v4 or a in v6]


_ROUTED, _REAL, _GUESTS, _SELF_ASSIGNED, _LOOPBACK = range(5)


def _class(name: str, address: str, routed: bool) -> int:
    ip = ipaddress.ip_address(address)
    if ip.is_loopback:
        return _LOOPBACK
    if ip.is_link_local:
        return _SELF_ASSIGNED
    if routed:
        return _ROUTED
    return _GUESTS if name.lower().startswith(_VIRTUAL) else _REAL
