"""A peer that says whatever a test wants, message by message, to a real program."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from dcsend.engines.base import Channel, Connection
from dcsend.engines.dialer import dial
from dcsend.engines.loading import transfer_peer
from dcsend.entry import Entry
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.protocol import limits
from dcsend.protocol.frames import Frame, decode_frame, encode_data
from dcsend.protocol.messages import (
    Accept,
    Ack,
    Bye,
    Cancel,
    Complete,
    Hello,
    Manifest,
    Message,
    Verdict,
    decode,
    encode,
    split_manifest,
)
from dcsend.signaling.dialcode import decode as decode_code
from dcsend.signaling.dialcode import ice_password
from tests.processes import PATIENCE

__all__ = ["Peer", "dialing"]

M = TypeVar("M", Hello, Manifest, Accept, Ack, Verdict, Complete, Bye, Cancel)

_PAYLOAD: Final = limits.MAX_PAYLOAD_WITH_DIGEST


@asynccontextmanager
async def dialing(code: str) -> AsyncIterator[Peer]:
    """Connect to the program that has published *code*; say nothing yet."""
    there = decode_code(code)
    connection = await dial(
        [(address.host, address.port) for address in there.addresses],
        password=ice_password(there.secret),
        fingerprint=there.fingerprint,
        timeout=PATIENCE,
        make=transfer_peer,
    )
    try:
        yield Peer(connection)
    finally:
        await connection.close()


class Peer:
    """The other end of a connection, with no manners of its own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.control = connection.channels["control"]
        self.data = connection.channels["data"]
        self.text = connection.channels["text"]
        self.frames: list[Frame] = []
        "What `take` has taken."
        self.taken = 0
        "Bytes of those frames, headers included."

    async def say(self, *messages: Message | str | bytes) -> None:
        """Put messages on the control channel; text and bytes as they are."""
        for message in messages:
            raw = message if isinstance(message, str | bytes) else encode(message)
            await put(self.control, raw)

    async def hear(self, kind: type[M]) -> M:
        """Return the next message of this kind; skip others."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.control.receive()
                assert isinstance(message, str)
                heard = decode(message)
                if isinstance(heard, kind):
                    return heard
                assert not isinstance(heard, Cancel), heard

    async def ended(self) -> None:
        """Return when the other side has hung up."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.control.receive()
            except ConnectionFailed:
                return

    # As a sender

    async def offer(self, *entries: Entry, agent: str = "peer") -> Accept:
        """Greet, offer, and return what is accepted."""
        await self.say(Hello((1,), agent, "sender"), *split_manifest(entries))
        skip: list[tuple[int, str]] = []
        while True:
            accept = await self.hear(Accept)
            skip += accept.skip
            if accept.last:
                return Accept(accept.window, tuple(skip))

    async def send(self, number: int, content: bytes, sha256: bytes = b"") -> None:
        """Send a whole file of less than a window, with its digest or another one."""
        for frame in file_frames(number, content, sha256):
            await put(self.data, frame)

    async def put(self, *frames: bytes | str) -> None:
        """Put messages on the data channel."""
        for frame in frames:
            await put(self.data, frame)

    async def finish(self) -> Complete:
        """Wait for the last word, and say bye."""
        complete = await self.hear(Complete)
        await self.say(Bye())
        await self.ended()
        return complete

    # As a receiver

    async def accept(self, *skip: int, window: int = limits.WINDOW) -> tuple[Entry, ...]:
        """Greet, and accept all but *skip*; return what was offered."""
        await self.say(Hello((1,), "peer", "receiver"))
        entries: list[Entry] = []
        while True:
            manifest = await self.hear(Manifest)
            entries += manifest.entries
            if manifest.last:
                break
        await self.say(Accept(window, tuple((number, "declined") for number in skip)))
        return tuple(entries)

    async def take(self) -> Frame:
        """Take one frame; nothing is acknowledged."""
        async with asyncio.timeout(PATIENCE):
            message = await self.data.receive()
        assert isinstance(message, bytes)
        self.taken += len(message)
        frame = decode_frame(message)
        self.frames.append(frame)
        return frame

    async def acknowledge(self) -> None:
        """Acknowledge all that has been taken."""
        await self.say(Ack(self.taken))

    def content(self, number: int) -> bytes:
        """What has been taken of a file."""
        return b"".join(bytes(f.payload) for f in self.frames if f.number == number)


def file_frames(number: int, content: bytes, sha256: bytes = b"") -> Sequence[bytes]:
    """Make the frames of a whole file."""
    sha256 = sha256 or hashlib.sha256(content).digest()
    starts = range(0, max(1, len(content)), _PAYLOAD)
    return [
        encode_data(
            number,
            start,
            content[start : start + _PAYLOAD],
            sha256 if start + _PAYLOAD >= len(content) else None,
        )
        for start in starts
    ]


async def put(channel: Channel, message: bytes | str) -> None:
    """Send, waiting for room; a peer that has hung up by then is not our concern."""
    async with asyncio.timeout(PATIENCE):
        try:
            while not channel.send(message):
                await channel.writable()
        except DcsendError:
            return
