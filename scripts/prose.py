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
    *("*.md", "*.py", "*.toml", "Makefile", "docs/**/*.md", "tests/**/*.md", "dcsend/**/*.py"),
    *("web-receiver/*.html", "web-receiver/src/**/*.ts", "web-receiver/build/*.ts"),
    *("bench/**/*.py", "scripts/*.py", "scripts/*.sh", "examples/*.py"),
    *("tests/**/*.py", "web-receiver/test/**/*.ts"),
)
_HERE: Final = Path(__file__).name
BANNED: Final = re.compile(
    r"\b(?:"
    r"nobody|somebody|whoever|who (?:gets|comes|has|is)\b(?! who)"
    r"|tells?|told|telling|knows|speaks?|hears|heard"
    r"|(?<!you )(?:does not|doesn't|do not|don't|needs? to) know"
    r"|(?:sender|receiver|listener|dialer|side|peer|program|machine|page|browser)"
    r" (?:says|wants)"
    r"|of ours|goodbye|good-bye|strangers?|one's own|the other one's"
    r")\b",
    re.IGNORECASE,
)
"Persons for machines, and words that name nothing."
BANNED_IN_TITLES: Final = re.compile(r"\b(?:say|says|said|know|wants?)\b", re.IGNORECASE)
"Of tests, too: in other places these words can be about persons or be names of variables."
_TITLE: Final = re.compile(r"\s*(?:(?:async )?def (test_\w+)|(?:describe|test|\]\))\((\W.*))")
"The title of a test, which is a sentence: the name in Python, a string in TypeScript."


def find(text: str) -> Iterator[tuple[int, str]]:
    r"""Yield the number of each line with such a word, and the word.

    Names are read as words.

    >>> list(find("The peer says nothing,\nand nobody asks."))
    [(1, 'peer says'), (2, 'nobody')]
    >>> list(find("def _tell_peer() -> None:\n# if you do not know that device"))
    [(1, 'tell')]
    >>> list(find("def test_end_is_said(said: str) -> None:\n  test('it says why', () => {"))
    [(1, 'said'), (2, 'says')]
    """
    for number, line in enumerate(text.splitlines(), 1):
        for match in BANNED.finditer(line.replace("_", " ")):
            yield number, match[0]
        if title := _TITLE.match(line):
            words = (title[1] or title[2]).replace("_", " ")
            for match in BANNED_IN_TITLES.finditer(words):
                yield number, match[0]


def main() -> int:
    """Check every file; return the exit status."""
    found = 0
    for place in _PLACES:
        for path in sorted(ROOT.glob(place)):
            if path.name == _HERE:
                continue
            for number, word in find(path.read_text(encoding="utf-8")):
                print(f"{path.relative_to(ROOT)}:{number}: {word!r} is not used in dcsend's texts")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
