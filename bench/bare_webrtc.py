"""One end of a bare libwebrtc data channel, through `wrtc`: the WebRTC stack of Chrome.

    python -m bench.bare_webrtc send BYTES LIMIT      python -m bench.bare_webrtc receive BYTES

It has the same arguments and output as `bench.bare`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from typing import Any, Final

import webrtc

__all__: list[str] = []

# Copies from bench.bare: an import would load aiortc, whose memory would count here.
MEGABYTE: Final = 1_000_000
MESSAGE_SIZE: Final = 64_960
HIGH_WATER: Final = 4_000_000
LOW_WATER: Final = 1_000_000
PATIENCE: Final = 30.0
REPORT_INTERVAL: Final = 0.25


def _report(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def _send(total: int, limit: float) -> None:
    connection = webrtc.RTCPeerConnection()
    channel = connection.create_data_channel("data", webrtc.RTCDataChannelInit())
    opened, finished = asyncio.Event(), asyncio.Event()
    channel.on("open", lambda *_: opened.set())
    received = 0

    def on_confirmed(event: Any) -> None:  # noqa: ANN401 - wrtc's
        nonlocal received
        received = int(event.data)
        if received == total:
            finished.set()

    channel.on("message", on_confirmed)
    await _describe(connection, await connection.create_offer())
    await connection.set_remote_description(await _read_description())
    async with asyncio.timeout(PATIENCE):
        await opened.wait()
    start = time.perf_counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await _pump(channel, total)
            await finished.wait()
    _report(bytes=received, seconds=round(time.perf_counter() - start, 3))
    connection.close()


async def _pump(channel: Any, total: int) -> None:  # noqa: ANN401 - wrtc's
    room = asyncio.Event()
    channel.buffered_amount_low_threshold = LOW_WATER
    channel.on("bufferedamountlow", lambda *_: room.set())
    message = bytes(MESSAGE_SIZE)
    for sent in range(0, total, MESSAGE_SIZE):
        while channel.buffered_amount + MESSAGE_SIZE > HIGH_WATER:
            room.clear()
            await room.wait()
        channel.send(message[: total - sent])


async def _receive(total: int) -> None:
    connection = webrtc.RTCPeerConnection()
    received = confirmed = 0

    def announced(event: Any) -> None:  # noqa: ANN401 - wrtc's
        channel = event.channel

        def message(event: Any) -> None:  # noqa: ANN401 - wrtc's
            nonlocal received, confirmed
            received += len(event.data)
            if received == total or received - confirmed >= MEGABYTE:
                confirmed = received
                channel.send(str(received))

        channel.on("message", message)

    connection.on("datachannel", announced)
    await connection.set_remote_description(await _read_description())
    await _describe(connection, await connection.create_answer())
    end = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    while not end.done():
        await asyncio.wait({end}, timeout=REPORT_INTERVAL)
        _report(arrived=received)
    connection.close()


async def _describe(connection: Any, description: Any) -> None:  # noqa: ANN401 - wrtc's
    """Print our description with all candidates."""
    gathered = asyncio.Event()

    def check(*_: object) -> None:
        if connection.ice_gathering_state == "complete":
            gathered.set()

    connection.on("icegatheringstatechange", check)
    await connection.set_local_description(description)
    check()
    await gathered.wait()
    local = connection.local_description
    _report(type=getattr(local.type, "value", local.type), sdp=local.sdp)


async def _read_description() -> Any:  # noqa: ANN401 - wrtc's
    fields = json.loads(await asyncio.to_thread(sys.stdin.readline))
    return webrtc.RTCSessionDescription(fields["type"], fields["sdp"])


def _main() -> None:
    parser = argparse.ArgumentParser(description="One end of a bare libwebrtc data channel.")
    parser.add_argument("part", choices=("send", "receive"))
    parser.add_argument("total", type=int, help="bytes")
    parser.add_argument("limit", type=float, nargs="?", default=600.0, help="seconds")
    chosen = parser.parse_args()
    send = chosen.part == "send"
    asyncio.run(_send(chosen.total, chosen.limit) if send else _receive(chosen.total))


if __name__ == "__main__":
    _main()
