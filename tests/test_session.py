"""Both halves of a transfer on the memory engine: damage, cuts, silence, typed lines, memory."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from dcsend.engines.memory import MemoryConnection, connected_pair
from dcsend.entry import Existing
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    IntegrityError,
    LocalProtocolError,
    PeerRefused,
)
from dcsend.files.manifest import scan
from dcsend.files.sink import DirectorySink
from dcsend.files.source import Source
from dcsend.protocol.limits import MAX_FRAME
from dcsend.session import conversation, incoming
from dcsend.session.conversation import Conversation
from dcsend.session.events import (
    Connected,
    Event,
    ManifestKnown,
    Progressed,
    TextExchanged,
    Warned,
)
from dcsend.session.incoming import Incoming
from dcsend.session.outcome import Tally, exit_status
from dcsend.session.outgoing import Outgoing, block_size
from dcsend.settings import Settings

SETTINGS = Settings(heartbeat=0.02, progress_interval=0)
IMPATIENT = dataclasses.replace(SETTINGS, silence_report=0.1, silence_limit=0.3)
CONTENT = bytes(range(256)) * 4096  # 1 MiB


@dataclasses.dataclass
class Side:
    """One half, its events and its verdicts."""

    party: Outgoing | Incoming
    conversation: Conversation
    events: list[Event]
    tally: Tally
    lines: asyncio.Queue[str]
    connection: MemoryConnection

    async def run(self) -> BaseException | None:
        """Run to the end and hang up, as the story does; return what ended it early."""
        try:
            await self.conversation.run(self.party)
        except DcsendError as exc:
            return exc
        finally:
            await self.connection.close()
        return None


def sender(connection: MemoryConnection, path: Path, settings: Settings = SETTINGS) -> Side:
    found = scan([path])
    source = Source(found, block_size=block_size(settings.block_size))
    events: list[Event] = []
    tally = Tally()
    lines: asyncio.Queue[str] = asyncio.Queue()
    party = Outgoing(
        connection, found.entries, source, settings, events.append, agent="a", tally=tally
    )
    party.conversation = Conversation(connection, settings, events.append, lines)
    return Side(party, party.conversation, events, tally, lines, connection)


def receiver(
    connection: MemoryConnection,
    root: Path,
    settings: Settings = SETTINGS,
    decide: Callable[[ManifestKnown], Coroutine[Any, Any, bool]] | None = None,
) -> Side:
    async def accept(manifest: ManifestKnown) -> bool:
        return True

    settings = dataclasses.replace(settings, output=str(root))
    events: list[Event] = []
    tally = Tally()
    lines: asyncio.Queue[str] = asyncio.Queue()
    sink = DirectorySink(root, existing=Existing.REFUSE)
    party = Incoming(
        connection, sink, settings, events.append, decide or accept, agent="b", tally=tally
    )
    party.conversation = Conversation(connection, settings, events.append, lines)
    return Side(party, party.conversation, events, tally, lines, connection)


async def both(left: Side, right: Side) -> tuple[BaseException | None, BaseException | None]:
    async with asyncio.timeout(20):
        one, two = await asyncio.gather(left.run(), right.run())
    return one, two


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(CONTENT)
    return path


async def test_a_file_arrives_and_both_sides_know_it(tmp_path: Path, source_file: Path) -> None:
    left, right = connected_pair()
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    assert (tmp_path / "in" / "film.bin").read_bytes() == CONTENT
    for side in (sending, receiving):
        assert [(file.path, file.status) for file in side.tally.files] == [("film.bin", "ok")]
        assert side.tally.bytes == len(CONTENT)
    assert sending.tally.files[0].sha256 == receiving.tally.files[0].sha256


async def test_a_sender_has_told_what_it_offers_when_the_other_side_goes_at_once(
    source_file: Path, tmp_path: Path
) -> None:
    left, right = connected_pair()
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")

    def cut_at_once(event: Event) -> None:
        sending.events.append(event)
        if isinstance(event, Connected):
            left.cut()

    assert isinstance(sending.party, Outgoing)
    sending.party._emit = cut_at_once
    error, _ = await both(sending, receiving)
    assert isinstance(error, ConnectionFailed)
    # A busy machine may have let a sign of life be due.
    told = [type(event) for event in sending.events if not isinstance(event, TextExchanged)]
    assert told == [Connected, ManifestKnown]


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
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    emit = receiving.events.append

    def cut_when_something_is_written(event: Event) -> None:
        emit(event)
        if isinstance(event, Progressed) and event.bytes:
            right.cut()

    party = receiving.party
    party._emit = cut_when_something_is_written
    # A small window, so that the cut comes before the end.
    small = dataclasses.replace(SETTINGS, window=200_000)
    sending = sender(left, source_file, small)
    errors = await both(sending, receiving)
    assert [type(error) for error in errors] == [ConnectionFailed, ConnectionFailed]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["film.bin.dcsend-part"]


async def test_silence_is_reported_and_then_ends_the_run(tmp_path: Path, source_file: Path) -> None:
    left, right = connected_pair()
    for channel in right.memory_channels.values():
        channel.clog()
    sending = sender(left, source_file, IMPATIENT)
    async with asyncio.timeout(10):
        error = await sending.run()
    assert isinstance(error, ConnectionFailed)
    assert [e.kind for e in sending.events if isinstance(e, Warned)] == ["silent"]


@pytest.mark.parametrize(
    ("agent", "named"),
    [("dcsend/0.1.0 (Android; Chrome)", True), ("dcsend/0.1.0 (Linux; Python 3.11.7)", False)],
)
async def test_of_a_browser_it_is_reported_that_silence_ends_its_connection(
    source_file: Path, monkeypatch: pytest.MonkeyPatch, agent: str, named: bool
) -> None:
    monkeypatch.setattr(conversation, "_BROWSER_GIVES_UP", 0.2)
    left, right = connected_pair()
    for channel in right.memory_channels.values():
        channel.clog()
    sending = sender(left, source_file, IMPATIENT)
    sending.conversation.introduced(agent)
    async with asyncio.timeout(10):
        error = await sending.run()
    assert isinstance(error, ConnectionFailed)
    assert ("it is a browser" in error.message) is named


async def test_typed_lines_appear_on_the_other_side_while_the_person_decides(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    heard = asyncio.Event()

    async def decide_after_the_line(manifest: ManifestKnown) -> bool:
        await heard.wait()
        return True

    sending = sender(left, source_file)
    receiving = receiver(right, tmp_path / "in", decide=decide_after_the_line)
    emit = receiving.events.append

    def listen(event: Event) -> None:
        emit(event)
        if isinstance(event, TextExchanged) and event.kind == "line":
            heard.set()

    receiving.conversation._emit = listen
    sending.lines.put_nowait("congratulations")
    assert await both(sending, receiving) == (None, None)
    lines = [e for e in receiving.events if isinstance(e, TextExchanged) and e.kind == "line"]
    assert [(e.text, e.sent) for e in lines] == [("congratulations", False)]
    randoms = [e for e in receiving.events if isinstance(e, TextExchanged) and e.kind == "random"]
    assert all(len(e.text) == 15 for e in randoms)


async def test_a_manifest_that_can_not_be_written_is_told_to_both_sides(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    manifest: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    assert isinstance(sending.party, Outgoing)
    sending.party._manifest = manifest
    manifest.set_exception(LocalProtocolError("can't send this manifest"))
    ours, theirs = await both(sending, receiving)
    assert isinstance(ours, LocalProtocolError)
    assert isinstance(theirs, PeerRefused)
    assert "can't send this manifest" in theirs.message


async def test_declining_tells_the_sender_and_writes_nothing(
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
    assert str(tmp_path) not in str(errors[0])  # nobody's business
    assert (tmp_path / "in" / "film.bin").read_text() == "mine"


async def test_a_folder_that_can_not_be_made_is_told_to_both_sides(tmp_path: Path) -> None:
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
    began = time.monotonic()
    assert await both(sending, receiving) == (None, None)
    assert time.monotonic() - began < incoming._BYE
    expected = {"tree/film": "failed"} | ({} if folder == "fine" else {"tree/empty": "failed"})
    for side in (sending, receiving):
        assert {file.path: file.status for file in side.tally.files} == expected


async def test_what_was_typed_before_anybody_was_there_is_not_sent(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    lines: asyncio.Queue[str] = asyncio.Queue()
    lines.put_nowait("meant for a shell")
    Conversation(left, SETTINGS, lambda event: None, lines)
    assert lines.empty()
    await right.close()


async def test_a_cancelled_side_tells_the_other_at_once(tmp_path: Path, source_file: Path) -> None:
    left, right = connected_pair()
    asked = asyncio.Event()

    async def never(manifest: ManifestKnown) -> bool:
        asked.set()
        await asyncio.Future()
        return False

    receiving = asyncio.create_task(receiver(right, tmp_path / "in", decide=never).run())
    sending = asyncio.create_task(sender(left, source_file).run())
    await asked.wait()
    receiving.cancel()
    async with asyncio.timeout(2):
        error = await sending
        with contextlib.suppress(asyncio.CancelledError):
            await receiving
    assert isinstance(error, PeerRefused)
    assert str(error) == "the other side cancelled"


@pytest.mark.parametrize("window", [1, 30_000, 3_000_000])
async def test_holes_fit_any_window(tmp_path: Path, window: int) -> None:
    """Whose window is small gets short holes, as it gets short frames; nothing waits for ever."""
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
    party = receiving.party
    assert isinstance(party, Incoming)
    held: list[int] = []
    tell = party._tell

    async def watch(*arguments: Any) -> None:  # noqa: ANN401
        held.append(party._protocol.received - party._protocol._written)
        await tell(*arguments)

    monkeypatch.setattr(party, "_tell", watch)
    assert await both(sending, receiving) == (None, None)
    assert held
    assert max(held) <= window


async def test_a_slow_disk_acknowledges_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has gathered meanwhile is written, and told, by the MiB."""
    source_file = tmp_path / "large"
    source_file.write_bytes(bytes(range(256)) * 20_000)
    left, right = connected_pair()
    sending = sender(left, source_file, SETTINGS)
    receiving = receiver(right, tmp_path / "in", SETTINGS)
    party = receiving.party
    assert isinstance(party, Incoming)
    costs: list[int] = []
    behind: list[bool] = []
    tell, apply = party._tell, party._sink.apply

    async def watch(outcomes: Any, cost: int) -> None:  # noqa: ANN401
        costs.append(cost)
        await tell(outcomes, cost)

    def late(operations: Any, *, more: bool) -> Any:  # noqa: ANN401
        behind.append(more)
        time.sleep(0.1)
        return apply(operations, more=more)

    monkeypatch.setattr(party, "_tell", watch)
    monkeypatch.setattr(party._sink, "apply", late)
    assert await both(sending, receiving) == (None, None)
    assert max(costs[:-1]) > 500_000
    assert max(costs) < 1024 * 1024 + MAX_FRAME
    assert any(behind), "the sink is not told that more waits"
    assert not behind[-1]


async def test_what_was_complete_when_it_ended_early_is_there_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(name)
    left, right = connected_pair()
    sending, receiving = sender(left, folder), receiver(right, tmp_path / "in")
    party = receiving.party
    assert isinstance(party, Incoming)
    apply = party._sink.apply

    def cut(operations: Any, *, more: bool) -> Any:  # noqa: ANN401
        assert apply(operations, more=True) == []
        raise ConnectionFailed("lost while they are being synced")

    monkeypatch.setattr(party._sink, "apply", cut)
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


async def test_what_was_being_written_when_it_was_cancelled_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source_file: Path
) -> None:
    left, right = connected_pair()
    sending, receiving = sender(left, source_file), receiver(right, tmp_path / "in")
    party = receiving.party
    assert isinstance(party, Incoming)
    loop, ending = asyncio.get_running_loop(), threading.Event()
    apply, put_away = party._sink.apply, party.put_away

    def late(operations: Any, *, more: bool) -> Any:  # noqa: ANN401
        outcomes = apply(operations, more=more)
        if outcomes:
            loop.call_soon_threadsafe(receives.cancel)
            assert ending.wait(20)
        return outcomes

    async def end() -> None:
        ending.set()
        await put_away()

    monkeypatch.setattr(party._sink, "apply", late)
    monkeypatch.setattr(party, "put_away", end)
    sends = asyncio.create_task(sending.run())
    receives = asyncio.create_task(receiving.run())
    with pytest.raises(asyncio.CancelledError):
        await receives
    await sends
    assert [(file.path, file.status) for file in receiving.tally.files] == [("film.bin", "ok")]
