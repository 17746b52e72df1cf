"""A link with both codes: dials, and joins by the short code beside that; the first one wins.

    dial ─────────────────────────────────┬─► connected ─► first message ─► the join is ended
      └ 1.5 s without a connection ─► join ┴─► connected ─► first message ─► the dial is ended

In the network of the other side, the dial connects in a fraction of that time. Then the short code,
which allows one guess, is not used up, and no server is asked. The listener accepts one of the two
connections and closes the other; so the first message decides, which only that one has.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from dcsend.errors import CodeExpired, CodeUsed, DcsendError
from dcsend.session.arrivals import ANEW, Arrivals, Dialed, Lasting, Met
from dcsend.session.conclusion import reported_first
from dcsend.session.events import Emit
from dcsend.session.joining import Joined, Reunion

if TYPE_CHECKING:
    from dcsend.peers.transfer import TransferConnection

    _Made = TransferConnection | Joined[TransferConnection]

__all__ = ["HEAD_START", "either"]

HEAD_START: Final = 1.5
"Seconds until the short code is used; a dial within one network takes 0.1 s to 1 s."

_FIRST: Final = 5.0
"Seconds for the first message, after which the connection is used in any case."

Dial = Callable[[], Awaitable["TransferConnection"]]
Join = Callable[[], Awaitable["Joined[TransferConnection]"]]


@asynccontextmanager
async def either(
    dial: Dial | None,
    join: Join | None,
    emit: Emit,
    head_start: float = HEAD_START,
    lasting: Lasting | None = None,
    rejoining: Callable[[Reunion], Lasting | None] | None = None,
) -> AsyncIterator[Arrivals]:
    """Yield the peer of whichever way is first; its connection is closed at the end.

    Args:
        dial: connects by the dial code; None where it must not.
        join: connects by the short code; None where it must not.
        emit: gets an error before the connection is closed because of it.
        head_start: seconds after which *join* is called, if *dial* has not connected or failed.
        lasting: as in `Dialed`.
        rejoining: returns the same for a connection by the short code; None for none.

    Raises:
        CodeUsed, CodeExpired: the listener has answered so; at once.
        DcsendError: neither way has led to a connection.
    """
    race = _Race(dial, join, head_start)
    made: _Made | None = None
    try:
        with reported_first(emit):
            made = await race.run()
            if isinstance(made, Joined):
                lasts = rejoining(made.reunion) if rejoining is not None else None
                arrivals: Met = Met(made.peer, ANEW, lasts)
            else:
                assert dial is not None
                arrivals = Dialed(made, dial, lasting=lasting)
        with reported_first(emit):
            yield arrivals
    finally:
        if made is not None:
            await arrivals.close()
        if isinstance(made, Joined):
            await made.close()
        await race.end()


class _Race:
    """Dialing and joining at the same time, until one of them has connected."""

    def __init__(self, dial: Dial | None, join: Join | None, head_start: float) -> None:
        self._dialing: asyncio.Task[_Made] | None = None
        self._tasks: set[asyncio.Task[_Made]] = set()
        if dial is not None:
            self._dialing = asyncio.create_task(_used(dial))
            self._tasks.add(self._dialing)
        if join is not None:
            self._tasks.add(asyncio.create_task(self._join_later(join, head_start)))

    async def run(self) -> _Made:
        """Return the first connection; the other attempt is cancelled, not awaited."""
        pending = set(self._tasks)
        direct: DcsendError | None = None
        failed: DcsendError | None = None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    try:
                        made = task.result()
                    except DcsendError as exc:
                        if task is not self._dialing:
                            failed = exc
                        elif isinstance(exc, CodeUsed | CodeExpired):
                            raise
                        else:
                            direct = exc
                    else:
                        self._tasks.discard(task)
                        return made
        finally:
            for task in self._tasks:
                task.cancel()
        if direct is not None and failed is not None:
            failed.amend(f"{failed.message}; directly: {direct.message}")
        error = failed or direct
        assert error is not None
        raise error

    async def end(self) -> None:
        """Wait for the end of what was cancelled, which takes up to a second."""
        for made in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(made, BaseException):  # it had connected before it was cancelled
                await made.close()

    async def _join_later(self, join: Join, head_start: float) -> _Made:
        if self._dialing is not None:
            await asyncio.wait({self._dialing}, timeout=head_start)
        return await _used(join)


async def _used(connect: Dial | Join) -> _Made:
    """Return a connection when its first message is there.

    Raises:
        DcsendError: it was closed before that, since the listener uses the other one; or as
            *connect*.
    """
    made: _Made = await connect()
    peer = made.peer if isinstance(made, Joined) else made
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST):
                await peer.channels["control"].arrived()
    except BaseException:
        await made.close()
        raise
    return made
