"""A walk through every state of the page, with a scripted peer at the other end."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from dcsend.description import Description, SdpType, Setup
from dcsend.entry import Entry, Kind
from dcsend.protocol import limits
from dcsend.protocol.frames import encode_abort
from dcsend.protocol.messages import Accept, Bye, Cancel, Complete, Hello, Manifest, Verdict
from dcsend.rendezvous import client
from dcsend.rendezvous.handshake import Joiner
from dcsend.rendezvous.servers import Server
from dcsend.signaling.dialcode import Address, decode
from tests.support.mailbox_server import StockServer
from tests.support.page import Page, at, lan_address, random_file
from tests.support.page_host import hosted, hosting
from tests.support.scripted_peer import Peer, put

__all__ = ["Look", "walk"]

Look = Callable[[str], Awaitable[None]]
"Called in each state with its name in this walk."

AGENT: Final = "dcsend on a laptop"

PICTURES: Final = tuple(hashlib.shake_128(b"%d" % number).digest(900_000) for number in range(3))

TEXT: Final = b"The pictures of Sunday, at last. X"

FOLDER: Final = (
    Entry("holiday", kind=Kind.DIRECTORY),
    *(
        Entry(f"holiday/IMG_{4711 + number}.jpg", size=len(content))
        for number, content in enumerate(PICTURES)
    ),
)

OFFER: Final = (
    *FOLDER,
    Entry("holiday/דוח שנתי.pdf", size=20_000_000),
    Entry("holiday/a name that is longer than a phone is wide and has no end.txt", size=12),
    Entry("note", kind=Kind.TEXT, size=len(TEXT)),
)

MOVED: Final = "document.querySelector('#progress').value > 0"

OFFERED: Final = Description(
    SdpType.OFFER, "abcd", "ABCDEFGHIJKLMNOPQRSTUV", bytes(32), Setup.ACTPASS, ()
)

AFTER: Final = (
    "document.querySelector('#short-code').textContent !== 'CODE' && "
    "(document.querySelector('#short-code').textContent || "
    "!document.querySelector('#another').hidden)"
)
LONG_HOST: Final = """() => {
  const parts = "@rendezvous.department.example.org:8443".split(/(?=[.:])/);
  const host = document.querySelector("#short-code small");
  host.append(...parts.flatMap((part) => [part, document.createElement("wbr")]));
}"""

NO_WEBRTC: Final = "() => { delete window.RTCPeerConnection; }"


async def walk(page: Page, folder: Path, look: Look) -> None:
    """Take the page from state to state, and call *look* in each.

    Args:
        page: the page, in a new tab.
        folder: for files.
        look: called in each state.
    """
    await _codes(page, look)
    await _short_codes(page, folder, look)
    await _receiving(page, look)
    await _received(page, look)
    await _failing(page, look)
    await _sending(page, folder, look)
    await _without_webrtc(page, look)


async def _codes(page: Page, look: Look) -> None:
    async with hosting() as host:
        base = host.link.partition("#")[0]
        await page.open(base)
        await page.until("paste")
        await look("paste")
        await page.tab.type("#code", "dc1 not a code")
        await page.tab.click("#connect")
        await page.problem()
        await look("paste-problem")
        await page.tab.click("#two")
        await page.tab.call(
            """() => {
              document.querySelector("#servers").value = "none";
              document.querySelector("#renew").requestSubmit();
            }"""
        )
        await page.tab.wait_for("document.querySelector('#own-code').value")
        await look("exchanging")
        await page.tab.type("#answer", "ds1 not a code")
        await page.tab.click("#exchange button.main")
        await page.tab.wait_for("!document.querySelector('#answer-problem').hidden")
        await look("exchanging-problem")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((lan_address(), 0))
            port = silent.getsockname()[1]
            unreachable = dataclasses.replace(
                decode(host.link), port=port, addresses=(Address(lan_address(), port),)
            )
            await page.open(unreachable.link(base))
            await page.until("connecting")
            await look("connecting")


async def _short_codes(page: Page, folder: Path, look: Look) -> None:
    """With the stock mailbox server; a code with a long host is put in place of the short one."""
    mailboxes = StockServer(folder, lan_address())
    await asyncio.to_thread(mailboxes.start)
    page.permit(mailboxes.server.url)
    try:
        async with hosted(mailboxes.server.url) as link:
            await page.open(at(lan_address(), link))
            await page.until("paste")
            await look("paste-server")
            await page.tab.type("#code", "123456-walrus-umbrella-sta")
            await look("paste-words")
            code = await page.show_code("send")
            await look("showing")
            for _ in range(3):
                await guess_wrongly(mailboxes.server, code)
                await page.tab.wait_for(AFTER.replace("CODE", code))
                code = await page.text("#short-code")
            await look("showing-wrong")
            await page.tab.click("#another")
            await page.shown_code()
            await page.tab.call(LONG_HOST)
            await look("showing-host")
    finally:
        mailboxes.stop()


async def guess_wrongly(server: Server, code: str) -> None:
    """Enter a code with other words, as a joiner that ends before the answer."""
    number = code.split("-")[0]
    mailbox = await client.join(server, number)
    try:
        while (message := await mailbox.next())[0] != "a0":
            pass
        joiner = Joiner("walrus-walrus", number)
        mailbox.add(*joiner.join(message[1], [OFFERED]))
    finally:
        await mailbox.close("happy")


async def _offered(page: Page, peer: Peer, *entries: Entry) -> asyncio.Task[Accept]:
    """Offer a file, and wait until the page asks whether to accept."""
    offering = asyncio.create_task(peer.offer(*entries, agent=AGENT))
    await page.until("offered")
    return offering


async def _receiving(page: Page, look: Look) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        offering = await _offered(page, peer, *OFFER)
        await look("offered")
        await put(peer.text, "Here they come.\n")
        await page.send_text("Great, thank you!")
        await page.accept()
        await offering
        await page.until("transferring")
        await peer.send(1, PICTURES[0])
        await page.tab.wait_for(MOVED)
        await look("transferring")
        await peer.send(2, PICTURES[1])
        await peer.send(3, PICTURES[2])
        await peer.put(encode_abort(4, 0, "it was changed while it was sent"))
        await peer.send(5, b"x" * 12)
        await peer.send(6, TEXT)
        await peer.expect(Complete)
        await peer.send_control(Bye())
        await page.until("partly")
        await look("partly")


async def _received(page: Page, look: Look) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        offering = await _offered(page, peer, *FOLDER, OFFER[-1])
        await page.accept()
        await offering
        for number, content in enumerate((*PICTURES, TEXT), 1):
            await peer.send(number, content)
        await peer.expect(Complete)
        await peer.send_control(Bye())
        await page.until("done")
        await look("done")


async def _failing(page: Page, look: Look) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        offering = await _offered(page, peer, *OFFER)
        await page.accept()
        await offering
        await peer.send(1, PICTURES[0])
        await peer.send_control(Cancel("source", "the disk was unplugged"))
        await page.until("failed")
        await look("failed")


async def _sending(page: Page, folder: Path, look: Look) -> None:
    report = await asyncio.to_thread(random_file, folder / "report.pdf", 2_500_000)
    picture = await asyncio.to_thread(random_file, folder / "תמונה.jpg", 900_000)
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.send_control(Hello((1,), AGENT, "receiver"))
        await page.until("choosing")
        await look("choosing")
        await page.choose(report, picture)
        await page.listed(2)
        await look("chosen")
        await page.tab.click("#send")
        await page.until("waiting")
        await look("waiting")
        await peer.expect(Manifest)
        await peer.send_control(Accept(limits.WINDOW))
        while peer.received_bytes < 1_200_000:
            await peer.next_frame()
            await peer.acknowledge()  # or the page's own window ends it
        await page.until("transferring")
        await page.tab.wait_for(MOVED)
        await look("sending")
        while sum(frame.digest is not None for frame in peer.frames) < 2:
            await peer.next_frame()
            await peer.acknowledge()
        await peer.send_control(Verdict(((0, "ok"), (1, "ok"))), Complete(True, 2, 3_400_000))
        await page.until("done")
        await look("sent")


async def _without_webrtc(page: Page, look: Look) -> None:
    browser, tab = page.tab.browser, page.tab
    made = await browser.command(
        "script.addPreloadScript", functionDeclaration=NO_WEBRTC, contexts=[tab.context]
    )
    try:
        async with hosting() as host:
            await page.open(host.link)
            await page.until("unsupported")
            await look("unsupported")
    finally:
        await browser.command("script.removePreloadScript", script=made["script"])
