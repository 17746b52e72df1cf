"""Writing received entries: completely under their names, or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcsend.content import Abort, Content, Data, End, Hole
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import DestinationError, IntegrityError, LocalProtocolError, SourceError
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.folder_writer import MAX_OPEN
from dcsend.files.manifest import scan
from dcsend.files.names import MAX_LEVELS
from dcsend.files.sink import Outcome
from dcsend.files.source import FileSource
from tests.support.sinks import MakeSink, make_sink, receive, statuses, tree, whole

__all__ = ["make_sink"]  # pytest finds the fixture by its name


# Received entries.


def test_file_is_saved_with_its_outcome(make_sink: MakeSink, tmp_path: Path) -> None:
    [outcome] = receive(make_sink(), ("d/e/f.txt", b"hello"))
    assert outcome == Outcome(
        0, "ok", str(tmp_path / "out/d/e/f.txt"), 5, hashlib.sha256(b"hello").hexdigest()
    )
    assert tree(tmp_path / "out") == {"d": None, "d/e": None, "d/e/f.txt": b"hello"}


def test_empty_file_is_saved(make_sink: MakeSink, tmp_path: Path) -> None:
    assert statuses(receive(make_sink(), ("f", b""))) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b""}


def test_file_has_no_final_name_before_its_end(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=6)])
    assert sink.apply([Data(0, 0, b"abc")]) == []
    assert tree(tmp_path / "out") == {"f.dcsend-part": b"abc"}
    assert sink.apply([Data(0, 3, memoryview(b"def"))]) == []
    assert statuses(sink.apply([End(0, 6, hashlib.sha256(b"abcdef").digest())])) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b"abcdef"}


def test_end_may_contain_the_last_bytes(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=6), Entry("g", size=3)])
    both, last = (hashlib.sha256(content).digest() for content in (b"abcdef", b"ghi"))
    sink.apply([Data(0, 0, b"abc")])
    portion = [End(0, 6, both, memoryview(b"def")), End(1, 3, last, b"ghi")]
    assert statuses(sink.apply(portion)) == ["ok", "ok"]
    assert tree(tmp_path / "out") == {"f": b"abcdef", "g": b"ghi"}


def test_mode_is_masked_and_never_setuid(make_sink: MakeSink, tmp_path: Path) -> None:
    modes = {"a": 0o755, "b": 0o4777, "c": 0o400, "d": 0o666}
    sink = make_sink()
    sink.plan([Entry(name, size=0, mode=mode) for name, mode in modes.items()])
    sink.apply([operation for number in range(4) for operation in whole(number, b"")])
    umask = os.umask(0)
    os.umask(umask)
    for name, mode in modes.items():
        status = (tmp_path / "out" / name).stat()
        assert stat.S_IMODE(status.st_mode) == mode & 0o777 & ~umask


def test_time_is_set(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1, mtime=1_600_000_000_123_456)])
    sink.apply(whole(0, b"x"))
    assert (tmp_path / "out/f").stat().st_mtime_ns == 1_600_000_000_123_456_000


@pytest.mark.parametrize("mtime", [2**53, -(2**53), 2**63 - 1])
def test_file_with_an_invalid_time_is_saved(make_sink: MakeSink, mtime: int) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1, mtime=mtime), Entry("d", Kind.DIRECTORY, mtime=mtime)])
    assert statuses(sink.apply(whole(0, b"x")) + sink.finish()) == ["ok", "ok"]


def test_holes_are_holes_on_the_disk(make_sink: MakeSink, tmp_path: Path) -> None:
    expected = b"a" + bytes(3 << 20) + b"b" + bytes(4 << 20)
    sink = make_sink()
    sink.plan([Entry("f", size=len(expected))])
    operations: list[Content] = [
        Data(0, 0, b"a"),
        Hole(0, 1, 3 << 20),
        Data(0, 1 + (3 << 20), b"b"),
        Hole(0, 2 + (3 << 20), 4 << 20),
        End(0, len(expected), hashlib.sha256(expected).digest()),
    ]
    [outcome] = sink.apply(operations)
    assert outcome.status == "ok"
    assert (tmp_path / "out/f").read_bytes() == expected
    if sys.platform == "linux":
        assert (tmp_path / "out/f").stat().st_blocks * 512 < 1 << 20


def test_text_is_returned_and_not_saved(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    plan = sink.plan([Entry("f", Kind.TEXT, 5), Entry("g", Kind.TEXT, 2 << 20)])
    assert plan.skip == {1: "unsupported"}
    [outcome] = sink.apply(whole(0, b"hello"))
    assert (outcome.status, outcome.text, outcome.saved) == ("ok", b"hello", None)
    assert not (tmp_path / "out").exists()


def test_path_of_a_text_is_not_checked(make_sink: MakeSink) -> None:
    paths = ("../f", "../f", "g")
    plan = make_sink().plan([Entry("g", size=0), *(Entry(path, Kind.TEXT, 5) for path in paths)])
    assert not plan.skip


def test_tree_is_received_unchanged(make_sink: MakeSink, tmp_path: Path) -> None:
    root = tmp_path / "t"
    (root / "empty").mkdir(parents=True)
    (root / "sub").mkdir()
    (root / "sub/file").write_bytes(os.urandom(300_000))
    (root / "sub/link").symlink_to("../sub/file")
    (root / "sub/file").chmod(0o600)
    os.utime(root / "sub", ns=(0, 1_500_000_000_000_000_000))
    (root / "sub").chmod(0o555)
    found = scan([root], links=True)
    sink = make_sink()
    sink.plan(found.entries)
    outcomes: list[Outcome] = []
    for block in FileSource(found).blocks((), {}):
        portion: list[Content] = [Data(block.number, block.offset, block.payload)]
        if block.digest is not None:
            end = block.offset + len(block.payload)
            portion.append(End(block.number, end, block.digest))
        outcomes += sink.apply(portion)
    outcomes += sink.finish()
    assert set(statuses(outcomes)) == {"ok"}
    assert sorted(outcome.number for outcome in outcomes) == list(range(len(found.entries)))
    received = scan([tmp_path / "out/t"], links=True)
    # Links, and folders without a time in which finish() creates entries, have the current time.
    assert [(e.path, e.kind, e.size, e.mode, e.target) for e in received.entries] == [
        (e.path, e.kind, e.size, e.mode, e.target) for e in found.entries
    ]
    times = {e.path: e.mtime for e in received.entries}
    assert all(times[e.path] == e.mtime for e in found.entries if e.kind is not Kind.LINK)


def test_existing_folder_keeps_its_mode_and_time(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out/d").mkdir(parents=True, mode=0o700)
    sink = make_sink()
    sink.plan([Entry("d", Kind.DIRECTORY, mode=0o777, mtime=1)])
    assert statuses(sink.finish()) == ["ok"]
    status = (tmp_path / "out/d").stat()
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert status.st_mtime_ns != 1000


def umasked(mode: int) -> int:
    umask = os.umask(0)
    os.umask(umask)
    return mode & ~umask


def test_private_folder_is_private_from_its_creation(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    modes = {"d": 0o700, "d/e": 0o500, "d/e/g": 0o755}
    folders = [Entry(path, Kind.DIRECTORY, mode=mode) for path, mode in modes.items()]
    sink.plan([Entry("d/e/g/f", size=2), *folders])
    sink.apply([Data(0, 0, b"x")])
    sink.close()  # before finish() sets the mode
    for path, mode in modes.items():
        assert stat.S_IMODE((tmp_path / "out" / path).stat().st_mode) == umasked(mode | 0o700)


def test_folder_gets_its_own_mode_at_the_end(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    modes = {"d": 0o555, "d/e": 0o777, "d/e/g": 0o070}
    sink.plan([Entry(path, Kind.DIRECTORY, mode=mode) for path, mode in modes.items()])
    sink.finish()
    for path, mode in modes.items():
        assert stat.S_IMODE((tmp_path / "out" / path).stat().st_mode) == umasked(mode)
        (tmp_path / "out" / path).chmod(0o700)


# Invalid content.


def test_wrong_digest_leaves_no_file(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=3), Entry("g", size=None)])
    outcomes = sink.apply([Data(0, 0, b"abc"), End(0, 3, bytes(32))])
    outcomes += sink.apply([Data(1, 0, b"abc"), End(1, 3, bytes(32))])
    assert statuses(outcomes) == ["mismatch", "mismatch"]
    assert isinstance(outcomes[0].error, IntegrityError)
    assert tree(tmp_path / "out") == {}


def test_short_file_is_a_mismatch(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=5)])
    assert statuses(sink.apply(whole(0, b"abc"))) == ["mismatch"]
    assert tree(tmp_path / "out") == {}


def test_more_than_announced_is_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=2), Entry("g", size=2)])
    outcomes = sink.apply([Data(0, 0, b"abc"), Hole(1, 0, 1 << 30)])
    assert statuses(outcomes) == ["failed", "failed"]
    assert tree(tmp_path / "out") == {}


def test_bytes_out_of_order_are_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=9), Entry("g", size=9)])
    outcomes = sink.apply([Data(0, 3, b"abc"), Data(1, 0, b"abc"), Data(1, 0, b"abc")])
    assert statuses(outcomes) == ["failed", "failed"]
    assert tree(tmp_path / "out") == {}


def test_last_bytes_out_of_place_are_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry(name, size=6) for name in "fgh"])
    digest = hashlib.sha256(b"abcdef").digest()
    outcomes = sink.apply([Data(0, 0, b"abc"), End(0, 6, digest, b"ef")])
    outcomes += sink.apply([End(1, 7, digest, b"abcdefg"), End(2, 3, digest, b"abcdef")])
    assert statuses(outcomes) == ["failed"] * 3
    assert tree(tmp_path / "out") == {}


def test_content_after_the_end_is_ignored(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    assert statuses(sink.apply([*whole(0, b"x"), *whole(0, b"y")])) == ["ok"]
    assert sink.apply([Data(0, 0, b"z"), Abort(0, "")]) == []
    assert tree(tmp_path / "out") == {"f": b"x"}


def test_file_given_up_by_the_sender_leaves_no_file(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=9), Entry("g", size=1)])
    outcomes = sink.apply([Data(0, 0, b"abc"), Abort(0, "gone\x1b[2J"), *whole(1, b"x")])
    assert statuses(outcomes) == ["aborted", "ok"]
    assert isinstance(outcomes[0].error, SourceError)
    assert outcomes[0].error.message == "f: the sender aborted it: gone\\x1b[2J"
    assert tree(tmp_path / "out") == {"g": b"x"}


@pytest.mark.parametrize("number", [-1, 0, 1, 2, 3, 2**31])
def test_content_of_an_entry_that_was_not_accepted_is_an_error(
    make_sink: MakeSink, number: int
) -> None:
    sink = make_sink()
    sink.plan([Entry("../f", size=1), Entry("d", Kind.DIRECTORY), Entry("l", Kind.LINK)])
    with pytest.raises(LocalProtocolError):
        sink.apply([Data(number, 0, b"x")])


def test_too_many_files_at_once_are_refused(make_sink: MakeSink) -> None:
    sink = make_sink()
    count = MAX_OPEN + 1
    sink.plan([Entry(f"f{number}", size=2) for number in range(count)])
    assert statuses(sink.apply([Data(number, 0, b"x") for number in range(count)])) == ["failed"]


def test_unsafe_and_repeated_names_are_not_planned(make_sink: MakeSink) -> None:
    paths = ["a", "../b", "/etc/c", "a", "d\x1b", "ok"]
    plan = make_sink().plan([Entry(path, size=0) for path in paths])
    assert plan.skip == {1: "unsafe", 2: "unsafe", 3: "unsafe", 4: "unsafe"}
    assert all(note.isprintable() for note in plan.notes)


def test_number_of_notes_is_limited(make_sink: MakeSink) -> None:
    plan = make_sink().plan([Entry("..", size=0)] * 5000)
    assert len(plan.skip) == 5000
    assert len(plan.notes) < 30


def test_file_that_is_a_folder_of_another_fails_alone(make_sink: MakeSink, tmp_path: Path) -> None:
    outcomes = receive(make_sink(), ("a", b"1"), ("a/b", b"2"), ("c/d", b"3"), ("c", b"4"))
    by_number = {outcome.number: outcome.status for outcome in outcomes}
    # The first two are in one portion: the folder is created before the file gets its name.
    assert sorted(by_number.values()) == ["failed", "failed", "ok", "ok"]
    assert not [path for path in tree(tmp_path / "out") if "dcsend" in path]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 244])
def test_longest_names_are_received(make_sink: MakeSink, tmp_path: Path, name: str) -> None:
    assert statuses(receive(make_sink(), (name, b"1"))) == ["ok"]
    assert tree(tmp_path / "out") == {name: b"1"}


def test_deep_path_is_received(make_sink: MakeSink, tmp_path: Path) -> None:
    deep = "/".join(["d"] * MAX_LEVELS)
    [outcome] = receive(make_sink(), (deep, b"1"))
    assert outcome.status == "ok"
    assert (tmp_path / "out" / deep).read_bytes() == b"1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens devices for them")
def test_names_of_windows_devices_are_files_on_other_systems(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    plan = sink.plan([Entry("src/aux.c", size=1), Entry("CON", size=1)])
    assert plan.skip == {}
    assert {o.status for o in sink.apply(whole(0, b"a") + whole(1, b"b")) + sink.finish()} == {"ok"}
    assert (tmp_path / "out" / "src" / "aux.c").read_bytes() == b"a"
    assert (tmp_path / "out" / "CON").read_bytes() == b"b"


@pytest.mark.skipif(sys.platform != "linux", reason="the length of a name is the disk's")
def test_name_that_this_disk_can_not_store_is_refused_by_the_plan(
    make_sink: MakeSink,
) -> None:
    sink = make_sink()
    plan = sink.plan([Entry("\u00e9" * 127, size=1), Entry("new/" + "\u00e9" * 128, size=1)])
    assert plan.skip == {1: "unsafe"}
    assert plan.notes[0].endswith("not received: a name in the path is too long for this disk")


def test_deeper_path_is_skipped_as_unsafe(make_sink: MakeSink) -> None:
    plan = make_sink().plan([Entry("/".join(["d"] * (MAX_LEVELS + 1)), size=0)])
    assert plan.skip == {0: "unsafe"}
    assert plan.notes[0].endswith("the path is more than 128 levels deep")


@pytest.mark.full
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(["a", "b", "..", "/", "\\", ".", "A", "link", "\0", "C:"]),
                max_size=3,
            ).map("/".join),
            st.sampled_from(list(Kind)),
            st.sampled_from(
                [
                    "",
                    "a",
                    "..",
                    "../..",
                    "/etc",
                    "link/..",
                    "a/../..",
                    "a/b",
                    "link",
                    "link/secret",
                    "a/link",
                ]
            ),
        ),
        max_size=6,
    ),
    st.lists(st.tuples(st.integers(0, 6), st.binary(max_size=3), st.booleans()), max_size=8),
    st.sampled_from(list(Existing)),
)
def test_no_manifest_writes_outside_the_folder(
    tmp_path_factory: pytest.TempPathFactory,
    listed: list[tuple[str, Kind, str]],
    sent: list[tuple[int, bytes, bool]],
    existing: Existing,
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_bytes(b"s")
    root = outside / "out"
    root.mkdir()
    (root / "link").symlink_to("..")
    sink = DirectorySink(root, existing=existing)
    try:
        sink.plan([Entry(path, kind, None, target=target) for path, kind, target in listed])
        for number, content, end in sent:
            operations = whole(number, content) if end else whole(number, content)[:1]
            sink.apply(operations)
        sink.finish()
    except (DestinationError, LocalProtocolError):
        pass
    finally:
        sink.close()
    assert sorted(path.name for path in outside.iterdir()) == ["out", "secret"]
    assert (outside / "secret").read_bytes() == b"s"
    for path in root.rglob("*"):
        if path.is_symlink() and path.name != "link":
            assert path.resolve().is_relative_to(root)
