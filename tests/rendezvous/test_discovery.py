"""Numbers of short codes, announced and found over real multicast between network namespaces."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from dcsend.rendezvous import discovery
from tests.support.inside import inside
from tests.support.netns import MakeLan, lan

__all__ = ["lan"]

PORT = 4711


@pytest.mark.full
@pytest.mark.parametrize(
    ("ipv4", "ipv6"), [(True, False), (False, True), (True, True)], ids=["IPv4", "IPv6", "both"]
)
def test_number_that_is_announced_is_found_with_all_addresses(
    lan: MakeLan, ipv4: bool, ipv6: bool, record_property: Callable[[str, object], None]
) -> None:
    hosts = lan(ipv4=ipv4, ipv6=ipv6).hosts
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
