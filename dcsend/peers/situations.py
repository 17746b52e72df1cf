"""The situations in which two sides do not connect, and the rules that select one by facts.

No input, output or clock. `diagnosis` collects the facts; `reasons` has the message for each
situation. `web-receiver/src/peers/reasons.ts` has the same situations for the page.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from dcsend.net.address import is_ipv6

__all__ = [
    "IP",
    "RULES",
    "Facts",
    "IPInterface",
    "NatMapping",
    "Network",
    "RemoteAddress",
    "Role",
    "Situation",
    "Udp",
    "foreseen",
    "foreseen_while_waiting",
    "is_private",
    "situation_while_waiting",
]

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""RFC 1918, 6598, 3927, 4193, 4291. `is_private` of the standard library is true for documentation
addresses as well (IANA: not globally reachable)."""


class Role(enum.StrEnum):
    """The role of this side."""

    DIALER = "dialer"
    OFFERER = "offerer"
    "The answer was pasted, and it tries to connect."
    LISTENER = "listener"
    ANSWERER = "answerer"
    "It has shown the answer, and waits until it is pasted."
    SHORT_CODE = "short code"
    "Either side of a short code: both connect at the same time."


class Situation(enum.StrEnum):
    """Why the two sides do not connect, as far as this side can detect it."""

    NO_NETWORK = "no network"
    NO_FAMILY = "no common address family"
    NO_ROUTE = "no route"
    CHECKS_ARRIVE = "checks arrive, no connection"
    THIS_MACHINE = "addresses of the machine itself"
    RELAY_SILENT = "relay without effect"
    PORT_CLOSED = "port closed"
    SAME_NETWORK = "same network"
    SAME_ADDRESSES = "same private addresses, other public address"
    SAME_NAT = "same public address"
    UDP_BLOCKED = "UDP blocked here"
    UDP_BLOCKED_THERE = "UDP blocked there"
    STUN_SILENT = "no STUN answer"
    NO_INTERNET = "no internet"
    SYMMETRIC = "symmetric NAT here"
    SYMMETRIC_THERE = "symmetric NAT there"
    OPEN_HERE = "NAT there, none here"
    NAT = "NAT there"
    FIREWALL = "firewall there"
    PRIVATE = "private addresses there"
    UNKNOWN = "not known"
    # For a side that waits:
    NAT_HERE = "NAT here"
    NO_CHECK = "no check for 60 s"
    NO_CHECK_NAT = "no check for 60 s, NAT here"
    NO_CHECK_STUN = "no check for 60 s, no STUN answer"


class NatMapping(enum.IntEnum):
    """How a NAT maps one local port (RFC 4787, 4.1), as far as STUN servers show it, for IPv4."""

    UNKNOWN = 0
    NONE = 1
    "There is no NAT."
    ENDPOINT_INDEPENDENT = 2
    ADDRESS_DEPENDENT = 3
    "Or address and port-dependent: a symmetric NAT."


class Udp(enum.IntEnum):
    """Whether a network lets UDP through, as far as STUN servers show it."""

    UNKNOWN = 0
    WORKS = 1
    BLOCKED = 2
    "No server responds over UDP, but TCP works."


class Network(NamedTuple):
    """How the network of one side behaves; the sides of a short code exchange it."""

    mapping: NatMapping = NatMapping.UNKNOWN
    udp: Udp = Udp.UNKNOWN


_UNKNOWN: Final = Network()


class RemoteAddress(NamedTuple):
    """An address of the other side in its code."""

    host: str
    "An IP address, or a name that ends with `.local`."
    port: int
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that one side has collected, and conclusions from them."""

    role: Role
    theirs: tuple[RemoteAddress, ...]
    "Addresses of the other side; for a listener, those in its own code."
    own: tuple[IPInterface, ...]
    "Addresses of this machine with their networks, without loopback."
    routed: frozenset[str] = frozenset()
    "Hosts of `theirs` to which this machine has a route."
    relay: bool = False
    "Whether this side has a relayed candidate."
    servers: tuple[str, ...] = ()
    "STUN servers that were queried, as `HOST:PORT`."
    mapped: tuple[tuple[str, int], ...] = ()
    """The mapped addresses in the responses of these servers, all of the same local port."""
    check_arrived: bool = False
    "Whether checks of the other side, or responses to ours, have arrived."
    tcp: bool = False
    "Whether a server without a response over UDP accepts or refuses TCP."
    closed: frozenset[str] = frozenset()
    "Hosts of `theirs` from which an ICMP message came: port unreachable."
    there: Network = _UNKNOWN
    "The network of the other side, as far as that side has sent it; with short codes only."

    @property
    def network(self) -> Network:
        """The network of this side."""
        ours = [place for place in self.mapped if not is_ipv6(place[0])]
        mapping = NatMapping.UNKNOWN
        if self.is_open:
            mapping = NatMapping.NONE
        elif len(ours) > 1:
            same = len(set(ours)) == 1
            mapping = NatMapping.ENDPOINT_INDEPENDENT if same else NatMapping.ADDRESS_DEPENDENT
        udp = Udp.WORKS if self.mapped else Udp.UNKNOWN
        return Network(mapping, Udp.BLOCKED if self.is_udp_blocked else udp)

    @property
    def is_udp_blocked(self) -> bool:
        """Whether UDP is blocked here; one silent server alone may be out of order."""
        return self.is_silent and self.tcp and len(self.servers) > 1

    @property
    def hosts(self) -> list[IP]:
        """The IP addresses of the other side, without `.local` names."""
        return _ips(self.theirs)

    @property
    def public(self) -> list[IP]:
        """The addresses that are not private."""
        return [ip for ip in self.hosts if not is_private(ip)]

    @property
    def near(self) -> list[IP]:
        """Those that are in a network of this machine, without relayed ones."""
        direct = _ips(place for place in self.theirs if not place.relayed)
        return [ip for ip in direct if any(ip in own.network for own in self.own)]

    @property
    def is_near(self) -> bool:
        """Whether the other side is in a network of this machine, by `near` and `is_apart`."""
        return bool(self.near) and not self.is_apart

    @property
    def is_apart(self) -> bool:
        """Whether both sides have public IPv4 addresses that differ, and `near` is private only."""
        ours = {host for host, _ in self.mapped if not is_ipv6(host)}
        theirs = {str(ip) for ip in self.public if ip.version == 4}
        differ = bool(ours) and bool(theirs) and not ours & theirs
        return differ and all(is_private(ip) for ip in self.near)

    @property
    def is_self(self) -> bool:
        """Whether the addresses of the other side are those of this machine."""
        own = {interface.ip for interface in self.own}
        if self.is_near:
            return all(ip in own for ip in self.near)
        return bool(self.hosts) and all(ip.is_loopback for ip in self.hosts)

    @property
    def shared(self) -> str:
        """The public IPv4 address of a NAT in front of both sides, or an empty string."""
        own = {str(interface.ip) for interface in self.own}
        theirs = {str(ip) for ip in self.public if ip.version == 4}
        ours = (host for host, _ in self.mapped if host not in own)
        return next((host for host in ours if host in theirs), "")

    @property
    def closed_exactly(self) -> list[str]:
        """Hosts that have sent an ICMP message themselves, not a NAT in front of them."""
        exact = self.near or (self.public if len(self.public) == len(self.hosts) else [])
        return [str(ip) for ip in exact if str(ip) in self.closed]

    @property
    def is_silent(self) -> bool:
        """Whether STUN servers were queried and none has responded."""
        return bool(self.servers) and not self.mapped

    @property
    def is_elsewhere(self) -> bool:
        """Whether the other side has private addresses of another network only.

        A name that ends with `.local` hides a private one.
        """
        return bool(self.theirs) and not self.public and not self.near

    @property
    def is_other_family(self) -> bool:
        """Whether the addresses of the two sides have no common family, as far as they are known.

        A name that ends with `.local` may hide an address of any family, which is in its network.
        """
        common = {one.version for one in self.own} & {ip.version for ip in self.hosts}
        is_reachable = common or self.routed or self.relay
        return bool(self.own) and bool(self.hosts) and not is_reachable

    @property
    def is_symmetric(self) -> bool:
        """Whether the NAT maps one local port differently for two servers (RFC 4787, 4.1).

        False with public IPv6 addresses on both sides, which need no mapping.
        """
        six = any(one.version == 6 and not is_private(one.ip) for one in self.own)
        if six and any(ip.version == 6 for ip in self.public):
            return False
        return len({place for place in self.mapped if not is_ipv6(place[0])}) > 1

    @property
    def is_open(self) -> bool:
        """Whether there is no NAT in front of this machine, for IPv4."""
        own = {str(interface.ip) for interface in self.own}
        return any(host in own for host, _ in self.mapped if not is_ipv6(host))

    @property
    def is_translated(self) -> bool:
        """Whether there is a NAT in front of this machine, for IPv4."""
        return not self.is_open and any(not is_ipv6(host) for host, _ in self.mapped)


RULES: Final[tuple[tuple[Situation, Callable[[Facts], bool]], ...]] = (
    (Situation.CHECKS_ARRIVE, lambda f: f.check_arrived),
    (Situation.NO_FAMILY, lambda f: f.is_other_family),
    # Only a relay over TCP helps there; without one, that side has no relayed address.
    (
        Situation.UDP_BLOCKED_THERE,
        lambda f: (
            f.there.udp is Udp.BLOCKED
            and not f.is_udp_blocked
            and not f.is_near
            and not any(place.relayed for place in f.theirs)
        ),
    ),
    # The other side has reached neither a STUN server nor the relay of this side.
    (Situation.PRIVATE, lambda f: f.relay and f.is_elsewhere),
    # Without UDP here, a relay of the other side is not reachable either.
    (
        Situation.RELAY_SILENT,
        lambda f: f.relay or (any(place.relayed for place in f.theirs) and not f.is_silent),
    ),
    (Situation.THIS_MACHINE, lambda f: f.is_self),
    (Situation.SAME_ADDRESSES, lambda f: bool(f.near) and f.is_apart),
    (Situation.PORT_CLOSED, lambda f: f.is_near and bool(f.closed_exactly)),
    (Situation.SAME_NETWORK, lambda f: f.is_near),
    (Situation.SAME_NAT, lambda f: bool(f.shared)),
    (Situation.UDP_BLOCKED, lambda f: f.is_udp_blocked),
    (Situation.STUN_SILENT, lambda f: f.is_silent and f.tcp),
    (Situation.NO_INTERNET, lambda f: f.is_silent),
    # Not before UDP works here: a firewall may reject it with the same ICMP message.
    (Situation.PORT_CLOSED, lambda f: bool(f.closed_exactly)),
    (Situation.PRIVATE, lambda f: bool(f.theirs) and not f.public),
    (Situation.SYMMETRIC, lambda f: f.is_symmetric),
    (Situation.SYMMETRIC_THERE, lambda f: f.there.mapping is NatMapping.ADDRESS_DEPENDENT),
    (Situation.FIREWALL, lambda f: bool(f.hosts) and len(f.public) == len(f.hosts)),
    (Situation.OPEN_HERE, lambda f: f.is_open),
    (Situation.NAT, lambda f: bool(f.public)),
    (Situation.UNKNOWN, lambda f: True),
)
"The first rule that applies decides, among those with an entry in `reasons`."


def is_private(address: IP) -> bool:
    """Return whether *address* is private, and so of another host in each network.

    >>> [is_private(ipaddress.ip_address(text)) for text in ("10.1.2.3", "203.0.113.1", "fd00::1")]
    [True, False, True]
    """
    return any(address in network for network in _PRIVATE if network.version == address.version)


def foreseen(facts: Facts) -> Situation | None:
    """Return the situation that is known before a packet is sent, or None.

    Only without a route to any address of the other side and without a relay: a host with IPv6 only
    and a translator (RFC 6877) has a route to IPv4 addresses.
    """
    named = any(place.host.endswith(".local") for place in facts.theirs)
    if facts.routed or named or not facts.hosts or facts.relay:
        return None
    if not facts.own:
        return Situation.NO_NETWORK
    common = {one.version for one in facts.own} & {ip.version for ip in facts.hosts}
    return Situation.NO_ROUTE if common else Situation.NO_FAMILY


def foreseen_while_waiting(facts: Facts) -> Situation | None:
    """Return the situation of a side that waits, at its start, or None."""
    if facts.role is Role.ANSWERER:
        return Situation.NO_FAMILY if foreseen(facts) is Situation.NO_FAMILY else None
    # An IPv6 address may be reachable.
    six = any(ip.version == 6 for ip in facts.public)
    return Situation.NAT_HERE if facts.is_translated and not six else None


def situation_while_waiting(facts: Facts) -> Situation:
    """Return the situation of a side that waits, after a minute without a check."""
    if facts.is_silent and not facts.relay:
        return Situation.NO_CHECK_STUN
    translated = facts.role is Role.LISTENER and facts.is_translated
    return Situation.NO_CHECK_NAT if translated else Situation.NO_CHECK


def _ips(places: Iterable[RemoteAddress]) -> list[IP]:
    return [ipaddress.ip_address(p.host) for p in places if not p.host.endswith(".local")]
