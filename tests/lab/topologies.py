"""The table of networks, as data. `building` makes them, `test_claims` checks them.

By default, host `a` listens, sends and offers; `b` dials or has the browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["TOPOLOGIES", "Nat", "Site", "Topology"]


class Nat(StrEnum):
    """How an address translator maps and filters (RFC 4787)."""

    NONE = "none"
    "It only routes."
    FULL_CONE = "full cone"
    "One port for all destinations, and every source gets in."
    ADDRESS = "address-restricted"
    "One port; those addresses get in to which something was sent, from any port."
    PORT = "port-restricted"
    "One port for all destinations; address- and port-dependent filtering, as in Linux."
    SYMMETRIC = "symmetric"
    "A port for each destination; address- and port-dependent filtering."


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Hosts behind a router, or one host without any."""

    hosts: str
    "`a`, `b` or `ab`: these are in one LAN."
    nat: Nat | None = Nat.PORT
    "None: no router; the host has a public address."
    ipv4: bool = True
    ipv6: str = ""
    "`open`, `firewall` (only responses enter), `broken` (addresses without a route), none."
    block: str = ""
    "What does not get out: `udp-drop`, `udp-reject` (with ICMP), `all-but-443` (TCP)."
    carrier: str = ""
    "Name of a provider's translator in between; sites with the same name share it."
    firewalls: str = ""
    "Hosts whose firewall accepts only responses, pings and multicast."
    isolated: bool = False
    "Hosts of the LAN reach the router, not each other: client isolation of a Wi-Fi."
    guests: bool = False
    "`b` is in a second LAN, for guests; no packet passes between the two."
    hairpin: bool = False
    "Hairpinning: packets from inside to the public address of the router return (RFC 4787, 6)."
    forwards: int = 0
    "A UDP port of the public address that is forwarded to `a`."
    mtu: int = 0
    "Largest packet on the way to the internet, in bytes; 0: as everywhere."
    uplink: str = "works"
    "`works`; `dead`: it swallows everything; `none`: hosts have no default route."


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A network, and its properties."""

    about: str
    sites: tuple[Site, ...]
    vpn: str = ""
    """`mesh`: both hosts are in one with MTU 1280; `exit`: the default route of `a` leads through
    one, to which UDP comes in only as an answer; `kill`: and its LAN is cut off from `a`."""
    second: str = ""
    "Hosts whose default route leads over a second interface to a router that is down."
    reach: str = ""
    """Which own addresses can be reached from the other host, by a datagram out of the blue:
    `a`, `b` or `ab`."""
    dial: str = ""
    "Which hosts can be dialled, as listeners with default options."
    codes: bool = True
    "Whether two codes connect without a relay."
    relay: str = "udp"
    "What relay connects where two codes alone don't: `udp`, `tcp`, `tls443`."
    options: tuple[str, ...] = ()
    "Options that `a` needs as a listener."

    def site(self, host: str) -> Site:
        """Return the site of `a` or `b`."""
        return next(site for site in self.sites if host in site.hosts)


def _apart(
    a: Nat | None, b: Nat | None, *, dial: str = "", codes: bool = True, about: str = ""
) -> Topology:
    """Two hosts with IPv4 only, each behind a translator of its own, or with a public address."""
    return Topology(
        about=about or f"a: {a or 'public'}, b: {b or 'public'}",
        sites=(Site(hosts="a", nat=a), Site(hosts="b", nat=b)),
        reach="".join(host for host, nat in (("a", a), ("b", b)) if nat is None),
        dial=dial,
        codes=codes,
    )


def _blocked(a: Site, b: Site, about: str, *, relay: str) -> Topology:
    """Two sites with no UDP between them."""
    return Topology(about=about, sites=(a, b), codes=False, relay=relay)


def _six(ipv6: str, about: str, *, reach: str = "") -> Topology:
    """Two sites with IPv6 only."""
    a, b = (Site(hosts=host, nat=Nat.NONE, ipv4=False, ipv6=ipv6) for host in "ab")
    return Topology(about=about, sites=(a, b), reach=reach, dial=reach)


_LAN: Final = Site(hosts="ab")
_UDP_DROP: Final = Site(hosts="b", block="udp-drop")

TOPOLOGIES: Final[dict[str, Topology]] = {
    # One network
    "lan": Topology(about="one LAN whose router translates", sites=(_LAN,), reach="ab", dial="ab"),
    "lan-dual": Topology(
        about="one LAN with IPv4 and IPv6",
        sites=(Site(hosts="ab", ipv6="firewall"),),
        reach="ab",
        dial="ab",
    ),
    "lan-v6": Topology(
        about="one LAN with IPv6 only",
        sites=(Site(hosts="ab", nat=Nat.NONE, ipv4=False, ipv6="firewall"),),
        reach="ab",
        dial="ab",
    ),
    "lan-hostfw": Topology(
        about="one LAN; the firewall of a lets in only answers",
        sites=(Site(hosts="ab", firewalls="a"),),
        reach="b",
        dial="b",
    ),
    "lan-hostfws": Topology(
        about="one LAN; the firewalls of both hosts let in only answers",
        sites=(Site(hosts="ab", firewalls="ab"),),
    ),
    "lan-offline": Topology(
        about="one LAN without a router: no default route, no name server, no STUN",
        sites=(Site(hosts="ab", uplink="none"),),
        reach="ab",
        dial="ab",
    ),
    "lan-deadnet": Topology(
        about="one LAN; its router swallows everything",
        sites=(Site(hosts="ab", uplink="dead"),),
        reach="ab",
        dial="ab",
    ),
    "lan-second": Topology(
        about="one LAN; the default route of a leads over a second interface, to a dead router",
        sites=(_LAN,),
        second="a",
        reach="ab",
        dial="ab",
    ),
    "isolation": Topology(
        about="one Wi-Fi that isolates its clients from each other",
        sites=(Site(hosts="ab", isolated=True),),
        codes=False,
    ),
    # Two networks, IPv4
    "public-restricted": _apart(None, Nat.PORT, dial="a"),
    "restricted-public": _apart(Nat.PORT, None, dial="b"),
    "restricted-restricted": _apart(Nat.PORT, Nat.PORT),
    "fullcone-restricted": _apart(Nat.FULL_CONE, Nat.PORT, dial="a"),
    "addrestricted-restricted": _apart(Nat.ADDRESS, Nat.PORT),
    "fullcone-symmetric": _apart(Nat.FULL_CONE, Nat.SYMMETRIC, dial="a"),
    "public-symmetric": _apart(None, Nat.SYMMETRIC, dial="a"),
    "symmetric-addrestricted": _apart(Nat.SYMMETRIC, Nat.ADDRESS),
    "symmetric-restricted": _apart(Nat.SYMMETRIC, Nat.PORT, codes=False),
    "restricted-symmetric": _apart(Nat.PORT, Nat.SYMMETRIC, codes=False),
    "symmetric-symmetric": _apart(Nat.SYMMETRIC, Nat.SYMMETRIC, codes=False),
    "forwarded": Topology(
        about="a: port-restricted, and UDP 40000 is forwarded to it; b: port-restricted",
        sites=(Site(hosts="a", forwards=40000), Site(hosts="b")),
        dial="a",
        options=("--port", "40000", "--address", "203.0.113.1"),
    ),
    "narrow": Topology(
        about="both port-restricted; packets of 1280 bytes at most pass between a and the internet",
        sites=(Site(hosts="a", mtu=1280), Site(hosts="b")),
    ),
    # UDP blocked
    "public-udpdrop": _blocked(
        Site(hosts="a", nat=None), _UDP_DROP, "a: public; b: its router drops UDP", relay="tcp"
    ),
    "public-udpreject": _blocked(
        Site(hosts="a", nat=None),
        Site(hosts="b", block="udp-reject"),
        "a: public; b: its router rejects UDP",
        relay="tcp",
    ),
    "udpdrop-udpdrop": _blocked(
        Site(hosts="a", block="udp-drop"), _UDP_DROP, "both routers drop UDP", relay="tcp"
    ),
    "restricted-tcp443": _blocked(
        Site(hosts="a"),
        Site(hosts="b", block="all-but-443"),
        "a: port-restricted; b: nothing but TCP 443 gets out",
        relay="tls443",
    ),
    # IPv6
    "v6-public": _six("open", "two sites with IPv6 only, no firewalls", reach="ab"),
    "v6-firewalls": _six("firewall", "two sites with IPv6 only behind firewalls"),
    "v4only-v6only": Topology(
        about="a: IPv4 only, public; b: IPv6 only",
        sites=(
            Site(hosts="a", nat=None),
            Site(hosts="b", nat=Nat.NONE, ipv4=False, ipv6="firewall"),
        ),
        codes=False,
    ),
    "dslite": Topology(
        about="both: IPv4 behind a symmetric translator, IPv6 behind a firewall",
        sites=tuple(Site(hosts=host, nat=Nat.SYMMETRIC, ipv6="firewall") for host in "ab"),
    ),
    "broken6": Topology(
        about="a: full cone, b: port-restricted; both have IPv6 addresses that lead nowhere",
        sites=(
            Site(hosts="a", nat=Nat.FULL_CONE, ipv6="broken"),
            Site(hosts="b", ipv6="broken"),
        ),
        dial="a",
    ),
    # Two translators one behind the other, or one for both
    "cgnat-restricted": Topology(
        about="a: behind its own and its provider's translator, b: port-restricted",
        sites=(Site(hosts="a", carrier="provider"), Site(hosts="b")),
    ),
    "cgnat-same": Topology(
        about="both are customers of one provider's translator, which does not hairpin",
        sites=tuple(Site(hosts=host, carrier="provider") for host in "ab"),
        codes=False,
    ),
    "hairpin": Topology(
        about="the main and the guests' LAN of one router that hairpins",
        sites=(Site(hosts="ab", guests=True, hairpin=True),),
        dial="ab",
    ),
    "nohairpin": Topology(
        about="the main and the guests' LAN of one router that does not hairpin",
        sites=(Site(hosts="ab", guests=True),),
        codes=False,
    ),
    # VPNs
    "mesh": Topology(
        about="both port-restricted, and in one VPN with MTU 1280",
        sites=(Site(hosts="a"), Site(hosts="b")),
        vpn="mesh",
        dial="ab",
    ),
    "vpn-exit": Topology(
        about="one LAN; the default route of a leads through a VPN with MTU 1280",
        sites=(_LAN,),
        vpn="exit",
        reach="ab",
        dial="ab",
    ),
    "vpn-kill": Topology(
        about="the same, and the VPN cuts the LAN off from a",
        sites=(_LAN,),
        vpn="kill",
    ),
}
