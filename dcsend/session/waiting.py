"""Notes for a side that waits: why the other side may not be able to connect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from dcsend.peers import reasons
from dcsend.peers.situations import (
    Facts,
    Situation,
    foreseen_while_waiting,
    situation_while_waiting,
)
from dcsend.session.events import Emit, Warned

__all__ = ["noting"]

NO_CHECK_SECONDS: Final = 60.0
"Seconds without a check of the other side until that is noted."
STUCK_SECONDS: Final = 20.0
"""Seconds after a check of the other side until it is noted that no connection followed: the other
side gives up 15 s after its first check."""
_LOOK: Final = 5.0
"Seconds between two tests whether there was one."


@asynccontextmanager
async def noting(
    facts: Callable[[], Facts], emit: Emit, *, reminds: bool = True
) -> AsyncIterator[None]:
    """Emit, while the body waits for the other side, what may prevent a connection.

    Known causes at once; after a minute without a check, that there was none; for an answerer, some
    time after a check, that no connection followed.

    Args:
        facts: returns what is known now.
        emit: gets the notes.
        reminds: whether a minute without a check is noted. It is no sign of a problem if the other
            side can enter a short code, which reports there what prevents a connection.
    """

    def warn(which: Situation) -> None:
        emit(Warned("waiting", *reasons.words(facts(), which)))

    async def remind() -> None:
        await asyncio.sleep(NO_CHECK_SECONDS)
        if not (now := facts()).check_arrived:
            warn(situation_while_waiting(now))

    async def follow() -> None:
        while not facts().check_arrived:  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(_LOOK)
        await asyncio.sleep(STUCK_SECONDS)
        warn(Situation.CHECKS_ARRIVE)

    if which := foreseen_while_waiting(now := facts()):
        warn(which)
    tasks = {asyncio.create_task(remind())} if reminds else set()
    # A listener reports each failed dialer.
    if (now.role, Situation.CHECKS_ARRIVE) in reasons.TABLE:
        tasks.add(asyncio.create_task(follow()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
