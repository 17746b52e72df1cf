"""Validation of paths and link targets that come from a peer or from a disk.

`safe_path` is the only function that turns a path of a manifest into a path on this disk. The
components that it returns can be joined to a folder and stay inside it. On Windows, names of
devices and some more characters are refused. Does no I/O. Imports nothing else of `files`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from typing import Final

from dcsend.errors import DestinationError

__all__ = [
    "JOURNAL_SUFFIX",
    "MAX_COMPONENT",
    "MAX_LEVELS",
    "MAX_PATH",
    "MAX_UNITS",
    "PART_SUFFIX",
    "RefusedLink",
    "UnsafeName",
    "beside",
    "folded",
    "is_hidden",
    "numbered",
    "safe_path",
    "safe_target",
]

MAX_PATH: Final = 4096
"Bytes of a whole path in UTF-8: PATH_MAX of Linux."
MAX_COMPONENT: Final = 255
"Bytes of one name in UTF-8: NAME_MAX of Linux and of most Unix file systems."
MAX_UNITS: Final = 255
"""UTF-16 code units of one name: the limit of NTFS, exFAT, VFAT and APFS. They take up to 765 bytes
in UTF-8; a name of 255 bytes never has more."""
MAX_LEVELS: Final = 128
"""Components of a path. All but the last are folders to create: with the 2048 that fit into 4096
bytes, a manifest of 160 KB would create 80 000 folders."""
PART_SUFFIX: Final = ".dcsend-part"
"Suffix of the name of a file until its digest matches."
JOURNAL_SUFFIX: Final = ".dcsend-journal"
"Suffix of the name of the journal of a part."

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_DRIVE: Final = re.compile("^[A-Za-z]:")
_WINDOWS_ONLY: Final = re.compile('[<>:"|?*]')
# Windows opens devices by these names, with any extension and in any folder.
_DEVICE: Final = re.compile(
    r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *([.:]|$)", re.IGNORECASE
)


class UnsafeName(DestinationError):
    """A name that could lead out of the folder or to a device, or that can't be stored."""


class RefusedLink(UnsafeName):
    """A symbolic link with a safe name and an unsafe target."""


def safe_path(path: str) -> tuple[str, ...]:
    """Return the components of *path*, a relative path joined by `/`.

    Args:
        path: as the peer has sent it.

    Raises:
        UnsafeName: it could lead out of the chosen folder, or is not portable; the message is the
            reason and does not contain the name.

    >>> safe_path("photos/2024/süß.jpg")
    ('photos', '2024', 'süß.jpg')
    """
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

    `..` is allowed at the start only. After another component, which may be a link, the system
    resolves it relative to the target of that link: `a/link/../..` can leave the folder.

    Args:
        link: components of the path of the link, from `safe_path`.
        target: of the link, as the peer has sent it.

    Raises:
        RefusedLink: it is absolute, leads outside, or is not a valid path.
    """
    try:
        _check_target(link, target)
    except RefusedLink:
        raise
    except UnsafeName as error:
        raise RefusedLink(f"the target of the link: {error}") from None


def _check_target(link: tuple[str, ...], target: str) -> None:
    if not target:
        raise RefusedLink("the link has no target")
    _check_text(target)
    if target.startswith("/"):
        raise RefusedLink("the link points to an absolute path")
    if _DRIVE.match(target):
        raise RefusedLink("the link points to a drive")
    ups = 0
    below = False
    for component in target.split("/"):
        if component in ("", "."):
            continue
        if component == "..":
            if below:
                raise RefusedLink("the target of the link has '..' after a folder name")
            ups += 1
            continue
        below = True
        _check_component(component)
    if ups >= len(link):
        raise RefusedLink("the link points outside the folder")


def beside(name: str, suffix: str, longest: int = MAX_COMPONENT) -> str:
    """Return the name of the part or the journal of the file called *name*.

    If *name* is too long for *suffix*, it is cut between two characters and gets a hash.

    Args:
        name: of the file.
        suffix: of the part or the journal.
        longest: maximum bytes of a name in this folder; at least 64.

    >>> beside("film.mkv", PART_SUFFIX)
    'film.mkv.dcsend-part'
    """
    # Cut for the longer suffix, so that a part and its journal have the same stem.
    room = longest - len(JOURNAL_SUFFIX)
    encoded = name.encode()
    if len(encoded) > room:
        tag = "~" + hashlib.sha256(encoded).hexdigest()[:16]
        name = encoded[: room - len(tag)].decode(errors="ignore") + tag
    return name + suffix


def folded(name: str) -> str:
    """Return the same text for all names that some file system treats as one.

    Many ignore case and Unicode composition; FAT removes dots and spaces at the end.

    >>> folded("README."), folded("u\u0308")
    ('readme', 'ü')
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    return name.casefold().rstrip(". ")


def is_hidden(name: str) -> bool:
    """Return whether shells and file managers hide a file called *name*.

    >>> is_hidden(".profile"), is_hidden("profile"), is_hidden("..")
    (True, False, False)
    """
    return name.startswith(".") and name not in (".", "..")


def numbered(name: str, number: int, longest: int = MAX_COMPONENT) -> str:
    """Return *name* with a number before its extension, in at most *longest* bytes.

    >>> numbered("film.mkv", 1)
    'film (1).mkv'
    """
    stem, extension = os.path.splitext(name)
    tail = f" ({number})" + (extension if len(extension.encode()) <= longest // 4 else "")
    room = longest - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore") + tail


def _check_text(path: str) -> None:
    """Refuse text that no path and no target may contain."""
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
    if len(component.encode("utf-16-le")) > 2 * MAX_UNITS:
        raise UnsafeName(f"a name in the path is longer than {MAX_UNITS} characters")
    # In any case, and with dots or spaces at the end, which Windows removes.
    if component.lower().rstrip(". ").endswith((PART_SUFFIX, JOURNAL_SUFFIX)):
        raise UnsafeName("the name is reserved for unfinished files")
    if sys.platform == "win32":
        if _DEVICE.match(component):
            raise UnsafeName("the name is a device on Windows")
        if _WINDOWS_ONLY.search(component):
            raise UnsafeName("the name holds a character that Windows forbids")
        if component[-1] in ". ":
            raise UnsafeName("the name ends in a dot or a space")
