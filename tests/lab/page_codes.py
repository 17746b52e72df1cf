"""Short codes between a terminal on `a` and a page on `b`, and between two pages.

The page is a copy that is hosted over https in the internet, with the rendezvous server written
into it. Where the hosts reach no server, it is the page that the terminal serves, whose origin has
the mailbox of its code.

Each side shows the code in one attempt and has it entered in the other. The side on `a` sends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.lab.laboratory import Lab
from tests.lab.ways import Outcome
from tests.support.bidi import BidiError
from tests.support.page import Page, random_file
from tests.support.processes import Event, Program

__all__ = ["PageCodes", "between_pages", "entered_in_page", "shown_by_page"]

LIMIT: Final = 45.0
"Seconds after which an attempt ends that neither connects nor reports why it does not."
_SIZE: Final = 300_000
_TERMINAL: Final = {"DCSEND_NO_MDNS": "", "DCSEND_NO_PAGE": ""}
"Environment of the terminals: short codes also by mDNS, and the page is served."

_WATCH: Final = """() => {
  const seen = window.seen = {};
  const now = () => Date.now() / 1000;
  addEventListener("submit", () => { seen.entered = now(); }, true);
  const text = (selector) => document.querySelector(selector)?.textContent ?? "";
  const look = () => {
    const route = text("#facts dd");
    if (route && !seen.connected) Object.assign(seen, { connected: now(), route });
    const code = text("#short-code");
    seen.code ||= code;
    const isOver = document.body.dataset.state === "failed" || (code && code !== seen.code);
    if (!isOver || seen.connected || seen.failed) return;
    const said = document.querySelector(code ? "#notice" : "#problem")?.innerText ?? "";
    // The next code is shown before the attempt with the last one ends.
    if (said.includes("has not connected yet") || (code && !said)) return;
    Object.assign(seen, { failed: now(), said });
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true, childList: true, attributes: true, characterData: true,
  });
}"""
"""Notes when a code was entered, and when the page showed a route, or why there is none: as the
side that enters a code in `#problem`, as the side that shows one beside the next code."""


@dataclass(frozen=True, slots=True)
class PageCodes:
    """What the attempts in one network share."""

    lab: Lab
    folder: Path
    "For files."
    link: str
    "Of the hosted page; empty where the hosts reach no server."
    server: str
    "URL of the rendezvous server; empty where the hosts reach none."
    ice: Sequence[str] = ()
    "STUN and TURN servers of both sides, in place of the default."

    @property
    def options(self) -> list[str]:
        """The options of a terminal."""
        servers = [f"--ice-server={one}" for one in self.ice]
        return [*(("--server", self.server) if self.server else ()), *servers]

    async def open(self, page: Page, link: str = "") -> None:
        """Open the hosted page, or another one, and enter the servers under *Servers*."""
        await page.open(link or self.link)
        await page.until("paste")
        if self.ice:
            await page.tab.call(
                '(text) => { document.querySelector("#servers").value = text; }',
                "\n".join(self.ice),
            )
        await page.tab.call(_WATCH)


async def entered_in_page(codes: PageCodes, page: Page) -> Outcome:
    """Have a terminal on `a` show a code, and enter it in the page on `b`."""
    lab = codes.lab
    film = random_file(codes.folder / "film", _SIZE)
    options: list[str | Path] = [film, *codes.options]
    sender = await asyncio.to_thread(lab.send, lab.a, *options, environment=_TERMINAL)
    code = (await asyncio.to_thread(sender.event, "short_code"))["code"]
    own = ""
    if not codes.link:
        links = (await asyncio.to_thread(sender.event, "code"))["links"]
        # The first one is for the default route, which may lead over another interface.
        found = [one for one in links if f"//{lab.a.ipv4}:" in one] if lab.a.ipv4 else []
        own = str((found or links)[0]).partition("#")[0]
    try:
        await codes.open(page, own)
    except BidiError as exc:
        return _failed({"page": f"the browser does not load it: {exc}"})
    await page.dial(code)
    return await _outcome(sender, page)


async def shown_by_page(codes: PageCodes, page: Page) -> Outcome:
    """Have the page on `b` show a code, and enter it in a terminal on `a`."""
    lab = codes.lab
    film = random_file(codes.folder / "film", _SIZE)
    await codes.open(page)
    code = await page.show_code("receive")
    began = time.time()
    options: list[str | Path] = [film, "--to", code, *codes.options]
    sender = await asyncio.to_thread(lab.send, lab.a, *options, environment=_TERMINAL)
    return await _outcome(sender, page, began)


async def between_pages(codes: PageCodes, one: Page, other: Page, *, sends: bool) -> Outcome:
    """Show a code in a page, as the side that *sends* or not, and enter it in the other page."""
    film = random_file(codes.folder / "film", _SIZE)
    await codes.open(one)
    await codes.open(other)
    code = await one.show_code("send" if sends else "receive")
    await other.tab.activate()
    await other.dial(code)
    seen = [await _seen(page) for page in (one, other)]
    began = float(seen[1]["entered"])
    if not all("connected" in one for one in seen):
        return _failed({"shows": _reported(seen[0], began), "enters": _reported(seen[1], began)})
    sender, receiver = (one, other) if sends else (other, one)
    await sender.choose(film)
    await sender.tab.click("#send")
    await _save(receiver)
    times = [float(one["connected"]) - began for one in seen]
    return Outcome(max(times), tuple(_route(one) for one in seen), (), ())


async def _outcome(sender: Program, page: Page, began: float | None = None) -> Outcome:
    """Wait for both sides, and let the page save the file if they are connected.

    Args:
        sender: the terminal.
        page: the page.
        began: when the code was entered, seconds of the epoch; None: in the page.
    """
    seen = await _seen(page)
    event = await asyncio.to_thread(sender.find, _is_news, LIMIT)
    began = float(seen["entered"]) if began is None else began
    wall = time.time() - time.monotonic()
    if "connected" not in seen or event is None or event["event"] != "connected":
        notes = [one for one in sender.so_far("error") if sender.at(one) + wall > began]
        said = [_terminal(one, sender.at(one) + wall - began) for one in notes]
        return _failed({"terminal": "; ".join(said), "page": _reported(seen, began)})
    await _save(page)
    await asyncio.to_thread(sender.event, "done")
    seconds = max(sender.at(event) + wall, float(seen["connected"])) - began
    return Outcome(seconds, (f"{event['route']} {event['family']}", _route(seen)), (), ())


async def _save(page: Page) -> None:
    """Accept, with a destination that needs no dialog, and wait until the page is done."""
    await page.accept("memory" if len(await page.ways()) > 1 else "")
    await page.until("done", timeout=LIMIT)


async def _seen(page: Page) -> dict[str, Any]:
    """Wait until a page shows that it is connected, or why it is not; return what it noted."""
    over = "(seen.connected || seen.failed) && seen"
    try:
        return dict(await page.tab.wait_for(over, LIMIT))
    except AssertionError:
        return dict(await page.tab.evaluate("seen"))


def _route(seen: Mapping[str, Any]) -> str:
    """Return the route that a page shows, such as `direct IPv4`.

    A page that has only a name of mDNS of the other side shows no family.
    """
    way, _, rest = str(seen["route"]).partition(" over ")
    family = rest[:4] if rest else ""
    return f"{'relayed' if 'relay' in way else 'direct'} {family}".strip()


def _failed(said: Mapping[str, str]) -> Outcome:
    reported = tuple(f"{who} {what}" for who, what in said.items() if what)
    return Outcome(None, (), (), reported)


def _reported(seen: Mapping[str, Any], began: float) -> str:
    """Return what a page has reported, with the seconds after the code was entered."""
    if "connected" in seen:
        return "connected"
    if "failed" not in seen:
        return f"reported nothing in {LIMIT:.0f} s"
    return f"{float(seen['failed']) - began:.1f} s: {' '.join(str(seen['said']).split())}"


def _terminal(event: Event, after: float) -> str:
    hint = f" ({event['hint']})" if event.get("hint") else ""
    return f"{after:.1f} s: {event['message']}{hint}"


def _is_news(event: Event) -> bool:
    return event["event"] == "connected" or (event["event"] == "error" and _is_end(event))


def _is_end(event: Event) -> bool:
    return bool(event["fatal"]) or event["kind"] == "connection"
