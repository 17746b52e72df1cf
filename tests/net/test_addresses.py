"""Which addresses go into the code: as a table, and on hosts with real interfaces."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dcsend
from dcsend.net.interfaces import (
    MAX_IPV4,
    MAX_IPV6,
    Interface,
    interfaces,
    rank,
    route_sources,
)
from tests.support.netns import Host, MakeLan

WIFI, CABLE = "192.168.1.7", "10.0.0.5"
TABLE = {
    "nothing": ("", [], []),
    "loopback-alone": ("lo=127.0.0.1 lo=::1", [], ["127.0.0.1", "::1"]),
    "loopback-only-if-alone": (f"lo=127.0.0.1 lo=::1 wlan0={WIFI}", [], [WIFI]),
    "default-route-first": (f"eth0={CABLE} wlan0={WIFI}", [WIFI], [WIFI, CABLE]),
    "both-default-routes": (
        f"eth0={CABLE} eth0=fd00::5 wlan0={WIFI} wlan0=2001:db8::7",
        [WIFI, "2001:db8::7"],
        [WIFI, "2001:db8::7", CABLE],
    ),
    "docker": (f"docker0=172.17.0.1 br-1234=172.18.0.1 veth9=172.19.0.1 eth0={CABLE}", [], [CABLE]),
    "docker-alone": ("lo=127.0.0.1 docker0=172.17.0.1", [], ["172.17.0.1"]),
    "docker-with-the-default-route": (
        f"docker0=172.17.0.2 eth0={CABLE}",
        ["172.17.0.2"],
        ["172.17.0.2", CABLE],
    ),
    "bridge-of-the-machine": (f"br0={CABLE}", [], [CABLE]),
    "windows-guests": (f"Hyper-V_Virtual_Ethernet=172.30.0.1 Intel={CABLE}", [], [CABLE]),
    "self-assigned": (f"eth1=169.254.3.4 eth0={CABLE}", [], [CABLE]),
    "self-assigned-alone": ("lo=127.0.0.1 eth1=169.254.3.4", [], ["169.254.3.4"]),
    "self-assigned-with-the-default-route": (
        f"eth1=169.254.3.4 eth0={CABLE}",
        ["169.254.3.4"],
        [CABLE],
    ),
    "vpn-first-if-routed": (f"tun0=10.8.0.2 wlan0={WIFI}", ["10.8.0.2"], ["10.8.0.2", WIFI]),
    "one-ipv6-of-many": ("e=2001:db8::1 e=2001:db8::2 e=fd00::1", ["2001:db8::2"], ["2001:db8::2"]),
    "three-ipv4-of-many": (
        "a=10.0.0.1 b=10.0.0.2 c=10.0.0.3 d=10.0.0.4",
        [],
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    ),
    "canonical": ("e=2001:DB8:0::0:1", [], ["2001:db8::1"]),
    "twice": (f"a={CABLE} b={CABLE}", [], [CABLE]),
    "routes-alone": ("", [WIFI], [WIFI]),
}


@pytest.mark.parametrize("name", TABLE)
def test_chosen_addresses(name: str) -> None:
    found, preferred, expected = TABLE[name]
    split = [word.split("=") for word in found.split()]
    here = [Interface(interface.replace("_", " "), address) for interface, address in split]
    assert rank(here, preferred) == expected


_addresses = st.ip_addresses().map(str)
_interfaces = st.builds(Interface, st.sampled_from(["lo", "eth0", "docker0", "tun0"]), _addresses)


@given(st.lists(_interfaces, max_size=12), st.lists(_addresses, max_size=2))
def test_choice_is_never_empty_nor_too_long(found: list[Interface], preferred: list[str]) -> None:
    chosen = rank(found, preferred)
    assert bool(chosen) == bool(found or preferred)
    assert len(set(chosen)) == len(chosen)
    assert sum(":" not in a for a in chosen) <= MAX_IPV4
    assert sum(":" in a for a in chosen) <= MAX_IPV6
    assert set(chosen) <= {i.address for i in found} | set(preferred)
    assert rank(found, preferred) == chosen


def test_this_machine_is_asked_without_an_error() -> None:
    found = interfaces()
    assert "127.0.0.1" in {interface.address for interface in found}
    assert not [i for i in found if i.address.startswith("fe80")]
    assert rank(found, route_sources())


def test_system_that_hides_its_interfaces_leaves_the_routes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> list[object]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ifaddr.get_adapters", refuse)
    assert interfaces() == []


# On hosts of their own


def asked(host: Host, script: str) -> list[str]:
    """Run a line of script on a host; return the words that it prints."""
    root = Path(dcsend.__file__).parent.parent
    start = f"import sys; sys.path.insert(0, {str(root)!r}); from dcsend.net.interfaces import *"
    return host.run([sys.executable, "-c", f"{start}; {script}"]).stdout.split()


def chosen_on(host: Host) -> list[str]:
    return asked(host, "print(*rank(interfaces(), route_sources()))")


def ip(host: Host, *commands: str) -> None:
    for command in commands:
        host.run(["ip", *command.split()])


def with_guests(host: Host) -> None:
    """Give a host Docker's bridge and an address that it gave itself."""
    ip(
        host,
        *("link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0"),
        *("link set docker0 up", "link add eth9 type veth peer name peer9"),
        # An empty bridge has no carrier.
        *("link set eth9 up", "link set peer9 master docker0 up"),
        "address add 169.254.9.9/16 dev eth9",
    )


def test_host_on_a_lan_shows_the_lan_and_not_its_guests(lan: MakeLan) -> None:
    host = lan(hosts=1).hosts[0]
    with_guests(host)
    assert set(chosen_on(host)) == {host.ipv4, host.ipv6}


def test_host_with_two_lans_shows_the_one_with_the_default_route_first(lan: MakeLan) -> None:
    host = lan(hosts=1).hosts[0]
    with_guests(host)
    gateway = host.ipv4.rpartition(".")[0] + ".254"
    ip(
        host,
        *("link add aaa0 type veth peer name peer0", "link set aaa0 up", "link set peer0 up"),
        "address add 10.1.2.3/24 dev aaa0",
        f"route add default via {gateway}",
    )
    chosen = chosen_on(host)
    assert chosen[0] == host.ipv4
    assert set(chosen) == {host.ipv4, "10.1.2.3", host.ipv6}


def test_route_through_an_interface_without_an_address_names_none(lan: MakeLan) -> None:
    """As WireGuard has it that carries IPv4, and has an address of IPv6 only."""
    host = lan(hosts=1, ipv4=False).hosts[0]
    ip(host, "route add default dev eth0")
    assert chosen_on(host) == [host.ipv6]


def test_interface_whose_line_is_down_is_left_out(lan: MakeLan) -> None:
    host = lan(hosts=1, ipv6=False).hosts[0]
    ip(
        host,
        *("link add aaa0 type veth peer name peer0", "link set aaa0 up"),
        *("address add 10.1.2.3/24 dev aaa0", "route add default dev aaa0"),
    )
    assert chosen_on(host) == [host.ipv4]
    ip(host, "link set peer0 up")
    assert chosen_on(host) == ["10.1.2.3", host.ipv4]
    ip(host, "link set eth0 down", "link set aaa0 down")
    assert chosen_on(host) == ["127.0.0.1"]


def test_tunnel_of_any_name_is_distinguished_from_a_lan(lan: MakeLan) -> None:
    host = lan(hosts=1, ipv6=False).hosts[0]
    ip(host, "tuntap add corp0 mode tun")
    script = "[print(is_point_to_point(name)) for name in ('corp0', 'eth0', 'lo', 'none')]"
    assert asked(host, script) == ["True", "False", "False", "False"]


def test_host_with_ipv6_alone_shows_it(lan: MakeLan) -> None:
    host = lan(hosts=1, ipv4=False).hosts[0]
    assert chosen_on(host) == [host.ipv6]


def test_host_with_nothing_but_guests_shows_them(lan: MakeLan) -> None:
    host = lan(hosts=1, ipv4=False, ipv6=False).hosts[0]
    with_guests(host)
    assert chosen_on(host) == ["172.17.0.1"]


def test_host_without_any_network_shows_loopback(lan: MakeLan) -> None:
    host = lan(hosts=1, ipv4=False, ipv6=False).hosts[0]
    assert "127.0.0.1" in chosen_on(host)
