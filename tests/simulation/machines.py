"""The files of both machines before the first run."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Final

from dcsend.entry import Entry
from dcsend.files.manifest import Scan
from dcsend.listing import Entries
from tests.simulation.disk import Disk
from tests.simulation.plan import OLD, Plan

__all__ = ["make_sources", "occupy"]

_MTIME: Final = 1_700_000_000_000_000


def make_sources(plan: Plan, clock: Callable[[], float]) -> tuple[Disk, Scan]:
    """Return the sender's disk, and what is offered of it."""
    disk = Disk(1, clock)
    folder = disk.make(0o40755)
    disk.change((disk.root, "source", folder))
    inodes = array("Q")
    for number, content in enumerate(plan.files.values()):
        inode = disk.make(0o100644)
        inode.write(0, content)
        inode.sync()
        inode.mtime = _MTIME * 1000
        disk.change((folder, str(number), inode))
        inodes.append(inode.number)
    disk.commit()
    return disk, Scan(
        Entries(Entry(path, size=len(data), mtime=_MTIME) for path, data in plan.files.items()),
        [f"/source/{number}" for number in range(len(plan.files))],
        devices=array("Q", [1] * len(inodes)),
        inodes=inodes,
    )


def occupy(disk: Disk, plan: Plan) -> None:
    """Make the receiver's folder, and the files that have names of the offered ones."""
    root = disk.make(0o40755)
    disk.change((disk.root, "out", root))
    for path in plan.taken:
        *folders, name = path.split("/")
        folder = root
        for one in folders:
            below = folder.names.get(one)
            if below is None:
                below = disk.make(0o40755)
                disk.change((folder, one, below))
            folder = below
        inode = disk.make(0o100644)
        inode.content[:] = inode.durable = OLD
        disk.change((folder, name, inode))
    disk.commit()
