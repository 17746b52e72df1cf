"""The receiver's side of a transfer, sans-I/O.

    NEW --start--> GREETING --Hello--> WAITING --Manifest--> DECIDING --accept--> RECEIVING
                                                                 |                    |
                                                              decline              frames
                                                                 v                    v
                          DONE <--Bye-- COMPLETED <--verdicts----|---------------- RECEIVED
                            ^------------------Bye---------- DECLINED

Feed `receive` and `receive_frame`, send what `messages_to_send` gives, report with
`written` and `verdict`. Imports no engine, no files, no asyncio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import IntegrityError, LocalProtocolError, RemoteProtocolError
from dcsend.listing import Entries
from dcsend.protocol import limits
from dcsend.protocol.events import (
    DataReceived,
    Event,
    FileAborted,
    FileEnded,
    FrameEvent,
    HoleReceived,
    ManifestReceived,
    PeerSaidBye,
)
from dcsend.protocol.frames import Frame, FrameKind, decode_frame, hole_cost
from dcsend.protocol.ledger import Ledger, answer_fault
from dcsend.protocol.messages import (
    DECLINE_REASONS,
    STATUSES,
    Ack,
    Bye,
    Cancel,
    Decline,
    Hello,
    Manifest,
    Message,
    clip,
    manifest_fault,
    split_accept,
    split_verdict,
)
from dcsend.protocol.side import ANY_TIME, Input, Side, State, Transitions
from dcsend.protocol.window import Window

__all__ = ["TRANSITIONS", "Receiver"]

TRANSITIONS: Final[Transitions] = {
    State.NEW: {
        Input.START: State.GREETING,
        Input.SEND_CANCEL: State.CANCELLED,
    },
    State.GREETING: {
        Input.HELLO: State.WAITING,
        **ANY_TIME,
    },
    State.WAITING: {
        Input.MANIFEST_PART: State.WAITING,
        Input.MANIFEST: State.DECIDING,
        **ANY_TIME,
    },
    State.DECIDING: {
        Input.SEND_ACCEPT: State.RECEIVING,
        Input.SEND_DECLINE: State.DECLINED,
        **ANY_TIME,
    },
    State.RECEIVING: {
        Input.FRAME: State.RECEIVING,
        Input.SEND_VERDICT: State.RECEIVING,
        Input.WORKING: State.RECEIVING,
        Input.SEND_WORKING: State.RECEIVING,
        Input.ALL_FRAMES: State.RECEIVED,
        **ANY_TIME,
    },
    # The last frames may overtake Working, which comes on another channel.
    State.RECEIVED: {
        Input.SEND_VERDICT: State.RECEIVED,
        Input.WORKING: State.RECEIVED,
        Input.SEND_WORKING: State.RECEIVED,
        Input.ALL_VERDICTS: State.COMPLETED,
        **ANY_TIME,
    },
    # The last word is said: a Cancel that crosses it changes nothing and counts as Bye.
    State.COMPLETED: {
        Input.WORKING: State.COMPLETED,
        Input.BYE: State.DONE,
        Input.CANCEL: State.DONE,
        Input.VIOLATION: State.FAILED,
    },
    State.DECLINED: {
        Input.BYE: State.DONE,
        Input.CANCEL: State.DONE,
        Input.VIOLATION: State.FAILED,
    },
    State.DONE: {},
    State.CANCELLED: {},
    State.FAILED: {},
}


class Receiver(Side):
    """Takes an offer and its files, and says what became of each.

    Args:
        agent: name and version of this program, at most 128 code points.
        window: data-message bytes that may be in flight, in bytes.
    """

    def __init__(self, *, agent: str, window: int = limits.WINDOW) -> None:
        super().__init__(TRANSITIONS, "receiver", agent)
        self._window = Window(window)
        self._entries = Entries()
        self._manifest_size = 0
        self._ledger = Ledger((), {}, {})
        self._written = 0
        self._verdicts: list[tuple[int, str]] = []

    @property
    def received(self) -> int:
        """Data-message bytes that have arrived."""
        return self._window.sent

    def accept(self, skip: Mapping[int, str], have: Mapping[int, int]) -> None:
        """Queue Accept; without anything to receive, Complete follows at once.

        Args:
            skip: entries not wanted, with one of SKIP_REASONS.
            have: bytes already there and verified, by file number; at least 1 each.

        Raises:
            LocalProtocolError: there is no manifest to accept, or a number is wrong.
        """
        self._check(answer_fault(self._entries, skip, have))
        self._step(Input.SEND_ACCEPT)
        for part in split_accept(self._window.size, skip, have):
            self._send(part)
        self._ledger = Ledger(self._entries, skip, have)
        self._after_file()

    def decline(self, reason: str, message: str = "") -> None:
        """Queue Decline: none of it is wanted.

        Args:
            reason: one of DECLINE_REASONS.
            message: for people; cut at 500 code points.

        Raises:
            LocalProtocolError: there is no manifest to decline, or no such reason.
        """
        if reason not in DECLINE_REASONS:
            raise LocalProtocolError(f"no reason to decline: {reason}")
        self._step(Input.SEND_DECLINE)
        self._send(Decline(reason, clip(message)))

    def receive_frame(self, message: bytes | str) -> list[FrameEvent]:
        """Take a message of the data channel in.

        Payloads are views into *message*: don't change it afterwards.

        Returns:
            What to do with it, in order; nothing if it doesn't matter any more.

        Raises:
            RemoteProtocolError: the peer broke a rule; a Cancel for it is queued.
            IntegrityError: the frame is damaged; a Cancel is queued.
        """
        if self._is_over():
            return []
        try:
            self._step_by_peer(Input.FRAME)
            if not isinstance(message, bytes):
                raise RemoteProtocolError("text message on the data channel")
            frame = decode_frame(message)
            cost = hole_cost(frame.length) if frame.kind is FrameKind.HOLE else len(message)
            if not self._window.allows(cost):
                raise RemoteProtocolError(f"frame of {cost} bytes doesn't fit the window")
            events = self._on_frame(frame, cost)
        except (RemoteProtocolError, IntegrityError) as error:
            self._fail(error)
            raise
        self._window.send(cost)
        return events

    def written(self, cost: int) -> None:
        """Count data messages whose content is written; an Ack goes with the next messages.

        Args:
            cost: sum of their events' `cost`, in bytes.

        Raises:
            LocalProtocolError: more is written than was received.
        """
        self._check("" if self._written + cost <= self.received else "wrote more than received")
        self._written += cost

    def verdict(self, number: int, status: str) -> None:
        """Say what became of a file; goes with the next messages.

        After the last one Complete goes too. `failed` is possible before the file has
        ended, and is the verdict on an aborted one. When it is over it has no effect.

        Args:
            number: the entry's number.
            status: one of STATUSES.

        Raises:
            LocalProtocolError: no such status, or no such file to judge now.
        """
        if status not in STATUSES:
            raise LocalProtocolError(f"no verdict: {status}")
        if self._is_over():
            return
        self._step(Input.SEND_VERDICT)
        self._check(self._ledger.verdict_fault(number, status))
        self._ledger.judge(number, status)
        self._verdicts.append((number, status))
        self._after_verdict()

    def messages_to_send(self) -> list[str]:
        """Hand out, once, what must now go to the control channel, in this order."""
        self._flush()
        return super().messages_to_send()

    # --- what the peer says

    def _on_hello(self, hello: Hello) -> None:
        """Nothing in it concerns a receiver."""

    def _on_message(self, message: Message, text: str) -> list[Event]:
        match message:
            case Manifest(entries, last):
                return self._on_manifest(entries, last, len(text.encode()))
            case Bye():
                return [PeerSaidBye()]
            case _:  # pragma: no cover - the table lets nothing else through
                raise RemoteProtocolError("unexpected message")

    def _on_manifest(self, entries: tuple[Entry, ...], last: bool, size: int) -> list[Event]:
        before = len(self._entries)
        self._entries.extend(entries)
        self._manifest_size += size
        self._refuse(manifest_fault(self._entries, before))
        if self._manifest_size > limits.MAX_MANIFEST:
            raise RemoteProtocolError(f"manifest is longer than {limits.MAX_MANIFEST} bytes")
        return [ManifestReceived(self._entries)] if last else []

    def _on_cancel(self, cancel: Cancel) -> list[Event]:
        return [PeerSaidBye()] if self._state is State.DONE else super()._on_cancel(cancel)

    def _on_frame(self, frame: Frame, cost: int) -> list[FrameEvent]:
        ledger = self._ledger
        number, offset, length = frame.number, frame.offset, frame.length
        if frame.kind is FrameKind.ABORT:
            self._refuse(ledger.place_fault(number, offset))
            ledger.pass_abort()
            self._after_file()
            return [FileAborted(number, str(frame.payload, "utf-8"), cost)]
        digest = frame.digest
        if frame.kind is FrameKind.BUNDLE:
            return self._on_bundle(frame, digest or b"")
        fault = ledger.frame_fault(number, offset, length, digest is not None)
        if fault:
            raise RemoteProtocolError(fault)
        if frame.kind is FrameKind.HOLE:
            self._refuse(ledger.hole_fault(length))
            ledger.pass_hole(length)
            return [HoleReceived(number, offset, length, cost)]
        ledger.pass_content(length)
        if digest is not None:
            ledger.pass_end()
            self._after_file()
            return [FileEnded(number, offset, frame.payload, offset + length, digest, cost)]
        return [DataReceived(number, offset, frame.payload, cost)]

    def _on_bundle(self, frame: Frame, digests: bytes) -> list[FrameEvent]:
        number, count = frame.number, frame.offset
        files = self._ledger.next_whole(count)
        sizes = sum(size for _, size in files)
        if len(files) != count or files[0][0] != number or sizes != frame.length:
            raise RemoteProtocolError(f"bundle of {count} files from {number} that is not due")
        self._ledger.pass_whole(files)
        events: list[FrameEvent] = []
        header, at = limits.FRAME_HEADER, 0
        for place, (following, size) in enumerate(files):
            content = frame.payload[at : at + size] if size else b""
            digest = digests[place * limits.DIGEST : (place + 1) * limits.DIGEST]
            cost = header + size + limits.DIGEST
            events.append(FileEnded(following, 0, content, size, digest, cost))
            header, at = 0, at + size
        self._after_file()
        return events

    # --- private

    def _after_file(self) -> None:
        if self._ledger.all_passed:
            self._step(Input.ALL_FRAMES)
            self._after_verdict()

    def _after_verdict(self) -> None:
        if self._ledger.all_judged:
            self._flush()
            self._step(Input.ALL_VERDICTS)
            self._send(self._ledger.totals())

    def _flush(self) -> None:
        """Queue what has gathered, if it still matters: one Ack, then the verdicts."""
        if self._state not in (State.RECEIVING, State.RECEIVED):
            return
        if self._written > self._window.acknowledged:
            self._window.acknowledge(self._written)
            self._send(Ack(self._written))
        for verdict in split_verdict(self._verdicts):
            self._send(verdict)
        self._verdicts = []

    def _check(self, fault: str) -> None:
        if fault:
            raise LocalProtocolError(fault)

    def _refuse(self, fault: str) -> None:
        if fault:
            raise RemoteProtocolError(fault)
