"""Disks whose writes are recorded, and disks as they are after a power cut.

    receiver ─> file system ─> loop device (direct I/O) ─> image, served by `recorder` ─> log

A disk may lose, or write in part, whatever it has accepted since its last flush. So a disk after a
power cut has all writes before a flush, and some of those that follow it. Mounts are seen by the
processes of the laboratory only, and end with them.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tests.powercuts.recorder import FLUSH, RECORD

__all__ = [
    *("FILE_SYSTEMS", "Cut", "FileSystem", "Image", "Log", "Recording", "make_image", "mounted"),
    "recorded",
]

_ROOT: Final = Path(__file__).resolve().parents[2]
_PIECE: Final = 64 << 10
_BLOCK: Final = 4096
_SECTOR: Final = 512
_SHARES: Final = (0.0, 0.1, 0.5, 0.9, 1.0)
"Parts of the writes after the last flush that a cut leaves."


@dataclass(frozen=True, slots=True)
class FileSystem:
    """How disks are made and mounted."""

    name: str
    make: tuple[str, ...]
    "Command; the image follows."
    size: int
    "Bytes; files of the image are sparse."
    options: str = "nodiscard"
    "Of mount."

    @property
    def type(self) -> str:
        """The name that mount expects."""
        return self.name.partition("-")[0]

    @property
    def is_here(self) -> bool:
        """Whether the kernel and the tools support it."""
        known = Path("/proc/filesystems").read_text(encoding="ascii").split()
        return self.type in known and shutil.which(self.make[0]) is not None


_EXT4: Final = ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard")

_WRITEBACK: Final = "nodiscard,data=writeback,nodelalloc,dioread_lock"
"After a cut, the size of a file may be larger than what was written of it."

FILE_SYSTEMS: Final = {
    system.name: system
    for system in (
        FileSystem("ext4", _EXT4, 64 << 20),
        FileSystem("ext4-writeback", _EXT4, 64 << 20, _WRITEBACK),
        FileSystem("xfs", ("mkfs.xfs", "-q", "-f", "-K"), 320 << 20, "nodiscard,nouuid"),
        FileSystem("btrfs", ("mkfs.btrfs", "-q", "-f", "-K", "-m", "single"), 256 << 20),
    )
}
"By name."


class Write(NamedTuple):
    """A write that a disk has accepted."""

    offset: int
    data: bytes


class Image:
    """The content of a disk, without blocks of zeros.

    Args:
        path: of its file.
    """

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        self._pieces: list[Write] = []
        with path.open("rb") as file:
            for offset in range(0, self.size, _PIECE):
                piece = file.read(_PIECE)
                if piece.count(0) != len(piece):
                    self._pieces.append(Write(offset, piece))

    def write(self, path: Path, after: Sequence[Write] = ()) -> None:
        """Write a new file with this content and the writes that follow it.

        The loop device of an earlier mount may still exist for a moment. `mount` would use it again
        for the same file, with the blocks that the kernel remembers.
        """
        path.unlink(missing_ok=True)
        with path.open("wb", buffering=0) as file:
            file.truncate(self.size)
            for offset, data in (*self._pieces, *after):
                os.pwrite(file.fileno(), data, offset)


class Cut(NamedTuple):
    """A power cut."""

    at: int
    "Nanoseconds of the monotonic clock."
    writes: Sequence[Write]
    "What the disk has kept."
    lost: int
    "Writes since the last flush that are lost, or are kept in part."


class Log:
    """The writes and flushes of a disk, in their order.

    Args:
        path: of the file that `recorder` has written.
    """

    def __init__(self, path: Path) -> None:
        self._writes: list[Write | None] = []
        "None is a flush."
        self._times: list[int] = []
        data = path.read_bytes()
        position = 0
        while position < len(data):
            when, offset, size = RECORD.unpack_from(data, position)
            position += RECORD.size
            self._times.append(when)
            content = data[position : position + size]
            self._writes.append(None if offset == FLUSH else Write(offset, content))
            position += size

    def flushes(self, since: int = 0, until: int = sys.maxsize) -> int:
        """Return the number of flushes that follow writes, in a time."""
        pairs = zip(self._times[1:], self._writes[1:], self._writes, strict=False)
        return sum(
            one is None and before is not None and since <= when <= until
            for when, one, before in pairs
        )

    def cut(self, rng: random.Random, since: int, until: int) -> Cut:
        """Return a power cut at a random moment of a time."""
        first = next((n for n, when in enumerate(self._times) if when >= since), 0)
        last = max((n for n, when in enumerate(self._times) if when <= until), default=0)
        flushes = [n for n in range(first, last + 1) if self._writes[n] is None]
        at = rng.randint(first, last)
        if flushes and rng.random() < 0.5:
            # Many writes may lie between two flushes, or none: each flush has the same chance.
            begin = rng.choice(flushes)
            end = next((n for n in flushes if n > begin), last + 1)
            at = rng.randint(begin, max(begin, end - 1))
        return self.cut_at(self._times[at] if self._times else until, rng)

    def cut_at(self, at: int, rng: random.Random) -> Cut:
        """Return a power cut at a moment, with a random part of what is not flushed."""
        accepted = [one for when, one in zip(self._times, self._writes, strict=True) if when <= at]
        flushed = max((n for n, one in enumerate(accepted) if one is None), default=-1)
        kept = [one for one in accepted[:flushed] if one is not None]
        pending = [one for one in accepted[flushed + 1 :] if one is not None]
        share = rng.choice(_SHARES)
        sort: Callable[[Write, float, random.Random], Iterator[Write]]
        sort = rng.choice((_requests, _blocks, _torn))
        lost = len(pending)
        for one in pending:
            found = list(sort(one, share, rng))
            lost -= sum(len(piece.data) for piece in found) == len(one.data)
            kept += found
        return Cut(at, kept, lost)


def _requests(one: Write, share: float, rng: random.Random) -> Iterator[Write]:
    if rng.random() < share:
        yield one


def _blocks(one: Write, share: float, rng: random.Random) -> Iterator[Write]:
    for offset in range(0, len(one.data), _BLOCK):
        if rng.random() < share:
            yield Write(one.offset + offset, one.data[offset : offset + _BLOCK])


def _torn(one: Write, share: float, rng: random.Random) -> Iterator[Write]:
    """Keep some blocks, and of one of them the first sectors only.

    Not of the first block of the disk: the superblock of ext4 has two sectors and a checksum, so
    that half of it can't be mounted.
    """
    kept = list(_blocks(one, share, rng))
    torn = rng.randrange(len(kept)) if kept else 0
    if kept and len(kept[torn].data) > _SECTOR and kept[torn].offset >= _BLOCK:
        sectors = rng.randrange(1, len(kept[torn].data) // _SECTOR)
        kept[torn] = kept[torn]._replace(data=kept[torn].data[: sectors * _SECTOR])
    yield from kept


class Recording:
    """A mounted disk whose writes are recorded: the log, once it is unmounted."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root = root
        self._log = log

    def log(self) -> Log:
        """Read the log."""
        return Log(self._log)


@contextlib.contextmanager
def recorded(
    system: FileSystem, image: Image, folder: Path, delay: float = 0.0
) -> Iterator[Recording]:
    """Mount a disk, and record what is written to it.

    Args:
        system: of the disk.
        image: its content.
        folder: empty.
        delay: seconds that each byte takes.

    Raises:
        subprocess.CalledProcessError: it can't be mounted.
    """
    content, served, root = (folder / name for name in ("content", "served", "root"))
    for each in (content, served, root):
        each.mkdir()
    log = folder / "log"
    image.write(content / "image")
    command = [sys.executable, "-S", "-m", "tests.powercuts.recorder", served, content, log]
    process = subprocess.Popen(
        [*map(str, command), str(delay)],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mounted\n", "can't mount a disk over /dev/fuse"
        (content / "image").unlink()
        try:
            device = _attach(served / "image")
            with _mount(device, root, system, when_mounted=lambda: _detach(device)):
                yield Recording(root, log)
        finally:
            _run("umount", "--lazy", str(served))  # the process ends when nothing uses it


def _attach(path: Path) -> str:
    """Return a loop device with direct I/O."""
    device = _run("losetup", "--direct-io=on", "--find", "--show", str(path)).strip()
    direct = Path("/sys/block", Path(device).name, "loop/dio").read_text(encoding="ascii")
    assert direct.strip() == "1", f"{device} has no direct I/O"
    return device


def _detach(device: str) -> None:
    """Release a loop device when it is unmounted."""
    _run("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(system: FileSystem, path: Path, root: Path) -> Iterator[None]:
    """Mount the disk of an image.

    Raises:
        subprocess.CalledProcessError: it can't be mounted.
    """
    with _mount(str(path), root, system, "loop"):
        yield


@contextlib.contextmanager
def _mount(
    device: str,
    root: Path,
    system: FileSystem,
    option: str = "",
    when_mounted: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    options = ",".join(filter(None, (option, system.options)))
    try:
        _run("mount", "-t", system.type, "-o", options, device, str(root))
    finally:
        when_mounted()
    try:
        yield
    finally:
        _run("umount", str(root))


def make_image(
    system: FileSystem, folder: Path, fill: Callable[[Path], None], size: int = 0
) -> Image:
    """Return a new disk with the files that *fill* makes, of *size* bytes at least."""
    path, root = folder / "new.img", folder / "new"
    root.mkdir()
    with path.open("wb") as file:
        file.truncate(max(size, system.size))
    _run(*system.make, str(path))
    with mounted(system, path, root):
        fill(root)
    image = Image(path)
    path.unlink()
    root.rmdir()
    return image


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
