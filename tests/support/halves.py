"""The two halves of a transfer, each with a connection in memory."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from dcsend.entry import Existing
from dcsend.errors import DcsendError
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.manifest import Scan, scan
from dcsend.files.sink import Sink
from dcsend.files.source import FileSource
from dcsend.session.control import ConnectedPeer
from dcsend.session.conversation import Conversation
from dcsend.session.events import Emit, Event, ManifestKnown
from dcsend.session.incoming import CLOSING_SECONDS, LAST_STEPS, PORTION_SIZE, Incoming
from dcsend.session.outcome import Tally
from dcsend.session.outgoing import Outgoing, block_size
from dcsend.settings import Settings
from tests.support.memory import MemoryConnection

SETTINGS = Settings(keep_alive_interval=0.02, progress_interval=0)
"Short intervals."


@dataclasses.dataclass
class Side:
    """One half, its events and its verdicts."""

    half: Outgoing | Incoming
    conversation: Conversation
    events: list[Event]
    tally: Tally
    lines: asyncio.Queue[str]
    connection: MemoryConnection

    async def run(self) -> BaseException | None:
        """Run to the end and close the connection; return the error of an early end, or None."""
        try:
            await self.conversation.run(self.half)
        except DcsendError as exc:
            return exc
        finally:
            await self.connection.close()
        return None


def sender(
    connection: MemoryConnection,
    offer: Path | Scan,
    settings: Settings = SETTINGS,
    emit: Emit | None = None,
) -> Side:
    found = scan([offer]) if isinstance(offer, Path) else offer
    source = FileSource(found, block_size=block_size(settings.block_size))
    events: list[Event] = []
    tally = Tally(emit or events.append)
    lines: asyncio.Queue[str] = asyncio.Queue()
    talk = Conversation(connection, settings, tally.emit, lines)
    half = Outgoing(
        ConnectedPeer(connection, talk), found.entries, source, settings, tally, agent="a"
    )
    return Side(half, talk, events, tally, lines, connection)


def receiver(
    connection: MemoryConnection,
    root: Path,
    settings: Settings = SETTINGS,
    decide: Callable[[ManifestKnown], Coroutine[Any, Any, bool]] | None = None,
    emit: Emit | None = None,
    *,
    sink: Sink | None = None,
    closing: float = CLOSING_SECONDS,
    last_steps: float = LAST_STEPS,
    portion_size: int = PORTION_SIZE,
) -> Side:
    async def accept(manifest: ManifestKnown) -> bool:
        return True

    settings = dataclasses.replace(settings, output=str(root))
    events: list[Event] = []
    tally = Tally(emit or events.append)
    lines: asyncio.Queue[str] = asyncio.Queue()
    talk = Conversation(connection, settings, tally.emit, lines)
    half = Incoming(
        ConnectedPeer(connection, talk),
        sink or DirectorySink(root, existing=Existing.REFUSE),
        settings,
        tally,
        decide or accept,
        agent="b",
        portion_size=portion_size,
        closing=closing,
        last_steps=last_steps,
    )
    return Side(half, talk, events, tally, lines, connection)


async def both(left: Side, right: Side) -> tuple[BaseException | None, BaseException | None]:
    async with asyncio.timeout(150):
        one, two = await asyncio.gather(left.run(), right.run())
    return one, two
