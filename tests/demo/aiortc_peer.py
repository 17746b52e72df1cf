"""A peer for tests on unmodified aiortc; it sends each message back.

python tests/demo/aiortc_peer.py [--offer] [--label L] [--negotiated ID]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import threading
from collections import deque
from typing import Final

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

MOST_BUFFERED: Final = 1 << 20
"Bytes that wait in a channel before an echo waits, too."


def print_line(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


class Peer:
    """One peer connection and its channels."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.on("connectionstatechange", self.changed)
        self.connection.on("datachannel", self.announced)
        self.channels: list[RTCDataChannel] = []
        self.over = asyncio.Event()

    def changed(self) -> None:
        """Print the state."""
        print_line(f"Peer Connection State has changed: {self.connection.connectionState}")
        if self.connection.connectionState in ("failed", "closed"):
            self.over.set()

    def announced(self, channel: RTCDataChannel) -> None:
        """Print a channel that the peer has opened."""
        print_line(f"New DataChannel {channel.label} {channel.id}")
        self.follow(channel)

    def follow(self, channel: RTCDataChannel) -> None:
        """Send each message of a channel back."""
        self.channels.append(channel)
        waiting: deque[bytes | str] = deque()

        def echo() -> None:
            while (
                waiting and channel.readyState == "open" and channel.bufferedAmount < MOST_BUFFERED
            ):
                channel.send(waiting.popleft())

        def message(data: bytes | str) -> None:
            waiting.append(data)
            echo()

        def opened() -> None:
            print_line(f"Data channel '{channel.label}'-'{channel.id}' open.")

        channel.bufferedAmountLowThreshold = MOST_BUFFERED // 2
        channel.on("bufferedamountlow", echo)
        channel.on("message", message)
        channel.on(
            "close", lambda: print_line(f"Data channel '{channel.label}'-'{channel.id}' closed")
        )
        if channel.readyState == "open":
            opened()
        else:
            channel.on("open", opened)

    async def obey(self, line: str) -> None:
        """Carry out a command."""
        command, _, rest = line.partition(" ")
        match command:
            case "close":
                await self.connection.close()
            case "channel":
                self.follow(self.connection.createDataChannel(rest))
            case "negotiate":
                label, _, number = rest.partition(" ")
                made = self.connection.createDataChannel(label, negotiated=True, id=int(number))
                self.follow(made)
            case "shut":
                for channel in self.channels:
                    if channel.label == rest and channel.readyState == "open":
                        channel.close()

    async def describe(self, description: RTCSessionDescription) -> None:
        """Print our description, all candidates in it."""
        await self.connection.setLocalDescription(description)
        local = self.connection.localDescription
        text = json.dumps({"type": local.type, "sdp": local.sdp})
        print_line(base64.b64encode(text.encode()).decode())

    async def apply(self, line: str) -> None:
        """Take the other side's description."""
        fields = json.loads(base64.b64decode(line))
        await self.connection.setRemoteDescription(
            RTCSessionDescription(fields["sdp"], fields["type"])
        )


async def main() -> None:
    """Connect, then obey until it is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--offer", action="store_true")
    parser.add_argument("--label", default="data")
    chosen = parser.parse_args()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    peer = Peer()
    if chosen.offer:
        peer.follow(peer.connection.createDataChannel(chosen.label))
        await peer.describe(await peer.connection.createOffer())
        await peer.apply(await lines.get())
    else:
        await peer.apply(await lines.get())
        await peer.describe(await peer.connection.createAnswer())

    async def obey() -> None:
        while True:
            await peer.obey(await lines.get())

    obeying = asyncio.create_task(obey())
    await peer.over.wait()
    obeying.cancel()


if __name__ == "__main__":
    asyncio.run(main())
