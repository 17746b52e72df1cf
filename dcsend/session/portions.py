"""What a receiver writes: content that has arrived, in portions, and the jobs of the disk thread.

Must not import the protocol: content and outcomes are those of `dcsend.content` and of sinks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dcsend.content import Content
from dcsend.files.sink import Outcome
from dcsend.session.worker import Worker

__all__ = ["DiskJobs", "Pending"]


class Pending:
    """Content that has arrived and is not written.

    Args:
        portion_size: bytes of frames in one portion, or one frame.
    """

    def __init__(self, portion_size: int) -> None:
        self._portion_size = portion_size
        self._content: deque[Content] = deque()
        self._arrived = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._content)

    def add(self, content: Iterable[Content]) -> None:
        """Append what has arrived; not empty."""
        self._content += content
        self._arrived.set()

    async def take(self) -> list[Content]:
        """Wait until something is pending; return a portion of it."""
        await self._arrived.wait()
        portion: list[Content] = []
        cost = 0
        while self._content and cost < self._portion_size:
            portion.append(self._content.popleft())
            cost += portion[-1].cost
        if not self._content:
            self._arrived.clear()
        return portion


class DiskJobs:
    """The disk thread of a receiver, and the outcomes of its jobs.

    Args:
        count: called with each portion when it is written.
        worker: makes the thread.
    """

    def __init__(
        self,
        count: Callable[[Sequence[Content]], None],
        worker: Callable[[str], Worker] = Worker,
    ) -> None:
        self.worker: Final = worker("dcsend-write")
        self._count = count
        self._job: asyncio.Task[list[Outcome]] | None = None
        "The job whose outcomes have not been taken."
        self._portion: Sequence[Content] = ()
        "What that job writes."
        self._outcomes: list[Outcome] = []

    @property
    def is_running(self) -> bool:
        """Whether a job is awaited."""
        return self._job is not None

    async def run(self, job: Callable[[], list[Outcome]], portion: Sequence[Content] = ()) -> None:
        """Run *job*, keep its outcomes and count the *portion* that it writes.

        If this is cancelled, the next call of `settle` does that.
        """
        self._portion = portion
        self._job = asyncio.create_task(self.worker.run(job))
        await self.settle()

    async def settle(self) -> None:
        """Wait for the job of a call of `run` that was cancelled, and raise its error."""
        if self._job is not None:
            # Two steps: `+=` would read the list before the wait and could restore taken outcomes.
            outcomes = await asyncio.shield(self._job)
            self._outcomes += outcomes
            self._job = None
            self._count(self._portion)

    async def finish(self, job: Callable[[], list[Outcome]]) -> None:
        """Run a last *job* behind the present one, whose error is ignored.

        If this is cancelled because the disk stands still, *job* runs when it goes on.
        """
        last = asyncio.create_task(self.worker.run(job))
        with contextlib.suppress(Exception):  # the call of `run` has raised it
            await self.settle()
        self._job, self._portion = last, ()
        await self.settle()

    def take_outcomes(self) -> list[Outcome]:
        """Return the outcomes since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes
