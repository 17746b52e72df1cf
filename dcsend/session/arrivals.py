"""The peers of one run, one after the other, until one of them is accepted.

    next ─► a peer ─┬─► accepted, or declined by a person: the code is used up
       ▲            └─► parted ─┬─► gone before that, or it can't be saved (files exist, no room):
       └────────────────────────┘   the code is given back; the sixth time the run ends
                                └─► connected, and a deadline missed: the run ends

A program that only loads the link, such as a preview or a scanner, connects and closes. It must not
use up the code of the intended person. One that stays and does nothing must not keep the run alive:
then the code is not given back.

A sender that serves several receivers (`receivers`) has an `Awaited` for each. There, acceptance
does not use the code up, and each end makes a place free.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

from dcsend.errors import ConnectionFailed, DcsendError, DestinationError, PeerCannotSave
from dcsend.peers.contract import Connection
from dcsend.session.events import Arrived, Emit, Left, Warned

if TYPE_CHECKING:
    from dcsend.peers.listener import Listener
    from dcsend.peers.transfer import TransferConnection
    from dcsend.session.lasting import LastingConnection
    from dcsend.session.links import BegunAnew

__all__ = [
    "ANEW",
    "RESTARTED_SECONDS",
    "SILENT_SECONDS",
    "Arrivals",
    "Awaited",
    "Dialed",
    "Lasting",
    "LastingOf",
    "Met",
]

Lasting = Callable[[Connection], "LastingConnection"]
"Makes a connection that goes on when it is lost."
LastingOf = Callable[[Connection, Emit], "LastingConnection"]
"As `Lasting`; the second argument gets the events of the connection."

logger = logging.getLogger(__name__)

MAX_RETURNS: Final = 5
"How often a code is given back; a peer that has it could otherwise keep a run busy for ever."
ANEW: Final = "the other side shows a new code"
"What a further attempt needs after a short code."
_TWO_CODES: Final = "with two codes, a lost connection can't be made again by itself"
_FOR_ANOTHER: Final = "run it again for a new code"
SOON_SECONDS: Final = 5.0
"Seconds after a dial within which an end without Hello means that another dialer was faster."

_RACE_SECONDS: Final = 1.5
"""Seconds after a connection in which a request is not reported: it may be of the same device,
whose two attempts (`either`) have arrived almost together. Another device asks again."""

SILENT_SECONDS: Final = 30.0
"Seconds of silence of an accepted receiver until another one can have its place."
RESTARTED_SECONDS: Final = 6.0
"""The same for one at the same address: it is most often the same device, started again. It takes
its place back within the time for which a dialer tries to connect."""


class Arrivals(Protocol):
    """Where the peers of a run come from."""

    async def next(self) -> Connection:
        """Return the first peer, or the one after the peer that has left."""
        ...

    def accepted(self) -> None:
        """Note that the receiver has accepted: no other peer follows."""
        ...

    @property
    def is_last(self) -> bool:
        """Whether the code published here is not given back after the present peer."""
        ...

    @property
    def once(self) -> str:
        """Why a lost connection to the present peer is not made again; empty if it may be."""
        ...

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """Return if there may be another peer after the one that ended by *error*; else raise it.

        Args:
            error: how the conversation ended; nothing had been accepted.
            introduced: whether the peer had sent Hello.
            is_last: whether the peer's code does not work again.
        """
        ...

    async def begin_anew(self, begun: BegunAnew) -> Connection:
        """Return the new connection of the present peer, which has lost its state."""
        ...

    async def displaced(self) -> None:
        """Wait until the peer has to make room for another one; then raise the reason."""
        ...


class Met:
    """The peer of two session descriptions, or the allocator of a short code; there is no other."""

    def __init__(
        self,
        connection: Connection,
        anew: str = "both sides need a new code",
        lasting: Lasting | None = None,
    ) -> None:
        """Take over a connection.

        Args:
            connection: to the peer.
            anew: what a further attempt needs.
            lasting: makes a connection that goes on when it is lost; None where it does not.
        """
        self._anew = anew
        self._lasting = lasting
        self._take(connection)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    @property
    def is_last(self) -> bool:
        """As `Arrivals.is_last`: no code was published here."""
        return False

    @property
    def once(self) -> str:
        """As `Arrivals.once`."""
        return _TWO_CODES if self._lasting is None else ""

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        return self._connection

    def accepted(self) -> None:
        """As `Arrivals.accepted`."""
        if self._lasts is not None:
            self._lasts.accepted()

    def _take(self, connection: Connection) -> None:
        self._lasts = None if self._lasting is None else self._lasting(connection)
        self._connection = connection if self._lasts is None else self._lasts

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """As `Arrivals.parted`."""
        _advise(error, self._anew)
        raise error

    async def begin_anew(self, begun: BegunAnew) -> Connection:
        """As `Arrivals.begin_anew`: the allocator of a short code may be a page."""
        if self._lasts is None:
            raise begun
        await self._lasts.close()
        self._take(begun.link)
        self._lasts.begin_anew(begun.hello)
        return self._connection

    async def displaced(self) -> None:
        """As `Arrivals.displaced`."""
        await asyncio.Event().wait()


class Dialed(Met):
    """The listener of a code, dialed here; once more if it was faster with another dialer."""

    def __init__(
        self,
        connection: Connection,
        dial: Callable[[], Awaitable[Connection]],
        soon: float = SOON_SECONDS,
        lasting: Lasting | None = None,
    ) -> None:
        """Take over a connection.

        Args:
            connection: of the first dial.
            dial: dials again.
            soon: seconds from now; see `SOON_SECONDS`.
            lasting: makes a connection that goes on when it is lost; None where it does not.
        """
        super().__init__(connection, lasting=lasting)
        self._dial = dial
        self._soon_until = asyncio.get_running_loop().time() + soon
        self._again = True

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """As `Arrivals.parted`: the listener answers the next dial with the state of the code."""
        late = asyncio.get_running_loop().time() > self._soon_until
        if introduced or late or not self._again or not isinstance(error, ConnectionFailed):
            _advise(error, "ask for a new code" if is_last else "the same code works again")
            raise error
        self._again = False
        logger.debug("dialing again: the peer has ended the connection before its Hello")
        await self._connection.close()
        self._take(await self._dial())


class Awaited:
    """The dialers of a code that was published here."""

    def __init__(
        self,
        listener: Listener[TransferConnection],
        wait: Callable[[], Awaitable[Connection]],
        emit: Emit,
        hold: float,
        lasting: LastingOf | None = None,
        *,
        is_one_of_several: bool = False,
        connected: list[Awaited] | None = None,
    ) -> None:
        """Use a listener.

        Args:
            listener: already listening.
            wait: returns its next dialer; raises TimedOut when the code has expired.
            emit: gets Arrived and Left.
            hold: as in `Deadlines`.
            lasting: makes a connection that goes on when it is lost; None where it does not.
            is_one_of_several: whether the code stays valid for other peers.
            connected: those of several whose peers are connected; one list for all of them.
        """
        self._is_one_of_several = is_one_of_several
        self._connected = [] if connected is None else connected
        self._makes_room = False
        "Whether the peer ends because another one waits."
        self._listener = listener
        self._lasting = lasting
        self._lasts: LastingConnection | None = None
        self._wait = wait
        self._emit = emit
        self._hold = hold
        self._clock = asyncio.get_running_loop().time
        self._returns = MAX_RETURNS
        self._accepted = False
        self._connection: TransferConnection | None = None
        "The connection that the listener has returned."
        self._vanished = False
        self._since = 0.0
        self._address = ""

    @property
    def is_last(self) -> bool:
        """As `Arrivals.is_last`."""
        return not self._returns

    @property
    def _present(self) -> TransferConnection | None:
        """The connection that has the place: another one if the peer has connected again."""
        if self._connection is None or self._lasts is None:
            return self._connection
        return cast("TransferConnection", self._lasts.present)

    @property
    def _is_deserted(self) -> bool:
        present = self._present
        return present is not None and self._listener.is_deserted(present)

    @property
    def once(self) -> str:
        """As `Arrivals.once`."""
        return ""

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        connection = self._connection = cast("TransferConnection", await self._wait())
        self._since = self._clock()
        self._connected.append(self)
        self._address = connection.route.remote
        self._emit(Arrived(self._address))
        lasting = self._lasting
        self._lasts = None if lasting is None else lasting(connection, self._emit)
        return connection if self._lasts is None else self._lasts

    def beside(self, emit: Emit) -> Awaited:
        """Return one for another peer, which does not use the code up; *emit* gets its events."""
        return Awaited(
            self._listener,
            self._wait,
            emit,
            self._hold,
            self._lasting,
            is_one_of_several=True,
            connected=self._connected,
        )

    def limit(self, places: int) -> None:
        """Let so many peers be connected at once; without one, the code is used up."""
        if places:
            self._listener.limit(places)
        else:
            self._listener.use_up()

    async def leave(self) -> None:
        """Close the connection, so that its place is free; idempotent."""
        present, self._connection = self._present, None
        if present is None:
            return
        try:
            if self._lasts is not None and (self._accepted or self._lasts.lasts):
                await self._lasts.close()
                present = cast("TransferConnection", self._lasts.present)
            await self._listener.give_back(present)
        finally:
            self._connected.remove(self)
            self._makes_room = False

    def accepted(self) -> None:
        """As `Arrivals.accepted`."""
        self._accepted = True
        if (present := self._present) is not None:
            self._listener.keep(present)
        if not self._is_one_of_several:
            self._listener.use_up()
            logger.debug("accepted: the code is used up")
        if self._lasts is not None:
            self._lasts.accepted()

    async def begin_anew(self, begun: BegunAnew) -> Connection:
        """As `Arrivals.begin_anew`."""
        assert self._lasts is not None
        assert self._lasting is not None
        await self._lasts.close()
        self._connection = cast("TransferConnection", begun.link)
        self._lasts = self._lasting(begun.link, self._emit)
        self._lasts.begin_anew(begun.hello)
        return self._lasts

    async def aclose(self) -> None:
        """Close the connection of the peer that was accepted; the listener closes all others."""
        if self._lasts is not None and (self._accepted or self._lasts.lasts):
            await self._lasts.close()

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """As `Arrivals.parted`."""
        from dcsend.session.liveness import Overdue

        again = self._returns > 0
        if self._vanished or (isinstance(error, Overdue) and self._is_deserted):
            error = ConnectionFailed("it does not answer any more")
            self._vanished = False
        elif isinstance(error, Overdue):
            error.amend(hint=_FOR_ANOTHER)
            again = self._is_one_of_several
        if not self._returns:
            error.amend(
                f"{MAX_RETURNS + 1} connections have ended before anything was accepted: {error}",
                _FOR_ANOTHER,
            )
        if again and isinstance(error, DestinationError):
            _advise(error, "to change the options, end this run (Ctrl-C); the next has a new code")
        logger.debug(
            "the peer has left (%s): %s",
            error.kind,
            f"the code is given back, {self._returns - 1} times more" if again else "the run ends",
        )
        self._emit(Left(self._address, error, again))
        if not again:
            raise error
        self._returns -= 1
        await self.leave()

    @property
    def _overdue(self) -> float:
        """Seconds for which this peer has had to make room for another one; negative before that.

        One of several makes room after it has accepted, too, if it has been silent for so long that
        a connection without a way back would have ended.
        """
        if self._accepted:
            if not self._is_one_of_several or self._lasts is None:
                return -1.0  # there is no other one, or the conversation ends it
            is_restarted = self._listener.asked.host == self._address
            patience = RESTARTED_SECONDS if is_restarted else SILENT_SECONDS
            return self._clock() - self._lasts.link.received_at - patience
        if self._is_deserted:
            return self._clock() - self._since
        return self._clock() - self._since - self._hold

    async def displaced(self) -> None:
        """As `Arrivals.displaced`: another dialer waits; this peer is gone or its time is over.

        Of several, the one that is overdue for longest makes room, and no other one until it has.
        For a dialer with the address of one of them, which may be used again, only that one can.
        """
        reported = False
        while True:
            self._listener.asked.clear()
            await self._listener.asked.wait()
            if self._accepted and not self._is_one_of_several:
                return
            holder = self._listener.asked.holder
            rivals = [one for one in self._connected if holder is None or one._present is holder]
            longest = max(rivals, key=lambda one: one._overdue, default=None)
            others = any(one._makes_room for one in rivals)
            logger.debug("another dialer waits, deserted: %s", self._is_deserted)
            if longest is self and not others and self._overdue >= 0:
                self._makes_room = True
                await self._make_room()
                return
            reported |= self._is_one_of_several
            if not reported and self._clock() >= self._since + _RACE_SECONDS:
                reported = True
                self._emit(
                    Warned(
                        "code-busy",
                        "another device with the code wants to connect",
                        "it can connect when the connected device has left, or if nothing is "
                        f"accepted within {self._hold:.0f} s",
                    )
                )

    async def _make_room(self) -> None:
        """End the conversation with this peer: raise the reason, or close the connection."""
        if self._accepted and self._lasts is not None:
            silent = self._clock() - self._lasts.link.received_at
            raise ConnectionFailed(
                f"another device with the code has taken the place of {self._address}, which has "
                f"been silent for {silent:.0f} s"
            )
        if self._is_deserted and (present := self._present) is not None:
            self._vanished = True
            await present.close()  # which ends the conversation without Cancel
            return
        raise ConnectionFailed(
            f"another device with the code has taken the place of {self._address}, because "
            f"nothing was accepted within {self._hold:.0f} s",
            "run it again",
        )


def _advise(error: DcsendError, code: str) -> None:
    """Add the state of the code to the hint of a refusal that was not a person's decision."""
    if isinstance(error, DestinationError | PeerCannotSave):
        error.amend(hint=f"{error.hint}; {code}" if error.hint else code)
