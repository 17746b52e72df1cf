"""The files that a run has placed, so that it does not overwrite them."""

from __future__ import annotations

import os

from dcsend.files.folder import Identity, identity
from dcsend.files.name_collisions import NameCollisions

__all__ = ["PlacedFiles"]


class PlacedFiles:
    """The files that a run with `Existing.OVERWRITE` has placed.

    On a file system that ignores case or composition, two names of a manifest may be one name; the
    second file would replace the first, which has been reported as complete. Two names of one file
    have the same device and inode. FUSE file systems may give each spelling its own inode; there
    the parts are compared, too.

    Args:
        collisions: of the manifest.
    """

    def __init__(self, collisions: NameCollisions) -> None:
        self._collisions = collisions
        self._identities: set[Identity] = set()
        self._paths: set[str] = set()
        "Paths of the placed files that have colliding names."

    def add(self, status: os.stat_result, path: str) -> None:
        """Note that the file of entry *path* has its final name."""
        self._identities.add(identity(status))
        if any(self._collisions.colliding(path)):
            self._paths.add(path)

    def contains(self, status: os.stat_result, path: str) -> bool:
        """Return whether this run has placed the file that has the name of entry *path*.

        Args:
            status: of that file.
            path: of the entry, whose part exists.
        """
        return (
            identity(status) in self._identities
            or self._collisions.sharing_part(path) in self._paths
        )
