"""The receiver's side of a transfer, sans-I/O.

    NEW --start--> GREETING --Hello--> WAITING --Manifest--> DECIDING --accept--> RECEIVING
                                                                 |                    |
                                                              decline              frames
                                                                 v                    v
                          DONE <--Bye-- COMPLETED <--verdicts----|---------------- RECEIVED
                            ^------------------Bye---------- DECLINED

Pass what arrives to `receive` and `receive_frame`, send what `messages_to_send` returns, and report
with `written` and `verdict`. Must not import asyncio, files or peers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dcsend.content import Abort, Content, Data, End, Hole, Repair, Restart
from dcsend.errors import IntegrityError, LocalProtocolError, RemoteProtocolError
from dcsend.listing import Entries
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Event,
    ManifestReceived,
    PeerSaidBye,
)
from dcsend.protocol.frames import Frame, FrameKind, decode_frame, hole_cost
from dcsend.protocol.ledger import answer_fault, digests_fault
from dcsend.protocol.manifest_messages import (
    LIMITS,
    ManifestLimits,
    manifest_fault,
    split_accept,
    split_verdict,
)
from dcsend.protocol.messages import (
    AGAIN,
    DECLINE_REASONS,
    STATUSES,
    WINDOW,
    Ack,
    Again,
    Bye,
    Cancel,
    Decline,
    Hello,
    Manifest,
    Message,
    clip,
)
from dcsend.protocol.side import ANY_TIME, Side, TransferInput, TransferState, Transitions
from dcsend.protocol.window import Window

__all__ = ["TRANSITIONS", "Receiver"]

TRANSITIONS: Final[Transitions] = {
    TransferState.NEW: {
        TransferInput.START: TransferState.GREETING,
        TransferInput.SEND_CANCEL: TransferState.CANCELLED,
    },
    TransferState.GREETING: {
        TransferInput.HELLO: TransferState.WAITING,
        **ANY_TIME,
    },
    TransferState.WAITING: {
        TransferInput.MANIFEST_PART: TransferState.WAITING,
        TransferInput.MANIFEST: TransferState.DECIDING,
        **ANY_TIME,
    },
    TransferState.DECIDING: {
        TransferInput.SEND_ACCEPT: TransferState.RECEIVING,
        TransferInput.SEND_DECLINE: TransferState.DECLINED,
        **ANY_TIME,
    },
    TransferState.RECEIVING: {
        TransferInput.FRAME: TransferState.RECEIVING,
        TransferInput.FRAME_AGAIN: TransferState.RECEIVING,
        TransferInput.SEND_AGAIN: TransferState.RECEIVING,
        TransferInput.SEND_VERDICT: TransferState.RECEIVING,
        TransferInput.WORKING: TransferState.RECEIVING,
        TransferInput.SEND_WORKING: TransferState.RECEIVING,
        TransferInput.ALL_FRAMES: TransferState.RECEIVED,
        **ANY_TIME,
    },
    # The last frames may arrive before a Working, which is on another channel.
    TransferState.RECEIVED: {
        TransferInput.FRAME_AGAIN: TransferState.RECEIVED,
        TransferInput.SEND_AGAIN: TransferState.RECEIVED,
        TransferInput.SEND_VERDICT: TransferState.RECEIVED,
        TransferInput.WORKING: TransferState.RECEIVED,
        TransferInput.SEND_WORKING: TransferState.RECEIVED,
        TransferInput.ALL_VERDICTS: TransferState.COMPLETED,
        **ANY_TIME,
    },
    # Complete is sent: a Cancel that crosses it changes nothing and counts as Bye.
    TransferState.COMPLETED: {
        TransferInput.WORKING: TransferState.COMPLETED,
        TransferInput.BYE: TransferState.DONE,
        TransferInput.CANCEL: TransferState.DONE,
        TransferInput.VIOLATION: TransferState.FAILED,
    },
    TransferState.DECLINED: {
        TransferInput.BYE: TransferState.DONE,
        TransferInput.CANCEL: TransferState.DONE,
        TransferInput.VIOLATION: TransferState.FAILED,
    },
    TransferState.DONE: {},
    TransferState.CANCELLED: {},
    TransferState.FAILED: {},
}


class Receiver(Side):
    """Receives an offer and its files, and sends the status of each.

    Args:
        agent: name and version of this program, at most 128 code points.
        name: of this device, see `is_device_name`; empty to send none.
        window: data-message bytes that may be in flight, in bytes.
        most: the limits of the manifest.
    """

    def __init__(
        self,
        *,
        agent: str,
        name: str = "",
        features: Sequence[str] = (),
        window: int = limits.WINDOW,
        most: ManifestLimits = LIMITS,
    ) -> None:
        super().__init__(TRANSITIONS, "receiver", agent, name, features)
        self._most = most
        self._window = Window(window)
        self._entries = Entries()
        self._manifest_size = 0
        self._sender_features: tuple[str, ...] = ()
        self._written = 0
        self._withheld = 0
        "Bytes that are written, and that Ack does not count yet."
        self._resized: int | None = None
        "The window for the next Ack."
        self._verdicts: list[tuple[int, str]] = []

    @property
    def received(self) -> int:
        """Bytes of data messages that have arrived."""
        return self._window.sent

    @property
    def offered(self) -> int:
        """Entries of the manifest that have arrived."""
        return len(self._entries)

    def accept(
        self,
        skip: Mapping[int, str],
        have: Mapping[int, int],
        digests: Sequence[tuple[int, int, str]] = (),
    ) -> None:
        """Queue Accept; Complete follows at once if there is nothing to receive.

        Args:
            skip: entries that are not wanted, each with one of SKIP_REASONS.
            have: bytes that exist of a file, at least 1, by its number.
            digests: number of a file in *have*, an offset, and the SHA-256 of the bytes before it,
                in hex; at most `limits.MAX_ALL_DIGESTS`, the offsets of each file ascending.

        Raises:
            LocalProtocolError: there is no manifest to accept, or a number is wrong.
        """
        self._check(answer_fault(self._entries, skip, have) or digests_fault(have, digests))
        self._step(TransferInput.SEND_ACCEPT)
        for part in split_accept(self._window.size, skip, have, digests):
            self._send(part)
        self._keep_ledger(self._entries, skip, have)
        self._after_file()
        self._conclude()

    def decline(self, reason: str, message: str = "") -> None:
        """Queue Decline: nothing of the offer is wanted.

        Args:
            reason: one of DECLINE_REASONS.
            message: for people; cut at 500 code points.

        Raises:
            LocalProtocolError: there is no manifest to decline, or no such reason.
        """
        if reason not in DECLINE_REASONS:
            raise LocalProtocolError(f"no reason to decline: {reason}")
        self._step(TransferInput.SEND_DECLINE)
        self._send(Decline(reason, clip(message)))

    def receive_frame(self, message: bytes | str) -> list[Content]:
        """Receive a message of the data channel.

        Payloads are views into *message*: don't change it afterwards.

        Returns:
            Its events in order; none if the transfer has ended.

        Raises:
            RemoteProtocolError: it is a violation; a Cancel is queued.
            IntegrityError: the frame is damaged; a Cancel is queued.
        """
        if self._is_over():
            return []
        again = message[:1] == bytes([FrameKind.AGAIN])
        try:
            self._step_by_peer(TransferInput.FRAME_AGAIN if again else TransferInput.FRAME)
            if not isinstance(message, bytes):
                raise RemoteProtocolError("text message on the data channel")
            frame = decode_frame(message)
            is_hole = frame.kind in (FrameKind.HOLE, FrameKind.AGAIN) and not frame.payload
            cost = hole_cost(frame.length) if is_hole else len(message)
            if not self._window.allows(cost):
                raise RemoteProtocolError(f"frame of {cost} bytes doesn't fit the window")
            events = self._on_frame(frame, cost)
        except (RemoteProtocolError, IntegrityError) as error:
            self._fail(error)
            raise
        self._window.send(cost)
        return events

    @property
    def follows_window(self) -> bool:
        """Whether the sender takes another window from Ack."""
        return WINDOW in self._sender_features

    def resize(self, window: int) -> None:
        """Let *window* bytes be in flight from the next Accept or Ack on.

        After Accept it has no effect on a sender without this feature. Frames that were sent within
        an earlier window are accepted.
        """
        if self.state in (TransferState.RECEIVING, TransferState.RECEIVED):
            if self.follows_window:
                self._resized = window
                self._window.resize(max(self._window.size, window))
        else:
            self._window.resize(window)

    def withhold(self, cost: int) -> None:
        """Leave the last *cost* bytes that are written out of Ack, until all frames are here.

        The sender then sends no more than what Ack makes room for.
        """
        self._withheld = cost

    @property
    def awaits_again(self) -> bool:
        """Whether not all that was asked for again has arrived."""
        return bool(self._ranges)

    def again(self, number: int, start: int, end: int) -> bool:
        """Queue Again for bytes that were changed on the disk, if it is possible.

        Args:
            number: of a file of *have* without a verdict.
            start: offset of the first byte, not in an earlier range of this file or before one.
            end: offset of the byte after the last, at most what *have* has.

        Returns:
            Whether they will arrive; not from a sender without this feature.
        """
        if self._is_over() or AGAIN not in self._sender_features:
            return False
        if self._ranges.fault(number, start, end):
            return False
        self._step(TransferInput.SEND_AGAIN)
        self._ranges.ask(number, start, end)
        self._send(Again(number, start, end))
        return True

    def written(self, cost: int) -> None:
        """Count data messages whose content is written; an Ack goes with the next messages.

        Args:
            cost: sum of their events' `cost`, in bytes.

        Raises:
            LocalProtocolError: more is written than was received.
        """
        self._check("" if self._written + cost <= self.received else "wrote more than received")
        self._written += cost
        self._conclude()

    def verdict(self, number: int, status: str) -> None:
        """Queue the status of a file for the next messages.

        Complete follows the last one when all frames are written. `failed` is possible before the
        file has ended, and is the status of an aborted one. It has no effect when the transfer has
        ended.

        Args:
            number: the entry's number.
            status: one of STATUSES.

        Raises:
            LocalProtocolError: there is no such status, or this file can have none now.
        """
        if status not in STATUSES:
            raise LocalProtocolError(f"no verdict: {status}")
        if self._is_over():
            return
        self._step(TransferInput.SEND_VERDICT)
        self._check(self._ledger.verdict_fault(number, status))
        self._ledger.record_verdict(number, status)
        self._verdicts.append((number, status))
        self._conclude()

    def messages_to_send(self) -> list[str]:
        """Return, once, the messages to be sent now on the control channel, in this order."""
        self._flush()
        return super().messages_to_send()

    # --- messages of the peer

    def _on_hello(self, hello: Hello) -> None:
        self._sender_features = hello.features

    def _on_message(self, message: Message, text: str) -> list[Event]:
        match message:
            case Manifest():
                return self._on_manifest(message, len(text.encode()))
            case Bye():
                return [PeerSaidBye()]
            case _:  # pragma: no cover - the table allows no other message
                raise RemoteProtocolError("unexpected message")

    def _on_manifest(self, manifest: Manifest, size: int) -> list[Event]:
        before = len(self._entries)
        self._entries.extend(manifest.entries)
        self._manifest_size += size
        self._refuse(manifest_fault(self._entries, before, self._most))
        if self._manifest_size > self._most.size:
            raise RemoteProtocolError(f"manifest is longer than {self._most.size} bytes")
        if not manifest.last:
            return []
        return [ManifestReceived(self._entries, manifest.left_out)]

    def _on_cancel(self, cancel: Cancel) -> list[Event]:
        if self.state is TransferState.DONE:
            return [PeerSaidBye(by_cancel=True)]
        return super()._on_cancel(cancel)

    def _on_frame(self, frame: Frame, cost: int) -> list[Content]:
        ledger = self._ledger
        number, offset, length = frame.number, frame.offset, frame.length
        if frame.kind is FrameKind.AGAIN:
            self._refuse(self._ranges.frame_fault(number, offset, length))
            self._ranges.pass_frame(length)
            return [Repair(number, offset, length, frame.payload, cost)]
        if frame.kind is FrameKind.ABORT:
            self._refuse(ledger.place_fault(number, offset))
            ledger.pass_abort()
            self._ranges.give_up(number)
            self._after_file()
            return [Abort(number, str(frame.payload, "utf-8"), cost)]
        if frame.kind is FrameKind.RESTART:
            self._refuse(ledger.restart_fault(number, offset))
            ledger.pass_restart()
            self._ranges.give_up(number)
            return [Restart(number, offset, cost)]
        digest = frame.digest
        if frame.kind is FrameKind.BATCH:
            return self._on_batch(frame, digest or b"")
        self._refuse(ledger.frame_fault(number, offset, length, digest is not None))
        if frame.kind is FrameKind.HOLE:
            self._refuse(ledger.hole_fault(length))
            ledger.pass_hole(length)
            return [Hole(number, offset, length, cost)]
        ledger.pass_content(length)
        if digest is not None:
            ledger.pass_end()
            self._after_file()
            return [End(number, offset + length, digest, frame.payload, cost)]
        return [Data(number, offset, frame.payload, cost)]

    def _on_batch(self, frame: Frame, digests: bytes) -> list[Content]:
        number, count = frame.number, frame.offset
        files = self._ledger.next_whole(count)
        sizes = sum(size for _, size in files)
        if len(files) != count or files[0][0] != number or sizes != frame.length:
            raise RemoteProtocolError(f"batch of {count} files from {number} that is not due")
        self._ledger.pass_whole(files)
        events: list[Content] = []
        header, at = limits.FRAME_HEADER, 0
        for place, (following, size) in enumerate(files):
            content = frame.payload[at : at + size] if size else b""
            digest = digests[place * limits.DIGEST : (place + 1) * limits.DIGEST]
            cost = header + size + limits.DIGEST
            events.append(End(following, size, digest, content, cost))
            header, at = 0, at + size
        self._after_file()
        return events

    # --- private

    def _conclude(self) -> None:
        # A file that fails early has its status before its last frame, and before the status of
        # directories and links is known: so it is complete only when that frame is written, too.
        done = self._ledger.all_verdicts_given and self._written == self.received
        if done and not self._ranges and self.state is TransferState.RECEIVED:
            self._flush()
            self._step(TransferInput.ALL_VERDICTS)
            self._send(self._ledger.totals())

    def _flush(self) -> None:
        """Queue one Ack, then the statuses that are not sent, unless the transfer has ended."""
        if self.state not in (TransferState.RECEIVING, TransferState.RECEIVED):
            return
        is_receiving = self.state is TransferState.RECEIVING
        upto = self._written - (self._withheld if is_receiving else 0)
        if upto > self._window.acknowledged or self._resized is not None:
            upto = max(upto, self._window.acknowledged)
            self._window.acknowledge(upto)
            self._send(Ack(upto, self._resized))
            self._resized = None
        for verdict in split_verdict(self._verdicts):
            self._send(verdict)
        self._verdicts = []
