"""The calls of `os` that `dcsend.files` uses, on the disk of the current process.

A name that is not here does not exist: a call that is not simulated is an error, and never reaches
a real file.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import posixpath
import stat
from types import SimpleNamespace
from typing import Final

from tests.simulation.disk import Disk, Inode, fault
from tests.simulation.process import CURRENT, OWNERS, OpenFile

__all__ = ["FCNTL", "SYSTEM", "open_stream"]

_Path = str | int | os.PathLike[str]

_SAME: Final = (
    *("fsencode", "fspath", "fsdecode", "strerror", "major", "minor"),
    *(name for name in dir(os) if name.startswith(("O_", "SEEK_"))),
    *("W_OK", "R_OK", "X_OK", "name", "sep", "curdir", "pardir", "stat_result", "PathLike"),
)


def _disk() -> Disk:
    return CURRENT.get().disk


def _file(fd: int) -> OpenFile:
    file = CURRENT.get().files.get(fd)
    if file is None:
        raise fault(errno.EBADF)
    return file


def _inode(path: _Path, dir_fd: int | None = None) -> Inode:
    if isinstance(path, int):
        return _file(path).inode
    return _disk().find(os.fspath(path), None if dir_fd is None else _file(dir_fd).inode)


def _place(path: _Path, dir_fd: int | None) -> tuple[Inode, str]:
    assert not isinstance(path, int)
    return _disk().place(os.fspath(path), None if dir_fd is None else _file(dir_fd).inode)


def _shown(path: _Path, dir_fd: int | None) -> str:
    if isinstance(path, int):
        return _file(path).path
    return os.fspath(path) if dir_fd is None else f"{_file(dir_fd).path}/{os.fspath(path)}"


def _call(kind: str, path: _Path, dir_fd: int | None = None) -> None:
    process = CURRENT.get()
    process.call(kind, "" if process.dead else _shown(path, dir_fd))


def _result(inode: Inode) -> os.stat_result:
    size = len(inode.content)
    seconds = inode.mtime / 1e9
    blocks = -(-size // 512)
    values = (inode.mode, inode.number, _disk().number, inode.links, os.geteuid(), 0, size)
    times = {"st_mtime_ns": inode.mtime, "st_atime_ns": inode.mtime, "st_ctime_ns": inode.mtime}
    return os.stat_result((*values, 0, int(seconds), 0), {"st_blocks": blocks, **times})


class _System:
    """See the module; each method is as in `os`."""

    def __init__(self) -> None:
        for name in _SAME:
            setattr(self, name, getattr(os, name))
        self.supports_fd = {self.utime}
        self.path = SimpleNamespace(
            **{
                name: getattr(posixpath, name)
                for name in ("join", "split", "basename", "dirname", "relpath", "expanduser")
            },
            abspath=posixpath.normpath,
            realpath=posixpath.normpath,
            lexists=self._exists,
            exists=self._exists,
            isdir=lambda path: self._exists(path) and _inode(path).is_folder,
        )

    @staticmethod
    def _exists(path: str) -> bool:
        try:
            _inode(path)
        except OSError:
            return False
        return True

    @staticmethod
    def geteuid() -> int:
        return os.geteuid()

    @staticmethod
    def open(path: _Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        _call("open", path, dir_fd)
        folder, name = _place(path, dir_fd)
        inode = folder.names.get(name) if name else folder
        if inode is None:
            if not flags & os.O_CREAT:
                raise fault(errno.ENOENT)
            inode = _disk().make(stat.S_IFREG | (mode & 0o755))
            _disk().change((folder, name, inode))
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise fault(errno.EEXIST)
        if flags & os.O_DIRECTORY and not inode.is_folder:
            raise fault(errno.ENOTDIR)
        return CURRENT.get().add(OpenFile(inode, _shown(path, dir_fd)))

    @staticmethod
    def close(fd: int) -> None:
        # The end of a generator may close it in another context.
        process = OWNERS.get(fd)
        if process is None or process.dead:
            return
        file = process.files.get(fd)
        if file is None:
            raise fault(errno.EBADF)
        try:
            process.call("close", file.path)
        finally:
            process.close(fd)  # also if it fails: close(2)

    @staticmethod
    def dup(fd: int) -> int:
        _call("dup", fd)
        file = _file(fd)
        file.users += 1
        return CURRENT.get().add(file)

    @staticmethod
    def read(fd: int, length: int) -> bytes:
        _call("read", fd)
        file = _file(fd)
        piece = bytes(file.inode.content[file.offset : file.offset + length])
        file.offset += len(piece)
        return piece

    @staticmethod
    def write(fd: int, payload: bytes | memoryview) -> int:
        process = CURRENT.get()
        if process.dead:
            process.call("write")
        file, content = _file(fd), bytes(payload)

        def put(length: int) -> int:
            file.inode.write(file.offset, content[:length])
            file.inode.mtime = _disk().now
            file.offset += length
            written = process.written
            written[file.path] = written.get(file.path, 0) + length
            return length

        part = process.rng.randint(0, len(content))
        what = f"{file.path} {file.offset}+{len(content)}"
        short = process.call("write", what, lambda: put(part))
        return put(max(1, part) if short and content else len(content))

    @staticmethod
    def lseek(fd: int, offset: int, whence: int) -> int:
        assert whence == os.SEEK_SET
        _file(fd).offset = offset
        return offset

    @staticmethod
    def ftruncate(fd: int, length: int) -> None:
        _call("ftruncate", fd)
        _file(fd).inode.truncate(length)

    @staticmethod
    def fsync(fd: int) -> None:
        _call("fsync", fd)
        _file(fd).inode.sync()
        _disk().commit()

    @staticmethod
    def stat(
        path: _Path, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        _call("stat", path, dir_fd)
        return _result(_inode(path, dir_fd))

    @staticmethod
    def lstat(path: _Path) -> os.stat_result:
        _call("lstat", path)
        return _result(_inode(path))

    @staticmethod
    def fstat(fd: int) -> os.stat_result:
        _call("fstat", fd)
        return _result(_file(fd).inode)

    @staticmethod
    def unlink(path: _Path, *, dir_fd: int | None = None) -> None:
        _call("unlink", path, dir_fd)
        folder, name = _place(path, dir_fd)
        if name not in folder.names:
            raise fault(errno.ENOENT)
        _disk().change((folder, name, None))

    @staticmethod
    def link(
        old: _Path,
        new: _Path,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        _call("link", new, dst_dir_fd)
        inode = _inode(old, src_dir_fd)
        folder, name = _place(new, dst_dir_fd)
        if name in folder.names:
            raise fault(errno.EEXIST)
        _disk().change((folder, name, inode))

    @staticmethod
    def rename_exclusive(old: str, new: str, folder: int | None) -> None:
        """As `exclusive.rename_exclusive`."""
        _call("rename", new, folder)
        if not _disk().exclusive:
            raise fault(errno.EINVAL)
        inode, (above, before) = _inode(old, folder), _place(old, folder)
        _, name = _place(new, folder)
        if name in above.names:
            raise fault(errno.EEXIST)
        _disk().change((above, before, None), (above, name, inode))

    @staticmethod
    def replace(
        old: _Path, new: _Path, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        _call("replace", new, dst_dir_fd)
        inode, (source, before) = _inode(old, src_dir_fd), _place(old, src_dir_fd)
        folder, name = _place(new, dst_dir_fd)
        _disk().change((source, before, None), (folder, name, inode))

    @staticmethod
    def mkdir(path: _Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        _call("mkdir", path, dir_fd)
        folder, name = _place(path, dir_fd)
        if name in folder.names:
            raise fault(errno.EEXIST)
        _disk().change((folder, name, _disk().make(stat.S_IFDIR | (mode & 0o755))))

    def makedirs(self, path: _Path, *, exist_ok: bool = False) -> None:
        assert exist_ok
        assert not isinstance(path, int)
        here = ""
        for name in os.fspath(path).strip("/").split("/"):
            here += f"/{name}"
            if not self._exists(here):
                self.mkdir(here)

    @staticmethod
    def listdir(path: _Path) -> list[str]:
        _call("listdir", path)
        return list(_inode(path).names)

    @staticmethod
    def utime(path: _Path, *, ns: tuple[int, int]) -> None:
        _call("utime", path)
        _inode(path).mtime = ns[1]

    @staticmethod
    def chmod(path: _Path, mode: int) -> None:
        _call("chmod", path)
        inode = _inode(path)
        inode.mode = stat.S_IFMT(inode.mode) | mode

    fchmod = chmod

    @staticmethod
    def statvfs(path: _Path) -> SimpleNamespace:
        return SimpleNamespace(f_namemax=255, f_frsize=4096)


SYSTEM: Final = _System()


class _Stream(io.RawIOBase):
    """A file that is open for reading; closes its descriptor."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._process = CURRENT.get()

    def fileno(self) -> int:
        return self._fd

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # the type of Python 3.11 is private
        piece = SYSTEM.read(self._fd, len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._fd in self._process.files:
                self._process.close(self._fd)


def open_stream(fd: int, mode: str) -> io.BufferedReader:
    """As `open` with a descriptor, for reading."""
    assert mode == "rb"
    return io.BufferedReader(_Stream(fd))


def _flock(fd: int, operation: int) -> None:
    _call("flock", fd)
    file = _file(fd)
    locks = file.inode.locks
    if operation & fcntl.LOCK_UN:
        locks.pop(file, None)
        return
    exclusive = bool(operation & fcntl.LOCK_EX)
    if any(other is not file and (exclusive or held) for other, held in locks.items()):
        raise fault(errno.EWOULDBLOCK)
    locks[file] = exclusive


FCNTL: Final = SimpleNamespace(
    flock=_flock,
    **{name: getattr(fcntl, name) for name in ("LOCK_EX", "LOCK_SH", "LOCK_NB", "LOCK_UN")},
)
