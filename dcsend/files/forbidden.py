"""Places inside the chosen folder where nothing of a peer is saved, although its name is safe.

* Where Python looks for modules: a virtual environment below the chosen folder, dcsend itself.
* Where dcsend was started with `python -m dcsend` in the chosen folder: modules that Python loads
  at the next such start, before the first line of dcsend.
* Where nobody is asked: hidden names in folders of the home folder that are there already, such as
  `.ssh/authorized_keys` and `.profile`, which decide who may log in and what is run then.

Looks at the disk, changes nothing on it.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Final

from dcsend import importing
from dcsend.files.folder import identity
from dcsend.files.names import UnsafeName, is_hidden

__all__ = ["Forbidden"]

_HIDDEN_BY_SYSTEM: Final = {"win32": "appdata", "darwin": "library"}
"The folder in the home folder that is hidden without a dot, and holds what is run at each login."


_MOST_KNOWN: Final = 1000
"Folders of which is kept what they are."


class Forbidden:
    """The forbidden places below one folder.

    Args:
        root: the chosen folder.
        unattended: nobody is shown the names before they are accepted.
    """

    def __init__(self, root: Path, *, unattended: bool) -> None:
        self._root = os.path.realpath(root)
        self._modules = [
            _Below(below) for folder in importing.folders() if (below := self._below(folder))
        ]
        self._names = importing.BEFORE_US if self._is_started_here() else frozenset()
        self._home: _Below | None = None
        if unattended:
            home = os.path.realpath(os.path.expanduser("~"))
            below = self._below(home)
            if below is not None:
                self._home = _Below(below)
        self._there: dict[tuple[str, ...], bool] = {}

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._modules or self._names or self._home)

    def check(self, parts: tuple[str, ...]) -> None:
        """Refuse a place, named by its components below the chosen folder.

        Raises:
            UnsafeName: nothing is saved there.
        """
        if any(folder.holds(self._root, parts) for folder in self._modules):
            raise UnsafeName("Python looks for modules there")
        if _module(parts[0]) in self._names:
            raise UnsafeName("`python -m dcsend` would import it here; start dcsend by its name")
        if self._home is not None and self._home.holds(self._root, parts):
            self._check_hidden(parts, len(self._home.parts))

    def _check_hidden(self, parts: tuple[str, ...], home: int) -> None:
        """Refuse a hidden name in a folder that is there already.

        Args:
            parts: a place in the home folder.
            home: how many of them lead to the home folder.
        """
        for number in range(home, len(parts)):
            hidden = is_hidden(parts[number])
            if number == home and parts[number].lower() == _HIDDEN_BY_SYSTEM.get(sys.platform):
                hidden = True
            if hidden and self._is_there(parts[:number]):
                raise UnsafeName("a hidden name in the home folder is not accepted unseen")

    def _is_there(self, parts: tuple[str, ...]) -> bool:
        there = self._there.get(parts)
        if there is None:
            _bound(self._there)
            there = self._there[parts] = os.path.isdir(os.path.join(self._root, *parts))
        return there

    def _below(self, folder: str) -> tuple[str, ...] | None:
        """Return the components of *folder* below the root; None if it is elsewhere."""
        try:
            way = os.path.relpath(folder, self._root)
        except ValueError:  # another drive
            return None
        parts = tuple(way.split(os.sep))
        if parts[0] == os.pardir:
            return None
        return () if parts == (os.curdir,) else parts

    def _is_started_here(self) -> bool:
        """Tell whether `python -m dcsend` was started in the root, which Python searches first."""
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        if spec is None or spec.name != "dcsend.__main__" or sys.flags.safe_path:
            return False
        try:
            return os.path.samefile(self._root, os.curdir)
        except OSError:  # it is still to be made
            return False


class _Below:
    """A folder below the root, recognised however its name is spelled.

    Args:
        parts: its components; none for the root itself.
    """

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts = parts
        self._folded = tuple(map(_folded, parts))
        self._same: dict[tuple[str, ...], bool] = {(): not parts}

    def holds(self, root: str, parts: tuple[str, ...]) -> bool:
        """Tell whether *parts* lead to it, or into it."""
        start = parts[: len(self.parts)]
        if len(start) < len(self.parts):
            return False
        same = self._same.get(start)
        if same is None:
            same = tuple(map(_folded, start)) == self._folded or self._is_same(root, start)
            _bound(self._same)
            self._same[start] = same
        return same

    def _is_same(self, root: str, parts: tuple[str, ...]) -> bool:
        """Compare what is there: Windows has short names beside the long ones."""
        try:
            ours = os.stat(os.path.join(root, *self.parts))
            return ours.st_ino != 0 and identity(ours) == identity(
                os.stat(os.path.join(root, *parts))
            )
        except (OSError, ValueError):
            return False


def _bound(known: dict[tuple[str, ...], bool]) -> None:
    """Forget what is known where it is much: a manifest may name a million folders."""
    if len(known) >= _MOST_KNOWN:
        known.clear()


def _folded(name: str) -> str:
    """Return what is one for names that some file system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _module(name: str) -> str:
    """Return the module that a file or folder of this *name* would be; empty if it is none.

    >>> _module("functools.py"), _module("collections"), _module("types.txt")
    ('functools', 'collections', '')
    """
    stem, dot, suffix = name.casefold().partition(".")
    return stem if not dot or dot + suffix in map(str.casefold, all_suffixes()) else ""
