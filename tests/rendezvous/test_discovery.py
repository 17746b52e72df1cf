"""Numbers of short codes, announced and found over real multicast between network namespaces."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import pytest

from dcsend.net.multicast import joined
from dcsend.rendezvous import discovery
from dcsend.rendezvous.discovery import Found, NumberAnnouncement
from tests.support.inside import inside, linked
from tests.support.netns import MakeLan, lan
from tests.support.peers import until

__all__ = ["lan", "linked"]

pytestmark = pytest.mark.full

PORT = 4711
Record = Callable[[str, object], None]


async def sent(announcement: NumberAnnouncement) -> None:
    """Wait until the last of the three announcements was sent."""
    sending = announcement._sending
    assert sending is not None
    await sending


@pytest.mark.parametrize(
    ("ipv4", "ipv6"), [(True, False), (False, True), (True, True)], ids=["IPv4", "IPv6", "both"]
)
def test_announced_number_is_found_with_all_addresses(
    linked: MakeLan, ipv4: bool, ipv6: bool, record_property: Record
) -> None:
    hosts = linked(ipv4=ipv4, ipv6=ipv6).hosts
    with inside(*hosts) as (allocator, joiner):
        began = time.monotonic()
        with allocator.within(discovery.announced("7", PORT)) as announcement:
            announced = time.monotonic()
            places = joiner.run(discovery.find("7"))
            found = time.monotonic()
            assert announcement.is_announced
    record_property("seconds until announced", announced - began)
    record_property("seconds until found", found - announced)
    assert [place.port for place in places] == [PORT]
    assert sorted(places[0].hosts) == sorted(filter(None, (hosts[0].ipv4, hosts[0].ipv6)))


def test_joiner_that_waits_already_finds_the_number_when_it_is_announced(
    linked: MakeLan, record_property: Record
) -> None:
    hosts = linked(ipv6=False).hosts
    with inside(*hosts) as (allocator, joiner):
        finding = joiner.start(discovery.find("7", patience=50))
        assert not joiner.run(discovery.is_taken("7"))  # the query has been sent by then
        began = time.monotonic()
        with allocator.within(discovery.announced("7", PORT)):
            places = finding.result()
            record_property("seconds until found", time.monotonic() - began)
    assert places == [Found((hosts[0].ipv4,), PORT)]


def test_two_joiners_find_the_number_one_after_the_other(
    linked: MakeLan, record_property: Record
) -> None:
    """The second one asks while the response to the first one is less than a second old."""
    hosts = linked(hosts=3, ipv6=False).hosts
    with inside(*hosts) as (allocator, *joiners), allocator.within(discovery.announced("7", PORT)):
        for joiner in joiners:
            began = time.monotonic()
            assert joiner.run(discovery.find("7")) == [Found((hosts[0].ipv4,), PORT)]
            record_property("seconds until found", time.monotonic() - began)


def test_two_programs_on_one_machine_find_the_number(
    linked: MakeLan, record_property: Record
) -> None:
    """Of their sockets with the same address and port, one gets the unicast responses."""
    hosts = linked(ipv6=False).hosts
    place = Found((hosts[0].ipv4,), PORT)
    with (
        inside(hosts[0], hosts[1], hosts[1]) as (allocator, one, other),
        allocator.within(discovery.announced("7", PORT)) as announcement,
    ):
        allocator.run(sent(announcement))
        with one.within(joined()), other.within(joined()):
            for joiner in (one, other):
                began = time.monotonic()
                assert joiner.run(discovery.find("7")) == [place]
                record_property("seconds until found", time.monotonic() - began)


def test_second_responder_that_is_late_is_found(
    linked: MakeLan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends its response when the one of the first has arrived."""
    monkeypatch.setattr(discovery, "GRACE", 1.0)
    hosts = linked(hosts=3, ipv6=False).hosts

    async def announce_late() -> None:
        assert await discovery.is_taken("7", patience=50)
        async with discovery.announced("7", 2):
            await asyncio.Event().wait()

    with inside(*hosts) as (one, other, joiner):
        late = other.start(announce_late())
        finding = joiner.start(discovery.find("7", patience=50))
        assert not joiner.run(discovery.is_taken("7"))  # both wait by then
        with one.within(discovery.announced("7", 1)):
            assert {place.port for place in finding.result()} == {1, 2}
        other.cancel(late)


def test_number_that_two_hosts_announce_is_found_twice(linked: MakeLan) -> None:
    """Also by a joiner that has received both: the record of one replaces that of the other."""
    hosts = linked(hosts=3, ipv6=False).hosts
    with (
        inside(*hosts) as (one, other, joiner),
        joiner.within(joined()),
        one.within(discovery.announced("7", 1)),
        other.within(discovery.announced("7", 2)),
    ):
        for _ in range(2):
            places = joiner.run(discovery.find("7"))
            expected = [Found((hosts[0].ipv4,), 1), Found((hosts[1].ipv4,), 2)]
            assert sorted(places, key=lambda place: place.port) == expected


def test_number_is_announced_once_by_one_program(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    with inside(*hosts) as (allocator, joiner), allocator.within(discovery.announced("7", 1)):
        with allocator.within(discovery.announced("7", 2)) as second:
            assert not second.is_announced
        assert joiner.run(discovery.find("7")) == [Found((hosts[0].ipv4,), 1)]


def test_number_is_taken_while_it_is_announced(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    with inside(*hosts) as (allocator, other), other.within(joined()):
        assert not other.run(discovery.is_taken("7"))
        with allocator.within(discovery.announced("7", PORT)):
            assert other.run(discovery.is_taken("7"))
            # zeroconf ignores the next responses: they are equal to the first.
            assert other.run(discovery.is_taken("7"))
            assert other.run(discovery.is_taken("7"))
            assert not other.run(discovery.is_taken("8"))


def test_number_is_free_and_is_not_found_after_the_end(linked: MakeLan) -> None:
    """The joiner has the record of the announcement in its cache until it is withdrawn."""
    hosts = linked(ipv6=False).hosts
    with (
        inside(*hosts) as (allocator, joiner),
        allocator.within(joined()),
        joiner.within(joined()) as network,
    ):

        def cached() -> bool:
            assert network is not None
            return bool(network.zeroconf.cache.entries_with_name("7._dcsend._tcp.local."))

        with allocator.within(discovery.announced("7", PORT)):
            assert joiner.run(discovery.find("7"))
            assert cached()
        joiner.run(until(lambda: not cached()))
        assert not joiner.run(discovery.is_taken("7"))
        assert joiner.run(discovery.find("7", patience=0.3)) == []


def test_number_is_withdrawn_when_the_task_is_cancelled(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts

    async def announce(entered: asyncio.Event) -> None:
        async with discovery.announced("7", PORT):
            entered.set()
            await asyncio.Event().wait()

    async def cancelled() -> None:
        entered = asyncio.Event()
        task = asyncio.create_task(announce(entered))
        await entered.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    with inside(*hosts) as (allocator, joiner):
        allocator.run(cancelled())
        assert not joiner.run(discovery.is_taken("7"))


def test_announcement_reveals_no_name_of_the_machine(linked: MakeLan) -> None:
    """The host name is random, and another one for each number."""
    hosts = linked(ipv6=False).hosts
    names: list[str] = []
    with inside(*hosts) as (allocator, neighbour), neighbour.within(joined()) as network:
        assert network is not None
        for number in ("7", "8"):
            instance = f"{number}._dcsend._tcp.local."
            with allocator.within(discovery.announced(number, PORT)):
                assert neighbour.run(discovery.is_taken(number))
                cached = network.zeroconf.cache.entries_with_name(instance)
                names += {record.server for record in cached if hasattr(record, "server")}
    assert len(set(names)) == len(names) == 2
    for name in names:
        assert re.fullmatch(r"[0-9a-f]{16}\.local\.", name)
