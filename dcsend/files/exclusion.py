"""The patterns of `--exclude`.

Uses no disk. Imports nothing else of `files`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Exclusion"]


class Exclusion:
    """Shell patterns, compiled once.

    Args:
        patterns: each is matched against the name, against the path from the top, and against
            the path below the top. A pattern with a leading `/` is matched against the path below
            the top only, level by level, as in a .gitignore file. `NAME/` matches folders only.
            Patterns are case-sensitive on every system.

    >>> exclusion = Exclusion(["*.o", "build/", "src/*.tmp", "/target"])
    >>> exclusion.matches("main.o", "project/main.o", False)
    True
    >>> exclusion.matches("build", "project/build", False)
    False
    >>> exclusion.matches("target", "project/target", True)
    True
    >>> exclusion.matches("target", "project/docs/target", True)
    False
    >>> exclusion.unmatched
    ('build/', 'src/*.tmp')
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        rules = [_rule(pattern) for pattern in patterns]
        globs = [rule.glob for rule in rules if not rule.anchored and rule.glob]
        every = "|".join(map(fnmatch.translate, globs))
        self._anywhere = re.compile(every) if globs else None
        self._anchored = [rule for rule in rules if rule.anchored]
        self._rules = rules
        self._unmatched = rules

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The patterns that have matched nothing so far."""
        return tuple(rule.pattern for rule in self._unmatched)

    def matches(self, name: str, path: str, is_folder: bool) -> bool:
        """Return whether a file, folder or link is left out.

        Args:
            name: the last component of its path.
            path: from the name of the top that is sent, joined by `/`.
            is_folder: whether it is a folder, which is left out with its content.
        """
        texts = (name, path, path.partition("/")[2])
        if not self._can_match(texts):
            return False
        found = [rule for rule in self._rules if rule.matches(texts, is_folder)]
        if found:
            self._unmatched = [rule for rule in self._unmatched if rule not in found]
        return bool(found)

    def _can_match(self, texts: tuple[str, str, str]) -> bool:
        """Match all patterns at once, because most paths match none."""
        if self._anywhere is not None and any(map(self._anywhere.match, texts)):
            return True
        return any(rule.matches(texts, True) for rule in self._anchored)


class _Rule(NamedTuple):
    """One pattern."""

    pattern: str
    "The pattern as the user has entered it."
    glob: str
    "Without slashes at both ends; empty if it can match nothing."
    anchored: bool
    folders: bool
    compiled: re.Pattern[str]

    def matches(self, texts: tuple[str, str, str], is_folder: bool) -> bool:
        """Match name, path from the top, and path below the top."""
        if not self.glob or (self.folders and not is_folder):
            return False
        if not self.anchored:
            return any(self.compiled.match(text) for text in texts if text)
        below = texts[2]
        # With the same number of slashes as in the pattern, no `*` matches a slash.
        levels = "**" in self.glob or below.count("/") == self.glob.count("/")
        return bool(below) and levels and self.compiled.match(below) is not None


def _rule(pattern: str) -> _Rule:
    glob = pattern.removeprefix("./").strip("/")
    anchored = pattern.startswith("/")
    compiled = re.compile(fnmatch.translate(glob))
    return _Rule(pattern, glob, anchored, pattern.endswith("/"), compiled)
