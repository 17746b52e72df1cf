"""What sender and receiver share: states, the queue of messages, and how it ends.

    NEW -> GREETING -> … -> COMPLETED -> DONE        each by its own TRANSITIONS table
              any of these -> CANCELLED              either side cancelled
              any of these -> FAILED                 the peer broke a rule

Sans-I/O: text and bytes go in, events and text come out. No clock, no socket.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping
from typing import Final, NoReturn

from dcsend.errors import (
    DcsendError,
    IncompatibleVersion,
    IntegrityError,
    LocalProtocolError,
    RemoteProtocolError,
    UsageError,
)
from dcsend.protocol import limits
from dcsend.protocol.events import Cancelled, Event, PeerIntroduced
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

__all__ = ["ANY_TIME", "Input", "Side", "State", "Transitions"]


class State(enum.StrEnum):
    """Where a transfer stands."""

    NEW = "new"
    "Nothing has happened; `start` it."
    GREETING = "greeting"
    "Hello is sent, the peer's is awaited."
    OFFERING = "offering"
    "Sender: the manifest is sent, the answer is awaited."
    SENDING = "sending"
    "Sender: frames may go."
    SENT = "sent"
    "Sender: all frames are gone, the last word is awaited."
    WAITING = "waiting"
    "Receiver: the manifest is awaited."
    DECIDING = "deciding"
    "Receiver: the manifest is here, the answer is not given."
    RECEIVING = "receiving"
    "Receiver: frames are awaited."
    RECEIVED = "received"
    "Receiver: all frames are here, verdicts are due."
    COMPLETED = "completed"
    "The last word is sent or received, Bye is due."
    DECLINED = "declined"
    "The receiver wanted none of it."
    DONE = "done"
    "Bye is sent or received."
    CANCELLED = "cancelled"
    "One side cancelled; whatever still arrives is ignored."
    FAILED = "failed"
    "The peer broke a rule; every further call raises the same error."


class Input(enum.StrEnum):
    """What moves a transfer from state to state.

    Capitalised as PROTOCOL.md does: messages of the peer with a capital letter, the rest
    is something that happens on this side.
    """

    HELLO = "Hello"
    MANIFEST_PART = "Manifest (more follow)"
    MANIFEST = "Manifest (last)"
    ACCEPT_PART = "Accept (more follow)"
    ACCEPT = "Accept (last)"
    DECLINE = "Decline"
    FRAME = "Frame"
    ACK = "Ack"
    VERDICT = "Verdict"
    WORKING = "Working"
    COMPLETE = "Complete"
    BYE = "Bye"
    CANCEL = "Cancel"
    START = "start"
    SEND_ACCEPT = "accept"
    SEND_DECLINE = "decline"
    SEND_FRAME = "send frame"
    ALL_FRAMES = "all frames passed"
    SEND_VERDICT = "verdict"
    SEND_WORKING = "working"
    ALL_VERDICTS = "all files judged"
    END = "end"
    SEND_CANCEL = "cancel"
    VIOLATION = "violation"


Transitions = Mapping[State, Mapping[Input, State]]

ANY_TIME: Final[Mapping[Input, State]] = {
    Input.CANCEL: State.CANCELLED,
    Input.SEND_CANCEL: State.CANCELLED,
    Input.VIOLATION: State.FAILED,
}
"What may happen in each state between NEW and COMPLETED."

# Why we cancel when the peer is at fault, by what we raise; RemoteProtocolError is the rest.
_CANCEL_REASON: Final[Mapping[type[DcsendError], str]] = {
    IntegrityError: "integrity",
    IncompatibleVersion: "version",
}


class Side(abc.ABC):
    """One end of a transfer; see `Sender` and `Receiver`."""

    def __init__(self, transitions: Transitions, role: str, agent: str) -> None:
        self._transitions = transitions
        self._role = role
        self._agent = agent
        self._state = State.NEW
        self._queue: list[str] = []
        self._failure: DcsendError | None = None

    @property
    def state(self) -> State:
        """Where the transfer stands."""
        return self._state

    def start(self) -> None:
        """Queue Hello; call it once, when the control channel is open.

        Raises:
            LocalProtocolError: it was called before.
        """
        self._step(Input.START)
        self._send(Hello(limits.VERSIONS, self._agent, self._role))

    def receive(self, message: str | bytes) -> list[Event]:
        """Take a message of the control channel in; afterwards call `messages_to_send`.

        In DONE, DECLINED and CANCELLED nothing matters any more and it returns nothing.

        Raises:
            RemoteProtocolError: the peer broke a rule; a Cancel for it is queued.
            IncompatibleVersion: it speaks no version that we do; a Cancel is queued.
            UsageError: it wants to send, or receive, as we do; a Cancel is queued.
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
        """Hand out, once, what must now go to the control channel, in this order."""
        queue, self._queue = self._queue, []
        return queue

    def cancel(self, reason: str, message: str = "") -> None:
        """End it and tell the peer; without effect when it has ended anyway.

        Args:
            reason: one of CANCEL_REASONS.
            message: for people; cut at 500 code points.
        """
        if reason not in CANCEL_REASONS:
            raise LocalProtocolError(f"no reason to cancel: {reason}")
        if Input.SEND_CANCEL in self._transitions[self._state]:
            self._step(Input.SEND_CANCEL)
            self._send(Cancel(reason, clip(message)))

    def working(self) -> None:
        """Queue Working, where this side may be what the peer waits for; else without effect."""
        if Input.SEND_WORKING in self._transitions[self._state]:
            self._step(Input.SEND_WORKING)
            self._send(Working())

    # --- for Sender and Receiver

    @abc.abstractmethod
    def _on_hello(self, hello: Hello) -> None:
        """The peer is known and fits."""

    @abc.abstractmethod
    def _on_message(self, message: Message, text: str) -> list[Event]:
        """A message came that the table allows; the state has moved on already."""

    def _on_cancel(self, cancel: Cancel) -> list[Event]:
        return [Cancelled(cancel.reason, cancel.message)]

    def _send(self, message: Message) -> None:
        self._queue.append(encode(message))

    def _is_over(self) -> bool:
        """Whether what arrives is of no interest; raises again what went wrong."""
        if self._state is State.NEW:
            raise LocalProtocolError("received before start")
        if self._transitions[self._state]:
            return False
        if self._failure is not None:
            self._raise_failure(self._failure)
        return True

    def _step(self, step: Input) -> None:
        """Move on by something that this side does."""
        following = self._transitions[self._state].get(step)
        if following is None:
            if self._failure is not None:
                self._raise_failure(self._failure)
            raise LocalProtocolError(f"{step} is impossible while {self._state}")
        self._state = following

    def _step_by_peer(self, step: Input) -> None:
        """Move on by something that the peer sent."""
        following = self._transitions[self._state].get(step)
        if following is None:
            raise RemoteProtocolError(f"{step} is not allowed while {self._state}")
        self._state = following

    def _fail(self, error: DcsendError) -> None:
        """The peer is at fault: tell it, and refuse everything from now on."""
        self._step(Input.VIOLATION)
        self._failure = error
        reason = _CANCEL_REASON.get(type(error), "protocol")
        self._send(Cancel(reason, clip(error.message)))

    def _raise_failure(self, failure: DcsendError) -> NoReturn:
        # A new one each time: one that is raised twice drags its first traceback along.
        raise type(failure)(failure.message, failure.hint)

    def _introduce(self, hello: Hello) -> PeerIntroduced:
        version = choose_version(hello)
        if hello.role == self._role:
            verb = "send" if self._role == "sender" else "receive"
            raise UsageError(f"both sides want to {verb}", "one of them must do the other")
        self._on_hello(hello)
        return PeerIntroduced(hello.agent, version, hello.features)


def _input_of(message: Message) -> Input:
    if isinstance(message, Manifest):
        return Input.MANIFEST if message.last else Input.MANIFEST_PART
    if isinstance(message, Accept):
        return Input.ACCEPT if message.last else Input.ACCEPT_PART
    return Input(type(message).__name__)
