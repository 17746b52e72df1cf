"""What a run does while its peer is awaited: the code is shown first, and the peer waits less.

Imports of the modules that only a connected peer needs are in functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from dcsend.entry import Kind
from dcsend.errors import LocalProtocolError
from dcsend.files.manifest import Scan
from dcsend.session.events import CodeReady, DescriptionReady, Event, ManifestKnown
from dcsend.session.offering import report_left_out
from dcsend.session.outcome import Tally
from dcsend.session.worker import Worker
from dcsend.settings import Settings

__all__ = ["Loading", "Preparation", "load_receiver"]

MOST_ENCODED: Final = 20_000
"Entries of a manifest that is encoded in advance; more would take too much memory."


class Loading:
    """Imports modules in a thread while people exchange session descriptions.

    It takes 80 ms of processor time. Not done with a dial code: there aiortc is imported meanwhile,
    and the peer waits for that.

    Args:
        emit: gets the events given to `announce`.
        run: runs a function in a thread.
        load: imports the modules.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        run: Callable[[Callable[[], None]], Awaitable[None]],
        load: Callable[[], None],
    ) -> None:
        self._emit = emit
        self._run = run
        self._load = load
        self._task: asyncio.Future[None] | None = None

    def announce(self, event: Event) -> None:
        """Emit an event; begin after a session description."""
        self._emit(event)
        if isinstance(event, DescriptionReady) and self._task is None:
            self._task = asyncio.ensure_future(self._run(self._load))

    async def finish(self) -> None:
        """Wait until the modules are there, if it has begun."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Wait no longer."""
        await _cancel(self._task)


class Preparation:
    """What a sender does before its peer is there: reports what is left out, encodes the manifest.

    It starts when the code is shown; `start` is for a run that is given a code.

    Args:
        found: what is offered.
        settings: of the run.
        tally: of the run.
        worker: a thread for it.
        most: entries of a manifest that is encoded in advance.
    """

    def __init__(
        self,
        found: Scan,
        settings: Settings,
        tally: Tally,
        worker: Worker,
        *,
        most: int = MOST_ENCODED,
    ) -> None:
        self._most = most
        self._found = found
        self._settings = settings
        self._tally = tally
        self._worker = worker
        # By the same thread as the encoding, which may import parts of it: two threads that import
        # modules which import each other get incomplete ones.
        self._loading = Loading(tally.emit, worker.run, _load_sender)
        self._encoding: asyncio.Task[list[str]] | None = None
        self._started = False

    def announce(self, event: Event) -> None:
        """Emit an event, the code with the size of the offer; start after it."""
        if isinstance(event, CodeReady):
            offer = ManifestKnown(self._found.entries)
            texts = sum(kind is Kind.TEXT for kind in offer.kinds())
            event = replace(event, files=offer.files, bytes=offer.bytes, texts=texts)
        self._loading.announce(event)
        if isinstance(event, CodeReady | DescriptionReady):
            self.start()

    def start(self) -> None:
        """Start; idempotent."""
        if not self._started:
            self._started = True
            report_left_out(self._found, self._settings, self._tally)
            self._encoding = asyncio.create_task(self._worker.run(self._encode))

    async def loaded(self) -> None:
        """Wait until the modules are imported, if that has begun."""
        await self._loading.finish()

    async def result(self) -> Sequence[str]:
        """Return the encoded manifest; empty if it is better encoded while it is sent."""
        return await self._encoding if self._encoding is not None else ()

    def release(self) -> None:
        """Free the memory of the manifest; no other peer will get it."""
        self._encoding = None

    async def close(self) -> None:
        """Wait no longer."""
        await self._loading.close()
        await _cancel(self._encoding)

    def _encode(self) -> list[str]:
        found = self._found
        if len(found.entries) > self._most:
            return []
        from dcsend.protocol.manifest_messages import encode_manifest

        # An entry that can't be encoded is an error when it is sent: then the peer gets the reason.
        with suppress(LocalProtocolError):
            return encode_manifest(found.entries, found.left_out)
        return []


async def _cancel(task: asyncio.Future[Any] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _load_sender() -> None:
    import dcsend.files.source
    import dcsend.session.conversation
    import dcsend.session.outgoing  # noqa: F401


def load_receiver() -> None:
    """Import what a receiver needs once its peer is there."""
    import dcsend.session.conversation
    import dcsend.session.incoming  # noqa: F401
