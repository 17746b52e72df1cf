"""The mailbox that an allocator serves for its own number: the server side of the protocol.

`LocalMailbox` is sans-I/O: it takes texts of connections and sends texts through callbacks.
`LocalSide` is the allocator's half, with the methods of every `Mailbox`. Any device in the network
can connect, so everything that a connection can cause is bounded.

Source: magic-wormhole-protocols, server-protocol.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from dcsend.errors import ConnectionFailed, LocalProtocolError
from dcsend.rendezvous.ice_servers import IceServer
from dcsend.rendezvous.mailbox import Report
from dcsend.rendezvous.wire import (
    APP_ID,
    MAX_BODY,
    WireError,
    body_of,
    dump,
    is_text,
    parse,
    phase_letter,
)

__all__ = ["MAX_RECEIVED", "LocalConnection", "LocalMailbox", "LocalSide"]

logger = logging.getLogger(__name__)

MAX_RECEIVED: Final = 200
"Messages of one connection, which is closed after them."
_MAX_SIDE: Final = 64
"Code points of a side; random ones have 10."
_PING: Final = 1 << 64
"Greater than the number in a `ping`."
_ENDED: Final = "this code has ended"
"The error on all connections once the mailbox is closed."


class LocalMailbox:
    """The mailbox of one number.

    It has two places. The allocator has the first. Any number of sides can read its messages, since
    they are not secret; the first of them that adds a message has the second place, for good. So a
    side that only stays connected does not keep the joiner out.

    Args:
        number: of the short code.
        random: returns so many random bytes.
    """

    def __init__(self, number: str, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self.number = number
        "The number of the short code."
        self._id = random(8).hex()
        self._own_side = random(5).hex()
        self._joiner = ""
        "The side in the second place; empty if it is free."
        self._links: dict[str, LocalConnection] = {}
        "The newest open connection of each side; of the joiner only, if there is one."
        self._messages: dict[str, tuple[str, str]] = {}
        "Side and body, in hexadecimal, by phase."
        self._connections: set[LocalConnection] = set()
        self._is_over = False
        self.side = LocalSide(self)
        "The allocator's half."

    def connect(self, send: Callable[[str], None], close: Callable[[], None]) -> LocalConnection:
        """Return a new connection; it sends `welcome` at once.

        Args:
            send: takes a text to send; must not block.
            close: called once when the connection is to be closed, after all texts.
        """
        connection = LocalConnection(self, send, close)
        self._connections.add(connection)
        if self._is_over:
            connection.refuse(_ENDED)
        return connection

    def end(self) -> None:
        """Close all connections, and refuse others; idempotent."""
        self._is_over = True
        for connection in self._connections.copy():
            connection.refuse(_ENDED)

    def add_own(self, phase: str, body: bytes) -> None:
        """Add a message of the allocator."""
        self._messages[phase] = (self._own_side, body.hex())
        for link in self._links.copy().values():
            link.deliver(self._own_side, phase, body.hex())

    # --- called by connections

    def claim(self, number: object, side: str) -> str:
        """Return the id of the mailbox.

        Raises:
            WireError: the number is another one, or another side has the second place.
        """
        if number != self.number:
            raise WireError("this mailbox has another number")
        # A device that has read the allocator's messages has seen its side.
        if side == self._own_side or self._joiner not in ("", side):
            raise WireError("crowded")
        return self._id

    def is_joiner(self, connection: LocalConnection) -> bool:
        """Return whether a connection is that of the side which has the second place."""
        return connection.side == self._joiner and self._links.get(self._joiner) is connection

    def open(self, mailbox: object, connection: LocalConnection) -> None:
        """Deliver all messages, and those that are added later.

        Raises:
            WireError: there is no such mailbox, or the side has not claimed the number.
        """
        if mailbox != self._id or not connection.is_claimed:
            raise WireError("claim the number first")
        earlier = self._links.get(connection.side)
        self._links[connection.side] = connection
        if earlier is not None:
            earlier.end()  # its side has a new socket
        for phase, (side, body) in self._messages.items():
            connection.deliver(side, phase, body)

    def add(self, phase: object, body: object, connection: LocalConnection) -> None:
        """Add a message of the joiner; the first one of each phase counts.

        The first message of all gives its side the second place, and ends the other connections.

        Raises:
            WireError: the mailbox is not open, or it is no message of a joiner, who begins with b0.
        """
        if self._links.get(connection.side) is not connection:
            raise WireError("open the mailbox first")
        if not isinstance(phase, str) or self.letter_of(phase) != "b":
            raise WireError("a joiner's phases are b0 to b63")
        content = body_of(body)
        if not self._joiner:
            if phase != "b0":
                raise WireError("a joiner begins with b0")
            self._joiner = connection.side
            for link in self._connections - {connection}:
                if link.is_claimed:
                    link.refuse("crowded")
        if phase not in self._messages:
            self._messages[phase] = (connection.side, content.hex())
            self.side.put(phase, content)
        connection.deliver(connection.side, phase, self._messages[phase][1])

    def letter_of(self, phase: object) -> str:
        """Return the letter of a phase that this mailbox has; empty for others."""
        return phase_letter(phase)

    def leave(self, connection: LocalConnection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if self._links.get(connection.side) is connection:
            del self._links[connection.side]


class LocalConnection:
    """One socket of a joiner, or of any device in the network. Made by `LocalMailbox.connect`.

    Args:
        mailbox: that is served.
        send: takes a text to send.
        close: called once when the connection is to be closed.
    """

    def __init__(
        self, mailbox: LocalMailbox, send: Callable[[str], None], close: Callable[[], None]
    ) -> None:
        self._mailbox = mailbox
        self._send = send
        self._close = close
        self._received = 0
        self.side = ""
        "As in `bind`; empty before."
        self.is_claimed = False
        "Whether its side has claimed the number."
        self._is_open = False
        self.is_over = False
        "Whether the connection is to be closed; texts are ignored from then on."
        send(dump("welcome", welcome={}))

    @property
    def is_joiner(self) -> bool:
        """Whether its side is the joiner: it has added the first message."""
        return not self.is_over and self._mailbox.is_joiner(self)

    def receive(self, text: str) -> None:
        """Process a text of the other end; one that violates the protocol ends the connection."""
        if self.is_over:
            return
        self._received += 1
        try:
            if self._received > MAX_RECEIVED:
                raise WireError("too many messages")
            values = parse(text)
            self._send(dump("ack"))
            handle = self._HANDLERS.get(str(values["type"]))
            if handle is None:
                raise WireError("this mailbox has no messages of that type")
            if not self.side and handle not in self._UNBOUND:
                raise WireError("bind first")
            handle(self, values)
        except WireError as exc:
            self.refuse(str(exc))

    def claim(self) -> None:
        """Note that its side has claimed the mailbox."""
        self.is_claimed = True

    def refuse(self, reason: str) -> None:
        """Send an error, and close the connection."""
        # Without the original message, which would double what a device can cause.
        logger.debug("connection to the local mailbox refused: %s", reason)
        self._send(dump("error", error=reason))
        self.end()

    def deliver(self, side: str, phase: str, body: str) -> None:
        """Send a message of the mailbox."""
        self._send(dump("message", side=side, phase=phase, body=body))

    def end(self) -> None:
        """Close the connection; idempotent."""
        if not self.is_over:
            self.is_over = True
            self._mailbox.leave(self)
            self._close()

    def _ping(self, values: dict[str, object]) -> None:
        value = values.get("ping")
        if type(value) is not int or abs(value) >= _PING:
            raise WireError("ping has no number")
        self._send(dump("pong", pong=value))

    def _bind(self, values: dict[str, object]) -> None:
        side = values.get("side")
        if self.side:
            raise WireError("bound already")
        if values.get("appid") != APP_ID:
            raise WireError("this mailbox has another AppID")
        if not is_text(side, _MAX_SIDE):
            raise WireError("bind has no side")
        self.side = side

    def _claim(self, values: dict[str, object]) -> None:
        self._send(dump("claimed", mailbox=self._mailbox.claim(values.get("nameplate"), self.side)))
        self.is_claimed = True

    def _open(self, values: dict[str, object]) -> None:
        if self._is_open:
            raise WireError("open already")
        self._mailbox.open(values.get("mailbox"), self)
        self._is_open = True

    def _add(self, values: dict[str, object]) -> None:
        self._mailbox.add(values.get("phase"), values.get("body"), self)

    def _release(self, values: dict[str, object]) -> None:
        self._send(dump("released"))  # the number ends with the mailbox

    def _closing(self, values: dict[str, object]) -> None:
        self._send(dump("closed"))
        self.end()

    _HANDLERS: ClassVar[dict[str, Callable[[LocalConnection, dict[str, object]], None]]] = {
        "ping": _ping,
        "bind": _bind,
        "claim": _claim,
        "open": _open,
        "add": _add,
        "release": _release,
        "close": _closing,
    }
    _UNBOUND: ClassVar = (_ping, _bind)
    "Handlers of messages that may come before `bind`."


class LocalSide:
    """The allocator's half of a local mailbox: a `Mailbox` without a socket."""

    motd: Final = ""
    "As `Mailbox.motd`: there is no server."
    ice_servers: Final[tuple[IceServer, ...]] = ()
    "As `Mailbox.ice_servers`: there is no server."

    def __init__(self, mailbox: LocalMailbox) -> None:
        self._mailbox = mailbox
        self._own: set[str] = set()
        self._messages: deque[tuple[str, bytes]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def number(self) -> str:
        """The number of the short code."""
        return self._mailbox.number

    def add(self, phase: str, body: bytes) -> None:
        """Send a message to the joiner, now or when it connects.

        Raises:
            LocalProtocolError: the phase is not one of an allocator, is used, or the body is too
                long.
        """
        if self._mailbox.letter_of(phase) != "a" or phase in self._own or len(body) > MAX_BODY:
            raise LocalProtocolError(f"a message {phase!r} of {len(body)} bytes can't be sent")
        self._own.add(phase)
        self._mailbox.add_own(phase, body)

    def put(self, phase: str, body: bytes) -> None:
        """Take a message of the joiner; there are at most 64."""
        self._messages.append((phase, body))
        self._wake()

    async def next(self) -> tuple[str, bytes]:
        """Return phase and body of the next message of the joiner; each phase once.

        Raises:
            ConnectionFailed: the mailbox is closed.
        """
        while not self._messages:
            if self._is_closed:
                raise ConnectionFailed("the mailbox is closed")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._messages.popleft()

    def watch(self, report: Report) -> None:
        """Report nothing: there is no server that could be lost."""

    async def close(self, mood: str) -> None:
        """Close the mailbox and its connection; idempotent."""
        self._is_closed = True
        self._mailbox.end()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
