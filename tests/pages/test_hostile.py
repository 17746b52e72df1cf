"""A peer with the worst of names, texts and agents: the page shows them, and runs none of it."""

from __future__ import annotations

import asyncio
import os
import zipfile
from pathlib import Path
from typing import Final

import pytest

from dcsend.entry import Entry, Kind
from dcsend.files.names import UnsafeName, safe_path
from dcsend.printable import printable
from dcsend.protocol import limits
from dcsend.protocol.frames import encode_abort
from dcsend.protocol.messages import Cancel, Complete, Decline, Hello, Manifest
from tests.support.page import Page
from tests.support.page_host import Host, hosting
from tests.support.scripted_peer import Peer, put

RUN: Final = "window.__pwned=1"
"What none of these strings may get done."

WORDS: Final = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"</title></style></textarea></noscript><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<img src=x onerror={RUN}//",
    f'"><img src=x onerror={RUN}>',
    f"'><img src=x onerror={RUN}>",
    f"' onfocus={RUN} autofocus='",
    f'" onmouseover="{RUN}',
    f"<svg onload={RUN}>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f'<iframe src="javascript:parent.{RUN}">',
    f"<iframe srcdoc='<script>parent.{RUN}<\\u002fscript>'>",
    f"<a href=javascript:{RUN} id=accept>click</a>",
    f"javascript:{RUN}",
    f"data:text/html,<script>{RUN}</script>",
    f"<math><mi xlink:href=javascript:{RUN}>",
    f"<body onload={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<template><script>{RUN}</script></template>",
    "<base href=//evil.example><meta http-equiv=refresh content=0>",
    "<link rel=stylesheet href=data:text/css,*{display:none}>",
    "<style>*{display:none}</style>",
    "<form id=paste action=//evil.example><input name=code>",
    "<b id=files></b>",
    f"${{{RUN}}}",
    f"`+{RUN}+`",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"<!--<script>{RUN}//-->",
    f"<![CDATA[<script>{RUN}</script>]]>",
    f"%3Cscript%3E{RUN}%3C/script%3E",
    f"+ADw-script+AD4-{RUN}+ADw-/script+AD4-",
    *("__proto__", "constructor", "toString", "hasOwnProperty"),
    "\u202egpj.exe",
    "\u2066\u2067a\u2069\u200f",
    "zero\u200bwidth\ufeff",
    "\x1b[2J\x1b]0;title\x07",
    "new\nline\r\ttab",
    "nul\0byte",
    "z\u0335\u0321\u0353a\u0334l\u0337g\u0338o" * 10,
    "😀" * 50,
    "W" * 250,
    *("../../x", "..", ".", "/etc/passwd", "C:\\x", "a\\b", "CON", "a//b", "a/../../b", "~/x"),
    " ",
    "x.dcsend-part",
)
"For names, texts, agents and reasons alike."

ODD: Final = (
    "script, img, svg, math, iframe, object, embed, base, template, style, link[rel=stylesheet], "
    "meta[http-equiv=refresh], a[href^='javascript:' i], [onerror], [onload], [onfocus], "
    "[ontoggle], [onmouseover], [srcdoc]"
)
"Elements and attributes that the page itself has only as it was built."

FOUND: Final = f"[...document.querySelectorAll({ODD!r})].map((e) => e.outerHTML.slice(0, 80))"


async def opened(page: Page, host: Host) -> list[str]:
    """Open the page, and return which of `ODD` it contains by itself."""
    await page.open(host.link)
    await page.tab.wait_for("document.body.dataset.state")
    return [str(html) for html in await page.tab.evaluate(FOUND)]


async def quiet(page: Page, before: list[str]) -> None:
    """Check that no script has run, and that no element that could run one was made."""
    assert await page.tab.evaluate("window.__pwned") is None
    assert await page.tab.evaluate(FOUND) == before
    inside = "[...document.querySelectorAll('#files *, #chat *, #texts *, #problem *, #digests *')]"
    handlers = f"{inside}.flatMap((e) => e.getAttributeNames()).filter((n) => n.startsWith('on'))"
    assert await page.tab.evaluate(handlers) == []
    assert (
        await page.tab.evaluate(
            "[...document.querySelectorAll('[id]')].map((e) => e.id)"
            ".filter((id, place, all) => all.indexOf(id) !== place)"
        )
        == []
    )
    page.check()


def offered() -> list[Entry]:
    """Return a manifest with each word as the name of a file, alone and in a folder."""
    return [
        *(Entry(word, size=4) for word in WORDS),
        *(Entry(f"folder/{word}", size=4) for word in WORDS),
        Entry("link", kind=Kind.LINK, target=f"<img src=x onerror={RUN}>"),
        *(
            Entry(f"text {number}", kind=Kind.TEXT, size=len(word.encode()))
            for number, word in enumerate(WORDS)
        ),
        Entry("good", size=4),
    ]


def unsafe(path: str) -> bool:
    try:
        safe_path(path)
    except UnsafeName:
        return True
    return False


async def deliver(peer: Peer, entries: list[Entry], skipped: set[int]) -> None:
    """Send what was accepted."""
    for number, entry in enumerate(entries):
        if number in skipped:
            continue
        if entry.kind is Kind.TEXT:
            await peer.send(number, WORDS[int(entry.path.split()[1])].encode())
        else:
            await peer.send(number, b"evil" if entry.path != "good" else b"good")


async def test_hostile_offer_is_shown_and_saved_safely(page: Page, tmp_path: Path) -> None:
    """Names as one zip; the same names are refused as on the command line."""
    entries = offered()
    async with hosting() as host:
        before = await opened(page, host)
        peer = await host.peer()
        offering = asyncio.create_task(peer.offer(*entries, agent=WORDS[3]))
        await page.until("offered")
        await quiet(page, before)
        shown = await page.text("#files")
        for word in WORDS[:4]:
            assert printable(word) in shown
        await page.accept()
        accepted = await offering
        refused = {number for number, entry in enumerate(entries) if unsafe(entry.path)}
        assert {n for n, reason in accepted.skip if reason == "unsafe"} >= refused
        await deliver(peer, entries, {number for number, _ in accepted.skip})
        await peer.finish()
        await page.until("done", "partly")
        await quiet(page, before)
        saved = await page.saved()
    with zipfile.ZipFile(saved.path) as archive:
        names = [name.rstrip("/") for name in archive.namelist()]
        assert archive.read("good") == b"good"
    assert len(set(names)) == len(names)
    assert not any(map(unsafe, names))
    assert os.listdir(tmp_path) == ["downloads"]


@pytest.mark.parametrize("word", [WORDS[3], WORDS[5], "\u202egpj.exe", "a" * 251 + ".exe", "%n"])
async def test_hostile_name_of_a_single_file(page: Page, tmp_path: Path, word: str) -> None:
    """It names a download; it may be changed, but leads nowhere else."""
    async with hosting() as host:
        before = await opened(page, host)
        peer = await host.peer()
        offering = asyncio.create_task(peer.offer(Entry(word, size=4)))
        await page.accept()
        accepted = await offering
        assert accepted.skip == (((0, "unsafe"),) if unsafe(word) else ())
        if not unsafe(word):
            await peer.send(0, b"evil")
            await peer.finish()
            await page.until("done")
            saved = await page.saved()
            assert saved.path.parent == page.tab.downloads
            assert saved.path.read_bytes() == b"evil"
        await quiet(page, before)
    assert os.listdir(tmp_path) == ["downloads"]


async def test_hostile_lines_are_shown(page: Page) -> None:
    async with hosting() as host:
        before = await opened(page, host)
        peer = await host.peer()
        offering = asyncio.create_task(peer.offer(Entry("good", size=4), agent=WORDS[0]))
        await page.until("offered")
        for word in WORDS:
            await put(peer.text, f"{word}\n")
            await put(peer.text, word.replace("\n", ""))
        await put(peer.text, "the last one\n")
        await page.tab.wait_for(
            "document.querySelector('#chat').innerText.includes('the last one')"
        )
        shown = await page.text("#chat")
        for word in WORDS[:4]:
            assert printable(word) in shown
        await quiet(page, before)
        offering.cancel()
        await asyncio.wait({offering})
        await page.tab.click("#decline")
        await page.until("failed")


@pytest.mark.parametrize("word", [WORDS[0], WORDS[3], "\x1b[2J\u202e", "x" * limits.MAX_MESSAGE])
async def test_hostile_reasons_are_shown(page: Page, word: str) -> None:
    """Of a file that is given up, and of giving up altogether."""
    async with hosting() as host:
        before = await opened(page, host)
        peer = await host.peer()
        offering = asyncio.create_task(
            peer.offer(Entry("a", size=4), Entry("b", size=4), agent=word[: limits.MAX_AGENT])
        )
        await page.accept()
        await offering
        await peer.put(encode_abort(0, 0, word))
        await peer.send_control(Cancel("error", word))
        await page.until("failed")
        assert printable(word)[:40] in await page.text()
        await quiet(page, before)


async def test_hostile_receiver(page: Page, tmp_path: Path) -> None:
    async with hosting() as host:
        before = await opened(page, host)
        peer = await host.peer()
        await peer.send_control(Hello((1,), WORDS[3], "receiver"))
        await page.until("choosing")
        await quiet(page, before)
        ours = tmp_path / WORDS[3].replace("/", "")
        await asyncio.to_thread(ours.write_text, "ours")
        await page.choose(ours)
        await page.tab.click("#send")
        await peer.expect(Manifest)
        await peer.send_control(Decline("declined", WORDS[0]))
        await page.until("failed")
        await quiet(page, before)


BREACHES: Final[dict[str, str | bytes]] = {
    "no JSON": "{" + "[" * 60_000,
    "prototype": '{"type":"hello","__proto__":{"role":"sender"},"versions":[1]}',
    "markup": f'{{"type":"<img src=x onerror={RUN}>"}}',
    "too early": '{"type":"bye"}',
    "binary": b"\0\xff",
}


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)  # no browser has a part in it
@pytest.mark.parametrize("breach", BREACHES)
async def test_peer_that_breaks_the_rules_is_cut_off(page: Page, breach: str) -> None:
    async with hosting() as host:
        before = await opened(page, host)
        peer = await host.peer()
        await peer.send_control(BREACHES[breach])
        assert (await peer.expect(Cancel)).reason == "protocol"
        await page.until("failed")
        assert await page.problem() == "protocol"
        await quiet(page, before)


async def test_wrong_bytes_are_not_saved(page: Page) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        offering = asyncio.create_task(peer.offer(Entry("bad", size=4)))
        await page.accept()
        await offering
        await peer.send(0, b"evil", sha256=bytes(32))
        assert await peer.expect(Complete) == Complete(ok=False, files=0, bytes=0)
        await page.until("partly", "failed")
        assert os.listdir(page.tab.downloads) == []
