"""The loop and the disk on one processor for small files, and nobody else there for long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from dcsend import processor
from dcsend.engines.memory import connected_pair
from dcsend.entry import Entry
from dcsend.files.operations import End, Hole, Operation, Outcome
from dcsend.files.sink import DirectorySink
from dcsend.files.source import Block
from dcsend.files.syncing import MANY, Together
from dcsend.processor import apart, go, stay
from dcsend.session import batches, outgoing
from dcsend.session.incoming import _is_small
from dcsend.session.worker import Worker
from tests.test_session import both, receiver, sender

if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
    pytest.skip("there is one processor, or no choice", allow_module_level=True)

T = TypeVar("T")
ALL = os.sched_getaffinity(0)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that is dcsend and nothing else."""
    monkeypatch.setattr(processor._program, "ours", True)


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


def test_nothing_happens_in_a_program_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor._program, "ours", False)
    with stay() as place:
        assert place is None
        assert mine() == ALL


def test_the_command_line_is_a_program_of_ours() -> None:
    script = (
        "from dcsend import processor, runner, settings\n"
        "runner.run_send(['nothing'], settings.Settings(), runner.Options(quiet=True))\n"
        "assert processor._program.ours\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, b"nothing" in done.stderr) == (0, True)


def test_what_somebody_else_has_decided_meanwhile_counts() -> None:
    def moved() -> set[int]:
        with stay() as place:
            assert place is not None
            os.sched_setaffinity(0, ALL - {place.processor})
            there = mine()
        assert mine() == there
        return there

    assert len(elsewhere(moved)) == len(ALL) - 1


@pytest.mark.parametrize("call", ["sched_setaffinity", "sched_getaffinity"])
def test_what_the_system_refuses_leaves_the_thread_where_it_is(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def forbidden(*arguments: object) -> None:
        raise PermissionError(1, "forbidden")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, forbidden)
        with stay():
            pass
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


def test_small_files_among_larger_ones_are_not_small_work() -> None:
    small = [End(number, 100, bytes(32)) for number in range(MANY)]
    assert _is_small(small)
    assert not _is_small(small[1:])
    assert not _is_small([*small, End(MANY, 1 << 20, bytes(32))])
    assert not _is_small([*small, Hole(MANY, 0, 1 << 30)])


async def test_small_files_are_read_and_written_near_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The large one is entry 1501, behind the folder.
    sizes = [10] * 1500 + [3 << 20] + [10] * 1500
    (tmp_path / "many").mkdir()
    for number, size in enumerate(sizes):
        (tmp_path / f"many/{number:05}").write_bytes(bytes([number % 256]) * size)
    reads: list[str] = []
    writes: dict[str, set[str]] = {"small": set(), "large": set()}
    take, apply = batches.take, DirectorySink.apply

    def where() -> str:
        return "near" if len(mine()) == 1 else "far"

    def reading(blocks: Iterator[Block], room: int, entries: Sequence[Entry]) -> list[Block]:
        if reads[-1:] != [where()]:
            reads.append(where())
        return take(blocks, room, entries)

    def writing(
        sink: DirectorySink, batch: Sequence[Operation], *, more: bool = False
    ) -> list[Outcome]:
        if any(one.number == 1501 for one in batch):
            writes["large"].add(where())
        elif len(batch) >= MANY:
            writes["small"].add(where())
        return apply(sink, batch, more=more)

    monkeypatch.setattr(outgoing, "take", reading)
    monkeypatch.setattr(DirectorySink, "apply", writing)
    left, right = connected_pair()
    ends = await both(sender(left, tmp_path / "many"), receiver(right, tmp_path / "in"))
    assert ends == (None, None)
    assert reads == ["near", "far", "near"]
    assert writes == {"small": {"near"}, "large": {"far"}}
