"""The `.local` names of Chromium, answered with the bytes that it sends."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
import time

import pytest
from aioice import Candidate
from zeroconf.asyncio import AsyncZeroconf

from dcsend.ice.connection import IceConnection
from dcsend.net import mdns
from tests.support.netns import MakeLan, lan
from tests.support.peers import until

__all__ = ["lan"]

GROUP = ("224.0.0.251", 5353)
NAME = "ba5b9944-0646-44d8-959f-8c290525421d.local"
ANSWER = bytes.fromhex(
    "000084000000000100000001"
    "2462613562393934342d303634362d343464382d393539662d386332393035323534323164056c6f63616c00"
    "00018001000000780004 0a010003"
    "2462613562393934342d303634362d343464382d393539662d386332393035323534323164056c6f63616c00"
    "002f8001000000780005 c046 000140"
)
"""Of Chromium 156, recorded: an A record with 10.1.0.3, and an NSEC record whose next name is a
pointer, at which dnspython 2.9 stops reading."""
IPV6 = "fd77::3"
QUAD_A = (
    ANSWER[:56]
    + bytes.fromhex("001c8001000000780010")
    + socket.inet_pton(socket.AF_INET6, IPV6)
    + ANSWER[70:114]
    + bytes.fromhex("002f8001000000780008 c052 0004 00000008")
)
"The same for an IPv6 address: other types and lengths."
A, AAAA = 1, 28


class Chromium(asyncio.DatagramProtocol):
    """Answers as Chromium does: to a message with one question, over multicast."""

    def __init__(self, kind: int, answer: bytes, deaf: int = 0) -> None:
        self._kind = kind
        self._answer = answer
        self._deaf = deaf
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, interface: str) -> None:
        """Join the group on the interface with this address."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("", GROUP[1]))
        where = socket.inet_aton(interface)
        joined = socket.inet_aton(GROUP[0]) + where
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, where)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question."""
        _, flags, questions, *_ = struct.unpack_from("!6H", data)
        kind = struct.unpack("!H", data[-4:-2])[0]
        if flags or questions != 1 or kind != self._kind:
            return
        self.asked += 1
        if self.asked > self._deaf and self._transport is not None:
            self._transport.sendto(self._answer, GROUP)

    def stop(self) -> None:
        """Leave."""
        assert self._transport is not None
        self._transport.abort()


@pytest.mark.parametrize(
    ("kind", "answer", "address"),
    [(A, ANSWER, "10.1.0.3"), (AAAA, QUAD_A, IPV6)],
    ids=["IPv4", "IPv6"],
)
def test_the_answer_of_chromium_is_read(
    lan: MakeLan, kind: int, answer: bytes, address: str
) -> None:
    host = lan(hosts=1).hosts[0]
    found: list[tuple[str, str]] = []

    async def main() -> None:
        browser = Chromium(kind, answer)
        await browser.start(host.ipv4)

        async def note(name: str, where: str) -> None:
            found.append((name, where))

        async with asyncio.timeout(150):
            await mdns.resolve([NAME], note)
        browser.stop()

    host.inside(main)
    assert found == [(NAME, address)]


def test_a_name_is_asked_for_again(lan: MakeLan) -> None:
    host = lan(hosts=1, ipv6=False).hosts[0]
    found: list[str] = []

    async def main() -> None:
        # What comes over loopback counts, too.
        browser = Chromium(A, ANSWER, deaf=4)
        await browser.start(host.ipv4)

        async def note(name: str, where: str) -> None:
            found.append(where)

        async with asyncio.timeout(150):
            await mdns.resolve([NAME], note)
        assert browser.asked > 4
        browser.stop()

    host.inside(main)
    assert found == ["10.1.0.3"]


def test_waiting_for_a_name_that_no_host_has_is_cheap_and_ends_when_it_is_cancelled(
    lan: MakeLan,
) -> None:
    host = lan(hosts=1).hosts[0]

    async def main() -> None:
        async def note(name: str, where: str) -> None:
            raise AssertionError

        began = time.process_time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await mdns.resolve(["00000000-0000-4000-8000-000000000000.local"], note)
        assert time.process_time() - began < 1.0

    host.inside(main)


def descriptors() -> int:
    """Count what this process has open."""
    return len(os.listdir("/dev/fd"))


def test_sockets_are_closed_although_it_is_cancelled_twice_while_they_are_opened(
    lan: MakeLan,
) -> None:
    """As where a signal comes while a connection that has failed is being closed."""
    host = lan(hosts=1).hosts[0]
    tasks: list[asyncio.Task[None]] = []

    class Network(AsyncZeroconf):
        async def async_close(self) -> None:
            tasks[0].cancel()
            await super().async_close()

    def join() -> Network:
        tasks[0].cancel()
        return Network()

    async def main() -> None:
        before = descriptors()

        async def note(name: str, where: str) -> None:
            raise AssertionError

        tasks.append(asyncio.create_task(mdns.resolve([NAME], note, join)))
        await asyncio.wait(tasks)
        assert tasks[0].cancelled()
        # zeroconf finishes what it had begun by then.
        await until(lambda: descriptors() == before)

    host.inside(main)


async def test_aioice_is_given_no_name() -> None:
    connection = IceConnection(ice_controlling=True)
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        await connection.add_remote_candidate(Candidate("1", 1, "udp", 1, NAME, 9, "host"))


@pytest.mark.full
def test_zeroconf_is_not_loaded_before_there_is_a_name() -> None:
    code = (
        "import sys, dcsend.peers.offer_answer, dcsend.peers.peer;"
        "assert 'zeroconf' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
