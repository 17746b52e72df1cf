"""Places inside the chosen folder where no received file is saved, although its name is safe.

* Folders from which Python loads modules: a virtual environment, dcsend itself.
* If dcsend was started with `python -m dcsend` in the chosen folder: modules that Python would load
  from it at the next such start, before any code of dcsend.
* If names are not shown to a person: hidden names in existing folders of the home folder, such as
  `.ssh/authorized_keys` and `.profile`, which control logins and the programs started by them.

Reads the disk, changes nothing on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Set
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Final

from dcsend import importing
from dcsend.files.folder import identity
from dcsend.files.names import UnsafeName, folded, is_hidden

__all__ = ["ForbiddenPlaces"]

_HIDDEN_BY_SYSTEM: Final = {"win32": "appdata", "darwin": "library"}
"Folder of the home folder that is hidden without a dot and contains programs run at login."

_MOST_KNOWN: Final = 1000
"Folders in a cache."


class ForbiddenPlaces:
    """The forbidden places below one folder.

    Args:
        root: the chosen folder.
        unattended: the names are accepted without being shown to a person.
        loaded: top-level modules that Python loads from files before dcsend.
    """

    def __init__(
        self, root: Path, *, unattended: bool, loaded: Set[str] = importing.BEFORE_US
    ) -> None:
        self._root = os.path.realpath(root)
        self._modules = [
            _Below(below) for folder in importing.folders() if (below := self._below(folder))
        ]
        self._names = loaded if self._is_started_here() else frozenset[str]()
        self._home: _Below | None = None
        if unattended:
            home = os.path.realpath(os.path.expanduser("~"))
            below = self._below(home)
            if below is not None:
                self._home = _Below(below)
        self._folders: dict[tuple[str, ...], bool] = {}

    def __bool__(self) -> bool:
        """Return whether there is any forbidden place."""
        return bool(self._modules or self._names or self._home)

    def check(self, parts: tuple[str, ...]) -> None:
        """Refuse a path in a forbidden place.

        Args:
            parts: components of the path below the chosen folder.

        Raises:
            UnsafeName: the place is forbidden.
        """
        if any(folder.holds(self._root, parts) for folder in self._modules):
            raise UnsafeName("Python loads modules from this folder")
        if _module(parts[0]) in self._names:
            raise UnsafeName("`python -m dcsend` would import it here; start dcsend by its name")
        if self._home is not None and self._home.holds(self._root, parts):
            self._check_hidden(parts, len(self._home.parts))

    def _check_hidden(self, parts: tuple[str, ...], home: int) -> None:
        """Refuse a hidden name in an existing folder.

        Args:
            parts: components of a path in the home folder.
            home: how many of them are those of the home folder.
        """
        for number in range(home, len(parts)):
            hidden = is_hidden(parts[number])
            if number == home and parts[number].lower() == _HIDDEN_BY_SYSTEM.get(sys.platform):
                hidden = True
            if hidden and self._is_folder(parts[:number]):
                raise UnsafeName(
                    "a hidden name in the home folder is not accepted without a question"
                )

    def _is_folder(self, parts: tuple[str, ...]) -> bool:
        exists = self._folders.get(parts)
        if exists is None:
            _bound(self._folders)
            exists = self._folders[parts] = os.path.isdir(os.path.join(self._root, *parts))
        return exists

    def _below(self, folder: str) -> tuple[str, ...] | None:
        """Return the components of *folder* below the root; None if it is not below it."""
        try:
            way = os.path.relpath(folder, self._root)
        except ValueError:  # another drive
            return None
        parts = tuple(way.split(os.sep))
        if parts[0] == os.pardir:
            return None
        return () if parts == (os.curdir,) else parts

    def _is_started_here(self) -> bool:
        """Return whether `python -m dcsend` was started in the root; Python searches it first."""
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        if spec is None or spec.name != "dcsend.__main__" or sys.flags.safe_path:
            return False
        try:
            return os.path.samefile(self._root, os.curdir)
        except OSError:  # the root does not exist yet
            return False


class _Below:
    """A folder below the root, in any spelling of its path.

    Args:
        parts: its components; none for the root itself.
    """

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts = parts
        self._folded = tuple(map(folded, parts))
        self._same: dict[tuple[str, ...], bool] = {(): not parts}

    def holds(self, root: str, parts: tuple[str, ...]) -> bool:
        """Return whether *parts* are the path of this folder or of something in it."""
        start = parts[: len(self.parts)]
        if len(start) < len(self.parts):
            return False
        same = self._same.get(start)
        if same is None:
            same = tuple(map(folded, start)) == self._folded or self._is_same(root, start)
            _bound(self._same)
            self._same[start] = same
        return same

    def _is_same(self, root: str, parts: tuple[str, ...]) -> bool:
        """Compare the folders themselves: Windows has a second, short name for many."""
        try:
            own = os.stat(os.path.join(root, *self.parts))
            return own.st_ino != 0 and identity(own) == identity(
                os.stat(os.path.join(root, *parts))
            )
        except (OSError, ValueError):
            return False


def _bound(known: dict[tuple[str, ...], bool]) -> None:
    """Clear a cache that is full: a manifest may name a million folders."""
    if len(known) >= _MOST_KNOWN:
        known.clear()


def _module(name: str) -> str:
    """Return the Python module that a file or folder *name* would be; empty if it is none.

    >>> _module("functools.py"), _module("collections"), _module("types.txt")
    ('functools', 'collections', '')
    """
    stem, dot, suffix = name.casefold().partition(".")
    return stem if not dot or dot + suffix in map(str.casefold, all_suffixes()) else ""
