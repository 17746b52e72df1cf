"""A folder for each sender of a receiver that stays: `--into '{date}/{peer}'`.

The values that a sender chooses stay within one component of the path. `safe_path` and
`ForbiddenPlaces` refuse unsafe ones.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError, UsageError
from dcsend.files.forbidden import ForbiddenPlaces
from dcsend.files.names import UnsafeName, folded, numbered, safe_path

__all__ = ["PLACEHOLDERS", "SenderFolders", "check_template"]

PLACEHOLDERS: Final = ("date", "time", "peer", "address")
"What `{…}` may contain: the day, the time, the name of the device or its address, the address."
_UNNAMED: Final = "sender"
"In place of a name that can't be that of a folder."
_LONGEST: Final = 64
"Characters of a value; a device has a name of so many at most."
_MOST: Final = 9999
"Largest number of a folder."
_REPLACED: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*]')


def check_template(template: str) -> None:
    """Refuse a template that is no relative path with known placeholders.

    Raises:
        UsageError: it is not.
    """
    try:
        for _, name, form, conversion in string.Formatter().parse(template):
            if name is not None and (name not in PLACEHOLDERS or form or conversion):
                raise ValueError
        safe_path(_expanded(template, dict.fromkeys(PLACEHOLDERS, "x")))
    except UnsafeName as error:
        raise UsageError(
            f"--into {template!r} is no folder: {error}", "write '{date}/{peer}'"
        ) from None
    except (ValueError, KeyError, IndexError):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise UsageError(
            f"--into {template!r} has an unknown placeholder", f"use {known}"
        ) from None


class SenderFolders:
    """The folders of the senders that are connected; not for two threads at the same time.

    Args:
        root: the chosen folder.
        template: that `check_template` has accepted.
        unattended: see `ForbiddenPlaces`.
        now: returns the local time.
    """

    def __init__(
        self,
        root: Path,
        template: str,
        *,
        unattended: bool,
        now: Callable[[], datetime.datetime] = datetime.datetime.now,
    ) -> None:
        self._root = Path(os.path.abspath(root))
        self._template = template
        self._forbidden = ForbiddenPlaces(self._root, unattended=unattended)
        self._now = now
        self._taken: dict[int, Path] = {}
        "By number of the sender."

    def of(self, number: int, name: str, address: str) -> Path:
        """Return the folder of a sender; the same one until `release`.

        A folder that another connected sender uses gets a number, and so does a path that has a
        link or a file in it. One of an earlier sender is used again, so that it can continue.

        Args:
            number: of the sender.
            name: of its device; empty if it has none. Untrusted.
            address: of it.

        Raises:
            DestinationError: all numbers are in use.
        """
        if number in self._taken:
            return self._taken[number]
        now = self._now()
        values = {
            "date": f"{now:%Y-%m-%d}",
            "time": f"{now:%H-%M-%S}",
            "peer": _component(name or address),
            "address": _component(address),
        }
        *parents, last = self._validated(values)
        used = {folded(str(path)) for path in self._taken.values()}
        for attempt in range(_MOST + 1):
            parts = (*parents, numbered(last, attempt) if attempt else last)
            path = self._root.joinpath(*parts)
            if folded(str(path)) not in used and self._is_usable(parts):
                self._taken[number] = path
                return path
        raise DestinationError(f"no folder for another sender is free in {self._root}")

    def release(self, number: int) -> None:
        """Let other senders use the folder of this one; idempotent."""
        self._taken.pop(number, None)

    def _validated(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the components of the path, without the name if it can't be used."""
        for changed in ({}, {"peer": _UNNAMED}):
            try:
                parts = safe_path(_expanded(self._template, {**values, **changed}))
                self._forbidden.check(parts)
            except UnsafeName:
                continue
            return parts
        raise DestinationError("the folder for the sender can't be used", "choose another --into")

    def _is_usable(self, parts: tuple[str, ...]) -> bool:
        """Return whether each component is a folder or missing; a link could lead elsewhere."""
        path = self._root
        for part in parts:
            path /= part
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                return True
            except OSError:
                return False
            if not stat.S_ISDIR(status.st_mode):
                return False
        return True


def _component(value: str) -> str:
    """Return a value as one component of a path.

    >>> _component("../../etc"), _component("fe80::1"), _component(".ssh"), _component("..")
    ('_.._etc', 'fe80__1', 'ssh', 'sender')
    """
    text = _REPLACED.sub("_", value)[:_LONGEST].strip(" .")
    try:
        safe_path(text)
    except UnsafeName:
        return _UNNAMED
    return text


def _expanded(template: str, values: Mapping[str, str]) -> str:
    return template.format_map(values)
