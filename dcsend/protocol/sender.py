"""The sender's side of a transfer, sans-I/O.

    NEW --start--> GREETING --Hello--> OFFERING --Accept--> SENDING --frames--> SENT
                                           |                                      |
                                        Decline                               Complete
                                           v                                      v
                                       DECLINED                   DONE <--end-- COMPLETED

Feed `receive`, send what `messages_to_send` gives, and while `sendable` has room make
frames with `data`, `bundle`, `hole` and `abort`. Imports no engine, no files, no asyncio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import LocalProtocolError, RemoteProtocolError
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Accepted,
    Acknowledged,
    Completed,
    Declined,
    Event,
    FileJudged,
)
from dcsend.protocol.frames import encode_abort, encode_bundle, encode_data, encode_hole, hole_cost
from dcsend.protocol.ledger import Ledger, answer_fault
from dcsend.protocol.messages import (
    Accept,
    Ack,
    Bye,
    Complete,
    Decline,
    Hello,
    Manifest,
    Message,
    Verdict,
    check_offer,
    encode,
    split_manifest,
)
from dcsend.protocol.side import ANY_TIME, Input, Side, State, Transitions
from dcsend.protocol.window import Window

__all__ = ["TRANSITIONS", "Sender"]

TRANSITIONS: Final[Transitions] = {
    State.NEW: {
        Input.START: State.GREETING,
        Input.SEND_CANCEL: State.CANCELLED,
    },
    State.GREETING: {
        Input.HELLO: State.OFFERING,
        **ANY_TIME,
    },
    State.OFFERING: {
        Input.ACCEPT_PART: State.OFFERING,
        Input.ACCEPT: State.SENDING,
        Input.DECLINE: State.DECLINED,
        **ANY_TIME,
    },
    State.SENDING: {
        Input.SEND_FRAME: State.SENDING,
        Input.ALL_FRAMES: State.SENT,
        Input.ACK: State.SENDING,
        Input.VERDICT: State.SENDING,
        Input.WORKING: State.SENDING,
        Input.SEND_WORKING: State.SENDING,
        **ANY_TIME,
    },
    State.SENT: {
        Input.ACK: State.SENT,
        Input.VERDICT: State.SENT,
        Input.WORKING: State.SENT,
        Input.COMPLETE: State.COMPLETED,
        **ANY_TIME,
    },
    State.COMPLETED: {
        Input.END: State.DONE,
        Input.VIOLATION: State.FAILED,
    },
    State.DECLINED: {},
    State.DONE: {},
    State.CANCELLED: {},
    State.FAILED: {},
}


_PORTION: Final = 256 << 10
"Characters of a manifest that are handed out at once; all of them may be 300 MB."


class Sender(Side):
    """Offers entries and sends the files that the receiver accepts, in their order.

    Args:
        entries: the manifest; an entry's number is its place here.
        agent: name and version of this program, at most 128 code points.
        window: data-message bytes that may be in flight; the receiver's counts if smaller.

    Raises:
        UsageError: more entries, or longer names, than a transfer may have.
    """

    def __init__(
        self, entries: Sequence[Entry], *, agent: str, window: int = limits.WINDOW
    ) -> None:
        super().__init__(TRANSITIONS, "sender", agent)
        check_offer(entries)
        self._entries = entries
        self.manifest: list[str] = []
        """What `encode_manifest` gave for the entries, if somebody had the time; emptied when it
        is sent, since it is large."""
        self._unsent: Iterator[Manifest] | None = None
        "What is still to be encoded of a manifest that was not before."
        self._window = Window(window)
        self._max_frame = limits.MAX_FRAME
        self._skip: dict[int, str] = {}
        self._have: dict[int, int] = {}
        # Until the answer is complete there is nothing to send.
        self._ledger = Ledger((), {}, {})

    @property
    def answering(self) -> bool:
        """Whether a part of the answer is here, and another must follow."""
        return self._state is State.OFFERING and bool(self._skip or self._have)

    @property
    def acknowledged(self) -> int:
        """Data-message bytes whose content the receiver has written."""
        return self._window.acknowledged

    @property
    def max_payload(self) -> int:
        """Largest payload of a frame, in bytes; with the digest 32 less."""
        return self._max_frame - limits.FRAME_HEADER

    @property
    def max_hole(self) -> int:
        """Longest hole that the window has room for when nothing is in flight, in bytes."""
        room = max(self._window.size, self._max_frame) - limits.FRAME_HEADER
        return min(limits.MAX_HOLE, room * limits.HOLE_UNIT)

    def sendable(self) -> int:
        """Count the bytes of data messages that may go now.

        A frame may go if it isn't longer than this. 0: wait for Acknowledged, or
        there is nothing (more) to send in this state.
        """
        if self._state is not State.SENDING:
            return 0
        return self._window.room(self._max_frame)

    def data(
        self, number: int, offset: int, payload: bytes | memoryview, digest: bytes | None = None
    ) -> bytes:
        """Make the next frame: content, and with *digest* (SHA-256) the end of the file.

        Raises:
            LocalProtocolError: it is not this frame's turn, or the window is full.
        """
        self._step(Input.SEND_FRAME)
        self._check(self._ledger.frame_fault(number, offset, len(payload), digest is not None))
        frame = self._count(encode_data(number, offset, payload, digest))
        self._ledger.pass_content(len(payload))
        if digest is not None:
            self._ledger.pass_end()
            self._after_file()
        return frame

    def bundle(
        self, numbers: Sequence[int], contents: Sequence[bytes], digests: Sequence[bytes]
    ) -> bytes:
        """Make the next frame: whole files that follow each other, with the SHA-256 of each.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(Input.SEND_FRAME)
        files = self._ledger.next_whole(len(numbers))
        due = list(zip(numbers, map(len, contents), strict=False))
        fits = due and files == due and len(due) == len(numbers) == len(contents)
        self._check("" if fits else f"bundle of {len(numbers)} files that is not due")
        frame = self._count(encode_bundle(numbers[0], contents, digests))
        self._ledger.pass_whole(files)
        self._after_file()
        return frame

    def hole(self, number: int, offset: int, length: int) -> bytes:
        """Make the next frame: *length* zero bytes, 1 to `max_hole`, which take `hole_cost`.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(Input.SEND_FRAME)
        self._check(self._ledger.frame_fault(number, offset, length, False))
        self._check(self._ledger.hole_fault(length))
        frame = self._count(encode_hole(number, offset, length), hole_cost(length))
        self._ledger.pass_hole(length)
        return frame

    def abort(self, number: int, reason: str) -> bytes:
        """Make the next frame: the current file is given up; the others go on.

        Raises:
            LocalProtocolError: as `data`.
        """
        self._step(Input.SEND_FRAME)
        position = self._ledger.position
        self._check(self._ledger.place_fault(number, position))
        frame = self._count(encode_abort(number, position, reason))
        self._ledger.pass_abort()
        self._after_file()
        return frame

    def end(self) -> None:
        """Queue Bye, once Completed has been dealt with.

        Raises:
            LocalProtocolError: the last word has not come.
        """
        self._step(Input.END)
        self._send(Bye())

    def messages_to_send(self) -> list[str]:
        """Hand out, once, what must now go to the control channel, in this order.

        Of a long manifest only a part: call it again until there is nothing.
        """
        messages = super().messages_to_send()
        if self._state is not State.OFFERING:
            self._unsent = None
        while self._unsent is not None and sum(map(len, messages)) < _PORTION:
            part = next(self._unsent, None)
            if part is None:
                self._unsent = None
            else:
                messages.append(encode(part))
        return messages

    # --- what the peer says

    def _on_hello(self, hello: Hello) -> None:
        self._max_frame = min(limits.MAX_FRAME, hello.max_frame)
        if self.manifest:
            self._queue += self.manifest
            self.manifest = []
        else:
            self._unsent = split_manifest(self._entries)

    def _on_message(self, message: Message, text: str) -> list[Event]:
        match message:
            case Accept():
                return self._on_accept(message)
            case Decline(reason, explanation):
                # So that the receiver knows that it was read, and may close.
                self._send(Bye())
                return [Declined(reason, explanation)]
            case Ack(total):
                self._refuse(self._window.fault(total))
                self._window.acknowledge(total)
                return [Acknowledged(total)]
            case Verdict(files):
                return [self._on_verdict(number, status) for number, status in files]
            case Complete():
                return [self._on_complete(message)]
            case _:  # pragma: no cover - the table lets nothing else through
                raise RemoteProtocolError("unexpected message")

    def _on_accept(self, accept: Accept) -> list[Event]:
        before = len(self._skip) + len(self._have)
        self._skip.update(accept.skip)
        self._have.update(accept.have)
        after = len(self._skip) + len(self._have)
        if after != before + len(accept.skip) + len(accept.have):
            raise RemoteProtocolError("accept names an entry twice")
        if after > len(self._entries):
            raise RemoteProtocolError("accept names more entries than there are")
        self._window.size = min(self._window.size, accept.window)
        if not accept.last:
            return []
        self._refuse(answer_fault(self._entries, self._skip, self._have))
        self._ledger = Ledger(self._entries, self._skip, self._have)
        self._after_file()
        return [Accepted(self._skip, self._have)]

    def _on_verdict(self, number: int, status: str) -> FileJudged:
        self._refuse(self._ledger.verdict_fault(number, status))
        self._ledger.judge(number, status)
        return FileJudged(number, status)

    def _on_complete(self, complete: Complete) -> Completed:
        if not self._ledger.all_judged:
            raise RemoteProtocolError("complete before all verdicts")
        if complete != self._ledger.totals():
            raise RemoteProtocolError("complete doesn't match the verdicts")
        return Completed(complete.ok, complete.files, complete.bytes)

    # --- private

    def _after_file(self) -> None:
        if self._ledger.all_passed:
            self._step(Input.ALL_FRAMES)

    def _check(self, fault: str) -> None:
        if fault:
            raise LocalProtocolError(fault)

    def _refuse(self, fault: str) -> None:
        if fault:
            raise RemoteProtocolError(fault)

    def _count(self, frame: bytes, cost: int | None = None) -> bytes:
        """Let *frame* take *cost* of the window: its length, if nothing else is said."""
        cost = len(frame) if cost is None else cost
        if len(frame) > self._max_frame:
            raise LocalProtocolError(
                f"frame of {len(frame)} bytes, the peer takes {self._max_frame}"
            )
        if not self._window.allows(cost):
            raise LocalProtocolError(f"frame of {cost} bytes doesn't fit the window")
        self._window.send(cost)
        return frame
