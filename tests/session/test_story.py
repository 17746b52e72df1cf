"""The ends of a run: exactly one `done`, whatever happens."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.entry import Entry, LeftOut
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
    """Check that the failure was told, then the end, once."""
    assert isinstance(events[-2], Failed)
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.ok, last.exit) == (False, status)
    assert sum(isinstance(event, Finished) for event in events) == 1


async def test_a_bug_is_told_as_an_event_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr("dcsend.session.offering.scan", broken)
    events: list[Event] = []
    with pytest.raises(DcsendError, match="unexpected: ZeroDivisionError") as caught:
        await send_files([str(tmp_path)], LOCAL, events.append)
    assert caught.value.exit_status == 1
    assert_ended(events, 1)


async def test_when_nothing_is_left_to_send_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    events: list[Event] = []
    settings = Settings(stun=(), exclude=("*.txt",))
    with pytest.raises(SourceError, match="nothing is left to send"):
        await send_files([str(tmp_path / "a.txt")], settings, events.append)
    assert_ended(events, 3)


async def test_a_missing_source_is_told_before_any_code(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(SourceError, match=r"gone\.mkv"):
        await send_files([str(tmp_path / "gone.mkv")], LOCAL, events.append)
    assert_ended(events, 3)
    assert len(events) == 2


async def test_a_destination_that_is_a_file_is_told_before_any_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    events: list[Event] = []
    settings = Settings(stun=(), output=str(tmp_path / "file"))
    with pytest.raises(DestinationError, match="is not a folder"):
        await receive_files(settings, events.append, accept)
    assert_ended(events, 4)
    assert len(events) == 2


async def test_a_working_folder_that_is_gone_is_told(
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


async def test_what_can_not_be_sent_is_told_after_the_code(tmp_path: Path) -> None:
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


async def test_the_manifest_is_written_while_nobody_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("x")
    loop = asyncio.get_running_loop()
    interrupt: asyncio.Future[int] = loop.create_future()
    end = threading.Event()

    def written(entries: Sequence[Entry], left_out: LeftOut) -> list[str]:
        assert [entry.path for entry in entries] == ["a.txt"]
        loop.call_soon_threadsafe(interrupt.set_result, signal.SIGTERM)
        end.wait()  # nobody waits for it when the run has ended
        return []

    monkeypatch.setattr("dcsend.protocol.manifest_messages.encode_manifest", written)
    events: list[Event] = []
    with pytest.raises(Interrupted):
        await send_files([str(tmp_path / "a.txt")], LOCAL, events.append, interrupt=interrupt)
    assert isinstance(events[0], CodeReady)
    assert len(asyncio.all_tasks()) == 1
    end.set()


async def test_what_can_not_be_sent_is_told_once_by_a_sender_that_answers(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("code", ["", "dc1"])
async def test_too_many_entries_are_refused_before_there_is_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    for number in range(6):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr("dcsend.protocol.limits.MAX_ENTRIES", 5)
    monkeypatch.setattr("dcsend.session.offering._MANY", 2)
    events: list[Event] = []
    with pytest.raises(UsageError, match="more than the 5"):
        await send_files([str(tmp_path)], replace(LOCAL, code=code), events.append)
    assert [event.event for event in events] == ["error", "done"]


@pytest.mark.parametrize("told", [True, False])
async def test_pattern_that_matches_nothing_is_noted(tmp_path: Path, told: bool) -> None:
    for name in ("target", "docs"):
        (tmp_path / name).touch()
    settings = replace(LOCAL, exclude=("/target", "/targe\x1b"), warn_unmatched=told)
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    events: list[Event] = []

    def show(event: Event) -> None:
        events.append(event)
        if isinstance(event, CodeReady):
            asyncio.get_running_loop().call_soon(interrupt.set_result, signal.SIGTERM)

    with pytest.raises(Interrupted):
        await send_files([str(tmp_path)], settings, show, interrupt=interrupt)
    notes = [event.message for event in events if isinstance(event, Warned)]
    assert notes == (["nothing matches --exclude /targe\\x1b"] if told else [])
