"""A dialer that is disconnected because another one was faster: it dials once more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

import dcsend
from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeUsed, ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.net.udp import UdpPort
from dcsend.peers.contract import Connection
from dcsend.peers.listener import Listener
from dcsend.peers.loading import transfer_peer
from dcsend.peers.transfer import TransferConnection
from dcsend.session.arrivals import SOON_SECONDS, Dialed
from dcsend.settings import Settings
from dcsend.signaling.dialcode import Address, DialCode, ice_password, new_secret

LOCAL = "127.0.0.1"
LOST = ConnectionFailed("the connection to the other side was lost")


class Closing:
    """A connection that notes whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        """Note it."""
        self.closed = True


def dialed(soon: float = SOON_SECONDS) -> tuple[Dialed, list[Closing]]:
    """Return what was dialed, and its connections so far."""
    made = [Closing()]

    async def again() -> Connection:
        made.append(Closing())
        return cast(Connection, made[-1])

    return Dialed(cast(Connection, made[0]), again, soon), made


async def test_connection_that_is_cut_off_before_hello_is_dialed_once_more() -> None:
    peer, made = dialed()
    await peer.parted(LOST, introduced=False)
    assert await peer.next() is cast(Connection, made[1])
    assert [one.closed for one in made] == [True, False]
    with pytest.raises(ConnectionFailed):
        await peer.parted(LOST, introduced=False)
    await peer.close()
    assert [one.closed for one in made] == [True, True]


@pytest.mark.parametrize(
    ("error", "introduced", "soon"),
    [
        (LOST, True, 5.0),
        (LOST, False, -1.0),
        (RemoteProtocolError("no"), False, 5.0),
    ],
)
async def test_any_other_end_is_the_end(error: DcsendError, introduced: bool, soon: float) -> None:
    peer, made = dialed(soon)
    with pytest.raises(type(error)):
        await peer.parted(error, introduced=introduced)
    assert len(made) == 1


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Listener[TransferConnection], str]]:
    """Yield a listener and its code."""
    secret, certificate = new_secret(), Certificate.generate()
    port = await UdpPort.open()
    listener = Listener(
        port, certificate=certificate, password=ice_password(secret), make=transfer_peer
    )
    addresses = (Address(LOCAL, port.port),)
    expires = int(time.time()) + 600
    try:
        yield (
            listener,
            DialCode(secret, certificate.fingerprint, port.port, addresses, expires).text(),
        )
    finally:
        await listener.close()


async def test_dialer_that_lost_the_race_gets_the_error_that_the_code_is_used(
    tmp_path: Path,
) -> None:
    async with listening() as (listener, code):
        receiving = asyncio.create_task(
            dcsend.receive(code, output=tmp_path, settings=Settings(stun=()))
        )
        # Disconnected, as where another dialer has been accepted.
        connection = await listener.accept()
        listener.use_up()
        await connection.close()
        with pytest.raises(CodeUsed):
            await receiving


async def test_dialer_that_lost_the_race_connects_once_the_code_is_given_back(
    tmp_path: Path,
) -> None:
    async with listening() as (listener, code):
        receiving = asyncio.create_task(
            dcsend.receive(code, output=tmp_path, settings=Settings(stun=()))
        )
        for _ in range(2):
            await listener.give_back(await listener.accept())
        with pytest.raises(ConnectionFailed):
            await receiving
