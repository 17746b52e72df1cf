"""The loop and the disk on one processor for small files, and nobody else there for long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from dcsend.engines.memory import connected_pair
from dcsend.entry import Entry
from dcsend.files.operations import Operation, Outcome
from dcsend.files.sink import DirectorySink
from dcsend.files.source import Block
from dcsend.files.syncing import Together
from dcsend.processor import apart, go, stay
from dcsend.session import outgoing
from dcsend.session.worker import Worker
from tests.test_session import both, receiver, sender

if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
    pytest.skip("there is one processor, or no choice", allow_module_level=True)

T = TypeVar("T")
ALL = os.sched_getaffinity(0)


def mine() -> set[int]:
    """The processors that this thread may be on."""
    return os.sched_getaffinity(0)


def elsewhere(call: Callable[[], T]) -> T:
    """What *call* returns in a new thread."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def test_a_thread_stays_and_is_free_again() -> None:
    with stay() as place:
        assert place is not None
        assert mine() == {place.processor}
    assert mine() == ALL


def test_stays_may_overlap() -> None:
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    place = first.enter_context(stay())
    assert second.enter_context(stay()) == place
    first.close()
    assert place is not None
    assert mine() == {place.processor}
    second.close()
    assert mine() == ALL


def test_a_thread_that_may_be_in_one_place_only_is_left_there() -> None:
    def bound() -> tuple[object, set[int]]:
        os.sched_setaffinity(0, {min(ALL)})
        with stay() as place:
            return place, mine()

    assert elsewhere(bound) == (None, {min(ALL)})


def test_another_thread_goes_there_and_away_again() -> None:
    def visit() -> tuple[set[int], set[int]]:
        go(place)
        there = mine()
        go(None)
        return there, mine()

    with stay() as place:
        assert place is not None
        assert elsewhere(visit) == ({place.processor}, ALL)


def test_what_the_system_refuses_leaves_the_thread_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(process: int, processors: object) -> None:
        raise PermissionError(1, "forbidden")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    with stay():
        assert mine() == ALL


def test_threads_begun_apart_are_free() -> None:
    with stay() as place:
        assert place is not None
        assert elsewhere(mine) == {place.processor}
        with apart():
            assert elsewhere(mine) == ALL
        assert mine() == {place.processor}


def test_syncs_are_free_whoever_begins_them() -> None:
    found: list[set[int]] = []
    together = Together()
    with stay():
        together.begin([lambda: found.append(mine())]).wait()
    together.close()
    assert found == [ALL]


async def test_work_near_the_loop_is_on_its_processor_and_the_next_is_free() -> None:
    worker = Worker("test")
    loop = asyncio.get_running_loop()
    started, end = asyncio.Event(), threading.Event()

    def work() -> set[int]:
        loop.call_soon_threadsafe(started.set)
        end.wait()
        return mine()

    task = asyncio.create_task(worker.run(work, near=True))
    await started.wait()
    here = mine()
    end.set()
    assert await task == here
    assert len(here) == 1
    assert mine() == ALL
    assert await worker.run(mine) == ALL
    worker.close()


async def test_a_cancelled_call_lets_the_loop_go() -> None:
    worker = Worker("test")
    end = threading.Event()
    task = asyncio.create_task(worker.run(end.wait, near=True))
    await asyncio.sleep(0)
    assert len(mine()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mine() == ALL
    end.set()
    worker.close()


@pytest.mark.parametrize(
    ("files", "size", "near"), [(600, 4096, True), (3, 1 << 20, False)], ids=["small", "large"]
)
async def test_small_files_are_read_and_written_near_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, size: int, near: bool
) -> None:
    (tmp_path / "many").mkdir()
    for number in range(files):
        (tmp_path / f"many/{number}").write_bytes(bytes([number % 256]) * size)
    reads: list[int] = []
    writes: list[int] = []
    take, apply = outgoing._take, DirectorySink.apply

    def reading(blocks: Iterator[Block], room: int, entries: Sequence[Entry]) -> list[Block]:
        reads.append(len(mine()))
        return take(blocks, room, entries)

    def writing(
        sink: DirectorySink, batch: Sequence[Operation], *, more: bool = False
    ) -> list[Outcome]:
        writes.append(len(mine()))
        return apply(sink, batch, more=more)

    monkeypatch.setattr(outgoing, "_take", reading)
    monkeypatch.setattr(DirectorySink, "apply", writing)
    left, right = connected_pair()
    ends = await both(sender(left, tmp_path / "many"), receiver(right, tmp_path / "in"))
    assert ends == (None, None)
    wanted = 1 if near else len(ALL)
    # Of the first block nobody knows yet what it will be.
    assert set(reads[1:]) == {wanted}
    assert set(writes) == {wanted}
