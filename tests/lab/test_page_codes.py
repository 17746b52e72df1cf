"""Short codes between a terminal and a page: a sample; `make lab` measures all networks."""

from __future__ import annotations

from pathlib import Path

from tests.lab import DISTANT, Lab
from tests.lab.page_codes import PageCodes, entered_in_page, shown_by_page
from tests.lab.pages import page_on
from tests.lab.ways import STUN
from tests.support.browsers import require


async def test_chromium_connects_by_a_short_code_in_a_network_with_ipv6_only(
    tmp_path: Path,
) -> None:
    require("chromium")
    with Lab("v6-firewalls", delays=DISTANT) as lab:
        server = lab.rendezvous()
        codes = PageCodes(lab, tmp_path, lab.hosted_page(server), server)
        async with page_on(lab, tmp_path, "chromium") as page:
            outcome = await shown_by_page(codes, page)
    assert outcome.routes == ("direct IPv6", "direct IPv6"), outcome


async def test_firefox_connects_through_a_relay_where_only_tcp_443_gets_out(
    tmp_path: Path,
) -> None:
    require("firefox")
    with Lab("restricted-tcp443", delays=DISTANT) as lab:
        server = lab.rendezvous()
        servers = [STUN, lab.relay("tls443")]
        codes = PageCodes(lab, tmp_path, lab.hosted_page(server), server, servers)
        async with page_on(lab, tmp_path, "firefox") as page:
            outcome = await entered_in_page(codes, page)
    assert outcome.routes == ("relayed IPv4", "relayed IPv4"), outcome
