"""The receiving half with a slow disk, a small window, and an early end."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.protocol.limits import MAX_FRAME
from dcsend.session import incoming
from dcsend.session.incoming import Incoming
from tests.support.halves import SETTINGS, both, receiver, sender
from tests.support.memory import connected_pair

CONTENT = bytes(range(256)) * 4096
"1 MiB."


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("window", [1, 30_000, 3_000_000])
async def test_holes_fit_any_window(tmp_path: Path, window: int) -> None:
    """A small window gets short holes, as it gets short frames, so the transfer does not stall."""
    path, size = tmp_path / "sparse", 200_000_000
    with path.open("wb") as file:
        file.write(b"begin")
        file.seek(size - 3)
        file.write(b"end")
    settings = dataclasses.replace(SETTINGS, window=window)
    left, right = connected_pair()
    sending, receiving = sender(left, path), receiver(right, tmp_path / "in", settings)
    assert await both(sending, receiving) == (None, None)
    assert sending.tally.bytes == receiving.tally.bytes == size
    assert sending.tally.files[0].sha256 == receiving.tally.files[0].sha256


async def test_a_slow_disk_holds_no_more_than_the_window(
    tmp_path: Path, source_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = 200_000
    settings = dataclasses.replace(SETTINGS, window=window)
    left, right = connected_pair()
    sending = sender(left, source_file, settings)
    receiving = receiver(right, tmp_path / "in", settings)
    half = receiving.half
    assert isinstance(half, Incoming)
    held: list[int] = []
    tell = half._tell

    async def watch(cost: int) -> None:
        held.append(half._protocol.received - half._protocol._written)
        await tell(cost)

    monkeypatch.setattr(half, "_tell", watch)
    assert await both(sending, receiving) == (None, None)
    assert held
    assert max(held) <= window


async def test_a_slow_disk_acknowledges_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames received during a slow write are written and acknowledged by the MiB."""
    source_file = tmp_path / "large"
    source_file.write_bytes(bytes(range(256)) * 20_000)
    left, right = connected_pair()
    sending = sender(left, source_file, SETTINGS)
    receiving = receiver(right, tmp_path / "in", SETTINGS)
    half = receiving.half
    assert isinstance(half, Incoming)
    costs: list[int] = []
    behind: list[bool] = []
    tell, apply = half._tell, half._sink.apply

    async def watch(cost: int) -> None:
        costs.append(cost)
        await tell(cost)

    def late(operations: Any, *, more: bool) -> Any:  # noqa: ANN401
        behind.append(more)
        time.sleep(0.1)
        return apply(operations, more=more)

    monkeypatch.setattr(half, "_tell", watch)
    monkeypatch.setattr(half._sink, "apply", late)
    assert await both(sending, receiving) == (None, None)
    assert max(costs[:-1]) > 500_000
    assert max(costs) < 1024 * 1024 + MAX_FRAME
    assert any(behind), "the sink did not get more=True"
    assert not behind[-1]


async def test_complete_files_are_saved_and_reported_after_an_early_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "_CLOSING", 150.0)  # the disk of a busy machine is slow
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(name)
    left, right = connected_pair()
    sending, receiving = sender(left, folder), receiver(right, tmp_path / "in")
    half = receiving.half
    assert isinstance(half, Incoming)
    apply = half._sink.apply

    def cut(operations: Any, *, more: bool) -> Any:  # noqa: ANN401
        assert apply(operations, more=True) == []
        raise ConnectionFailed("lost while they are being synced")

    monkeypatch.setattr(half._sink, "apply", cut)
    _, error = await both(sending, receiving)
    assert isinstance(error, ConnectionFailed)
    assert sorted(file.path for file in receiving.tally.files) == [
        "folder/a",
        "folder/b",
        "folder/c",
    ]
    for file in receiving.tally.files:
        assert file.status == "ok"
        assert file.saved is not None
        assert file.saved.read_text() == file.path[-1]


async def test_a_file_that_is_written_during_a_cancel_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source_file: Path
) -> None:
    left, right = connected_pair()
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    half = receiving.half
    assert isinstance(half, Incoming)
    monkeypatch.setattr(incoming, "_CLOSING", 150.0)
    loop, ending = asyncio.get_running_loop(), threading.Event()
    apply, close = half._sink.apply, half.close

    def late(operations: Any, *, more: bool) -> Any:  # noqa: ANN401
        outcomes = apply(operations, more=more)
        if outcomes:
            loop.call_soon_threadsafe(receives.cancel)
            assert ending.wait(20)
        return outcomes

    async def end() -> None:
        ending.set()
        await close()

    monkeypatch.setattr(half._sink, "apply", late)
    monkeypatch.setattr(half, "close", end)
    sends = asyncio.create_task(sending.run())
    receives = asyncio.create_task(receiving.run())
    with pytest.raises(asyncio.CancelledError):
        await receives
    await sends
    assert [(file.path, file.status) for file in receiving.tally.files] == [("film.bin", "ok")]
