"""The receiving half: frames into operations, operations into files, verdicts back.

    `data` channel ─ frames ─► pending operations ─ batch ─► disk thread ─► verdicts, acks
    `control` channel ─ manifest ─► plan ─► person ─► accept or decline

What is pending is bounded by the window: nothing is acknowledged before it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from dcsend.engines.base import Connection
from dcsend.entry import Kind
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IntegrityError,
    PeerRefused,
    SourceError,
)
from dcsend.files.operations import Abort, End, Hole, Operation, Outcome, Plan, Sink, Write
from dcsend.files.syncing import MANY
from dcsend.listing import Entries
from dcsend.printable import printable
from dcsend.protocol import events as protocol_events
from dcsend.protocol.limits import HELLO_SECONDS
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.side import State
from dcsend.session.conversation import Conversation, race, send_all
from dcsend.session.events import (
    Connected,
    Emit,
    FileFinished,
    ManifestKnown,
    TextExchanged,
    Warned,
    total_size,
)
from dcsend.session.outcome import Tally, cancel_reason, peer_cancelled
from dcsend.session.progress import Progress
from dcsend.session.turns import in_turns
from dcsend.session.worker import NEAR, Worker
from dcsend.settings import Settings

__all__ = ["Decide", "Incoming"]

Decide = Callable[[ManifestKnown], Awaitable[bool]]
"Asked once, with everything that is offered; False declines."

_BYE: Final = 15.0
"""Seconds to wait for the sender's bye once every file is safe; then it is done all the same. Long,
since closing takes Complete from a sender that is slow to read it; shorter than the silence after
which a peer is taken for gone."""
_BATCH: Final = 1024 * 1024
"""Bytes of frames in one batch: an eighth of the window, so that acknowledgements keep coming where
the disk is slow. Where it is fast a batch is a frame or two."""
_CLOSING: Final = 0.7
"Seconds for the disk thread to end what it is doing; a pipe that nobody reads may hold it longer."
_CONTENT: Final = (Kind.FILE, Kind.TEXT)
"What has frames, and a verdict whatever becomes of it."
_FAULTS = {
    "mismatch": IntegrityError.exit_status,
    "aborted": SourceError.exit_status,
    "failed": DestinationError.exit_status,
}


class Incoming:
    """Receives one manifest over one connection into one sink."""

    def __init__(
        self,
        connection: Connection,
        sink: Sink,
        settings: Settings,
        emit: Emit,
        decide: Decide,
        *,
        agent: str,
        tally: Tally,
        accepted: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; `conversation` is set by whoever runs it; *accepted* is called on acceptance."""
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
        self._sink = sink
        self._settings = settings
        root = settings.destination
        # Now: later the working folder may be gone. Not "/", which is in every path.
        self._where = "" if root is None else printable(os.path.abspath(root)).rstrip(os.sep)
        self._emit = emit
        self._decide = decide
        self._protocol = Receiver(agent=agent, window=settings.window)
        self._worker = Worker("dcsend-write")
        self._outcomes: list[Outcome] = []
        "What the disk thread has come to and nobody has told yet."
        self._loop = asyncio.get_running_loop()
        self._entries = Entries()
        self._manifest: asyncio.Future[Entries] = self._loop.create_future()
        self._pending: deque[protocol_events.FrameEvent] = deque()
        self._arrived = asyncio.Event()
        self._left = 0
        "Files of which frames are still to come: one may have failed long before its last."
        self._last = -1
        "The number of the file that ends last."
        self._held: list[Outcome] = []
        "What became of the last file, if that is known, and told here, before its last frame."
        self._progress: Progress | None = None
        self._busy = False
        "Whether the disk, or a pipe, is being waited for."
        self._safe = False
        "Every file has its verdict and the sender has been told."

    async def run(self) -> None:
        """Receive everything; return when the sender has said bye.

        Raises:
            DestinationError: the destination can't take it.
            IntegrityError: a frame was damaged on the way.
            PeerRefused: the sender cancelled, or we declined.
            ConnectionFailed: the connection was lost.
            RemoteProtocolError: the sender broke a rule.
        """
        self._protocol.start()
        self.conversation.expect("did not introduce itself in time", HELLO_SECONDS)
        await self._flush()
        try:
            await race(self._listen(), self._receive())
        except ConnectionFailed:
            if not self._safe:
                raise

    async def farewell(self, error: BaseException) -> None:
        """Tell the sender that we stop, and wait until it has hung up; not if it told us."""
        told_us = self._protocol.state in (State.CANCELLED, State.DONE)
        with contextlib.suppress(DcsendError):
            self._protocol.cancel(cancel_reason(error), self._for_peer(error))
        await self._flush()
        while not told_us:
            message = await self._control.receive()
            if self._protocol.state is State.DECLINED and self._protocol.receive(message):
                return  # it said bye

    async def put_away(self) -> None:
        """Close parts and journals behind whatever the disk thread is doing."""
        if self._progress is not None:
            self._progress.close()
        with contextlib.suppress(TimeoutError, DcsendError):
            async with asyncio.timeout(_CLOSING):
                await self._work(self._sink.close)
        for outcome in self._take_outcomes():
            self._report(outcome)  # it is there, although the other side was not told
        self._worker.close()

    def _for_peer(self, error: BaseException) -> str:
        """Say *error* without where on this machine it happened."""
        return str(error).replace(self._where, "the folder") if self._where else str(error)

    async def _flush(self) -> None:
        await send_all(self._control, self._protocol.messages_to_send())

    # What is offered

    async def _listen(self) -> None:
        """Follow the control channel to the end."""
        while True:
            message = await self._control.receive()
            self.conversation.heard()
            before = self._protocol.state
            for event in self._protocol.receive(message):
                if self._handle(event):
                    return
            if self._protocol.state is not State.RECEIVING:
                self._expect_manifest(before)
            elif not self._busy and not self._pending:
                self._expect_frame()
            await self._flush()

    def _expect_manifest(self, before: State) -> None:
        """Give the sender time for the rest of a manifest; its beginning may wait for a person."""
        if before is self._protocol.state is State.WAITING:
            self.conversation.expect("did not complete its list of files")
        else:
            self.conversation.lift()

    def _expect_frame(self) -> None:
        self.conversation.expect("sent nothing for too long")

    def _handle(self, event: protocol_events.Event) -> bool:
        """Act on one event; True when it was the last."""
        match event:
            case protocol_events.PeerIntroduced():
                self.conversation.introduced(event.agent)
                self.introduced = True
                route = self._connection.route
                self._emit(
                    Connected(route.path.value, route.family, route.remote, event.agent, route.rtt)
                )
            case protocol_events.ManifestReceived():
                self._manifest.set_result(event.entries)
            case protocol_events.Cancelled():
                raise peer_cancelled(event.reason, event.message)
            case protocol_events.PeerSaidBye():
                return True
            case _:
                pass
        return False

    async def _agree(self) -> None:
        """Plan, ask, accept; or decline with the reason."""
        self._entries = self.tally.files.entries = await self._manifest
        known = ManifestKnown(self._entries)
        self._emit(known)
        try:
            plan = await self._worker.run(lambda: self._sink.plan(self._entries))
            for note in plan.notes:
                self._emit(Warned("refused", note))
            if not await self._decide(known):
                raise PeerRefused("you declined")
        except DcsendError as exc:
            self.answered = True
            reason = "destination" if isinstance(exc, DestinationError) else "declined"
            self._protocol.decline(reason, self._for_peer(exc))
            await self._flush()
            raise
        self.answered = True
        self._on_accepted()
        await self._accept(plan)
        skip = dict(plan.skip)
        if not self._left:
            # The answer completes the transfer, so what has no bytes must be there before it.
            await self._work(self._sink.finish)
            for outcome in self._take_outcomes():
                self._report(outcome)
                if outcome.status != "ok":
                    skip[outcome.number] = "unsupported"
        self._protocol.accept(skip, {})
        await self._flush()

    async def _accept(self, plan: Plan) -> None:
        self.tally.started = self._loop.time()
        total = total_size(self._entries, plan.skip)
        self._progress = Progress(total, self._emit, self._settings.progress_interval)
        for number in range(len(self._entries)):
            if self._entries.kind(number) in _CONTENT and number not in plan.skip:
                self._left += 1
                self._last = number
        async for number, reason in in_turns(plan.skip.items()):
            self._report_skip(number, reason)

    # What arrives

    async def _receive(self) -> None:
        """Agree, then take frames and write them, each as fast as it can."""
        await self._agree()
        await race(
            self._write(),
            self._take_frames(),
            self.conversation.reassure(lambda: self._busy, self._tell_working),
        )
        self.conversation.lift()
        await asyncio.sleep(_BYE)
        raise ConnectionFailed("the other side did not say bye")

    async def _take_frames(self) -> None:
        with contextlib.suppress(ConnectionFailed):  # the control channel may hold the reason
            while True:
                message = await self._data.receive()
                self.conversation.heard()
                frames = self._protocol.receive_frame(message)
                if not frames:
                    continue  # it is over; the control channel tells why
                self._pending += frames
                self._arrived.set()

    async def _write(self) -> None:
        """Hand over what is pending, batch after batch, until every file has ended."""
        while self._left:
            self._expect_frame()
            await self._arrived.wait()
            self.conversation.lift()
            batch, cost = self._next_batch()
            more = bool(self._pending)
            ended = len({one.number for one in batch if isinstance(one, End | Abort)})
            apply = partial(self._sink.apply, batch, more=more)
            await self._work(apply, near=_is_small(batch))
            self._count(batch)
            self._left -= ended
            if not self._left:
                await self._work(self._sink.finish)
            await self._tell(self._hold(self._take_outcomes()), cost)
        self._safe = True

    async def _tell_working(self) -> None:
        self._protocol.working()
        await self._flush()

    async def _work(self, call: Callable[[], list[Outcome]], *, near: bool = False) -> None:
        """Let the disk thread do something; what comes of it is kept if we are cancelled."""

        def job() -> None:
            self._outcomes += call()

        self._busy = True
        try:
            await self._worker.run(job, near=near)
        finally:
            self._busy = False

    def _take_outcomes(self) -> list[Outcome]:
        """Return what has not been told, folders and links first.

        The last verdict over a file makes the transfer complete.
        """
        outcomes, self._outcomes = self._outcomes, []
        return sorted(outcomes, key=lambda one: self._entries.kind(one.number) in _CONTENT)

    def _next_batch(self) -> tuple[list[Operation], int]:
        """Take what is pending, as far as it goes into a batch, and its cost."""
        batch: list[Operation] = []
        cost = 0
        while self._pending and cost < _BATCH:
            frame = self._pending.popleft()
            batch.append(_operation(frame))
            cost += frame.cost
        if not self._pending:
            self._arrived.clear()
        return batch, cost

    def _count(self, batch: Sequence[Operation]) -> None:
        """Count what a batch has written."""
        for operation in batch:
            entry = self._entries[operation.number]
            if isinstance(operation, Write | End):
                size = len(operation.payload)
            else:
                size = operation.length if isinstance(operation, Hole) else 0
            if self._progress is not None:
                self._progress.add(entry, size)
            self.tally.bytes += size

    async def _tell(self, outcomes: Sequence[Outcome], cost: int) -> None:
        """Acknowledge, judge, report."""
        self._protocol.written(cost)
        for outcome in outcomes:
            self._judge(outcome)
            self._report(outcome)
        if not self._left:
            for outcome in self._held:
                self._judge(outcome)
        await self._flush()
        if self._progress is not None and self._left:
            self._progress.show()
        elif self._progress is not None:
            self._progress.end()

    def _judge(self, outcome: Outcome) -> None:
        entry = self._entries[outcome.number]
        if outcome.text is not None and outcome.status == "ok":
            text = outcome.text.decode("utf-8", "replace")
            self._emit(TextExchanged(text, sent=False, kind="snippet"))
        if entry.kind in _CONTENT or outcome.status != "ok":
            verdict = "failed" if outcome.status == "aborted" else outcome.status
            self._protocol.verdict(outcome.number, verdict)

    def _hold(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return all but the last file's, told here at once, to the sender after its last frame."""
        if not self._left:
            return list(outcomes)
        early = [outcome for outcome in outcomes if outcome.number == self._last]
        for outcome in early:
            self._report(outcome)
        self._held += early
        return [outcome for outcome in outcomes if outcome.number != self._last]

    def _report(self, outcome: Outcome) -> None:
        entry = self._entries[outcome.number]
        if entry.kind not in _CONTENT and outcome.status == "ok":
            return  # a folder or a link; nobody wants a line for each
        reason = outcome.error.message if outcome.error else ""
        file = FileFinished(
            entry.path,
            "failed" if outcome.status == "aborted" else outcome.status,
            outcome.size,
            where=outcome.where,
            sha256=outcome.sha256,
            reason=reason,
            exit=_FAULTS.get(outcome.status, 0),
        )
        self.tally.files.add(file, outcome.number)
        self._emit(file)

    def _report_skip(self, number: int, reason: str) -> None:
        entry = self._entries[number]
        if entry.kind is Kind.DIRECTORY and reason == "exists":
            return
        skipped = reason == "exists"
        file = FileFinished(
            entry.path,
            "skipped" if skipped else "failed",
            0,
            reason="there is a file of this name" if skipped else f"refused: {reason}",
            exit=0 if skipped else DestinationError.exit_status,
        )
        self.tally.files.add(file, number)
        self._emit(file)


def _is_small(batch: Sequence[Operation]) -> bool:
    """Tell whether a batch is of many small files, and of nothing else."""
    return len(batch) >= MANY and all(isinstance(one, End) and one.size <= NEAR for one in batch)


def _operation(frame: protocol_events.FrameEvent) -> Operation:
    """Return what a frame asks of the disk."""
    match frame:
        case protocol_events.DataReceived():
            return Write(frame.number, frame.offset, frame.payload)
        case protocol_events.HoleReceived():
            return Hole(frame.number, frame.offset, frame.length)
        case protocol_events.FileEnded():
            return End(frame.number, frame.size, frame.digest, frame.payload)
        case protocol_events.FileAborted():
            return Abort(frame.number, frame.reason)
