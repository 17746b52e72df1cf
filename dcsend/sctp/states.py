"""The states of an association and the transitions between them."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["RECEIVING", "SENDING", "TRANSITIONS", "Input", "State"]


class State(enum.Enum):
    """The states of RFC 9260, 4. ENDED is CLOSED after the association, and final."""

    CLOSED = enum.auto()
    COOKIE_WAIT = enum.auto()
    COOKIE_ECHOED = enum.auto()
    ESTABLISHED = enum.auto()
    SHUTDOWN_PENDING = enum.auto()
    SHUTDOWN_SENT = enum.auto()
    SHUTDOWN_RECEIVED = enum.auto()
    SHUTDOWN_ACK_SENT = enum.auto()
    ENDED = enum.auto()


class Input(enum.Enum):
    """Inputs of the state machine; chunks are received ones."""

    ASSOCIATE = enum.auto()
    INIT_ACK = enum.auto()
    COOKIE_ECHO = enum.auto()
    COOKIE_ACK = enum.auto()
    CLOSE = enum.auto()
    SHUTDOWN = enum.auto()
    SHUTDOWN_ACK = enum.auto()
    SHUTDOWN_COMPLETE = enum.auto()
    DRAINED = enum.auto()
    "Everything that was sent is acknowledged."
    ABORT = enum.auto()
    "ABORT of either side, or too many timeouts."


SENDING: Final = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED})
"States in which DATA may be sent."
RECEIVING: Final = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT})
"States in which DATA is received."

TRANSITIONS: Final[dict[State, dict[Input, State]]] = {
    State.CLOSED: {
        Input.ASSOCIATE: State.COOKIE_WAIT,
        Input.COOKIE_ECHO: State.ESTABLISHED,
        Input.ABORT: State.ENDED,
    },
    State.COOKIE_WAIT: {
        Input.INIT_ACK: State.COOKIE_ECHOED,
        Input.COOKIE_ECHO: State.ESTABLISHED,
        Input.ABORT: State.ENDED,
    },
    State.COOKIE_ECHOED: {
        Input.COOKIE_ECHO: State.ESTABLISHED,
        Input.COOKIE_ACK: State.ESTABLISHED,
        Input.ABORT: State.ENDED,
    },
    State.ESTABLISHED: {
        Input.CLOSE: State.SHUTDOWN_PENDING,
        Input.SHUTDOWN: State.SHUTDOWN_RECEIVED,
        Input.ABORT: State.ENDED,
    },
    State.SHUTDOWN_PENDING: {
        Input.DRAINED: State.SHUTDOWN_SENT,
        Input.SHUTDOWN: State.SHUTDOWN_RECEIVED,
        Input.ABORT: State.ENDED,
    },
    State.SHUTDOWN_SENT: {
        Input.SHUTDOWN: State.SHUTDOWN_ACK_SENT,
        Input.SHUTDOWN_ACK: State.ENDED,
        Input.ABORT: State.ENDED,
    },
    State.SHUTDOWN_RECEIVED: {
        Input.DRAINED: State.SHUTDOWN_ACK_SENT,
        Input.ABORT: State.ENDED,
    },
    State.SHUTDOWN_ACK_SENT: {
        Input.SHUTDOWN_ACK: State.ENDED,
        Input.SHUTDOWN_COMPLETE: State.ENDED,
        Input.ABORT: State.ENDED,
    },
    State.ENDED: {},
}
"Inputs that are not in the table have no effect."
