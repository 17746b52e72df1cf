"""The words of short codes: the list, completion, correction of every wrong letter."""

from __future__ import annotations

import hashlib
import re
import string
from importlib import metadata
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest

from dcsend.signaling.words import candidates, completions, nearest, new_words, word_list

ROOT: Final = Path(__file__).resolve().parents[2]
WORDS: Final = word_list()
LETTERS: Final = string.ascii_lowercase
AMBIGUOUS: Final = 49
"""Texts, of 482 000, that are one letter apart from a word and may also stand for another one.
Without those of four letters or more with which another word begins."""


def edited(word: str) -> set[str]:
    """Return all texts that differ from *word* by one inserted, missing or changed letter."""
    places = range(len(word) + 1)
    halves = [(word[:at], word[at:]) for at in places]
    inserted = {begin + letter + end for begin, end in halves for letter in LETTERS}
    missing = {begin + end[1:] for begin, end in halves if end}
    changed = {begin + letter + end[1:] for begin, end in halves if end for letter in LETTERS}
    return (inserted | missing | changed) - {word}


def swapped(word: str) -> set[str]:
    """Return all texts that differ from *word* by two adjacent letters that are swapped."""
    places = range(len(word) - 1)
    return {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in places} - {word}


def without_two(word: str) -> set[str]:
    """Return *word* without up to two of its letters."""
    once = {word[:at] + word[at + 1 :] for at in range(len(word))}
    return {word} | once | {part[:at] + part[at + 1 :] for part in once for at in range(len(part))}


def distance(one: str, other: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row = row, [at]
        for place, second in enumerate(other, 1):
            changed = before[place - 1] + (letter != second)
            row.append(min(before[place] + 1, row[-1] + 1, changed))
    return row[-1]


def test_list_has_1296_sorted_words_of_4_to_10_letters() -> None:
    assert len(WORDS) == 6**4
    assert list(WORDS) == sorted(set(WORDS))
    assert all(re.fullmatch("[a-z]{4,10}", word) for word in WORDS)


def test_first_three_letters_of_a_word_are_those_of_no_other() -> None:
    assert len({word[:3] for word in WORDS}) == len(WORDS)


@pytest.mark.full
def test_any_two_words_differ_by_three_letters() -> None:
    # Words with a distance of less than three have a part in common.
    sharing: dict[str, list[str]] = {}
    for word in WORDS:
        for part in without_two(word):
            sharing.setdefault(part, []).append(word)
    pairs = {pair for words in sharing.values() for pair in combinations(words, 2)}
    assert pairs
    assert [pair for pair in pairs if distance(*pair) < 3] == []


def test_list_is_that_of_the_eff_but_for_the_words_in_the_notice() -> None:
    package = metadata.files("xkcdpass") or []
    path = next(file for file in package if file.name == "eff-special").locate()
    original = set(Path(str(path)).read_text(encoding="ascii").split())
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    sections = [set(re.findall(r"\b[a-z]+(?:-[a-z]+)?\b", part)) for part in listed(notice)]
    removed, added = sections
    assert original - set(WORDS) == removed
    assert set(WORDS) - original == added


def listed(notice: str) -> list[str]:
    """Return the removed and the added words of NOTICE: its two indented blocks."""
    blocks = re.findall(r"(?:^    .*\n)+", notice, re.MULTILINE)
    return [re.sub(r"\([^)]*\)", "", block) for block in blocks]


def test_digest_of_the_list_is_that_of_protocol_md() -> None:
    content = (ROOT / "dcsend" / "signaling" / "words.txt").read_bytes().replace(b"\r\n", b"\n")
    assert hashlib.sha256(content).hexdigest() in (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")


def test_three_letters_complete_a_word() -> None:
    completed = [word for word in WORDS if candidates(word[:3]) == [word]]
    # The others are one letter apart from a word of four letters.
    rest = [candidates(word[:3]) for word in WORDS if word not in completed]
    assert len(rest) < 70
    assert all(len(found) > 1 for found in rest)


def test_every_beginning_may_stand_for_its_word() -> None:
    for word in WORDS:
        for end in range(3, len(word)):
            assert word in candidates(word[:end])


@pytest.mark.full
def test_every_wrong_letter_of_every_word_is_corrected_or_ambiguous() -> None:
    ambiguous = 0
    for word in WORDS:
        for typed in edited(word):
            found = candidates(typed)
            if found != [word] and not is_long_beginning(typed, found[0]):
                assert word in found
                assert all(stands_for(typed, other) for other in found)
                ambiguous += 1
    assert ambiguous == AMBIGUOUS


def is_long_beginning(typed: str, word: str) -> bool:
    """Return whether *typed* has four letters or more of *word*, which it begins."""
    return len(typed) > 3 and word.startswith(typed)


def test_four_letters_of_a_word_stand_for_no_other() -> None:
    begun = [(word, word[:end]) for word in WORDS for end in range(4, len(word))]
    assert len(begun) == 4313
    assert [typed for word, typed in begun if candidates(typed) != [word]] == []


def stands_for(typed: str, word: str) -> bool:
    """Return whether *typed* is a beginning of *word*, or has one error."""
    return word.startswith(typed) or typed in edited(word) or typed in swapped(word)


def test_swapped_letters_are_corrected_if_only_one_word_fits() -> None:
    others = {}
    for word in WORDS:
        for typed in swapped(word):
            found = candidates(typed)
            assert word in found or is_long_beginning(typed, found[0])
            if found != [word]:
                others[typed] = found
    assert len(others) < 20
    assert others["leves"] == ["elves", "levers"]


def test_a_word_stands_for_itself_only() -> None:
    assert all(candidates(word) == [word] for word in WORDS)


@pytest.mark.parametrize("typed", ["", "w", "wa", "xyz", "wallross", "walrusumbrella", "x" * 9999])
def test_other_texts_stand_for_no_word(typed: str) -> None:
    assert candidates(typed) == []


@pytest.mark.parametrize(
    ("typed", "word"),
    [("walr5s", "walrus"), ("wálrus", "walrus"), ("walrus🎉", "walrus"), ("umb", "umbrella")],
)
def test_any_character_may_be_the_wrong_one(typed: str, word: str) -> None:
    assert candidates(typed) == [word]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("umberela", ["umbrella"]),
        ("wallross", ["walrus", "tallness"]),
        ("alumimum", ["aluminum"]),
        ("krokodile", []),
        ("", []),
        ("x" * 9999, []),
    ],
)
def test_nearest_words_are_named_best_first(typed: str, words: list[str]) -> None:
    assert nearest(typed) == words


def test_nearest_words_are_three_at_most() -> None:
    assert len(nearest("bank")) == 3
    assert len(nearest("bank", 5)) == 5


def test_completions_are_the_words_that_begin_so() -> None:
    assert completions("qu") == ["quarters", "quesadilla", "quilt", "quote"]
    assert completions("walrus") == ["walrus"]
    assert completions("walruss") == []
    assert completions("") == list(WORDS)


def test_new_words_are_those_that_the_random_numbers_choose() -> None:
    numbers = iter([0, 1295, 700, 0])
    asked: list[int] = []

    def random(below: int) -> int:
        asked.append(below)
        return next(numbers)

    assert new_words(4, random) == (WORDS[0], WORDS[1295], WORDS[700], WORDS[0])
    assert asked == [1296] * 4


def test_new_words_come_from_the_whole_list() -> None:
    chosen = new_words(20_000)
    # The probability that any of the words is missing is 0.03 %.
    assert len(set(chosen)) > 0.99 * len(WORDS)
    assert set(chosen) <= set(WORDS)
