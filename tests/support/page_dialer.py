"""A dialer as in the page, over aiortc's RTCPeerConnection."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import AsyncIterator

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from dcsend.peers.contract import LABELS
from tests.support.peers import LOCAL, PASSWORD, Published

__all__ = ["Browser", "browser"]


class Browser:
    """A dialer as in the page: an offer, and a fabricated answer as the remote description."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels: list[RTCDataChannel] = []

    def open_channels(self, *labels: str, ordered: bool = True, times: int = 1) -> None:
        """Create channels; they open when the connection does."""
        for _ in range(times):
            for label in labels or LABELS:
                self.channels.append(self.peer.createDataChannel(label, ordered=ordered))

    async def dial(self, to: Published, host: str = LOCAL) -> None:
        """Set the local and the fabricated remote description."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp
        found = {
            name: match[1]
            for name in ("ice-pwd", "fingerprint")
            if (match := re.search(rf"a={name}:(?:sha-256 )?(\S+)", offer))
        }
        ours = bytes.fromhex(found["fingerprint"].replace(":", ""))
        ufrag = "dc1/" + base64.b64encode(ours).decode().rstrip("=") + found["ice-pwd"]
        lines = [
            *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"),
            *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0"),
            *(f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{PASSWORD}"),
            f"a=fingerprint:sha-256 {to.certificate.fingerprint.hex(':').upper()}",
            *("a=setup:passive", "a=sctp-port:5000", "a=max-message-size:262144"),
            f"a=candidate:1 1 udp 2130706431 {host} {to.number} typ host",
            *("a=end-of-candidates", ""),
        ]
        answer = RTCSessionDescription("\r\n".join(lines), "answer")
        await self.peer.setRemoteDescription(answer)

    async def close(self) -> None:
        """Close the connection."""
        await self.peer.close()


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Open a dialer like that of the page."""
    self = Browser()
    try:
        yield self
    finally:
        await self.close()
