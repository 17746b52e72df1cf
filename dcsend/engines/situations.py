"""What stands between two sides that do not connect: facts in, one situation out.

Pure: a value, `Facts`, and rules. `diagnosis` collects the facts, `reasons` has the words for each
situation; `web-receiver/src/engines/reasons.ts` has the same situations for the page.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = [
    "IP",
    "RULES",
    "Facts",
    "IPInterface",
    "Place",
    "Role",
    "Situation",
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
"""RFC 1918, 6598, 3927, 4193, 4291. Not `is_private` of the standard library, which counts the
documentation addresses among them (IANA: not globally reachable)."""


class Role(enum.StrEnum):
    """What this side does."""

    DIALER = "dialer"
    OFFERER = "offerer"
    "It has pasted the answer, and tries to connect."
    LISTENER = "listener"
    ANSWERER = "answerer"
    "It has shown the answer, and waits until that is pasted."


class Situation(enum.StrEnum):
    """What stands between the two sides, as far as one of them knows."""

    NO_NETWORK = "no network"
    NO_FAMILY = "no common address family"
    NO_ROUTE = "no route"
    HEARD = "checks arrive, no connection"
    THIS_MACHINE = "addresses of the machine itself"
    RELAY_SILENT = "relay without effect"
    PORT_CLOSED = "port closed"
    SAME_NETWORK = "same network"
    SAME_ADDRESSES = "same private addresses, other public address"
    SAME_NAT = "same public address"
    UDP_BLOCKED = "UDP blocked here"
    STUN_SILENT = "no STUN answer"
    NO_INTERNET = "no internet"
    SYMMETRIC = "symmetric NAT here"
    OPEN_HERE = "NAT there, none here"
    NAT = "NAT there"
    FIREWALL = "firewall there"
    PRIVATE = "private addresses there"
    UNKNOWN = "not known"
    # Of the sides that wait:
    NAT_HERE = "NAT here"
    NO_CHECK = "no check for 60 s"
    NO_CHECK_NAT = "no check for 60 s, NAT here"
    NO_CHECK_STUN = "no check for 60 s, no STUN answer"


class Place(NamedTuple):
    """Where the other side can be reached, as its code says."""

    host: str
    "An IP address, or a name that ends with `.local`."
    port: int
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What one side knows, and what follows from that."""

    role: Role
    theirs: tuple[Place, ...]
    "Of a listener, what its own code has."
    own: tuple[IPInterface, ...]
    "Addresses of this machine with their networks, without those of loopback."
    routed: frozenset[str] = frozenset()
    "Hosts of `theirs` that this machine has a route to."
    relay: bool = False
    "Whether this side has a relay."
    servers: tuple[str, ...] = ()
    "STUN servers that were asked, as a person reads them; each has addresses of its own."
    mapped: tuple[tuple[str, int], ...] = ()
    """The address and port of this side that each of these servers has seen, one for each answer;
    all for the same local port."""
    heard: bool = False
    "Whether the other side's checks, or its answers to ours, have arrived."
    tcp: bool = False
    "Whether a server that did not answer over UDP accepts or refuses TCP."
    closed: frozenset[str] = frozenset()
    "Hosts of `theirs` from which an ICMP message came: port unreachable."

    @property
    def hosts(self) -> list[IP]:
        """The other side's addresses, as far as they are not names."""
        return _ips(self.theirs)

    @property
    def public(self) -> list[IP]:
        """Those that are the same machine in every network."""
        return [ip for ip in self.hosts if not is_private(ip)]

    @property
    def near(self) -> list[IP]:
        """Those that are in a network of this machine."""
        direct = _ips(place for place in self.theirs if not place.relayed)
        return [ip for ip in direct if any(ip in own.network for own in self.own)]

    @property
    def is_near(self) -> bool:
        """Whether one of them is, and not only by the same private addresses."""
        return bool(self.near) and not self.is_apart

    @property
    def is_apart(self) -> bool:
        """Whether both sides have a public IPv4 address, and different ones."""
        ours = {host for host, _ in self.mapped if ":" not in host}
        theirs = {str(ip) for ip in self.public if ip.version == 4}
        differ = bool(ours) and bool(theirs) and not ours & theirs
        return differ and all(is_private(ip) for ip in self.near)

    @property
    def is_self(self) -> bool:
        """Whether it is this machine that was tried."""
        own = {interface.ip for interface in self.own}
        if self.is_near:
            return all(ip in own for ip in self.near)
        return bool(self.hosts) and all(ip.is_loopback for ip in self.hosts)

    @property
    def shared(self) -> str:
        """The public IPv4 address of a NAT that both sides are behind, or nothing."""
        own = {str(interface.ip) for interface in self.own}
        theirs = {str(ip) for ip in self.public if ip.version == 4}
        ours = (host for host, _ in self.mapped if host not in own)
        return next((host for host in ours if host in theirs), "")

    @property
    def closed_exactly(self) -> list[str]:
        """Hosts whose own system, not a NAT in front of it, says that the port is closed."""
        exact = self.near or (self.public if len(self.public) == len(self.hosts) else [])
        return [str(ip) for ip in exact if str(ip) in self.closed]

    @property
    def is_silent(self) -> bool:
        """Whether STUN servers were asked and none has answered."""
        return bool(self.servers) and not self.mapped

    @property
    def is_elsewhere(self) -> bool:
        """Whether the other side has private addresses of another network only."""
        return bool(self.hosts) and not self.public and not self.near

    @property
    def is_symmetric(self) -> bool:
        """Whether two servers saw different addresses of one local port (RFC 4787, 4.1).

        It matters to IPv4 only: with public IPv6 addresses on both sides there is another way.
        """
        six = any(one.version == 6 and not is_private(one.ip) for one in self.own)
        if six and any(ip.version == 6 for ip in self.public):
            return False
        return len({place for place in self.mapped if ":" not in place[0]}) > 1

    @property
    def is_open(self) -> bool:
        """Whether no NAT is in front of this machine, for IPv4."""
        own = {str(interface.ip) for interface in self.own}
        return any(host in own for host, _ in self.mapped if ":" not in host)

    @property
    def is_translated(self) -> bool:
        """Whether a NAT is in front of this machine, for IPv4."""
        return not self.is_open and any(":" not in host for host, _ in self.mapped)


RULES: Final[tuple[tuple[Situation, Callable[[Facts], bool]], ...]] = (
    (Situation.HEARD, lambda f: f.heard),
    # Then the other side has reached neither a STUN server nor this side's relay.
    (Situation.PRIVATE, lambda f: f.relay and f.is_elsewhere),
    # Without UDP here, a relay of the other side can't be reached either.
    (
        Situation.RELAY_SILENT,
        lambda f: f.relay or (any(place.relayed for place in f.theirs) and not f.is_silent),
    ),
    (Situation.THIS_MACHINE, lambda f: f.is_self),
    (Situation.SAME_ADDRESSES, lambda f: bool(f.near) and f.is_apart),
    (Situation.PORT_CLOSED, lambda f: f.is_near and bool(f.closed_exactly)),
    (Situation.SAME_NETWORK, lambda f: f.is_near),
    (Situation.SAME_NAT, lambda f: bool(f.shared)),
    # One server alone may be the one that is out of order.
    (Situation.UDP_BLOCKED, lambda f: f.is_silent and f.tcp and len(f.servers) > 1),
    (Situation.STUN_SILENT, lambda f: f.is_silent and f.tcp),
    (Situation.NO_INTERNET, lambda f: f.is_silent),
    # Not before UDP works here: a firewall may reject it with the same ICMP message.
    (Situation.PORT_CLOSED, lambda f: bool(f.closed_exactly)),
    (Situation.PRIVATE, lambda f: bool(f.hosts) and not f.public),
    (Situation.SYMMETRIC, lambda f: f.is_symmetric),
    (Situation.FIREWALL, lambda f: bool(f.hosts) and len(f.public) == len(f.hosts)),
    (Situation.OPEN_HERE, lambda f: f.is_open),
    (Situation.NAT, lambda f: bool(f.public)),
    (Situation.UNKNOWN, lambda f: True),
)
"The first that applies decides, among those for which `reasons` has words."


def is_private(address: IP) -> bool:
    """Tell whether *address* means another machine in each network.

    >>> [is_private(ipaddress.ip_address(text)) for text in ("10.1.2.3", "203.0.113.1", "fd00::1")]
    [True, False, True]
    """
    return any(address in network for network in _PRIVATE if network.version == address.version)


def foreseen(facts: Facts) -> Situation | None:
    """Return what can be known before a packet is sent, or None.

    Only where no address of the other side can be sent to, and this side has no relay: a machine
    with IPv6 only and a translator of its own (RFC 6877) has a route to IPv4 addresses.
    """
    named = any(place.host.endswith(".local") for place in facts.theirs)
    if facts.routed or named or not facts.hosts or facts.relay:
        return None
    if not facts.own:
        return Situation.NO_NETWORK
    common = {one.version for one in facts.own} & {ip.version for ip in facts.hosts}
    return Situation.NO_ROUTE if common else Situation.NO_FAMILY


def foreseen_while_waiting(facts: Facts) -> Situation | None:
    """Return what a side that waits is told at once, or None."""
    if facts.role is Role.ANSWERER:
        return Situation.NO_FAMILY if foreseen(facts) is Situation.NO_FAMILY else None
    # An IPv6 address may be reachable, whatever IPv4 does.
    six = any(ip.version == 6 for ip in facts.public)
    return Situation.NAT_HERE if facts.is_translated and not six else None


def situation_while_waiting(facts: Facts) -> Situation:
    """Return what a side that waits is told after a minute without a check."""
    if facts.is_silent and not facts.relay:
        return Situation.NO_CHECK_STUN
    translated = facts.role is Role.LISTENER and facts.is_translated
    return Situation.NO_CHECK_NAT if translated else Situation.NO_CHECK


def _ips(places: Iterable[Place]) -> list[IP]:
    return [ipaddress.ip_address(p.host) for p in places if not p.host.endswith(".local")]
