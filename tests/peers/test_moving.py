"""A transfer goes on when the address of the dialer changes; real sockets, on loopback."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from dcsend.ice.agent import nominated
from tests.support.peers import Relay, UdpClient, published, transfer, until

pytestmark = [pytest.mark.usefixtures("nothing_raised"), pytest.mark.full]


@pytest.mark.parametrize("listener_sends", [True, False])
async def test_transfer_goes_on_from_another_port_of_the_dialer(listener_sends: bool) -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        dialer, accepted = await here.pair_over(relay)
        source, target = (accepted, dialer) if listener_sends else (dialer, accepted)
        await transfer(source, target, 5)
        sending = asyncio.create_task(transfer(source, target, 20))
        await relay.rebind()
        await sending
        (dial,) = here.listener.dials
        new = relay.inner.get_extra_info("sockname")
        await until(lambda: nominated(dial.endpoint.connection).remote_addr == new)  # type: ignore[union-attr]
        await transfer(target, source, 5)


async def test_transfer_goes_on_from_another_port_of_the_listener() -> None:
    """The dialer has one address of it, behind which the mapping changes."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        dialer, accepted = await here.pair_over(relay)
        await transfer(accepted, dialer, 5)
        await relay.rebind_listener()
        await transfer(accepted, dialer, 20)
        await transfer(dialer, accepted, 5)
        assert dialer.route.remote == "127.0.0.1"


async def test_checks_that_arrive_behind_their_copies_are_answered_and_the_path_stays() -> None:
    """An attacker overtakes each check of the dialer, and relays what the listener asks it."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        attacker = await stack.enter_async_context(UdpClient.open())
        dialer, accepted = await here.pair_over(relay)
        overtaken: set[bytes] = set()
        relayed: set[bytes] = set()
        answered: set[bytes] = set()

        def asked(data: bytes, source: tuple[str, int]) -> None:
            if data[:2] == b"\0\1":
                relayed.add(data[8:20])
                relay.outer.sendto(data, relay.dialer)

        def passes(data: bytes) -> bool:
            if data is relay.seen[-1] and data[:2] == b"\0\1":
                overtaken.add(data[8:20])
                attacker.transport.sendto(data, relay.target)
            elif data[:2] == b"\1\1" and data[8:20] in relayed:
                attacker.transport.sendto(data, relay.target)
            elif data[:2] == b"\1\1":
                answered.add(data[8:20])
            return True

        attacker.datagram_received = asked  # type: ignore[method-assign, assignment]
        relay.passes, relay.delay = passes, 0.02
        await until(lambda: len(overtaken) >= 3 and overtaken <= answered)
        (dial,) = here.listener.dials
        pair = nominated(dial.endpoint.connection)
        assert pair is not None
        assert pair.remote_addr == relay.inner.get_extra_info("sockname")
        await transfer(accepted, dialer, 5)
