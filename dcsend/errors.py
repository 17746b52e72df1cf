"""All errors, as one tree of classes, with exit statuses in parentheses.

    DcsendError                     kind, exit_status, hint
    ├─ UsageError                   the request is impossible or contradictory  (2)
    │   └─ MalformedCode            the code is damaged                         (2)
    │       └─ IncompleteCode       a part of the code is missing               (2)
    ├─ SourceError                  a source is missing, unreadable, changed    (3)
    ├─ DestinationError             exists, disk full, not writable             (4)
    ├─ ConnectionFailed             no connection, or it was lost               (5)
    ├─ IntegrityError               received bytes differ from the sent ones    (6)
    ├─ PeerRefused                  the peer declined or cancelled              (7)
    │   ├─ CodeUsed                 another peer has used the code              (7)
    │   ├─ PeerCannotSave           the receiver can't save what is offered     (7)
    │   └─ PeerDryRun               the receiver makes a dry run                (7)
    ├─ AuthenticationFailed         wrong secret or wrong certificate           (8)
    ├─ TimedOut                     no peer connected or responded in time      (9)
    │   └─ CodeExpired              the code has expired                        (9)
    ├─ IncompatibleVersion          the two sides have no version in common    (10)
    ├─ PartlyDone                   some files were transferred, some not      (11)
    ├─ Interrupted                  a signal ended the run          (130, 143, 129)
    ├─ LocalProtocolError           this program violated the protocol          (1)
    └─ RemoteProtocolError          the peer violated the protocol              (1)

A message is lower case, has no full stop, and names the thing; `hint` is the next step, shown on a
line of its own. Imports nothing: every layer may import it.
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
    "PeerCannotSave",
    "PeerDryRun",
    "PeerRefused",
    "RemoteProtocolError",
    "SourceError",
    "TimedOut",
    "UsageError",
]


class DcsendError(Exception):
    """The base class; only subclasses are raised.

    Args:
        message: what went wrong, with the name of the thing.
        hint: the next step; empty if there is none.
    """

    kind: ClassVar[str] = "unexpected"
    "Stable name of the kind of error, as in the `error` event."
    exit_status: int = 1
    "Exit status of the process; docs/json.md lists them."
    default_hint: ClassVar[str] = ""
    "The hint if none is passed."

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def __str__(self) -> str:
        return self.message

    def amend(self, message: str = "", hint: str = "") -> None:
        """Replace the message and the hint by those arguments that are not empty."""
        self.message = message or self.message
        self.hint = hint or self.hint


class UsageError(DcsendError):
    """The request of the user or of the calling program is impossible or contradictory."""

    kind = "usage"
    exit_status = 2


class MalformedCode(UsageError):
    """The code is damaged, incomplete, or not a code."""

    kind = "code"
    default_hint = "copy the whole code or link again, from its first to its last character"


class IncompleteCode(MalformedCode):
    """The end of the code is missing; further input may complete it."""

    kind = "code-incomplete"


class SourceError(DcsendError):
    """A source is missing, unreadable, or changed while it was sent."""

    kind = "source"
    exit_status = 3


class DestinationError(DcsendError):
    """The destination exists, is full, or can't be written to."""

    kind = "destination"
    exit_status = 4


class ConnectionFailed(DcsendError):
    """No connection could be made, or it was lost; it can be tried again."""

    kind = "connection"
    exit_status = 5


class IntegrityError(DcsendError):
    """Received bytes differ from the sent ones."""

    kind = "integrity"
    exit_status = 6
    default_hint = "run it again; nothing was saved under the file's name"


class PeerRefused(DcsendError):
    """The peer declined or cancelled."""

    kind = "refused"
    exit_status = 7


class CodeUsed(PeerRefused):
    """Another peer has connected with this code."""

    kind = "code-used"
    default_hint = "a code works once; ask the other side for a new one"


class PeerCannotSave(PeerRefused):
    """The receiver can't save what is offered: files exist, or the disk is full."""

    kind = "cannot-save"
    default_hint = (
        "send other files; or ask the person there to make room, or to start dcsend again with "
        "--rename or --overwrite, which makes a new code"
    )


class PeerDryRun(PeerRefused):
    """The receiver has examined the offer, and received nothing (`--dry-run`)."""

    kind = "dry-run"
    default_hint = "ask for a new code"


class AuthenticationFailed(DcsendError):
    """The secret or the certificate is not the one in the code."""

    kind = "authentication"
    exit_status = 8


class TimedOut(DcsendError):
    """No peer connected, or the peer did not respond, in time."""

    kind = "timeout"
    exit_status = 9


class CodeExpired(TimedOut):
    """The code has expired."""

    kind = "code-expired"
    default_hint = "ask the other side for a new one"


class IncompatibleVersion(DcsendError):
    """The two sides, or the code and this program, have no version in common."""

    kind = "version"
    exit_status = 10
    default_hint = "update dcsend on both sides"


class PartlyDone(DcsendError):
    """Some files were transferred and verified, others were not."""

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
    """This program violated the protocol: a bug in dcsend."""

    kind = "bug"
    default_hint = "this is a bug in dcsend; please report it"


class RemoteProtocolError(DcsendError):
    """The peer violated the protocol; the connection is not used further."""

    kind = "protocol"
    default_hint = "update dcsend on both sides; if that does not help, do not trust the other side"
