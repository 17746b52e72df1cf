"""Keep modules from being imported out of the current folder and out of folders of received files.

Python looks for modules in the folder of the script or, with `-m` and `-c`, in the current one
before it looks where libraries are installed; PYTHONPATH may name the current folder, too. Those
folders may hold received files: `tqdm.py` there would be run in place of the library.

Importing this module puts a finder in the place of Python's own (`sys.meta_path`), which looks up
modules as before, with two exceptions:

* a folder given to `keep_out` is not searched, whoever imports, for the rest of the process;
* the folder of the script and the current one are not searched when dcsend imports, that is while
  a function of dcsend is being called.

A program that has dcsend as a library may lie in such a folder. What it imports itself is its own
affair: the exceptions do not apply to `__main__` and to modules that were loaded from that very
folder. Folders where libraries are installed are always searched; no files are received there, see
`files/forbidden.py`.

A leaf, and the first module of dcsend that is loaded: it imports only what the interpreter holds
frozen or has loaded itself, since anything else might come out of such a folder. Hence neither
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
"""Top-level modules that were read from files before the first line of dcsend was run. With `-m`
Python looks for most of them in the current folder, and no code of ours can prevent that."""

_MACHINERY = frozenset({"importlib", "_frozen_importlib", "_frozen_importlib_external", __name__})
"Modules whose frames stand between an import statement and the finder."

_kept_out: "set[str]" = set()
_real_paths: "dict[str, str]" = {}


def keep_out(folder: "str | os.PathLike[str]") -> None:
    """Import nothing from *folder* any more, unless it is where libraries are installed."""
    try:
        real = _real(os.path.abspath(folder))
    except (OSError, ValueError):
        return  # it can't be looked up, and nothing be received into it
    _kept_out.add(real)
    # A checkout can be done without, unlike a folder into which all was installed with `--target`.
    if real == _OURS and _Finder.find_spec("cryptography") is None:
        _kept_out.discard(real)


def is_library(folder: str) -> bool:
    """Tell whether modules that dcsend needs are installed in *folder*, a real path."""
    if folder == _OURS:
        return folder not in _kept_out
    return folder == _STANDARD or os.path.basename(folder) in _INSTALLED


def is_named(folder: str) -> bool:
    """Tell whether PYTHONPATH names *folder*, a real path, wherever Python is started."""
    named = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    return folder in {_real(entry) for entry in named.split(os.pathsep) if os.path.isabs(entry)}


def holds_modules(folder: str) -> bool:
    """Tell whether *folder*, a real path, is one where libraries are installed, or lies in one."""
    if is_library(folder):
        return True
    while folder not in (_STANDARD, _PACKAGE) and os.path.basename(folder) not in _INSTALLED:
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True


def folders() -> "list[str]":
    """Return where Python looks for modules, or will at its next start, as real paths."""
    found = [_folder(entry) for entry in sys.path]
    found.append(_PACKAGE)
    user = getattr(sys.modules.get("site"), "USER_SITE", None)
    if user:
        found.append(_real(os.path.abspath(user)))
    if sys.prefix != sys.base_prefix:
        found.append(_real(sys.prefix))  # a virtual environment, with its pyvenv.cfg and programs
    return found


class _Finder(PathFinder):
    """Python's finder of modules in `sys.path`, less the folders that must not be searched."""

    @classmethod
    def find_spec(
        cls,
        fullname: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """Find a module; *path* is given for those inside packages."""
        return super().find_spec(fullname, _searched() if path is None else path, target)


def _searched() -> "list[str]":
    """Return `sys.path` less what must not be searched for the import that is going on."""
    suspects = _kept_out | _script | {_current()}
    found: list[str] = []
    asking: _Asking | None = None
    for entry in sys.path:
        folder = _folder(entry)
        if folder in suspects and not is_library(folder):
            asking = asking or _Asking(sys._getframe())
            if asking.is_refused(folder):
                continue
        found.append(entry)
    return found


class _Asking:
    """Who imports.

    Args:
        frame: of the import machinery, or deeper.
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
        """Tell whether nothing may be imported from *folder*, which is kept out or suspect."""
        if self._is_program or self._home == folder:
            return False
        return self._for_us or folder in _kept_out


def _part(variables: "dict[str, Any]") -> str:
    """Return the top-level package, or the module, whose global *variables* these are."""
    if variables is globals():
        return __name__
    return str(variables.get("__package__") or variables.get("__name__")).partition(".")[0]


def _home(variables: "dict[str, Any]") -> str:
    """Return the folder of `sys.path` that a module was loaded from, by its global *variables*."""
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
    """Return the real path of an absolute one; looked up once: it takes a call for each level."""
    found = _real_paths.get(path)
    if found is None:
        found = _real_paths[path] = os.path.normcase(os.path.realpath(path))
    return found


def _current() -> str:
    try:
        return os.path.normcase(os.getcwd())
    except OSError:  # it has been removed
        return ""


_STANDARD = _real(os.path.dirname(os.path.abspath(os.__file__)))
_PACKAGE = _real(os.path.dirname(os.path.abspath(__file__)))
_OURS = os.path.dirname(_PACKAGE)
_INSTALLED = ("site-packages", "dist-packages", "lib-dynload")
_main = getattr(sys.modules.get("__main__"), "__file__", None)
_script: "set[str]" = set()
"The folder that the script lies in, and that of a link to it: Python searches the former."
if isinstance(_main, str):
    _script.add(_real(os.path.dirname(os.path.realpath(_main))))
    _script.add(_real(os.path.dirname(os.path.abspath(_main))))

sys.meta_path[:] = [_Finder if finder is PathFinder else finder for finder in sys.meta_path]
