"""Which blocks are read, and which travel, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.entry import Entry
from dcsend.files.source import Block
from dcsend.protocol.limits import DIGEST
from dcsend.session.worker import NEAR

__all__ = ["MANY", "after_small", "bundled", "holes", "take"]

MANY: Final = 1024
"Blocks in one batch at most, where files are small."


def bundled(
    batch: Sequence[Block], entries: Sequence[Entry], most: int
) -> Iterator[Sequence[Block]]:
    """Put whole files that are small together, up to *most* bytes with their digests."""
    group: list[Block] = []
    room = most
    for block in batch:
        cost = len(block.payload) + DIGEST
        whole = block.is_whole and entries[block.number].size is not None
        if group and (not whole or cost > room):
            yield group
            group, room = [], most
        if whole and cost <= most:
            group.append(block)
            room -= cost
        else:
            yield (block,)
    if group:
        yield group


def holes(block: Block, most: int) -> Iterator[tuple[int, int]]:
    """Cut a run of zeros into offsets and lengths, of at most *most* bytes each."""
    for start in range(0, block.hole, most):
        yield block.offset + start, min(most, block.hole - start)


def take(blocks: Iterator[Block], size: int, entries: Sequence[Entry]) -> list[Block]:
    """Read blocks until *size* bytes are there; empty at the end.

    What a stream has given is never held back: more of it may come in an hour.
    """
    batch: list[Block] = []
    taken = 0
    for block in blocks:
        batch.append(block)
        taken += len(block.payload)
        if taken >= size or len(batch) >= MANY or entries[block.number].size is None:
            break
    return batch


def after_small(entries: Sequence[Entry], number: int) -> int:
    """Return the first entry from *number* on that is no small file, nor one without content."""
    while number < len(entries):
        size = entries[number].size
        if size is None or size > NEAR:
            break
        number += 1
    return number
