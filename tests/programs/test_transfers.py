"""Whole transfers between two real programs: the received files equal the sent ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcsend.protocol import limits
from tests.support.processes import PATIENCE, Ended, Event, Stage, digest, tree

KB64 = 65536


def made(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def assert_whole(sent: Ended, received: Ended, *files: Path, output: Path) -> None:
    """Check both statuses, and the digest of each file in both reports and on the disk."""
    assert (sent.status, received.status) == (0, 0), (sent.err, received.err)
    for file in files:
        right = {"ok": True, "sha256": digest(file), "bytes": file.stat().st_size}
        for verdict in (sent.files[file.name], received.files[file.name]):
            assert right.items() <= verdict.items()
        saved = Path(received.files[file.name]["saved"])
        assert saved == output / file.name
        assert digest(saved) == digest(file)
    assert received.done["files"] == len(files)


@pytest.mark.parametrize("sizes", [(0,), (1, KB64 - 1, KB64, KB64 + 1)])
def test_files_of_odd_sizes_arrive(stage: Stage, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    files = [made(tmp_path / f"of {size} bytes", os.urandom(size)) for size in sizes]
    output = tmp_path / "output"
    sent, received = stage.transfer(*files, output=output)
    assert_whole(sent, received, *files, output=output)
    assert received.done["bytes"] == sent.done["bytes"] == sum(sizes)
    assert sorted(os.listdir(output)) == sorted(file.name for file in files)


def test_file_larger_than_all_buffers_arrives(stage: Stage, tmp_path: Path) -> None:
    """The window and the read-ahead hold 8 MiB each."""
    file = made(tmp_path / "large", os.urandom(20_000_000))
    sent, received = stage.transfer(file, output=tmp_path / "output")
    assert_whole(sent, received, file, output=tmp_path / "output")
    amounts = [event["bytes"] for event in received.of("progress")]
    assert amounts == sorted(amounts)
    assert amounts[-1] == 20_000_000


def small_files(folder: Path, count: int) -> None:
    for number in range(count):
        place = folder / f"{number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}").write_bytes(b"%d" % number * 500)


def test_tree_of_1000_small_files_arrives(stage: Stage, tmp_path: Path) -> None:
    small_files(tmp_path / "tree", 1000)
    sent, received = stage.transfer(tmp_path / "tree", output=tmp_path / "output")
    assert (sent.status, received.status) == (0, 0)
    assert tree(tmp_path / "output" / "tree") == tree(tmp_path / "tree")
    assert sent.done["files"] == received.done["files"] == 1000


@pytest.mark.slow
def test_tree_of_10000_small_files_arrives(stage: Stage, tmp_path: Path) -> None:
    small_files(tmp_path / "tree", 10_000)
    sent, received = stage.transfer(tmp_path / "tree", output=tmp_path / "output")
    assert (sent.status, received.status) == (0, 0)
    assert tree(tmp_path / "output" / "tree") == tree(tmp_path / "tree")


EXOTIC = (
    "süß 文件 🎉.txt",
    "e\u0301 (combining)",
    "עברית",
    " leading and trailing ",
    "-rf",
    "--json",
    "@file",
    "'quoted' \"twice\"",
    "$HOME `id` ; rm",
    "percent%20%n",
    "x" * 255,
    "dots...",
    ".hidden",
    "..hidden",
    "~",
    "#hash?query&more",
)


def test_tree_arrives_with_names_modes_times_and_empty_folders(
    stage: Stage, tmp_path: Path
) -> None:
    source, output = tmp_path / "tree", tmp_path / "output"
    for name in EXOTIC:
        made(source / name, name.encode())
    made(source / ".folder" / "file")
    (source / "empty" / "in empty").mkdir(parents=True)
    made(source / "program").chmod(0o755)
    made(source / "private").chmod(0o600)
    made(source / "suid").chmod(0o4755)
    os.utime(source / "program", ns=(0, 1_234_567_890_123_456_000))
    os.utime(source / "empty", ns=(0, 1_000_000_000_000_000_000))
    sent, received = stage.transfer(source, output=output)
    assert (sent.status, received.status) == (0, 0), received.events
    assert tree(output / "tree") == tree(source)
    modes = {"program": 0o755, "private": 0o600, "suid": 0o755}
    for name, mode in modes.items():
        assert (output / "tree" / name).stat().st_mode & 0o7777 == mode
    assert (output / "tree" / "program").stat().st_mtime_ns == 1_234_567_890_123_456_000
    assert (output / "tree" / "empty").stat().st_mtime_ns == 1_000_000_000_000_000_000


def test_folder_that_holds_nothing_but_folders_arrives(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    sent, received = stage.transfer(tmp_path / "tree", output=tmp_path / "output")
    assert (sent.status, received.status) == (0, 0)
    assert tree(tmp_path / "output") == {"tree": "/", "tree/a": "/", "tree/a/b": "/"}


def test_links_in_a_tree_are_sent_when_asked_for(stage: Stage, tmp_path: Path) -> None:
    source, output = tmp_path / "tree", tmp_path / "output"
    made(source / "file")
    (source / "link").symlink_to("file")
    (source / "broken").symlink_to("nowhere")
    (tmp_path / "named").symlink_to(made(tmp_path / "elsewhere", b"followed"))
    sent, received = stage.transfer(source, tmp_path / "named", "--links", output=output)
    assert (sent.status, received.status) == (0, 0)
    assert tree(output / "tree") == tree(source)
    assert (output / "named").read_bytes() == b"followed"
    assert not (output / "named").is_symlink()


def test_sparse_file_with_a_hole_larger_than_a_frame_arrives_sparse(
    stage: Stage, tmp_path: Path
) -> None:
    giant, size = tmp_path / "giant", limits.MAX_HOLE + 50_000_000
    with giant.open("wb") as file:
        file.write(b"begin")
        file.seek(size - 3)
        file.write(b"end")
    if giant.stat().st_blocks * 512 > size // 2:
        pytest.skip("this file system has no holes")
    sent, received = stage.transfer(giant, output=tmp_path / "output")
    assert (sent.status, received.status) == (0, 0)
    copy = tmp_path / "output" / "giant"
    assert copy.stat().st_size == size
    assert copy.stat().st_blocks * 512 < 1_000_000
    assert sent.files["giant"]["sha256"] == received.files["giant"]["sha256"]
    with copy.open("rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"\0end"


def test_excluded_files_and_links_stay(stage: Stage, tmp_path: Path) -> None:
    for name in ("a.txt", "b.tmp", "cache/x", "deep/c.tmp", "deep/d.txt"):
        made(tmp_path / "tree" / name)
    (tmp_path / "tree" / "link").symlink_to("a.txt")
    one = made(tmp_path / "one.txt", b"one")
    sent, received = stage.transfer(
        tmp_path / "tree", one, "--exclude", "*.tmp", "--exclude", "cache", output=tmp_path / "out"
    )
    assert (sent.status, received.status) == (0, 0)
    assert set(received.files) == {"tree/a.txt", "tree/deep/d.txt", "one.txt"}
    assert not os.path.lexists(tmp_path / "out" / "tree" / "link")
    assert "1 symbolic link is left out: tree/link" in sent.notes


def test_standard_input_arrives_at_standard_output(stage: Stage) -> None:
    content = os.urandom(3_000_000)
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y")
    sender.write(content)
    sender.end_input()
    sent, received = sender.end(), receiver.end()
    assert (sent.status, received.status) == (0, 0), received.err
    assert received.out == content
    assert sent.files["stdin"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_what_a_stream_has_given_is_not_held_back(stage: Stage) -> None:
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False)
    for line in (b"first\n", b"second\n"):
        sender.write(line)
        assert receiver.read(100) == line
    sender.end_input()
    assert (sender.end().status, receiver.end().status) == (0, 0)


def test_standard_input_is_saved_under_its_given_name(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send("-", "--name", "backup.tar", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, tmp_path)
    sender.write(b"archive")
    sender.end_input()
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert (tmp_path / "backup.tar").read_bytes() == b"archive"


def test_text_is_shown_and_not_saved(stage: Stage, tmp_path: Path) -> None:
    file = made(tmp_path / "file")
    output = tmp_path / "output"
    sent, received = stage.transfer(file, "--text", "grüße\n\x1b[2J", output=output)
    assert (sent.status, received.status) == (0, 0)
    (text,) = received.of("text")
    snippet = {"text": "grüße\n\x1b[2J", "kind": "snippet", "sent": False}
    assert snippet.items() <= text.items()
    assert os.listdir(output) == ["file"]


def test_sender_dials_a_listening_receiver(stage: Stage, tmp_path: Path) -> None:
    file = made(tmp_path / "file", os.urandom(100_000))
    receiver = stage.receive("", tmp_path / "output")
    sender = stage.send(file, "--to", receiver.code)
    sent, received = sender.end(), receiver.end()
    assert_whole(sent, received, file, output=tmp_path / "output")
    assert received.events[0]["event"] == "code"
    assert sent.of("code") == []


def test_code_is_read_from_a_file(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send(made(tmp_path / "file"))
    letter = made(tmp_path / "letter", f"> {sender.event('code')['link']}\r\n".encode())
    receiver = stage.receive(f"@{letter}", tmp_path / "output")
    assert (sender.end().status, receiver.end().status) == (0, 0)


def test_code_is_read_from_standard_input(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send(made(tmp_path / "file"))
    code = sender.code
    receiver = stage.receive("@-", tmp_path / "output", stdin=subprocess.PIPE)
    receiver.write(f"{code[:30]}\n{code[30:].upper()}\n".encode())
    receiver.end_input()
    assert (sender.end().status, receiver.end().status) == (0, 0)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--skip", {"file": b"mine", "other": b"other"}),
        ("--overwrite", {"file": b"theirs", "other": b"other"}),
        ("--rename", {"file": b"mine", "file (1)": b"theirs", "other": b"other"}),
    ],
)
def test_option_decides_about_a_file_that_exists(
    stage: Stage, tmp_path: Path, option: str, expected: dict[str, bytes]
) -> None:
    file, other = made(tmp_path / "file", b"theirs"), made(tmp_path / "other", b"other")
    output = tmp_path / "output"
    made(output / "file", b"mine")
    sent, received = stage.transfer(file, other, output=output, receiving=(option,))
    assert (sent.status, received.status) == (0, 0)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == expected
    if option == "--skip":
        for ended in (sent, received):
            assert ended.files["file"]["status"] == "skipped"
            assert ended.done["files"] == 1


FIELDS = {
    "code": {"code", "link", "links", "expires", "files", "bytes"},  # of a sender
    "arrived": {"address"},
    "connected": {"route", "family", "address", "peer", "name", "rtt_ms"},
    "manifest": {"files", "bytes", "left_out", "entries"},
    "progress": {"bytes", "total", "rate", "eta_s"},
    "file": {"path", "saved", "bytes", "sha256", "ok", "status", "reason"},
    "text": {"text", "kind", "sent"},
    "done": {"ok", "exit", "bytes", "seconds", "files", "left_out"},
}


def test_events_have_their_fields_in_their_order(stage: Stage, tmp_path: Path) -> None:
    file = made(tmp_path / "file", bytes(1000))
    sent, received = stage.transfer(file, "--text", "hello", output=tmp_path / "output")
    for ended in (sent, received):
        for event in ended.events:
            assert event.keys() - {"v", "event", "time"} == FIELDS[event["event"]]
    assert order(sent.events) == [
        *("code", "arrived", "connected", "manifest", "progress", "file", "done"),
    ]
    assert order(received.events) == [
        *("connected", "manifest", "progress", "text", "file", "done"),
    ]
    (connected,) = received.of("connected")
    assert (connected["route"], connected["address"]) == ("direct", "127.0.0.1")
    assert connected["peer"].startswith("dcsend/")


def order(events: list[Event]) -> list[str]:
    """Return the names in the order of their last occurrence."""
    names = [event["event"] for event in events]
    return [name for place, name in enumerate(names) if name not in names[place + 1 :]]


def test_program_reads_the_code_from_standard_output(stage: Stage, tmp_path: Path) -> None:
    """Without --json, standard output has the code alone, and standard error a line per state."""
    sender = stage.run("send", made(tmp_path / "file"), listen=False)
    code = sender.stdout.readline().decode().strip()
    receiver = stage.run("receive", code, "-o", tmp_path / "output", "-y")
    received, sent = receiver.end(), sender.end()
    assert (sent.status, received.status) == (0, 0)
    assert received.out == b""
    assert b"ok       file (7 B)" in received.err
    assert str(tmp_path / "output").encode() in received.err
    assert b"received and verified 1 file" in received.err
    assert b"sent and verified 1 file" in sent.err


def test_program_runs_without_a_reader_of_its_events(stage: Stage, tmp_path: Path) -> None:
    """The test closes the pipe of the events; the files arrive."""
    sender = stage.send(made(tmp_path / "file"))
    receiver = stage.receive(sender.code, tmp_path / "output", listen=False)
    receiver.stdout.close()
    assert sender.end().status == 0
    assert receiver.process.wait(PATIENCE) == 0
    assert (tmp_path / "output" / "file").read_bytes() == b"content"


def test_version_is_printed() -> None:
    version = subprocess.run(
        [sys.executable, "-m", "dcsend", "--version"],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert version.stdout.startswith(b"dcsend ")
