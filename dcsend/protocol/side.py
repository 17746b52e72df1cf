"""The common part of sender and receiver: states, the queue of messages, and the ends.

    NEW -> GREETING -> … -> COMPLETED -> DONE        each by its own TRANSITIONS table
              any of these -> CANCELLED              either side has cancelled
              any of these -> FAILED                 a violation of the peer

Sans-I/O: text and bytes go in, events and text come out. No clock, no socket.
"""

from __future__ import annotations

import abc
import enum
import logging
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from dcsend.entry import Entry
from dcsend.errors import (
    DcsendError,
    IncompatibleVersion,
    IntegrityError,
    LocalProtocolError,
    RemoteProtocolError,
    UsageError,
)
from dcsend.protocol import limits
from dcsend.protocol.again import Ranges
from dcsend.protocol.events import Cancelled, Event, PeerIntroduced
from dcsend.protocol.ledger import Ledger
from dcsend.protocol.messages import (
    CANCEL_REASONS,
    Accept,
    Cancel,
    Hello,
    Manifest,
    Message,
    Working,
    choose_version,
    clip,
    decode,
    encode,
)

__all__ = ["ANY_TIME", "Side", "TransferInput", "TransferState", "Transitions"]

logger = logging.getLogger(__name__)


class TransferState(enum.StrEnum):
    """The state of a transfer."""

    NEW = "new"
    "Not started."
    GREETING = "greeting"
    "Hello is sent, that of the peer has not arrived."
    OFFERING = "offering"
    "Sender: the answer to the manifest has not arrived."
    SENDING = "sending"
    "Sender: frames may be sent."
    SENT = "sent"
    "Sender: all frames are sent, Complete has not arrived."
    WAITING = "waiting"
    "Receiver: the manifest has not arrived."
    DECIDING = "deciding"
    "Receiver: the manifest has arrived, it is not answered."
    RECEIVING = "receiving"
    "Receiver: not all frames have arrived."
    RECEIVED = "received"
    "Receiver: all frames have arrived, statuses are due."
    COMPLETED = "completed"
    "Complete is sent or has arrived, Bye is due."
    DECLINED = "declined"
    "The receiver has declined the offer."
    DONE = "done"
    "Bye is sent or has arrived."
    CANCELLED = "cancelled"
    "One side has cancelled; what arrives is ignored."
    FAILED = "failed"
    "A violation of the peer; every further call raises the same error."


class TransferInput(enum.StrEnum):
    """An input of the state machines.

    As in PROTOCOL.md, messages of the peer have a capital letter, actions of this side do not.
    """

    HELLO = "Hello"
    MANIFEST_PART = "Manifest (more follow)"
    MANIFEST = "Manifest (last)"
    ACCEPT_PART = "Accept (more follow)"
    ACCEPT = "Accept (last)"
    DECLINE = "Decline"
    FRAME = "Frame"
    FRAME_AGAIN = "Frame (AGAIN)"
    ACK = "Ack"
    VERDICT = "Verdict"
    WORKING = "Working"
    AGAIN = "Again"
    COMPLETE = "Complete"
    BYE = "Bye"
    CANCEL = "Cancel"
    START = "start"
    SEND_ACCEPT = "accept"
    SEND_DECLINE = "decline"
    SEND_FRAME = "send frame"
    ALL_FRAMES = "all frames passed"
    SEND_FRAME_AGAIN = "send frame (AGAIN)"
    SEND_AGAIN = "again"
    SEND_VERDICT = "verdict"
    SEND_WORKING = "working"
    ALL_VERDICTS = "all verdicts given"
    END = "end"
    SEND_CANCEL = "cancel"
    VIOLATION = "violation"


Transitions = Mapping[TransferState, Mapping[TransferInput, TransferState]]

ANY_TIME: Final[Mapping[TransferInput, TransferState]] = {
    TransferInput.CANCEL: TransferState.CANCELLED,
    TransferInput.SEND_CANCEL: TransferState.CANCELLED,
    TransferInput.VIOLATION: TransferState.FAILED,
}
"Inputs that are possible in each state between NEW and COMPLETED."

# Reason of Cancel for a violation of the peer, by error; `protocol` for RemoteProtocolError.
_CANCEL_REASON: Final[Mapping[type[DcsendError], str]] = {
    IntegrityError: "integrity",
    IncompatibleVersion: "version",
}


class Side(abc.ABC):
    """One side of a transfer; see `Sender` and `Receiver`."""

    def __init__(
        self, transitions: Transitions, role: str, agent: str, name: str, features: Sequence[str]
    ) -> None:
        self._transitions = transitions
        self._role = role
        self._agent = agent
        self._name = name
        self._features = tuple(features)
        self.state = TransferState.NEW
        "Where the transfer stands."
        self._queue: list[str] = []
        self._failure: DcsendError | None = None
        self._keep_ledger((), {}, {})  # until Accept is complete

    def start(self) -> None:
        """Queue Hello; call it once, when the control channel is open.

        Raises:
            LocalProtocolError: it was called before.
        """
        self._step(TransferInput.START)
        hello = Hello(limits.VERSIONS, self._agent, self._role, self._features, name=self._name)
        self._send(hello)

    def receive(self, message: str | bytes) -> list[Event]:
        """Receive a message of the control channel; call `messages_to_send` afterwards.

        Returns no events in DONE, DECLINED and CANCELLED.

        Raises:
            RemoteProtocolError: it is a violation; a Cancel is queued.
            IncompatibleVersion: there is no common version; a Cancel is queued.
            UsageError: both sides have the same role; a Cancel is queued.
        """
        if self._is_over():
            return []
        try:
            if not isinstance(message, str):
                raise RemoteProtocolError("binary message on the control channel")
            decoded = decode(message)
            self._step_by_peer(_input_of(decoded))
            if isinstance(decoded, Hello):
                return [self._introduce(decoded)]
            if isinstance(decoded, Cancel):
                return self._on_cancel(decoded)
            if isinstance(decoded, Working):
                return []
            return self._on_message(decoded, message)
        except (RemoteProtocolError, IncompatibleVersion, UsageError) as error:
            self._fail(error)
            raise

    def messages_to_send(self) -> list[str]:
        """Return, once, the messages to be sent now on the control channel, in this order."""
        queue, self._queue = self._queue, []
        return queue

    def cancel(self, reason: str, message: str = "") -> None:
        """End the transfer with Cancel; no effect if it has ended.

        Args:
            reason: one of CANCEL_REASONS.
            message: for people; cut at 500 code points.
        """
        if reason not in CANCEL_REASONS:
            raise LocalProtocolError(f"no reason to cancel: {reason}")
        if TransferInput.SEND_CANCEL in self._transitions[self.state]:
            self._step(TransferInput.SEND_CANCEL)
            self._send(Cancel(reason, clip(message)))

    def working(self) -> None:
        """Queue Working, if the state allows it; otherwise no effect."""
        if TransferInput.SEND_WORKING in self._transitions[self.state]:
            self._step(TransferInput.SEND_WORKING)
            self._send(Working())

    # --- for Sender and Receiver

    @abc.abstractmethod
    def _on_hello(self, hello: Hello) -> None:
        """Handle a valid Hello."""

    @abc.abstractmethod
    def _on_message(self, message: Message, text: str) -> list[Event]:
        """Handle a message that the table allows; the state has changed already."""

    def _on_cancel(self, cancel: Cancel) -> list[Event]:
        return [Cancelled(cancel.reason, cancel.message)]

    def _keep_ledger(
        self, entries: Sequence[Entry], skip: Mapping[int, str], have: Mapping[int, int]
    ) -> None:
        self._ledger = Ledger(entries, skip, have)
        self._ranges = Ranges(have, self._ledger.has_verdict)

    def _send(self, message: Message) -> None:
        self._queue.append(encode(message))

    def _after_file(self) -> None:
        """Change the state if that was the last frame of the last file."""
        if self._ledger.all_passed:
            self._step(TransferInput.ALL_FRAMES)

    def _check(self, fault: str) -> None:
        """Raise LocalProtocolError if there is a fault of this side."""
        if fault:
            raise LocalProtocolError(fault)

    def _refuse(self, fault: str) -> None:
        """Raise RemoteProtocolError if there is a fault of the peer."""
        if fault:
            raise RemoteProtocolError(fault)

    def _is_over(self) -> bool:
        """Return whether the transfer has ended; raise its error again, if there is one."""
        if self.state is TransferState.NEW:
            raise LocalProtocolError("received before start")
        if self._transitions[self.state]:
            return False
        if self._failure is not None:
            self._raise_failure(self._failure)
        return True

    def _step(self, step: TransferInput) -> None:
        """Change the state by an action of this side."""
        following = self._transitions[self.state].get(step)
        if following is None:
            if self._failure is not None:
                self._raise_failure(self._failure)
            raise LocalProtocolError(f"{step} is impossible while {self.state}")
        self._enter(following, step)

    def _step_by_peer(self, step: TransferInput) -> None:
        """Change the state by a message of the peer."""
        following = self._transitions[self.state].get(step)
        if following is None:
            raise RemoteProtocolError(f"{step} is not allowed while {self.state}")
        self._enter(following, step)

    def _enter(self, state: TransferState, step: TransferInput) -> None:
        if state is not self.state:  # most steps are frames and acknowledgements
            logger.debug("%s: %s: %s -> %s", self._role, step, self.state, state)
            self.state = state

    def _fail(self, error: DcsendError) -> None:
        """End the transfer after a violation of the peer: queue Cancel, keep the error."""
        self._step(TransferInput.VIOLATION)
        self._failure = error
        reason = _CANCEL_REASON.get(type(error), "protocol")
        self._send(Cancel(reason, clip(error.message)))

    def _raise_failure(self, failure: DcsendError) -> NoReturn:
        # A new one each time: one that is raised twice keeps its first traceback.
        raise type(failure)(failure.message, failure.hint)

    def _introduce(self, hello: Hello) -> PeerIntroduced:
        version = choose_version(hello)
        if hello.role == self._role:
            verb = "send" if self._role == "sender" else "receive"
            raise UsageError(f"both sides want to {verb}", "one of them must do the other")
        logger.debug("peer: version %d, features %s", version, list(hello.features))
        self._on_hello(hello)
        return PeerIntroduced(hello.agent, version, hello.features, hello.name)


def _input_of(message: Message) -> TransferInput:
    if isinstance(message, Manifest):
        return TransferInput.MANIFEST if message.last else TransferInput.MANIFEST_PART
    if isinstance(message, Accept):
        return TransferInput.ACCEPT if message.last else TransferInput.ACCEPT_PART
    return TransferInput(type(message).__name__)
