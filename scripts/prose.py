"""Find words that documents, docstrings, comments, messages and names of tests do not use.

    python scripts/prose.py

ARCHITECTURE.md has the words that are used in their place. Prints file, line and word, and exits
with 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["find"]

ROOT: Final = Path(__file__).resolve().parent.parent
_PLACES: Final = (
    *("*.md", "*.py", "*.toml", "Makefile", "docs/**/*.md", "dcsend/**/*.py"),
    *("web-receiver/*.html", "web-receiver/src/**/*.ts", "web-receiver/build/*.ts"),
    *("bench/**/*.py", "scripts/*.py", "scripts/*.sh", "examples/*.py"),
)
_TESTS: Final = ("tests/**/*.py",)
"Their names are sentences, so the words of names are checked, too."
_HERE: Final = Path(__file__).name
BANNED: Final = re.compile(
    r"\b(?:"
    r"nobody|somebody|whoever|who (?:gets|comes|has|is)\b(?! who)"
    r"|(?:is|are|was|were) told|tells|hears"
    r"|(?:sender|receiver|listener|dialer|side|peer|program|machine|page|browser)"
    r" (?:says|knows|wants)"
    r"|of ours|goodbye|good-bye|strangers?|one's own|the other one's"
    r")\b",
    re.IGNORECASE,
)
"Persons for machines, and words that name nothing."


def find(text: str, *, names: bool = False) -> Iterator[tuple[int, str]]:
    r"""Yield the number of each line with such a word, and the word.

    Args:
        text: of a file.
        names: whether names such as `test_peer_is_told` are read as words.

    >>> list(find("The peer says nothing,\nand nobody asks."))
    [(1, 'peer says'), (2, 'nobody')]
    >>> list(find("def test_peer_is_told() -> None:", names=True))
    [(1, 'is told')]
    """
    for number, line in enumerate(text.splitlines(), 1):
        for match in BANNED.finditer(line.replace("_", " ") if names else line):
            yield number, match[0]


def main() -> int:
    """Check every file; return the exit status."""
    found = 0
    for place in (*_PLACES, *_TESTS):
        for path in sorted(ROOT.glob(place)):
            if path.name == _HERE:
                continue
            for number, word in find(path.read_text(encoding="utf-8"), names=place in _TESTS):
                print(f"{path.relative_to(ROOT)}:{number}: {word!r} is not used in dcsend's texts")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
