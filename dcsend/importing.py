"""Prevents imports from the current folder and from folders of received files.

Python searches the folder of the script or, with `-m` and `-c`, the current folder before the
folders of installed libraries; PYTHONPATH may contain the current folder, too. These folders may
contain received files: `tqdm.py` there would be executed in place of the library.

Importing this module replaces Python's finder in `sys.meta_path` by one with two exceptions:

* a folder that was passed to `keep_out` is not searched for the rest of the process;
* the folder of the script and the current folder are not searched for imports by dcsend, that is
  while a function of dcsend is on the stack.

A program that uses dcsend as a library may be in such a folder. Therefore the exceptions do not
apply to imports by `__main__` and by modules that were loaded from that folder. Folders of
installed libraries are always searched; no files are received there, see `files/forbidden.py`.

A leaf, and the first module of dcsend that is loaded. It imports only modules that are frozen or
that the interpreter has loaded, because others might be loaded from such a folder; hence neither
`typing` nor `__future__`.
"""

import os
import sys
from _frozen_importlib_external import PathFinder

__all__ = ["BEFORE_US", "folders", "holds_modules", "is_library", "is_named", "keep_out"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType
    from typing import Any

BEFORE_US = frozenset(
    name.partition(".")[0]
    for name, module in tuple(sys.modules.items())
    if getattr(getattr(module, "__spec__", None), "origin", "") not in ("", "built-in", "frozen")
)
"""Top-level modules that were loaded from files before dcsend. With `-m` Python searches the
current folder for most of them, which dcsend can't prevent."""

_MACHINERY = frozenset({"importlib", "_frozen_importlib", "_frozen_importlib_external", __name__})
"Modules whose frames stand between an import statement and the finder."

_kept_out: "set[str]" = set()
_real_paths: "dict[str, str]" = {}


def keep_out(folder: "str | os.PathLike[str]") -> None:
    """Prevent imports from *folder* from now on, unless libraries are installed there."""
    try:
        real = _real(os.path.abspath(folder))
    except (OSError, ValueError):
        return  # it can't be resolved, so no file can be received into it
    _kept_out.add(real)
    # A checkout can be excluded, but not a folder that has all libraries (`pip install --target`).
    if real == _OURS and _Finder.find_spec("cryptography") is None:
        _kept_out.discard(real)


def is_library(folder: str) -> bool:
    """Return whether libraries are installed in *folder*, a real path."""
    if folder == _OURS:
        return folder not in _kept_out
    return folder == _STANDARD or os.path.basename(folder) in _INSTALLED


def is_named(folder: str) -> bool:
    """Return whether PYTHONPATH contains the absolute path of *folder*, a real path."""
    named = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    return folder in {_real(entry) for entry in named.split(os.pathsep) if os.path.isabs(entry)}


def holds_modules(folder: str) -> bool:
    """Return whether *folder*, a real path, is a folder of installed libraries or inside one."""
    if is_library(folder):
        return True
    while folder not in (_STANDARD, _PACKAGE) and os.path.basename(folder) not in _INSTALLED:
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True


def folders() -> "list[str]":
    """Return the real paths that Python searches for modules, now or at its next start."""
    found = [_folder(entry) for entry in sys.path]
    found.append(_PACKAGE)
    user = getattr(sys.modules.get("site"), "USER_SITE", None)
    if user:
        found.append(_real(os.path.abspath(user)))
    if sys.prefix != sys.base_prefix:
        found.append(_real(sys.prefix))  # a virtual environment, with its pyvenv.cfg and programs
    return found


class _Finder(PathFinder):
    """Python's finder for `sys.path`, without the folders that must not be searched."""

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """Find a module; *path* is the search path of its package, None at the top level."""
        return super().find_spec(fullname, _searched() if path is None else path, target)


def _searched() -> "list[str]":
    """Return `sys.path` without the folders that must not be searched for the current import."""
    suspects = _kept_out | _script | {_current()}
    found: list[str] = []
    importer: _Importer | None = None
    for entry in sys.path:
        folder = _folder(entry)
        if folder in suspects and not is_library(folder):
            importer = importer or _Importer(sys._getframe())
            if importer.is_refused(folder):
                continue
        found.append(entry)
    return found


class _Importer:
    """The module that executes the current import.

    Args:
        frame: a frame of the import machinery, or of a function that it called.
    """

    def __init__(self, frame: "FrameType | None") -> None:
        while frame is not None and _part(frame.f_globals) in _MACHINERY:
            frame = frame.f_back
        variables: dict[str, Any] = frame.f_globals if frame is not None else {}
        self._is_program = variables.get("__name__") == "__main__" and _part(variables) != "dcsend"
        self._home = "" if _part(variables) == "dcsend" else _home(variables)
        self._for_us = False
        while frame is not None and not self._for_us:
            self._for_us = _part(frame.f_globals) == "dcsend"
            frame = frame.f_back

    def is_refused(self, folder: str) -> bool:
        """Return whether imports from *folder*, which is one of the suspects, are refused."""
        if self._is_program or self._home == folder:
            return False
        return self._for_us or folder in _kept_out


def _part(variables: "dict[str, Any]") -> str:
    """Return the name of the top-level package, or module, with these global *variables*."""
    if variables is globals():
        return __name__
    return str(variables.get("__package__") or variables.get("__name__")).partition(".")[0]


def _home(variables: "dict[str, Any]") -> str:
    """Return the folder of `sys.path` from which the module with these *variables* was loaded."""
    file = variables.get("__file__")
    if not isinstance(file, str):
        return ""
    folder = os.path.dirname(os.path.abspath(file))
    for _ in filter(None, str(variables.get("__package__") or "").split(".")):
        folder = os.path.dirname(folder)
    return _real(folder)


def _folder(entry: str) -> str:
    """Return the real path of an entry of `sys.path`; the empty one is the current folder."""
    if os.path.isabs(entry):
        return _real(entry)
    return os.path.normcase(os.path.realpath(entry or os.curdir))


def _real(path: str) -> str:
    """Return the real path of an absolute path, cached: it takes a system call for each level."""
    found = _real_paths.get(path)
    if found is None:
        found = _real_paths[path] = os.path.normcase(os.path.realpath(path))
    return found


def _current() -> str:
    try:
        return os.path.normcase(os.getcwd())
    except OSError:  # the folder has been removed
        return ""


_STANDARD = _real(os.path.dirname(os.path.abspath(os.__file__)))
_PACKAGE = _real(os.path.dirname(os.path.abspath(__file__)))
_OURS = os.path.dirname(_PACKAGE)
_INSTALLED = ("site-packages", "dist-packages", "lib-dynload")
_main = getattr(sys.modules.get("__main__"), "__file__", None)
_script: "set[str]" = set()
"The folder of the script and, if it was started by a link, the folder of the link."
if isinstance(_main, str):
    _script.add(_real(os.path.dirname(os.path.realpath(_main))))
    _script.add(_real(os.path.dirname(os.path.abspath(_main))))

sys.meta_path[:] = [_Finder if finder is PathFinder else finder for finder in sys.meta_path]
