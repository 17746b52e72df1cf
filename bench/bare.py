"""The bare aiortc data channel, for comparison: what its users get without dcsend.

Two processes on this machine, a stock RTCPeerConnection in each, one ordered and reliable
channel, descriptions exchanged over a pipe, no STUN server. Nothing is checked, hashed or
written. Whoever is slower than `--limit` is measured by what has arrived. Prints one line of JSON:

    {"kind": "bare", "bytes": …, "seconds": …, "mb_per_s": …}

Must not import anything of dcsend.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

__all__ = ["MEGABYTE", "MESSAGE_SIZE", "PATIENCE", "Result", "pump", "run"]

MEGABYTE: Final = 1_000_000

MESSAGE_SIZE: Final = 64_960
"Bytes; 56 full SCTP packets, as dcsend's own frames."

HIGH_WATER: Final = 4_000_000
"Buffered bytes at which sending stops."

LOW_WATER: Final = 1_000_000
"Buffered bytes at which it goes on."

PATIENCE: Final = 30.0
"Seconds for each step of the set-up and of the end."

_SCRIPT: Final = str(Path(__file__).resolve())

_RECEIVE: Final = "--receive"
"Tells the child process its part."


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement."""

    kind: str
    bytes: int
    seconds: float
    "From the first message sent until the receiver's word that it has the last one, or the limit."
    mb_per_s: float
    "Millions of bytes per second."


def run(
    megabytes: int,
    message_size: int = MESSAGE_SIZE,
    *,
    limit: float = 600.0,
    prefix: Sequence[str] = (),
) -> Result:
    """Send so many million bytes to a second process and measure it.

    Args:
        megabytes: how many.
        message_size: bytes of each message.
        limit: seconds after which it is measured by what has arrived.
        prefix: what starts the other process somewhere else.

    Raises:
        RuntimeError: the other process failed; what it said is on stderr.
        TimeoutError: no connection within `PATIENCE`.
    """
    return asyncio.run(_send(megabytes * MEGABYTE, message_size, limit, prefix))


# --- The sender: this process --------------------------------------------------------------------


async def _send(total: int, message_size: int, limit: float, prefix: Sequence[str]) -> Result:
    connection = _connection()
    channel = connection.createDataChannel("data")
    opened, finished = asyncio.Event(), asyncio.Event()
    channel.on("open", opened.set)
    received = 0

    def told(message: str) -> None:
        nonlocal received
        received = int(message)
        if received == total:
            finished.set()

    channel.on("message", told)
    try:
        async with _receiver(total, prefix) as process:
            async with asyncio.timeout(PATIENCE):
                await connection.setLocalDescription(await connection.createOffer())
                answer = await _ask(process, connection.localDescription)
                await connection.setRemoteDescription(answer)
                await opened.wait()
            start = time.perf_counter()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await pump(channel, total, message_size)
                    await finished.wait()
            seconds = time.perf_counter() - start
    finally:
        await connection.close()
    rate = received / seconds / MEGABYTE
    return Result("bare", received, round(seconds, 3), round(rate, 2))


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


@asynccontextmanager
async def _receiver(total: int, prefix: Sequence[str]) -> AsyncIterator[Process]:
    """Start the receiving process; it ends when its input does."""
    process = await asyncio.create_subprocess_exec(
        *prefix, sys.executable, _SCRIPT, _RECEIVE, str(total), stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            status = await process.wait()
    if status != 0:
        raise RuntimeError(f"the receiving process ended with status {status}")


async def _ask(process: Process, offer: RTCSessionDescription) -> RTCSessionDescription:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the receiving process has no pipes")
    process.stdin.write(_encode(offer).encode())
    answer = await process.stdout.readline()
    if not answer:
        raise RuntimeError("the receiving process gave no answer")
    return _decode(answer)


# --- The receiver: the child process -------------------------------------------------------------


async def _receive(total: int) -> None:
    connection = _connection()

    def on_datachannel(channel: RTCDataChannel) -> None:
        received = told = 0

        def on_message(message: bytes) -> None:
            nonlocal received, told
            received += len(message)
            if received == total or received - told >= MEGABYTE:
                told = received
                channel.send(str(received))

        channel.on("message", on_message)

    connection.on("datachannel", on_datachannel)
    try:
        await connection.setRemoteDescription(_decode(sys.stdin.readline()))
        await connection.setLocalDescription(await connection.createAnswer())
        sys.stdout.write(_encode(connection.localDescription))
        sys.stdout.flush()
        # The parent closes the pipe when it has what it needs, or has died.
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await connection.close()


# --- Both ----------------------------------------------------------------------------------------


def _connection() -> RTCPeerConnection:
    # An empty list; without one aiortc asks a public STUN server.
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def _encode(description: RTCSessionDescription) -> str:
    return json.dumps({"type": description.type, "sdp": description.sdp}) + "\n"


def _decode(line: str | bytes) -> RTCSessionDescription:
    fields = json.loads(line)
    return RTCSessionDescription(sdp=fields["sdp"], type=fields["type"])


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the bare aiortc data channel.")
    parser.add_argument("--megabytes", type=int, default=100, help="how much to send")
    parser.add_argument("--message-size", type=int, default=MESSAGE_SIZE, help="in bytes")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds")
    parser.add_argument("--namespace", help="network namespace of the receiver")
    parser.add_argument(_RECEIVE, type=int, metavar="BYTES", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive is not None:
        asyncio.run(_receive(arguments.receive))
        return
    if arguments.megabytes < 1 or arguments.message_size < 1:
        parser.error("sizes must be at least 1")
    prefix = ["ip", "netns", "exec", arguments.namespace] if arguments.namespace else []
    result = run(arguments.megabytes, arguments.message_size, limit=arguments.limit, prefix=prefix)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    _main()
