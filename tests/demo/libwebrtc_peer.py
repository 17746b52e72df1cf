"""A peer for tests on libwebrtc, through `wrtc`, with the commands and output of pion/main.go.

python tests/demo/libwebrtc_peer.py [--offer] [--label L] [--negotiated ID] …
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import webrtc

from dcsend.session.liveness import random_letters

MOST_BUFFERED: Final = 1 << 20
"Bytes that wait in a channel before an echo waits, too."


def arguments() -> argparse.Namespace:
    """Parse what pion/main.go takes, too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--offer", action="store_true")
    parser.add_argument("--label", default="data")
    parser.add_argument("--unordered", action="store_true")
    parser.add_argument("--max-retransmits", type=int)
    parser.add_argument("--max-lifetime", type=int)
    parser.add_argument("--protocol", default="")
    parser.add_argument("--negotiated", type=int)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--echo", action="store_true")
    return parser.parse_args()


def print_line(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


class Peer:
    """One peer connection and its channels."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.open: list[Any] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()
        self.connection = webrtc.RTCPeerConnection()
        self.connection.on("connectionstatechange", lambda event: self.changed())
        self.connection.on("datachannel", lambda event: self.announced(event.channel))

    def changed(self) -> None:
        """Print the state."""
        state = self.connection.connection_state
        print_line(f"Peer Connection State has changed: {getattr(state, 'value', state)}")
        if state in ("failed", "closed"):
            self.over.set()

    def announced(self, channel: Any) -> None:  # noqa: ANN401 - wrtc's
        """Print a channel that the peer has opened."""
        print_line(f"New DataChannel {channel.label} {channel.id}")

        def number(value: int | None) -> str:
            return "none" if value is None else str(value)

        print_line(
            f"Options of '{channel.label}': ordered={str(channel.ordered).lower()} "
            f"retransmits={number(channel.max_retransmits)} "
            f"lifetime={number(channel.max_packet_life_time)} protocol='{channel.protocol}'"
        )
        self.follow(channel)

    def follow(self, channel: Any) -> None:  # noqa: ANN401 - wrtc's
        """Add the handlers of a channel."""

        def opened(event: object = None) -> None:
            print_line(f"Data channel '{channel.label}'-'{channel.id}' open.")
            self.open.append(channel)
            if self.chosen.echo:
                return
            task = asyncio.ensure_future(self.beat(channel))
            self.tasks.add(task)

        echo = self.echo_on(channel)

        def message(event: Any) -> None:  # noqa: ANN401 - wrtc's
            if self.chosen.echo:
                echo(event.data)
                return
            if isinstance(event.data, str):
                said = f"'{event.data}'"
            else:
                data = bytes(event.data)
                said = f"{len(data)} bytes {data.hex()}"
            print_line(f"Message from DataChannel '{channel.label}': {said}")

        def closed(event: object = None) -> None:
            print_line(f"Data channel '{channel.label}'-'{channel.id}' closed")
            if channel in self.open:
                self.open.remove(channel)

        channel.on("message", message)
        channel.on("close", closed)
        if channel.ready_state == "open":
            opened()
        else:
            channel.on("open", opened)

    def echo_on(self, channel: Any) -> Callable[[Any], None]:  # noqa: ANN401 - wrtc's
        """Return a function that sends a message back when the buffer has room."""
        waiting: deque[Any] = deque()

        def flush(event: object = None) -> None:
            while waiting and channel in self.open and channel.buffered_amount < MOST_BUFFERED:
                channel.send(waiting.popleft())

        def echo(message: Any) -> None:  # noqa: ANN401 - text or bytes
            waiting.append(message)
            flush()

        channel.buffered_amount_low_threshold = MOST_BUFFERED // 2
        channel.on("bufferedamountlow", flush)
        return echo

    async def beat(self, channel: Any) -> None:  # noqa: ANN401 - wrtc's
        """Send random messages."""
        while channel in self.open:
            await asyncio.sleep(self.chosen.interval)
            letters = random_letters()
            print_line(f"Sending '{letters}'")
            channel.send(letters)

    def create(self, label: str, **options: Any) -> None:  # noqa: ANN401 - RTCDataChannelInit
        """Open a channel."""
        self.follow(
            self.connection.create_data_channel(label, webrtc.RTCDataChannelInit(**options))
        )

    async def describe(self, description: Any) -> None:  # noqa: ANN401 - wrtc's
        """Print our description, all candidates in it."""
        gathered = asyncio.Event()

        def check(event: object = None) -> None:
            if self.connection.ice_gathering_state == "complete":
                gathered.set()

        self.connection.on("icegatheringstatechange", check)
        await self.connection.set_local_description(description)
        check()
        await gathered.wait()
        local: Any = self.connection.local_description
        kind = getattr(local.type, "value", local.type)
        text = json.dumps({"type": kind, "sdp": local.sdp})
        print_line(base64.b64encode(text.encode()).decode())

    async def apply(self, line: str) -> None:
        """Take the other side's description."""
        fields = json.loads(base64.b64decode(line))
        await self.connection.set_remote_description(
            webrtc.RTCSessionDescription(fields["type"], fields["sdp"])
        )

    def obey(self, line: str) -> None:
        """Carry out a command."""
        command, _, rest = line.partition(" ")
        if command == "close":
            self.connection.close()
            print_line("Peer Connection State has changed: closed")
            self.over.set()
        elif command == "channel":
            self.create(rest)
        elif command == "negotiate":
            label, _, number = rest.partition(" ")
            self.create(label, negotiated=True, id=int(number))
        elif command == "shut":
            for channel in [c for c in self.open if c.label == rest]:
                channel.close()
        for channel in self.open:
            if command == "send":
                channel.send(rest)
            elif command == "binary":
                channel.send(bytes.fromhex(rest))


def options_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return how the first channel is to be opened."""
    options: dict[str, Any] = {"ordered": not chosen.unordered, "protocol": chosen.protocol}
    if chosen.max_retransmits is not None:
        options["max_retransmits"] = chosen.max_retransmits
    if chosen.max_lifetime is not None:
        options["max_packet_life_time"] = chosen.max_lifetime
    if chosen.negotiated is not None:
        options |= {"negotiated": True, "id": chosen.negotiated}
    return options


async def main() -> None:
    """Connect, then obey until it is over."""
    chosen = arguments()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    peer = Peer(chosen)
    if chosen.offer or chosen.negotiated is not None:
        peer.create(chosen.label, **options_of(chosen))
    if chosen.offer:
        await peer.describe(await peer.connection.create_offer())
        await peer.apply(await lines.get())
    else:
        await peer.apply(await lines.get())
        await peer.describe(await peer.connection.create_answer())

    async def obey() -> None:
        while True:
            peer.obey(await lines.get())

    obeying = asyncio.create_task(obey())
    over = asyncio.create_task(peer.over.wait())
    await asyncio.wait({obeying, over}, return_when=asyncio.FIRST_COMPLETED)
    if obeying.done():
        obeying.result()


if __name__ == "__main__":
    asyncio.run(main())
