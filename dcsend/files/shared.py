"""What the readers of several receivers share: the blocks read last, and the digests of files.

    reader that is first ─► disk ─► block ─► readers that are at most `LIMIT` bytes behind
                                      └─► hasher of the file ─► its digest, for later readers, too

Receivers in step thus read the disk once, and each file is hashed once. A reader opens each file
itself, and detects by size and times whether it has changed. Blocks and digests are of one version
of a file: a reader that finds another one does not get them.
"""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from dcsend.files.intake import zeros
from dcsend.files.journal import Point

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["LIMIT", "Common", "Share", "Shared", "SharedDigest"]

LIMIT: Final = 64 << 20
"Bytes of the blocks that are kept, at most."
_MOST_BLOCKS: Final = 4096
"Blocks that are kept, at most; reached where files are small."
_MOST_POINTS: Final = 1024
"Digests of beginnings of files that are kept; a receiver sends few."
_DIGEST: Final = 32

Place = tuple[int, int]
"Number of an entry, and an offset."
Stamp = tuple[int, ...]
"Identity, size and times of a version of a file."


class Shared:
    """What all readers of one scan share. Each method may be called in any thread.

    Args:
        entries: their number.
        limit: bytes of blocks.
    """

    def __init__(self, entries: int, limit: int = LIMIT) -> None:
        self.bytes_read = 0
        "From the disk."
        self._limit = limit
        self._change = threading.Condition()
        self._blocks: dict[Place, tuple[Stamp, bytes]] = {}
        self._size = 0
        "Bytes in `_blocks`."
        self._reading: set[Place] = set()
        "Blocks that a reader is reading from the disk."
        self._readers: dict[Share, Place] = {}
        "Where each reader is that has begun."
        self._hashing: dict[int, _Hashed] = {}
        "The files that are not hashed completely, by number."
        self._versions = array("q", bytes(8 * entries))
        "Hash of the stamp of each file whose digest is known; otherwise 0."
        self._digests = bytearray(_DIGEST * entries)
        self._points: dict[tuple[int, Stamp, int], bytes] = {}
        "Digests of beginnings, which receivers have sent and which were verified."

    def reader(self) -> Share:
        """Return what the reader of one receiver uses."""
        return Share(self)

    # --- blocks

    @property
    def kept(self) -> int:
        """Bytes of the blocks that are kept."""
        with self._change:
            return sum(len(piece) for _, piece in self._blocks.values())

    def read(
        self, reader: Share, place: Place, stamp: Stamp, length: int, read: Callable[[int], bytes]
    ) -> tuple[bytes, bool]:
        """Return a block, and whether it comes from the disk.

        Args:
            reader: that needs it.
            place: where it begins.
            stamp: of its file.
            length: bytes, at most.
            read: reads it from the disk.

        Raises:
            OSError: it can't be read.
        """
        number, offset = place
        with self._change:
            while place in self._reading:
                self._change.wait()
            found, piece = self._blocks.get(place, (None, b""))
            if found == stamp and len(piece) <= length:
                self._place(reader, (number, offset + len(piece)))
                return piece, False
            self._reading.add(place)
        try:
            piece = read(length)
        finally:
            with self._change:
                self._reading.discard(place)
                self._change.notify_all()
        with self._change:
            self.bytes_read += len(piece)
            self._place(reader, (number, offset + len(piece)))
            self._keep(place, stamp, piece)
        return piece, True

    def leave(self, reader: Share) -> None:
        """Note that a reader has ended; idempotent."""
        with self._change:
            self._readers.pop(reader, None)
            if not self._readers:
                self._blocks.clear()
                self._size = 0

    def _place(self, reader: Share, place: Place) -> None:
        if not reader.is_closed:
            self._readers[reader] = place

    def _keep(self, place: Place, stamp: Stamp, piece: bytes) -> None:
        _, before = self._blocks.pop(place, ((), b""))
        self._blocks[place] = stamp, piece
        self._size += len(piece) - len(before)
        if self._size <= self._limit and len(self._blocks) <= _MOST_BLOCKS:
            return
        # Those that no reader reaches soon; several at once, so that it takes little time.
        readers = sorted(self._readers.values())

        def distance(place: Place) -> tuple[float, int]:
            behind = bisect_right(readers, place) - 1
            if behind < 0:
                return float("inf"), 0
            return place[0] - readers[behind][0], place[1] - readers[behind][1]

        for place in sorted(self._blocks, key=distance, reverse=True):
            if self._size <= self._limit * 7 // 8 and len(self._blocks) <= _MOST_BLOCKS * 7 // 8:
                return
            _, piece = self._blocks.pop(place)
            self._size -= len(piece)

    # --- digests

    def hashed(self, number: int, stamp: Stamp, size: int) -> _Hashed:
        """Return the hasher that all readers of a version of a file share."""
        with self._change:
            hashed = self._hashing.get(number)
            if hashed is None or hashed.stamp != stamp:
                hashed = self._hashing[number] = _Hashed(stamp, size)
            return hashed

    def digest(self, number: int, stamp: Stamp) -> bytes | None:
        """Return the digest of a file; None if it is not known."""
        if self._versions[number] != _version(stamp):
            return None
        return bytes(self._digests[number * _DIGEST : (number + 1) * _DIGEST])

    def learn(self, number: int, stamp: Stamp, digest: bytes, points: Sequence[Point] = ()) -> None:
        """Note the digest of a file, and those of beginnings of it."""
        with self._change:
            self._hashing.pop(number, None)
            self._digests[number * _DIGEST : (number + 1) * _DIGEST] = digest
            self._versions[number] = _version(stamp)
            for point in points:
                self._points[number, stamp, point.offset] = point.sha256
            while len(self._points) > _MOST_POINTS:
                del self._points[next(iter(self._points))]

    def has(self, number: int, stamp: Stamp, points: Sequence[Point]) -> bool:
        """Return whether all *points* were verified before."""
        with self._change:
            kept = self._points
            return all(kept.get((number, stamp, one.offset)) == one.sha256 for one in points)


class Share:
    """What one receiver has of `Shared`."""

    def __init__(self, shared: Shared) -> None:
        self.is_closed = False
        self._shared = shared

    def file(self, number: int, status: os.stat_result) -> Common:
        """Return what is shared of a file that was opened with *status*."""
        return Common(self._shared, self, number, status)

    def close(self) -> None:
        """End the use of blocks; idempotent."""
        self.is_closed = True
        self._shared.leave(self)


class Common:
    """One version of a file, for the reader of one receiver."""

    def __init__(self, shared: Shared, reader: Share, number: int, status: os.stat_result) -> None:
        self._shared = shared
        self._reader = reader
        self._number = number
        self._size = status.st_size
        times = status.st_mtime_ns, status.st_ctime_ns
        self._stamp = (status.st_dev, status.st_ino, status.st_size, *times)

    def read(self, offset: int, length: int, read: Callable[[int], bytes]) -> tuple[bytes, bool]:
        """Return the block at *offset*, and whether *read* was called for it.

        Raises:
            OSError: it can't be read.
        """
        place = self._number, offset
        return self._shared.read(self._reader, place, self._stamp, length, read)

    def digest(self, start: int, points: Sequence[Point]) -> SharedDigest | None:
        """Return the digest of the file, which its blocks complete; None if it can't.

        Args:
            start: bytes that the receiver has. The digest must be known if there are any.
            points: digests of some of them, which must be known, too.
        """
        shared, number, stamp = self._shared, self._number, self._stamp
        known = shared.digest(number, stamp)
        if start and (known is None or not shared.has(number, stamp, points)):
            return None
        hashed = None if known is not None else shared.hashed(number, stamp, self._size)
        return SharedDigest(start, known, hashed, self)

    def learn(self, digest: bytes, points: Sequence[Point] = ()) -> None:
        """Note the digest of the file, and those of beginnings of it."""
        self._shared.learn(self._number, self._stamp, digest, points)


class _Hashed:
    """The hasher of one version of a file, and how far it is: at least as far as any reader.

    Args:
        stamp: of the version.
        size: of the file.
    """

    def __init__(self, stamp: Stamp, size: int) -> None:
        self.stamp = stamp
        self._size = size
        self._position = 0
        self._hasher: _Hash = hashlib.sha256()
        self._lock = threading.Lock()

    def add(self, offset: int, piece: bytes | int) -> None:
        """Hash what was not hashed yet; *piece* is content or the length of a hole."""
        end = offset + (piece if isinstance(piece, int) else len(piece))
        if end <= self._position:
            return
        with self._lock:
            new = end - max(offset, self._position)
            if new <= 0:
                return
            if isinstance(piece, int):
                for block in zeros(new):
                    self._hasher.update(block)
            else:
                self._hasher.update(memoryview(piece)[len(piece) - new :])
            self._position = end

    def digest(self) -> bytes | None:
        """Return the digest of the whole file; None before its end."""
        with self._lock:
            return self._hasher.digest() if self._position == self._size else None


class SharedDigest:
    """The digest of a file for one reader; see `source`.

    Args:
        start: bytes that the receiver has.
        known: the digest, if it is known.
        hashed: otherwise its hasher.
        common: gets the digest.
    """

    def __init__(
        self, start: int, known: bytes | None, hashed: _Hashed | None, common: Common
    ) -> None:
        self.position = start
        "Bytes of the file that are read."
        self.returned = False
        "Whether `finish` has returned the digest."
        self.is_known: Final = True
        self.checked: Final = None
        self._known = known
        self._hashed = hashed
        self._common = common

    def add(self, piece: bytes | int) -> None:
        """Add the next piece."""
        if self._hashed is not None:
            self._hashed.add(self.position, piece)
        self.position += piece if isinstance(piece, int) else len(piece)

    def finish(self, wanted: Callable[[], bool] = lambda: True) -> bytes | None:
        """Return the digest, when the file has been read to its end."""
        if self._hashed is not None:
            self._known = self._hashed.digest()
            if self._known is not None:
                self._common.learn(self._known)
        self.returned = True
        return self._known

    def close(self) -> None:
        """Do nothing."""


def _version(stamp: Stamp) -> int:
    return hash(stamp) or 1
