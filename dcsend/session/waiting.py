"""What a side that waits for the other one is told meanwhile: why that one may not get through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from dcsend.engines import reasons
from dcsend.engines.situations import (
    Facts,
    Situation,
    foreseen_while_waiting,
    situation_while_waiting,
)
from dcsend.session.events import Emit, Warned

__all__ = ["noting"]

NO_CHECK_SECONDS: Final = 60.0
"Seconds without a check of the other side until that is told."
STUCK_SECONDS: Final = 20.0
"""Seconds after a check of the other side until it is told that nothing came of it: by then that
side has given up, 15 s after its first one."""
_LOOK: Final = 5.0
"Seconds between two looks at whether there was one."


@asynccontextmanager
async def noting(facts: Callable[[], Facts], emit: Emit) -> AsyncIterator[None]:
    """Tell, while the body waits for the other side, what may keep that one away.

    What is known goes out at once; after a minute without a check, that there was none; to an
    answerer, some time after a check, that no connection came of it.

    Args:
        facts: what this side knows at the moment.
        emit: told the notes.
    """

    def tell(which: Situation) -> None:
        emit(Warned("waiting", *reasons.words(facts(), which)))

    async def remind() -> None:
        await asyncio.sleep(NO_CHECK_SECONDS)
        if not (now := facts()).heard:
            tell(situation_while_waiting(now))

    async def follow() -> None:
        while not facts().heard:  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(_LOOK)
        await asyncio.sleep(STUCK_SECONDS)
        tell(Situation.HEARD)

    if which := foreseen_while_waiting(now := facts()):
        tell(which)
    tasks = {asyncio.create_task(remind())}
    # A listener tells of each dialer that fails.
    if (now.role, Situation.HEARD) in reasons.TABLE:
        tasks.add(asyncio.create_task(follow()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
