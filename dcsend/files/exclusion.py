"""Patterns of what is left out of a tree.

Touches no disk. Must not import the rest of `files`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

__all__ = ["Exclusion"]


class Exclusion:
    """Shell patterns, compiled once.

    Args:
        patterns: each is compared with a name, with the path from the top, and with the
            path below the top; `NAME/` means folders only. Case matters on every system.

    >>> exclusion = Exclusion(["*.o", "build/", "src/*.tmp"])
    >>> exclusion.matches("main.o", "project/main.o", False)
    True
    >>> exclusion.matches("build", "project/build", False)
    False
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        kept = [pattern.removeprefix("./") for pattern in patterns if pattern.strip("/")]
        self._any = _compile([pattern for pattern in kept if not pattern.endswith("/")])
        self._folders = _compile([pattern.rstrip("/") for pattern in kept])

    def matches(self, name: str, path: str, is_folder: bool) -> bool:
        """Tell whether a thing is left out.

        Args:
            name: its own name.
            path: from the name of what was asked to be sent, joined by `/`.
            is_folder: whether it is a folder, which is left out with all that is in it.
        """
        pattern = self._folders if is_folder else self._any
        if pattern is None:
            return False
        return any(pattern.match(text) for text in (name, path, path.partition("/")[2]) if text)


def _compile(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
