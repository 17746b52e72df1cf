"""The sending half: blocks from the disk into frames, as fast as acknowledgements come back.

disk thread ─ blocks ─► read-ahead ─► frames ─► `data` channel
`control` channel ─ acks, verdicts ─► window, pace, progress, verdicts
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from dcsend.engines.base import Connection
from dcsend.entry import Entry, Kind
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IntegrityError,
    SourceError,
)
from dcsend.files.source import Block, Source
from dcsend.protocol import events as protocol_events
from dcsend.protocol.frames import hole_cost
from dcsend.protocol.limits import (
    DIGEST,
    FRAME_HEADER,
    HELLO_SECONDS,
    MAX_MESSAGE,
    MAX_PAYLOAD_WITH_DIGEST,
)
from dcsend.protocol.pace import LOOSE, Pace
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import State
from dcsend.session.batches import MANY, after_small, bundled, holes, take
from dcsend.session.conversation import Conversation, race, send_all
from dcsend.session.events import Connected, Emit, FileFinished, ManifestKnown, total_size
from dcsend.session.outcome import Tally, cancel_reason, peer_cancelled, peer_declined
from dcsend.session.progress import Progress
from dcsend.session.turns import in_turns
from dcsend.session.worker import Worker
from dcsend.settings import Settings

__all__ = ["Outgoing", "block_size"]

_SHORT: Final = FRAME_HEADER + MAX_MESSAGE
"The longest frame without content, bytes."
_FIRST: Final = 8
"The first batch is so many times shorter: until it is read, both sides wait."
_BLOCKS_AHEAD: Final = 2
"Batches read ahead of the network: one is being sent, two wait; about 3 MiB of memory."


def block_size(wanted: int) -> int:
    """Return the size near *wanted* bytes that fills whole frames.

    >>> block_size(1024 * 1024)
    1103368
    """
    return max(1, -(-wanted // MAX_PAYLOAD_WITH_DIGEST)) * MAX_PAYLOAD_WITH_DIGEST


@dataclass(slots=True)
class _InFlight:
    """What a frame has of one file, not acknowledged yet."""

    upto: int
    "What the window counts of all `data` messages, this part included."
    number: int
    payload: int
    zeros: int
    "What the window counts of them beyond the bytes of the message, for a hole."


@dataclass(slots=True)
class _Sent:
    """What we know of a file whose verdict is not there yet."""

    size: int = 0
    sha256: str = ""
    failure: str = ""


@dataclass(slots=True)
class _Book:
    """What has been sent and not yet been judged; as long as the window is wide."""

    frames: deque[_InFlight] = field(default_factory=deque)
    files: dict[int, _Sent] = field(default_factory=dict)
    sent: int = 0
    zeros: int = 0
    "What acknowledged holes have cost of the window beyond the bytes of their messages."


class Outgoing:
    """Sends one source over one connection."""

    def __init__(
        self,
        connection: Connection,
        entries: Sequence[Entry],
        source: Source,
        settings: Settings,
        emit: Emit,
        *,
        agent: str,
        tally: Tally,
        manifest: Awaitable[list[str]] | None = None,
        accepted: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `conversation` is set by whoever runs it.

        *manifest* is for the `Sender`; *accepted* is called when the receiver has accepted.
        """
        self.conversation: Conversation
        self.tally = tally
        self.introduced = False
        "Whether the peer has said Hello."
        self.answered = False
        "Whether the offer has been accepted or declined."
        self._on_accepted = accepted
        self._connection = connection
        self._control = connection.channels["control"]
        self._data = connection.channels["data"]
        self._source = source
        self._entries = entries
        self._settings = settings
        self._emit = emit
        self._protocol = Sender(self._entries, agent=agent, window=settings.window)
        self._manifest = manifest
        self._encoded: list[str] = []
        "What *manifest* gave, until a receiver has accepted."
        self._pace = Pace(LOOSE, settings.window)
        self._worker = Worker("dcsend-read")
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[protocol_events.Accepted] = self._loop.create_future()
        self._acknowledged = asyncio.Event()
        self._book = _Book()
        self._progress: Progress | None = None
        self._reading = False
        "Whether the disk, or whatever the source is, is being waited for."

    async def run(self) -> None:
        """Send everything; return when the receiver has judged all of it.

        Raises:
            PeerRefused: the receiver declined or cancelled.
            ConnectionFailed: the connection was lost.
            RemoteProtocolError: the receiver broke a rule.
        """
        if self._manifest is not None:
            self._encoded = await self._manifest
            # A copy, which is emptied when it is sent: after this receiver another may come.
            self._protocol.manifest = list(self._encoded)
        self._protocol.start()
        self.conversation.expect("did not introduce itself in time", HELLO_SECONDS)
        await self._flush()
        await race(
            self._listen(),
            self._pump(),
            self.conversation.reassure(lambda: self._reading, self._tell_working),
        )

    async def put_away(self) -> None:
        """Let the disk thread end."""
        if self._progress is not None:
            self._progress.close()
        self._worker.close()

    async def farewell(self, error: BaseException) -> None:
        """Tell the receiver that we stop, and wait until it has hung up; not if it told us."""
        told_us = self._protocol.state in (State.CANCELLED, State.DONE)
        with contextlib.suppress(DcsendError):
            self._protocol.cancel(cancel_reason(error), str(error))
        await self._flush()
        while not told_us:
            await self._control.receive()

    # What comes back

    async def _listen(self) -> None:
        """Follow the control channel to the end."""
        while True:
            message = await self._control.receive()
            self.conversation.heard()
            for event in self._protocol.receive(message):
                if isinstance(event, protocol_events.Accepted):
                    await self._start(event)
                elif self._handle(event):
                    await self._end()
                    return
            self._expect_answer()
            await self._flush()

    def _expect_answer(self) -> None:
        """Give the receiver time for its next message, if one is due."""
        match self._protocol.state:
            case State.OFFERING if self._protocol.answering:
                self.conversation.expect("did not complete its answer")
            case State.SENDING | State.SENT if self._book.frames or self._is_sent:
                self.conversation.expect("acknowledged nothing for too long")
            case _:
                self.conversation.lift()

    @property
    def _is_sent(self) -> bool:
        return self._protocol.state is State.SENT

    async def _tell_working(self) -> None:
        self._protocol.working()
        await self._flush()

    async def _end(self) -> None:
        """Say bye; the receiver, which then knows that we know, hangs up."""
        self.conversation.lift()
        self._protocol.end()
        await self._flush()
        with contextlib.suppress(ConnectionFailed, TimeoutError):
            async with asyncio.timeout(1.0):
                while True:
                    await self._control.receive()

    def _handle(self, event: protocol_events.Event) -> bool:
        """Act on one event; True when it was the last."""
        match event:
            case protocol_events.PeerIntroduced():
                self._introduce(event)
            case protocol_events.Declined():
                self.answered = True
                raise peer_declined(event.reason, event.message)
            case protocol_events.Cancelled():
                raise peer_cancelled(event.reason, event.message)
            case protocol_events.Acknowledged():
                self._acknowledge(event.bytes)
            case protocol_events.FileJudged():
                self._judge(event.number, event.status)
            case protocol_events.Completed():
                if self._progress is not None:
                    self._progress.end()
                return True
            case _:
                pass
        return False

    def _introduce(self, event: protocol_events.PeerIntroduced) -> None:
        self.conversation.introduced(event.agent)
        self.introduced = True
        route = self._connection.route
        self._emit(Connected(route.path.value, route.family, route.remote, event.agent, route.rtt))
        self._emit(ManifestKnown(self._entries))

    async def _start(self, event: protocol_events.Accepted) -> None:
        self.answered = True
        self._on_accepted()
        self._encoded.clear()
        self.tally.started = self._loop.time()
        total = total_size(self._entries, event.skip)
        self._progress = Progress(total, self._emit, self._settings.progress_interval)
        self.tally.files.entries = self._entries
        async for number, reason in in_turns(event.skip.items()):
            self._report(number, _skipped(self._entries[number], reason))
        self._accepted.set_result(event)

    def _acknowledge(self, upto: int) -> None:
        frames = self._book.frames
        while frames and frames[0].upto <= upto:
            frame = frames.popleft()
            self._book.zeros += frame.zeros
            if self._progress is not None:
                self._progress.add(self._entries[frame.number], frame.payload)
            self.tally.bytes += frame.payload
        # The path carries no zeros, so the pace knows nothing of them.
        self._pace.acknowledge(upto - self._book.zeros, self._loop.time())
        self._acknowledged.set()
        if self._progress is not None:
            self._progress.show()

    def _judge(self, number: int, status: str) -> None:
        entry = self._entries[number]
        sent = self._book.files.pop(number, _Sent())
        if sent.failure:
            reason, fault = sent.failure, SourceError.exit_status
            status = "failed"
        elif status == "mismatch":
            reason, fault = "the receiver got other bytes", IntegrityError.exit_status
        elif status == "ok":
            reason, fault = "", 0
        else:
            reason, fault = "the receiver could not save it", DestinationError.exit_status
        self._report(
            number,
            FileFinished(
                entry.path, status, sent.size, sha256=sent.sha256, reason=reason, exit=fault
            ),
        )

    def _report(self, number: int, file: FileFinished) -> None:
        self.tally.files.add(file, number)
        self._emit(file)

    # What goes out

    async def _flush(self) -> None:
        while messages := self._protocol.messages_to_send():
            await send_all(self._control, messages)

    async def _pump(self) -> None:
        """Send every accepted file, block after block."""
        accepted = await self._accepted
        blocks = self._source.blocks(accepted.skip, accepted.have)
        batches: asyncio.Queue[list[Block]] = asyncio.Queue(_BLOCKS_AHEAD)
        # A lost connection is told by the control channel, which may hold the reason, too.
        with contextlib.suppress(ConnectionFailed):
            await race(self._send_batches(batches), self._read_ahead(blocks, batches))

    async def _read_ahead(
        self, blocks: Iterator[Block], batches: asyncio.Queue[list[Block]]
    ) -> None:
        usual = block_size(self._settings.block_size)
        size = usual // _FIRST
        following = upto = 0
        while True:
            if following >= upto:
                upto = after_small(self._entries, following)
            # Only if the batch can't reach what is large, or a stream, which may pause for hours.
            near = upto == len(self._entries) or upto - following >= MANY
            job = partial(take, blocks, size, self._entries)
            self._reading = True
            batch = await self._worker.run(job, near=near)
            self._reading = False
            await batches.put(batch)
            if not batch:
                return
            following, size = batch[-1].number + 1, usual

    async def _send_batches(self, batches: asyncio.Queue[list[Block]]) -> None:
        while batch := await batches.get():
            for group in bundled(batch, self._entries, self._protocol.max_payload):
                if len(group) == 1:
                    await self._send_block(group[0])
                else:
                    await self._send_bundle(group)

    async def _send_bundle(self, blocks: Sequence[Block]) -> None:
        numbers = [block.number for block in blocks]
        contents = [block.payload for block in blocks]
        digests = [block.digest or b"" for block in blocks]
        for number, content, digest in zip(numbers, contents, digests, strict=True):
            self._book.files[number] = _Sent(len(content), digest.hex())
        await self._room(FRAME_HEADER + sum(map(len, contents)) + DIGEST * len(blocks))
        frame = self._protocol.bundle(numbers, contents, digests)
        await self._put(frame, *((block.number, len(block.payload)) for block in blocks))

    async def _send_block(self, block: Block) -> None:
        number = block.number
        protocol = self._protocol
        if block.failure:
            self._book.files[number] = _Sent(failure=block.failure)
            await self._room(_SHORT)
            await self._put(protocol.abort(number, block.failure), (number, 0))
            return
        for offset, length in holes(block, protocol.max_hole):
            cost = hole_cost(length)
            await self._room(FRAME_HEADER, cost - FRAME_HEADER)
            frame = protocol.hole(number, offset, length)
            await self._put(frame, (number, length), zeros=cost - FRAME_HEADER)
        payload = memoryview(block.payload)
        # A peer that takes only short frames gets short frames.
        step = min(MAX_PAYLOAD_WITH_DIGEST, protocol.max_payload - DIGEST)
        empty_end = [0] if block.digest is not None and not payload else []
        for start in empty_end or range(0, len(payload), step):
            part = payload[start : start + step]
            digest = block.digest if start + step >= len(payload) else None
            offset = block.offset + start
            if digest is not None:
                self._book.files[number] = _Sent(offset + len(part), digest.hex())
            await self._room(len(part) + FRAME_HEADER + DIGEST)
            await self._put(protocol.data(number, offset, part, digest), (number, len(part)))

    async def _room(self, cost: int, zeros: int = 0) -> None:
        """Wait until the pace lets a frame of *cost* bytes go, and the window it and its zeros."""
        while self._protocol.sendable() < cost + zeros or not self._pace.allows(cost):
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def _put(self, frame: bytes, *parts: tuple[int, int], zeros: int = 0) -> None:
        """Send a frame; *parts* are the numbers of its files, and the bytes it has of each."""
        self._pace.send(len(frame), self._loop.time())
        book = self._book
        was_idle = not book.frames
        upto, book.sent = book.sent + FRAME_HEADER, book.sent + len(frame) + zeros
        for number, payload in parts:
            upto += payload + DIGEST
            book.frames.append(_InFlight(upto, number, payload, zeros))
        # A frame of one file may have no digest, and a hole no payload.
        book.frames[-1].upto = book.sent
        if was_idle:
            self._expect_answer()
        while not self._data.send(frame):
            await self._data.writable()


def _skipped(entry: Entry, reason: str) -> FileFinished:
    """Return the verdict over an entry that the receiver did not want."""
    words = {
        "exists": ("skipped", "the receiver has a file of this name", 0),
        "declined": ("skipped", "the receiver did not want it", 0),
        "unsafe": (
            "failed",
            "the receiver refuses this name",
            DestinationError.exit_status,
        ),
    }
    status, words_, fault = words.get(
        reason, ("failed", "the receiver can't take this kind", DestinationError.exit_status)
    )
    size = entry.size or 0 if entry.kind is Kind.FILE else 0
    return FileFinished(entry.path, status, size, reason=words_, exit=fault)
