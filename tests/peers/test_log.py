"""The log of connections at DEBUG: what happens is in it, and no secret is."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dcsend.description import SdpType
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.peers.transfer import TransferConnection
from tests.support.peers import LOCAL, PASSWORD, UdpClient, check, published, transfer

SENT = "a line that is sent"


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dcsend")


async def exchange(left: TransferConnection, right: TransferConnection) -> list[str]:
    """Send a line and some data; return what must not be logged of the two ends."""
    left.channels["text"].send(SENT)
    assert await right.channels["text"].receive() == SENT
    await transfer(left, right, 2)
    secrets = [SENT]
    for ice in (left.ice, right.ice):
        secrets += [ice.local_password, str(ice.remote_password)]
    return secrets


def assert_log(caplog: pytest.LogCaptureFixture, secrets: list[str], *parts: str) -> None:
    """Assert that the log of dcsend has each of *parts* and no secret."""
    records = [r for r in caplog.get_records("call") if r.name.startswith("dcsend.")]
    text = "\n".join(record.getMessage() for record in records)
    for part in parts:
        assert part in text, text
    for secret in secrets:
        assert secret not in text


async def test_dial_is_logged_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    async with published() as here, UdpClient.open() as client:
        dialer, listener = await here.pair()
        secrets = [*await exchange(dialer, listener), PASSWORD]
        username = check().attributes["USERNAME"]
        client.send(bytes(check(username=username)), here.number)
        await client.silence(here.number, here.listener)
        secrets += [username.partition(":")[0]]
    assert_log(
        caplog,
        secrets,
        f"UDP port {here.number} is open",
        f"dialing {LOCAL} port {here.number}",
        "a new dial, besides 0",
        "remote candidate: ",
        "local candidate: ",
        "nominated: ",
        "DTLS is connected",
        "dial: accepted",
        "refused, USED",
        "refused, WRONG_SECRET",
        f"UDP port {here.number} is closed",
    )


async def test_exchange_of_descriptions_is_logged_without_its_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await load_aiortc()
    left = await Negotiation.open(Servers(), addresses=[LOCAL])
    right = await Negotiation.open(Servers(), addresses=[LOCAL])
    offer = left.describe(SdpType.OFFER)
    answer = right.describe(SdpType.ANSWER, offer)
    ends = await asyncio.gather(
        left.connect(offer, answer, transfer_peer, timeout=30),
        right.connect(answer, offer, transfer_peer, timeout=30),
    )
    secrets = await exchange(*ends)
    await asyncio.gather(*(end.close() for end in ends))
    assert_log(caplog, secrets, "gathered: ", "request from", "nominated: ", "DTLS is closed")
