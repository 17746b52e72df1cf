"""The client side of the mailbox protocol of magic-wormhole, sans-I/O, over any number of sockets.

Takes texts that a server has sent, and returns texts to send. The caller opens the sockets, has the
clock, and reports each new socket with `connect`. Pure: imports leaves only.

Source: magic-wormhole-protocols, server-protocol.md.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NoReturn, Protocol

from dcsend.errors import (
    CodeUsed,
    ConnectionFailed,
    DcsendError,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.printable import printable
from dcsend.rendezvous.ice_servers import IceServer, parse_ice_servers
from dcsend.rendezvous.wire import (
    APP_ID,
    MAX_BODY,
    WireError,
    body_of,
    dump,
    is_number,
    is_text,
    parse,
    phase_letter,
)

__all__ = ["MOODS", "OTHER_SERVER", "Mailbox", "MailboxClient", "Report"]

logger = logging.getLogger(__name__)

MOODS: Final = ("happy", "lonely", "scary", "errory")
"How a conversation has ended, in `close`; a server uses it for its statistics only."
OTHER_SERVER: Final = "use a code of another server (--server), the QR code or the link"
"The hint of an error that only another server can avoid."

_CROWDED: Final = "the other side may still show this code: ask it to start again, for a new one"
"""The hint of a joiner. A stock server counts sides that have left, such as a joiner that was
killed before its first message, and does not report them to the allocator."""
_MAX_ID: Final = 100
"Code points of a mailbox id; those of the stock server have 13."
_MAX_NOTICE: Final = 400
"Code points of a text of the server that are shown."
_MAX_METHODS: Final = 8
"Methods of `permission-required` that a message names."


Report = Callable[[bool], None]
"Gets whether the server of a mailbox is connected."


class Mailbox(Protocol):
    """One conversation: `client.allocate` and `client.join` make one, or an allocator serves it."""

    @property
    def number(self) -> str:
        """The number of the short code."""

    @property
    def motd(self) -> str:
        """A notice of the server for the user, safe to show; empty if there is none."""

    @property
    def ice_servers(self) -> Sequence[IceServer]:
        """STUN and TURN servers that the server offers; the newest list."""

    def add(self, phase: str, body: bytes) -> None:
        """Send a message; it is sent again after a lost connection, until its echo arrives.

        Raises:
            LocalProtocolError: the phase is not one of this side, is used, or the body is too long.
        """

    async def next(self) -> tuple[str, bytes]:
        """Return phase and body of the next message of the other side; each phase once.

        Raises:
            DcsendError: the mailbox is lost.
        """

    def watch(self, report: Report) -> None:
        """Report from now on whether the server is connected; at once if it is not.

        Args:
            report: called with False when the connection is lost, with True when the mailbox is
                usable again.
        """

    async def close(self, mood: str) -> None:
        """Release the number and close the mailbox, in at most a second; idempotent.

        Args:
            mood: one of `MOODS`.
        """


class MailboxClient:
    """One side of one mailbox.

    Args:
        server: name of the server, for messages to the user.
        side: random hexadecimal digits, which identify this side on all of its connections.
        number: the number; empty for an allocator that needs one, and for a joiner before `claim`.
        allocates: whether this side is the allocator; None if it is one without a number.
    """

    _max_received = 1000
    "Messages on one connection; a conversation needs fewer than 300."
    longest_silence: float | None = None
    "Seconds without a text after which another socket is opened; None for any number."

    def __init__(
        self, server: str, side: str, number: str = "", allocates: bool | None = None
    ) -> None:
        if number and not is_number(number):
            raise LocalProtocolError(f"{printable(number[:20])!r} is not the number of a code")
        self._server = printable(server)
        self._side = side
        is_allocator = not number if allocates is None else allocates
        self._letter, self._others = ("a", "b") if is_allocator else ("b", "a")
        self._own: dict[str, bytes] = {}
        self._sent: set[str] = set()
        "Phases of messages that were sent on any socket."
        self._seen: set[str] = set()
        self._start()
        self.number = number
        "The number; empty until it is allocated."
        self.motd = ""
        "As `Mailbox.motd`."
        self.ice_servers: tuple[IceServer, ...] = ()
        "As `Mailbox.ice_servers`."
        self.offers_servers = False
        "Whether the server has sent a list of them, which may be empty until a joiner is there."
        self.messages: deque[tuple[str, bytes]] = deque()
        "Phase and body of messages of the other side that the caller has not taken; at most 64."
        self.is_closed = False
        "Whether the server has confirmed `close`."

    def _start(self) -> None:
        """Set the state of a new socket."""
        self._received = 0
        self._welcomed = False
        self._allocating = False
        self._claiming = False
        self._opened = False
        self._replayed = False
        self._sent_here: set[str] = set()
        self._echoed: set[str] = set()

    @property
    def side(self) -> str:
        """The digits that identify this side."""
        return self._side

    @property
    def is_welcomed(self) -> bool:
        """Whether the server has sent `welcome` on the present socket."""
        return self._welcomed

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent on the present socket."""
        return self._opened

    @property
    def is_current(self) -> bool:
        """Whether all messages that the mailbox had at `open` have arrived on this socket."""
        return self._replayed

    @property
    def is_waiting(self) -> bool:
        """Whether own messages are on their way, and `close` is too early before `is_current`."""
        return bool(self._own) and self._opened and not self._replayed

    @property
    def _is_in_order(self) -> bool:
        """Whether the next message comes after all earlier ones: a joiner begins with b0.

        One that was sent on an earlier socket may not be in the mailbox; `pong` shows it.
        """
        return self._replayed or self._sent <= self._sent_here

    def _letter_of(self, phase: object) -> str:
        """Return the letter of a phase that this mailbox has; empty for others."""
        return phase_letter(phase)

    def connect(self) -> list[str]:
        """Return the texts to send first on a new socket, before the server has sent anything."""
        self._start()
        first = [dump("bind", appid=APP_ID, side=self._side)]
        if self.number:
            return [*first, self._claim()]
        if self._letter == "b":
            return first
        self._allocating = True
        return [*first, dump("allocate")]

    def claim(self, number: str) -> list[str]:
        """Set the number, which was not known before, and return the texts to send now.

        Raises:
            LocalProtocolError: there is a number, or *number* is none.
        """
        if self.number or not is_number(number):
            raise LocalProtocolError(f"{printable(number[:20])!r} can't be claimed")
        self.number = number
        return [self._claim()]

    def add(self, phase: str, body: bytes) -> list[str]:
        """Keep a message, and return the texts to send now.

        Raises:
            LocalProtocolError: the phase is not one of this side, is used, or the body is too long.
        """
        if self._letter_of(phase) != self._letter or phase in self._own or len(body) > MAX_BODY:
            raise LocalProtocolError(f"a message {phase!r} of {len(body)} bytes can't be sent")
        self._own[phase] = body
        return [self._add(phase)] if self.is_open and self._is_in_order else []

    def close(self, mood: str) -> list[str]:
        """Return the texts that release the number and close the mailbox.

        Args:
            mood: one of `MOODS`.

        Returns:
            None of them for a joiner that has not got all messages: its side can claim the number
            again, which a server refuses to a side that has released it.
        """
        if mood not in MOODS:
            raise LocalProtocolError(f"{mood!r} is not a mood")
        can_end = self._replayed or (self._opened and self._letter == "a")
        return [dump("release"), dump("close", mood=mood)] if can_end else []

    def receive(self, text: str) -> list[str]:
        """Process a text of the server, and return the texts to send.

        Raises:
            RemoteProtocolError: the server violates the protocol.
            CodeUsed: two other sides use the number.
            ConnectionFailed: the server, or another allocator with this number, refuses this side.
        """
        self._received += 1
        try:
            if self._received > self._max_received:
                raise WireError(f"it sends more than {self._max_received} messages")
            values = parse(text)
            # Clients ignore unknown types. ack, released and nameplates need no reaction, either.
            handle = self._HANDLERS.get(str(values["type"]))
            return handle(self, values) if handle is not None else []
        except WireError as exc:
            raise self._violation(str(exc)) from None

    def refuse_oversized(self) -> NoReturn:
        """Report that the server has sent a message of more than MAX_TEXT bytes."""
        raise self._violation("a message is too long")

    def _violation(self, what: str) -> DcsendError:
        message = f"the server {self._server} violates the mailbox protocol: {what}"
        return RemoteProtocolError(message, f"check its URL, or {OTHER_SERVER}")

    def _claim(self) -> str:
        self._claiming = True
        return dump("claim", nameplate=self.number)

    def _add(self, phase: str) -> str:
        self._sent.add(phase)
        self._sent_here.add(phase)
        return dump("add", phase=phase, body=self._own[phase].hex())

    def _welcome(self, values: dict[str, object]) -> list[str]:
        welcome = values.get("welcome")
        if not isinstance(welcome, dict):
            raise WireError("welcome is not an object")
        if error := _notice(welcome.get("error")):
            raise ConnectionFailed(f"the server {self._server} refuses: {error}", OTHER_SERVER)
        methods = welcome.get("permission-required")
        if isinstance(methods, dict | list) and methods and "none" not in methods:
            names = ", ".join(_notice(name) for name in list(methods)[:_MAX_METHODS])
            raise ConnectionFailed(
                f"the server {self._server} requires a permission of a kind that dcsend "
                f"does not support: {names}",
                OTHER_SERVER,
            )
        self.motd = _notice(welcome.get("motd"))
        if (servers := welcome.get("dcsend-ice-servers")) is not None:
            self._offer(servers)
        self._welcomed = True
        return []

    def _allocated(self, values: dict[str, object]) -> list[str]:
        self._expect("allocated")
        if not self._allocating:
            return []
        number = values.get("nameplate")
        if not is_number(number):
            raise WireError("it allocates something that is not a number of 1 to 6 digits")
        self._allocating = False
        self.number = number
        return [self._claim()]

    def _claimed(self, values: dict[str, object]) -> list[str]:
        self._expect("claimed")
        if not self._claiming:
            return []
        mailbox = values.get("mailbox")
        if not is_text(mailbox, _MAX_ID):
            raise WireError("the id of a mailbox is not text")
        self._claiming = False
        self._opened = True
        # A message that was sent on an earlier socket may be in the mailbox. If it is, its echo
        # arrives before the response to this ping: a server handles messages in their order.
        new = [self._add(phase) for phase in self._own] if self._is_in_order else []
        return [dump("open", mailbox=mailbox), dump("ping", ping=1), *new]

    def _pong(self, values: dict[str, object]) -> list[str]:
        if not self._opened or self._replayed:
            return []
        self._replayed = True
        there = self._sent_here | self._echoed
        return [self._add(phase) for phase in self._own if phase not in there]

    def _message(self, values: dict[str, object]) -> list[str]:
        side, phase = values.get("side"), values.get("phase")
        if not isinstance(phase, str) or not (letter := self._letter_of(phase)):
            return []
        if side == self._side:
            if phase == "b0" and phase not in self._own:
                raise CodeUsed(
                    f"an earlier attempt has used up the code with the number {self.number}",
                    "ask the other side for its new code",
                )
            self._echoed.add(phase)
        elif letter == self._others:
            if phase not in self._seen:
                body = body_of(values.get("body"))
                self._seen.add(phase)
                self.messages.append((phase, body))
        elif phase == "a0":
            # A server that has lost its database gives the number to another allocator.
            raise ConnectionFailed(
                f"the server {self._server} has given the number {self.number} to another code",
                "try again",
            )
        return []

    def _ice_servers(self, values: dict[str, object]) -> list[str]:
        self._offer(values.get("servers"))
        return []

    def _offer(self, servers: object) -> None:
        self.ice_servers = parse_ice_servers(servers)
        self.offers_servers = True

    def _closed(self, values: dict[str, object]) -> list[str]:
        self.is_closed = True
        return []

    def _error(self, values: dict[str, object]) -> list[str]:
        error = values.get("error")
        if error == "crowded":
            raise CodeUsed(
                f"two others already use the number {self.number} on the server {self._server}",
                "try again" if self._letter == "a" else _CROWDED,
            )
        shown = _notice(error) or "an error without a text"
        raise ConnectionFailed(f"the server {self._server} reports: {shown}", OTHER_SERVER)

    def _expect(self, kind: str) -> None:
        if not self._welcomed:
            raise WireError(f"{kind} comes before welcome")

    _HANDLERS: ClassVar[dict[str, Callable[[MailboxClient, dict[str, object]], list[str]]]] = {
        "welcome": _welcome,
        "allocated": _allocated,
        "claimed": _claimed,
        "pong": _pong,
        "message": _message,
        "ice-servers": _ice_servers,
        "closed": _closed,
        "error": _error,
    }


def _notice(value: object) -> str:
    r"""Return a text of the server in one line that is safe to show; empty if it is not text.

    >>> _notice("down\n at\x1b 8")
    'down at\\x1b 8'
    """
    if not isinstance(value, str):
        return ""
    line = " ".join(value[: 2 * _MAX_NOTICE].split())
    return printable(line[:_MAX_NOTICE])
