"""Writing what a peer sends: whole under its name or not at all, and never elsewhere."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcsend.entry import Entry, Kind
from dcsend.errors import DestinationError, IntegrityError, LocalProtocolError, SourceError
from dcsend.files.folder import USE_DESCRIPTORS, Folder
from dcsend.files.journal import INTERVAL, read_journal
from dcsend.files.manifest import scan
from dcsend.files.operations import Abort, End, Existing, Hole, Operation, Outcome, Write
from dcsend.files.sink import MAX_OPEN, DirectorySink
from dcsend.files.source import Source
from dcsend.files.stream import StreamSink

if sys.platform != "win32":
    import fcntl

MakeSink = Callable[..., DirectorySink]


@pytest.fixture(params=[True, False], ids=["by-descriptor", "by-path"])
def make_sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSink]:
    """Make sinks that write into `tmp_path/out`, both ways of walking."""
    if request.param and not USE_DESCRIPTORS:
        pytest.skip("this system can't open files below a descriptor")
    sinks: list[DirectorySink] = []

    def make(existing: Existing = Existing.REFUSE, root: Path | None = None) -> DirectorySink:
        place = tmp_path / "out" if root is None else root
        sinks.append(DirectorySink(place, existing=existing, descriptors=request.param))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


def whole(number: int, content: bytes) -> list[Operation]:
    """The operations of one file."""
    return [
        *([Write(number, 0, content)] if content else []),
        End(number, len(content), hashlib.sha256(content).digest()),
    ]


def receive(sink: DirectorySink, *files: tuple[str, bytes]) -> list[Outcome]:
    """Receive whole files, in one batch."""
    sink.plan([Entry(path, size=len(content)) for path, content in files])
    operations = [whole(number, content) for number, (_, content) in enumerate(files)]
    return sink.apply([operation for each in operations for operation in each])


def tree(root: Path) -> dict[str, bytes | None]:
    """Everything below *root*: the content of files, None for folders."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


# What is received.


def test_file_is_saved_with_its_outcome(make_sink: MakeSink, tmp_path: Path) -> None:
    [outcome] = receive(make_sink(), ("d/e/f.txt", b"hello"))
    assert outcome == Outcome(
        0, "ok", tmp_path / "out/d/e/f.txt", 5, hashlib.sha256(b"hello").hexdigest()
    )
    assert tree(tmp_path / "out") == {"d": None, "d/e": None, "d/e/f.txt": b"hello"}


def test_empty_file_is_saved(make_sink: MakeSink, tmp_path: Path) -> None:
    assert statuses(receive(make_sink(), ("f", b""))) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b""}


def test_nothing_is_under_the_name_before_the_end(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=6)])
    assert sink.apply([Write(0, 0, b"abc")]) == []
    assert tree(tmp_path / "out") == {"f.dcsend-part": b"abc"}
    assert sink.apply([Write(0, 3, memoryview(b"def"))]) == []
    assert statuses(sink.apply([End(0, 6, hashlib.sha256(b"abcdef").digest())])) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b"abcdef"}


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


@pytest.mark.parametrize("mtime", [2**53, -(2**53), 2**63, 2**100])
def test_impossible_time_does_not_lose_the_file(make_sink: MakeSink, mtime: int) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1, mtime=mtime), Entry("d", Kind.DIRECTORY, mtime=mtime)])
    assert statuses(sink.apply(whole(0, b"x")) + sink.finish()) == ["ok", "ok"]


def test_holes_are_holes_on_the_disk(make_sink: MakeSink, tmp_path: Path) -> None:
    expected = b"a" + bytes(3 << 20) + b"b" + bytes(4 << 20)
    sink = make_sink()
    sink.plan([Entry("f", size=len(expected))])
    operations: list[Operation] = [
        Write(0, 0, b"a"),
        Hole(0, 1, 3 << 20),
        Write(0, 1 + (3 << 20), b"b"),
        Hole(0, 2 + (3 << 20), 4 << 20),
        End(0, len(expected), hashlib.sha256(expected).digest()),
    ]
    [outcome] = sink.apply(operations)
    assert outcome.status == "ok"
    assert (tmp_path / "out/f").read_bytes() == expected
    if sys.platform == "linux":
        assert (tmp_path / "out/f").stat().st_blocks * 512 < 1 << 20


def test_text_is_handed_over_and_not_saved(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    plan = sink.plan([Entry("f", Kind.TEXT, 5), Entry("g", Kind.TEXT, 2 << 20)])
    assert plan.skip == {1: "unsupported"}
    [outcome] = sink.apply(whole(0, b"hello"))
    assert (outcome.status, outcome.text, outcome.saved) == ("ok", b"hello", None)
    assert not (tmp_path / "out").exists()


def test_tree_is_received_as_it_was(make_sink: MakeSink, tmp_path: Path) -> None:
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
    for block in Source(found).blocks((), {}):
        batch: list[Operation] = [Write(block.number, block.offset, block.payload)]
        if block.digest is not None:
            end = block.offset + len(block.payload)
            batch.append(End(block.number, end, block.digest))
        outcomes += sink.apply(batch)
    outcomes += sink.finish()
    assert set(statuses(outcomes)) == {"ok"}
    assert sorted(outcome.number for outcome in outcomes) == list(range(len(found.entries)))
    received = scan([tmp_path / "out/t"], links=True)
    # Links and the folders that finish() filled get the time of now where none is set.
    assert [(e.path, e.kind, e.size, e.mode, e.target) for e in received.entries] == [
        (e.path, e.kind, e.size, e.mode, e.target) for e in found.entries
    ]
    times = {e.path: e.mtime for e in received.entries}
    assert all(times[e.path] == e.mtime for e in found.entries if e.kind is not Kind.LINK)


def test_folder_that_was_there_keeps_its_mode_and_time(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out/d").mkdir(parents=True, mode=0o700)
    sink = make_sink()
    sink.plan([Entry("d", Kind.DIRECTORY, mode=0o777, mtime=1)])
    assert statuses(sink.finish()) == ["ok"]
    status = (tmp_path / "out/d").stat()
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert status.st_mtime_ns != 1000


# What is not believed.


def test_wrong_digest_leaves_nothing(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=3), Entry("g", size=None)])
    outcomes = sink.apply([Write(0, 0, b"abc"), End(0, 3, bytes(32))])
    outcomes += sink.apply([Write(1, 0, b"abc"), End(1, 3, bytes(32))])
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
    outcomes = sink.apply([Write(0, 0, b"abc"), Hole(1, 0, 1 << 30)])
    assert statuses(outcomes) == ["failed", "failed"]
    assert tree(tmp_path / "out") == {}


def test_bytes_out_of_order_are_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=9), Entry("g", size=9)])
    outcomes = sink.apply([Write(0, 3, b"abc"), Write(1, 0, b"abc"), Write(1, 0, b"abc")])
    assert statuses(outcomes) == ["failed", "failed"]
    assert tree(tmp_path / "out") == {}


def test_what_comes_after_the_end_is_ignored(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    assert statuses(sink.apply([*whole(0, b"x"), *whole(0, b"y")])) == ["ok"]
    assert sink.apply([Write(0, 0, b"z"), Abort(0, "")]) == []
    assert tree(tmp_path / "out") == {"f": b"x"}


def test_file_given_up_by_the_sender_leaves_nothing(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=9), Entry("g", size=1)])
    outcomes = sink.apply([Write(0, 0, b"abc"), Abort(0, "gone\x1b[2J"), *whole(1, b"x")])
    assert statuses(outcomes) == ["aborted", "ok"]
    assert isinstance(outcomes[0].error, SourceError)
    assert outcomes[0].error.message == "f: the sender gave it up: gone\\x1b[2J"
    assert tree(tmp_path / "out") == {"g": b"x"}


@pytest.mark.parametrize("number", [-1, 0, 1, 2, 3, 2**31])
def test_bytes_for_what_was_not_accepted_are_a_fault(make_sink: MakeSink, number: int) -> None:
    sink = make_sink()
    sink.plan([Entry("../f", size=1), Entry("d", Kind.DIRECTORY), Entry("l", Kind.LINK)])
    with pytest.raises(LocalProtocolError):
        sink.apply([Write(number, 0, b"x")])


def test_too_many_files_at_once_are_refused(make_sink: MakeSink) -> None:
    sink = make_sink()
    count = MAX_OPEN + 1
    sink.plan([Entry(f"f{number}", size=2) for number in range(count)])
    assert statuses(sink.apply([Write(number, 0, b"x") for number in range(count)])) == ["failed"]


def test_unsafe_and_repeated_names_are_not_planned(make_sink: MakeSink) -> None:
    paths = ["a", "../b", "/etc/c", "a", "d\x1b", "ok"]
    plan = make_sink().plan([Entry(path, size=0) for path in paths])
    assert plan.skip == {1: "unsafe", 2: "unsafe", 3: "unsafe", 4: "unsafe"}
    assert all(note.isprintable() for note in plan.notes)


def test_notes_about_a_million_bad_names_stay_few(make_sink: MakeSink) -> None:
    plan = make_sink().plan([Entry("..", size=0)] * 5000)
    assert len(plan.skip) == 5000
    assert len(plan.notes) < 30


def test_file_that_is_a_folder_of_another_fails_alone(make_sink: MakeSink, tmp_path: Path) -> None:
    outcomes = receive(make_sink(), ("a", b"1"), ("a/b", b"2"), ("c/d", b"3"), ("c", b"4"))
    by_number = {outcome.number: outcome.status for outcome in outcomes}
    # The first two are in one batch: the folder is made before the file gets its name.
    assert sorted(by_number.values()) == ["failed", "failed", "ok", "ok"]
    assert not [path for path in tree(tmp_path / "out") if "dcsend" in path]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 244])
def test_longest_names_are_received(make_sink: MakeSink, tmp_path: Path, name: str) -> None:
    assert statuses(receive(make_sink(), (name, b"1"))) == ["ok"]
    assert tree(tmp_path / "out") == {name: b"1"}


def test_deep_path_is_received(make_sink: MakeSink, tmp_path: Path) -> None:
    deep = "/".join(["d"] * 1500)
    try:
        [outcome] = receive(make_sink(), (deep, b"1"))
        assert outcome.status == "ok"
        assert (tmp_path / "out" / deep).read_bytes() == b"1"
    finally:
        # Python's own removal, and so pytest's, would recurse too deep.
        subprocess.run(["rm", "-rf", str(tmp_path / "out")], check=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(["a", "b", "..", "/", "\\", ".", "A", "link", "\0", "C:"]),
                max_size=3,
            ).map("/".join),
            st.sampled_from(list(Kind)),
            st.sampled_from(["", "a", "..", "../..", "/etc", "link/..", "a/../..", "a/b"]),
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


# Links, made by the peer or planted here.


def test_link_is_never_written_through(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/d").symlink_to("../elsewhere")
    [outcome] = receive(make_sink(), ("d/f", b"x"))
    assert outcome.status == "failed"
    assert "not a folder" in str(outcome.error)
    assert tree(tmp_path / "elsewhere") == {}


def test_link_planted_while_files_arrive_is_not_followed(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    sink = make_sink()
    sink.plan([Entry("d/e/f", size=1), Entry("d/e/g", size=1), Entry("d/h", size=1)])
    assert statuses(sink.apply(whole(0, b"1"))) == ["ok"]
    (tmp_path / "out/d").rename(tmp_path / "out/moved")
    (tmp_path / "out/d").symlink_to("../elsewhere")
    sink.apply([*whole(1, b"2"), *whole(2, b"3")])
    assert tree(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("existing", list(Existing))
def test_link_planted_as_the_part_is_not_followed(
    make_sink: MakeSink, tmp_path: Path, existing: Existing
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f.dcsend-part").symlink_to("../victim")
    [outcome] = receive(make_sink(existing), ("f", b"x"))
    assert outcome.status == "failed"
    assert "in the way" in str(outcome.error)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_hard_link_planted_as_the_part_is_not_written(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "victim", tmp_path / "out/f.dcsend-part")
    assert statuses(receive(make_sink(), ("f", b"x"))) == ["ok"]
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_part_swapped_for_another_file_is_not_given_the_name(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    sink.apply([Write(0, 0, b"x")])
    (tmp_path / "out/f.dcsend-part").unlink()
    (tmp_path / "out/f.dcsend-part").write_bytes(b"evil")
    [outcome] = sink.apply(whole(0, b"x")[1:])
    assert outcome.status == "failed"
    assert not (tmp_path / "out/f").exists()


def test_links_are_made_after_everything_else(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan(
        [
            Entry("l", Kind.LINK, target="d"),
            Entry("d", Kind.DIRECTORY),
            Entry("l/f", size=1),
        ]
    )
    # The file makes a folder of the link's name; the link then finds it taken.
    outcomes = sink.apply(whole(2, b"x")) + sink.finish()
    assert {o.number: o.status for o in outcomes} == {2: "ok", 1: "ok", 0: "failed"}
    assert tree(tmp_path / "out") == {"d": None, "l": None, "l/f": b"x"}


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "a/../../x", "", "a\\b"])
def test_link_that_leads_outside_is_not_made(
    make_sink: MakeSink, tmp_path: Path, target: str
) -> None:
    sink = make_sink()
    sink.plan([Entry("l", Kind.LINK, target=target), Entry("m", Kind.LINK, target="l")])
    assert statuses(sink.finish()) == ["failed", "ok"]
    assert os.readlink(tmp_path / "out/m") == "l"
    assert not os.path.lexists(tmp_path / "out/l")


@pytest.mark.parametrize(
    ("existing", "status", "names"),
    [
        (Existing.OVERWRITE, ["ok"], {"l": "new"}),
        (Existing.RENAME, ["ok"], {"l": "old", "l (1)": "new"}),
        (Existing.SKIP, [], {"l": "old"}),
    ],
)
def test_link_that_exists(
    make_sink: MakeSink,
    tmp_path: Path,
    existing: Existing,
    status: list[str],
    names: dict[str, str],
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/l").symlink_to("old")
    sink = make_sink(existing)
    sink.plan([Entry("l", Kind.LINK, target="new")])
    assert statuses(sink.finish()) == status
    assert {p.name: os.readlink(p) for p in (tmp_path / "out").iterdir()} == names


# What is there already.


def test_existing_files_are_named_and_nothing_is_received(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out/d").mkdir(parents=True)
    for name in ("a", "b", "d/c", "e\n"):
        (tmp_path / "out" / name).touch()
    entries = [Entry(path, size=0) for path in ("new", "a", "b", "d/c")]
    with pytest.raises(DestinationError) as caught:
        make_sink().plan([*entries, Entry("d", Kind.DIRECTORY)])
    assert "a, b, d/c exist in" in caught.value.message
    assert caught.value.hint == "--overwrite, --rename or --skip"


def test_file_where_a_folder_must_be_counts_as_existing(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/d").touch()
    with pytest.raises(DestinationError, match="d exists in"):
        make_sink().plan([Entry("d", Kind.DIRECTORY)])


def test_overwrite_replaces_only_when_the_file_is_complete(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_bytes(b"old")
    sink = make_sink(Existing.OVERWRITE)
    sink.plan([Entry("f", size=3)])
    sink.apply([Write(0, 0, b"new")])
    assert (tmp_path / "out/f").read_bytes() == b"old"
    sink.apply(whole(0, b"new")[1:])
    assert tree(tmp_path / "out") == {"f": b"new"}


def test_overwrite_replaces_a_link_and_not_what_it_points_to(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").symlink_to("../victim")
    assert statuses(receive(make_sink(Existing.OVERWRITE), ("f", b"new"))) == ["ok"]
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "out/f").is_symlink()


def test_overwrite_replaces_no_folder(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out/f").mkdir(parents=True)
    outcomes = receive(make_sink(Existing.OVERWRITE), ("f", b"new"), ("g", b"x"))
    assert statuses(outcomes) == ["failed", "ok"]
    assert tree(tmp_path / "out") == {"f": None, "g": b"x"}


def test_overwrite_never_replaces_what_this_run_has_received(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    # A disk that ignores case, as far as a Linux one can play it: a second name.
    sink = make_sink(Existing.OVERWRITE)
    sink.plan([Entry("f", size=1), Entry("F", size=1)])
    sink.apply(whole(0, b"1"))
    os.link(tmp_path / "out/f", tmp_path / "out/F")
    assert statuses(sink.apply(whole(1, b"2"))) == ["failed"]
    assert (tmp_path / "out/f").read_bytes() == b"1"


def test_rename_finds_a_free_name(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("f.txt", "f (1).txt"):
        (tmp_path / "out" / name).write_bytes(b"old")
    [outcome] = receive(make_sink(Existing.RENAME), ("f.txt", b"new"))
    assert outcome.saved == tmp_path / "out/f (2).txt"
    assert tree(tmp_path / "out") == {
        "f.txt": b"old",
        "f (1).txt": b"old",
        "f (2).txt": b"new",
    }


def test_skip_keeps_what_is_there(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_bytes(b"old")
    plan = make_sink(Existing.SKIP).plan([Entry("f", size=1), Entry("g", size=1)])
    assert plan.skip == {0: "exists"}


@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.SKIP])
def test_file_that_appears_while_it_is_received_is_kept(
    make_sink: MakeSink, tmp_path: Path, existing: Existing
) -> None:
    sink = make_sink(existing)
    sink.plan([Entry("f", size=1)])
    sink.apply([Write(0, 0, b"x")])
    (tmp_path / "out/f").write_bytes(b"somebody's")
    assert statuses(sink.apply(whole(0, b"x")[1:])) == ["failed"]
    assert tree(tmp_path / "out") == {"f": b"somebody's"}


def test_disk_without_hard_links_still_never_replaces(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    sink = make_sink()
    sink.plan([Entry("f", size=1), Entry("g", size=1)])
    monkeypatch.setattr("os.link", refuse)
    assert statuses(sink.apply(whole(0, b"x"))) == ["ok"]
    (tmp_path / "out/g").write_bytes(b"somebody's")
    assert statuses(sink.apply(whole(1, b"y"))) == ["failed"]
    assert tree(tmp_path / "out") == {"f": b"x", "g": b"somebody's"}


# Parts of other runs.


def test_stale_part_and_journal_are_started_anew(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f.dcsend-part").write_bytes(b"an old and longer beginning")
    (tmp_path / "out/f.dcsend-journal").write_bytes(b"{}")
    assert statuses(receive(make_sink(), ("f", b"new"))) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b"new"}


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file is its own lock")
def test_part_of_a_living_run_is_left_alone(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    part = tmp_path / "out/f.dcsend-part"
    part.write_bytes(b"theirs")
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        [outcome] = receive(make_sink(), ("f", b"new"))
    assert outcome.status == "failed"
    assert str(outcome.error) == "another dcsend is receiving f here"
    assert tree(tmp_path / "out") == {"f.dcsend-part": b"theirs"}


def test_two_runs_never_share_a_part(make_sink: MakeSink, tmp_path: Path) -> None:
    first, second = make_sink(), make_sink()
    for sink in (first, second):
        sink.plan([Entry("f", size=3)])
    first.apply([Write(0, 0, b"abc")])
    assert statuses(second.apply(whole(0, b"xyz"))) == ["failed"]
    assert statuses(first.apply(whole(0, b"abc")[1:])) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b"abc"}


def test_pipe_in_place_of_the_part_does_not_stop_everything(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out/f.dcsend-part")
    assert statuses(receive(make_sink(), ("f", b"new"), ("g", b"x"))) == ["failed", "ok"]


# Interruption.


def test_closing_keeps_the_part_and_a_journal_to_its_last_byte(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=None), Entry("small", size=9)])
    block = bytes(1 << 20)
    count = (INTERVAL >> 20) + 1
    sink.apply([Write(0, n << 20, block) for n in range(count)])
    sink.apply([Hole(0, count << 20, 5), Write(1, 0, b"abc")])
    sink.close()
    end = (count << 20) + 5
    assert (tmp_path / "out/f.dcsend-part").read_bytes() == bytes(end)
    assert (tmp_path / "out/small.dcsend-part").read_bytes() == b"abc"
    assert not (tmp_path / "out/small.dcsend-journal").exists()
    record = read_journal(tmp_path / "out/f.dcsend-journal")
    assert record is not None
    assert record.header.path == "f"
    assert record.points == (
        (INTERVAL, hashlib.sha256(bytes(INTERVAL)).digest()),
        (end, hashlib.sha256(bytes(end)).digest()),
    )


def test_complete_file_leaves_no_journal(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=None)])
    sink.apply([Write(0, 0, b"x")])
    assert (tmp_path / "out/f.dcsend-journal").exists()
    sink.apply(whole(0, b"x")[1:])
    assert tree(tmp_path / "out") == {"f": b"x"}


def test_file_that_never_ends_is_told_at_the_finish(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=9)])
    sink.apply([Write(0, 0, b"x")])
    assert statuses(sink.finish()) == ["failed"]


def test_calls_in_a_wrong_order_are_refused(make_sink: MakeSink) -> None:
    sink = make_sink()
    with pytest.raises(LocalProtocolError):
        sink.apply([])
    sink.plan([])
    with pytest.raises(LocalProtocolError):
        sink.plan([])
    sink.close()
    sink.close()
    with pytest.raises(LocalProtocolError):
        sink.finish()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_open_files_stay_few_and_none_is_left(make_sink: MakeSink) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sink = make_sink()
    sink.plan([Entry(f"d{number}/f", size=1) for number in range(500)])
    sink.apply([operation for number in range(500) for operation in whole(number, b"x")])
    assert len(os.listdir("/proc/self/fd")) < before + 50
    sink.close()
    assert len(os.listdir("/proc/self/fd")) == before


# The disk.


def test_nothing_is_made_before_the_first_byte(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink(root=tmp_path / "new/folder")
    sink.plan([Entry("f", size=1)])
    assert list(tmp_path.iterdir()) == []
    sink.apply(whole(0, b"x"))
    assert (tmp_path / "new/folder/f").read_bytes() == b"x"


def test_root_that_is_a_file_is_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DestinationError, match="not a folder"):
        make_sink().plan([Entry("f", size=1)])


def test_root_below_a_file_is_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="not a folder"):
        make_sink(root=tmp_path / "file/out").plan([Entry("f", size=1)])


def test_root_may_be_a_link(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    assert statuses(receive(make_sink(), ("f", b"x"))) == ["ok"]
    assert tree(tmp_path / "real") == {"f": b"x"}


def test_more_than_fits_is_refused_before_it_is_received(make_sink: MakeSink) -> None:
    with pytest.raises(DestinationError, match="not enough room"):
        make_sink().plan([Entry("f", size=2**53 - 1)])


def test_sparse_file_needs_only_what_it_takes(make_sink: MakeSink) -> None:
    assert not make_sink().plan([Entry("f", size=2**53 - 1, stored=4096)]).skip


def test_root_that_goes_away_ends_the_run(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1), Entry("g", size=1)])
    sink.apply(whole(0, b"x"))
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "moved/f").unlink()
    (tmp_path / "moved").rmdir()
    with pytest.raises(DestinationError, match="has gone"):
        sink.apply(whole(1, b"x"))
    with pytest.raises(LocalProtocolError):
        sink.apply(whole(1, b"x"))


def test_folder_removed_in_between_is_made_again(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("d/f", size=1), Entry("d/g", size=1)])
    sink.apply(whole(0, b"x"))
    (tmp_path / "out/d/f").unlink()
    (tmp_path / "out/d").rmdir()
    assert statuses(sink.apply(whole(1, b"y"))) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/g": b"y"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB; needs root on Linux, and must work on CI."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0:
        if os.environ.get("CI") == "true" and sys.platform == "linux":
            pytest.fail("the tests of a full disk need root on CI")
        pytest.skip("only root on Linux can mount a small disk")
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"can't mount a small disk: {error}")
        pytest.skip(f"can't mount a small disk: {error}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_ends_the_run_and_keeps_the_part(small_disk: Path, make_sink: MakeSink) -> None:
    sink = make_sink(root=small_disk)
    sink.plan([Entry("a", size=3), Entry("b", size=None)])
    batch: list[Operation] = [*whole(0, b"abc")]
    batch += [Write(1, n << 16, bytes(1 << 16)) for n in range(32)]
    with pytest.raises(DestinationError, match="no space left") as caught:
        sink.apply(batch)
    assert caught.value.hint
    with pytest.raises(LocalProtocolError):
        sink.apply([])
    # What was complete before is not lost, and is told.
    assert statuses(sink.close()) == ["ok"]
    assert (small_disk / "a").read_bytes() == b"abc"
    assert (small_disk / "b.dcsend-part").stat().st_size > 0
    assert not (small_disk / "b").exists()


def test_disk_too_small_is_refused_before(small_disk: Path, make_sink: MakeSink) -> None:
    with pytest.raises(DestinationError, match=r"2\.0 MB needed"):
        make_sink(root=small_disk).plan([Entry("a", size=2_000_000)])


def test_read_only_disk_is_refused_before(small_disk: Path, make_sink: MakeSink) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DestinationError, match="can't write in"):
        make_sink(root=small_disk).plan([Entry("a", size=1)])


def test_disk_that_becomes_read_only_ends_the_run(small_disk: Path, make_sink: MakeSink) -> None:
    sink = make_sink(root=small_disk)
    sink.plan([Entry("a", size=1)])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DestinationError, match="read-only"):
        sink.apply(whole(0, b"x"))


def test_failing_sync_ends_the_run_and_keeps_the_part(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    sink = make_sink()
    sink.plan([Entry("a", size=1), Entry("b", size=1)])
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DestinationError):
        sink.apply([*whole(0, b"x"), *whole(1, b"y")])
    assert sorted(tree(tmp_path / "out")) == ["a.dcsend-part", "b.dcsend-part"]


def test_trouble_with_one_file_fails_that_file(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root ignores permission bits, so the refusal is the only thing made up here.
    real = Folder.open

    def open_(self: Folder, name: str, flags: int, mode: int = 0o600) -> int:
        if name.startswith("bad"):
            raise PermissionError(errno.EACCES, "no")
        return real(self, name, flags, mode)

    monkeypatch.setattr(Folder, "open", open_)
    sink = make_sink()
    sink.plan([Entry("bad", size=2), Entry("good", size=1)])
    outcomes = sink.apply([Write(0, 0, b"x"), Write(0, 1, b"x"), *whole(1, b"y")])
    assert statuses(outcomes) == ["failed", "ok"]
    assert str(outcomes[0].error) == "can't write bad: permission denied"


# Streams.


def test_stream_gets_the_bytes_and_the_zeros() -> None:
    out = io.BytesIO()
    sink = StreamSink(out)
    sink.plan([Entry("../any name", size=None)])
    expected = b"ab" + bytes(100)
    digest = hashlib.sha256(expected).digest()
    [outcome] = sink.apply([Write(0, 0, b"ab"), Hole(0, 2, 100), End(0, 102, digest)])
    assert (outcome.status, outcome.size, outcome.saved) == ("ok", 102, None)
    assert out.getvalue() == expected
    assert sink.apply([Write(0, 102, b"more")]) == []
    assert sink.finish() == sink.close() == []


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [Entry("a"), Entry("b")],
        [Entry("d", Kind.DIRECTORY)],
        [Entry("d", Kind.DIRECTORY), Entry("d/a")],
        [Entry("l", Kind.LINK, target="x")],
    ],
)
def test_stream_takes_one_file_only(entries: list[Entry]) -> None:
    with pytest.raises(DestinationError, match="one file"):
        StreamSink(io.BytesIO()).plan(entries)


@pytest.mark.parametrize(
    ("batch", "status"),
    [
        ([Write(0, 0, b"ab"), End(0, 2, bytes(32))], "mismatch"),
        ([Write(0, 1, b"ab")], "failed"),
        ([Write(0, 0, b"abc")], "failed"),
        ([Abort(0, "why")], "aborted"),
    ],
)
def test_stream_tells_what_went_wrong(batch: list[Operation], status: str) -> None:
    sink = StreamSink(io.BytesIO())
    sink.plan([Entry("f", size=2)])
    [outcome] = sink.apply(batch)
    assert outcome.status == status
    assert outcome.error is not None


def test_stream_that_never_ends_is_told_at_the_finish() -> None:
    sink = StreamSink(io.BytesIO())
    sink.plan([Entry("f", size=None)])
    sink.apply([Write(0, 0, b"x")])
    assert statuses(sink.finish()) == ["failed"]


def test_stream_whose_reader_has_gone_ends_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as stream:
        sink = StreamSink(stream)
        sink.plan([Entry("f", size=None)])
        with pytest.raises(DestinationError, match="has ended"):
            sink.apply([Write(0, 0, b"x")])
