"""A peer of a real program that sends the messages that a test gives it, valid or not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from dcsend.entry import Entry
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.peers.contract import Channel, Connection
from dcsend.peers.dialer import dial
from dcsend.peers.loading import transfer_peer
from dcsend.protocol import limits
from dcsend.protocol.frames import Frame, decode_frame, encode_data
from dcsend.protocol.manifest_messages import split_manifest
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
)
from dcsend.signaling.dialcode import decode as decode_code
from dcsend.signaling.dialcode import ice_password
from tests.support.processes import PATIENCE

__all__ = ["Peer", "dialing"]

M = TypeVar("M", Hello, Manifest, Accept, Ack, Verdict, Complete, Bye, Cancel)

_PAYLOAD: Final = limits.MAX_PAYLOAD_WITH_DIGEST


@asynccontextmanager
async def dialing(code: str) -> AsyncIterator[Peer]:
    """Connect to the program that has published *code*; send nothing."""
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
    """The other end of a connection; the test decides what it sends, and when."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.control = connection.channels["control"]
        self.data = connection.channels["data"]
        self.text = connection.channels["text"]
        self.frames: list[Frame] = []
        "The frames that `next_frame` has returned."
        self.received_bytes = 0
        "Bytes of those frames, headers included."

    async def send_control(self, *messages: Message | str | bytes) -> None:
        """Send messages on the control channel; str and bytes unchanged."""
        for message in messages:
            raw = message if isinstance(message, str | bytes) else encode(message)
            await put(self.control, raw)

    async def expect(self, kind: type[M]) -> M:
        """Return the next control message of this type; skip others, fail at a Cancel."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.control.receive()
                assert isinstance(message, str)
                decoded = decode(message)
                if isinstance(decoded, kind):
                    return decoded
                assert not isinstance(decoded, Cancel), decoded

    async def ended(self) -> None:
        """Return when the program has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.control.receive()
            except ConnectionFailed:
                return

    # As a sender

    async def offer(self, *entries: Entry, agent: str = "peer") -> Accept:
        """Send Hello and the manifest; return the answer, its parts joined."""
        await self.send_control(Hello((1,), agent, "sender"), *split_manifest(entries))
        skip: list[tuple[int, str]] = []
        while True:
            accept = await self.expect(Accept)
            skip += accept.skip
            if accept.last:
                return Accept(accept.window, tuple(skip))

    async def send(self, number: int, content: bytes, sha256: bytes = b"") -> None:
        """Send a whole file, smaller than the window, with its digest or *sha256*."""
        for frame in file_frames(number, content, sha256):
            await put(self.data, frame)

    async def put(self, *frames: bytes | str) -> None:
        """Send messages on the data channel."""
        for frame in frames:
            await put(self.data, frame)

    async def finish(self) -> Complete:
        """Wait for Complete, send Bye, and wait for the end of the connection."""
        complete = await self.expect(Complete)
        await self.send_control(Bye())
        await self.ended()
        return complete

    # As a receiver

    async def accept(self, *skip: int, window: int = limits.WINDOW) -> tuple[Entry, ...]:
        """Send Hello and Accept for all entries but *skip*; return the entries."""
        await self.send_control(Hello((1,), "peer", "receiver"))
        entries: list[Entry] = []
        while True:
            manifest = await self.expect(Manifest)
            entries += manifest.entries
            if manifest.last:
                break
        await self.send_control(Accept(window, tuple((number, "declined") for number in skip)))
        return tuple(entries)

    async def next_frame(self) -> Frame:
        """Return the next frame, without an Ack."""
        async with asyncio.timeout(PATIENCE):
            message = await self.data.receive()
        assert isinstance(message, bytes)
        self.received_bytes += len(message)
        frame = decode_frame(message)
        self.frames.append(frame)
        return frame

    async def acknowledge(self) -> None:
        """Send an Ack for all frames received so far."""
        await self.send_control(Ack(self.received_bytes))

    def content(self, number: int) -> bytes:
        """Return the received bytes of a file."""
        return b"".join(bytes(f.payload) for f in self.frames if f.number == number)


def file_frames(number: int, content: bytes, sha256: bytes = b"") -> Sequence[bytes]:
    """Return the frames of a whole file."""
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
    """Send, after waiting for room; ignore that the connection has been closed meanwhile."""
    async with asyncio.timeout(PATIENCE):
        try:
            while not channel.send(message):
                await channel.writable()
        except DcsendError:
            return
