"""The bare libwebrtc data channel, through `wrtc`, for comparison: Chrome's engine without Chrome.

As `bench.bare`, with which it shares the language of its two processes. Prints one line of JSON:

    {"kind": "libwebrtc", "bytes": …, "seconds": …, "mb_per_s": …}
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import webrtc

from bench.bare import HIGH_WATER, LOW_WATER, MEGABYTE, MESSAGE_SIZE, PATIENCE, Result

__all__ = ["run"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_RECEIVE: Final = "--receive"


async def run(total: int, limit: float, prefix: list[str]) -> Result:
    """Send *total* bytes to a second process, which *prefix* starts; give up after *limit* s."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-m", "bench.bare_webrtc", _RECEIVE, str(total)),
        stdin=PIPE,
        stdout=PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    connection = webrtc.RTCPeerConnection()
    channel = connection.create_data_channel("data", webrtc.RTCDataChannelInit())
    opened, finished = asyncio.Event(), asyncio.Event()
    channel.on("open", lambda *_: opened.set())
    received = 0

    def told(event: Any) -> None:  # noqa: ANN401 - wrtc's
        nonlocal received
        received = int(event.data)
        if received == total:
            finished.set()

    channel.on("message", told)
    process.stdin.write(await _describe(connection, await connection.create_offer()))
    answer = json.loads(await process.stdout.readline())
    await connection.set_remote_description(
        webrtc.RTCSessionDescription(answer["type"], answer["sdp"])
    )
    async with asyncio.timeout(PATIENCE):
        await opened.wait()
    start = time.perf_counter()
    try:
        async with asyncio.timeout(limit):
            await _pump(channel, total)
            await finished.wait()
    except TimeoutError:
        pass  # the rate of what has arrived tells enough
    seconds = time.perf_counter() - start
    connection.close()
    process.stdin.close()
    await process.wait()
    return Result("libwebrtc", received, round(seconds, 3), round(received / seconds / MEGABYTE, 2))


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


async def _describe(connection: Any, description: Any) -> bytes:  # noqa: ANN401 - wrtc's
    """Return our description with all candidates, as a line."""
    gathered = asyncio.Event()

    def check(*_: object) -> None:
        if connection.ice_gathering_state == "complete":
            gathered.set()

    connection.on("icegatheringstatechange", check)
    await connection.set_local_description(description)
    check()
    await gathered.wait()
    local = connection.local_description
    kind = getattr(local.type, "value", local.type)
    return (json.dumps({"type": kind, "sdp": local.sdp}) + "\n").encode()


async def _receive(total: int) -> None:
    connection = webrtc.RTCPeerConnection()

    def announced(event: Any) -> None:  # noqa: ANN401 - wrtc's
        channel = event.channel
        received = 0
        told = 0

        def message(event: Any) -> None:  # noqa: ANN401 - wrtc's
            nonlocal received, told
            received += len(event.data)
            if received == total or received - told >= MEGABYTE:
                told = received
                channel.send(str(received))

        channel.on("message", message)

    connection.on("datachannel", announced)
    offer = json.loads(sys.stdin.readline())
    await connection.set_remote_description(
        webrtc.RTCSessionDescription(offer["type"], offer["sdp"])
    )
    sys.stdout.write((await _describe(connection, await connection.create_answer())).decode())
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    connection.close()


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the bare libwebrtc data channel.")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds")
    parser.add_argument("--namespace", help="network namespace of the receiver")
    parser.add_argument(_RECEIVE, type=int, metavar="BYTES", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.receive is not None:
        asyncio.run(_receive(chosen.receive))
        return
    prefix = ["ip", "netns", "exec", chosen.namespace] if chosen.namespace else []
    result = asyncio.run(run(chosen.megabytes * MEGABYTE, chosen.limit, prefix))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    _main()
