"""Choosing files at the terminal."""

from __future__ import annotations

import time

import pytest

from dcsend.display.choosing import choose, chosen_size, numbered, selected, unwanted_of
from dcsend.entry import Entry, Kind
from dcsend.listing import Entries

ENTRIES = Entries(
    [
        Entry("a", size=1),
        Entry("d", Kind.DIRECTORY),
        Entry("d/b", size=2),
        Entry("d/e", Kind.DIRECTORY),
        Entry("d/e/c\n", size=4),
        Entry("empty", Kind.DIRECTORY),
        Entry("link", Kind.LINK, target="a"),
        Entry("text", Kind.TEXT, size=8),
    ]
)
LISTED = numbered(ENTRIES)


def test_everything_but_folders_is_listed() -> None:
    assert list(LISTED) == [0, 2, 4, 6, 7]
    assert list(numbered(list(ENTRIES))) == [0, 2, 4, 6, 7]


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("1", [1]),
        ("1-3, 5", [1, 2, 3, 5]),
        ("4-", [4, 5]),
        ("2 - 3", [2, 3]),
        ("all", [1, 2, 3, 4, 5]),
        ("ALL,!2", [1, 3, 4, 5]),
        ("!2-4", [1, 5]),
        ("d", [2, 3]),
        ("d/,!d/e", [2]),
        ("d,none,1", [1]),
        ("d/e/c\\n", [3]),
        ("a,!all,5", [5]),
        ("none", []),
    ],
)
@pytest.mark.parametrize("entries", [ENTRIES, list(ENTRIES)], ids=["packed", "list"])
def test_numbers_ranges_and_names_choose(
    typed: str, chosen: list[int], entries: Entries | list[Entry]
) -> None:
    result = selected(typed, entries, LISTED)
    assert [place + 1 for place, one in enumerate(result) if one] == chosen


@pytest.mark.parametrize("typed", ["", ",", "0", "6", "3-2", "1-9", "b", "x/", "!", "1;2", "-"])
def test_wrong_terms_are_refused_with_help(typed: str) -> None:
    with pytest.raises(ValueError, match="type numbers such as 1-4,7"):
        selected(typed, ENTRIES, LISTED)


def test_wrong_term_is_escaped() -> None:
    with pytest.raises(ValueError, match="neither a number nor a name") as caught:
        selected("\x1b]0;x", ENTRIES, LISTED)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "unwanted"),
    [
        ("all", set()),
        ("all,!d", {1, 2, 3, 4}),
        ("d/b,a", {3, 4, 6, 7}),
        ("d/e", {0, 2, 6, 7}),
    ],
)
def test_folder_is_left_out_with_everything_in_it(typed: str, unwanted: set[int]) -> None:
    assert unwanted_of(ENTRIES, LISTED, selected(typed, ENTRIES, LISTED)) == unwanted


def test_size_of_what_is_chosen() -> None:
    assert chosen_size(ENTRIES, LISTED, selected("d,5", ENTRIES, LISTED)) == 14
    stream = [Entry("s", size=None), Entry("t", size=3)]
    assert chosen_size(stream, [0, 1], bytearray([1, 1])) is None
    assert chosen_size(stream, [0, 1], bytearray([0, 1])) == 3


class Person:
    """Types answers, and sees what is shown."""

    def __init__(self, *answers: str | None, window: tuple[int, int] = (80, 24)) -> None:
        self._answers = list(answers)
        self.shown: list[str] = []
        self.questions: list[str] = []
        self.window = window

    async def ask(self, question: str) -> str | None:
        """Return the next answer."""
        self.questions.append(question)
        return self._answers.pop(0)

    async def choose(self, entries: Entries) -> frozenset[int] | None:
        """Return what `choose` returns."""
        return await choose(entries, self.ask, self.shown.extend, self)


async def test_list_is_shown_in_pages_until_something_is_typed() -> None:
    entries = Entries([Entry(f"f{n}", size=n) for n in range(30)])
    person = Person("", "2-4")
    assert await person.choose(entries) == frozenset(range(30)) - {1, 2, 3}
    assert person.questions == [
        "20 of 30; Enter: more, q: back; numbers (1-4,7), names, all, !NAME: ",
        "30 of 30; q: back; numbers (1-4,7), names, all, !NAME: ",
    ]
    assert person.shown[0] == "   1      0 B f0"
    assert person.shown[-1] == "3 of 30 files (6 B) chosen"


async def test_person_is_asked_again_until_something_is_chosen() -> None:
    person = Person("nonsense", "none", "0", "1", window=(200, 24))
    assert await person.choose(ENTRIES) == frozenset({1, 2, 3, 4, 6, 7})
    assert person.shown[5].startswith("nonsense is neither a number nor a name")
    assert person.shown[6] == "nothing is chosen"
    assert person.shown[7].startswith("0 is not in the list of 5; type numbers")


@pytest.mark.parametrize("columns", [80, 40])
async def test_lines_are_broken_between_words(columns: int) -> None:
    person = Person("nonsense", None, window=(columns, 24))
    await person.choose(ENTRIES)
    rows = person.shown[5:]
    assert len(rows) > 1
    assert all(len(row) <= columns for row in rows)
    sentence = "nonsense is neither a number nor a name in the list; type numbers such as 1-4,7,"
    assert " ".join(row.strip() for row in rows).startswith(sentence)


@pytest.mark.parametrize("answer", ["", "q", " Q "])
async def test_choice_is_left_as_it_was(answer: str) -> None:
    person = Person(answer)
    assert await person.choose(ENTRIES) is None
    assert person.shown[5:] == ["the choice has not changed"]


async def test_choice_can_be_left_before_the_last_page() -> None:
    person = Person("q")
    assert await person.choose(Entries([Entry(f"f{n}", size=n) for n in range(30)])) is None


async def test_file_that_is_named_like_the_key_can_be_chosen() -> None:
    person = Person("q")
    assert await person.choose(Entries([Entry("p", size=1), Entry("q", size=1)])) == frozenset({0})


async def test_end_of_input_chooses_nothing() -> None:
    assert await Person(None).choose(ENTRIES) is None


async def test_rows_fit_a_narrow_window_and_names_are_escaped() -> None:
    entries = Entries([Entry("\x1b[2J" + "long" * 50, size=10**9), Entry("b", size=1)])
    person = Person("1", window=(40, 24))
    await person.choose(entries)
    assert all(len(row) < 40 for row in person.shown[:2])
    assert "\x1b" not in "".join(person.shown)


@pytest.mark.full
async def test_a_million_entries_are_listed_and_chosen_in_seconds() -> None:
    entries = Entries(Entry(f"folder/{n % 100}/{n}", size=1) for n in range(1_000_000))
    began = time.process_time()
    person = Person("", "folder/7,!5-100000")
    unwanted = await person.choose(entries)
    assert unwanted is not None
    assert len(entries) - len(unwanted) == 9000
    assert len(person.shown) == 41
    assert time.process_time() - began < 30
