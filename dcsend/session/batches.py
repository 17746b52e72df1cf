"""Group blocks: those read in one thread hop, and those sent in one frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.entry import Entry
from dcsend.files.source import Block
from dcsend.protocol.limits import DIGEST

__all__ = ["grouped", "holes", "take"]

_MANY: Final = 1024
"Blocks in one batch at most; reached where files are small."


def grouped(
    batch: Sequence[Block], entries: Sequence[Entry], most: int
) -> Iterator[Sequence[Block]]:
    """Group consecutive whole files, up to *most* bytes with their digests."""
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
    """Yield offset and length of each part of a run of zeros, at most *most* bytes long."""
    for start in range(0, block.hole, most):
        yield block.offset + start, min(most, block.hole - start)


def take(blocks: Iterator[Block], size: int, entries: Sequence[Entry]) -> list[Block]:
    """Read blocks until they hold *size* bytes; return an empty list at the end.

    A block of a stream ends the batch at once: the next one may take an hour.
    """
    batch: list[Block] = []
    taken = 0
    for block in blocks:
        batch.append(block)
        taken += len(block.payload)
        if taken >= size or len(batch) >= _MANY or entries[block.number].size is None:
            break
    return batch
