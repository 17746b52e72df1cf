"""Small files that are received many at a time have no name before they are complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dcsend.content import Data, End
from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files import tmpfile
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.folder import Folder
from dcsend.files.sink import Outcome
from dcsend.files.syncing import MANY, sync_file_systems
from tests.support.sinks import receive, statuses, tree, whole

if sys.platform != "win32":
    import fcntl

pytestmark = pytest.mark.skipif(
    not tmpfile.SUPPORTED, reason="this system can't write files without a name"
)

OTHERS = tuple((f"other{number}", b"x") for number in range(MANY))
"So many files that the other files of their portion are written without a name, too."

MakeSink = Callable[..., DirectorySink]


@pytest.fixture
def make_sink(tmp_path: Path) -> Iterator[MakeSink]:
    """Return a function that makes sinks for `tmp_path/out`, by descriptor.

    Its argument *before_sync* is called just before the file system is synced.
    """
    sinks: list[DirectorySink] = []

    def make(
        existing: Existing = Existing.REFUSE, before_sync: Callable[[], None] = lambda: None
    ) -> DirectorySink:
        def sync(descriptors: Sequence[int]) -> None:
            before_sync()
            sync_file_systems(descriptors)

        sink = DirectorySink(
            tmp_path / "out", existing=existing, descriptors=True, file_system_sync=sync
        )
        sinks.append(sink)
        return sink

    yield make
    for sink in sinks:
        sink.close()


def first(outcomes: list[Outcome]) -> Outcome:
    """Return the outcome of the first file; check that all others are complete."""
    assert {outcome.status for outcome in outcomes if outcome.number} == {"ok"}
    return next(outcome for outcome in outcomes if outcome.number == 0)


def test_many_small_files_have_no_name_before_they_are_synced(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    seen: list[dict[str, bytes | None]] = []
    sink = make_sink(before_sync=lambda: seen.append(tree(tmp_path / "out")))
    assert set(statuses(receive(sink, *OTHERS))) == {"ok"}
    assert seen == [{}]
    assert tree(tmp_path / "out") == dict(OTHERS)


def test_unnamed_files_get_mode_time_and_holes(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    modes = [0o666, 0o755, 0o400, 0o4777] * (MANY // 4)
    sink.plan([Entry(f"f{n}", size=3, mode=mode, mtime=10**15) for n, mode in enumerate(modes)])
    assert set(
        statuses(sink.apply([each for n in range(MANY) for each in whole(n, b"a\0\0")]))
    ) == {"ok"}
    umask = os.umask(0)
    os.umask(umask)
    for number, mode in enumerate(modes):
        status = (tmp_path / f"out/f{number}").stat()
        assert stat.S_IMODE(status.st_mode) == mode & 0o777 & ~umask
        assert status.st_mtime_ns == 10**18
        assert status.st_nlink == 1


@pytest.mark.parametrize("existing", list(Existing))
def test_name_taken_meanwhile_is_handled_by_policy(
    make_sink: MakeSink, tmp_path: Path, existing: Existing
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    sink = make_sink(existing, lambda: (tmp_path / "out/f").symlink_to("../victim"))
    outcome = first(receive(sink, ("f", b"new"), *OTHERS))
    now = tree(tmp_path / "out")
    if existing is Existing.OVERWRITE:
        assert outcome.saved == tmp_path / "out/f"
        assert now == {**dict(OTHERS), "f": b"new"}
        assert not (tmp_path / "out/f").is_symlink()
    elif existing is Existing.RENAME:
        assert outcome.saved == tmp_path / "out/f (1)"
        assert now == {**dict(OTHERS), "f": b"precious", "f (1)": b"new"}
    else:
        assert outcome.status == "failed"
        assert now == {**dict(OTHERS), "f": b"precious"}
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_overwrite_replaces_no_folder_by_an_unnamed_file(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out/f").mkdir(parents=True)
    assert first(receive(make_sink(Existing.OVERWRITE), ("f", b"new"), *OTHERS)).status == "failed"
    assert tree(tmp_path / "out") == {**dict(OTHERS), "f": None}


def test_overwrite_never_replaces_an_unnamed_file_of_this_run(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    # A hard link simulates a file system that ignores case.
    sink = make_sink(Existing.OVERWRITE)
    names = ["F", "f", *(f"g{number}" for number in range(2 * MANY))]
    sink.plan([Entry(name, size=1) for name in names])
    sink.apply([each for n in range(1, MANY + 2) for each in whole(n, b"1")])
    os.link(tmp_path / "out/f", tmp_path / "out/F")
    rest = [0, *range(MANY + 2, 2 * MANY + 2)]
    assert first(sink.apply([each for n in rest for each in whole(n, b"2")])).status == "failed"
    assert (tmp_path / "out/f").read_bytes() == b"1"


def test_part_that_an_unnamed_file_becomes_is_locked_against_other_runs(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_bytes(b"old")
    real, replaced = os.replace, list[str]()

    def replace(old: str, new: str, **folders: int) -> None:
        replaced.append(new)
        with (tmp_path / "out" / old).open("rb") as part, pytest.raises(BlockingIOError):
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        real(old, new, **folders)

    monkeypatch.setattr("os.replace", replace)
    assert first(receive(make_sink(Existing.OVERWRITE), ("f", b"new"), *OTHERS)).status == "ok"
    assert replaced == ["f"]
    assert (tmp_path / "out/f").read_bytes() == b"new"


@pytest.mark.parametrize("call", ["open", "link"])
def test_parts_are_written_where_unnamed_files_are_not_supported(
    make_sink: MakeSink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    real_open, real_link = os.open, os.link
    refused: list[str] = []

    def open_(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if call == "open" and flags & os.O_TMPFILE == os.O_TMPFILE:
            refused.append(path)
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real_open(path, flags, mode, dir_fd=dir_fd)

    def link(old: str, new: str, **rest: object) -> None:
        if call == "link" and old.startswith("/proc"):
            refused.append(old)
            raise FileNotFoundError(errno.ENOENT, "no /proc")
        real_link(old, new, **rest)  # type: ignore[arg-type]

    seen: list[list[str]] = []
    sink = make_sink(before_sync=lambda: seen.append(sorted(tree(tmp_path / "out"))))
    monkeypatch.setattr("os.open", open_)
    monkeypatch.setattr("os.link", link)
    assert set(statuses(receive(sink, *OTHERS))) == {"ok"}
    assert seen == [sorted(f"{name}.dcsend-part" for name, _ in OTHERS)]
    assert tree(tmp_path / "out") == dict(OTHERS)
    assert len(refused) == 1, "it is tried once per file system"


def test_stale_part_is_removed_by_the_new_file(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f.dcsend-part").write_bytes(b"an old and longer beginning")
    # The last file, because the first one checks whether files without a name are supported.
    assert set(statuses(receive(make_sink(), *OTHERS, ("f", b"new")))) == {"ok"}
    assert tree(tmp_path / "out") == {**dict(OTHERS), "f": b"new"}


def test_file_that_another_run_is_writing_is_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    part = tmp_path / "out/f.dcsend-part"
    part.write_bytes(b"theirs")
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        outcome = receive(make_sink(), *OTHERS, ("f", b"new"))[0]
    assert str(outcome.error) == "another dcsend is receiving f here"
    assert part.read_bytes() == b"theirs"


@pytest.mark.parametrize("existing", list(Existing))
def test_link_planted_as_the_part_is_not_followed_by_an_unnamed_file(
    make_sink: MakeSink, tmp_path: Path, existing: Existing
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")

    def plant() -> None:
        (tmp_path / "out/f.dcsend-part").symlink_to("../victim")
        (tmp_path / "out/f").write_bytes(b"in the way")

    receive(make_sink(existing, plant), ("f", b"new"), *OTHERS)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "out/f").read_bytes() == b"in the way"


def test_wrong_or_unfinished_unnamed_file_leaves_no_file(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sink = make_sink()
    sink.plan([Entry(f"f{number}", size=2) for number in range(MANY + 1)])
    portion = [o for n in range(MANY) for o in (Data(n, 0, b"ab"), End(n, 2, bytes(32)))]
    assert set(statuses(sink.apply([*portion, Data(MANY, 0, b"a")]))) == {"mismatch"}
    sink.close()
    assert tree(tmp_path / "out") == {}
    assert len(os.listdir("/proc/self/fd")) == before


def test_unnamed_file_that_can_not_be_synced_gets_no_name(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "broken disk")

    with pytest.raises(DestinationError):
        receive(make_sink(before_sync=fail), *OTHERS)
    assert tree(tmp_path / "out") == {}


def test_folder_of_unnamed_files_removed_in_between_is_made_again(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry(f"d/f{number}", size=1) for number in range(2 * MANY)])
    sink.apply([each for number in range(MANY) for each in whole(number, b"x")])
    shutil.rmtree(tmp_path / "out/d")
    portion = [each for number in range(MANY, 2 * MANY) for each in whole(number, b"y")]
    assert set(statuses(sink.apply(portion))) == {"ok"}
    assert len(tree(tmp_path / "out/d")) == MANY


def test_folder_of_unnamed_files_removed_in_a_portion_is_made_again(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    gone = Folder(str(tmp_path / "gone"), os.open(tmp_path / "gone", os.O_RDONLY))
    (tmp_path / "gone").rmdir()
    with contextlib.closing(gone), contextlib.suppress(OSError):
        os.close(tmpfile.open_tmpfile(gone, 0o600))
        pytest.skip("this file system lets one write into a folder that has been removed")
    write = os.write

    def removing(fd: int, payload: bytes | memoryview) -> int:
        if bytes(payload) == b"!":
            shutil.rmtree(tmp_path / "out/d")
        return write(fd, payload)

    monkeypatch.setattr("os.write", removing)
    sink = make_sink()
    sink.plan([Entry(f"d/f{number}", size=1) for number in range(MANY)])
    portion = [each for n in range(MANY) for each in whole(n, b"!" if n == 4 else b"x")]
    assert sorted(statuses(sink.apply(portion))) == ["failed"] * 5 + ["ok"] * (MANY - 5)
    assert len(tree(tmp_path / "out/d")) == MANY - 5


def test_few_unnamed_files_are_synced_with_their_file_system(
    make_sink: MakeSink,
) -> None:
    synced: list[bool] = []
    sink = make_sink(before_sync=lambda: synced.append(True))
    sink.plan([Entry(f"f{number}", size=1) for number in range(MANY)])
    wrong = [End(number, 1, bytes(32)) for number in range(1, MANY)]
    assert statuses(sink.apply([*whole(0, b"x"), *wrong])).count("ok") == 1
    assert synced == [True]
