"""The UDP port: both families, routes, source addresses, the end; on both event loops."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final

import pytest

from dcsend.errors import ConnectionFailed, UsageError
from dcsend.net import sockets
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort, bind_family
from tests.support.peers import UdpClient, has_ipv6, until
from tests.support.udp import Log

UVLOOP: Final = True

WATCHED = pytest.mark.skipif(sys.platform == "win32", reason="Windows can't watch sockets")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone reports local addresses")


@pytest.mark.unwatched
async def test_known_source_goes_to_its_handler_and_all_else_to_the_other() -> None:
    port, known, unknown = await UdpPort.open(), Log(), Log()
    port.route_unknown(unknown.handle)
    async with UdpClient.open() as one, UdpClient.open() as two:
        port.route(one.address, known.handle)
        one.send(b"from one", port.port)
        two.send(b"from two", port.port)
        await until(lambda: bool(known.got) and bool(unknown.got))
        assert known.got == [(b"from one", one.address)]
        assert unknown.got == [(b"from two", two.address)]
        assert port.routed(one.address) == known.handle
        assert port.routed(two.address) is None
        port.unroute(known.handle)
        one.send(b"again", port.port)
        await until(lambda: len(unknown.got) == 2)
        assert unknown.got[1] == (b"again", one.address)
    await port.close()


async def test_unroute_leaves_the_sources_of_others() -> None:
    port, one, two = await UdpPort.open(), Log(), Log()
    for number in range(1, 4):
        port.route(("192.0.2.1", number), one.handle)
    port.route(("192.0.2.2", 1), two.handle)
    port.unroute(one.handle)
    assert not any(port.routed(("192.0.2.1", number)) for number in range(1, 4))
    assert port.routed(("192.0.2.2", 1)) == two.handle
    await port.close()


@pytest.mark.unwatched
async def test_datagrams_keep_their_order_and_none_is_lost_in_a_burst() -> None:
    port, log = await UdpPort.open(), Log()
    port.route_unknown(log.handle)
    async with UdpClient.open() as client:
        expected = [number.to_bytes(2) for number in range(200)]
        for data in expected:
            client.send(data, port.port)
        await until(lambda: len(log.got) == 200)
        assert [data for data, _ in log.got] == expected
    await port.close()


@WATCHED
async def test_flood_lets_the_loop_do_other_things() -> None:
    port, log = await UdpPort.open(), Log()
    port.route_unknown(log.handle)
    async with UdpClient.open() as client:
        for _ in range(sockets.DRAIN * 3):
            client.send(b"x", port.port)
        turns: list[int] = []
        while len(log.got) < sockets.DRAIN * 3:
            await asyncio.sleep(0)
            turns.append(len(log.got))
        assert max(b - a for a, b in zip([0, *turns], turns, strict=False)) <= sockets.DRAIN
    await port.close()


@pytest.mark.unwatched
async def test_both_families_share_one_port_number() -> None:
    port, log = await UdpPort.open(), Log()
    port.route_unknown(log.handle)
    expected = {socket.AF_INET, socket.AF_INET6} if has_ipv6() else {socket.AF_INET}
    assert port.families == expected
    if has_ipv6():
        async with UdpClient.open("::1") as client:
            client.transport.sendto(b"six", ("::1", port.port))
            await until(lambda: bool(log.got))
            assert log.got == [(b"six", client.address)]
            port.send(b"back", client.address)
            await until(lambda: bool(client.received))
            assert client.received == [(b"back", ("::1", port.port))]
    await port.close()


@pytest.mark.unwatched
async def test_sending_to_addresses_without_a_receiver_is_no_error() -> None:
    port, log = await UdpPort.open(), Log()
    port.route_unknown(log.handle)
    async with UdpClient.open() as client:
        for target in [
            *[("127.0.0.1", 9), ("255.255.255.255", 9), ("192.0.2.1", 0), ("::1", 9)],
            *[("2001:db8::1", 9), ("fe80::1", 9), ("::ffff:127.0.0.1", 9)],
        ]:
            port.send(b"x", target)
        port.send(bytes(65_535), client.address)  # more than UDP takes
        client.send(b"still reading", port.port)
        await until(lambda: bool(log.got))
        port.send(b"still sending", client.address)
        await until(lambda: bool(client.received))
    await port.close()


@pytest.mark.unwatched
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_many_at_once_arrive_whole_and_in_order(host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 here")
    port = await UdpPort.open()
    async with UdpClient.open(host) as client:
        # Runs of one size, shorter and longer ones, more than fit into one call.
        sizes = [1200] * 40 + [1, 1200, 1200, 300, 400, 400, 1400] + [20] * 3
        datagrams = [bytes([number]) * size for number, size in enumerate(sizes)]
        port.send_all(datagrams, client.address)
        await until(lambda: len(client.received) == len(datagrams))
        assert [data for data, _ in client.received] == datagrams
        port.send_all([], client.address)
    await port.close()
    port.send_all([b"late"], ("127.0.0.1", 9))


@pytest.mark.unwatched
async def test_what_the_system_can_not_send_at_once_goes_one_by_one() -> None:
    """A datagram that is longer than the path's MTU can only be fragmented, not cut."""
    port = await UdpPort.open()
    async with UdpClient.open() as client:
        # Loopback takes 65 536; two of these are more than one call can have.
        datagrams = [bytes([number]) * 40_000 for number in range(3)]
        port.send_all(datagrams, client.address)
        await until(lambda: len(client.received) == 3)
        assert [data for data, _ in client.received] == datagrams
        port.send_all([b"a", b"b"], client.address)
        await until(lambda: len(client.received) == 5)
        assert [data for data, _ in client.received[3:]] == [b"a", b"b"]
    await port.close()


@pytest.mark.unwatched
async def test_handler_may_close_the_port() -> None:
    port = await UdpPort.open()
    closing: list[asyncio.Task[None]] = []
    port.route_unknown(lambda data, source: closing.append(asyncio.create_task(port.close())))
    async with UdpClient.open() as client:
        for _ in range(10):
            client.send(b"x", port.port)
        await until(lambda: bool(closing))
        await asyncio.wait(closing)


@pytest.mark.unwatched
async def test_close_is_idempotent_frees_the_port_and_silences_it() -> None:
    port = await UdpPort.open()
    number = port.port
    await asyncio.gather(port.close(), port.close())
    port.send(b"late", ("127.0.0.1", 9))
    again = await UdpPort.open(number)
    assert again.port == number
    await again.close()


@LINUX
async def test_reply_leaves_from_the_address_at_which_the_datagram_arrived() -> None:
    port = await UdpPort.open()
    port.route_unknown(lambda data, source: port.reply(b"answer to " + data, source))
    async with UdpClient.open() as one, UdpClient.open() as two:
        # All of 127.0.0.0/8 is ours; what goes to 127.0.0.1 would leave from there.
        for client, target in ((one, "127.0.0.2"), (two, "127.0.0.3"), (one, "127.0.0.4")):
            client.transport.sendto(b"it", (target, port.port))
            await until(lambda got=client.received: bool(got))  # type: ignore[misc]
            assert client.received == [(b"answer to it", (target, port.port))]
            client.received.clear()
    await port.close()


@LINUX
async def test_reply_to_what_was_put_off_leaves_from_there_too() -> None:
    port, put_off = await UdpPort.open(), list[tuple[bytes, Address, bytes | None]]()
    port.route_unknown(lambda data, source: put_off.append((data, source, port.arrival(source))))
    async with UdpClient.open() as client:
        for target in ("127.0.0.2", "127.0.0.3"):
            client.transport.sendto(b"hello", (target, port.port))
        await until(lambda: len(put_off) == 2)
        port.route_unknown(lambda data, source: port.reply(b"late", source))
        for datagram in put_off:
            port.redeliver(*datagram)
        await until(lambda: len(client.received) == 2)
        sources = [source for _, source in client.received]
        assert sources == [("127.0.0.2", port.port), ("127.0.0.3", port.port)]
    await port.close()


@LINUX
@pytest.mark.parametrize("count", [1, 5], ids=["one", "train"])
async def test_what_arrives_does_not_decide_where_we_send_from(count: int) -> None:
    port, log = await UdpPort.open(), Log()
    port.route_unknown(log.handle)
    packets = [bytes([number]) * 100 for number in range(count)]
    async with UdpClient.open() as peer:
        for kept, expected in ((None, "127.0.0.1"), ("127.0.0.2", "127.0.0.2")):
            if kept is not None:
                port.keep(peer.address, socket.inet_aton(kept))
            peer.received.clear()
            log.got.clear()
            peer.transport.sendto(b"hello", ("127.0.0.3", port.port))
            await until(lambda: bool(log.got))
            port.send_all(packets, peer.address)
            await until(lambda: len(peer.received) == count)
            assert peer.received == [(data, (expected, port.port)) for data in packets]
    await port.close()


@LINUX
async def test_address_that_is_not_ours_any_more_is_left_to_the_routing_table() -> None:
    port = await UdpPort.open()
    async with UdpClient.open() as peer:
        port.keep(peer.address, socket.inet_aton("192.0.2.1"))
        for data in (b"lost", b"sent"):
            port.send(data, peer.address)
        await until(lambda: bool(peer.received))
        assert peer.received == [(b"sent", ("127.0.0.1", port.port))]
    await port.close()


@LINUX
async def test_error_that_does_not_concern_our_address_leaves_it_kept() -> None:
    port = await UdpPort.open()
    async with UdpClient.open() as peer:
        port.keep(peer.address, socket.inet_aton("127.0.0.2"))
        port.send(bytes(65_535), peer.address)  # more than UDP takes
        port.send(b"sent", peer.address)
        await until(lambda: bool(peer.received))
        assert peer.received == [(b"sent", ("127.0.0.2", port.port))]
    await port.close()


@LINUX
async def test_unroute_forgets_where_we_send_from() -> None:
    port, log = await UdpPort.open(), Log()
    peer = ("127.0.0.1", 9)
    port.route(peer, log.handle)
    port.keep(peer, socket.inet_aton("127.0.0.2"))
    port.unroute(log.handle)
    assert port.kept(peer) is None
    await port.close()


@WATCHED
async def test_error_of_a_handler_is_reported_and_ends_nothing() -> None:
    port, log = await UdpPort.open(), Log()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: reported.append(context.get("exception"))
    )

    def fail(data: bytes, source: Address) -> None:
        log.handle(data, source)
        if data == b"bad":
            raise ValueError("a handler's")

    port.route_unknown(fail)
    async with UdpClient.open() as client:
        client.send(b"bad", port.port)
        await until(lambda: bool(reported))
        client.send(b"good", port.port)
        await until(lambda: len(log.got) == 2)
    assert [type(error) for error in reported] == [ValueError]
    await port.close()


async def test_port_in_use_is_a_usage_error_that_names_it() -> None:
    port = await UdpPort.open()
    with pytest.raises(UsageError, match=f"{port.port} is in use"):
        await UdpPort.open(port.port)
    await port.close()


@pytest.mark.parametrize("number", [-1, 65_536, 1_000_000])
async def test_number_that_is_no_port_is_a_usage_error(number: int) -> None:
    with pytest.raises(UsageError, match=str(number)):
        await UdpPort.open(number)


async def test_random_port_is_tried_again_when_the_other_family_has_it_in_use() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    asked: list[int] = []

    def bind(family: socket.AddressFamily, port: int) -> socket.socket | None:
        asked.append(port)
        if len(asked) == 2:
            raise OSError(98, "taken")
        return bind_family(family, port)

    port = await UdpPort.open(bind=bind)
    assert len(asked) == 4
    assert port.families == {socket.AF_INET, socket.AF_INET6}
    await port.close()


async def test_machine_without_a_family_uses_the_other() -> None:
    def bind(family: socket.AddressFamily, port: int) -> socket.socket | None:
        return bind_family(family, port) if family == socket.AF_INET else None

    port = await UdpPort.open(bind=bind)
    assert port.families == {socket.AF_INET}
    port.send(b"x", ("::1", 9))
    await port.close()


async def test_machine_without_network_is_an_error_that_names_it() -> None:
    with pytest.raises(ConnectionFailed, match="no network"):
        await UdpPort.open(bind=lambda family, port: None)


async def test_opening_that_is_cancelled_leaves_no_socket() -> None:
    opening = asyncio.create_task(UdpPort.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait({opening})
    if not opening.cancelled():  # where the loop watches sockets there is nothing to wait for
        await opening.result().close()
    # A socket that is left open is a ResourceWarning, and thus an error.
