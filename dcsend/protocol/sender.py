"""The sender's side of a transfer, sans-I/O.

    NEW --start--> GREETING --Hello--> OFFERING --Accept--> SENDING --frames--> SENT
                                           |                                      |
                                        Decline                               Complete
                                           v                                      v
                                       DECLINED                   DONE <--end-- COMPLETED

Pass what arrives to `receive`, send what `messages_to_send` returns, and while `sendable` has room
make frames with `data`, `batch`, `hole`, `abort`, and `again` (also while SENT). Must not import
asyncio, files or peers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.entry import NOTHING, Entry, LeftOut
from dcsend.errors import LocalProtocolError, RemoteProtocolError
from dcsend.protocol import limits
from dcsend.protocol.again import Range
from dcsend.protocol.events import (
    Accepted,
    Acknowledged,
    AskedAgain,
    Completed,
    Declined,
    Event,
    VerdictReceived,
)
from dcsend.protocol.frames import (
    encode_abort,
    encode_again,
    encode_batch,
    encode_data,
    encode_hole,
    encode_restart,
    hole_cost,
)
from dcsend.protocol.ledger import answer_fault, digests_fault
from dcsend.protocol.manifest_messages import (
    LIMITS,
    ManifestLimits,
    check_offer,
    split_manifest,
)
from dcsend.protocol.messages import (
    AGAIN,
    WINDOW,
    Accept,
    Ack,
    Again,
    Bye,
    Cancel,
    Complete,
    Decline,
    Hello,
    Manifest,
    Message,
    Verdict,
    encode,
)
from dcsend.protocol.side import ANY_TIME, Side, TransferInput, TransferState, Transitions
from dcsend.protocol.window import Window

__all__ = ["TRANSITIONS", "Sender"]

TRANSITIONS: Final[Transitions] = {
    TransferState.NEW: {
        TransferInput.START: TransferState.GREETING,
        TransferInput.SEND_CANCEL: TransferState.CANCELLED,
    },
    TransferState.GREETING: {
        TransferInput.HELLO: TransferState.OFFERING,
        **ANY_TIME,
    },
    TransferState.OFFERING: {
        TransferInput.ACCEPT_PART: TransferState.OFFERING,
        TransferInput.ACCEPT: TransferState.SENDING,
        TransferInput.DECLINE: TransferState.DECLINED,
        **ANY_TIME,
    },
    TransferState.SENDING: {
        TransferInput.SEND_FRAME: TransferState.SENDING,
        TransferInput.SEND_FRAME_AGAIN: TransferState.SENDING,
        TransferInput.ALL_FRAMES: TransferState.SENT,
        TransferInput.ACK: TransferState.SENDING,
        TransferInput.VERDICT: TransferState.SENDING,
        TransferInput.AGAIN: TransferState.SENDING,
        TransferInput.WORKING: TransferState.SENDING,
        TransferInput.SEND_WORKING: TransferState.SENDING,
        **ANY_TIME,
    },
    # What the receiver had may be verified, and asked for again, after the last frame.
    TransferState.SENT: {
        TransferInput.SEND_FRAME_AGAIN: TransferState.SENT,
        TransferInput.ACK: TransferState.SENT,
        TransferInput.VERDICT: TransferState.SENT,
        TransferInput.AGAIN: TransferState.SENT,
        TransferInput.WORKING: TransferState.SENT,
        TransferInput.SEND_WORKING: TransferState.SENT,
        TransferInput.COMPLETE: TransferState.COMPLETED,
        **ANY_TIME,
    },
    TransferState.COMPLETED: {
        TransferInput.END: TransferState.DONE,
        TransferInput.VIOLATION: TransferState.FAILED,
    },
    TransferState.DECLINED: {},
    TransferState.DONE: {},
    TransferState.CANCELLED: {},
    TransferState.FAILED: {},
}


_RETURNS: Final = ("destination", "dry-run")
"Reasons of a Decline that does not use up a code."
_FRAMES_IN_WINDOW: Final = 20
"Frames that fit into a small window."
_PORTION: Final = 256 << 10
"Characters of a manifest that are returned at once; the whole may have 300 MB."


class Sender(Side):
    """Offers entries and sends the files that the receiver accepts, in their order.

    Args:
        entries: the manifest; an entry's number is its place here.
        agent: name and version of this program, at most 128 code points.
        left_out: how much was found and is not offered.
        name: of this device, see `is_device_name`; empty for none.
        window: data-message bytes that may be in flight; the receiver's counts if smaller.
        manifest: what `encode_manifest` returned for the entries; empty: they are encoded while
            they are sent.
        is_last: whether a receiver that can't save the offer is sent that the code works no more.
        most: the limits of the manifest.

    Raises:
        UsageError: more entries, or longer names, than a transfer may have.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        left_out: LeftOut = NOTHING,
        *,
        agent: str,
        name: str = "",
        features: Sequence[str] = (),
        window: int = limits.WINDOW,
        manifest: Sequence[str] = (),
        is_last: bool = False,
        most: ManifestLimits = LIMITS,
    ) -> None:
        super().__init__(TRANSITIONS, "sender", agent, name, (*features, AGAIN, WINDOW))
        check_offer(entries, most)
        self._entries = entries
        self._left_out = left_out
        self._is_last = is_last
        self._manifest = manifest
        "Released when it is queued, since it is large."
        self._unsent: Iterator[Manifest] | None = None
        "The parts of the manifest that are not encoded yet."
        self._window = Window(window)
        self._largest_window = window
        self._max_frame = limits.MAX_FRAME
        self._skip: dict[int, str] = {}
        self._have: dict[int, int] = {}
        self._digests: list[tuple[int, int, str]] = []

    @property
    def answering(self) -> bool:
        """Whether a part of Accept has arrived, and another must follow."""
        return self.state is TransferState.OFFERING and bool(self._skip or self._have)

    @property
    def acknowledged(self) -> int:
        """Bytes of data messages whose content the receiver has written."""
        return self._window.acknowledged

    @property
    def max_payload(self) -> int:
        """Longest payload of a frame, in bytes; 32 less with the digest.

        A small window is divided into twenty frames: a receiver with a limit of its rate grants
        half a second of it, and few long frames would come unevenly.
        """
        even = max(limits.MIN_FRAME, self._window.size // _FRAMES_IN_WINDOW)
        return min(self._max_frame, even) - limits.FRAME_HEADER

    @property
    def max_hole(self) -> int:
        """Longest hole that fits the window when nothing is in flight, in bytes."""
        room = max(self._window.size, self._max_frame) - limits.FRAME_HEADER
        return min(limits.MAX_HOLE, room * limits.HOLE_UNIT)

    def is_refused(self, number: int) -> bool:
        """Return whether the receiver has given up a file that has not ended.

        `abort` it when it is due.
        """
        return self.state is TransferState.SENDING and self._ledger.is_refused(number)

    @property
    def due(self) -> int:
        """Number of the file whose frame is due, from 0; any thread may read it.

        That of no entry when all files have ended.
        """
        return self._ledger.number

    @property
    def position(self) -> int:
        """Offset of the next frame of the file that is due, in bytes."""
        return self._ledger.position

    def sendable(self) -> int:
        """Return the longest frame that may be sent now, in bytes.

        0: wait for Acknowledged, or there is nothing to send in this state.
        """
        sends = self.state is TransferState.SENDING
        if sends or (self.state is TransferState.SENT and self._ranges):
            return self._window.room(self._max_frame)
        return 0

    def data(
        self, number: int, offset: int, payload: bytes | memoryview, digest: bytes | None = None
    ) -> bytes:
        """Make the next frame: content, and with *digest* (SHA-256) the end of the file.

        Raises:
            LocalProtocolError: the frame is not due, or the window is full.
        """
        self._step(TransferInput.SEND_FRAME)
        self._check(self._ledger.frame_fault(number, offset, len(payload), digest is not None))
        frame = self._count(encode_data(number, offset, payload, digest))
        self._ledger.pass_content(len(payload))
        if digest is not None:
            self._ledger.pass_end()
            self._after_file()
        return frame

    def batch(
        self, numbers: Sequence[int], contents: Sequence[bytes], digests: Sequence[bytes]
    ) -> bytes:
        """Make the next frame: whole files that follow each other, with the SHA-256 of each.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(TransferInput.SEND_FRAME)
        files = self._ledger.next_whole(len(numbers))
        due = list(zip(numbers, map(len, contents), strict=False))
        fits = due and files == due and len(due) == len(numbers) == len(contents)
        self._check("" if fits else f"batch of {len(numbers)} files that is not due")
        frame = self._count(encode_batch(numbers[0], contents, digests))
        self._ledger.pass_whole(files)
        self._after_file()
        return frame

    def hole(self, number: int, offset: int, length: int) -> bytes:
        """Make the next frame: *length* zero bytes, 1 to `max_hole`, which take `hole_cost`.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(TransferInput.SEND_FRAME)
        self._check(self._ledger.frame_fault(number, offset, length, False))
        self._check(self._ledger.hole_fault(length))
        frame = self._count(encode_hole(number, offset, length), hole_cost(length))
        self._ledger.pass_hole(length)
        return frame

    def abort(self, number: int, reason: str) -> bytes:
        """Make the next frame: the current file is given up; the others continue.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(TransferInput.SEND_FRAME)
        position = self._ledger.position
        self._check(self._ledger.place_fault(number, position))
        frame = self._count(encode_abort(number, position, reason))
        self._ledger.pass_abort()
        self._ranges.give_up(number)
        self._after_file()
        return frame

    def restart(self, number: int) -> bytes:
        """Make the next frame: the current file begins again, since the part is of another one.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(TransferInput.SEND_FRAME)
        position = self._ledger.position
        self._check(self._ledger.restart_fault(number, position))
        frame = self._count(encode_restart(number, position))
        self._ledger.pass_restart()
        self._ranges.give_up(number)
        return frame

    @property
    def asked(self) -> Range | None:
        """The range of which `again` makes the next frame; None if nothing is asked for."""
        return self._ranges.due

    def again(self, piece: bytes | memoryview | int) -> bytes:
        """Make the next frame of the range `asked`: content, or so many zeros.

        Args:
            piece: not more than the range has; 0 ends a range that can't be read, or is of no use.

        Raises:
            LocalProtocolError: nothing is asked for, or the window is full.
        """
        self._step(TransferInput.SEND_FRAME_AGAIN)
        length = piece if isinstance(piece, int) else len(piece)
        number, start, _ = self._ranges.due or (0, 0, 0)
        self._check(self._ranges.frame_fault(number, start, length))
        cost = hole_cost(length) if isinstance(piece, int) else None
        frame = self._count(encode_again(number, start, piece), cost)
        self._ranges.pass_frame(length)
        return frame

    def end(self) -> None:
        """Queue Bye, after Completed.

        Raises:
            LocalProtocolError: Complete has not arrived.
        """
        self._step(TransferInput.END)
        self._send(Bye())

    def messages_to_send(self) -> list[str]:
        """Return, once, the messages to be sent now on the control channel, in this order.

        Only a part of a long manifest: call it again until it returns none.
        """
        messages = super().messages_to_send()
        if self.state is not TransferState.OFFERING:
            self._unsent = None
        while self._unsent is not None and sum(map(len, messages)) < _PORTION:
            part = next(self._unsent, None)
            if part is None:
                self._unsent = None
            else:
                messages.append(encode(part))
        return messages

    # --- messages of the peer

    def _on_hello(self, hello: Hello) -> None:
        self._max_frame = min(limits.MAX_FRAME, hello.max_frame)
        if self._manifest:
            self._queue += self._manifest
            self._manifest = ()
        else:
            self._unsent = split_manifest(self._entries, self._left_out)

    def _on_message(self, message: Message, text: str) -> list[Event]:
        match message:
            case Accept():
                return self._on_accept(message)
            case Decline(reason, explanation):
                # After it the receiver may close.
                is_end = self._is_last and reason in _RETURNS
                self._send(Cancel("error", "the code does not work again") if is_end else Bye())
                return [Declined(reason, explanation)]
            case Ack(total, window):
                self._refuse(self._window.fault(total))
                self._window.acknowledge(total)
                if window is not None:
                    self._window.resize(min(window, self._largest_window))
                return [Acknowledged(total)]
            case Verdict(files):
                return [self._on_verdict(number, status) for number, status in files]
            case Again(number, start, end):
                self._refuse(self._ranges.fault(number, start, end))
                self._ranges.ask(number, start, end)
                return [AskedAgain(number, start, end)]
            case Complete():
                return [self._on_complete(message)]
            case _:  # pragma: no cover - the table allows no other message
                raise RemoteProtocolError("unexpected message")

    def _on_accept(self, accept: Accept) -> list[Event]:
        before = len(self._skip) + len(self._have)
        self._skip.update(accept.skip)
        self._have.update(accept.have)
        self._digests += accept.digests
        if len(self._digests) > limits.MAX_ALL_DIGESTS:
            raise RemoteProtocolError(f"accept has more than {limits.MAX_ALL_DIGESTS} digests")
        after = len(self._skip) + len(self._have)
        if after != before + len(accept.skip) + len(accept.have):
            raise RemoteProtocolError("accept names an entry twice")
        if after > len(self._entries):
            raise RemoteProtocolError("accept names more entries than there are")
        self._window.shrink(accept.window)
        if not accept.last:
            return []
        self._refuse(answer_fault(self._entries, self._skip, self._have))
        self._refuse(digests_fault(self._have, self._digests))
        self._keep_ledger(self._entries, self._skip, self._have)
        self._after_file()
        return [Accepted(self._skip, self._have, self._digests)]

    def _on_verdict(self, number: int, status: str) -> VerdictReceived:
        self._refuse(self._ledger.verdict_fault(number, status))
        self._ledger.record_verdict(number, status)
        return VerdictReceived(number, status)

    def _on_complete(self, complete: Complete) -> Completed:
        if self._ranges:
            raise RemoteProtocolError("complete before all that it has asked for again")
        if not self._ledger.all_verdicts_given:
            raise RemoteProtocolError("complete before all verdicts")
        if complete != self._ledger.totals():
            raise RemoteProtocolError("complete doesn't match the verdicts")
        return Completed(complete.ok, complete.files, complete.bytes)

    # --- private

    def _count(self, frame: bytes, cost: int | None = None) -> bytes:
        """Count *frame* in the window with *cost*, by default its length."""
        cost = len(frame) if cost is None else cost
        if len(frame) > self._max_frame:
            raise LocalProtocolError(
                f"frame of {len(frame)} bytes, the peer takes {self._max_frame}"
            )
        if not self._window.allows(cost):
            raise LocalProtocolError(f"frame of {cost} bytes doesn't fit the window")
        self._window.send(cost)
        return frame
