"""The ends of a run: exactly one `done`, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.errors import DcsendError, DestinationError, Interrupted, SourceError, UsageError
from dcsend.session.events import (
    CodeReady,
    DescriptionReady,
    Event,
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    Warned,
)
from dcsend.session.story import receive_files, send_files
from dcsend.settings import Settings
from dcsend.signaling import blob

LOCAL = Settings(stun=(), addresses=("127.0.0.1",))


async def accept(manifest: ManifestKnown) -> bool:
    return True


def assert_ended(events: list[Event], status: int) -> None:
    """Check that the failure was reported, then the end, once."""
    assert isinstance(events[-2], Failed)
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.ok, last.exit) == (False, status)
    assert sum(isinstance(event, Finished) for event in events) == 1


async def test_unexpected_exception_is_an_event_too() -> None:
    events: list[Event] = []
    with pytest.raises(DcsendError, match="unexpected: TypeError") as caught:
        await send_files([3], LOCAL, events.append)  # type: ignore[list-item]
    assert caught.value.exit_status == 1
    assert_ended(events, 1)


async def test_when_nothing_is_left_to_send_the_reason_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    events: list[Event] = []
    settings = Settings(stun=(), exclude=("*.txt",))
    with pytest.raises(SourceError, match="nothing is left to send"):
        await send_files([str(tmp_path / "a.txt")], settings, events.append)
    assert_ended(events, 3)


async def test_a_missing_source_is_reported_before_any_code(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(SourceError, match=r"gone\.mkv"):
        await send_files([str(tmp_path / "gone.mkv")], LOCAL, events.append)
    assert_ended(events, 3)
    assert len(events) == 2


async def test_a_destination_that_is_a_file_is_reported_before_any_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    events: list[Event] = []
    settings = Settings(stun=(), output=str(tmp_path / "file"))
    with pytest.raises(DestinationError, match="is not a folder"):
        await receive_files(settings, events.append, accept)
    assert_ended(events, 4)
    assert len(events) == 2


async def test_a_working_folder_that_is_gone_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    events: list[Event] = []
    with pytest.raises(DestinationError):
        await receive_files(Settings(stun=()), events.append, accept)
    monkeypatch.chdir(tmp_path)
    assert_ended(events, 4)


async def test_what_can_not_be_sent_is_reported_after_the_code(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "good").write_text("x")
    (tmp_path / "tree" / "back\\slash").write_text("x")
    (tmp_path / "tree" / "link").symlink_to("good")
    events: list[Event] = []
    settings = Settings(stun=(), addresses=("127.0.0.1",), expires=0.05)
    with pytest.raises(DcsendError, match="no device connected with the code"):
        await send_files([str(tmp_path / "tree")], settings, events.append)
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["CodeReady", "Warned", "FileFinished", "Failed", "Finished"]
    note, file = events[1], events[2]
    assert isinstance(note, Warned)
    assert "link" in note.message
    assert isinstance(file, FileFinished)
    assert (file.path, file.status, file.exit) == ("tree/back\\slash", "failed", 3)


async def test_what_can_not_be_sent_is_reported_once_by_a_sender_that_answers(
    tmp_path: Path,
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "good").write_text("x")
    (tmp_path / "tree" / "link").symlink_to("good")
    loopback = Candidate(CandidateType.HOST, "127.0.0.1", 9, 1)
    offer = Description(SdpType.OFFER, "abcd", "x" * 22, bytes(32), Setup.ACTPASS, (loopback,))
    settings = replace(LOCAL, code=blob.encode(offer))
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, DescriptionReady):
            interrupt.set_result(signal.SIGTERM)

    with pytest.raises(Interrupted):
        await send_files([str(tmp_path / "tree")], settings, show, interrupt=interrupt)
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Warned", "DescriptionReady", "Failed", "Finished"]


def long_names(folder: Path, count: int) -> None:
    """Create files whose paths have 3300 bytes, which only names relative to a folder can have."""
    above = os.open(folder, os.O_RDONLY)
    for _ in range(12):
        os.mkdir("d" * 255, dir_fd=above)
        below = os.open("d" * 255, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    for number in range(count):
        os.close(os.open(f"{number:0240}", os.O_CREAT | os.O_WRONLY, dir_fd=above))
    os.close(above)


@pytest.mark.full
@pytest.mark.parametrize("code", ["", "dc1"])
async def test_names_that_are_too_long_together_are_refused_before_there_is_a_code(
    tmp_path: Path, code: str
) -> None:
    (tmp_path / "tree").mkdir()
    long_names(tmp_path / "tree", 2800)
    events: list[Event] = []
    with pytest.raises(UsageError, match=r"paths of 28.. entries are longer together"):
        await send_files([str(tmp_path / "tree")], replace(LOCAL, code=code), events.append)
    assert [event.event for event in events] == ["error", "done"]


@pytest.mark.parametrize("warns", [True, False])
async def test_pattern_that_matches_nothing_is_noted(tmp_path: Path, warns: bool) -> None:
    for name in ("target", "docs"):
        (tmp_path / name).touch()
    settings = replace(LOCAL, exclude=("/target", "/targe\x1b"), warn_unmatched=warns)
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, CodeReady):
            asyncio.get_running_loop().call_soon(interrupt.set_result, signal.SIGTERM)

    with pytest.raises(Interrupted):
        await send_files([str(tmp_path)], settings, show, interrupt=interrupt)
    notes = [event.message for event in events if isinstance(event, Warned)]
    assert notes == (["nothing matches --exclude /targe\\x1b"] if warns else [])
