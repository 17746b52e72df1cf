"""Reports how much of what an earlier run has transferred is verified, on either side.

The sides read it again behind the transfer, from `files.trailing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dcsend.files.trailing import Checked
from dcsend.session.events import Checking, Emit

__all__ = ["show_checks"]

_SHORTEST: Final = 0.02
"Seconds; an interval of 0 would keep the loop busy."


async def show_checks(now: Callable[[], Checked | None], emit: Emit, interval: float) -> None:
    """Emit an event when the check has advanced; does not return.

    Args:
        now: returns how much is verified; None if nothing is to be.
        emit: gets the events.
        interval: seconds between two events, at least; a check that is faster has none.
    """
    last: Checked | None = None
    while True:
        await asyncio.sleep(max(interval, _SHORTEST))
        checked = now()
        if checked is None and last is not None and last.done < last.total:
            checked = Checked(last.path, 0, 0)  # given up: the file has failed, or begins again
        if checked is None or checked == last:
            continue
        path, done, total = checked
        if done < total or (last is not None and last.path == path):
            emit(Checking(path, done, total))
            last = checked
