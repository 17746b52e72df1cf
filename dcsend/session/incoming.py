"""The receiving half of a transfer.

    `data` channel ─ frames ─► pending content ─ portion ─► disk thread ─► verdicts, acks
    `control` channel ─ manifest ─► plan ─► person ─► accept or decline

The window bounds what is pending: nothing is acknowledged before it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from dcsend.content import Abort, Content, Data, End, Hole, Repair, Restart
from dcsend.entry import Existing, Kind
from dcsend.errors import ConnectionFailed, DcsendError, DestinationError
from dcsend.files.sink import Outcome, Plan, Sink
from dcsend.listing import Entries
from dcsend.protocol import events as protocol_events
from dcsend.protocol.limits import FRAME_HEADER, MAX_ALL_DIGESTS
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.side import TransferState
from dcsend.session.agreement import Decide, agree
from dcsend.session.checks import show_checks
from dcsend.session.control import ConnectedPeer, Control
from dcsend.session.conversation import race
from dcsend.session.destination import without_folder
from dcsend.session.dry_run import DryRun
from dcsend.session.events import Damaged, ManifestKnown, TextExchanged, total_size
from dcsend.session.limiting import RateLimit, Unacknowledged
from dcsend.session.outcome import Tally
from dcsend.session.portions import DiskJobs, Pending
from dcsend.session.progress import Progress
from dcsend.session.skipping import restarted, skipped, written
from dcsend.session.turns import in_turns
from dcsend.session.worker import Worker
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.session.admission import Admission

__all__ = ["Incoming"]

PORTION_SIZE: Final = 1024 * 1024
"""Bytes of frames in one portion: an eighth of the window, so that acknowledgements keep coming
where the disk is slow. Where it is fast a portion is a frame or two."""
CLOSING_SECONDS: Final = 0.7
"For the disk thread to finish its job at the end; a pipe that is not read may block it longer."
LAST_STEPS: Final = 0.2
"""Seconds in which an interrupted receiver that has all frames can still write them and send
Complete; then it sends Cancel. A run ends within a second of its signal."""
_STEP: Final = 0.02
"Seconds between two looks at a check."
_CONTENT: Final = (Kind.FILE, Kind.TEXT)
"Kinds of entries that have frames and always a verdict."


class Incoming:
    """Receives one manifest over one connection into one sink.

    Args:
        peer: the sender.
        sink: for the policy of the settings.
        settings: of the run.
        tally: counts, and gets the events.
        decide: returns whether to accept.
        limit: of the rate.
        anew: makes a sink for a policy that *decide* has chosen; None: the policy is fixed.
        agent: name and version of this program.
        accepted: called on acceptance.
        admission: limits of a receiver that stays; None for another one.
        closing: seconds for the disk thread to finish its job at the end.
        last_steps: see `LAST_STEPS`.
        portion_size: bytes of frames in one job of the disk thread, or one frame.
        worker: makes the disk thread.
    """

    def __init__(
        self,
        peer: ConnectedPeer,
        sink: Sink,
        settings: Settings,
        tally: Tally,
        decide: Decide,
        limit: RateLimit | None = None,
        *,
        anew: Callable[[Existing], Sink] | None = None,
        agent: str,
        accepted: Callable[[], None] = lambda: None,
        admission: Admission | None = None,
        closing: float = CLOSING_SECONDS,
        last_steps: float = LAST_STEPS,
        portion_size: int = PORTION_SIZE,
        worker: Callable[[str], Worker] = Worker,
    ) -> None:
        self.answered = False
        "Whether a person has accepted or declined the offer."
        self._protocol = Receiver(
            agent=agent, name=settings.name, features=peer.features, window=settings.window
        )
        self.control: Final = Control(peer, self._protocol, tally, without_folder(settings))
        self._peer = peer
        self._sink = sink
        self._settings = settings
        self._tally = tally
        self._decide = decide
        self._limit = limit or RateLimit()
        self._unacknowledged = Unacknowledged()
        self._anew = anew
        self._on_accepted = accepted
        self._admission = admission
        self._closing = closing
        self._last_steps = last_steps
        self._jobs = DiskJobs(self._count, worker)
        self._entries = Entries()
        loop = asyncio.get_running_loop()
        self._manifest: asyncio.Future[ManifestKnown] = loop.create_future()
        self._pending = Pending(portion_size)
        self._left = 0
        "Files whose last frame has not been written; some may have failed before."
        self._have: Mapping[int, int] = {}
        "Bytes that are there of some files, by number."
        self._progress: Progress | None = None
        self._waits_for_room = False
        "Whether the reader of events is awaited."
        self._verifies = False
        "Whether the check of what an earlier run has received is awaited."

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
                await self._jobs.finish(self._sink.close)
        if self._admission is not None:
            self._admission.end()
        self._tally.keep(self._sink.kept)
        outcomes = self._jobs.take_outcomes()
        if self._progress is not None and outcomes:
            self._progress.end()
        for outcome in outcomes:
            self._report(outcome)  # it is there, although the sender has no verdict
        self._jobs.worker.close()

    @property
    def _awaits_frames(self) -> bool:
        return self._protocol.state is TransferState.RECEIVING or self._protocol.awaits_again

    @property
    def _is_repaired(self) -> bool:
        """Whether frames with changed bytes will come after those of all files, or are pending."""
        return self._protocol.awaits_again or bool(self._pending)

    @property
    def _is_busy(self) -> bool:
        """Whether the disk, a pipe, a check, or room for events is awaited."""
        return self._jobs.is_running or self._waits_for_room or self._verifies

    # --- the offer

    def _expect(self) -> None:
        """Set or lift the deadline of the sender's next message.

        The beginning of a manifest has none: a person may choose files there.
        """
        state = self._protocol.state
        if state is TransferState.WAITING and self._protocol.offered:
            self._peer.conversation.expect("did not complete its list of files")
        elif self._awaits_frames and not self._is_busy and not self._pending:
            self._peer.conversation.expect("sent nothing for too long")
        else:
            self._peer.conversation.lift()

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
            await self._move()
            self._sink, plan = await agree(
                known,
                self._sink,
                self._anew,
                decide=self._decide,
                settings=self._settings,
                run=self._jobs.worker.run,
                emit=self._tally.emit,
                admission=self._admission,
            )
        except DcsendError as exc:
            self.answered = not isinstance(exc, DestinationError)
            is_last = self._peer.is_last
            reason = "declined" if self.answered else "error" if is_last else "destination"
            if isinstance(exc, DryRun):
                reason = "dry-run"
            self._protocol.decline(reason, self.control.explain(exc))
            await self.control.flush()
            raise
        self.answered = True
        self._on_accepted()
        self._peer.conversation.accepted()
        await self._accept(plan)

    async def _move(self) -> None:
        """Use the folder of the sender, if it has one: its name is known now."""
        if self._admission is not None and self._admission.moves and self._anew is not None:
            await self._jobs.worker.run(self._sink.close)
            self._sink = await self._jobs.worker.run(partial(self._anew, self._settings.existing))

    async def _accept(self, plan: Plan) -> None:
        self._tally.begin(asyncio.get_running_loop().time())
        total = total_size(self._entries, plan.skip)
        self._have = plan.have
        self._progress = Progress(
            total, self._tally.emit, self._settings.progress_interval, self._have
        )
        for number in range(len(self._entries)):
            if self._entries.kind(number) in _CONTENT and number not in plan.skip:
                self._left += 1
        async for number, reason in in_turns(plan.skip.items()):
            await self._peer.conversation.room()
            entry = self._entries[number]
            if entry.kind is not Kind.DIRECTORY or reason not in ("exists", "declined"):
                file = skipped("receiver", entry, reason)
                self._tally.report(file, number, lasting=reason == "unsafe")
        skip = dict(plan.skip)
        if not self._left:
            # Accept completes the transfer, so what has no content must be made before it.
            await self._jobs.run(self._sink.finish)
            for outcome in self._jobs.take_outcomes():
                self._report(outcome)
                if outcome.status != "ok":
                    skip[outcome.number] = "failed"
        self._resize()
        self._protocol.accept(skip, plan.have, plan.digests(MAX_ALL_DIGESTS))
        await self.control.flush()

    # --- the files

    async def _receive(self) -> None:
        """Agree, then take frames and write them, both as fast as they can."""
        interval = self._settings.progress_interval
        checks = partial(show_checks, lambda: self._sink.checking, self._tally.emit, interval)
        await race(self._agree(), checks())
        await race(
            self._finish(),
            self._take_frames(),
            self._release(),
            self._follow_limit(),
            self.control.reassure(lambda: self._is_busy),
            checks(),
        )
        self._peer.conversation.lift()
        await self._peer.conversation.wait(self._settings.deadlines.bye)
        raise ConnectionFailed("the other side did not confirm the end of the transfer")

    async def _take_frames(self) -> None:
        data = self._peer.connection.channels["data"]
        with contextlib.suppress(ConnectionFailed):  # the control channel may hold the reason
            while True:
                message = await data.receive()
                self._peer.conversation.note_arrival()
                frames = self._protocol.receive_frame(message)
                if frames:  # otherwise the control channel has the reason
                    self._pending.add(frames)

    async def _finish(self) -> None:
        """Write everything; go on for a moment after an interruption if all frames are here."""
        writing = asyncio.create_task(self._write())
        try:
            await asyncio.wait({writing})
        finally:
            try:
                if self._protocol.state is TransferState.RECEIVED:
                    await asyncio.wait({writing}, timeout=self._last_steps)
            finally:  # also if that is interrupted, too
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
        await writing

    async def _write(self) -> None:
        """Write what is pending, portion after portion, until every file has ended."""
        while self._left or self._is_repaired:
            self._expect()
            portion = await self._pending.take()
            self._peer.conversation.lift()
            more = bool(self._pending)
            ended = len({one.number for one in portion if isinstance(one, End | Abort)})
            await self._jobs.run(partial(self._apply, portion, more=more), portion)
            self._left -= ended
            await self._ask_again()
            if not self._left:
                await self._verify()
                if not self._is_repaired:
                    await self._jobs.run(self._sink.finish)
            await self._send_verdicts(portion)
        self._tally.end()

    def _apply(self, portion: Sequence[Content], *, more: bool) -> list[Outcome]:
        """Write a portion in the disk thread, if the limits of a receiver that stays permit it."""
        if self._admission is not None:
            self._admission.admit(portion)
        return self._sink.apply(portion, more=more)

    async def _verify(self) -> None:
        """Wait until what an earlier run has received is verified, or until bytes of it arrive."""
        while self._sink.is_checking and not self._pending:
            self._verifies = True
            await asyncio.sleep(_STEP)
        self._verifies = False
        if self._sink.checking is not None:
            await self._jobs.run(partial(self._sink.apply, ()))
            await self._ask_again()

    async def _ask_again(self) -> None:
        """Ask for bytes that were changed on the disk; fail the files that can't get them."""
        refused: list[Content] = []
        for number, start, end in self._sink.take_damage():
            if self._protocol.again(number, start, end):
                self._tally.emit(Damaged(self._entries[number].path, start, end))
            else:
                refused.append(Repair(number, start, 0))
        if refused:
            await self._jobs.run(partial(self._sink.apply, refused, more=True))
        await self.control.flush()

    def _count(self, portion: Sequence[Content]) -> None:
        """Count what a portion has written."""
        for one in portion:
            entry = self._entries[one.number]
            if isinstance(one, Restart):
                self._tally.emit(restarted(entry, whole=self._have.get(one.number) == entry.size))
                self._add(one.number, -one.offset)
                continue
            if isinstance(one, Repair):
                self._tally.count(one.length)
                continue
            if isinstance(one, Data | End):
                size = len(one.payload)
            else:
                size = one.length if isinstance(one, Hole) else 0
            self._add(one.number, size)
            self._tally.count(size)

    def _add(self, number: int, size: int) -> None:
        if self._progress is not None:
            self._progress.add(number, self._entries[number], size)

    async def _send_verdicts(self, portion: Sequence[Content]) -> None:
        """Send and report the verdicts, and acknowledge *portion*, once events have room."""
        self._waits_for_room = True
        await self._peer.conversation.room()
        self._waits_for_room = False
        if self._progress is not None and self._left:
            self._progress.show()
        elif self._progress is not None:
            self._progress.end()
        for outcome in self._jobs.take_outcomes():
            self._report(outcome, send=True)
        cost = sum(one.cost for one in portion)
        if self._limit.rate is not None:
            self._unacknowledged.add(cost, sum(map(_counted, portion)))
            self._withhold()
        # Last: it may complete the transfer.
        self._protocol.written(cost)
        await self.control.flush()

    def _resize(self) -> None:
        divides = self._protocol.follows_window
        self._protocol.resize(self._limit.window(self._settings.window, divides=divides))

    def _withhold(self) -> None:
        """Withhold from Ack what the limit does not permit yet."""
        if self._limit.rate is None:
            self._unacknowledged.shrink(0)
        elif self._protocol.follows_window:
            # Sent within a larger window: without it, the sender would wait for a long time.
            window = self._limit.window(self._settings.window, divides=True)
            self._unacknowledged.shrink(window)
        self._protocol.withhold(self._unacknowledged.total)

    async def _follow_limit(self) -> None:
        """Grant another window whenever the limit is changed."""
        changed = asyncio.Event()
        with self._limit.watched(changed.set):
            while True:
                await changed.wait()
                changed.clear()
                self._resize()
                self._withhold()
                await self.control.flush()

    async def _release(self) -> None:
        """Acknowledge what is written, as fast as the limit permits."""
        written = self._unacknowledged
        while True:
            await written.added.wait()
            counted = written.counted(self._limit.piece)
            await self._limit.take(counted)
            written.remove(counted)
            self._withhold()
            await self.control.flush()

    def _report(self, outcome: Outcome, *, send: bool = False) -> None:
        """Report a verdict; folders and links that are made have none."""
        entry, number = self._entries[outcome.number], outcome.number
        if send and outcome.text is not None and outcome.status == "ok":
            text = outcome.text.decode("utf-8", "replace")
            self._tally.emit(TextExchanged(text, sent=False, kind="snippet"))
        if entry.kind in _CONTENT or outcome.status != "ok":
            file = written(entry, outcome)
            if send:
                self._protocol.verdict(number, "ok" if outcome.kept else file.status)
            self._tally.report(file, number)


def _counted(one: Content) -> int:
    """Return the bytes of a frame that count for a limit of the rate: zeros are not sent."""
    is_hole = isinstance(one, Hole) or (isinstance(one, Repair) and not one.payload)
    return min(one.cost, FRAME_HEADER) if is_hole else one.cost
