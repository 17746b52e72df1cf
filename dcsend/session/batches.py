"""Sizes of what the sender reads and sends at once.

The disk thread reads a *portion*: the blocks of one job (`take`). A portion becomes frames: several
small files make one BATCH frame (`grouped`), a run of zeros makes HOLE frames (`holes`), and any
other block makes DATA frames in `outgoing`. What is sent again is read with `next_again`, and
divided by `split`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.entry import Entry
from dcsend.files.reading import CantRead
from dcsend.files.source import Block
from dcsend.protocol.limits import DIGEST

__all__ = ["grouped", "holes", "next_again", "split", "take"]

logger = logging.getLogger(__name__)

_MOST_BLOCKS: Final = 1024
"Blocks in one portion at most; reached where files are small."


def take(blocks: Iterator[Block], size: int, entries: Sequence[Entry]) -> list[Block]:
    """Read the next portion; return an empty list after the last block.

    Args:
        blocks: all blocks that are to be sent, in order; reading one may wait for the disk.
        size: bytes of content after which the portion ends; its last block may exceed them.
        entries: the manifest.
    """
    portion: list[Block] = []
    taken = 0
    for block in blocks:
        portion.append(block)
        taken += len(block.payload)
        # The next block of a stream may take an hour.
        is_stream = entries[block.number].size is None
        if taken >= size or len(portion) >= _MOST_BLOCKS or is_stream:
            break
    return portion


def grouped(
    portion: Sequence[Block], entries: Sequence[Entry], most: int
) -> Iterator[Sequence[Block]]:
    """Yield the blocks of a portion in order: those of one BATCH frame together, others alone.

    Only whole files whose size is in the manifest can be in a BATCH frame.

    Args:
        portion: blocks, as of `take`.
        entries: the manifest.
        most: bytes of content and digests in one frame.
    """
    batch: list[Block] = []
    room = most
    for block in portion:
        cost = len(block.payload) + DIGEST
        is_whole = block.is_whole and entries[block.number].size is not None
        if batch and (not is_whole or cost > room):
            yield batch
            batch, room = [], most
        if is_whole and cost <= most:
            batch.append(block)
            room -= cost
        else:
            yield (block,)
    if batch:
        yield batch


def holes(block: Block, most: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each part of a run of zeros, at most *most* bytes long."""
    for start in range(0, block.hole, most):
        yield block.offset + start, min(most, block.hole - start)


def next_again(pieces: Iterator[bytes | int]) -> bytes | int:
    """Read the next piece of what is sent again; 0 if it can't be read.

    Args:
        pieces: of `FileSource.again`.
    """
    try:
        return next(pieces, 0)
    except (CantRead, OSError) as error:
        logger.debug("can't be sent again: %s", error)
        return 0


def split(piece: bytes | int, payload: int, hole: int) -> Iterator[memoryview | int]:
    """Yield a piece in parts of at most *payload* bytes, or *hole* zeros."""
    if isinstance(piece, bytes):
        for start in range(0, len(piece), payload):
            yield memoryview(piece)[start : start + payload]
        return
    for start in range(0, piece or 1, hole):
        yield min(hole, piece - start)
