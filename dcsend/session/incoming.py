"""The receiving half of a transfer.

    `data` channel ─ frames ─► pending content ─ portion ─► disk thread ─► verdicts, acks
    `control` channel ─ manifest ─► plan ─► person ─► accept or decline

The window bounds what is pending: nothing is acknowledged before it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from dcsend.content import Abort, Content, Data, End, Hole
from dcsend.entry import Existing, Kind
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IntegrityError,
    SourceError,
)
from dcsend.files.sink import Outcome, Plan, Sink
from dcsend.listing import Entries
from dcsend.printable import printable
from dcsend.protocol import events as protocol_events
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.side import TransferState
from dcsend.session.agreement import Decide, agree
from dcsend.session.control import ConnectedPeer, Control
from dcsend.session.conversation import race
from dcsend.session.events import FileFinished, ManifestKnown, TextExchanged, total_size
from dcsend.session.outcome import Tally
from dcsend.session.progress import Progress
from dcsend.session.skipping import skipped
from dcsend.session.turns import in_turns
from dcsend.session.worker import Worker
from dcsend.settings import Settings

__all__ = ["Incoming"]

PORTION_SIZE: Final = 1024 * 1024
"""Bytes of frames in one portion: an eighth of the window, so that acknowledgements keep coming
where the disk is slow. Where it is fast a portion is a frame or two."""
CLOSING_SECONDS: Final = 0.7
"For the disk thread to finish its job at the end; a pipe that is not read may block it longer."
LAST_STEPS: Final = 0.2
"""Seconds in which an interrupted receiver that has all frames can still write them and send
Complete; then it sends Cancel. A run ends within a second of its signal."""
_CONTENT: Final = (Kind.FILE, Kind.TEXT)
"Kinds of entries that have frames and always a verdict."
_FAULTS = {
    "mismatch": IntegrityError.exit_status,
    "aborted": SourceError.exit_status,
    "failed": DestinationError.exit_status,
}


class Incoming:
    """Receives one manifest over one connection into one sink.

    Args:
        peer: the sender.
        sink: for the policy of the settings.
        settings: of the run.
        tally: counts, and gets the events.
        decide: returns whether to accept.
        anew: makes a sink for a policy that *decide* has chosen; None: the policy is fixed.
        agent: name and version of this program.
        accepted: called on acceptance.
        closing: seconds for the disk thread to finish its job at the end.
        last_steps: see `LAST_STEPS`.
        portion_size: bytes of frames in one job of the disk thread, or one frame.
    """

    def __init__(
        self,
        peer: ConnectedPeer,
        sink: Sink,
        settings: Settings,
        tally: Tally,
        decide: Decide,
        *,
        anew: Callable[[Existing], Sink] | None = None,
        agent: str,
        accepted: Callable[[], None] = lambda: None,
        closing: float = CLOSING_SECONDS,
        last_steps: float = LAST_STEPS,
        portion_size: int = PORTION_SIZE,
    ) -> None:
        self.answered = False
        "Whether a person has accepted or declined the offer."
        self._protocol = Receiver(agent=agent, name=settings.name, window=settings.window)
        self.control: Final = Control(peer, self._protocol, tally, self._for_peer)
        self._peer = peer
        self._conversation = peer.conversation
        self._data = peer.connection.channels["data"]
        self._sink = sink
        self._settings = settings
        self._tally = tally
        self._decide = decide
        self._anew = anew
        self._on_accepted = accepted
        self._closing = closing
        self._last_steps = last_steps
        self._portion_size = portion_size
        root = settings.destination
        if root is not None and settings.names_file:
            root = root.parent
        # Now: later the working folder may be gone. Not "/", which is in every path.
        self._where = "" if root is None else printable(os.path.abspath(root)).rstrip(os.sep)
        self._worker = Worker("dcsend-write")
        self._job: asyncio.Task[list[Outcome]] | None = None
        "The job of the disk thread whose outcomes have not been taken."
        self._portion_of_job: Sequence[Content] = ()
        self._outcomes: list[Outcome] = []
        "Outcomes that have not been reported."
        self._loop = asyncio.get_running_loop()
        self._entries = Entries()
        self._manifest: asyncio.Future[ManifestKnown] = self._loop.create_future()
        self._pending: deque[Content] = deque()
        self._arrived = asyncio.Event()
        self._left = 0
        "Files whose last frame has not been written; some may have failed before."
        self._progress: Progress | None = None
        self._busy = False
        "Whether the disk, a pipe, or room for events is awaited."

    async def run(self) -> None:
        """Receive everything; return when the sender has sent Bye.

        Raises:
            DestinationError: it can't be saved.
            IntegrityError: a frame was damaged on the way.
            PeerRefused: the sender cancelled, or the offer was declined here.
            ConnectionFailed: the connection was lost.
            RemoteProtocolError: the sender broke a rule.
        """
        try:
            await race(self.control.follow(self._handle, self._expect), self._receive())
        except ConnectionFailed:
            if not self._tally.complete:
                raise

    async def close(self) -> None:
        """Close parts and journals behind the job of the disk thread, and report what it wrote."""
        if self._progress is not None:
            self._progress.close()
        with contextlib.suppress(TimeoutError, DcsendError):
            async with asyncio.timeout(self._closing):
                if self._job is not None:
                    with contextlib.suppress(Exception):  # `run` has raised it
                        await self._take(self._job)
                await self._work(self._sink.close)
        self._tally.keep(self._sink.kept)
        if self._progress is not None and self._outcomes:
            self._progress.end()
        for outcome in self._outcomes:
            self._report(outcome)  # it is there, although the sender has no verdict
        self._worker.close()

    def _for_peer(self, error: BaseException) -> str:
        """Return the text of *error* without the path of the chosen folder."""
        if not self._where:
            return str(error)
        # A path inside becomes a relative path, the folder itself two words.
        return str(error).replace(f"{self._where}{os.sep}", "").replace(self._where, "the folder")

    # --- the offer

    def _expect(self) -> None:
        """Set or lift the deadline of the sender's next message.

        The beginning of a manifest has none: a person may choose files there.
        """
        state = self._protocol.state
        if state is TransferState.WAITING and self._protocol.offered:
            self._conversation.expect("did not complete its list of files")
        elif state is TransferState.RECEIVING and not self._busy and not self._pending:
            self._conversation.expect("sent nothing for too long")
        else:
            self._conversation.lift()

    async def _handle(self, event: protocol_events.Event) -> bool:
        """Process one event; return whether it was the last."""
        if isinstance(event, protocol_events.ManifestReceived):
            self._entries, left_out = event.entries, event.left_out
            self._tally.expect(self._entries, left_out, unheard=left_out.unreadable)
            self._manifest.set_result(ManifestKnown(self._entries, left_out))
        return isinstance(event, protocol_events.PeerSaidBye)

    async def _agree(self) -> None:
        """Plan, ask, accept; or decline with the reason."""
        known = await self._manifest
        self._tally.emit(known)
        try:
            self._sink, plan = await agree(
                known,
                self._sink,
                self._anew,
                decide=self._decide,
                existing=self._settings.existing,
                run=self._worker.run,
                emit=self._tally.emit,
            )
        except DcsendError as exc:
            self.answered = not isinstance(exc, DestinationError)
            is_last = self._peer.is_last
            reason = "declined" if self.answered else "error" if is_last else "destination"
            self._protocol.decline(reason, self._for_peer(exc))
            await self.control.flush()
            raise
        self.answered = True
        self._on_accepted()
        await self._accept(plan)

    async def _accept(self, plan: Plan) -> None:
        self._tally.begin(self._loop.time())
        total = total_size(self._entries, plan.skip)
        self._progress = Progress(total, self._tally.emit, self._settings.progress_interval)
        for number in range(len(self._entries)):
            if self._entries.kind(number) in _CONTENT and number not in plan.skip:
                self._left += 1
        async for number, reason in in_turns(plan.skip.items()):
            await self._conversation.room()
            self._report_skip(number, reason)
        skip = dict(plan.skip)
        if not self._left:
            # Accept completes the transfer, so what has no content must be made before it.
            await self._work(self._sink.finish)
            for outcome in self._take_outcomes():
                self._report(outcome)
                if outcome.status != "ok":
                    skip[outcome.number] = "failed"
        self._protocol.accept(skip, {})
        await self.control.flush()

    # --- the files

    async def _receive(self) -> None:
        """Agree, then take frames and write them, both as fast as they can."""
        await self._agree()
        await race(self._finish(), self._take_frames(), self.control.reassure(lambda: self._busy))
        self._conversation.lift()
        await asyncio.sleep(self._settings.deadlines.bye)
        raise ConnectionFailed("the other side did not confirm the end of the transfer")

    async def _take_frames(self) -> None:
        with contextlib.suppress(ConnectionFailed):  # the control channel may hold the reason
            while True:
                message = await self._data.receive()
                self._conversation.heard()
                frames = self._protocol.receive_frame(message)
                if not frames:
                    continue  # the transfer has ended; the control channel has the reason
                self._pending += frames
                self._arrived.set()

    async def _finish(self) -> None:
        """Write everything; go on for a moment after an interruption if all frames are here."""
        writing = asyncio.create_task(self._write())
        try:
            await asyncio.wait({writing})
        finally:
            if self._protocol.state is TransferState.RECEIVED:
                await asyncio.wait({writing}, timeout=self._last_steps)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await writing

    async def _write(self) -> None:
        """Write what is pending, portion after portion, until every file has ended."""
        while self._left:
            self._expect()
            await self._arrived.wait()
            self._conversation.lift()
            portion, cost = self._next_portion()
            more = bool(self._pending)
            ended = len({one.number for one in portion if isinstance(one, End | Abort)})
            await self._work(partial(self._sink.apply, portion, more=more), portion)
            self._left -= ended
            if not self._left:
                await self._work(self._sink.finish)
            await self._send_verdicts(cost)
        self._tally.end()

    async def _work(
        self, job: Callable[[], list[Outcome]], portion: Sequence[Content] = ()
    ) -> None:
        """Run *job* in the disk thread, keep its outcomes and count the *portion* that it writes.

        If this is cancelled, `close` does that.
        """
        self._portion_of_job = portion
        self._job = asyncio.create_task(self._worker.run(job))
        self._busy = True
        try:
            await self._take(self._job)
        finally:
            self._busy = False

    async def _take(self, job: asyncio.Task[list[Outcome]]) -> None:
        # Two steps: `+=` would read the list before the wait and could restore reported outcomes.
        outcomes = await asyncio.shield(job)
        self._outcomes += outcomes
        self._job = None
        self._count(self._portion_of_job)

    def _take_outcomes(self) -> list[Outcome]:
        """Return what has not been reported."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _next_portion(self) -> tuple[list[Content], int]:
        """Take what is pending, up to the size of a portion; return it and its cost in bytes."""
        portion: list[Content] = []
        cost = 0
        while self._pending and cost < self._portion_size:
            portion.append(self._pending.popleft())
            cost += portion[-1].cost
        if not self._pending:
            self._arrived.clear()
        return portion, cost

    def _count(self, portion: Sequence[Content]) -> None:
        """Count what a portion has written."""
        for one in portion:
            entry = self._entries[one.number]
            if isinstance(one, Data | End):
                size = len(one.payload)
            else:
                size = one.length if isinstance(one, Hole) else 0
            if self._progress is not None:
                self._progress.add(entry, size)
            self._tally.count(size)

    async def _send_verdicts(self, cost: int) -> None:
        """Send and report the verdicts, and acknowledge *cost* bytes, once events have room."""
        self._busy = True
        try:
            await self._conversation.room()
        finally:
            self._busy = False
        if self._progress is not None and self._left:
            self._progress.show()
        elif self._progress is not None:
            self._progress.end()
        for outcome in self._take_outcomes():
            self._send_verdict(outcome)
            self._report(outcome)
        # Last: it may complete the transfer.
        self._protocol.written(cost)
        await self.control.flush()

    def _send_verdict(self, outcome: Outcome) -> None:
        """Send the verdict."""
        entry = self._entries[outcome.number]
        if outcome.text is not None and outcome.status == "ok":
            text = outcome.text.decode("utf-8", "replace")
            self._tally.emit(TextExchanged(text, sent=False, kind="snippet"))
        if entry.kind in _CONTENT or outcome.status != "ok":
            verdict = "failed" if outcome.status == "aborted" else outcome.status
            self._protocol.verdict(outcome.number, verdict)

    def _report(self, outcome: Outcome) -> None:
        entry = self._entries[outcome.number]
        if entry.kind not in _CONTENT and outcome.status == "ok":
            return  # folders and links have no line each
        file = FileFinished(
            entry.path,
            "failed" if outcome.status == "aborted" else outcome.status,
            outcome.size,
            where=outcome.where,
            sha256=outcome.sha256,
            reason=outcome.error.message if outcome.error else "",
            exit=_FAULTS.get(outcome.status, 0),
        )
        self._tally.report(file, outcome.number)

    def _report_skip(self, number: int, reason: str) -> None:
        entry = self._entries[number]
        if entry.kind is Kind.DIRECTORY and reason == "exists":
            return
        file = skipped("receiver", entry, reason)
        self._tally.report(file, number, lasting=reason == "unsafe")
