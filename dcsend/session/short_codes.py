"""The short codes of a run that has published a dial code: one after the other, one guess each.

    number ─► shown ─► first message ─┬─ right words ─► connects, as a dial does ─► the run goes on
      ▲         │                     │                  └─ no path, it has left, or is slow ─┐
      │         └─ lost by the server │                                                       │
      └─────────── new words ◄────────┴─ wrong words; the third time only if a person agrees ─┘

A joiner reaches this side through the rendezvous server, through the mailbox that this side serves
in its network, or both; the first message in either of them uses the code up.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic

from dcsend.description import Description
from dcsend.errors import (
    AuthenticationFailed,
    DcsendError,
    IncompatibleVersion,
    RemoteProtocolError,
)
from dcsend.peers.listener import Listener
from dcsend.peers.loading import Peer
from dcsend.rendezvous.servers import Server
from dcsend.session.allocation import Allocation
from dcsend.session.conclusion import unexpected
from dcsend.session.events import (
    Emit,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
    Warned,
)
from dcsend.session.hosting import Hosting
from dcsend.settings import Settings
from dcsend.signaling.shortcode import OwnCode, ShortCode, own
from dcsend.signaling.words import new_words

if TYPE_CHECKING:
    from dcsend.rendezvous.handshake import Allocator
    from dcsend.rendezvous.items import Item
    from dcsend.rendezvous.mailbox import Mailbox
    from dcsend.session.meeting_again import AllocatorAgain

__all__ = ["MAX_WRONG", "SLOW", "Confirm", "ShortCodes", "first_code", "host_in_code"]

logger = logging.getLogger(__name__)

MAX_WRONG: Final = 3
"Wrong codes in a row until a person is asked whether there is to be another one."
SLOW: Final = 6.0
"""Seconds from the answer to a joiner with the right words until the next code is shown beside its
attempt, which takes up to `trickling.LONGEST` if the joiner's program was killed."""
_MOST_KEYS: Final = 1000
"""Joiners that can connect again; a receiver that stays has more. Many more than are connected at
once, so that one is forgotten only if a thousand have come after it."""
Confirm = Callable[[], Awaitable[bool]]
"Asks a person whether another short code is to be shown."


def first_code(settings: Settings) -> OwnCode:
    """Return the words of the first short code, and its number if the user has chosen one."""
    if settings.own_code:
        return own(settings.own_code)
    return OwnCode("", new_words(settings.words))


def host_in_code(server: Server | None) -> str:
    """Return what follows the `@` of a code on *server*; empty for no `@`."""
    return server.name if server is not None and server.fits_in_code else ""


class _WrongCode(AuthenticationFailed):
    """A code was used up by a guess that was wrong, or by a message that breaks the protocol.

    A message of another version is reported as such. A device without the words can send one, too,
    so it uses the code up and counts as a wrong guess.
    """

    def __init__(self, reason: DcsendError) -> None:
        if isinstance(reason, IncompatibleVersion):
            super().__init__(
                "a device with another version of short codes has used the last code up",
                "install the same version of dcsend on both sides",
            )
        else:
            super().__init__("a wrong code was entered, which used the last code up")


class _Lost(Exception):
    """The server has lost the mailbox of a code that waited."""

    def __init__(self, reason: DcsendError) -> None:
        super().__init__()
        self.reason = reason


class ShortCodes(Generic[Peer]):
    """Shows short codes until one has led to an accepted peer, or none can be made any more."""

    def __init__(
        self,
        settings: Settings,
        emit: Emit,
        listener: Listener[Peer],
        page: Hosting,
        expires: datetime.datetime,
        confirm: Confirm | None = None,
        *,
        max_wrong: int | None = MAX_WRONG,
    ) -> None:
        """Prepare; `run` does the rest.

        Args:
            settings: server, mDNS, words, TURN servers.
            emit: gets the codes and notes.
            listener: of the dial code; a joiner connects to it, too.
            page: serves the mailbox of this side.
            expires: when the codes of this run expire.
            confirm: asks whether to go on after *max_wrong* wrong codes; None ends them then.
            max_wrong: wrong codes in a row; None for no limit.
        """
        self._settings = settings
        self._allocation = Allocation(settings, emit, page)
        self._page = page
        self._shown: ShortCodeReady | None = None
        "The code that can be used now."
        self._emit = emit
        self._listener = listener
        self._expires = expires
        self._confirm = confirm
        self._max_wrong = max_wrong
        self._wrong = 0
        "Wrong codes in a row."
        self._fatal: DcsendError | None = None
        "Why the run ends with the short codes."
        self._again: dict[bytes, bytes] = {}
        "Keys for connecting once more, by the fingerprint of each joiner."

    @property
    def has_server(self) -> bool:
        """Whether the codes work outside this network: a server is named, and has not failed."""
        return self._allocation.server is not None

    def again(self, fingerprint: bytes) -> AllocatorAgain[Peer] | None:
        """Return how the joiner with this certificate connects again; None if it is no joiner."""
        if fingerprint not in self._again:
            return None
        from dcsend.rendezvous.again import AgainKeys
        from dcsend.session.meeting_again import AllocatorAgain

        again = AgainKeys(self._again[fingerprint])
        server = self._allocation.server
        return AllocatorAgain(
            self._settings, self._listener, self._page, again, server, fingerprint
        )

    def renew_link(self) -> None:
        """Emit the present code again if a new dial code has changed its link."""
        if self._shown is not None and self._shown.link:
            link = self._page.link_of_both(self._shown.code)
            self._shown = replace(self._shown, link=link)
            self._emit(self._shown)

    async def run(self, code: OwnCode) -> None:
        """Show one short code after the other, until a peer has been accepted.

        Args:
            code: words of the first one, and its number if that is chosen.

        Raises:
            DcsendError: there are no more short codes, and the dial code is hidden.
        """
        showing = asyncio.create_task(self._show(code))
        used = asyncio.create_task(self._listener.used.wait())
        tasks: set[asyncio.Task[Any]] = {showing, used}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not showing.cancelled() and (error := showing.exception()) is not None:
            self._end(unexpected(error))
        if self._fatal is not None:
            raise self._fatal

    def _end(self, error: DcsendError) -> None:
        """Report why there are no more short codes; with `--relay-only`, there is no other way."""
        if self._settings.relay_only:
            self._fatal = error
        else:
            self._emit(ShortCodeOver(error))

    async def _show(self, code: OwnCode) -> None:
        attempts: set[asyncio.Task[None]] = set()
        "The attempts of joiners of earlier codes, and that of the present code."
        try:
            while True:
                is_joined = asyncio.Event()
                attempt = asyncio.create_task(self._one(code, is_joined))
                attempts.add(attempt)
                await _first_of(attempt, asyncio.create_task(is_joined.wait()))
                # With several receivers, the next one does not wait for this one.
                if not attempt.done() and self._settings.peers == 1:
                    await asyncio.wait({attempt}, timeout=SLOW)
                for done in [task for task in attempts if task.done()]:
                    attempts.remove(done)
                    done.result()
                if self._asks:
                    if not await self._confirmed():
                        raise AuthenticationFailed(
                            f"{self._wrong} wrong short codes in a row: no more are shown",
                            self._remaining,
                        )
                    self._wrong = 0
                await self._listener.free.wait()
                code = OwnCode("", new_words(self._settings.words))
        except DcsendError as exc:
            self._end(exc)
            if attempts:
                await asyncio.wait(attempts)
        finally:
            for task in attempts:
                task.cancel()
            if attempts:
                await asyncio.wait(attempts)

    @property
    def _remaining(self) -> str:
        """The way to connect that remains without short codes."""
        if self._settings.relay_only:
            return "run it again for a new code"
        return "the dial code and the link still work"

    @property
    def _asks(self) -> bool:
        """Whether no further code is shown before a person agrees."""
        return self._max_wrong is not None and self._wrong >= self._max_wrong

    async def _confirmed(self) -> bool:
        """Ask whether to go on; the question is withdrawn while a peer is connected."""
        while self._confirm is not None:
            await self._listener.free.wait()
            asking = asyncio.ensure_future(self._confirm())
            taken = asyncio.create_task(self._listener.taken.wait())
            try:
                await asyncio.wait({asking, taken}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    return asking.result()
            finally:
                asking.cancel()
                taken.cancel()
                await asyncio.wait({asking, taken})
        return False

    async def _one(self, wanted: OwnCode, is_joined: asyncio.Event) -> None:
        """Show one code, and connect the joiner that has it.

        Args:
            wanted: its words, and its number if that is chosen.
            is_joined: set when a joiner with the words begins to connect.

        Raises:
            DcsendError: no code can be shown.
        """
        from dcsend.rendezvous.handshake import Allocator

        async with self._allocation.mailboxes(wanted.number) as (number, mailboxes):
            allocator = Allocator("-".join(wanted.words), number)
            for mailbox in mailboxes:
                mailbox.add(*allocator.first)
            server = self._allocation.server
            name = server.name if server is not None else ""
            code = ShortCode(number, wanted.words, host_in_code(server)).text()
            # Elsewhere, a code without a server is of no use.
            link = self._page.link_of_both(code) if server is not None else ""
            self._shown = ShortCodeReady(code, name, self._expires, link)
            self._emit(self._shown)
            try:
                mailbox, items = await self._joined(mailboxes, allocator, name)
            except _WrongCode as exc:
                self._wrong += 1
                self._used_up(code)
                await _close(mailboxes, "scary")
                # The note stands beside the next code, or the dial code if no other one follows.
                present = "; this is a new one"
                if self._asks:
                    present = "" if self._settings.relay_only else "; the dial code still works"
                self._emit(Warned("short-code", exc.message + present, exc.hint))
                return
            except _Lost as exc:
                self._allocation.lost(exc.reason)
                self._used_up(code)
                self._emit(Warned("server", exc.reason.message, "give the other side the new code"))
                return
            self._wrong = 0
            self._used_up(code)
            is_joined.set()
            await _close([one for one in mailboxes if one is not mailbox], "happy")
            await self._connect(mailbox, allocator, items)

    def _used_up(self, code: str) -> None:
        self._shown = None
        self._emit(ShortCodeUsed(code))

    async def _joined(
        self, mailboxes: Sequence[Mailbox], allocator: Allocator, server: str
    ) -> tuple[Mailbox, Sequence[Item]]:
        """Wait for the joiner; return its mailbox and what it has sent: its offer, and more.

        Meanwhile report when the *server* is lost, and when it is back.

        Raises:
            _WrongCode: its first message uses the code up.
            _Lost: the server has lost its mailbox, so that the code does not lead here any more.
        """

        def report(connected: bool) -> None:
            self._emit(ShortCodeServer(server, connected, self._allocation.is_local))

        waiting = {asyncio.create_task(one.next()): one for one in mailboxes}
        early: dict[Mailbox, list[tuple[str, bytes]]] = {one: [] for one in mailboxes}
        "Messages that came before the first one of their mailbox; those of others are never used."
        try:
            for one in mailboxes:
                one.watch(report)
            while True:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    mailbox = waiting.pop(task)
                    try:
                        message = task.result()
                    except DcsendError as exc:
                        raise _Lost(exc) from exc
                    if message[0] == "b0":
                        return mailbox, _opened(allocator, mailbox, [message, *early[mailbox]])
                    early[mailbox].append(message)
                    waiting[asyncio.create_task(mailbox.next())] = mailbox
        finally:
            for one in mailboxes:
                one.watch(_ignore)
            for task in waiting:
                task.cancel()
            if waiting:
                await asyncio.wait(waiting)

    async def _connect(self, mailbox: Mailbox, allocator: Allocator, items: Sequence[Item]) -> None:
        """Connect the joiner, which the listener then accepts as it accepts a dialer."""
        from dcsend.peers.joiners import Taken
        from dcsend.peers.trickle import Trickle
        from dcsend.session.ice_settings import servers_of, turn_servers
        from dcsend.session.trickling import connect, say_bye, sending

        theirs, *early = items
        trickle: Trickle[Peer] | None = None
        try:
            if not isinstance(theirs, Description):
                raise RemoteProtocolError("the other side has sent no offer")
            self._again[theirs.fingerprint] = allocator.again
            if len(self._again) > _MOST_KEYS:
                del self._again[next(iter(self._again))]
            trickle = await Trickle.on_listener(
                self._listener,
                servers_of(self._settings),
                addresses=self._settings.addresses,
                relay_only=self._settings.relay_only,
            )
            trickle.allocate(turn_servers(mailbox.ice_servers))
            mailbox.add(*allocator.seal([trickle.describe(theirs)]))
            async with sending(trickle, mailbox, allocator):
                await connect(trickle, theirs, mailbox, allocator, early)
        except DcsendError as exc:
            busy = isinstance(exc, Taken)
            if not busy:
                self._emit(Warned(exc.kind, exc.message, exc.hint))
            say_bye(mailbox, allocator, "busy" if busy else "error", exc.message)
            await mailbox.close("errory")
        except asyncio.CancelledError:
            say_bye(mailbox, allocator, "interrupted")
            raise
        else:
            await mailbox.close("happy")
        finally:
            if trickle is not None:
                await trickle.close()


def _opened(
    allocator: Allocator, mailbox: Mailbox, messages: Sequence[tuple[str, bytes]]
) -> list[Item]:
    """Return the items of the joiner's first messages; refuse it if its words are wrong.

    Raises:
        _WrongCode: they are, or a message breaks the protocol or has another version of it, which
            a device without the words can cause, too.
    """
    try:
        return [item for message in messages for item in allocator.received(*message)]
    except (AuthenticationFailed, IncompatibleVersion, RemoteProtocolError) as exc:
        logger.debug("short code used up: %s", exc)
        if isinstance(exc, AuthenticationFailed):
            mailbox.add(*allocator.refusal())
        raise _WrongCode(exc) from exc


async def _first_of(task: asyncio.Task[Any], waiting: asyncio.Task[Any]) -> None:
    """Wait until one of two tasks is done; the second one is cancelled then."""
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        await asyncio.wait({waiting})


def _ignore(connected: bool) -> None:
    """Report nothing: the code is used up."""


async def _close(mailboxes: Sequence[Mailbox], mood: str) -> None:
    await asyncio.gather(*(mailbox.close(mood) for mailbox in mailboxes))
