"""The words of short codes: the list, its completion, the correction of typing errors.

`words.txt` has 1296 words of 4 to 10 letters (a to z), one in each line, sorted: the EFF's short
word list 2.0 with the changes that the file NOTICE names. The first three letters of a word are
those of no other word, and any two words differ by at least three inserted, missing or changed
letters. So three letters complete a word, and one wrong letter can be corrected.
web-receiver/build/words.ts packs the same file into the page.

Must not import anything of dcsend.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["LEAST_LETTERS", "candidates", "completions", "nearest", "new_words", "word_list"]

LEAST_LETTERS: Final = 3
"Letters that complete a word."

_LONGEST: Final = 20
"Letters of a text that is compared with the words; a longer one resembles none of them."
_ANY: Final = "."
"In the place of a letter that may be any."


@cache
def word_list() -> tuple[str, ...]:
    """Return the 1296 words, sorted.

    >>> len(word_list()), word_list()[0], word_list()[-1]
    (1296, 'aardvark', 'zucchini')
    """
    path = Path(__file__).with_name("words.txt")
    return tuple(path.read_text(encoding="ascii").split())


def new_words(count: int, random: Callable[[int], int] = secrets.randbelow) -> tuple[str, ...]:
    """Return *count* words, each chosen independently and uniformly: 10.3 bits for each.

    Args:
        count: 1 or more.
        random: returns a random integer from 0 to its argument minus 1.

    >>> new_words(2, lambda below: below - 1)
    ('zucchini', 'zucchini')
    """
    words = word_list()
    return tuple(words[random(len(words))] for _ in range(count))


def completions(prefix: str) -> list[str]:
    """Return the words that begin with *prefix*, lower case, sorted.

    >>> completions("umb"), completions("wal"), completions("qu")
    (['umbrella'], ['walrus'], ['quarters', 'quesadilla', 'quilt', 'quote'])
    """
    return [word for word in word_list() if word.startswith(prefix)]


def candidates(typed: str) -> list[str]:
    """Return the words for which *typed* may stand, sorted: one if it is certain.

    It stands for the word that begins with it, if it has three letters or more: for this one only,
    if it has four. It stands for the word from which it differs by one inserted, missing or changed
    character, too, and for those from which it differs by two adjacent letters that are swapped.

    Args:
        typed: lower case.

    >>> candidates("walrus"), candidates("wal"), candidates("walruss"), candidates("wlarus")
    (['walrus'], ['walrus'], ['walrus'], ['walrus'])
    >>> candidates("asp"), candidates("satch"), candidates("xyz")
    (['asparagus', 'wasp'], ['satchel'], [])
    """
    words, prefixes, near = _index()
    if len(typed) > _LONGEST:
        return []
    begun = prefixes.get(typed[:LEAST_LETTERS], "")
    found = {begun} if len(typed) >= LEAST_LETTERS and begun.startswith(typed) else set()
    if found and len(typed) > LEAST_LETTERS:
        return [begun]
    found |= {near[form] for form in (typed, *_masked(typed)) if form in near}
    found |= {form for form in (*_shortened(typed), *_swapped(typed)) if form in words}
    return sorted(found)


def nearest(typed: str, most: int = 3) -> list[str]:
    """Return up to *most* words that resemble *typed*, best first; empty if none does.

    Compares by the number of inserted, missing, changed and swapped letters, at most 2, or 3 if
    *typed* has six letters or more. The beginning of a word counts as one more.

    >>> nearest("wallross"), nearest("umberela"), nearest("xyzzyxyzzy")
    (['walrus', 'tallness'], ['umbrella'], [])
    """
    if len(typed) > _LONGEST:
        return []
    limit = 3 if len(typed) >= 6 else 2
    # Each letter that a word lacks is an edit. This is most of the comparison, and fast.
    letters = frozenset(typed)
    close = (word for word in word_list() if len(letters.difference(word)) <= limit)
    ranked = ((_distance(typed, word, limit), word[0] != typed[:1], word) for word in close)
    return [word for distance, _, word in sorted(ranked)[:most] if distance <= limit]


@cache
def _index() -> tuple[frozenset[str], dict[str, str], dict[str, str]]:
    """Return the words; first three letters -> word; word with a letter masked or left out -> word.

    No form belongs to two words, since any two differ by three letters.
    """
    words = word_list()
    near = {form: word for word in words for form in (*_masked(word), *_shortened(word))}
    return frozenset(words), {word[:LEAST_LETTERS]: word for word in words}, near


def _masked(text: str) -> Iterator[str]:
    return (text[:at] + _ANY + text[at + 1 :] for at in range(len(text)))


def _shortened(text: str) -> Iterator[str]:
    return (text[:at] + text[at + 1 :] for at in range(len(text)))


def _swapped(text: str) -> Iterator[str]:
    return (text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(len(text) - 1))


def _distance(typed: str, word: str, limit: int) -> int:
    """Return the number of edits from *typed* to *word*, or 1 more than to a beginning of it.

    What is more than *limit* may be any number above it.

    Optimal string alignment: an edit inserts, removes or changes a letter, or swaps two adjacent
    ones.
    """
    before: list[int] = []
    row = list(range(len(word) + 1))
    for at, letter in enumerate(typed, 1):
        previous, before, row = before, row, [at]
        for place, other in enumerate(word, 1):
            cost = min(before[place] + 1, row[-1] + 1, before[place - 1] + (letter != other))
            is_swap = at > 1 and place > 1 and typed[at - 2] == other and word[place - 2] == letter
            row.append(min(cost, previous[place - 2] + 1) if is_swap else cost)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], 1 + min(row[LEAST_LETTERS:]))
