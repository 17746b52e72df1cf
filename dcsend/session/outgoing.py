"""The sending half of a transfer.

disk thread ─ blocks ─► read-ahead ─► frames ─► `data` channel
`control` channel ─ acks, verdicts ─► window, progress, verdicts
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from dcsend.entry import NOTHING, Entry, LeftOut
from dcsend.errors import (
    ConnectionFailed,
    DestinationError,
    IntegrityError,
    PeerCannotSave,
    PeerDryRun,
    SourceError,
)
from dcsend.files.source import Block, FileSource
from dcsend.protocol import events as protocol_events
from dcsend.protocol.again import Range
from dcsend.protocol.frames import hole_cost
from dcsend.protocol.limits import DIGEST, FRAME_HEADER, MAX_MESSAGE, MAX_PAYLOAD_WITH_DIGEST
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState
from dcsend.session.batches import grouped, holes, next_again, split, take
from dcsend.session.checks import show_checks
from dcsend.session.control import ConnectedPeer, Control
from dcsend.session.conversation import race
from dcsend.session.events import Damaged, FileFinished, ManifestKnown, total_size
from dcsend.session.inflight import InFlight
from dcsend.session.limiting import RateLimit
from dcsend.session.outcome import Tally, peer_declined
from dcsend.session.progress import Progress
from dcsend.session.skipping import restarted, skipped
from dcsend.session.turns import in_turns
from dcsend.session.worker import Worker
from dcsend.settings import Settings

__all__ = ["Outgoing", "block_size"]

HANG_UP_SECONDS: Final = 1.0
"Seconds to wait for the receiver to close the connection after Bye."
_SHORT: Final = FRAME_HEADER + MAX_MESSAGE
"Length of the longest frame without content, bytes."
_AGAIN: Final = -1
"In place of the number of a file: the bytes were sent before."
_FIRST: Final = 8
"The first portion is shorter by this factor: both sides wait until it is read."
_REFUSED: Final = "the receiver could not save it"
"Why a file is given up that has the verdict `failed` before its end."
_PORTIONS_AHEAD: Final = 2
"Portions read ahead of the network: one is sent while two wait; about 3 MiB of memory."


def block_size(wanted: int) -> int:
    """Return the size near *wanted* bytes that fills whole frames.

    >>> block_size(1024 * 1024)
    1103368
    """
    return max(1, -(-wanted // MAX_PAYLOAD_WITH_DIGEST)) * MAX_PAYLOAD_WITH_DIGEST


class _SentFile(NamedTuple):
    """A file that has been sent or given up, and has no verdict yet."""

    size: int = 0
    sha256: str = ""
    failure: str = ""
    kept: bool = False
    "Whether the receiver had all of it."


class Outgoing:
    """Sends one source over one connection.

    Args:
        peer: the receiver.
        entries: the manifest.
        source: of their content.
        settings: of the run.
        tally: counts, and gets the events.
        limit: of the rate.
        agent: name and version of this program.
        left_out: how much is not offered.
        manifest: the encoded entries, as of `Sender`.
        accepted: called when the receiver has accepted.
        worker: makes a disk thread of this name.
    """

    def __init__(
        self,
        peer: ConnectedPeer,
        entries: Sequence[Entry],
        source: FileSource,
        settings: Settings,
        tally: Tally,
        limit: RateLimit | None = None,
        *,
        agent: str,
        left_out: LeftOut = NOTHING,
        manifest: Sequence[str] = (),
        accepted: Callable[[], None] = lambda: None,
        worker: Callable[[str], Worker] = Worker,
    ) -> None:
        self.answered = False
        "Whether a person has accepted or declined the offer."
        tally.expect(entries, left_out)
        self._protocol = Sender(
            entries,
            left_out,
            agent=agent,
            name=settings.name,
            features=peer.features,
            window=settings.window,
            manifest=manifest,
            is_last=peer.is_last,
        )
        self.control: Final = Control(peer, self._protocol, tally)
        self._conversation = peer.conversation
        self._channels = peer.connection.channels
        self._source = source
        self._entries = entries
        self._settings = settings
        self._tally = tally
        self._limit = limit or RateLimit()
        self._on_accepted = accepted
        self._make_worker = worker
        self._worker = worker("dcsend-read")
        self._rereader: Worker | None = None
        "Reads what is sent again: the other thread may wait for a pipe."
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[protocol_events.Accepted] = self._loop.create_future()
        self._acknowledged = asyncio.Event()
        self._news = asyncio.Event()
        "Set when there is a portion to be sent, or a file to be given up."
        self._in_flight = InFlight()
        self._without_verdict: dict[int, _SentFile] = {}
        "Files without a verdict, by number; as many as the window holds."
        self._whole: set[int] = set()
        "Files of which the receiver seems to have all bytes."
        self._progress: Progress | None = None
        self._closed = False
        self._reading = False
        "Whether the disk, or another source, is awaited."
        self._rereading = False
        "Whether the disk is awaited for what is sent again."

    async def run(self) -> None:
        """Send everything; return when the receiver has sent Complete.

        Raises:
            PeerRefused: the receiver declined or cancelled.
            ConnectionFailed: the connection was lost.
            RemoteProtocolError: the receiver broke a rule.
        """
        await race(
            self._listen(),
            self._pump(),
            self.control.reassure(lambda: self._reading or self._rereading),
            show_checks(
                lambda: self._source.checking, self._tally.emit, self._settings.progress_interval
            ),
        )

    async def close(self) -> None:
        """End the disk thread."""
        self._closed = True
        for part in (self._progress, self._worker, self._source, self._rereader):
            if part is not None:
                part.close()

    # --- what arrives

    async def _listen(self) -> None:
        """Process the control channel to the end; then send Bye."""
        await self.control.follow(self._handle, self._expect)
        self._conversation.lift()
        self._protocol.end()
        await self.control.flush()
        self._tally.end()
        # The receiver closes: closing here could drop Bye.
        with contextlib.suppress(ConnectionFailed, TimeoutError):
            async with asyncio.timeout(HANG_UP_SECONDS):
                while True:
                    await self._channels["control"].receive()

    def _expect(self) -> None:
        """Set or lift the deadline of the receiver's next message."""
        state = self._protocol.state
        if self._protocol.answering:
            self._conversation.expect("did not complete its answer")
        elif self._in_flight or (state is TransferState.SENT and self._protocol.asked is None):
            self._conversation.expect("acknowledged nothing for too long")
        else:
            self._conversation.lift()

    async def _handle(self, event: protocol_events.Event) -> bool:
        """Process one event; return whether it was the last."""
        match event:
            case protocol_events.PeerIntroduced():
                self._tally.emit(ManifestKnown(self._entries, self._tally.left_out))
            case protocol_events.Accepted():
                await self._start(event)
            case protocol_events.Declined(reason, message):
                refusal = peer_declined(reason, message)
                self.answered = not isinstance(refusal, PeerCannotSave | PeerDryRun)
                raise refusal
            case protocol_events.Acknowledged(total):
                self._acknowledge(total)
            case protocol_events.AskedAgain(number, start, end):
                await self._conversation.room()
                self._tally.emit(Damaged(self._entries[number].path, start, end))
                self._news.set()
            case protocol_events.VerdictReceived(number, status):
                self._report_verdict(number, status)
            case protocol_events.Completed():
                if self._progress is not None:
                    self._progress.end()
                return True
            case _:
                pass
        return False

    async def _start(self, event: protocol_events.Accepted) -> None:
        self.answered = True
        self._on_accepted()
        self._conversation.accepted()
        self._tally.begin(self._loop.time())
        total = total_size(self._entries, event.skip)
        self._progress = Progress(
            total, self._tally.emit, self._settings.progress_interval, event.have
        )
        sizes = ((number, self._entries[number].size) for number in event.have)
        self._whole = {number for number, size in sizes if size == event.have[number]}
        async for number, reason in in_turns(event.skip.items()):
            await self._conversation.room()
            file = skipped("sender", self._entries[number], reason)
            self._tally.report(file, number, lasting=reason == "unsafe")
        self._accepted.set_result(event)

    def _acknowledge(self, upto: int) -> None:
        for number, payload in self._in_flight.acknowledge(upto):
            if self._progress is not None and number != _AGAIN:
                self._progress.add(number, self._entries[number], payload)
            self._tally.count(max(0, payload))
        self._acknowledged.set()
        if self._progress is not None:
            if self._protocol.state is TransferState.SENT and not self._in_flight:
                self._progress.end()  # before the verdict on the last file
            else:
                self._progress.show()

    def _report_verdict(self, number: int, status: str) -> None:
        sent = self._without_verdict.pop(number, _SentFile())
        self._news.set()  # it may be the file of which frames are sent
        if sent.failure:
            status, reason, fault = "failed", sent.failure, SourceError.exit_status
        elif status == "mismatch":
            reason, fault = "the receiver received different bytes", IntegrityError.exit_status
        elif status == "ok":
            reason, fault = "", 0
        else:
            reason, fault = _REFUSED, DestinationError.exit_status
        entry = self._entries[number]
        if status == "ok" and sent.kept:
            self._tally.report(skipped("sender", entry, "same"), number)
            return
        self._tally.report(
            FileFinished(
                entry.path, status, sent.size, sha256=sent.sha256, reason=reason, exit=fault
            ),
            number,
        )

    # --- what is sent

    async def _pump(self) -> None:
        """Send every accepted file, block after block, and then what is asked for again."""
        accepted = await self._accepted
        blocks = self._source.blocks(accepted.skip, accepted.have, self._due, accepted.digests)
        portions: asyncio.Queue[list[Block]] = asyncio.Queue(_PORTIONS_AHEAD)
        # The control channel reports a lost connection, and may hold the reason.
        with contextlib.suppress(ConnectionFailed):
            await race(self._send_portions(portions), self._read_ahead(blocks, portions))

    def _due(self) -> int:
        """Return the number of the file to be read; that of no entry if the run has ended."""
        return len(self._entries) if self._closed else self._protocol.due

    async def _read_ahead(
        self, blocks: Iterator[Block], portions: asyncio.Queue[list[Block]]
    ) -> None:
        usual = block_size(self._settings.block_size)
        size = usual // _FIRST
        while True:
            self._reading = True
            portion = await self._worker.run(partial(take, blocks, size, self._entries))
            self._reading = False
            await portions.put(portion)
            self._news.set()
            if not portion:
                return
            size = usual

    async def _send_portions(self, portions: asyncio.Queue[list[Block]]) -> None:
        while True:
            # The next block of a stream that is refused is not awaited: it may take hours.
            await self._news.wait()
            self._news.clear()
            await self._give_up()
            await self._send_again()
            while not portions.empty():
                await self._send_portion(portions.get_nowait())
                await self._send_again()

    async def _send_again(self) -> None:
        """Send the ranges that the receiver asks for again, each as far as it is of use."""
        protocol = self._protocol
        while (asked := protocol.asked) is not None:
            if self._rereader is None:
                self._rereader = self._make_worker("dcsend-read-again")
            pieces = self._source.again(*asked)
            due: Range | None = asked
            while due is not None and (due.number, due.end) == (asked.number, asked.end):
                self._rereading = True
                piece = await self._rereader.run(partial(next_again, pieces))
                self._rereading = False
                for part in split(piece, self._most(), protocol.max_hole):
                    await self._put_again(part)
                due = protocol.asked
            await self._rereader.run(pieces.close)

    async def _put_again(self, part: memoryview | int) -> None:
        cost = hole_cost(part) if isinstance(part, int) else FRAME_HEADER + len(part)
        await self._room(cost, FRAME_HEADER if isinstance(part, int) else cost)
        size = part if isinstance(part, int) else len(part)
        await self._put(self._protocol.again(part), (_AGAIN, size), cost=cost)

    async def _send_portion(self, portion: Sequence[Block]) -> None:
        due = [block for block in portion if block.number >= self._protocol.due]
        for blocks in grouped(due, self._entries, self._most()):
            if len(blocks) == 1:
                await self._send_block(blocks[0])
            else:
                await self._send_batch(blocks)

    async def _give_up(self) -> bool:
        """Abort the file whose frames are due if the receiver has refused it; return whether."""
        number = self._protocol.due
        if not self._protocol.is_refused(number):
            return False
        await self._room(_SHORT)
        await self._put(self._protocol.abort(number, _REFUSED), (number, 0))
        return True

    async def _send_batch(self, blocks: Sequence[Block]) -> None:
        """Send whole files in one BATCH frame."""
        numbers = [block.number for block in blocks]
        contents = [block.payload for block in blocks]
        digests = [block.digest or b"" for block in blocks]
        for number, content, digest in zip(numbers, contents, digests, strict=True):
            self._without_verdict[number] = _SentFile(len(content), digest.hex())
        await self._room(FRAME_HEADER + sum(map(len, contents)) + DIGEST * len(blocks))
        frame = self._protocol.batch(numbers, contents, digests)
        await self._put(frame, *((block.number, len(block.payload)) for block in blocks))

    async def _send_block(self, block: Block) -> None:
        """Send a block in as many frames as it takes."""
        number = block.number
        protocol = self._protocol
        if number < protocol.due or await self._give_up():
            return
        if block.restart:
            if not block.failure:
                self._tally.emit(restarted(self._entries[number], whole=number in self._whole))
            self._whole.discard(number)
            await self._room(_SHORT)
            # Counted as negative content: what has arrived of the file is of no use.
            position = protocol.position
            await self._put(protocol.restart(number), (number, -position))
            if not block.failure:
                return
        if block.failure:
            self._without_verdict[number] = _SentFile(failure=block.failure)
            await self._room(_SHORT)
            await self._put(protocol.abort(number, block.failure), (number, 0))
            return
        for offset, length in holes(block, protocol.max_hole):
            cost = hole_cost(length)
            await self._room(cost, FRAME_HEADER)
            await self._put(protocol.hole(number, offset, length), (number, length), cost=cost)
        payload = memoryview(block.payload)
        start = 0
        is_due = bool(payload) or block.digest is not None
        while is_due:
            # A peer that takes only short frames gets short frames, and so does a slow limit.
            part = payload[start : start + self._most() - DIGEST]
            offset = block.offset + start
            start += len(part)
            is_due = start < len(payload)
            digest = None if is_due else block.digest
            if digest is not None:
                self._without_verdict[number] = _SentFile(
                    offset + len(part), digest.hex(), kept=number in self._whole
                )
            await self._room(len(part) + FRAME_HEADER + DIGEST)
            if protocol.is_refused(number):
                await self._give_up()
                return
            await self._put(protocol.data(number, offset, part, digest), (number, len(part)))

    def _most(self) -> int:
        """Return the longest payload of a frame, the digest included, in bytes."""
        return min(self._protocol.max_payload, self._limit.piece + DIGEST)

    async def _room(self, cost: int, counted: int | None = None) -> None:
        """Wait until the window has *cost* bytes free, and there is room for events.

        And until the limit permits *counted* bytes; None for *cost*.
        """
        await self._conversation.room()
        while self._protocol.sendable() < cost:
            self._acknowledged.clear()
            await self._acknowledged.wait()
        await self._limit.take(cost if counted is None else counted)

    async def _put(self, frame: bytes, *parts: tuple[int, int], cost: int | None = None) -> None:
        """Send a frame.

        Args:
            frame: for the data channel.
            parts: number of each of its files, and the bytes of content that it has of it.
            cost: bytes of the window that it takes; None for its length.
        """
        was_idle = not self._in_flight
        self._in_flight.add(len(frame) if cost is None else cost, parts)
        if was_idle:
            self._expect()
        data = self._channels["data"]
        while not data.send(frame):
            await data.writable()
