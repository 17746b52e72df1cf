"""A dialer that uses the port of an earlier one, which has ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest

from dcsend.errors import AuthenticationFailed
from dcsend.ice.connection import IceConnection
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers.incoming_dial import IncomingDial
from dcsend.peers.transfer import TransferConnection
from tests.support.peers import AGES, Stranger, check, published, until


async def _free_port() -> int:
    port = await UdpPort.open()
    await port.close()
    return port.port


async def test_new_try_from_the_same_port_is_not_taken_for_the_old_one() -> None:
    async with published(half_open_seconds=AGES) as here:
        number = await _free_port()
        with pytest.raises(AuthenticationFailed):
            await here.dial(port=number, fingerprint=bytes(32))
        (old,) = here.listener._dials.values()
        said = _noted_datagrams(old)
        await here.dial(port=number)
        assert old.name not in here.listener._dials
        assert not said
        assert not here.errors


def _noted_datagrams(dial: IncomingDial[TransferConnection]) -> list[bytes]:
    """Return a list to which the datagrams of *dial* are added from now on."""
    said: list[bytes] = []

    def note(datagrams: Sequence[bytes], target: Address) -> None:
        said.extend(datagrams)

    for protocol in dial.endpoint._protocols.values():
        protocol._transport.sendto = lambda data, *_: said.append(data)
        protocol._transport.send_all = note
    return said


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("state", ["new", "connecting"])
async def test_new_try_follows_one_that_was_cancelled_at_any_point(
    state: str, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with published() as here:
        number = await _free_port()
        dials = here.listener._dials
        attempt = asyncio.create_task(here.dial(port=number))
        async with asyncio.timeout(10):
            # Turn by turn: on this machine all of it takes a few milliseconds.
            while not any(dial.connection._dtls.state == state for dial in dials.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait({attempt})
        del attempt  # and with it the last reference to its tasks
        await here.dial(port=number)
    gc.collect()
    assert not caplog.records


async def test_dialer_overlooks_what_came_for_an_earlier_one() -> None:
    async with published() as here:
        number = await _free_port()
        alert = bytes.fromhex("15 fefd 0000 000000000000 0002 02 28")  # fatal, in the clear
        unknown = here.listener.port.unknown

        def after_an_alert(data: bytes, source: Address) -> None:
            here.listener.port.send(alert, source)
            unknown(data, source)

        here.listener.port.unknown = after_an_alert
        await here.dial(port=number)


@pytest.mark.parametrize("turns", [0, 1, 5])
@pytest.mark.parametrize("again", [True, False])
async def test_what_an_abandoned_dialer_sent_comes_late_and_changes_nothing(
    again: bool, turns: int
) -> None:
    async with published(half_open_seconds=AGES) as here, Stranger.open() as stranger:
        received, source = here.listener.port.received, stranger.address
        first, second = check(), check()
        late = first if again else check(username=first.attributes["USERNAME"])
        received(bytes(first), source)
        received(bytes(second), source)
        new = list(here.listener._dials.values())[-1]
        for _ in range(turns):
            await asyncio.sleep(0)
        received(bytes(late), source)
        await until(lambda: len(here.listener._tasks) == 1)
        assert list(here.listener._dials.values()) == [new]
        assert new.endpoint.has_route(source)


async def test_the_end_of_a_connection_is_not_overlooked() -> None:
    connection = IceConnection(ice_controlling=True)
    connection.data_received(b"\x16", 1)
    connection.end_queue()
    connection.data_received(b"\x16", 1)
    connection.drop_queued()
    assert connection._queue.get_nowait() is None
    assert connection._queue.empty()
