"""What hosts in the local network send to port 5353, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final

import pytest

from dcsend.net.mdns_cache import MAX_RECORDS
from dcsend.net.multicast import joined
from dcsend.rendezvous import discovery
from dcsend.rendezvous.discovery import Found
from tests.support.dns import TXT, address, record, response, srv
from tests.support.inside import inside, linked
from tests.support.netns import MakeLan, lan

__all__ = ["lan", "linked"]

pytestmark = pytest.mark.full

GROUP: Final = ("224.0.0.251", 5353)
PORT: Final = 4711


async def send(interface: str, datagrams: Sequence[bytes]) -> None:
    """Send datagrams to the group, so that the kernel can queue them for each receiver."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
        sock.bind((interface, GROUP[1]))
        for number, datagram in enumerate(datagrams):
            sock.sendto(datagram, GROUP)
            if number % 20 == 0:
                await asyncio.sleep(0)


def large_records() -> Iterator[bytes]:
    """Responses of 8 KB with one record each, all for different names."""
    for number in range(3000):
        yield response([record(f"{number}.local", TXT, number.to_bytes(4) + bytes(8000))])


def garbage() -> Iterator[bytes]:
    """Datagrams that are no messages of DNS, and damaged ones."""
    random = Random("garbage")
    good = response([srv("8", "aa.local", 1), address("aa.local", "10.0.0.1")])
    for _ in range(500):
        yield random.randbytes(random.randrange(1, 9000))
        damaged = bytearray(good)
        for _ in range(3):
            damaged[random.randrange(12, 40)] = random.randrange(256)
        yield good[: random.randrange(len(good))]


def test_responses_with_thousands_of_records_fill_eight_places(linked: MakeLan) -> None:
    hosts = linked(ipv6=False).hosts
    flood = [
        response([srv("7", f"{host:x}-{part}.local", 1 + part) for part in range(30)])
        for host in range(200)
    ]
    flood += [
        response([address(f"{host:x}-0.local", f"10.{host}.0.{end}") for end in range(100)])
        for host in range(200)
    ]
    with inside(*hosts) as (neighbour, joiner):
        finding = joiner.start(discovery.find("7", patience=50))
        assert joiner.run(discovery.is_taken("7", patience=0.1)) is False
        while not finding.done():
            neighbour.run(send(hosts[0].ipv4, flood))
    places = finding.result()
    assert 1 <= len(places) <= 8
    assert max(len(place.hosts) for place in places) <= 8


Flood = Callable[[], Iterator[bytes]]


@pytest.mark.parametrize("flood", [large_records, garbage], ids=["large", "garbage"])
def test_number_is_found_while_a_neighbour_floods_the_network(
    linked: MakeLan, flood: Flood
) -> None:
    hosts = linked(hosts=3, ipv6=False).hosts
    with (
        inside(*hosts) as (allocator, joiner, neighbour),
        joiner.within(joined()) as network,
        allocator.within(discovery.announced("7", PORT)) as announcement,
    ):
        assert network is not None
        cache = network.zeroconf.cache

        async def held() -> int:
            return sum(len(cache.entries_with_name(name)) for name in cache.names())

        neighbour.run(send(hosts[2].ipv4, list(flood())))
        assert joiner.run(discovery.find("7", patience=50)) == [Found((hosts[0].ipv4,), PORT)]
        assert announcement.is_announced
        assert joiner.run(held()) < 2 * MAX_RECORDS
