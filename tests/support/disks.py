"""Mounts the disks of `odd_disk`, each for one test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest

from tests.support.odd_disk import Rules

__all__ = ["FAT", "NO_EXCLUSIVE", "SMB", "MakeDisk", "OddDisk", "need_root", "odd_disk"]

FAT: Final = ("chmod=EPERM", "link=EPERM", "symlink=EPERM", "utime=EPERM", "fsync=EINVAL")
NO_EXCLUSIVE: Final = "exclusive=EINVAL"
"No rename that replaces nothing: NFS, and most drivers in user space."
SMB: Final = ("chmod=EACCES", "link=EOPNOTSUPP", "symlink=EOPNOTSUPP", "lengthen=EPERM")


class OddDisk:
    """A mounted disk; `path` is where."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self.path = path
        command = [
            sys.executable,
            "-S",
            "-m",
            "tests.support.odd_disk",
            str(path),
            json.dumps(asdict(rules)),
        ]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
            # Signals to the process group of the test run do not end it.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"mounted\n":
            self._process.wait()
            pytest.fail("can't mount a disk over /dev/fuse")

    def die(self) -> None:
        """End its process: every call fails with ENOTCONN from now on."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        self.die()
        if self._process.stdout is not None:
            self._process.stdout.close()


def need_root() -> None:
    """Skip a test where disks can't be mounted; on CI it fails."""
    if sys.platform != "linux" or os.geteuid() != 0:
        if os.environ.get("CI") == "true" and sys.platform == "linux":
            pytest.fail("the tests of odd disks need root on CI")
        pytest.skip("only root on Linux can mount a disk")


MakeDisk = Callable[..., OddDisk]


@pytest.fixture
def odd_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Mount disks; the keywords are the fields of `Rules`."""
    need_root()
    if not os.path.exists("/dev/fuse"):
        pytest.fail("no /dev/fuse")
    disks: list[OddDisk] = []

    def make(*refuse: str, **rules: object) -> OddDisk:
        place = tmp_path / f"disk{len(disks)}"
        place.mkdir()
        disks.append(OddDisk(place, Rules(refuse, **rules)))  # type: ignore[arg-type]
        return disks[-1]

    yield make
    for disk in disks:
        disk.close()
