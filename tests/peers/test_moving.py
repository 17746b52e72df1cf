"""A transfer goes on when the address of the dialer changes; real sockets, on loopback."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from dcsend.ice.agent import nominated
from tests.support.peers import Relay, published, transfer, until

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
