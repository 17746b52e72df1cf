"""The peers of one run, one after the other, until one of them is accepted.

    next ─► a peer ─┬─► accepted: the code is used up
       ▲            └─► parted ─┬─► gone before that: the code is given back,
       └────────────────────────┘   or, the sixth time, the run ends
                                └─► connected, and a deadline missed: the run ends

A program that only loads the link, such as a preview or a scanner, connects and goes. It must not
use up the code of the person for whom it is. One that stays and does nothing must not keep the run
going: then the code is not given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from dcsend.engines.base import Connection
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.session.events import Arrived, Emit, Left, Warned

if TYPE_CHECKING:
    from dcsend.engines.listener import Listener
    from dcsend.engines.transfer import TransferConnection

__all__ = ["Arrivals", "Awaited", "Dialed", "Met"]

MAX_RETURNS: Final = 5
"How often a code is given back; who has it could otherwise keep a run busy without end."
HOLD_SECONDS: Final = 120.0
"""For which a peer that is not accepted keeps its place while another dialer asks. A person who
reads an offer takes less; a program that only keeps the connection open must lock nobody out."""
_BUSY: Final = Warned(
    "code-busy",
    "another device with the code wants to connect",
    f"the one that is connected keeps its place for {HOLD_SECONDS:.0f} s, "
    "unless it leaves or accepts before",
)
_SOON: Final = 5.0
"Seconds after a dial within which an end without Hello means that another dialer was faster."


class Arrivals(Protocol):
    """Where the peers of a run come from."""

    async def next(self) -> Connection:
        """Return the first peer, or the one after the peer that has parted."""
        ...

    def accepted(self) -> None:
        """Note that the receiver has accepted: there will be no other peer."""
        ...

    async def parted(self, error: DcsendError, *, introduced: bool) -> None:
        """Return if there may be another peer after the one that ended by *error*; else raise it.

        Args:
            error: how the conversation ended; nothing had been accepted.
            introduced: whether the peer had said Hello.
        """
        ...

    async def displaced(self) -> None:
        """Wait until the peer has to make room for another one; then raise why."""
        ...


class Met:
    """The peer that was met by two session descriptions; there is no other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        return self._connection

    def accepted(self) -> None:
        """As `Arrivals.accepted`."""

    async def parted(self, error: DcsendError, *, introduced: bool) -> None:
        """As `Arrivals.parted`."""
        raise error

    async def displaced(self) -> None:
        """As `Arrivals.displaced`."""
        await asyncio.Event().wait()


class Dialed(Met):
    """The listener of a code, dialed here; once more if it was faster with another dialer."""

    def __init__(self, connection: Connection, dial: Callable[[], Awaitable[Connection]]) -> None:
        """Prepare.

        Args:
            connection: of the first dial.
            dial: dials again.
        """
        super().__init__(connection)
        self._dial = dial
        self._dialed_at = asyncio.get_running_loop().time()
        self._again = True

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def parted(self, error: DcsendError, *, introduced: bool) -> None:
        """As `Arrivals.parted`: the next dial is told what has become of the code."""
        late = asyncio.get_running_loop().time() > self._dialed_at + _SOON
        if introduced or late or not self._again or not isinstance(error, ConnectionFailed):
            raise error
        self._again = False
        await self._connection.close()
        self._connection = await self._dial()


class Awaited:
    """The dialers of a code that was published here."""

    def __init__(
        self,
        listener: Listener[TransferConnection],
        wait: Callable[[], Awaitable[Connection]],
        emit: Emit,
    ) -> None:
        """Prepare.

        Args:
            listener: waits already.
            wait: returns its next dialer; raises TimedOut when the code has expired.
            emit: told of arrivals and departures.
        """
        self._listener = listener
        self._wait = wait
        self._emit = emit
        self._clock = asyncio.get_running_loop().time
        self._returns = MAX_RETURNS
        self._accepted = False
        self._connection: Connection | None = None
        self._vanished = False
        self._since = 0.0
        self._address = ""

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        connection = await self._wait()
        self._connection = connection
        self._since = self._clock()
        self._address = connection.route.remote
        self._emit(Arrived(self._address))
        return connection

    def accepted(self) -> None:
        """As `Arrivals.accepted`."""
        self._accepted = True
        self._listener.use_up()

    async def parted(self, error: DcsendError, *, introduced: bool) -> None:
        """As `Arrivals.parted`."""
        from dcsend.session.liveness import Overdue

        again = self._returns > 0
        if self._vanished or (isinstance(error, Overdue) and self._listener.is_deserted):
            error = ConnectionFailed("it does not answer any more")
            self._vanished = False
        elif isinstance(error, Overdue):
            error.hint = "run it again for a new code"
            again = False
        self._emit(Left(self._address, error, again))
        if not again:
            raise error
        self._returns -= 1
        await self._listener.give_back()

    async def displaced(self) -> None:
        """As `Arrivals.displaced`: another dialer asks; this one is gone or has had its time."""
        reported = False
        while True:
            self._listener.asked.clear()
            await self._listener.asked.wait()
            if self._accepted:
                return
            if self._listener.is_deserted and self._connection is not None:
                self._vanished = True
                await self._connection.close()  # which ends the conversation, with no farewell
                return
            if self._clock() >= self._since + HOLD_SECONDS:
                raise ConnectionFailed(
                    f"another device with the code was let in, since {HOLD_SECONDS:.0f} s passed "
                    "and nothing was accepted",
                    "run it again",
                )
            if not reported:
                reported = True
                self._emit(_BUSY)
