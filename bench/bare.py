"""One end of a bare aiortc data channel, as a baseline without dcsend.

    python -m bench.bare send BYTES LIMIT      python -m bench.bare receive BYTES

A stock RTCPeerConnection, one ordered and reliable channel, no STUN server; nothing is checked,
hashed or written. `bench.bare_webrtc` and `bench/pion` use the same lines of JSON:

* the sender prints its description and reads the answer; the receiver reads the offer;
* the sender prints `{"bytes": …, "seconds": …}` when the receiver has reported all bytes, or after
  LIMIT seconds with the bytes that have arrived, from the first message on;
* the receiver prints `{"arrived": …}` each 250 ms, and ends when its input does.

Must not import anything of dcsend.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from typing import Final

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

__all__ = [
    *("HIGH_WATER", "LOW_WATER", "MEGABYTE", "MESSAGE_SIZE", "PATIENCE", "REPORT_INTERVAL"),
    *("pump", "report", "report_often"),
]

MEGABYTE: Final = 1_000_000

MESSAGE_SIZE: Final = 64_960
"Bytes; 56 full SCTP packets of aiortc, as frames of the first dcsend."

HIGH_WATER: Final = 4_000_000
"Buffered bytes at which sending stops."

LOW_WATER: Final = 1_000_000
"Buffered bytes below which it continues to send."

PATIENCE: Final = 30.0
"Seconds for each step of the set-up and of the end."

REPORT_INTERVAL: Final = 0.25
"Seconds between two lines of the receiver, as dcsend's own events of progress."


async def pump(channel: RTCDataChannel, total: int, message_size: int) -> None:
    """Send *total* bytes as fast as the channel's buffer empties."""
    room = asyncio.Event()
    channel.bufferedAmountLowThreshold = LOW_WATER
    channel.on("bufferedamountlow", room.set)
    message = bytes(message_size)
    sent = 0
    while sent < total:
        if channel.bufferedAmount + message_size > HIGH_WATER:
            room.clear()
            await room.wait()
        channel.send(message[: total - sent])
        sent += min(message_size, total - sent)


def report(**fields: object) -> None:
    """Print a line of JSON."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def report_often(arrived: list[int]) -> None:
    """Print how much has arrived, the one number of *arrived*, until the input ends."""
    end = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    while not end.done():
        await asyncio.wait({end}, timeout=REPORT_INTERVAL)
        report(arrived=arrived[0])


async def _send(total: int, limit: float) -> None:
    connection = _connection()
    channel = connection.createDataChannel("data")
    opened, finished = asyncio.Event(), asyncio.Event()
    channel.on("open", opened.set)
    received = 0

    def on_confirmed(message: str) -> None:
        nonlocal received
        received = int(message)
        if received == total:
            finished.set()

    channel.on("message", on_confirmed)
    await connection.setLocalDescription(await connection.createOffer())
    _describe(connection)
    answer = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await connection.setRemoteDescription(RTCSessionDescription(**answer))
    async with asyncio.timeout(PATIENCE):
        await opened.wait()
    start = time.perf_counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await pump(channel, total, MESSAGE_SIZE)
            await finished.wait()
    report(bytes=received, seconds=round(time.perf_counter() - start, 3))
    await connection.close()


async def _receive(total: int) -> None:
    connection = _connection()
    arrived = [0]

    def on_datachannel(channel: RTCDataChannel) -> None:
        confirmed = 0

        def on_message(message: bytes) -> None:
            nonlocal confirmed
            arrived[0] += len(message)
            if arrived[0] == total or arrived[0] - confirmed >= MEGABYTE:
                confirmed = arrived[0]
                channel.send(str(arrived[0]))

        channel.on("message", on_message)

    connection.on("datachannel", on_datachannel)
    offer = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await connection.setRemoteDescription(RTCSessionDescription(**offer))
    await connection.setLocalDescription(await connection.createAnswer())
    _describe(connection)
    await report_often(arrived)
    await connection.close()


def _connection() -> RTCPeerConnection:
    # An empty list; without one aiortc asks a public STUN server.
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def _describe(connection: RTCPeerConnection) -> None:
    report(type=connection.localDescription.type, sdp=connection.localDescription.sdp)


def _main() -> None:
    parser = argparse.ArgumentParser(description="One end of a bare aiortc data channel.")
    parser.add_argument("part", choices=("send", "receive"))
    parser.add_argument("total", type=int, help="bytes")
    parser.add_argument("limit", type=float, nargs="?", default=600.0, help="seconds")
    chosen = parser.parse_args()
    send = chosen.part == "send"
    asyncio.run(_send(chosen.total, chosen.limit) if send else _receive(chosen.total))


if __name__ == "__main__":
    _main()
