"""A dialer that uses the port of an earlier one, which has ended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Final

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import AuthenticationFailed, CodeUsed
from dcsend.ice.connection import IceConnection
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers.loading import transfer_peer
from dcsend.peers.peer import ConnectionRole
from dcsend.peers.transfer import TransferConnection
from tests.support.peers import LOCAL, HalfOpen, Relay, UdpClient, check, published, until

ALERT: Final = 21
"The content type of DTLS (RFC 6347, 4.3.1)."


async def _free_port() -> int:
    port = await UdpPort.open()
    await port.close()
    return port.port


async def test_new_try_from_the_same_address_is_not_taken_for_the_old_one() -> None:
    async with (
        published(half_open=HalfOpen()) as here,
        Relay.open(here.number) as relay,
    ):
        addresses = [(LOCAL, relay.port)]
        with pytest.raises(AuthenticationFailed):
            await here.dial(addresses=addresses, fingerprint=bytes(32))
        (old,) = here.listener.dials
        alerts: list[bytes] = []

        def noting(data: bytes) -> bool:
            if data[0] == ALERT:
                alerts.append(data)
            return True

        relay.passes = noting
        await here.dial(addresses=addresses)
        assert old not in here.listener.dials
        # The end of the old dial sends no close_notify to the address of the new one.
        assert not alerts
        assert not here.errors


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("state", ["new", "connecting"])
async def test_new_try_follows_one_that_was_cancelled_at_any_point(
    state: str, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with published() as here:
        number = await _free_port()
        attempt = asyncio.create_task(here.dial(port=number))
        async with asyncio.timeout(10):
            # Turn by turn: on this machine all of it takes a few milliseconds.
            while not any(dial.connection.dtls.state == state for dial in here.listener.dials):  # noqa: ASYNC110
                await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait({attempt})
        del attempt  # and with it the last reference to its tasks
        states = {dial.connection.dtls.state for dial in here.listener.dials}
        # The listener may have accepted the first one, on some versions of Python after few turns.
        with contextlib.suppress(*[CodeUsed] if states & {"connected", "closed"} else []):
            await here.dial(port=number)
    gc.collect()
    assert not caplog.records


async def test_dialer_ignores_an_alert_for_an_earlier_one() -> None:
    async with published() as here:
        number = await _free_port()
        alert = bytes.fromhex("15 fefd 0000 000000000000 0002 02 28")  # fatal, in the clear
        unknown = here.listener.port.unknown

        def after_an_alert(data: bytes, source: Address) -> None:
            here.listener.port.send(alert, source)
            unknown(data, source)

        attempts = 0

        def counting(
            ice: IceConnection, certificate: Certificate, role: ConnectionRole
        ) -> TransferConnection:
            nonlocal attempts
            attempts += 1
            return transfer_peer(ice, certificate, role)

        here.listener.port.route_unknown(after_an_alert)
        await here.dial(port=number, make=counting)
        assert attempts == 1  # a dialer that is cut off dials once more


@pytest.mark.parametrize("turns", [0, 1, 5])
@pytest.mark.parametrize("again", [True, False])
async def test_what_an_abandoned_dialer_sent_comes_late_and_changes_nothing(
    again: bool, turns: int
) -> None:
    async with published(half_open=HalfOpen()) as here, UdpClient.open() as client:
        received, source = here.listener.port.received, client.address
        first, second = check(), check()
        late = first if again else check(username=first.attributes["USERNAME"])
        received(bytes(first), source)
        received(bytes(second), source)
        new = here.listener.dials[-1]
        for _ in range(turns):
            await asyncio.sleep(0)
        received(bytes(late), source)
        await until(lambda: here.listener.dials == (new,))
        assert new.endpoint.has_route(source)
