"""One mailbox on a rendezvous server, over one WebSocket after the other, until `close`.

A lost socket is followed by another one after a pause, and what the mailbox lacks is sent again
(`mailbox.MailboxClient`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.printable import printable
from dcsend.rendezvous.ice_servers import IceServer
from dcsend.rendezvous.loading import load_aiohttp
from dcsend.rendezvous.mailbox import OTHER_SERVER, MailboxClient, Report
from dcsend.rendezvous.servers import Server

if TYPE_CHECKING:
    from dcsend.rendezvous.websocket import WebSocket

__all__ = ["WELCOME", "Pauses", "ServerMailbox"]

logger = logging.getLogger(__name__)

WELCOME: Final = 5.0
"Seconds from an open WebSocket to `welcome`, which a server sends first."
_PREPARED: Final = 3.0
"""Seconds until a mailbox must be open over a socket that was idle: it can be lost without a sign.
Then another socket has the usual time."""
_CLOSING: Final = 1.0
"Seconds until `close` returns, whatever the server does."

Pauses = Callable[[], Iterator[float]]
"Yields the seconds before each attempt to connect again; after the last one the mailbox is lost."


class ServerMailbox:
    """A `Mailbox` on a server. Made by the functions of `client`."""

    def __init__(
        self,
        server: Server,
        number: str,
        timeout: float,
        pauses: Pauses,
        *,
        allocates: bool = False,
        side: str = "",
        protocol: MailboxClient | None = None,
        reach: float | None = None,
        moved: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._server = server
        self._name = printable(server.name)
        self._timeout = timeout
        self._pauses = pauses
        side = side or os.urandom(5).hex()
        self._protocol = protocol or MailboxClient(server.name, side, number, allocates)
        self._reach = reach
        self._moved = moved
        "Returns when this machine has another address: then another socket is opened at once."
        self._outgoing: asyncio.Queue[str] | None = None
        "The texts to send on the present socket; None while there is none."
        self._opening: asyncio.Future[None] | None = None
        self._is_wanted = asyncio.Event()
        "Set when the mailbox is to be opened: before, a joiner may wait for its number."
        self._limit: asyncio.Timeout | None = None
        "Of the present socket."
        self._deadline = 0.0
        "When the mailbox must be open on the present socket, in the time of the loop."
        self._error: DcsendError | None = None
        "Why the mailbox is lost."
        self._waiters: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._was_current = False
        "Whether the last socket was of use, so that the next pause is a short one."
        self._is_closing = False
        self.is_claimed = False
        "Whether its number was sent to the server, which then keeps a place for this side."
        self._is_released = False
        "Whether its number was released: a server refuses to let the same side claim it again."
        self._is_lost = False
        "Whether the mailbox was open, and is not usable until there is another connection."
        self._report: Report | None = None

    @property
    def number(self) -> str:
        """The number of the short code."""
        return self._protocol.number

    @property
    def motd(self) -> str:
        """A notice of the server for the user, safe to show; empty if there is none."""
        return self._protocol.motd

    @property
    def ice_servers(self) -> tuple[IceServer, ...]:
        """STUN and TURN servers that the server offers; the newest list."""
        return self._protocol.ice_servers

    @property
    def offers_servers(self) -> bool:
        """Whether the server offers such servers, or may when a joiner is there."""
        return self._protocol.offers_servers

    @property
    def server(self) -> Server:
        """The server that has the mailbox."""
        return self._server

    @property
    def side(self) -> str:
        """The digits that identify this side."""
        return self._protocol.side

    @property
    def kept_side(self) -> str:
        """The side with which the number can be claimed again; empty if it has no claim there."""
        return self.side if self.is_claimed and not self._is_released else ""

    @property
    def is_welcomed(self) -> bool:
        """Whether the server has answered on the present socket."""
        return self._protocol.is_welcomed

    @property
    def is_prepared(self) -> bool:
        """Whether `join` can use it: it has no number yet, and is not closed."""
        return not (self._is_wanted.is_set() or self._is_closing)

    def connect(self) -> None:
        """Begin to connect, before the mailbox is to be opened; called once."""
        self._task = asyncio.create_task(self._connect_early())

    def keep(self) -> None:
        """Keep it open from now on, also if the first attempts to connect fail; called once."""
        self._is_wanted.set()
        self._task = asyncio.create_task(self._connect_early())

    async def open(self, number: str = "", ready: asyncio.Future[Any] | None = None) -> None:
        """Connect, and return when the mailbox is open; called once, after `load_aiohttp`.

        Args:
            number: to claim, for a joiner; an allocator has it already, or needs none.
            ready: as `client.join`.

        Raises:
            DcsendError: it could not be opened; another exception of *ready*.
        """
        self._opening = asyncio.get_running_loop().create_future()
        self._is_wanted.set()
        idle = self._limit if self._protocol.is_welcomed else None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        if ready is not None:
            await asyncio.wait({ready, self._opening}, return_when=asyncio.FIRST_COMPLETED)
            if not self._opening.done():
                ready.result()
        if number:
            self._put(self._protocol.claim(number))
        if idle is not None and idle is self._limit and not idle.expired():
            self._deadline = asyncio.get_running_loop().time() + min(_PREPARED, self._timeout)
            idle.reschedule(self._deadline)
        await self._opening

    def add(self, phase: str, body: bytes) -> None:
        """Send a message; it is sent again after a lost connection, until its echo arrives.

        Raises:
            LocalProtocolError: the phase is not one of this side, is used, or the body is too long.
        """
        self._put(self._protocol.add(phase, body))

    async def next(self) -> tuple[str, bytes]:
        """Return phase and body of the next message of the other side; each phase once.

        Raises:
            DcsendError: the mailbox is lost or closed.
        """
        while not self._protocol.messages:
            if self._error is not None:
                raise self._error
            await self._changed()
        return self._protocol.messages.popleft()

    async def posted(self) -> tuple[str, bytes] | None:
        """Return the first message that the mailbox had when it was opened; None if it was empty.

        Raises:
            DcsendError: the mailbox is lost or closed.
        """
        while self._error is None:
            if self._protocol.messages or self._protocol.is_current:
                return self._protocol.messages.popleft() if self._protocol.messages else None
            await self._changed()
        raise self._error

    def unanswered(self, seconds: float) -> ConnectionFailed:
        """Return the line about an open mailbox whose messages have not arrived.

        Args:
            seconds: for which they were waited for.
        """
        return ConnectionFailed(
            f"the connection to the server {self._name} is slow or lost: "
            f"no answer after {seconds:g} s",
            "try again: the code is not used up",
        )

    def watch(self, report: Report) -> None:
        """As `Mailbox.watch`."""
        self._report = report
        if self._is_lost:
            report(False)

    async def close(self, mood: str) -> None:
        """Release the number and close the mailbox, in at most about a second; idempotent."""
        if self._task is None or self._is_closing:
            return
        self._is_closing = True
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    while self._protocol.is_waiting and self._outgoing is not None:
                        await self._changed()
                    texts = self._protocol.close(mood)
                    self._is_released = bool(texts) and self._outgoing is not None
                    self._put(texts)
                    while texts and self._outgoing is not None and not self._protocol.is_closed:
                        await self._changed()
        finally:
            self._fail(ConnectionFailed("the mailbox is closed"))
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _connect_early(self) -> None:
        with contextlib.suppress(ImportError):  # `join` raises it
            await load_aiohttp()
            await self._run()

    async def _run(self) -> None:
        """Keep a socket to the server; end when the mailbox is lost."""
        pauses = self._pauses()
        try:
            while True:
                is_early = not self._is_wanted.is_set()
                lost = await self._lost(early=is_early)
                if not is_early and self._is_opening:
                    raise lost
                if self._is_closing:
                    return
                logger.debug("connection to the server %s lost: %s", self._name, lost)
                self._set_lost(True)
                if self._was_current:
                    pauses = self._pauses()
                if (pause := next(pauses, None)) is None:
                    raise lost
                await self._pause(pause, early=is_early)
        except DcsendError as exc:
            logger.debug("mailbox on the server %s lost: %s", self._name, exc.kind)
            if self._opening is not None and self._is_opening:
                self._opening.set_exception(exc)
            else:
                self._fail(exc)

    @property
    def _is_opening(self) -> bool:
        return self._opening is not None and not self._opening.done()

    async def _lost(self, *, early: bool) -> DcsendError:
        """Use a socket until it is lost; return why. What ends an *early* one is no error yet.

        Raises:
            DcsendError: the mailbox is lost, too.
        """
        try:
            return await self._use_a_socket()
        except DcsendError as exc:
            if early and (self._opening is None or self._is_opening):
                return exc
            raise

    async def _pause(self, seconds: float, *, early: bool) -> None:
        """Sleep; after an *early* socket, no longer than the mailbox is not wanted."""
        enough = self._is_wanted.wait if early else self._moved or asyncio.Event().wait
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await enough()

    async def _use_a_socket(self) -> ConnectionFailed:
        """Use one, and another one at once whenever this machine has moved; as `_use`."""
        if self._moved is None:
            return await self._use()
        while True:
            using, moving = asyncio.create_task(self._use()), asyncio.ensure_future(self._moved())
            try:
                await asyncio.wait({using, moving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                using.cancel()
                moving.cancel()
                await asyncio.wait({using, moving})
            if not using.cancelled() and (using.exception() is not None or moving.cancelled()):
                return using.result()
            logger.debug("this machine has moved: another socket to the server %s", self._name)

    async def _use(self) -> ConnectionFailed:
        """Connect, and converse until the socket is lost; return the reason of that.

        Raises:
            DcsendError: the mailbox is lost, too.
        """
        from dcsend.rendezvous.websocket import connect

        self._deadline = asyncio.get_running_loop().time() + self._timeout
        self._was_current = False
        try:
            socket = await connect(self._server, self._timeout, self._reach)
        except ConnectionFailed as exc:
            return exc
        self._outgoing = asyncio.Queue()
        writing = asyncio.create_task(_write(socket, self._outgoing))
        try:
            return await self._converse(socket)
        finally:
            self._limit = None
            self._was_current = self._protocol.is_current
            self._outgoing = None
            self._wake()
            writing.cancel()
            try:
                await asyncio.wait({writing})
            finally:  # also if `close` cancels this task here
                await socket.close()

    async def _converse(self, socket: WebSocket) -> ConnectionFailed:
        """Exchange texts until the socket is lost, or `welcome` or the mailbox is late."""
        protocol = self._protocol
        welcome = min(WELCOME, self._timeout)
        self._put(protocol.connect())
        try:
            async with asyncio.timeout(welcome) as limit:
                self._limit = limit
                while (text := await socket.receive()) is not None:
                    self._put(protocol.receive(text))
                    is_idle = not self._is_wanted.is_set()
                    if protocol.is_welcomed:
                        done = protocol.is_current or is_idle
                        limit.reschedule(self._end_of_silence if done else self._deadline)
                    if protocol.is_current:
                        self._set_lost(False)
                    self._wake()
        except TimeoutError:
            return self._late(welcome)
        return ConnectionFailed(
            f"the server {self._name} has closed the connection", f"try again, or {OTHER_SERVER}"
        )

    @property
    def _end_of_silence(self) -> float | None:
        """When the present socket is replaced if nothing arrives, in the time of the loop."""
        longest = self._protocol.longest_silence
        return None if longest is None else asyncio.get_running_loop().time() + longest

    def _late(self, welcome: float) -> ConnectionFailed:
        """Return the line about a server that has not answered in time."""
        if self._protocol.is_current:
            what = f"the mailbox on the server {self._name} is silent, or removed"
        elif self._protocol.is_welcomed:
            what = f"the server {self._name} is slow: no mailbox after {self._timeout:g} s"
        else:
            what = f"the server {self._name} is silent: no welcome after {welcome:g} s"
        return ConnectionFailed(what, f"try again, or {OTHER_SERVER}")

    def _put(self, texts: list[str]) -> None:
        if self._outgoing is not None:
            for text in texts:
                self._outgoing.put_nowait(text)
            self.is_claimed = self.is_claimed or bool(self._protocol.number)

    def _set_lost(self, lost: bool) -> None:
        """Note whether the mailbox is usable, and report a change."""
        if lost is not self._is_lost:
            self._is_lost = lost
            if self._report is not None:
                self._report(not lost)

    def _fail(self, error: DcsendError) -> None:
        self._error = self._error or error
        self._wake()

    async def _changed(self) -> None:
        """Wait until something has happened."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        if self._opening is not None and self._protocol.is_open and not self._opening.done():
            self._opening.set_result(None)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


async def _write(socket: WebSocket, outgoing: asyncio.Queue[str]) -> None:
    """Send texts until the socket is lost; the reader then reports that."""
    with contextlib.suppress(ConnectionError):
        while True:
            await socket.send(await outgoing.get())
