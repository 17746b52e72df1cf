"""A listener with several places: dialers and joiners beside each other; real sockets."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeExpired, CodeUsed, ConnectionFailed
from dcsend.ice.ufrag import encode_ufrag
from dcsend.peers.loading import transfer_peer
from dcsend.peers.redialing import redial
from tests.support.peers import LOCAL, PASSWORD, Relay, UdpClient, check, published, transfer, until
from tests.support.trickling import allocating, both, joining

pytestmark = [pytest.mark.usefixtures("nothing_raised"), pytest.mark.full]


async def test_dialers_and_a_joiner_are_connected_at_once() -> None:
    async with published(places=3) as here, joining() as joiner:
        first = await here.pair()
        second = await here.dial(), await here.listener.accept()
        async with both(joiner, await allocating(here)) as ends:
            third = ends.joiner, ends.allocator
            assert await here.listener.accept() is ends.allocator
            for ours, theirs in (first, second, third):
                await transfer(ours, theirs, 3)
                await transfer(theirs, ours, 3)
            assert here.listener.taken.is_set()
            with pytest.raises(ConnectionFailed, match="another device is connected"):
                await here.dial(timeout=0.5)
            assert here.listener.asked.is_set()


async def test_place_that_is_given_back_is_for_another_dialer() -> None:
    async with published(places=2) as here:
        _, first = await here.pair()
        other, second = await here.dial(), await here.listener.accept()
        assert not here.listener.free.is_set()
        await here.listener.give_back(first)
        assert here.listener.free.is_set()
        third, accepted = await here.dial(), await here.listener.accept()
        await transfer(third, accepted, 3)
        await transfer(other, second, 3)
        await here.listener.give_back(accepted)
        await here.listener.give_back(second)
        assert not here.listener.dials


async def test_fewer_places_end_no_connection_and_a_used_code_refuses_others() -> None:
    async with published(places=3) as here:
        first = await here.pair()
        second = await here.dial(), await here.listener.accept()
        here.listener.limit(1)
        assert here.listener.taken.is_set()
        here.listener.use_up()
        for ours, theirs in (first, second):
            await transfer(ours, theirs, 3)
        with pytest.raises(CodeUsed):
            await here.dial()


async def test_code_that_expires_refuses_others_and_ends_no_connection() -> None:
    async with published(places=3) as here:
        first = await here.pair()
        await here.listener.expire()
        await transfer(*first, 3)
        with pytest.raises(CodeExpired):
            await here.dial()


async def test_check_from_the_address_of_an_accepted_peer_does_not_end_its_connection() -> None:
    """A receiver could forge the address of another one."""
    async with published(places=3) as here, Relay.open(here.number) as relay:
        dialer, accepted = await here.pair_over(relay)
        other = await here.dial(), await here.listener.accept()
        before = len(here.listener.dials)
        own = Certificate.generate()
        for fingerprint in (own.fingerprint, secrets.token_bytes(32)):
            ufrag = encode_ufrag(fingerprint, secrets.token_hex(12))
            relay.spoof(bytes(check(username=f"{ufrag}:{secrets.token_hex(4)}")))
        await until(here.listener.asked.is_set, 10)
        await transfer(dialer, accepted, 20)
        await transfer(accepted, dialer, 20)
        await transfer(*other, 3)
        assert len(here.listener.dials) == before


async def test_half_open_dial_does_not_take_the_address_of_an_accepted_peer() -> None:
    async with (
        published(places=3) as here,
        Relay.open(here.number) as relay,
        UdpClient.open() as hostile,
    ):
        dialer, accepted = await here.pair_over(relay)
        ufrag = encode_ufrag(secrets.token_bytes(32), secrets.token_hex(12))
        username = f"{ufrag}:{secrets.token_hex(4)}"
        hostile.send(bytes(check(username=username)), here.number)
        await until(lambda: len(here.listener.dials) == 2)
        for _ in range(3):
            relay.spoof(bytes(check(username=username)))
        async with asyncio.timeout(5):  # sooner than the half-open dial ends
            await transfer(dialer, accepted, 20)
            await transfer(accepted, dialer, 20)


async def test_each_of_several_dialers_can_return() -> None:
    async with published(places=2) as here:
        certificates = [Certificate.generate() for _ in range(2)]
        pairs = [
            (await here.dial(certificate=certificates[0]), await here.accepting),
            (await here.dial(certificate=certificates[1]), await here.listener.accept()),
        ]
        for _, accepted in pairs:
            here.listener.let_return(accepted)
        for certificate, (former, accepted) in reversed(
            list(zip(certificates, pairs, strict=True))
        ):
            again = await redial(
                [(LOCAL, here.number)],
                password=PASSWORD,
                fingerprint=here.certificate.fingerprint,
                certificate=certificate,
                make=transfer_peer,
                often=1.0,
            )
            here.dialed.append(again)
            another = await here.listener.returned(accepted)
            here.listener.replace(accepted, another)
            await accepted.discard()
            await former.discard()
            await transfer(again, another, 3)
            await here.listener.give_back(another)
        assert here.listener.free.is_set()
        assert not here.listener.dials


async def test_dialer_that_was_given_back_cannot_return_when_the_code_is_used() -> None:
    async with published(places=2) as here:
        certificate = Certificate.generate()
        await here.dial(certificate=certificate)
        accepted = await here.accepting
        here.listener.let_return(accepted)
        await here.listener.give_back(accepted)
        here.listener.use_up()
        with pytest.raises(CodeUsed):
            await here.dial(certificate=certificate)


async def test_waiting_accept_ends_when_the_listener_is_closed() -> None:
    async with published(places=2) as here:
        await asyncio.sleep(0)
        await here.listener.close()
        with pytest.raises(ConnectionFailed, match="the listener is closed"):
            await here.accepting
        with pytest.raises(ConnectionFailed, match="the listener is closed"):
            await here.listener.accept()


async def test_dialer_is_refused_as_busy_while_an_accepted_peer_is_silent() -> None:
    """Without a refusal, its user would read that nothing answers."""
    async with published(places=2) as here, Relay.open(here.number) as relay:
        _, accepted = await here.pair_over(relay)
        here.listener.limit(1)
        here.listener.keep(accepted)
        relay.passes = lambda data: False
        await until(lambda: here.listener.is_deserted(accepted), 20)
        with pytest.raises(ConnectionFailed, match="another device is connected"):
            await here.dial(timeout=1)
        assert here.listener.asked.host == LOCAL


async def test_dialer_with_the_address_of_a_silent_peer_gets_an_answer() -> None:
    """Without one, its user would read that nothing answers: all checks have that port."""
    async with (
        published(places=3) as here,
        Relay.open(here.number) as relay,
        Relay.open(here.number) as other,
    ):
        _, accepted = await here.pair_over(relay)
        here.listener.keep(accepted)
        await here.dial(addresses=[(LOCAL, other.port)])
        undecided = await here.listener.accept()
        relay.passes = other.passes = lambda data: False
        peers = (accepted, undecided)
        await until(lambda: all(here.listener.is_deserted(one) for one in peers), 20)
        port = relay.inner.get_extra_info("sockname")[1]
        relay.inner.close()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionFailed, match="another device is connected"):
            await here.dial(timeout=1, port=port)
        assert here.listener.asked.holder is accepted
