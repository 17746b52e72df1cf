"""The mailbox of a second meeting (`again`): on a server, or served by the allocator.

Its name is a secret of the two sides, so there is no number and no claim. One mailbox has many
*attempts*, one after the other: the phase of a message names its own one.

    a0.TAG                         the allocator waits with an a0 that has no answer
    b0.TAG ─► a1.TAG ─► a0.NEXT    when the answer has come, there is another one
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from dcsend.errors import DcsendError
from dcsend.net.interfaces import route_sources
from dcsend.rendezvous.again import AgainKeys, tag_of
from dcsend.rendezvous.local_mailbox import LocalConnection, LocalMailbox
from dcsend.rendezvous.mailbox import Mailbox, MailboxClient
from dcsend.rendezvous.server_mailbox import ServerMailbox
from dcsend.rendezvous.servers import Server
from dcsend.rendezvous.wire import WireError, dump, tagged

__all__ = ["OFTEN", "AgainMailbox", "Attempt", "Attempts", "on_server"]

_OPEN: Final = 8.0
"Seconds until a server must have opened the mailbox."
_REACH: Final = 2.0
"Seconds until TCP must be connected; a lost SYN is repeated after one."
OFTEN: Final = 0.7
"Seconds between two attempts to connect, on average, in the first `_EAGER` seconds."
_SELDOM: Final = 3.5
"Seconds between two attempts to connect, on average, after that."
_EAGER: Final = 120.0
_LOOK: Final = 0.25
"Seconds between two looks at the addresses of this machine."
_KEPT: Final = 2
"Attempts of which an allocator keeps the messages: the joiner may still read the last one but one."


def _pauses(often: float = OFTEN) -> Iterator[float]:
    """Yield pauses of *often* on average for two minutes, then of at most 5 s, without an end."""
    begin = time.monotonic()
    while True:
        is_eager = time.monotonic() < begin + _EAGER
        yield (often if is_eager else _SELDOM) * random.uniform(0.6, 1.4)


def _watch(look: float) -> Callable[[], Awaitable[None]]:
    """Return what returns when this machine has another address than when it last returned."""
    last = route_sources()

    async def moved() -> None:
        nonlocal last
        before = last
        while before == last:
            await asyncio.sleep(look)
            last = route_sources()

    return moved


class AgainClient(MailboxClient):
    """One side of the mailbox, on a server.

    Args:
        server: its name, for messages to the user.
        again: of the short code.
        side: `a` for the allocator, `b` for the joiner.
    """

    _max_received = 5000
    "Messages on one connection, at most; there are up to 20 for each attempt."
    longest_silence = 30.0
    """The stock server removes a mailbox when each side has closed it, even if one of them has
    opened it again since then, and waits there."""

    def __init__(self, server: str, again: AgainKeys, side: str) -> None:
        super().__init__(server, again.sides[side], allocates=side == "a")
        self._id = again.mailbox

    def connect(self) -> list[str]:
        """As `MailboxClient.connect`: the name of the mailbox is known."""
        bind, *_ = super().connect()
        self._allocating = False
        self._opened = True
        new = [self._add(phase) for phase in self._own] if self._is_in_order else []
        return [bind, dump("open", mailbox=self._id), dump("ping", ping=1), *new]

    def close(self, mood: str) -> list[str]:
        """As `MailboxClient.close`, without a number."""
        return [dump("close", mood=mood)] if self._opened else []

    def forget(self, tag: str) -> None:
        """Send the messages of an attempt no more, if they are lost."""
        self._own = {phase: body for phase, body in self._own.items() if tagged(phase)[1] != tag}

    def _letter_of(self, phase: object) -> str:
        return tagged(phase)[0][:1]


def on_server(
    server: Server, again: AgainKeys, side: str, *, often: float = OFTEN, look: float = _LOOK
) -> tuple[ServerMailbox, Callable[[str], None]]:
    """Return a mailbox on a server, which connects over and over until it is closed.

    Args:
        server: of the code.
        again: of the short code.
        side: `a` for the allocator, `b` for the joiner.
        often: seconds between two attempts to connect, on average, in the first two minutes.
        look: seconds between two looks at the addresses of this machine.

    Returns:
        The mailbox, and its function that forgets an attempt.
    """
    client = AgainClient(server.name, again, side)
    mailbox = ServerMailbox(
        server,
        "",
        _OPEN,
        lambda: _pauses(often),
        protocol=client,
        reach=_REACH,
        moved=_watch(look),
    )
    mailbox.keep()
    return mailbox, client.forget


class AgainMailbox(LocalMailbox):
    """The mailbox that an allocator serves. It is that of one joiner, whose side is known."""

    def __init__(self, again: AgainKeys) -> None:
        super().__init__("")
        self._id = again.mailbox
        self._own_side, self._joiner = again.sides["a"], again.sides["b"]
        self._tags: list[str] = []

    def add_own(self, phase: str, body: bytes) -> None:
        """As `LocalMailbox.add_own`; forget the attempts before the last one."""
        _, tag = tagged(phase)
        if tag not in self._tags:
            self._tags = [*self._tags, tag][-_KEPT:]
            self._messages = {
                name: message
                for name, message in self._messages.items()
                if tagged(name)[1] in self._tags
            }
        super().add_own(phase, body)

    def claim(self, number: object, side: str) -> str:
        """Refuse every number."""
        raise WireError("this mailbox has no number")

    def open(self, mailbox: object, connection: LocalConnection) -> None:
        """As `LocalMailbox.open`: the name of the mailbox is secret, so it is a claim."""
        if mailbox == self._id and connection.side == self._joiner:
            connection.claim()
        super().open(mailbox, connection)

    def add(self, phase: object, body: object, connection: LocalConnection) -> None:
        """As `LocalMailbox.add`; ignore messages of attempts that are over.

        So it keeps at most 64 messages of the joiner for each attempt in `_tags`.
        """
        if tagged(phase)[1] in self._tags:
            super().add(phase, body, connection)

    def letter_of(self, phase: object) -> str:
        """As `LocalMailbox.letter_of`."""
        return tagged(phase)[0][:1]


class Attempt:
    """The messages of one attempt; has those methods of a `Mailbox` that carry messages."""

    def __init__(self, mailbox: Mailbox, tag: str) -> None:
        self.tag = tag
        self._mailbox = mailbox
        self._messages: asyncio.Queue[tuple[str, bytes] | DcsendError] = asyncio.Queue()

    def add(self, phase: str, body: bytes) -> None:
        """As `Mailbox.add`."""
        self._mailbox.add(f"{phase}.{self.tag}", body)

    async def next(self) -> tuple[str, bytes]:
        """As `Mailbox.next`."""
        message = await self._messages.get()
        if isinstance(message, DcsendError):
            self._messages.put_nowait(message)
            raise message.with_traceback(None)
        return message

    def put(self, message: tuple[str, bytes] | DcsendError) -> None:
        """Take a message, or the error by which the mailbox has ended."""
        self._messages.put_nowait(message)


class Attempts:
    """Sorts the messages of one mailbox by attempts."""

    def __init__(self, mailbox: Mailbox, forget: Callable[[str], None] = lambda tag: None) -> None:
        """Take a mailbox; `run` reads it.

        Args:
            mailbox: of a second meeting.
            forget: called with the tag of an attempt that is over.
        """
        self.mailbox = mailbox
        self._forget = forget
        self._open: dict[str, Attempt] = {}
        self._newest: bytes | None = None
        "The a0 that came last and has no answer."
        self._offered = asyncio.Event()
        self._answered: set[str] = set()

    async def run(self) -> None:
        """Read messages until the mailbox is lost.

        Raises:
            DcsendError: it is.
        """
        try:
            while True:
                name, body = await self.mailbox.next()
                phase, tag = tagged(name)
                if phase == "a0":
                    if tag == tag_of(body) and tag not in self._answered:
                        self._newest = body
                        self._offered.set()
                elif tag in self._open:
                    self._open[tag].put((phase, body))
        except DcsendError as error:
            for attempt in self._open.values():
                attempt.put(error)
            raise

    def attempt(self, a0: bytes) -> Attempt:
        """Return the messages of the attempt that an a0 begins; `end` it."""
        attempt = Attempt(self.mailbox, tag_of(a0))
        self._answered.add(attempt.tag)
        self._open[attempt.tag] = attempt
        return attempt

    def end(self, attempt: Attempt) -> None:
        """Read no more messages of an attempt."""
        self._open.pop(attempt.tag, None)
        self._forget(attempt.tag)

    async def offered(self) -> None:
        """Wait for an a0 of the allocator that has no answer."""
        await self._offered.wait()

    def take(self) -> bytes:
        """Return the newest a0, once; to be called after `offered`."""
        assert self._newest is not None
        a0, self._newest = self._newest, None
        self._offered.clear()
        return a0
