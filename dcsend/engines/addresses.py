"""Which of this machine's addresses go into the code, best first.

aioice gives every address the same priority and lists Docker's bridges beside the
Wi-Fi; a code has room for four. So: the addresses of the default routes first, then
other real interfaces, virtual bridges and 169.254/16 only when there is nothing else.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import ifaddr

__all__ = [
    *("MAX_IPV4", "MAX_IPV6", "Interface", "has_route", "interfaces", "is_loopback"),
    *("own_addresses", "rank", "route_mtu", "route_sources", "side_network"),
]

MAX_IPV4: Final = 3
MAX_IPV6: Final = 1
"An IPv6 address costs 16 bytes of the code; four addresses still fit a version 6 QR code."

_VIRTUAL = (
    *("br-", "cni", "docker", "flannel", "lxc", "lxdbr", "podman", "vboxnet", "veth"),
    *("virbr", "vmnet", "vethernet", "hyper-v virtual", "virtualbox host-only", "vmware virtual"),
)
"""Starts of the names of interfaces that lead to guests on this machine, not to a network;
those with a space are what Windows calls them."""

_VPN = (
    *("gpd", "ipsec", "mullvad", "nordlynx", "openvpn", "proton", "tailscale", "tap", "tun"),
    *("utun", "wg", "wintun", "wireguard", "zt"),
)
"""Starts of the names of interfaces that lead into a VPN. ppp0 and wwan0 are not among them: many
machines reach the internet by these."""

# Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket sends nothing,
# it only asks the routing table which source address would be used.
_PROBES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))

_MTU: Final = {
    False: (socket.AF_INET, socket.IPPROTO_IP, 14),
    True: (socket.AF_INET6, socket.IPPROTO_IPV6, 24),
}
'By "is IPv6": IP_MTU and IPV6_MTU of Linux, which Python has no names for.'


@dataclass(frozen=True, slots=True)
class Interface:
    """One address of one network interface."""

    name: str
    address: str
    prefix: int = 0
    "Bits of the address that its network has in common; 0 where that is not known."


def interfaces() -> list[Interface]:
    """Return every address of every interface of this machine, without scoped IPv6 ones."""
    found: list[Interface] = []
    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:  # Android lets programs not ask; the routes are left
        return found
    for adapter in adapters:
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                found.append(Interface(str(adapter.nice_name), ip.ip, ip.network_prefix))
            elif ip.ip[2] == 0:  # a scope would have to be named on the other machine, too
                found.append(Interface(str(adapter.nice_name), ip.ip[0], ip.network_prefix))
    return found


def route_sources() -> list[str]:
    """Return the source addresses of the IPv4 and the IPv6 default route, where there are any."""
    sources = []
    for family, probe in _PROBES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((probe, 9))
                sources.append(str(sock.getsockname()[0]))
        except OSError:
            continue  # no route of this family
    return sources


def has_route(host: str) -> bool:
    """Tell whether this machine can send to an address at all; sends nothing."""
    try:
        with socket.socket(_MTU[":" in host][0], socket.SOCK_DGRAM) as sock:
            sock.connect((host, 9))
    except OSError:
        return False
    return True


def own_addresses() -> dict[str, str]:
    """Return the addresses of this machine that are to be shown, best first, as `rank` has them.

    Returns:
        Address -> name of its interface; an empty name where the system does not list it.
    """
    found = interfaces()
    names = {str(ipaddress.ip_address(one.address)): one.name for one in found}
    return {address: names.get(address, "") for address in rank(found, route_sources())}


def side_network(name: str) -> str:
    """Say what an interface leads to, if that is not a network of other devices; else empty.

    >>> side_network("wg0"), side_network("docker0"), side_network("eth0")
    ('a VPN', 'containers or guests', '')
    """
    name = name.lower()
    if name.startswith(_VPN):
        return "a VPN"
    return "containers or guests" if name.startswith(_VIRTUAL) else ""


def is_loopback(address: str) -> bool:
    """Tell whether *address* reaches this machine only."""
    return ipaddress.ip_address(address).is_loopback


def route_mtu(host: str) -> int | None:
    """Return the MTU of the route to an address, in bytes; None where that can't be known."""
    family, level, option = _MTU[":" in host]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((host, 9))
            return sock.getsockopt(level, option) if sys.platform == "linux" else None
    except OSError:
        return None


def rank(found: Iterable[Interface], preferred: Iterable[str]) -> list[str]:
    """Choose and order the addresses to show.

    Args:
        found: what `interfaces` returned.
        preferred: what `route_sources` returned.

    Returns:
        At most `MAX_IPV4` IPv4 and `MAX_IPV6` IPv6 addresses in canonical form, best first.

    >>> rank([Interface("docker0", "172.17.0.1"), Interface("wlan0", "192.168.1.7")], [])
    ['192.168.1.7']
    >>> rank([Interface("lo", "127.0.0.1")], [])
    ['127.0.0.1']
    """
    first = [str(ipaddress.ip_address(address)) for address in preferred]
    classes: dict[str, int] = {}
    for interface in found:
        address = str(ipaddress.ip_address(interface.address))
        classes[address] = _class(interface.name, address, address in first)
    for address in first:
        classes.setdefault(address, _class("", address, routed=True))
    if not classes:
        return []
    best = min(classes.values())
    # A worse class than "real" is used only when it is all there is.
    kept = [a for a in classes if classes[a] <= max(best, _REAL)]
    kept.sort(key=lambda a: (classes[a], first.index(a) if a in first else len(first)))
    v4 = [a for a in kept if ":" not in a][:MAX_IPV4]
    v6 = [a for a in kept if ":" in a][:MAX_IPV6]
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
