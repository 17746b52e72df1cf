"""Makes a topology out of network namespaces.

    a, b ── router of a site ── (provider) ── internet ── server

The internet is a router: 203.0.113.254 and fe80::1 on each of its links. Addresses: routers have
203.0.113.1 (the site of `a`) and .2, hosts without a router .21 and .22, the server .10 and .11;
LANs are 10.1.0.0/24 and 10.2.0.0/24, the guests' 10.3.0.0/24, 2001:db8:1::/64 and 2001:db8:2::/64.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.lab import rules
from tests.lab.topologies import Site, Topology
from tests.lab.wires import Wire, wired
from tests.support import netns
from tests.support.netns import Host

__all__ = ["SERVER", "SERVER_2", "Net", "Plug", "Router", "hosts"]

SERVER: Final = ("203.0.113.10", "2001:db8:ff::10")
SERVER_2: Final = ("203.0.113.11", "2001:db8:ff::11")
"Addresses of the server; the second pair is for what needs two."
_GATEWAY: Final = "203.0.113.254"
_VPN_MTU: Final = 1280
_QUEUE: Final = 5000
_SECOND: Final = Site(hosts="", uplink="dead")

_FORWARD: Final = """
echo 1 > /proc/sys/net/ipv4/ip_forward
test ! -d /proc/sys/net/ipv6 || echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
# What one host of a LAN sends another does not go through the firewall.
for file in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do
  test ! -e "$file" || echo 0 > "$file"
done
"""


@dataclass(slots=True)
class Plug:
    """Where a host is connected to a network."""

    interface: str
    "Of the host."
    namespace: str
    "Of its other end."
    port: str
    "The interface at the other end."
    commands: list[str] = field(default_factory=list)
    "What `ip` was given for the addresses and routes; given again after the link was down."


@dataclass(slots=True)
class Router:
    """The router of a site or of a provider: its namespace and its function."""

    namespace: str
    site: Site
    lan: str
    "First three numbers of its LAN."
    prefix6: str
    "IPv6 prefix of its LAN without `::/64`, or empty."
    public: str = ""
    "Its IPv4 address on the internet or in the provider's network."
    hosts: dict[str, str] = field(default_factory=dict)
    "IPv4 addresses of the hosts behind it."
    plugged: int = 0


class Net:
    """The namespaces of one laboratory.

    Args:
        start: what their names begin with.
        cleanup: takes them away.
        wires: slow links to the internet: of `a`, `b`, `server`.
    """

    def __init__(
        self, start: str, cleanup: contextlib.ExitStack, wires: Mapping[str, Wire]
    ) -> None:
        self._start = start
        self._cleanup = cleanup
        self._wires = wires
        self._ports = 0
        self.plugs: dict[str, list[Plug]] = {}
        "Connections of each namespace to others, the first one first."
        self.routers: dict[str, Router] = {}
        "By host, and by the name of a provider."
        self.internet = self._space("inet", forward=True)
        netns.batch(self.internet, f"address add {_GATEWAY}/32 dev lo")
        self.server = self.host("server", *SERVER)
        self._attach(self.server.namespace, "server", "eth0", *SERVER)
        port = self.plugs[self.server.namespace][0].port
        for address, way in zip(SERVER_2, ("", "via fe80::2 "), strict=True):
            netns.batch(self.server.namespace, f"address add {address} dev eth0")
            netns.batch(self.internet, f"route add {address} {way}dev {port}")

    # --- parts

    def host(self, label: str, ipv4: str = "", ipv6: str = "", *, has_ipv6: bool = True) -> Host:
        """Make a host without an interface."""
        made = Host(f"{self._start}-{label}", ipv4, ipv6)
        self._cleanup.callback(made.end)
        netns.add_namespace(made.namespace, ipv6=has_ipv6)
        return made

    def router(self, label: str, site: Site, number: int, lan: str = "") -> Router:
        """Make a router with a LAN, without an uplink."""
        namespace = self._space(label, forward=True)
        prefix6 = f"2001:db8:{number:x}" if site.ipv6 else ""
        made = Router(namespace, site, lan or f"10.{number}.0", prefix6)
        netns.batch(
            namespace,
            "link add lan type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set lan up",
            *([f"address add {made.lan}.1/24 dev lan"] if site.ipv4 else []),
            *([f"address add {prefix6}::1/64 dev lan nodad"] if prefix6 else []),
            *(["address add fe80::1/64 dev lan nodad"] if prefix6 else []),
        )
        return made

    def connect(self, router: Router, label: str, number: int) -> None:
        """Connect a router to the internet."""
        site = router.site
        router.public = f"203.0.113.{number}" if site.ipv4 else ""
        works = site.ipv6 in ("open", "firewall")
        v6 = f"2001:db8:ff::{number:x}" if works else ""
        prefix = f"{router.prefix6}::/64" if works else ""
        self._attach(router.namespace, label, "wan", router.public, v6, prefix)
        if site.mtu:
            netns.batch(router.namespace, f"link set wan mtu {site.mtu}")
            netns.batch(self.internet, f"link set {self.port_of(router)} mtu {site.mtu}")
        self.apply(router)

    def behind(self, router: Router, carrier: Router) -> None:
        """Connect a router to a provider's."""
        router.public = self.plug(router.namespace, carrier, "wan")[0]
        self.apply(router)

    def apply(self, router: Router) -> None:
        """Replace the rules of a router."""
        text = rules.router(router.site, router.public, router.hosts)
        if router.site.uplink == "dead":
            text += rules.SWALLOW
        self.nft(router.namespace, f"flush ruleset\n{text}")

    def plug(
        self, namespace: str, router: Router, interface: str, *, metric: int = 0, number: int = 0
    ) -> tuple[str, str]:
        """Connect a host to the LAN of a router; return its addresses."""
        router.plugged += 1
        number = number or router.plugged + 1
        site = router.site
        port = f"l{number}"
        _veth(namespace, interface, router.namespace, port)
        netns.batch(router.namespace, f"link set {port} master lan up")
        if site.isolated:
            _run(router.namespace, "bridge", "link", "set", "dev", port, "isolated", "on")
        plug = Plug(interface, router.namespace, port)
        v4 = f"{router.lan}.{number}" if site.ipv4 else ""
        v6 = f"{router.prefix6}::{number:x}" if router.prefix6 else ""
        last = f" metric {metric}" if metric else ""
        if v4:
            plug.commands.append(f"address replace {v4}/24 dev {interface}")
        if v6:
            plug.commands.append(f"address replace {v6}/64 dev {interface} nodad")
        if v4 and site.uplink != "none":
            plug.commands.append(f"route replace default via {router.lan}.1 dev {interface}{last}")
        if v6 and site.uplink != "none":
            plug.commands.append(f"route replace ::/0 via fe80::1 dev {interface}{last}")
        self._take(namespace, plug)
        return v4, v6

    def guest(self, namespace: str, router: Router) -> str:
        """Connect a host to a router's guests' LAN; return its address."""
        _veth(namespace, "eth0", router.namespace, "lan-guests")
        netns.batch(
            router.namespace, "address add 10.3.0.1/24 dev lan-guests", "link set lan-guests up"
        )
        plug = Plug("eth0", router.namespace, "lan-guests")
        plug.commands += ["address replace 10.3.0.2/24 dev eth0"]
        plug.commands += ["route replace default via 10.3.0.1 dev eth0"]
        self._take(namespace, plug)
        return "10.3.0.2"

    def public(self, host: Host, label: str) -> None:
        """Connect a host to the internet without a router."""
        self._attach(host.namespace, label, "eth0", host.ipv4, host.ipv6)

    def nft(self, namespace: str, text: str) -> None:
        """Add rules to a namespace."""
        _run(namespace, "nft", "-f", "-", stdin=text)

    def port_of(self, router: Router) -> str:
        """Return the interface of the internet that leads to a router."""
        return next(
            plug.port
            for plug in self.plugs[router.namespace]
            if plug.namespace == self.internet and plug.interface == "wan"
        )

    def _space(self, label: str, *, forward: bool) -> str:
        namespace = f"{self._start}-{label}"
        self._cleanup.callback(netns.remove_namespace, namespace)
        netns.add_namespace(namespace, ipv6=True)
        if forward:
            _run(namespace, "sh", "-ec", _FORWARD)
        return namespace

    def _take(self, namespace: str, plug: Plug) -> None:
        """Use a plug: switch it on, with its addresses and routes."""
        self.plugs.setdefault(namespace, []).append(plug)
        netns.batch(namespace, f"link set {plug.interface} up txqueuelen {_QUEUE}", *plug.commands)

    def _attach(
        self, namespace: str, label: str, interface: str, v4: str, v6: str, prefix6: str = ""
    ) -> None:
        """Connect a namespace to the internet; *prefix6* is a LAN that is routed to it."""
        self._ports += 1
        port = f"p{self._ports}"
        if wire := self._wires.get(label):
            self._cleanup.enter_context(
                wired(f"{namespace}/{interface}", f"{self.internet}/{port}", wire)
            )
        else:
            _veth(namespace, interface, self.internet, port)
        plug = Plug(interface, self.internet, port)
        # TUN devices of slow links drop what exceeds a short queue of their own.
        there = [
            f"link set {port} up txqueuelen {_QUEUE}",
            f"address add fe80::1/64 dev {port} nodad",
        ]
        if v4:
            there.append(f"route add {v4}/32 dev {port}")
            plug.commands += [
                f"address replace {v4}/32 dev {interface}",
                f"route replace {_GATEWAY}/32 dev {interface} scope link src {v4}",
                f"route replace default via {_GATEWAY} dev {interface} src {v4}",
            ]
        if v6:
            there.append(f"route add {v6}/128 via fe80::2 dev {port}")
            plug.commands += [
                f"address replace fe80::2/64 dev {interface} nodad",
                f"address replace {v6}/128 dev {interface} nodad",
                f"route replace ::/0 via fe80::1 dev {interface}",
            ]
        if prefix6:
            there.append(f"route add {prefix6} via fe80::2 dev {port}")
        netns.batch(self.internet, *there)
        self._take(namespace, plug)


def hosts(net: Net, topology: Topology) -> tuple[Host, Host]:
    """Make the network of a topology; return `a` and `b`."""
    made = {}
    for label in "ab":
        site = topology.site(label)
        six = bool(site.ipv6)
        v4 = f"203.0.113.{20 + 'ab'.index(label) + 1}" if site.nat is None and site.ipv4 else ""
        made[label] = net.host(label, v4, has_ipv6=six)
        low, high = rules.PORTS[label]
        _run(
            made[label].namespace,
            *("sh", "-c", f"echo {low} {high} > /proc/sys/net/ipv4/ip_local_port_range"),
        )
    for number, site in enumerate(topology.sites, start=1):
        _make_site(net, topology, site, number, {label: made[label] for label in site.hosts})
    _make_vpn(net, topology, made)
    return made["a"], made["b"]


def _make_site(
    net: Net, topology: Topology, site: Site, number: int, members: Mapping[str, Host]
) -> None:
    label = site.hosts[0]
    if site.nat is None:
        net.public(members[label], label)
        return
    router = net.router(f"r{label}", site, number)
    for name, host in members.items():
        net.routers[name] = router
        if name in topology.second:
            dead = net.router(f"dead-{name}", _SECOND, 5)
            net.apply(dead)
            net.plug(host.namespace, dead, "eth1", metric=100)
        if site.guests and name == "b":
            host.ipv4 = net.guest(host.namespace, router)
        else:
            later = 600 if name in topology.second else 0
            host.ipv4, host.ipv6 = net.plug(host.namespace, router, "eth0", metric=later)
        router.hosts[name] = host.ipv4
        if name in site.firewalls:
            net.nft(host.namespace, rules.HOST_FIREWALL)
    if site.carrier:
        if site.carrier not in net.routers:
            provider = net.router(site.carrier, Site(hosts=""), 3, "100.64.0")
            net.connect(provider, site.carrier, 3)
            net.routers[site.carrier] = provider
        net.behind(router, net.routers[site.carrier])
    elif site.uplink == "none":
        net.apply(router)
    else:
        net.connect(router, label, number)


def _make_vpn(net: Net, topology: Topology, made: Mapping[str, Host]) -> None:
    """Make the tunnels; what they carry does not take the way through the topology."""
    if not topology.vpn:
        return
    ends = {label: f"100.101.0.{number}" for number, label in enumerate("ab", start=1)}
    if topology.vpn == "mesh":
        pairs = [(made["a"].namespace, ends["a"]), (made["b"].namespace, ends["b"])]
    else:
        exit_ = net.router("vpn", Site(hosts=""), 6)
        net.connect(exit_, "vpn", 30)
        pairs = [(made["a"].namespace, ends["a"]), (exit_.namespace, "100.101.0.254")]
    net._cleanup.enter_context(wired(f"{pairs[0][0]}/tun0", f"{pairs[1][0]}/tun0", Wire()))
    for namespace, address in pairs:
        netns.batch(
            namespace,
            f"address add {address}/24 dev tun0",
            f"link set tun0 mtu {_VPN_MTU} up",
        )
    if topology.vpn in ("exit", "kill"):
        netns.batch(made["a"].namespace, "route replace default dev tun0")
    if topology.vpn == "kill":
        net.nft(made["a"].namespace, rules.cut_off("eth0"))


def _veth(one: str, interface: str, other: str, port: str) -> None:
    netns.batch(one, f"link add {interface} type veth peer name {port} netns {other}")


def _run(namespace: str, *argv: str, stdin: str = "") -> None:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *argv],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}\n{stdin}"
