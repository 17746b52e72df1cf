"""A file system in memory with the rules of FAT, of SMB, or of a drive that fails; over /dev/fuse.

Linux, root. It is a separate process, so that tests can end it; `tests.support.disks` starts it.
It makes calls fail, each with an error, all of them or some:

    chmod=EPERM         every chmod
    write=EIO@3         the third write
    flush=EDQUOT@2+     every close of a file from the second on

The message formats are those of <linux/fuse.h>, version 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import struct
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Disk", "Rules", "mount"]

_BLOCK: Final = 4096
_LARGEST_MESSAGE: Final = 1 << 20
_VERSION: Final = (7, 31)
_BIG_WRITES: Final = 1 << 5
_MODE, _SIZE, _MTIME = 1 << 0, 1 << 3, 1 << 5
"Bits of a setattr: which fields are set."


@dataclass(frozen=True, slots=True)
class Rules:
    """Properties of a disk."""

    refuse: Sequence[str] = ()
    folds: bool = False
    "Names that differ in case or composition only are one."
    inodes_by_name: bool = False
    "Each spelling of a name has an inode of its own, as of libfuse's high-level interface."
    longest: int = 255
    blocks: int = 1 << 20
    "Of the whole disk; 0: not reported."
    dies_after: int = 0
    "Bytes that are read or written before its process ends; 0: it lives."
    content: str = ""
    "A folder whose files it has from the beginning."


@dataclass(slots=True)
class _Node:
    mode: int
    number: int
    data: bytearray = field(default_factory=bytearray)
    inside: dict[bytes, tuple[bytes, _Node]] = field(default_factory=dict)
    links: int = 1
    mtime: int = field(default_factory=time.time_ns)


class _Refused(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Disk:
    """Serves the requests of the kernel."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._calls: dict[str, int] = {}
        self._moved = 0
        self._nodes: dict[int, _Node] = {}
        self._ids: dict[tuple[int, bytes], int] = {}
        self._new(stat.S_IFDIR | 0o777)
        self._root = self._nodes[1]
        for path in sorted(Path(rules.content).iterdir()) if rules.content else ():
            node = self._new(stat.S_IFREG | 0o644)
            node.data += path.read_bytes()
            self._put(self._root, path.name.encode(), node)
        self._operations: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup,
            3: lambda at, _: self._attributes(at),
            4: self._setattr,
            5: lambda at, _: bytes(self._nodes[at].data),
            6: self._symlink,
            9: self._mkdir,
            10: self._unlink,
            11: self._unlink,
            12: self._rename,
            13: self._link,
            14: lambda at, _: self._checked("open", bytes(16)),
            15: self._read,
            16: self._write,
            17: self._statfs,
            18: lambda at, _: b"",
            20: lambda at, _: self._checked("fsync", b""),
            25: lambda at, _: self._checked("flush", b""),
            26: self._init,
            27: lambda at, _: bytes(16),
            28: self._readdir,
            29: lambda at, _: b"",
            30: lambda at, _: self._checked("fsync", b""),
            35: self._create,
            45: self._rename2,
        }

    def serve(self, fd: int) -> None:
        """Serve requests until it is unmounted."""
        while True:
            try:
                message = os.read(fd, _LARGEST_MESSAGE + _BLOCK)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                continue  # the caller was interrupted
            length, operation, unique, at = struct.unpack_from("<IIQQ", message)
            if operation in (2, 36, 42):  # FORGET and INTERRUPT have no reply
                continue
            answer, error_number = b"", 0
            try:
                answer = self._operations[operation](at, message[40:length])
            except KeyError:
                error_number = errno.ENOSYS
            except _Refused as refused:
                error_number = refused.number
            try:
                os.write(fd, struct.pack("<IiQ", 16 + len(answer), -error_number, unique) + answer)
            except OSError:
                continue  # the caller has ended

    def _check(self, call: str) -> None:
        count = self._calls[call] = self._calls.get(call, 0) + 1
        for rule in self._rules.refuse:
            name, _, what = rule.partition("=")
            error, _, when = what.partition("@")
            if name != call:
                continue
            if (
                not when
                or count == int(when.rstrip("+"))
                or (when[-1] == "+" and count > int(when[:-1]))
            ):
                raise _Refused(getattr(errno, error))

    def _checked(self, call: str, answer: bytes) -> bytes:
        self._check(call)
        return answer

    def _move(self, size: int) -> None:
        self._moved += size
        if self._rules.dies_after and self._moved > self._rules.dies_after:
            os._exit(1)

    def _new(self, mode: int) -> _Node:
        node = _Node(mode, len(self._nodes) + 1)
        self._nodes[node.number] = node
        return node

    def _key(self, name: bytes) -> bytes:
        if len(name) > self._rules.longest:
            raise _Refused(errno.ENAMETOOLONG)
        if not self._rules.folds:
            return name
        return unicodedata.normalize("NFD", name.decode()).casefold().encode()

    def _find(self, folder: _Node, name: bytes) -> _Node:
        found = folder.inside.get(self._key(name))
        if found is None:
            raise _Refused(errno.ENOENT)
        return found[1]

    def _put(self, folder: _Node, name: bytes, node: _Node) -> None:
        if folder.inside.setdefault(self._key(name), (name, node))[1] is not node:
            raise _Refused(errno.EEXIST)

    def _entry(self, at: int, name: bytes, node: _Node) -> bytes:
        number = node.number
        if self._rules.inodes_by_name:
            number = self._ids.setdefault((at, name), len(self._nodes) + 1)
            self._nodes[number] = node
        return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + self._status(number)

    def _status(self, number: int) -> bytes:
        node = self._nodes[number]
        seconds, rest = divmod(node.mtime, 10**9)
        blocks = -(-len(node.data) // 512)
        return struct.pack(
            "<6Q10I",
            *(number, len(node.data), blocks, seconds, seconds, seconds, rest, rest, rest),
            *(node.mode, node.links, 0, 0, 0, _BLOCK, 0),
        )

    def _attributes(self, at: int) -> bytes:
        return bytes(16) + self._status(at)

    # Calls, each with the inode that it is for and its arguments.

    def _init(self, at: int, rest: bytes) -> bytes:
        words = (*_VERSION, 65536, _BIG_WRITES, 12, 10, 65536, 1, 0, 0)
        return struct.pack("<IIIIHHIIHH", *words) + bytes(32)

    def _lookup(self, at: int, rest: bytes) -> bytes:
        name = rest.rstrip(b"\0")
        return self._entry(at, name, self._find(self._nodes[at], name))

    def _setattr(self, at: int, rest: bytes) -> bytes:
        what, _, _, size, _, _, mtime, _, _, nanoseconds, _, mode = struct.unpack_from(
            "<IIQQQQQQIIII", rest
        )
        node = self._nodes[at]
        if what & _MODE:
            self._check("chmod")
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if what & _SIZE:
            if size > len(node.data):
                self._check("lengthen")
            del node.data[size:]
            node.data += bytes(size - len(node.data))
        elif what & _MTIME:
            self._check("utime")
        if what & _MTIME:
            node.mtime = mtime * 10**9 + nanoseconds
        return self._attributes(at)

    def _symlink(self, at: int, rest: bytes) -> bytes:
        self._check("symlink")
        name, target, _ = rest.split(b"\0")
        node = self._new(stat.S_IFLNK | 0o777)
        node.data += target
        self._put(self._nodes[at], name, node)
        return self._entry(at, name, node)

    def _mkdir(self, at: int, rest: bytes) -> bytes:
        self._check("mkdir")
        mode, umask = struct.unpack_from("<II", rest)
        name = rest[8:].rstrip(b"\0")
        node = self._new(stat.S_IFDIR | mode & ~umask & 0o777)
        self._put(self._nodes[at], name, node)
        return self._entry(at, name, node)

    def _unlink(self, at: int, rest: bytes) -> bytes:
        self._check("unlink")
        folder, name = self._nodes[at], rest.rstrip(b"\0")
        node = self._find(folder, name)
        if node.inside:
            raise _Refused(errno.ENOTEMPTY)
        node.links -= 1
        del folder.inside[self._key(name)]
        return b""

    def _rename(self, at: int, rest: bytes) -> bytes:
        self._check("rename")
        (to,) = struct.unpack_from("<Q", rest)
        old, new = rest[8:].split(b"\0")[:2]
        folder, target = self._nodes[at], self._nodes[to]
        node = self._find(folder, old)
        del folder.inside[self._key(old)]
        target.inside[self._key(new)] = (new, node)
        self._ids[(to, new)] = self._ids.pop((at, old), node.number)
        return b""

    def _rename2(self, at: int, rest: bytes) -> bytes:
        self._check("exclusive")  # the system has compared the names, and uses this with flags only
        return self._rename(at, rest[:8] + rest[16:])  # without the flags

    def _link(self, at: int, rest: bytes) -> bytes:
        self._check("link")
        node = self._nodes[struct.unpack_from("<Q", rest)[0]]
        name = rest[8:].rstrip(b"\0")
        self._put(self._nodes[at], name, node)
        node.links += 1
        return self._entry(at, name, node)

    def _read(self, at: int, rest: bytes) -> bytes:
        self._check("read")
        _, offset, size = struct.unpack_from("<QQI", rest)
        self._move(size)
        return bytes(self._nodes[at].data[offset : offset + size])

    def _write(self, at: int, rest: bytes) -> bytes:
        self._check("write")
        _, offset, size = struct.unpack_from("<QQI", rest)
        self._move(size)
        data = self._nodes[at].data
        data += bytes(max(0, offset - len(data)))
        data[offset : offset + size] = rest[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def _statfs(self, at: int, rest: bytes) -> bytes:
        self._check("statfs")
        blocks = self._rules.blocks
        files = 1 << 20 if blocks else 0
        words = (blocks, blocks, blocks, files, files, _BLOCK, self._rules.longest, _BLOCK, 0)
        return struct.pack("<5Q4I", *words) + bytes(24)

    def _readdir(self, at: int, rest: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", rest)
        answer = b""
        inside = list(self._nodes[at].inside.values())
        for place, (name, node) in enumerate(inside[offset:], offset + 1):
            item = struct.pack("<QQII", node.number, place, len(name), stat.S_IFMT(node.mode) >> 12)
            item += name + bytes(-len(name) % 8)
            if len(answer) + len(item) > size:
                break
            answer += item
        return answer

    def _create(self, at: int, rest: bytes) -> bytes:
        self._check("create")
        _, mode, umask = struct.unpack_from("<III", rest)
        name = rest[16:].rstrip(b"\0")
        node = self._new(stat.S_IFREG | mode & ~umask & 0o777)
        self._put(self._nodes[at], name, node)
        return self._entry(at, name, node) + bytes(16)


def mount(place: str) -> int:
    """Mount a disk; return the descriptor for `Disk.serve`."""
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"odd-disk", place.encode(), b"fuse.odd", 0, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def _main(place: str, rules: str) -> None:
    disk = Disk(Rules(**json.loads(rules)))
    fd = mount(place)
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    disk.serve(fd)


if __name__ == "__main__":
    _main(*sys.argv[1:])
