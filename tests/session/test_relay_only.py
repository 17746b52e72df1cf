"""`--relay-only`: what would show an address of this machine is refused, or not shown."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from aiohttp import web

from dcsend.description import Description, SdpType, Setup
from dcsend.errors import AuthenticationFailed, DcsendError, UsageError
from dcsend.peers.loading import transfer_peer
from dcsend.session.events import CodeReady, Event
from dcsend.session.hosting import hosting
from dcsend.session.joining import joined
from dcsend.session.meeting import meet
from dcsend.settings import Settings
from dcsend.signaling.blob import encode
from dcsend.signaling.dialcode import Address, DialCode, new_secret
from dcsend.signaling.shortcode import ShortCode
from tests.session.test_short_codes import SETTINGS, Run
from tests.support.mailbox_server import StockServer
from tests.support.scripted_mailbox import scripted_server

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]

HIDING = replace(SETTINGS, relay_only=True)
RELAY = "turn:user:password@127.0.0.1:9"
DIAL = DialCode(new_secret(), bytes(32), 4000, (Address("192.0.2.7", 4000),), 2_000_000_000)
OFFER = Description(SdpType.OFFER, "ufrag", 22 * "p", bytes(32), Setup.ACTPASS, ())
PAGE = "https://dcsend.example/"


async def test_server_that_offers_no_relay_is_refused_before_a_code_is_shown(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    events: list[Event] = []
    with pytest.raises(UsageError, match=r"needs a TURN server, and the server .* offers none"):
        async with meet(replace(HIDING, server=stock_server.server.url), events.append, "sender"):
            pass
    assert events == []


async def test_hint_about_a_named_relay_is_that_a_server_is_missing() -> None:
    with pytest.raises(UsageError, match="needs a rendezvous server") as caught:
        async with meet(replace(HIDING, mdns=False, turn=(RELAY,)), print, "sender"):
            pass
    assert caught.value.hint == "name one: --server URL"


async def _serve_without_accounts(socket: web.WebSocketResponse) -> None:
    """Serve a mailbox, as a server that sends TURN servers when both sides are there."""
    responses: dict[str, dict[str, object]] = {
        "allocate": {"type": "allocated", "nameplate": "7"},
        "claim": {"type": "claimed", "mailbox": "m"},
        "ping": {"type": "pong", "pong": 1},
        "close": {"type": "closed"},
    }
    await socket.send_json({"type": "welcome", "welcome": {"dcsend-ice-servers": []}})
    async for message in socket:
        fields = json.loads(message.data)
        if (response := responses.get(fields["type"])) is not None:
            await socket.send_json(response | {"pong": fields.get("ping")})


async def test_server_that_may_offer_relays_to_two_sides_is_used() -> None:
    async with scripted_server(_serve_without_accounts) as server:
        run = Run(replace(HIDING, server=server.url))
        async with meet(run.settings, run.emit, "sender"):
            assert (await run.code(1)).number == "7"
    assert [one.is_hidden for one in run.events if isinstance(one, CodeReady)] == [True]


@pytest.mark.parametrize(
    ("code", "kind"), [(DIAL.text(), "a dial code"), (encode(OFFER), "an offer or an answer")]
)
async def test_code_that_needs_an_address_of_this_side_is_refused(code: str, kind: str) -> None:
    settings = replace(HIDING, server="ws://127.0.0.1:1/v1", turn=(RELAY,), code=code)
    with pytest.raises(UsageError, match=f"--relay-only is for short codes.*{kind}"):
        async with asyncio.timeout(20), meet(settings, lambda event: None, "receiver"):
            pass


async def test_run_ends_with_its_short_codes(stock_server: StockServer) -> None:
    """The dial code, which would remain, has addresses of this machine."""
    stock_server.start()
    run = Run(replace(HIDING, server=stock_server.server.url, turn=(RELAY,)))
    joining = replace(run.settings, relay_only=False, turn=())
    async with meet(run.settings, run.emit, "sender") as arrivals:
        arriving = asyncio.create_task(arrivals.next())
        for count in (1, 2, 3):
            wrong = ShortCode((await run.code(count)).number, ("yoyo", "yoyo"))
            with pytest.raises(DcsendError):
                async with joined(joining, lambda event: None, wrong, transfer_peer):
                    pass
        with pytest.raises(AuthenticationFailed, match="3 wrong short codes in a row") as caught:
            async with asyncio.timeout(20):
                await arriving
    assert caught.value.hint == "run it again for a new code"
    assert run.over == []


async def test_link_of_a_hosted_page_has_the_short_code_only() -> None:
    settings = Settings(page=True, page_url=PAGE, relay_only=True, server="public")
    async with hosting(settings, print) as page:
        page.start()
        (link,) = page.links(DIAL, {})
        assert link.url.startswith("dcsend:#")
        assert page.link_of_both("7-walrus-umbrella") == f"{PAGE}#7-walrus-umbrella"


async def test_no_page_is_served() -> None:
    """Its link would have the dial code and an address of this machine."""
    async with hosting(Settings(page=True, relay_only=True, server="public"), print) as page:
        page.start()
        (link,) = page.links(DIAL, {})
        assert link.url.startswith("dcsend:#")
