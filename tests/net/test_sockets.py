"""One UDP socket: trains of datagrams, segmentation, full buffers, errors; on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import Final

import pytest

from dcsend.net import sockets
from dcsend.net.address import Address
from dcsend.net.segmentation import Segmentation
from dcsend.net.udp import UdpPort
from tests.support.peers import until
from tests.support.udp import Counting, Full, Log, WithoutGro, bound

UVLOOP: Final = True

_SO_NO_CHECK: Final = 11
"From asm-generic/socket.h; Python has no name for it."

PATIENCE: Final = 30.0
"Seconds in which a datagram arrives on loopback, however busy the machine is."

WATCHED = pytest.mark.skipif(sys.platform == "win32", reason="Windows can't watch sockets")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone joins datagrams")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone sends several at once")
def test_several_datagrams_are_one_call() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            segmentation = Segmentation(sender)
            assert segmentation.send([b"one", b"two", b"3"], receiver.getsockname()) == 3
            assert segmentation.works
        assert [receiver.recv(100) for _ in range(3)] == [b"one", b"two", b"3"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone sends several at once")
def test_the_first_refusal_is_the_last_try_but_no_room_is_no_refusal() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        segmentation = Segmentation(sender)
        # Refused for a reason that does not concern segmentation (no broadcast).
        assert segmentation.send([b"a", b"b"], ("255.255.255.255", 9)) == 0
        assert segmentation.works
        sender.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)  # segments need checksums
        assert segmentation.send([b"a", b"b"], ("127.0.0.1", 9)) == 0
        assert not segmentation.works


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone sends several at once")
@pytest.mark.parametrize("size", [1200, 4094, 4110, 6550, 13_100, 21_900, 32_700])
def test_one_call_has_no_more_bytes_than_a_datagram_can_have(size: int) -> None:
    """The kernel refuses more, after which all datagrams would leave one by one."""
    with bound() as receiver, bound() as sender:
        receiver.settimeout(PATIENCE)
        # No more than a receive buffer of the default size has room for.
        count = min(16, 150_000 // size)
        datagrams = [bytes([number]) * size for number in range(count)]
        segmentation = Segmentation(sender)
        assert segmentation.send(datagrams, receiver.getsockname()) == count
        assert segmentation.works
        assert [receiver.recv(65_535) for _ in datagrams] == datagrams


@LINUX
@pytest.mark.parametrize("joins", [True, False], ids=["joined", "refused"])
async def test_train_arrives_as_single_datagrams_in_order(joins: bool) -> None:
    log = Log()
    receiver = bound(Counting if joins else WithoutGro)
    assert isinstance(receiver, Counting)
    address = receiver.getsockname()
    watched = await sockets.attach(receiver, log.handle)
    with bound() as sender:
        segmentation = Segmentation(sender)
        expected: list[bytes] = []
        for sizes in ([1200] * 16, [1200] * 15 + [7], [9] * 3, [1], [0], [1300] * 16):
            datagrams = [bytes([len(expected) + n]) * size for n, size in enumerate(sizes)]
            for datagram in datagrams[segmentation.send(datagrams, address) :]:
                sender.sendto(datagram, address)
            expected += datagrams
        assert segmentation.works
        await until(lambda: len(log.got) >= len(expected))
        assert [data for data, _ in log.got] == expected
        assert {source for _, source in log.got} == {sender.getsockname()}
    assert (receiver.reads < 10) is joins
    await watched.close()


@WATCHED
async def test_full_buffer_keeps_order_and_loses_what_is_beyond_its_bound() -> None:
    log = Log()
    sender = bound(Full)
    assert isinstance(sender, Full)
    receiver = bound()
    address = receiver.getsockname()
    taking = await sockets.attach(receiver, log.handle)
    sending = await sockets.attach(sender, lambda data, source: None)
    sender.full = True
    expected = [number.to_bytes(2) for number in range(sockets.MAX_WAITING)]
    sending.send(expected[0], address)
    sending.send_all(expected[1:40], address)
    for data in expected[40:]:
        sending.send(data, address)
    sending.send(b"lost", address)
    with bound() as other:
        other.sendto(b"first", address)
        await until(lambda: bool(log.got))
    assert [data for data, _ in log.got] == [b"first"]
    log.got.clear()
    sender.full = False
    # There is room now, but the waiting datagrams go first.
    sending.send_all([b"lost, too"], address)
    await until(lambda: len(log.got) == len(expected))
    sending.send_all([b"and", b"on"], address)
    await until(lambda: len(log.got) == len(expected) + 2)
    assert [data for data, _ in log.got] == [*expected, b"and", b"on"]
    await sending.close()
    await taking.close()


@WATCHED
async def test_socket_that_is_full_can_be_closed() -> None:
    sender = bound(Full)
    assert isinstance(sender, Full)
    sending = await sockets.attach(sender, lambda data, source: None)
    sender.full = True
    sending.send(b"x", ("127.0.0.1", 9))
    await sending.close()
    await sending.close()
    sender.full = False
    sending.send(b"late", ("127.0.0.1", 9))


@WATCHED
async def test_closing_sends_the_waiting_datagrams_that_the_system_takes() -> None:
    with bound() as receiver:
        receiver.settimeout(PATIENCE)
        sender = bound(Full)
        assert isinstance(sender, Full)
        sending = await sockets.attach(sender, lambda data, source: None)
        sender.full = True
        for data in (b"one", b"two"):
            sending.send(data, receiver.getsockname())
        sender.full = False
        await sending.close()
        assert [receiver.recv(100) for _ in range(2)] == [b"one", b"two"]


@pytest.mark.unwatched
async def test_reading_goes_on_after_an_icmp_error() -> None:
    """Linux reports it to connected sockets only, which those of a port are not."""
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        pytest.skip("uvloop watches no socket any more that has an error")
    log = Log()
    with bound() as peer:
        address = peer.getsockname()
    ours = bound()
    ours.connect(address)
    here = ours.getsockname()
    watched = await sockets.attach(ours, log.handle)
    for _ in range(3):
        with contextlib.suppress(ConnectionRefusedError):  # if it has not been read yet
            ours.send(b"lost")
        for _ in range(5):
            await asyncio.sleep(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(address)
        peer.sendto(b"read", here)
        await until(lambda: bool(log.got))
    assert log.got == [(b"read", address)]
    await watched.close()


@LINUX
async def test_handler_may_close_the_port_in_the_middle_of_a_train() -> None:
    port, log = await UdpPort.open(), Log()

    def close(data: bytes, source: Address) -> None:
        log.handle(data, source)
        with pytest.raises(StopIteration):  # at once, without waiting for anything
            port.close().send(None)

    port.route_unknown(close)
    with bound() as sender:
        assert Segmentation(sender).send([b"xx"] * 16, ("127.0.0.1", port.port)) == 16
        sender.sendto(b"more", ("127.0.0.1", port.port))
        await until(lambda: bool(log.got))
    assert [data for data, _ in log.got] == [b"xx"]
