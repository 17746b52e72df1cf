"""Discovery on machines with two networks, none, changing ones, or a firewall."""

from __future__ import annotations

import functools
import os
from typing import Final

import pytest

from dcsend.net.multicast import joined
from dcsend.rendezvous import discovery
from dcsend.rendezvous.discovery import Found
from tests.support.inside import has, inside, linked
from tests.support.netns import Host, MakeLan, batch, lan

__all__ = ["lan", "linked"]

pytestmark = pytest.mark.full

PORT = 4711
SECOND: Final = ("192.0.2.1", "192.0.2.2")
NO_MDNS: Final = "add table inet f; add chain inet f in { type filter hook input priority 0; }; "
DROP: Final = "add rule inet f in iifname != lo udp dport 5353 drop"


def add_network(one: Host, other: Host) -> None:
    """Join two hosts by a second network, with the addresses `SECOND`."""
    batch(one.namespace, f"link add eth1 type veth peer name eth1 netns {other.namespace}")
    for host, ip in zip((one, other), SECOND, strict=True):
        batch(host.namespace, f"address add {ip}/24 dev eth1", "link set eth1 up")
    one.inside(functools.partial(has, SECOND[0]))
    other.inside(functools.partial(has, SECOND[1]))


def test_number_is_found_in_both_networks_of_a_machine(linked: MakeLan) -> None:
    allocator_host, first = linked(ipv6=False).hosts
    second = linked(hosts=1, ipv4=False, ipv6=False).hosts[0]
    batch(second.namespace, "link set eth0 down")
    add_network(allocator_host, second)
    with (
        inside(allocator_host, first, second) as (allocator, one, other),
        allocator.within(discovery.announced("7", PORT)),
    ):
        # Each gets the address in its own network first.
        assert one.run(discovery.find("7")) == [Found((allocator_host.ipv4, SECOND[0]), PORT)]
        assert other.run(discovery.find("7")) == [Found((SECOND[0], allocator_host.ipv4), PORT)]


def test_joiner_with_two_networks_finds_one_place(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    add_network(*hosts)
    with inside(*hosts) as (allocator, joiner), allocator.within(discovery.announced("7", PORT)):
        places = joiner.run(discovery.find("7"))
    assert [place.port for place in places] == [PORT]
    assert set(places[0].hosts) == {hosts[0].ipv4, SECOND[0]}


def test_machine_without_a_network_finds_its_own_numbers_only(linked: MakeLan) -> None:
    host = linked(hosts=1, ipv4=False, ipv6=False).hosts[0]
    with inside(host, host) as (allocator, joiner):
        assert joiner.run(discovery.find("7", patience=0.3)) == []
        with allocator.within(discovery.announced("7", PORT)) as announcement:
            assert announcement.is_announced
            assert joiner.run(discovery.find("7")) == [Found(("127.0.0.1",), PORT)]


def test_machine_without_any_address_announces_and_finds_nothing(linked: MakeLan) -> None:
    host = linked(hosts=1, ipv4=False, ipv6=False).hosts[0]
    batch(host.namespace, "link set lo down", "address flush dev lo")
    with inside(host) as (alone,), alone.within(discovery.announced("7", PORT)) as announcement:
        assert not announcement.is_announced
        assert alone.run(discovery.find("7")) == []
        assert not alone.run(discovery.is_taken("7"))


def test_number_behind_a_firewall_that_drops_mdns_is_not_announced(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    hosts[0].run(["nft", NO_MDNS + DROP])
    with inside(*hosts) as (allocator, _joiner):
        with allocator.within(discovery.announced("7", PORT)) as announcement:
            assert not announcement.is_announced
        assert not allocator.run(discovery.is_taken("7"))


def test_network_that_appears_later_is_announced(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    batch(hosts[0].namespace, "link set eth0 down", "address flush dev eth0")
    with (
        inside(*hosts) as (allocator, joiner),
        allocator.within(discovery.announced("7", PORT)) as announcement,
    ):
        assert not joiner.run(discovery.is_taken("7"))
        batch(hosts[0].namespace, "link set eth0 up", f"address add {hosts[0].ipv4}/24 dev eth0")
        allocator.run(has(hosts[0].ipv4))
        allocator.run(announcement.update())
        assert announcement.is_announced
        assert joiner.run(discovery.find("7")) == [Found((hosts[0].ipv4,), PORT)]


def test_number_is_withdrawn_while_there_is_no_address(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    addresses = [hosts[0].ipv4]
    with (
        inside(*hosts) as (allocator, joiner),
        allocator.within(discovery.announced("7", PORT, lambda: addresses)) as announcement,
    ):
        addresses = []
        allocator.run(announcement.update())
        states = [announcement.is_announced]
        assert not joiner.run(discovery.is_taken("7"))
        addresses = [SECOND[0]]
        allocator.run(announcement.update())
        states.append(announcement.is_announced)
        assert states == [False, True]
        assert joiner.run(discovery.find("7")) == [Found((SECOND[0],), PORT)]


def test_firewall_is_noticed_in_a_network_that_appears_later(linked: MakeLan) -> None:
    """The first announcement comes back, over loopback."""
    host = linked(hosts=1, ipv6=False).hosts[0]
    host.run(["nft", NO_MDNS + DROP])
    batch(host.namespace, "link set eth0 down", "address flush dev eth0")
    with (
        inside(host) as (allocator,),
        allocator.within(discovery.announced("7", PORT)) as announcement,
    ):
        states = [announcement.is_announced]
        batch(host.namespace, "link set eth0 up", f"address add {host.ipv4}/24 dev eth0")
        allocator.run(has(host.ipv4))
        allocator.run(announcement.update())
        states.append(announcement.is_announced)
        assert states == [True, False]


def test_changed_address_is_announced(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    new = hosts[0].ipv4 + "7"
    with (
        inside(*hosts) as (allocator, joiner),
        allocator.within(discovery.announced("7", PORT)) as announcement,
    ):
        assert joiner.run(discovery.find("7")) == [Found((hosts[0].ipv4,), PORT)]
        batch(hosts[0].namespace, "address flush dev eth0", f"address add {new}/24 dev eth0")
        allocator.run(has(new))
        allocator.run(announcement.update())
        assert announcement.is_announced
        assert joiner.run(discovery.find("7")) == [Found((new,), PORT)]


def test_addresses_that_are_the_same_are_not_announced_again(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    with (
        inside(hosts[0]) as (allocator,),
        allocator.within(discovery.announced("7", PORT)) as announcement,
    ):
        service = announcement._service
        allocator.run(announcement.update())
        assert announcement._service is service


def test_tasks_of_one_loop_share_their_sockets(linked: MakeLan) -> None:
    host = linked(hosts=1).hosts[0]

    async def opened() -> int:
        return len(os.listdir("/dev/fd"))

    with inside(host) as (alone,):
        before = alone.run(opened())
        with alone.within(discovery.announced("7", PORT)):
            used = alone.run(opened())
            assert used > before
            with alone.within(joined()):
                assert alone.run(opened()) == used
            assert alone.run(discovery.is_taken("7"))
            assert alone.run(opened()) == used
        assert alone.run(opened()) == before
