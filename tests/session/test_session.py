"""Both halves of a transfer over a connection in memory: damage, cuts, typed lines."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from dcsend.entry import Entry
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    IntegrityError,
    LocalProtocolError,
    PeerRefused,
)
from dcsend.files.manifest import scan
from dcsend.protocol.limits import MAX_FRAME, MAX_TEXT
from dcsend.session.conversation import Conversation
from dcsend.session.events import Connected, Event, ManifestKnown, Progressed, TextExchanged
from dcsend.session.outcome import exit_status
from tests.support.halves import SETTINGS, both, receiver, sender
from tests.support.load import Stopwatch
from tests.support.memory import connected_pair

CONTENT = bytes(range(256)) * 4096
"1 MiB."


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(CONTENT)
    return path


async def test_a_file_arrives_and_both_sides_report_it(tmp_path: Path, source_file: Path) -> None:
    left, right = connected_pair()
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    assert (tmp_path / "in" / "film.bin").read_bytes() == CONTENT
    for side in (sending, receiving):
        assert [(file.path, file.status) for file in side.tally.files] == [("film.bin", "ok")]
        assert side.tally.bytes == len(CONTENT)
    assert sending.tally.files[0].sha256 == receiving.tally.files[0].sha256


async def test_a_sender_reports_its_offer_when_the_other_side_leaves_at_once(
    source_file: Path, tmp_path: Path
) -> None:
    left, right = connected_pair()

    def cut_at_once(event: Event) -> None:
        sending.events.append(event)
        if isinstance(event, Connected):
            left.cut()

    sending = sender(left, source_file, emit=cut_at_once)
    receiving = receiver(right, tmp_path / "in")
    error, _ = await both(sending, receiving)
    assert isinstance(error, ConnectionFailed)
    # A busy machine may have let a sign of life be due.
    kinds = [type(event) for event in sending.events if not isinstance(event, TextExchanged)]
    assert kinds == [Connected, ManifestKnown]


def first_data_frame(change: Callable[[bytes], bytes]) -> Callable[[bytes | str], bytes | str]:
    changed = False

    def filter_(message: bytes | str) -> bytes | str:
        nonlocal changed
        if isinstance(message, bytes) and not changed:
            changed = True
            return change(message)
        return message

    return filter_


def flip_payload(frame: bytes) -> bytes:
    return frame[:100] + bytes([frame[100] ^ 1]) + frame[101:]


def flip_payload_and_mend_the_checksum(frame: bytes) -> bytes:
    damaged = flip_payload(frame)
    crc = crc32(damaged[:20] + bytes(4) + damaged[24:])
    return damaged[:20] + struct.pack("!I", crc) + damaged[24:]


async def test_a_byte_changed_below_the_checksum_ends_both_sides_with_integrity(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair(first_data_frame(flip_payload))
    errors = await both(sender(left, source_file), receiver(right, tmp_path / "in"))
    assert [type(error) for error in errors] == [IntegrityError, IntegrityError]
    assert not (tmp_path / "in" / "film.bin").exists()


async def test_a_byte_changed_above_the_checksum_is_found_by_the_digest(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair(first_data_frame(flip_payload_and_mend_the_checksum))
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    for side in (sending, receiving):
        assert [file.status for file in side.tally.files] == ["mismatch"]
        assert exit_status(side.tally.files) == IntegrityError.exit_status
    assert list((tmp_path / "in").iterdir()) == []


async def test_a_cut_keeps_the_part_and_nothing_else(tmp_path: Path, source_file: Path) -> None:
    left, right = connected_pair()

    def cut_when_something_is_written(event: Event) -> None:
        if isinstance(event, Progressed) and event.bytes:
            right.cut()

    receiving = receiver(right, tmp_path / "in", emit=cut_when_something_is_written)
    # A small window, so that the cut comes before the end.
    small = dataclasses.replace(SETTINGS, window=200_000)
    sending = sender(left, source_file, small)
    errors = await both(sending, receiving)
    assert [type(error) for error in errors] == [ConnectionFailed, ConnectionFailed]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["film.bin.dcsend-part"]


async def test_typed_lines_appear_on_the_other_side_while_the_person_decides(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    arrived = asyncio.Event()

    async def decide_after_the_line(manifest: ManifestKnown) -> bool:
        await arrived.wait()
        return True

    def listen(event: Event) -> None:
        receiving.events.append(event)
        if isinstance(event, TextExchanged) and event.kind == "line":
            arrived.set()

    sending = sender(left, source_file)
    receiving = receiver(right, tmp_path / "in", decide=decide_after_the_line, emit=listen)
    sending.lines.put_nowait("congratulations")
    assert await both(sending, receiving) == (None, None)
    lines = [e for e in receiving.events if isinstance(e, TextExchanged) and e.kind == "line"]
    assert [(e.text, e.sent) for e in lines] == [("congratulations", False)]
    randoms = [e for e in receiving.events if isinstance(e, TextExchanged) and e.kind == "random"]
    assert all(len(e.text) == 15 for e in randoms)


async def test_a_long_typed_line_arrives_whole_in_messages_of_the_allowed_length(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    line = "".join(chr(0x1F400 + number % 64) for number in range(2 * MAX_TEXT))
    received = ""
    arrived = asyncio.Event()

    async def decide_after_the_line(manifest: ManifestKnown) -> bool:
        await arrived.wait()
        return True

    def listen(event: Event) -> None:
        nonlocal received
        if isinstance(event, TextExchanged) and event.kind == "line":
            assert len(f"{event.text}\n".encode()) <= MAX_TEXT
            received += event.text
            if len(received) >= len(line):
                arrived.set()

    sending = sender(left, source_file)
    sending.lines.put_nowait(line)
    receiving = receiver(right, tmp_path / "in", decide=decide_after_the_line, emit=listen)
    async with asyncio.timeout(60):
        assert await both(sending, receiving) == (None, None)
    assert received == line


async def test_a_manifest_that_can_not_be_encoded_is_reported_on_both_sides(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    found = scan([source_file])
    impossible = dataclasses.replace(found, entries=[Entry("a\udcff")])
    sending, receiving = sender(left, impossible), receiver(right, tmp_path / "in")
    ours, theirs = await both(sending, receiving)
    assert isinstance(ours, LocalProtocolError)
    assert isinstance(theirs, PeerRefused)
    assert ours.message in theirs.message


async def test_a_decline_is_sent_to_the_sender_and_nothing_is_written(
    tmp_path: Path, source_file: Path
) -> None:
    async def decline(manifest: ManifestKnown) -> bool:
        return False

    left, right = connected_pair()
    errors = await both(sender(left, source_file), receiver(right, tmp_path / "in", decide=decline))
    assert [str(error) for error in errors] == ["the other side declined", "you declined"]
    assert [type(error) for error in errors] == [PeerRefused, PeerRefused]
    assert not (tmp_path / "in").exists()


async def test_an_existing_file_is_declined_with_its_name(
    tmp_path: Path, source_file: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film.bin").write_text("mine")
    left, right = connected_pair()
    errors = await both(sender(left, source_file), receiver(right, tmp_path / "in"))
    assert [error.exit_status if isinstance(error, DcsendError) else 0 for error in errors] == [
        7,
        4,
    ]
    assert "film.bin" in str(errors[0])
    assert str(tmp_path) in str(errors[1])
    assert str(tmp_path) not in str(errors[0])  # local paths are private
    assert (tmp_path / "in" / "film.bin").read_text() == "mine"


async def test_a_folder_that_can_not_be_created_is_reported_on_both_sides(tmp_path: Path) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "file").write_text("x")

    async def get_in_the_way(manifest: ManifestKnown) -> bool:
        (tmp_path / "in" / "tree").mkdir(parents=True)
        (tmp_path / "in" / "tree" / "empty").write_text("mine")
        return True

    left, right = connected_pair()
    sending = sender(left, tmp_path / "tree")
    receiving = receiver(right, tmp_path / "in", decide=get_in_the_way)
    assert await both(sending, receiving) == (None, None)
    for side in (sending, receiving):
        statuses = {file.path: file.status for file in side.tally.files}
        assert statuses == {"tree/empty": "failed", "tree/file": "ok"}
        assert exit_status(side.tally.files) == 11


@pytest.mark.parametrize("folder", ["fine", "in the way"])
async def test_a_last_file_that_fails_before_its_end_completes_the_transfer(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "film").write_bytes(CONTENT)

    async def get_in_the_way(manifest: ManifestKnown) -> bool:
        (tmp_path / "in" / "tree" / "film.dcsend-part").mkdir(parents=True)
        if folder != "fine":
            (tmp_path / "in" / "tree" / "empty").write_text("mine")
        return True

    left, right = connected_pair()
    narrow = dataclasses.replace(SETTINGS, window=2 * MAX_FRAME)
    sending = sender(left, tmp_path / "tree")
    receiving = receiver(right, tmp_path / "in", narrow, decide=get_in_the_way)
    watch = Stopwatch()
    assert await both(sending, receiving) == (None, None)
    watch.assert_within(SETTINGS.deadlines.bye)
    expected = {"tree/film": "failed"} | ({} if folder == "fine" else {"tree/empty": "failed"})
    for side in (sending, receiving):
        assert {file.path: file.status for file in side.tally.files} == expected


async def test_lines_typed_before_the_connection_are_not_sent(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    lines: asyncio.Queue[str] = asyncio.Queue()
    lines.put_nowait("meant for a shell")
    Conversation(left, SETTINGS, lambda event: None, lines)
    assert lines.empty()
    await right.close()


async def test_a_cancel_is_sent_to_the_other_side_at_once(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    asked = asyncio.Event()

    async def never(manifest: ManifestKnown) -> bool:
        asked.set()
        await asyncio.Future()
        return False

    receiving = asyncio.create_task(receiver(right, tmp_path / "in", decide=never).run())
    sending = asyncio.create_task(sender(left, source_file).run())
    await asked.wait()
    watch = Stopwatch()
    receiving.cancel()
    error = await sending
    with contextlib.suppress(asyncio.CancelledError):
        await receiving
    watch.assert_within(2)
    assert isinstance(error, PeerRefused)
    assert str(error) == "the other side cancelled"
