"""The only judge of a name that a peer, or a disk, gave for a file.

Everything that turns a path of a manifest into a place on this disk goes through
`safe_path`; what it returns can be joined to a folder and stays inside. The rules are
the same on every system, so that a name is not fine here and a surprise there; Windows
alone refuses a few more. Touches no disk. Must not import the rest of `files`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import Final

from dcsend.errors import DestinationError

__all__ = [
    "JOURNAL_SUFFIX",
    "MAX_COMPONENT",
    "MAX_LEVELS",
    "MAX_PATH",
    "PART_SUFFIX",
    "UnsafeName",
    "beside",
    "is_hidden",
    "numbered",
    "safe_path",
    "safe_target",
]

MAX_PATH: Final = 4096
"Bytes of a whole path in UTF-8: PATH_MAX of Linux."
MAX_COMPONENT: Final = 255
"Bytes of one name in UTF-8: NAME_MAX of nearly every file system."
MAX_LEVELS: Final = 128
"""Names in a path. Each but the last is a folder to be made: with 2048 levels, for which 4096 bytes
have room, a manifest of 160 KB makes 80 000 folders."""
PART_SUFFIX: Final = ".dcsend-part"
"What a file is called, beside its target, until its digest matches."
JOURNAL_SUFFIX: Final = ".dcsend-journal"
"The record of what a part holds already."

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_DRIVE: Final = re.compile("^[A-Za-z]:")
_WINDOWS_ONLY: Final = re.compile('[<>:"|?*]')
# Windows opens a device for these whatever the extension, in any folder.
_DEVICE: Final = re.compile(
    r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *([.:]|$)", re.IGNORECASE
)

_NAME: Final = r"(?!CON|PRN|AUX|NUL|COM|LPT)[\w-]+(?:\.\w+)*"
_ORDINARY: Final = re.compile(f"{_NAME}(?:/{_NAME})*", re.ASCII | re.IGNORECASE)
"""Paths of at most 255 characters that every rule lets through. To look here first takes 0.6 us in
place of 2 for most of the names that there are. No two of its parts can match the same text."""


class UnsafeName(DestinationError):
    """A name that could leave the folder, reach a device, or that no system can store."""


def safe_path(path: str) -> tuple[str, ...]:
    """Return the components of *path*, a relative path joined by `/`.

    Args:
        path: as the peer said it.

    Raises:
        UnsafeName: it is not plainly a place inside the chosen folder; the message is
            the reason and does not hold the name.

    >>> safe_path("photos/2024/süß.jpg")
    ('photos', '2024', 'süß.jpg')
    """
    if len(path) <= MAX_COMPONENT and _ORDINARY.fullmatch(path):
        return tuple(path.split("/"))
    return _by_the_rules(path)


def _by_the_rules(path: str) -> tuple[str, ...]:
    """Return the components of any path; see `safe_path`."""
    if not path:
        raise UnsafeName("the name is empty")
    _check_text(path)
    if path.startswith("/"):
        raise UnsafeName("the path is absolute")
    if _DRIVE.match(path):
        raise UnsafeName("the path names a drive")
    components = tuple(path.split("/"))
    for component in components:
        _check_component(component)
    return components


def safe_target(link: tuple[str, ...], target: str) -> None:
    """Refuse a symbolic link that could lead out of the chosen folder.

    `..` is fine at the start only: after a name it would be resolved from wherever
    that name, perhaps a link too, leads, and `a/link/../..` leaves the folder although
    it looks as if it stayed.

    Args:
        link: the components of the link's own path, as `safe_path` returned them.
        target: what the link shall hold, as the peer said it.

    Raises:
        UnsafeName: it is absolute, leads outside, or is not plainly a path.
    """
    if not target:
        raise UnsafeName("the link points nowhere")
    _check_text(target)
    if target.startswith("/"):
        raise UnsafeName("the link points to an absolute path")
    if _DRIVE.match(target):
        raise UnsafeName("the link points to a drive")
    ups = 0
    below = False
    for component in target.split("/"):
        if component in ("", "."):
            continue
        if component == "..":
            if below:
                raise UnsafeName("the link goes up again after a name")
            ups += 1
            continue
        below = True
        _check_component(component)
    if ups >= len(link):
        raise UnsafeName("the link points outside the folder")


def beside(name: str, suffix: str) -> str:
    """Return the name of the part or the journal of the file called *name*.

    A name too long to carry *suffix* is cut, at a character, and told apart by a hash.

    >>> beside("film.mkv", PART_SUFFIX)
    'film.mkv.dcsend-part'
    """
    # Both kinds are cut alike, so that a part and its journal keep one stem.
    room = MAX_COMPONENT - len(JOURNAL_SUFFIX)
    encoded = name.encode()
    if len(encoded) > room:
        tag = "~" + hashlib.sha256(encoded).hexdigest()[:16]
        name = encoded[: room - len(tag)].decode(errors="ignore") + tag
    return name + suffix


def is_hidden(name: str) -> bool:
    """Tell whether a shell and a file manager leave out a file of this *name*.

    >>> is_hidden(".profile"), is_hidden("profile"), is_hidden("..")
    (True, False, False)
    """
    return name.startswith(".") and name not in (".", "..")


def numbered(name: str, number: int) -> str:
    """Return *name* with a number before its extension, within the length of a name.

    >>> numbered("film.mkv", 1)
    'film (1).mkv'
    """
    stem, extension = os.path.splitext(name)
    tail = f" ({number})" + (extension if len(extension.encode()) <= 64 else "")
    room = MAX_COMPONENT - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore") + tail


def _check_text(path: str) -> None:
    """Refuse what no path holds, wherever it stands in it."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise UnsafeName("the name is not valid Unicode") from None
    if size > MAX_PATH:
        raise UnsafeName(f"the path is longer than {MAX_PATH} bytes")
    if _CONTROL.search(path):
        raise UnsafeName("the name holds a control character")
    if "\\" in path:
        raise UnsafeName("the name holds a backslash")
    if path.count("/") >= MAX_LEVELS:
        raise UnsafeName(f"the path is more than {MAX_LEVELS} levels deep")


def _check_component(component: str) -> None:
    if not component:
        raise UnsafeName("the path holds an empty name")
    if component in (".", ".."):
        raise UnsafeName(f"the path holds {component!r}")
    if len(component.encode()) > MAX_COMPONENT:
        raise UnsafeName(f"a name in the path is longer than {MAX_COMPONENT} bytes")
    if _DEVICE.match(component):
        raise UnsafeName("the name is a device on Windows")
    # A file system that ignores case would take any spelling of them for ours; Windows
    # drops dots and spaces at the end.
    if component.lower().rstrip(". ").endswith((PART_SUFFIX, JOURNAL_SUFFIX)):
        raise UnsafeName("the name is reserved for unfinished files")
    if sys.platform == "win32":
        if _WINDOWS_ONLY.search(component):
            raise UnsafeName("the name holds a character that Windows forbids")
        if component[-1] in ". ":
            raise UnsafeName("the name ends in a dot or a space")
