"""Short codes on the port of a listener: the race with dials, several attempts, forged checks."""

from __future__ import annotations

import asyncio

import pytest

from dcsend.description import Candidate, CandidateType
from dcsend.errors import CodeExpired, ConnectionFailed
from dcsend.net.address import Address
from dcsend.peers.joiners import Taken
from dcsend.peers.offer_answer import Servers
from dcsend.peers.situations import Udp
from dcsend.peers.transfer import TransferConnection
from tests.ice.test_stun import response
from tests.support.peers import LOCAL, UdpClient, check, published, transfer, until
from tests.support.trickling import allocating, both, carry, joining, without_candidates

pytestmark = pytest.mark.usefixtures("nothing_raised")


async def test_dial_and_short_code_can_be_tried_at_once_and_the_dial_is_faster() -> None:
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        attempt = asyncio.create_task(allocator.establish(without_candidates(offer), timeout=100))
        await here.pair()
        with pytest.raises(Taken, match="another device has connected"):
            await attempt
        joiner.end()
        await carry(allocator, joiner)
        with pytest.raises(ConnectionFailed):
            await joiner.establish(answer, timeout=100, patience=0.01)


async def test_short_code_is_faster_than_a_dial_which_is_refused_as_busy() -> None:
    async with published() as here, joining() as joiner:
        here.listener.use_up = lambda: None  # type: ignore[method-assign]
        async with both(joiner, await allocating(here)):
            with pytest.raises(ConnectionFailed, match="another device is connected"):
                await here.dial(timeout=0.5)
            assert here.listener.asked.is_set()


async def test_joiner_that_comes_while_another_peer_is_connected_is_refused_and_noted() -> None:
    async with published() as here:
        await here.pair()
        assert not here.listener.asked.is_set()
        with pytest.raises(Taken):
            await allocating(here)
        assert here.listener.asked.is_set()


async def test_joiner_that_connects_while_the_code_is_given_back_is_too_early() -> None:
    closing = asyncio.Event()
    late: list[TransferConnection] = []

    class ClosesLate(TransferConnection):
        async def close(self) -> None:
            if self in late:
                await closing.wait()
            await super().close()

    async with published(ClosesLate) as here, joining() as joiner:
        late.append((await here.pair())[1])
        giving_back = asyncio.create_task(here.listener.give_back(late[0]))
        await asyncio.sleep(0)
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        attempt = asyncio.create_task(joiner.establish(answer, timeout=100))
        try:
            with pytest.raises(Taken):
                await allocator.establish(offer, timeout=100)
        finally:
            closing.set()
            await giving_back
            attempt.cancel()
            await asyncio.wait({attempt})
            if not attempt.cancelled() and attempt.exception() is None:
                await attempt.result().close()
        assert not here.listener.dials


async def test_code_that_expires_ends_the_attempt() -> None:
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        offer = joiner.describe()
        allocator.describe(offer)
        attempt = asyncio.create_task(allocator.establish(without_candidates(offer), timeout=100))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await here.listener.expire()
        with pytest.raises(CodeExpired):
            await attempt
        with pytest.raises(CodeExpired):
            await allocating(here)


async def test_short_codes_one_after_the_other_and_then_a_dial_use_one_listener() -> None:
    async with published() as here:
        here.listener.use_up = lambda: None  # type: ignore[method-assign]
        port = 0
        for _ in range(3):
            # From the same port: delayed datagrams of the earlier attempt must not matter.
            async with joining(port=port) as joiner:
                async with both(joiner, await allocating(here)) as ends:
                    port = joiner.ice.connection.local_candidates[0].port
                    assert not here.listener.is_deserted(ends.allocator)
                    await transfer(ends.joiner, ends.allocator, 1)
                await here.listener.give_back(ends.allocator)
        dialing = asyncio.create_task(here.listener.accept())
        await here.dial()
        await dialing


async def test_second_attempt_from_the_port_of_one_that_still_runs_connects() -> None:
    async with published() as here:
        async with joining() as first:
            old = await allocating(here)
            offer = first.describe()
            old.describe(offer)
            waiting = asyncio.create_task(old.establish(offer, timeout=100))
            port = offer.candidates[0].port
            await until(lambda: here.listener.port.routed((LOCAL, port)) is not None)
        async with joining(port=port) as second, both(second, await allocating(here)):
            with pytest.raises(Taken):
                await waiting


async def test_dial_from_the_port_of_an_attempt_that_still_runs_connects() -> None:
    async with published() as here:
        async with joining() as joiner:
            allocator = await allocating(here)
            offer = joiner.describe()
            allocator.describe(offer)
            waiting = asyncio.create_task(allocator.establish(offer, timeout=100))
            port = offer.candidates[0].port
            await until(lambda: here.listener.port.routed((LOCAL, port)) is not None)
        await here.dial(port=port)
        with pytest.raises(ConnectionFailed):
            await waiting


async def test_short_code_from_the_port_of_a_dial_that_still_runs_gets_an_answer() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as client:
        client.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener.dials))
        allocator = await allocating(here)
        answer = allocator.describe(joiner.describe())
        request = check(password=answer.password, username=f"{answer.ufrag}:abcd")
        client.send(bytes(request), here.number)
        await until(lambda: allocator.facts().check_arrived)
        await allocator.close()


async def test_candidate_at_the_address_of_a_dial_takes_no_datagram_of_it() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as dialer:
        dialer.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener.dials))
        route = here.listener.port.routed(dialer.address)
        allocator = await allocating(here)
        allocator.describe(joiner.describe())
        await allocator.add(Candidate(CandidateType.HOST, *dialer.address, 1))
        assert here.listener.port.routed(dialer.address) is route
        await allocator.close()


async def test_allocator_gets_answers_of_stun_servers_after_the_peer_has_given_up() -> None:
    async with UdpClient.open() as one, UdpClient.open() as two, UdpClient.open() as silent:
        one.answer = two.answer = response
        servers = Servers(diagnosing=[one.address, two.address])
        async with published() as here, joining() as joiner:
            allocator = await allocating(here, servers)
            theirs = without_candidates(joiner.describe())
            allocator.describe(theirs)
            asked = asyncio.create_task(allocator.network())
            attempt = asyncio.create_task(allocator.establish(theirs, timeout=100))
            await allocator.add(Candidate(CandidateType.HOST, *silent.address, 2_130_706_431))
            allocator.end()
            await until(lambda: bool(silent.received))
            allocator.give_up("no path")
            with pytest.raises(ConnectionFailed):
                await attempt
            assert (await asked).udp is Udp.WORKS


async def test_forged_checks_for_a_joiner_are_not_answered() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as client:
        allocator = await allocating(here)
        answer = allocator.describe(joiner.describe())
        for password, answers in (("x" * 32, 0), (answer.password, 1)):
            request = check(password=password, username=f"{answer.ufrag}:abcd")
            client.send(bytes(request), here.number)
            await client.silence(here.number, here.listener)
            assert len(client.received) == answers
            source: Address = client.address
            assert (here.listener.port.routed(source) is not None) is bool(answers)
        await allocator.close()
        assert here.listener.port.routed(client.address) is None


async def test_flood_of_forged_checks_for_a_joiner_changes_nothing() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as client:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        forged = [
            bytes(check(password="x" * 32, username=f"{answer.ufrag}:abcd")) for _ in range(50)
        ]
        attempt = asyncio.create_task(allocator.establish(offer, timeout=100))
        for _ in range(40):
            for data in forged:
                client.send(data, here.number)
            await asyncio.sleep(0)
        ends = [await joiner.establish(answer, timeout=100), await attempt]
        await transfer(ends[0], ends[1], 1)
        assert client.received == []
        assert here.listener.port.routed(client.address) is None
        await ends[0].close()


async def test_delayed_check_of_a_joiner_that_has_left_is_not_answered() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as client:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        ends = await asyncio.gather(
            joiner.establish(answer, timeout=100), allocator.establish(offer, timeout=100)
        )
        await ends[0].close()
        await here.listener.give_back(ends[1])
        request = check(password=answer.password, username=f"{answer.ufrag}:abcd")
        client.send(bytes(request), here.number)
        await client.silence(here.number, here.listener)
        assert client.received == []
        assert here.listener.port.routed(client.address) is None
