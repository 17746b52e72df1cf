"""Short codes in the page, over the stock mailbox server: both roles, both browsers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from dcsend.signaling.shortcode import read
from tests.session.test_short_codes import SETTINGS, Run, answer, guessing
from tests.support.browsers import Browsers
from tests.support.mailbox_server import StockServer
from tests.support.page import Page, at, from_disk, here, lan_address, random_file
from tests.support.page_host import hosted
from tests.support.processes import Program, Stage, digest
from tests.support.tab import Tab

pytestmark = pytest.mark.full

ON_LOOPBACK = ("--stun", "none", "--no-mdns")

HOST: Final = "rendezvous.department.example.org:8443"
PHONE: Final = (390, 844, 2.0)

TYPED: Final = "document.querySelector('#code').value"
FITS: Final = """(() => {
  const field = document.querySelector("#code");
  const { clientHeight, scrollHeight } = field;
  const before = field.style.cssText;
  field.style.height = "0";
  field.style.overflow = "hidden";
  const least = field.scrollHeight;
  field.style.cssText = before;
  return scrollHeight <= clientHeight && clientHeight === least;
})()"""
"All lines are visible, and no empty ones."
WORDS: Final = "[...document.querySelectorAll('#words button')].map((one) => one.textContent)"


def options(server: str) -> tuple[str, ...]:
    """Return the options of a terminal."""
    return (*here(), *ON_LOOPBACK, "--server", server)


def joining(server: str) -> tuple[str, ...]:
    """Return the options of a terminal that is given a code."""
    return (*ON_LOOPBACK, "--server", server)


async def shown(program: Program) -> str:
    """Return the short code that a terminal shows."""
    return str((await asyncio.to_thread(program.event, "short_code"))["code"])


async def saved_by(page: Page) -> str:
    """Return the digest of what the page saves, when it is done."""
    await page.until("done")
    return digest((await page.saved()).path)


def wrong(code: str) -> str:
    """Return the code with another first word."""
    number, first, *rest = code.split("-")
    return "-".join((number, "walrus" if first != "walrus" else "umbrella", *rest))


async def test_page_receives_by_the_code_of_a_terminal(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "film", 3_000_000)
    sender = stage.send(file, *options(server))
    code = await shown(sender)
    await page.open(link)
    await page.until("paste")
    assert f"dcsend send PATH --server {server}\n" in await page.text()
    await page.dial(code.replace("-", " ").upper())
    await page.accept("memory")
    assert await saved_by(page) == digest(file)
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_page_sends_by_the_code_of_a_terminal(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "photo.jpg", 2_000_000)
    receiver = stage.receive("", tmp_path / "out", *options(server))
    code = await shown(receiver)
    await page.open(link)
    await page.until("paste")
    assert f"dcsend receive --server {server}\n" in await page.text()
    await page.dial(code)
    await page.choose(file)
    await page.tab.click("#send")
    await page.until("done")
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert digest(tmp_path / "out" / "photo.jpg") == digest(file)


async def test_terminal_sends_by_the_code_of_the_page(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "film", 3_000_000)
    await page.open(link)
    code = await page.show_code("receive")
    assert await page.text("#command") == f"dcsend send PATH --to {code} --server {server}"
    sender = stage.send(file, "--to", code, *joining(server))
    await page.accept("memory")
    assert await saved_by(page) == digest(file)
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_terminal_receives_by_the_code_of_the_page(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "photo.jpg", 2_000_000)
    await page.open(link)
    code = await page.show_code("send")
    assert await page.text("#command") == f"dcsend receive {code} --server {server}"
    receiver = stage.receive(code, tmp_path / "out", *joining(server))
    await page.choose(file)
    await page.tab.click("#send")
    await page.until("done")
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert digest(tmp_path / "out" / "photo.jpg") == digest(file)


@pytest.fixture
async def other(page: Page, browsers: Browsers, server: str, tmp_path: Path) -> AsyncIterator[Page]:
    """The page in the other browser."""
    name = "firefox" if page.tab.browser.name == "chromium" else "chromium"
    browser = await asyncio.to_thread(browsers, name)
    opened = Page(await browser.open_tab(tmp_path / "other"))
    opened.permit(server)
    yield opened
    opened.check()
    await browser.close_tabs()


@pytest.mark.parametrize("role", ["send", "receive"])
async def test_two_pages_in_two_browsers(
    page: Page, other: Page, server: str, link: str, tmp_path: Path, role: str
) -> None:
    file = random_file(tmp_path / "film", 3_000_000)
    await page.open(link)
    code = await page.show_code(role)
    await other.open(f"{link}#{code}")
    sender, receiver = (page, other) if role == "send" else (other, page)
    await sender.choose(file)
    await sender.tab.click("#send")
    await receiver.until("offered")
    shown = await receiver.tab.evaluate("document.querySelector('main').textContent")
    assert ".local" not in shown  # the random name that a browser has in place of its address
    assert "Offered by" in shown
    await receiver.accept("memory")
    assert await saved_by(receiver) == digest(file)
    await sender.until("done")
    assert await other.tab.evaluate("location.hash") == ""


async def test_wrong_words_use_the_code_up_and_the_page_shows_another(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    await page.open(link)
    code = await page.show_code("receive")
    for _ in range(2):
        sender = stage.send("--text", "hello", "--to", wrong(code), *joining(server))
        code = await page.shown_code(before=code)
        assert "wrong code" in await page.text("#notice")
        assert (await asyncio.to_thread(sender.end)).status != 0
    sender = stage.send("--text", "hello", "--to", wrong(code), *joining(server))
    await page.tab.wait_for("!document.querySelector('#another').hidden")
    assert not await page.tab.evaluate("document.querySelector('#short-code').textContent")
    assert await page.text("h1") == "Wrong codes were entered"
    for gone in ("#notice", "#about", "#terminal"):
        assert await page.tab.evaluate(f"document.querySelector('{gone}').hidden")
    await page.tab.click("#another")
    code = await page.shown_code()
    assert await page.text("h1") == "Enter this code on the other side"
    sender = stage.send("--text", "hello", "--to", code, *joining(server))
    await page.accept()
    await page.until("done")
    assert (await asyncio.to_thread(sender.end)).status == 0


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)  # the code is the same in both
async def test_page_shows_the_next_code_beside_a_joiner_that_takes_no_further_step(
    page: Page, stage: Stage, server: str, link: str
) -> None:
    """A program that was killed: its attempt lasts up to a minute."""
    await page.open(link)
    code = await page.show_code("receive")
    stalled = Run(replace(SETTINGS, server=server))
    async with guessing(stalled, read(code)) as (mailbox, joiner, body):
        mailbox.add("b0", body)
        await answer(mailbox, joiner)
        await page.until("connecting")
        code = await page.shown_code(before=code)
        assert "not connected yet" in await page.text("#notice")
        sender = stage.send("--text", "hello", "--to", code, *joining(server))
        await page.accept()
        await page.until("done")
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_wrong_words_in_the_page_end_with_a_reason_at_once(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    sender = stage.send("--text", "hello", *options(server))
    code = await shown(sender)
    await page.open(link)
    await page.dial(wrong(code))
    await page.until("failed")
    assert await page.problem() == "authentication"
    assert await page.text("h1") == "The code does not match"
    assert await page.tab.evaluate("document.querySelector('#retry').hidden")


async def test_code_of_a_link_that_does_not_work_has_a_reason_of_its_own(
    page: Page, stage: Stage, server: str, link: str
) -> None:
    """Its words and its number were not typed."""
    sender = stage.send("--text", "hello", *options(server))
    code = await shown(sender)
    reason = "The code in this link was used up, or is wrong. Ask the other side for a new link."
    for dead in (wrong(code), "4711-walrus-umbrella"):
        await page.open(f"{link.rstrip('#')}#{dead}")
        await page.until("failed")
        assert reason in " ".join((await page.text("#problem")).split())


async def test_unknown_number_can_be_tried_again(
    page: Page, server: str, link: str, tmp_path: Path
) -> None:
    await page.open(link)
    await page.dial("4711-walrus-umbrella")
    await page.until("failed")
    assert "no code with the number 4711" in await page.text("#problem")
    assert not await page.tab.evaluate("document.querySelector('#retry').hidden")


async def test_wrong_letter_is_corrected_and_a_wrong_word_named(
    page: Page, server: str, link: str, tmp_path: Path
) -> None:
    await page.open(link)
    await page.dial("7-walrus-qqqqq")
    await page.problem()
    assert "qqqqq" in await page.text("#problem")
    assert await page.state() == "paste"


NEARLY: Final = {
    "7": "words of the code are missing",
    "walrus-umbrella": "has no number at its beginning",
    "7-wa-um": "is not a word of a code",
    "1000000-walrus-umbrella": "has 7 digits, at most 6",
    "7-walrus-umbrella@none": "the code names no server",
}
"What is typed -> a part of the reason, in small letters."


async def test_text_that_is_nearly_a_short_code_is_refused_with_what_is_wrong(
    page: Page, server: str, link: str
) -> None:
    for typed, reason in NEARLY.items():
        await page.open(link)
        await page.dial(typed)
        await page.problem()
        assert reason in (await page.text("#problem")).lower()
        assert await page.state() == "paste"


async def test_words_are_completed_with_the_keyboard_and_by_a_click(
    page: Page, tmp_path: Path
) -> None:
    await page.open(from_disk(tmp_path))
    await page.until("paste")
    await page.tab.type("#code", "7-wal")
    assert await page.tab.evaluate(WORDS) == ["walrus"]
    await page.tab.press("Tab", "Enter")
    assert await page.tab.evaluate(TYPED) == "7-walrus-"
    await page.tab.press("umb")
    assert await page.tab.evaluate(WORDS) == ["umbrella"]
    await page.tab.click("#words button")
    assert await page.tab.evaluate(TYPED) == "7-walrus-umbrella"
    await page.tab.press("Enter")
    await page.problem()  # no server


async def test_whole_of_a_long_code_is_visible_while_it_is_typed(
    page: Page, tmp_path: Path
) -> None:
    await page.tab.viewport(*PHONE)
    await page.open(from_disk(tmp_path))
    await page.until("paste")
    words = "-".join(["walrus", "umbrella"] * 4)
    for parts in (("12-wal", "rus-umbrella@rendezvous.example.org"), (f"123456-{words}@{HOST}",)):
        await page.open(from_disk(tmp_path))
        await page.until("paste")
        for part in parts:
            await page.tab.type("#code", part)
            assert await page.tab.evaluate(FITS)


async def test_page_without_a_server_names_the_next_step(page: Page, tmp_path: Path) -> None:
    await page.open(from_disk(tmp_path))
    await page.until("paste")
    assert "no rendezvous server. Enter a host name, or public" in await page.text("#no-server")
    await page.dial("7-walrus-umbrella")
    await page.problem()
    assert "with @ and the server" in await page.text("#problem")


async def test_page_of_a_listener_uses_the_mailbox_of_its_origin(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "film", 500_000)
    sender = stage.send(file, *here(), "--stun", "none", environment={"DCSEND_NO_MDNS": ""})
    code = await shown(sender)
    link = str((await asyncio.to_thread(sender.event, "code"))["link"])
    base = link.partition("#")[0]
    page.permit(f"{base.replace('http', 'ws', 1)}v1")
    await page.open(base)
    await page.dial(code)
    await page.accept()
    assert await saved_by(page) == digest(file)


async def test_page_of_a_listener_has_the_server_of_that_listener(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    mailboxes = StockServer(tmp_path, lan_address())
    mailboxes.start()
    try:
        url = mailboxes.server.url
        page.permit(url)
        sender = stage.send("--text", "hello", *options(url))
        code = await shown(sender)
        link = str((await asyncio.to_thread(sender.event, "code"))["link"])
        await page.open(link.partition("#")[0])
        await page.dial(code)
        await page.accept()
        await page.until("done")
    finally:
        mailboxes.stop()


async def test_reload_keeps_an_unused_code_and_forgets_a_used_one(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    await page.open(f"{link}#4711-walrus-umbrella")
    await page.until("failed")
    await page.tab.reload()
    await page.until("failed")
    assert "new link" in await page.text("#problem")
    sender = stage.send("--text", "hello", *options(server))
    await page.open(f"{link}#{await shown(sender)}")
    await page.until("offered")
    await page.tab.reload()
    await page.until("paste")
    assert "a code works once" in await page.text("#about")


@pytest.mark.parametrize("attempt", ["socket", "fetch"])
async def test_policy_permits_no_other_connections(tab: Tab, attempt: str) -> None:
    async with hosted("ws://127.0.0.1:9/v1") as link:
        await tab.open(link)
        blocked = await tab.call(
            """(attempt) => new Promise((resolve) => {
              const done = (event) => resolve(event.effectiveDirective);
              document.addEventListener("securitypolicyviolation", done, { once: true });
              try {
                if (attempt === "fetch") fetch("https://192.0.2.77/").catch(() => undefined);
                else new WebSocket("ws://192.0.2.77/v1");
              } catch {}
            })""",
            attempt,
        )
    assert blocked == "connect-src"


async def test_stopping_returns_to_the_beginning(page: Page, link: str) -> None:
    await page.open(link)
    await page.until("paste")
    await page.tab.type("#code", "7-wal")
    await page.show_code("send")
    await page.tab.click("#stop")
    await page.until("paste")
    assert await page.tab.evaluate(TYPED) == ""
    assert await page.tab.evaluate(WORDS) == []


async def test_page_shows_a_code_when_its_server_is_back(
    page: Page, stock_server: StockServer
) -> None:
    page.permit(stock_server.server.url)
    async with hosted(stock_server.server.url) as link:
        await page.open(link)
        await page.until("paste")
        await page.tab.click("#show-receive")
        await page.until("failed")
        assert await page.problem() == "unreachable"
        assert await page.text("#retry") == "Show a new code"
        await asyncio.to_thread(stock_server.start)
        await page.tab.click("#retry")
        assert await page.shown_code()
        assert await page.tab.evaluate("document.querySelector('#problem').hidden")


async def test_server_that_dies_while_a_code_waits_is_noted_until_it_is_back(
    page: Page, stage: Stage, stock_server: StockServer, server: str, link: str
) -> None:
    await page.open(link)
    code = await page.show_code("receive")
    await asyncio.to_thread(stock_server.stop)
    await page.tab.wait_for("!document.querySelector('#notice').hidden")
    assert "reached: the code does not work until it is back" in await page.text("#notice")
    await asyncio.to_thread(stock_server.start)
    await page.tab.wait_for("document.querySelector('#notice').hidden")
    sender = stage.send("--text", "hello", "--to", code, *joining(server))
    await page.accept()
    await page.until("done")
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_server_on_loopback_is_for_pages_of_the_same_device(page: Page, link: str) -> None:
    await page.open(at(lan_address(), link))
    await page.until("paste")
    assert not await page.tab.evaluate("document.querySelector('#no-server').hidden")
    await page.open(link)
    await page.until("paste")
    assert await page.tab.evaluate("document.querySelector('#no-server').hidden")
