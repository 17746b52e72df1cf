"""What becomes of an attempt to connect by a short code whose other side ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.ice.turn_server import parse_turn
from dcsend.peers.offer_answer import Servers
from dcsend.rendezvous.handshake import Allocator, Joiner
from dcsend.rendezvous.ice_servers import IceServer
from dcsend.rendezvous.items import Bye, End, Item
from dcsend.rendezvous.mailbox import Report
from dcsend.session.trickling import connect
from tests.support.peers import published
from tests.support.trickling import allocating, joining, without_candidates

pytestmark = pytest.mark.usefixtures("nothing_raised")


class Silence:
    """A mailbox in which nothing arrives."""

    number = "7"
    motd = ""
    ice_servers: Sequence[IceServer] = ()

    def add(self, phase: str, body: bytes) -> None:
        """Drop a message."""

    async def next(self) -> tuple[str, bytes]:
        """Wait."""
        await asyncio.Event().wait()
        raise AssertionError

    def watch(self, report: Report) -> None:
        """Report nothing."""

    async def close(self, mood: str) -> None:
        """Do nothing."""


async def joined(
    items: Sequence[Item],
    servers: Servers | None = None,
    *,
    relay_only: bool = False,
) -> None:
    """Join an allocator that has sent *items* after its answer."""
    async with published() as here, joining(servers, relay_only=relay_only) as side:
        offer = side.describe()
        allocator, joiner = Allocator("walrus-umbrella", "7"), Joiner("walrus-umbrella", "7")
        allocator.received(*joiner.join(allocator.first[1], [offer]))
        answer = (await allocating(here)).describe(offer)
        joiner.received(*allocator.seal([answer]))
        await connect(side, without_candidates(answer), Silence(), joiner, items)


async def test_error_of_this_side_is_preferred_to_that_of_the_other_side(
    unused_tcp_port: int,
) -> None:
    """No TURN server listens there, so there is no candidate."""
    relay = parse_turn(f"turn:user:password@127.0.0.1:{unused_tcp_port}?transport=tcp")
    with pytest.raises(ConnectionFailed, match=r"the TURN server 127\.0\.0\.1"):
        await joined([Bye("error", "no path"), End()], Servers(turn=[relay]), relay_only=True)


async def test_other_side_that_has_another_peer_ends_the_attempt() -> None:
    with pytest.raises(ConnectionFailed, match="another device is connected to the other side"):
        await joined([Bye("busy", ""), End()])


@pytest.mark.full
async def test_error_of_the_other_side_is_reported_where_this_side_has_none() -> None:
    with pytest.raises(ConnectionFailed, match="the other side reports: no path from"):
        await joined([Bye("error", "no path from there")])
