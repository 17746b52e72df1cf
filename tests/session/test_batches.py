"""Which blocks are read in one job, and which files are sent in one frame."""

from __future__ import annotations

import pytest

from dcsend.entry import Entry
from dcsend.files.source import Block
from dcsend.protocol.limits import DIGEST
from dcsend.session.batches import grouped, holes, take


def whole(number: int, size: int) -> Block:
    """Return a block with a whole file."""
    return Block(number, 0, bytes(size), digest=bytes(DIGEST))


def part(number: int, offset: int, size: int) -> Block:
    """Return a block with a piece of a file that has more."""
    return Block(number, offset, bytes(size))


def files(*sizes: int | None) -> list[Entry]:
    """Return entries; a stream has no size."""
    return [Entry(f"f{number}", size=size) for number, size in enumerate(sizes)]


def groups(blocks: list[Block], entries: list[Entry], most: int) -> list[list[int]]:
    """Return the numbers of the files of each group."""
    return [[block.number for block in group] for group in grouped(blocks, entries, most)]


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (3 * (10 + DIGEST), [[0, 1, 2]]),
        (3 * (10 + DIGEST) - 1, [[0, 1], [2]]),
        (2 * (10 + DIGEST), [[0, 1], [2]]),
        (2 * (10 + DIGEST) - 1, [[0], [1], [2]]),
        (10 + DIGEST - 1, [[0], [1], [2]]),
    ],
)
def test_group_has_as_many_files_as_fit_with_their_digests(
    most: int, expected: list[list[int]]
) -> None:
    blocks = [whole(number, 10) for number in range(3)]
    assert groups(blocks, files(10, 10, 10), most) == expected


def test_file_that_fits_into_no_group_is_alone_between_two_groups() -> None:
    blocks = [whole(0, 1), whole(1, 1), whole(2, 100), whole(3, 1), whole(4, 1)]
    assert groups(blocks, files(1, 1, 100, 1, 1), 100) == [[0, 1], [2], [3, 4]]


def test_piece_of_a_file_is_in_no_group() -> None:
    blocks = [whole(0, 1), part(1, 0, 5), Block(1, 5, bytes(5), digest=bytes(DIGEST)), whole(2, 1)]
    assert groups(blocks, files(1, 10, 1), 1000) == [[0], [1], [1], [2]]


def test_stream_is_in_no_group() -> None:
    blocks = [whole(0, 1), whole(1, 1), whole(2, 1)]
    assert groups(blocks, files(1, None, 1), 1000) == [[0], [1], [2]]


def test_file_that_is_given_up_is_in_no_group() -> None:
    blocks = [whole(0, 1), Block(1, 0, failure="unreadable"), whole(2, 1)]
    assert groups(blocks, files(1, 1, 1), 1000) == [[0], [1], [2]]


def test_hole_is_split_into_parts_of_at_most_the_given_length() -> None:
    assert list(holes(Block(0, 100, hole=25), 10)) == [(100, 10), (110, 10), (120, 5)]
    assert list(holes(Block(0, 100, hole=20), 10)) == [(100, 10), (110, 10)]
    assert list(holes(part(0, 0, 5), 10)) == []


def test_blocks_are_read_until_they_have_the_size() -> None:
    blocks = iter([part(0, 10 * number, 10) for number in range(5)])
    entries = files(50)
    taken = [len(take(blocks, 20, entries)) for _ in range(4)]
    assert taken == [2, 2, 1, 0]


def test_block_of_a_stream_is_sent_before_the_next_one_is_read() -> None:
    blocks = iter([whole(0, 1), part(1, 0, 1), part(1, 1, 1), whole(2, 1)])
    entries = files(1, None, 1)
    taken = [[block.number for block in take(blocks, 1000, entries)] for _ in range(4)]
    assert taken == [[0, 1], [1], [2], []]


def test_small_files_are_read_a_thousand_at_a_time() -> None:
    blocks = iter([whole(number, 0) for number in range(1500)])
    entries = files(*[0] * 1500)
    assert [len(take(blocks, 1000, entries)) for _ in range(3)] == [1024, 476, 0]
