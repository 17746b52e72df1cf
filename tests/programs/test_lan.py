"""Two machines in one network: namespaces joined by a bridge, connected by a code alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dcsend.signaling.dialcode import decode
from tests.support.netns import MakeLan
from tests.support.processes import Stage

CONTENT = b"across the network" * 20_000


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "family"),
    [(True, False, "IPv4"), (False, True, "IPv6"), (True, True, "IPv4")],
    ids=["IPv4 only", "IPv6 only", "both"],
)
def test_a_file_crosses_the_network(
    lan: MakeLan, stage: Stage, tmp_path: Path, ipv4: bool, ipv6: bool, family: str
) -> None:
    sending, receiving = lan(2, ipv4=ipv4, ipv6=ipv6).hosts
    (tmp_path / "film").write_bytes(CONTENT)
    sender = stage.send(tmp_path / "film", host=sending)
    shown = {address.host for address in decode(sender.code).addresses}
    assert shown == {address for address in (sending.ipv4, sending.ipv6) if address}
    receiver = stage.receive(sender.code, tmp_path / "in", host=receiving)
    received = receiver.end()
    (connected,) = received.of("connected")
    assert (connected["route"], connected["family"]) == ("direct", family)
    assert connected["address"] in shown
    assert (received.status, sender.end().status) == (0, 0)
    assert (tmp_path / "in" / "film").read_bytes() == CONTENT


def test_a_pinned_port_is_the_one_that_is_used(lan: MakeLan, stage: Stage, tmp_path: Path) -> None:
    sending, receiving = lan(2).hosts
    (tmp_path / "film").write_bytes(CONTENT)
    sender = stage.send(tmp_path / "film", "--port", "5350", host=sending)
    assert {address.port for address in decode(sender.code).addresses} == {5350}
    receiver = stage.receive(sender.code, tmp_path / "in", host=receiving)
    assert (receiver.end().status, sender.end().status) == (0, 0)


def test_a_machine_without_a_network_connects_to_itself(
    lan: MakeLan, stage: Stage, tmp_path: Path
) -> None:
    (alone,) = lan(1, ipv4=False, ipv6=False).hosts
    (tmp_path / "film").write_bytes(CONTENT)
    sender = stage.send(tmp_path / "film", host=alone)
    assert [address.host for address in decode(sender.code).addresses] == ["127.0.0.1"]
    receiver = stage.receive(sender.code, tmp_path / "in", host=alone)
    assert (receiver.end().status, sender.end().status) == (0, 0)


_ANSWERING = """
import asyncio, socket, sys
from dcsend.net.udp import UdpPort

async def main(contacted, source):
    port = await UdpPort.open()
    port.route_unknown(lambda data, source: port.reply(b"answer", source))
    peer = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    peer.bind((source, 0))
    peer.sendto(b"hello", (contacted, port.port))
    peer.settimeout(150)
    data, address = await asyncio.to_thread(peer.recvfrom, 100)
    print(data.decode(), address[0])
    await port.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("contacted", ["fd77::a", "fd77::b"])
def test_an_ipv6_host_answers_from_the_address_that_was_spoken_to(
    lan: MakeLan, contacted: str
) -> None:
    (host,) = lan(1, ipv4=False).hosts
    for address in ("fd77::a", "fd77::b"):
        host.run(["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"])
    done = host.run([sys.executable, "-c", _ANSWERING, contacted, host.ipv6])
    assert done.stdout == f"answer {contacted}\n"
