"""Short codes with real browsers: candidates one by one in both directions, in both roles."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from dcsend.description import Candidate, CandidateType, Description, SdpType
from dcsend.peers.contract import LABELS
from dcsend.peers.transfer import TransferConnection
from dcsend.signaling.sdp import format_sdp, parse_sdp
from tests.support.peers import published
from tests.support.tab import Tab
from tests.support.trickling import Side, allocating, joining, without_candidates

_CANDIDATE: Final = re.compile(r"candidate:\S+ 1 udp (\d+) (\S+) (\d+) typ (\w+)", re.IGNORECASE)
_MAKE: Final = """() => {
  gathered = []; received = []; channels = {};
  peer = new RTCPeerConnection();
  peer.onicecandidate = ({candidate}) => gathered.push(candidate?.candidate ?? "");
  use = (channel) => {
    channels[channel.label] = channel;
    channel.onmessage = ({data}) => received.push(data);
  };
  peer.ondatachannel = ({channel}) => use(channel);
}"""
_OFFER: Final = """async (labels) => {
  for (const label of labels) use(peer.createDataChannel(label));
  await peer.setLocalDescription();
  return peer.localDescription.sdp;
}"""
_ANSWER: Final = """async (sdp) => {
  await peer.setRemoteDescription({type: "offer", sdp});
  await peer.setLocalDescription();
  return peer.localDescription.sdp;
}"""
_TAKE: Final = "async (sdp) => peer.setRemoteDescription({type: 'answer', sdp})"
_ADD: Final = "async (candidate) => peer.addIceCandidate({candidate, sdpMid: '0'})"


def trickled(description: Description) -> str:
    """Return the SDP of a description without candidates, which are not complete."""
    sdp = format_sdp(without_candidates(description))
    return sdp.replace("a=end-of-candidates\r\n", "a=ice-options:trickle\r\n")


async def to_page(tab: Tab, description: Description, side: Side) -> None:
    """Carry the candidates of a side to the page, and their end."""
    for candidate in description.candidates:
        await tab.call(_ADD, line(candidate))
    async for candidate in side.outgoing():
        await tab.call(_ADD, line(candidate))
    await tab.call(_ADD, "")


def line(candidate: Candidate) -> str:
    """Return the `candidate` of an RTCIceCandidateInit."""
    place = f"{candidate.priority} {candidate.host} {candidate.port}"
    return f"candidate:{candidate.priority} 1 udp {place} typ {candidate.type}"


async def from_page(tab: Tab, side: Side) -> None:
    """Carry the candidates of the page to a side, and their end."""
    while True:
        await tab.wait_for("gathered.length > 0")
        for text in await tab.evaluate("gathered.splice(0)"):
            if not text:
                side.end()
                return
            if match := _CANDIDATE.match(text):
                kind = CandidateType(match[4].lower())
                await side.add(Candidate(kind, match[2], int(match[3]), int(match[1])))


async def talk(tab: Tab, connection: TransferConnection) -> None:
    """Send a text in both directions."""
    await tab.wait_for("channels.text?.readyState === 'open'")
    connection.channels["text"].send("from the terminal")
    await tab.wait_for("received.includes('from the terminal')")
    await tab.call("() => channels.text.send('from the page')")
    assert await connection.channels["text"].receive() == "from the page"


async def connected(
    tab: Tab, side: Side, ours: Description, theirs: Description
) -> TransferConnection:
    """Exchange the candidates of both while they connect."""
    async with asyncio.TaskGroup() as group:
        group.create_task(to_page(tab, ours, side))
        group.create_task(from_page(tab, side))
        made = group.create_task(side.establish(without_candidates(theirs), timeout=100))
    return made.result()


async def test_page_that_offers_connects_with_trickled_candidates(tab: Tab) -> None:
    await tab.open("about:blank")
    await tab.call(_MAKE)
    async with published() as here:
        offer = parse_sdp(SdpType.OFFER, await tab.call(_OFFER, list(LABELS)))
        allocator = await allocating(here, addresses=())
        answer = allocator.describe(offer)
        await tab.call(_TAKE, trickled(answer))
        await talk(tab, await connected(tab, allocator, answer, offer))
        assert here.accepting.done()
        await allocator.close()


async def test_page_that_answers_connects_with_trickled_candidates(tab: Tab) -> None:
    await tab.open("about:blank")
    await tab.call(_MAKE)
    async with joining(addresses=()) as joiner:
        offer = joiner.describe()
        answer = parse_sdp(SdpType.ANSWER, await tab.call(_ANSWER, trickled(offer)))
        connection = await connected(tab, joiner, offer, answer)
        try:
            await talk(tab, connection)
        finally:
            await connection.close()
