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


@asynccontextmanager
async def noting(facts: Callable[[], Facts], emit: Emit) -> AsyncIterator[None]:
    """Tell, while the body waits for the other side, what may keep that one away.

    What is known goes out at once; after a minute without a check, that there was none.

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

    if which := foreseen_while_waiting(facts()):
        tell(which)
    reminding = asyncio.create_task(remind())
    try:
        yield
    finally:
        reminding.cancel()
        await asyncio.wait({reminding})
