"""Everything that can go wrong, as one tree.

    DcsendError                     kind, exit_status, hint
    ├─ UsageError                   you asked for something impossible          (2)
    │   └─ MalformedCode            the code is damaged                         (2)
    │       └─ IncompleteCode       a part of the code is missing               (2)
    ├─ SourceError                  a source is missing, unreadable, changed    (3)
    ├─ DestinationError             exists, disk full, not writable             (4)
    ├─ ConnectionFailed             no path, nobody there, or the path was lost (5)
    ├─ IntegrityError               bytes arrived that are not the sent ones    (6)
    ├─ PeerRefused                  the other side declined or cancelled        (7)
    │   └─ CodeUsed                 somebody else has taken the code            (7)
    ├─ AuthenticationFailed         wrong secret or wrong certificate           (8)
    ├─ TimedOut                     nobody came, or nobody answered, in time    (9)
    │   └─ CodeExpired              the code is too old                         (9)
    ├─ IncompatibleVersion          the two sides share no version             (10)
    ├─ PartlyDone                   some files are safe, some are not          (11)
    ├─ Interrupted                  a signal ended the run          (130, 143, 129)
    ├─ LocalProtocolError           this program misused the protocol           (1)
    └─ RemoteProtocolError          the peer broke a rule of the protocol       (1)

A message is lower case, has no full stop, and names the thing; `hint` is the
next step, on a line of its own. Imports nothing: every layer may import it.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuthenticationFailed",
    "CodeExpired",
    "CodeUsed",
    "ConnectionFailed",
    "DcsendError",
    "DestinationError",
    "IncompatibleVersion",
    "IncompleteCode",
    "IntegrityError",
    "Interrupted",
    "LocalProtocolError",
    "MalformedCode",
    "PartlyDone",
    "PeerRefused",
    "RemoteProtocolError",
    "SourceError",
    "TimedOut",
    "UsageError",
]


class DcsendError(Exception):
    """The root of the tree; never raised itself.

    Args:
        message: what went wrong, naming the thing.
        hint: what to do next; empty if there is nothing to do.
    """

    kind: ClassVar[str] = "unexpected"
    "Stable name of the class of failure, as in the `error` event."
    exit_status: int = 1
    "What the process ends with; README lists them all."
    default_hint: ClassVar[str] = ""
    "The hint where the raiser gives none."

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def __str__(self) -> str:
        return self.message


class UsageError(DcsendError):
    """The caller asked for something impossible."""

    kind = "usage"
    exit_status = 2


class MalformedCode(UsageError):
    """The code is damaged, incomplete, or not a code at all."""

    kind = "code"
    default_hint = "copy the whole code or link again, from its first to its last character"


class IncompleteCode(MalformedCode):
    """A part of the code seems to be missing; more of it may come."""

    kind = "code-incomplete"


class SourceError(DcsendError):
    """A source is missing, unreadable, or changed while it was sent."""

    kind = "source"
    exit_status = 3


class DestinationError(DcsendError):
    """The destination exists, is full, or can't be written."""

    kind = "destination"
    exit_status = 4


class ConnectionFailed(DcsendError):
    """No path to the peer, nobody there, or the path was lost; can be tried again."""

    kind = "connection"
    exit_status = 5


class IntegrityError(DcsendError):
    """Bytes arrived that are not the ones that were sent."""

    kind = "integrity"
    exit_status = 6
    default_hint = "run it again; nothing was saved under the file's name"


class PeerRefused(DcsendError):
    """The other side declined or cancelled."""

    kind = "refused"
    exit_status = 7


class CodeUsed(PeerRefused):
    """Somebody else has connected with this code."""

    kind = "code-used"
    default_hint = "a code works once; ask the other side for a new one"


class AuthenticationFailed(DcsendError):
    """The secret or the certificate is not the one in the code."""

    kind = "authentication"
    exit_status = 8


class TimedOut(DcsendError):
    """Nobody came, or nobody answered, in time."""

    kind = "timeout"
    exit_status = 9


class CodeExpired(TimedOut):
    """The code is too old."""

    kind = "code-expired"
    default_hint = "ask the other side for a new one, or to use a longer --expires"


class IncompatibleVersion(DcsendError):
    """The two sides, or the code and this program, share no version."""

    kind = "version"
    exit_status = 10
    default_hint = "update dcsend on both sides"


class PartlyDone(DcsendError):
    """Some files are safe, some are not."""

    kind = "partly"
    exit_status = 11


class Interrupted(DcsendError):
    """A signal ended the run.

    Args:
        number: the signal's number; the exit status is 128 more (130 for Ctrl-C).
    """

    kind = "interrupted"

    def __init__(self, number: int, hint: str = "") -> None:
        super().__init__("interrupted", hint)
        self.exit_status = 128 + number


class LocalProtocolError(DcsendError):
    """This program used the protocol wrongly: a bug in dcsend."""

    kind = "bug"
    default_hint = "this is a bug in dcsend; please report it"


class RemoteProtocolError(DcsendError):
    """The peer broke a rule of the protocol; the connection is not used further."""

    kind = "protocol"
    default_hint = "update dcsend on both sides; if it stays, the other side is faulty or hostile"
