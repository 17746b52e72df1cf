"""The mailbox of a second meeting: on the stock server, and served by the allocator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.rendezvous import attempts as module
from dcsend.rendezvous.again import AgainAllocator, AgainJoiner, AgainKeys
from dcsend.rendezvous.attempts import AgainMailbox, Attempt, Attempts, on_server
from dcsend.rendezvous.mailbox import Mailbox
from dcsend.rendezvous.servers import Server
from tests.rendezvous.shortcodes import ANSWER, OFFER, candidate
from tests.rendezvous.test_local_mailbox import Device
from tests.support.mailbox_server import StockServer

AGAIN = AgainKeys(bytes(range(32)))


class Side:
    """One side of a second meeting, which reads its mailbox."""

    def __init__(self, mailbox: Mailbox, forget: object = None) -> None:
        self.mailbox = mailbox
        self.attempts = Attempts(mailbox, forget if callable(forget) else lambda tag: None)
        self.reading = asyncio.create_task(self.attempts.run())

    async def close(self) -> None:
        """Close the mailbox."""
        self.reading.cancel()
        await asyncio.wait({self.reading})
        await self.mailbox.close("happy")

    def wait(self) -> tuple[AgainAllocator, Attempt]:
        """Begin an attempt as the allocator."""
        party = AgainAllocator(AGAIN)
        attempt = self.attempts.attempt(party.first[1])
        attempt.add(*party.first)
        return party, attempt

    async def join(self) -> tuple[AgainJoiner, Attempt]:
        """Begin an attempt as the joiner."""
        await self.attempts.offered()
        a0 = self.attempts.take()
        party = AgainJoiner(AGAIN)
        attempt = self.attempts.attempt(a0)
        attempt.add(*party.join(a0, [OFFER]))
        return party, attempt


@asynccontextmanager
async def side(stock: StockServer, letter: str) -> AsyncIterator[Side]:
    made = Side(*on_server(stock.server, AGAIN, letter, often=0.05))
    try:
        yield made
    finally:
        await made.close()


async def converse(one: Side, other: Side) -> None:
    """Carry out an attempt."""
    allocator, here = one.wait()
    joiner, there = await other.join()
    assert allocator.received(*await here.next()) == [OFFER]
    here.add(*allocator.seal([ANSWER]))
    here.add(*allocator.seal([candidate()]))
    assert joiner.received(*await there.next()) == [ANSWER]
    assert joiner.received(*await there.next()) == [candidate()]
    one.attempts.end(here)
    other.attempts.end(there)


@pytest.mark.full
async def test_attempts_follow_one_another_in_one_mailbox(stock_server: StockServer) -> None:
    stock_server.start()
    async with asyncio.timeout(60), side(stock_server, "a") as one, side(stock_server, "b") as two:
        for _ in range(3):
            await converse(one, two)


@pytest.mark.full
async def test_both_sides_meet_again_after_both_have_left(stock_server: StockServer) -> None:
    stock_server.start()
    for _ in range(2):
        async with asyncio.timeout(60):
            async with side(stock_server, "a") as one, side(stock_server, "b") as two:
                await converse(one, two)


@pytest.mark.full
async def test_server_that_begins_late_and_forgets_everything(stock_server: StockServer) -> None:
    async with asyncio.timeout(60), side(stock_server, "a") as one, side(stock_server, "b") as two:
        allocator, here = one.wait()
        await asyncio.sleep(0)
        stock_server.start()
        joiner, there = await two.join()
        assert allocator.received(*await here.next()) == [OFFER]
        stock_server.stop()
        stock_server.forget()
        here.add(*allocator.seal([ANSWER]))
        stock_server.start()
        # What was there before the loss is sent again, in order.
        assert joiner.received(*await there.next()) == [ANSWER]
        one.attempts.end(here)
        two.attempts.end(there)
        await converse(one, two)


@pytest.mark.full
async def test_mailbox_that_the_other_side_has_removed_is_opened_again(
    stock_server: StockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The joiner has closed it once: when the allocator does, too, the server removes it."""
    monkeypatch.setattr(module.AgainClient, "longest_silence", 1.0)
    stock_server.start()
    async with asyncio.timeout(60):
        async with side(stock_server, "a") as one:
            async with side(stock_server, "b") as two:
                await converse(one, two)
            two = Side(*on_server(stock_server.server, AGAIN, "b", often=0.05))
            one.wait()
            await two.attempts.offered()
            two.attempts.take()
        async with side(stock_server, "a") as one:
            await converse(one, two)
        await two.close()


@pytest.mark.full
@pytest.mark.parametrize("pause", [0.05, 100.0])
async def test_another_socket_is_opened_at_once_when_this_machine_has_moved(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The present one is connected, or fails at once, or is not connected before its time."""
    addresses = ["192.0.2.1"]
    monkeypatch.setattr(module, "route_sources", lambda: list(addresses))
    connected: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    serving = await asyncio.start_server(
        lambda _, writer: connected.put_nowait(writer), "127.0.0.1"
    )
    async with asyncio.timeout(6), serving:  # a WebSocket has 8 s
        port = serving.sockets[0].getsockname()[1]
        server = Server(f"ws://127.0.0.1:{port}/v1", "mute")
        mailbox, _ = on_server(server, AGAIN, "b", often=pause, look=0.01)
        writers = []
        for number in range(3):
            writers.append(await connected.get())
            if number == 1:
                writers[-1].write(b"no\r\n\r\n")
                await writers[-1].drain()
            addresses[0] = f"192.0.2.{number + 2}"
        for writer in writers:
            writer.close()
        await mailbox.close("happy")


@pytest.mark.full
async def test_third_side_does_not_get_in(stock_server: StockServer) -> None:
    stock_server.start()
    async with asyncio.timeout(60), side(stock_server, "a") as one, side(stock_server, "b") as two:
        await converse(one, two)
        other = AgainKeys(bytes(32))
        other.mailbox = AGAIN.mailbox  # type: ignore[misc]
        third, _ = on_server(stock_server.server, other, "b")
        with pytest.raises(DcsendError, match="two others"):
            await third.next()
        await third.close("happy")
        await converse(one, two)


async def test_messages_go_to_their_attempt_and_only_new_offers_are_taken() -> None:
    mailbox = AgainMailbox(AGAIN)
    device = Device(mailbox, AGAIN.sides["b"])
    device.send("bind", appid="dcsend/1", side=AGAIN.sides["b"])
    device.send("open", mailbox=AGAIN.mailbox)
    one = Side(mailbox.side)
    _, first = one.wait()
    _, second = one.wait()
    device.send("add", phase=f"b0.{second.tag}", body="02")
    device.send("add", phase=f"b0.{first.tag}", body="01")
    device.send("add", phase=f"b0.{first.tag}", body="03")
    device.send("add", phase="b0.0000000000000000", body="04")
    assert await second.next() == ("b0", b"\2")
    assert await first.next() == ("b0", b"\1")
    one.attempts.end(first)
    device.send("add", phase=f"b1.{first.tag}", body="05")
    device.send("add", phase=f"b1.{second.tag}", body="06")
    assert await second.next() == ("b1", b"\6")
    await one.mailbox.close("happy")
    with pytest.raises(ConnectionFailed):
        await second.next()
    with pytest.raises(ConnectionFailed):
        await one.reading


async def test_newest_offer_is_taken_and_none_twice() -> None:
    class Scripted:
        """A mailbox with these messages."""

        def __init__(self, *messages: tuple[str, bytes]) -> None:
            self._messages = list(messages)

        async def next(self) -> tuple[str, bytes]:
            if not self._messages:
                await asyncio.Event().wait()
            return self._messages.pop(0)

    offers = [AgainAllocator(AGAIN).first[1] for _ in range(3)]
    names = [f"a0.{body[2:10].hex()}" for body in offers]
    pairs = list(zip(names, offers, strict=True))
    wrong = ("a0.0000000000000000", offers[2])
    attempts = Attempts(Scripted(*pairs[:2], wrong, pairs[0]))  # type: ignore[arg-type]
    reading = asyncio.create_task(attempts.run())
    await attempts.offered()
    await asyncio.sleep(0)
    a0 = attempts.take()
    assert a0 == offers[0]
    attempts.attempt(a0)
    reading.cancel()
    attempts = Attempts(Scripted(*pairs[:2], *pairs[:2]))  # type: ignore[arg-type]
    attempts.attempt(offers[1])
    reading = asyncio.create_task(attempts.run())
    await attempts.offered()
    assert attempts.take() == offers[0]
    reading.cancel()


def test_pauses_are_short_for_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("dcsend.rendezvous.attempts.time.monotonic", lambda: now)
    pauses = module._pauses()
    while now < 1120:
        pause = next(pauses)
        assert pause <= 2
        now += pause
    later = [next(pauses) for _ in range(100)]
    assert 2 < max(later) <= 5


# --- the mailbox that an allocator serves


@pytest.mark.parametrize(
    ("side_of", "name"),
    [("a", AGAIN.mailbox), ("b", "another"), ("other", AGAIN.mailbox), ("b", 7), ("b", None)],
)
def test_device_that_is_not_the_joiner_is_refused(side_of: str, name: object) -> None:
    mailbox = AgainMailbox(AGAIN)
    mailbox.side.add("a0.0123456789abcdef", b"secret")
    device = Device(mailbox)
    device.send("bind", appid="dcsend/1", side=AGAIN.sides.get(side_of, side_of))
    device.send("open", mailbox=name)
    assert device.error == "claim the number first"
    assert not device.messages
    assert not device.connection.is_joiner


def test_number_can_not_be_claimed() -> None:
    device = Device(AgainMailbox(AGAIN), AGAIN.sides["b"])
    device.send("bind", appid="dcsend/1", side=AGAIN.sides["b"])
    device.send("claim", nameplate="")
    assert device.error == "this mailbox has no number"


def test_joiner_that_connects_again_gets_the_last_two_attempts() -> None:
    mailbox = AgainMailbox(AGAIN)
    tags = [f"{number:016x}" for number in range(4)]
    for tag in tags:
        mailbox.side.add(f"a0.{tag}", b"")
        mailbox.side.add(f"a1.{tag}", b"")
    device = Device(mailbox, AGAIN.sides["b"])
    device.send("bind", appid="dcsend/1", side=AGAIN.sides["b"])
    device.send("open", mailbox=AGAIN.mailbox)
    assert device.connection.is_joiner
    phases = [phase for phase, _ in device.messages]
    assert phases == [f"a{number}.{tag}" for tag in tags[2:] for number in (0, 1)]


def test_joiner_can_not_fill_the_memory() -> None:
    mailbox = AgainMailbox(AGAIN)
    mailbox.side.add("a0.0123456789abcdef", b"")
    mailbox.side.add("a0.fedcba9876543210", b"")
    for connection in range(3):
        device = Device(mailbox, AGAIN.sides["b"])
        device.send("bind", appid="dcsend/1", side=AGAIN.sides["b"])
        device.send("open", mailbox=AGAIN.mailbox)
        for number in range(64 * connection, 64 * (connection + 1)):
            for tag in ("0123456789abcdef", "fedcba9876543210", "0000000000000000"):
                device.send("add", phase=f"b{number}.{tag}", body="00")
    device = Device(mailbox, AGAIN.sides["b"])
    device.send("bind", appid="dcsend/1", side=AGAIN.sides["b"])
    device.send("open", mailbox=AGAIN.mailbox)
    assert len(device.messages) == 2 + 2 * 64
