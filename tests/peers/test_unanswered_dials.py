"""Dials that get no answer, or a late one: how long they take, and what ends them before."""

from __future__ import annotations

import asyncio

import pytest

from dcsend.errors import (
    ConnectionFailed,
)
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers import dialer
from dcsend.peers.dialer import CLOSED, SILENT, dial
from dcsend.peers.loading import transfer_peer
from tests.support.load import Stopwatch
from tests.support.peers import (
    PASSWORD,
    Relay,
    published,
)

pytestmark = pytest.mark.usefixtures("no_warnings")


@pytest.mark.full
async def test_silent_address_is_an_error_within_the_timeout() -> None:
    silent = await UdpPort.open()
    watch = Stopwatch()
    try:
        with pytest.raises(ConnectionFailed, match=r"no answer from 127\.0\.0\.1"):
            await dial(
                [("127.0.0.1", silent.port)],
                password=PASSWORD,
                fingerprint=bytes(32),
                timeout=0.3,
                make=transfer_peer,
            )
        watch.assert_within(2)
    finally:
        await silent.close()


@pytest.mark.full
async def test_dial_to_an_address_without_any_answer_ends_after_two_thirds_of_its_time() -> None:
    silent = await UdpPort.open()
    began = asyncio.get_running_loop().time()
    try:
        with pytest.raises(ConnectionFailed, match=r"no answer from 127\.0\.0\.1"):
            await dial(
                [("127.0.0.1", silent.port)],
                password=PASSWORD,
                fingerprint=bytes(32),
                timeout=6,
                make=transfer_peer,
            )
        # With all of its time, the second for ICMP messages would begin after it.
        assert asyncio.get_running_loop().time() - began < 6 + 1
    finally:
        await silent.close()


async def dial_these(*places: Address, timeout: float) -> float:
    """Dial addresses that do not answer; return after how many seconds that was an error."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(ConnectionFailed):
        await dial(
            places, password=PASSWORD, fingerprint=bytes(32), timeout=timeout, make=transfer_peer
        )
    return asyncio.get_running_loop().time() - began


@pytest.mark.full
async def test_dial_to_ports_that_are_all_closed_ends_soon_but_not_at_once() -> None:
    gone = await UdpPort.open()
    await gone.close()
    seconds = await dial_these(("127.0.0.1", gone.port), ("127.0.0.2", gone.port), timeout=60)
    assert CLOSED <= seconds < 60 * SILENT


@pytest.mark.full
async def test_dial_with_one_address_that_is_silent_is_not_ended_by_closed_ports() -> None:
    gone, silent = await UdpPort.open(), await UdpPort.open()
    await gone.close()
    try:
        timeout = 10
        seconds = await dial_these(
            ("127.0.0.1", gone.port), ("127.0.0.1", silent.port), timeout=timeout
        )
        assert seconds >= timeout * SILENT
    finally:
        await silent.close()


@pytest.mark.full
async def test_listener_that_begins_after_its_port_was_closed_is_reached() -> None:
    async with published() as here:
        async with Relay.open(here.number) as relay:
            port = relay.port
        dialing = asyncio.create_task(here.dial(addresses=[("127.0.0.1", port)], timeout=60))
        begun = asyncio.Event()
        # A dial that ends with the first message does so 0.5 s, and a second for the reason, after
        # its begin.
        asyncio.get_running_loop().call_later(2.4, begun.set)
        await begun.wait()
        async with Relay.open(here.number, port=port):
            await dialing


@pytest.mark.full
async def test_forged_messages_about_closed_ports_do_not_end_a_dial_that_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with published() as here, Relay.open(here.number) as relay:
        answered = asyncio.Event()
        passed: list[bytes] = []

        def passes(data: bytes) -> bool:
            passed.append(data)
            if len(passed) > 6:  # so some answers have arrived
                answered.set()
            return data[0] < 20  # STUN

        async def forged(*arguments: object) -> None:
            await answered.wait()

        relay.passes = passes
        monkeypatch.setattr(dialer, "stay_closed", forged)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionFailed, match="the other side answers"):
            await here.dial(addresses=[relay.outer.get_extra_info("sockname")[:2]], timeout=4)
        assert answered.is_set()
        assert asyncio.get_running_loop().time() - began >= 4


@pytest.mark.full
async def test_dial_whose_checks_were_answered_has_all_of_its_time() -> None:
    async with published() as here, Relay.open(here.number) as relay:
        relay.passes = lambda data: data[0] < 20  # STUN
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionFailed, match="the other side answers"):
            await here.dial(addresses=[relay.outer.get_extra_info("sockname")[:2]], timeout=4)
        assert asyncio.get_running_loop().time() - began >= 4


@pytest.mark.full
async def test_answer_that_arrives_while_the_reason_is_looked_for_still_connects() -> None:
    async with published() as here, Relay.open(here.number) as relay:
        passing = asyncio.Event()
        relay.passes = lambda data: passing.is_set()
        loop = asyncio.get_running_loop()
        # Before the check that is sent after 3.1 s, in the second for ICMP messages.
        loop.call_later(5.5 * SILENT + 0.05, passing.set)
        await here.dial(addresses=[relay.outer.get_extra_info("sockname")[:2]], timeout=5.5)
