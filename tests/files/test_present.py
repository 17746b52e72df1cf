"""Files that are there already: skipped, compared by digest, or continued where they end."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from dcsend.content import Content, Data, End, Restart
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import DestinationError
from dcsend.files import present
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.journal import MIN_SIZE
from dcsend.files.sink import Outcome
from tests.support.part_runs import MIB, pieces
from tests.support.resuming import flip
from tests.support.sinks import statuses, tree, whole

MTIME = 1_700_000_000_123_456
OLD = os.urandom(MIN_SIZE + 5)
NEW = OLD + os.urandom(2 * MIB)


def entry(content: bytes, path: str = "d/f", mtime: int | None = MTIME) -> Entry:
    return Entry(path, size=len(content), mtime=mtime)


def sink_for(
    tmp_path: Path, existing: Existing = Existing.OVERWRITE, *, checksum: bool = False
) -> DirectorySink:
    return DirectorySink(tmp_path / "out", existing=existing, same=True, checksum=checksum)


def put(tmp_path: Path, content: bytes, name: str = "d/f", mtime_ns: int = MTIME * 1000) -> Path:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def ended(content: bytes, number: int = 0) -> End:
    return End(number, len(content), hashlib.sha256(content).digest())


def finished(sink: DirectorySink, operations: list[Content]) -> list[Outcome]:
    return [*sink.apply(operations), *sink.finish(), *sink.close()]


@pytest.mark.parametrize("existing", Existing)
def test_file_of_the_same_size_and_time_is_skipped(tmp_path: Path, existing: Existing) -> None:
    put(tmp_path, b"abc")
    put(tmp_path, b"", "empty")
    plan = sink_for(tmp_path, existing).plan([entry(b"xyz"), entry(b"", "empty"), entry(b"", "g")])
    assert plan.skip == {0: "same", 1: "same"}
    assert (list(plan.taken), plan.refusal, plan.have) == ([], None, {})


@pytest.mark.parametrize(
    ("mtime_ns", "mtime", "same"),
    [
        (MTIME * 1000 + 999, MTIME, True),
        (MTIME * 1000 + 1000, MTIME, False),
        (MTIME // 1000 * 10**6, MTIME, True),  # a page has milliseconds
        (MTIME // 10**6 * 10**9, MTIME, True),  # a file system, seconds
        (MTIME // 10**6 * 10**9 + 10**9, MTIME, False),
        (MTIME // 10**6 * 10**9 - 10**9, MTIME, False),
        (MTIME * 1000, None, False),
    ],
)
def test_times_agree_as_far_as_they_are_stored(
    tmp_path: Path, mtime_ns: int, mtime: int | None, same: bool
) -> None:
    put(tmp_path, b"abc", mtime_ns=mtime_ns)
    plan = sink_for(tmp_path).plan([entry(b"abc", mtime=mtime)])
    assert plan.skip == ({0: "same"} if same else {})
    assert list(plan.taken) == ([] if same else [0])


@pytest.mark.parametrize(("seconds", "same"), [(-2, False), (-1, True), (1, True), (3, False)])
def test_times_on_fat_agree_to_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, same: bool
) -> None:
    """They are rounded up or down to an even second."""
    put(tmp_path, b"abc", mtime_ns=(MTIME // 10**6 + seconds) * 10**9)
    monkeypatch.setattr(present, "file_system_type", lambda device: "vfat")
    assert sink_for(tmp_path).plan([entry(b"abc")]).skip == ({0: "same"} if same else {})


def test_file_that_differs_is_left_to_the_policy(tmp_path: Path) -> None:
    put(tmp_path, b"abc")
    put(tmp_path, b"abc", "g")
    plan = sink_for(tmp_path, Existing.REFUSE).plan([entry(b"abcd"), entry(b"abc", "g")])
    assert plan.skip == {1: "same"}
    assert plan.refusal is not None
    assert plan.refusal.message.startswith("d/f exists in")
    assert sink_for(tmp_path, Existing.SKIP).plan([entry(b"abcd")]).skip == {0: "exists"}


def test_folder_or_link_is_no_file_that_agrees(tmp_path: Path) -> None:
    target = put(tmp_path, b"abc", "target")
    (tmp_path / "out/link").symlink_to(target)
    os.utime(tmp_path / "out/link", ns=(MTIME * 1000,) * 2, follow_symlinks=False)
    size = (tmp_path / "out/link").lstat().st_size
    (tmp_path / "out/folder").mkdir()
    for checksum in (False, True):
        sink = sink_for(tmp_path, checksum=checksum)
        plan = sink.plan([entry(b"x" * size, "link"), entry(b"", "folder")])
        assert (plan.skip, plan.have) == ({}, {})


def test_link_with_the_same_target_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in "ab":
        (tmp_path / "out" / name).symlink_to("x")
    links = [Entry("a", Kind.LINK, target="x"), Entry("b", Kind.LINK, target="y")]
    assert sink_for(tmp_path).plan(links).skip == {0: "same"}


def test_without_the_option_nothing_is_compared(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    plan = DirectorySink(tmp_path / "out", existing=Existing.OVERWRITE).plan([entry(OLD)])
    assert (plan.skip, plan.have, list(plan.taken)) == ({}, {}, [0])


# By digest.


def test_digest_of_a_file_of_the_same_size_is_for_the_sender(tmp_path: Path) -> None:
    path = put(tmp_path, b"abc", mtime_ns=1)
    sink = sink_for(tmp_path, checksum=True)
    plan = sink.plan([entry(b"abc")])
    assert (plan.skip, plan.have) == ({}, {0: 3})
    assert plan.digests(9) == [(0, 3, hashlib.sha256(b"abc").hexdigest())]
    before = path.stat()
    (outcome,) = finished(sink, [ended(b"abc")])
    assert (outcome.status, outcome.kept, outcome.where) == ("ok", True, str(path))
    assert path.stat() == before
    assert tree(tmp_path / "out") == {"d": None, "d/f": b"abc"}


@pytest.mark.parametrize(
    ("existing", "found"),
    [
        (Existing.OVERWRITE, {"d": None, "d/f": b"xyz"}),
        (Existing.RENAME, {"d": None, "d/f": b"abc", "d/f (1)": b"xyz"}),
    ],
)
def test_file_with_another_digest_begins_again(
    tmp_path: Path, existing: Existing, found: dict[str, bytes | None]
) -> None:
    put(tmp_path, b"abc")
    sink = sink_for(tmp_path, existing, checksum=True)
    assert sink.plan([entry(b"xyz")]).have == {0: 3}
    assert statuses(finished(sink, [Restart(0, 3), *whole(0, b"xyz")])) == ["ok"]
    assert tree(tmp_path / "out") == found


def test_sender_that_compares_no_digests_can_replace_nothing(tmp_path: Path) -> None:
    put(tmp_path, b"abc")
    sink = sink_for(tmp_path, checksum=True)
    sink.plan([entry(b"xyz")])
    (outcome,) = finished(sink, [ended(b"xyz")])
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert "d/f exists and differs" in outcome.error.message
    assert tree(tmp_path / "out") == {"d": None, "d/f": b"abc"}


@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.SKIP])
def test_policy_without_a_place_for_another_file_needs_no_digest(
    tmp_path: Path, existing: Existing
) -> None:
    put(tmp_path, b"abc")
    plan = sink_for(tmp_path, existing, checksum=True).plan([entry(b"abc")])
    assert plan.have == {}
    assert list(plan.taken) == [0]


def test_file_that_is_changed_before_the_sender_has_compared_it_fails(tmp_path: Path) -> None:
    path = put(tmp_path, b"abc")
    sink = sink_for(tmp_path, checksum=True)
    sink.plan([entry(b"abc")])
    path.write_bytes(b"abd")
    (outcome,) = finished(sink, [ended(b"abc")])
    assert outcome.error is not None
    assert outcome.error.message == "d/f was changed or removed meanwhile"
    assert path.read_bytes() == b"abd"


def test_nothing_is_read_through_a_folder_that_is_a_link(tmp_path: Path) -> None:
    put(tmp_path, b"abc")
    (tmp_path / "out/d").rename(tmp_path / "elsewhere")
    (tmp_path / "out/d").symlink_to(tmp_path / "elsewhere")
    assert sink_for(tmp_path, checksum=True).plan([entry(b"abc")]).have == {}


def test_files_that_are_compared_need_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, b"abc", "f")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=2))
    assert sink_for(tmp_path, checksum=True).plan([entry(b"abc", "f")]).have == {0: 3}
    with pytest.raises(DestinationError, match="not enough room"):
        sink_for(tmp_path).plan([entry(b"abc", "f", 1)])


# Files that have grown.


def test_only_the_new_end_of_a_file_is_received(tmp_path: Path) -> None:
    path = put(tmp_path, OLD)
    sink = sink_for(tmp_path)
    plan = sink.plan([entry(NEW, mtime=MTIME + 1)])
    assert plan.have == {0: len(OLD)}
    assert plan.digests(9) == [(0, len(OLD), hashlib.sha256(OLD).hexdigest())]
    sink.apply(pieces(NEW, len(OLD), len(NEW)))
    assert path.read_bytes() == OLD
    assert statuses(finished(sink, [ended(NEW)])) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/f": NEW}


def test_without_references_the_beginning_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr("os.copy_file_range", refused, raising=False)
    put(tmp_path, OLD)
    sink = sink_for(tmp_path)
    sink.plan([entry(NEW)])
    operations = [*pieces(NEW, len(OLD), len(NEW)), ended(NEW)]
    assert statuses(finished(sink, operations)) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/f": NEW}


def test_interrupted_end_of_a_file_leaves_it_and_a_part(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    sink = sink_for(tmp_path)
    sink.plan([entry(NEW)])
    sink.apply([Data(0, len(OLD), NEW[len(OLD) :][:MIB])])
    sink.close()
    assert (tmp_path / "out/d/f").read_bytes() == OLD
    sink = sink_for(tmp_path)
    start = len(OLD) + MIB
    assert sink.plan([entry(NEW)]).have == {0: start}
    operations = [*pieces(NEW, start, len(NEW)), ended(NEW)]
    assert statuses(finished(sink, operations)) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/f": NEW}


def test_grown_file_with_another_beginning_is_received_from_its_start(tmp_path: Path) -> None:
    path = put(tmp_path, OLD)
    flip(path, 5)
    sink = sink_for(tmp_path)
    assert sink.plan([entry(NEW)]).have == {0: len(OLD)}
    operations = [Restart(0, len(OLD)), *pieces(NEW, 0, len(NEW)), ended(NEW)]
    assert statuses(finished(sink, operations)) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/f": NEW}


def test_grown_file_that_is_changed_while_it_is_copied_is_not_replaced(tmp_path: Path) -> None:
    path = put(tmp_path, OLD)
    sink = sink_for(tmp_path)
    sink.plan([entry(NEW)])
    flip(path, 5)
    before = path.read_bytes()
    assert "ok" not in statuses(finished(sink, [*pieces(NEW, len(OLD), len(NEW)), ended(NEW)]))
    assert tree(tmp_path / "out") == {"d": None, "d/f": before}


@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.SKIP, Existing.RENAME])
def test_file_that_stays_is_no_beginning_of_another(tmp_path: Path, existing: Existing) -> None:
    put(tmp_path, OLD)
    assert sink_for(tmp_path, existing).plan([entry(NEW)]).have == {}


def test_error_while_the_beginning_is_copied_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, OLD)
    sink = sink_for(tmp_path)
    sink.plan([entry(NEW)])

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("dcsend.files.present._copy", broken)
    assert statuses(finished(sink, [*pieces(NEW, len(OLD), len(NEW)), ended(NEW)])) == ["failed"]
    assert tree(tmp_path / "out") == {"d": None, "d/f": OLD}
