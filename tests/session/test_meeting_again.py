"""The sides of a short code meet again: real sockets, on loopback, with the stock server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed
from dcsend.peers.transfer import TransferConnection
from dcsend.peers.trickle import Trickle
from dcsend.rendezvous import attempts as attempts_module
from dcsend.rendezvous.again import AgainJoiner, AgainKeys
from dcsend.rendezvous.servers import Server, local_server
from dcsend.rendezvous.wire import tagged
from dcsend.session import meeting_again
from dcsend.session.hosting import hosting
from dcsend.session.meeting_again import AllocatorAgain, Intervals, JoinerAgain
from dcsend.session.ways_back import Dialing, Joining, Listening
from dcsend.settings import Settings
from dcsend.signaling.address import Address as CodeAddress
from dcsend.signaling.dialcode import DialCode, ice_password
from tests.rendezvous.shortcodes import OFFER
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL, PASSWORD, Published, published, transfer, until
from tests.support.trickling import allocating, connect, joining

pytestmark = [pytest.mark.usefixtures("nothing_raised"), pytest.mark.full]

AGAIN = AgainKeys(bytes(range(32)))
SECRET = bytes(range(16))
SETTINGS = Settings(addresses=[LOCAL], stun=(), mdns=True)


SOON = Intervals(attempts=0.1, lost=0.1, server=0.05)


@dataclass
class Pair:
    """Both sides of a short code, connected for the first time."""

    here: Published
    joiner: TransferConnection
    allocator: TransferConnection
    certificate: Certificate
    listening: Listening
    port: int
    stack: AsyncExitStack

    def joins(self, *servers: Server, **changed: object) -> Joining:
        """Return the joiner's way, which ends with the test."""
        values = {
            "again": AGAIN,
            "certificate": self.certificate,
            "fingerprint": self.here.certificate.fingerprint,
            "intervals": SOON,
            **changed,
        }
        quiet = replace(SETTINGS, mdns=False)
        way = Joining(JoinerAgain(quiet, servers=servers, **values), None)  # type: ignore[arg-type]
        self.stack.push_async_callback(way.close)
        return way

    async def meet(self, way: Joining) -> tuple[TransferConnection, TransferConnection]:
        """Return both ends of another connection."""
        async with asyncio.timeout(60):
            ours = cast("TransferConnection", await way.another(None))
            self.stack.push_async_callback(ours.close)
            return ours, cast("TransferConnection", await self.listening.another(None))


@asynccontextmanager
async def connected(
    server: Server | None,
    settings: Settings = SETTINGS,
    password: str = PASSWORD,
    intervals: Intervals = SOON,
) -> AsyncIterator[Pair]:
    """Yield both sides; the allocator waits on *server*, and serves a mailbox, too."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published(password=password))
        certificate = Certificate.generate()
        joiner = await stack.enter_async_context(joining(certificate=certificate))
        made = await connect(joiner, await allocating(here))
        stack.push_async_callback(made.joiner.close)
        page = await stack.enter_async_context(
            hosting(replace(SETTINGS, page=False), lambda event: None)
        )
        page.start()
        here.listener.use_up()

        def again(fingerprint: bytes) -> AllocatorAgain[TransferConnection]:
            assert fingerprint == certificate.fingerprint
            return AllocatorAgain(
                settings, here.listener, page, AGAIN, server, fingerprint, intervals
            )

        listening = Listening(here.listener, made.allocator, again)
        listening.open()
        stack.push_async_callback(listening.close)
        port = page._sockets[0].getsockname()[1]
        yield Pair(here, made.joiner, made.allocator, certificate, listening, port, stack)


async def test_both_meet_on_the_server_and_the_former_connection_is_replaced(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with connected(stock_server.server) as pair:
        for _ in range(2):
            pair.listening.lost()
            ours, theirs = await pair.meet(pair.joins(stock_server.server))
            await transfer(ours, theirs, 3)
            await transfer(theirs, ours, 3)
            # The former connection is not touched before it is replaced.
            await transfer(pair.joiner, pair.allocator, 3)
            pair.listening.replaced(theirs)
            pair.listening.regained()
            await pair.joiner.discard()
            await pair.allocator.discard()
            pair.joiner, pair.allocator = ours, theirs


async def test_joiner_finds_the_mailbox_of_the_allocator_without_a_server() -> None:
    async with connected(None) as pair:
        # It is served during the whole transfer, whether the allocator has noticed a loss or not.
        ours, theirs = await pair.meet(pair.joins(local_server([LOCAL], pair.port)))
        await transfer(ours, theirs, 3)


async def test_server_that_comes_back_without_its_database(stock_server: StockServer) -> None:
    async with connected(stock_server.server) as pair:
        pair.listening.lost()
        way = pair.joins(stock_server.server)
        meeting = asyncio.create_task(pair.meet(way))
        stock_server.start()
        stock_server.stop()
        stock_server.forget()
        stock_server.start()
        ours, theirs = await meeting
        await transfer(ours, theirs, 3)


async def test_joiner_that_has_given_up_a_path_that_answers_finds_the_allocator(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with connected(stock_server.server) as pair:
        pair.listening.lost()
        pair.listening.regained()
        async with asyncio.timeout(15):
            ours, theirs = await pair.meet(pair.joins(stock_server.server))
        await transfer(ours, theirs, 3)


async def test_mailbox_that_can_not_be_reached_does_not_prevent_a_meeting_in_the_other(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with connected(stock_server.server) as pair:
        pair.listening.lost()
        dead = local_server([LOCAL], 9)
        ours, theirs = await pair.meet(pair.joins(dead, stock_server.server))
        await transfer(ours, theirs, 3)


async def test_device_with_another_certificate_does_not_get_in() -> None:
    async with connected(None) as pair:
        way = pair.joins(local_server([LOCAL], pair.port), certificate=Certificate.generate())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await way.another(None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await pair.here.listener.returned(pair.allocator)
        await transfer(pair.joiner, pair.allocator, 3)
        # The joiner itself still gets in.
        await pair.meet(pair.joins(local_server([LOCAL], pair.port)))


async def test_allocator_with_another_certificate_is_not_used() -> None:
    async with connected(None) as pair:
        way = pair.joins(local_server([LOCAL], pair.port), fingerprint=bytes(32))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await way.another(None)
        await transfer(pair.joiner, pair.allocator, 3)


async def test_side_without_the_key_does_not_find_the_mailbox() -> None:
    async with connected(None) as pair:
        way = pair.joins(local_server([LOCAL], pair.port), again=AgainKeys(bytes(32)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await way.another(None)
        await transfer(pair.joiner, pair.allocator, 3)


async def test_joiner_that_begins_once_more_is_answered_at_once(stock_server: StockServer) -> None:
    stock_server.start()
    patient = replace(SOON, longest=100.0, patience=100.0)
    async with connected(stock_server.server, intervals=patient) as pair:
        pair.listening.lost()
        mailbox, _ = attempts_module.on_server(stock_server.server, AGAIN, "b", often=0.05)
        name, a0 = await mailbox.next()
        offer = replace(OFFER, fingerprint=pair.certificate.fingerprint)
        mailbox.add(f"b0.{tagged(name)[1]}", AgainJoiner(AGAIN).join(a0, [offer])[1])
        assert tagged((await mailbox.next())[0])[0] == "a1"
        # The allocator tries to connect to a side that has left.
        await mailbox.close("happy")
        ours, theirs = await pair.meet(pair.joins(stock_server.server))
        await transfer(ours, theirs, 3)


async def test_needless_preparations_disturb_neither_the_connection_nor_the_next_meeting(
    stock_server: StockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock_server.start()
    connecting = 0

    async def never(*arguments: object, **options: object) -> None:
        nonlocal connecting
        connecting += 1
        await asyncio.Event().wait()

    async with connected(stock_server.server) as pair:
        for number in (1, 2):
            with monkeypatch.context() as patch:
                patch.setattr(meeting_again, "connect", never)
                pair.listening.lost()
                preparing = asyncio.create_task(pair.joins(stock_server.server).another(None))
                await until(lambda n=number: connecting >= 2 * n)  # type: ignore[misc]
                preparing.cancel()
                await asyncio.wait({preparing})
                pair.listening.regained()
            await transfer(pair.joiner, pair.allocator, 3)
        pair.listening.lost()
        ours, theirs = await pair.meet(pair.joins(stock_server.server))
        await transfer(ours, theirs, 3)
        await transfer(pair.joiner, pair.allocator, 3)


async def test_end_of_the_interruption_ends_all_attempts(stock_server: StockServer) -> None:
    stock_server.start()
    async with connected(stock_server.server) as pair:
        pair.listening.lost()
        mailbox, _ = attempts_module.on_server(stock_server.server, AGAIN, "b", often=0.05)
        await mailbox.next()
        pair.listening.regained()
        await pair.listening.close()
        await mailbox.close("happy")
        # The server has no message of the allocator any more.
        other, _ = attempts_module.on_server(stock_server.server, AGAIN, "b", often=0.05)
        assert await other.posted() is None
        await other.close("happy")


async def test_joiner_with_a_link_dials_where_the_mailbox_can_not_be_reached() -> None:
    async with connected(None, password=ice_password(SECRET)) as pair:
        code = DialCode(
            SECRET,
            pair.here.certificate.fingerprint,
            pair.here.number,
            (CodeAddress(LOCAL, pair.here.number),),
            int(time.time()) + 60,
        )
        joins = pair.joins(local_server([LOCAL], 9))
        way = Joining(joins._again, Dialing(code, pair.certificate))
        pair.stack.push_async_callback(way.close)
        ours, theirs = await pair.meet(way)
        await transfer(ours, theirs, 3)


async def test_hidden_addresses_stay_hidden(
    stock_server: StockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock_server.start()
    hides: list[object] = []

    async def refused(*arguments: object, **options: object) -> object:
        hides.append(options["relay_only"])
        raise ConnectionFailed("no attempt in this test")

    hidden = replace(SETTINGS, relay_only=True)
    async with connected(stock_server.server, hidden) as pair:
        pair.listening.lost()
        for name in ("open", "on_listener"):
            monkeypatch.setattr(Trickle, name, refused)
        joiner = JoinerAgain(
            hidden,
            AGAIN,
            pair.certificate,
            pair.here.certificate.fingerprint,
            [stock_server.server],
            SOON,
        )
        (way,) = joiner.ways()  # not in this network
        joining_again = asyncio.ensure_future(way)
        mailbox, _ = attempts_module.on_server(stock_server.server, AGAIN, "b", often=0.05)
        name, a0 = await mailbox.next()
        offer = replace(OFFER, fingerprint=pair.certificate.fingerprint)
        mailbox.add(f"b0.{tagged(name)[1]}", AgainJoiner(AGAIN).join(a0, [offer])[1])
        await until(lambda: len(hides) >= 2)
        assert set(hides) == {True}
        assert not pair.listening._again or not pair.listening._again._port
        joining_again.cancel()
        await asyncio.wait({joining_again})
        await joiner.close()
        await mailbox.close("happy")
