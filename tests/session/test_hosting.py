"""Where the link of a run points to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from dcsend.errors import UsageError
from dcsend.serving.server import PageServer
from dcsend.session.events import Emit, Event
from dcsend.session.hosting import Hosting, hosting, page_hosts
from dcsend.settings import Settings
from dcsend.signaling.dialcode import Address, DialCode
from tests.serving.client import Client, until
from tests.serving.sample_page import PAGE
from tests.support.peers import has_ipv6

MAPPED = 5000
"A port of a NAT."


def code(hosts: Sequence[str], mapped: Sequence[str] = ()) -> DialCode:
    """Return a code with these addresses."""
    plain = (Address(str(ipaddress.ip_address(host)), 4000) for host in hosts)
    others = (Address(host, MAPPED) for host in mapped)
    return DialCode(bytes(16), bytes(32), 4000, (*plain, *others), 0)


@pytest.mark.parametrize(
    ("hosts", "mapped", "host"),
    [
        (["192.168.1.7"], [], "192.168.1.7"),
        (["192.168.1.7", "10.0.0.7"], [], "192.168.1.7"),
        (["8.8.8.8", "10.0.0.7"], [], "10.0.0.7"),
        (["8.8.8.8", "2001:db8::7"], [], "8.8.8.8"),
        (["2001:db8::7", "172.16.0.7"], [], "172.16.0.7"),
        (["2001:db8::7"], ["203.0.113.9"], "[2001:db8::7]"),
        (["fe80::7", "2001:db8::7"], [], "[2001:db8::7]"),
        (["127.0.0.1"], [], "127.0.0.1"),
        (["127.0.0.1", "192.168.1.7"], [], "192.168.1.7"),
        (["169.254.1.7"], [], "169.254.1.7"),
        (["100.64.0.7"], ["203.0.113.9"], "100.64.0.7"),
        (["192.0.0.2", "2001:db8::7"], [], "[2001:db8::7]"),
        (["192.0.0.2"], [], "192.0.0.2"),
    ],
)
def test_page_is_where_a_phone_in_the_same_network_finds_it(
    hosts: list[str], mapped: list[str], host: str
) -> None:
    assert page_hosts(code(hosts, mapped), {})[0] == (host, "")


def test_loopback_is_no_further_link_of_a_machine_in_a_network() -> None:
    assert page_hosts(code(["192.168.1.7", "127.0.0.1"]), {}) == [("192.168.1.7", "")]


@pytest.mark.parametrize(("hosts", "mapped"), [(["fe80::7"], []), ([], ["203.0.113.9"])])
def test_addresses_that_no_browser_can_use_are_refused(hosts: list[str], mapped: list[str]) -> None:
    with pytest.raises(UsageError, match="served at any address") as caught:
        page_hosts(code(hosts, mapped), {})
    assert "--no-page" in caught.value.hint


def serving(
    emit: Emit = print, load: Callable[[], type[PageServer]] | None = None
) -> AbstractAsyncContextManager[Hosting]:
    """Host a page that needs no build."""
    return hosting(Settings(page=True), emit, built=PAGE, load=load)


def port_of(page: Hosting) -> int:
    """Return the port in the link."""
    base = page.links(code(["127.0.0.1"]), {})[0].url.partition("#")[0]
    return int(base.removeprefix("http://127.0.0.1:").removesuffix("/"))


async def test_link_without_a_page_opens_nothing() -> None:
    async with hosting(Settings(), print) as page:
        page.start()
        assert page.links(code(["192.168.1.7"]), {})[0].url.startswith("dcsend:#")


async def test_link_of_a_hosted_page_points_there_and_nothing_is_served() -> None:
    settings = Settings(page=True, page_url="https://pages.dcsend.example/")
    async with hosting(settings, print) as page:
        page.start()
        assert page.links(code(["192.168.1.7"]), {})[0].url.startswith(
            "https://pages.dcsend.example/#"
        )


@pytest.mark.parametrize(
    "url",
    [
        *("garbage", "javascript:alert(1)", "data:text/html,x", "//x.example/", "https://"),
        *("https://x.example/#y", "https://x.example/ ", "http://[::1", "https://x.example:99999/"),
    ],
)
async def test_url_of_no_page_is_refused_before_anything_is_opened(url: str) -> None:
    with pytest.raises(UsageError, match="the page's URL"):
        async with hosting(Settings(page_url=url), print):
            pass


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        (Settings(page_url="https://x.example/", port=81), 1),
        (Settings(page_url="https://x.example/", port=6000), 0),
        (Settings(page_url="https://x.example/"), 0),
        (Settings(port=81), 0),
    ],
)
async def test_port_that_browsers_do_not_dial_causes_a_warning_where_a_page_is_used(
    settings: Settings, warnings: int
) -> None:
    events: list[Event] = []
    async with hosting(settings, events.append) as page:
        page.links(code(["192.168.1.7"]), {})
        assert not events  # the code comes first
        page.start()
    assert [event.as_json()["fatal"] for event in events] == [False] * warnings


async def test_page_is_served_where_the_link_points_until_the_end() -> None:
    dial = code(["127.0.0.1"])
    async with serving() as page:
        base, _, digits = page.links(dial, {})[0].url.partition("#")
        assert digits == str(int.from_bytes(dial.encode()))
        page.start()
        port = int(base.removeprefix("http://127.0.0.1:").removesuffix("/"))
        client = Client(port)
        assert (await client.get()).body == PAGE.content
    with pytest.raises(ConnectionRefusedError):
        await client.get()


async def test_end_while_the_server_is_loaded_leaves_nothing_behind() -> None:
    async with serving() as page:
        page.start()


async def test_server_that_can_not_be_loaded_is_reported_and_the_code_still_works() -> None:
    def broken() -> type[PageServer]:
        raise ImportError("no module named aiohttp")

    events: list[Event] = []
    async with serving(events.append, broken) as page:
        page.start()
        with pytest.raises(ConnectionError):  # the one that waited, and every later one
            await Client(port_of(page)).get()
    (event,) = events
    assert event.as_json()["message"] == "the page can't be served: no module named aiohttp"
    assert not event.as_json()["fatal"]


class HalfServer(PageServer):
    """A server that starts on the first socket only."""

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Fail at the second socket."""
        first, second = sockets
        second.close()
        await super().start([first, second])


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_server_that_starts_on_one_socket_alone_is_reported_and_closed() -> None:
    events: list[Event] = []
    async with serving(events.append, lambda: HalfServer) as page:
        client = Client(port_of(page))
        page.start()
        await until(lambda: events)
        message = "the page can't be served: bad file descriptor"
        assert events[0].as_json()["message"] == message
        with pytest.raises(ConnectionError):
            await client.get()


async def test_port_of_a_page_that_can_not_be_used_is_reported_before_the_code() -> None:
    async with serving() as first:
        port = port_of(first)
        with pytest.raises(UsageError, match=f"TCP port {port}"):
            async with hosting(Settings(page=True, port=port), print, built=PAGE):
                pass
