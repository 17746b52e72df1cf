"""What is pasted at the prompt below a code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest

from dcsend.display import editing, prompt
from dcsend.display.prompt import CodePrompt
from dcsend.display.streams import Stream
from dcsend.display.wording import width
from dcsend.signaling.shortcode import completed, read
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

MEGABYTE = 1_000_000
Row = Callable[[str], str]


class Surroundings:
    """What a prompt needs: codes, screen and keyboard, of which only the row is looked at."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.row = ""
        self.errors: list[str] = []

    def prompt(self, row: Row | None) -> None:
        """Show the row."""
        self.row = row("waiting; Ctrl-C ends") if row else ""
        self.changed.set()

    def complain(self, sentences: Sequence[str]) -> None:
        """Show an error."""
        self.errors += sentences
        self.changed.set()

    def contains(self, text: str) -> bool:
        """Return False: no code is shown."""
        return False

    def has_number_of(self, short_code: str) -> bool:
        """Return False: no code is shown."""
        return False

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def redraw(self) -> None:
        """Do nothing."""


class Prompted:
    """A prompt on a terminal, which takes a code."""

    def __init__(self, pty: Pty) -> None:
        self._pty = pty
        self.seen = Surroundings()
        around = cast(Any, self.seen)
        self._prompt = CodePrompt(around, around, Stream(pty.file), around, takes_codes=True)
        self.tried: list[str] = []

    async def _attempt(self, text: str) -> None:
        self.tried.append(text)

    def reading(self) -> asyncio.Task[bool]:
        """Read codes until one is valid."""
        entering = self._prompt.enter(lambda text: read(text).text(), completed, self._attempt)
        return asyncio.create_task(entering)

    async def paste(self, text: str) -> None:
        """Paste, in a thread: a terminal holds only 4 kB that are not read."""
        await asyncio.to_thread(self._pty.type, text)


@pytest.fixture
def prompted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Prompted]:
    """Give a prompt."""
    pty = Pty()
    monkeypatch.setattr(sys, "stdin", pty.file)
    yield Prompted(pty)
    pty.close()


@pytest.mark.parametrize("word", ["lorem ", "größer ", "文件 ", "e\u0301"])
async def test_paste_of_a_megabyte_costs_a_row_for_each_time_it_is_read(
    prompted: Prompted, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr(editing, "PAUSE", 1e6)
    measured = 0

    def counted(text: str) -> int:
        nonlocal measured
        measured += len(text)
        assert measured < MEGABYTE / 10, "the time for a paste grows with the square of its length"
        return width(text)

    monkeypatch.setattr(prompt, "width", counted)
    reading = prompted.reading()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await prompted.paste(word * (MEGABYTE // len(word.encode())))
    assert measured
    assert prompted.seen.row.startswith("code: ")
    assert 70 <= width(prompted.seen.row) <= 79
    reading.cancel()


async def test_text_that_is_no_code_is_reported_and_the_next_one_is_taken(
    prompted: Prompted,
) -> None:
    reading = prompted.reading()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await prompted.paste("lorem ipsum " * 10_000 + "\n")
        while not prompted.seen.errors:
            prompted.seen.changed.clear()
            await prompted.seen.changed.wait()
        await prompted.paste("7-walrus-umbrella\n")
        assert await reading
    assert prompted.seen.errors[0].startswith("this is not a code: it has")
    assert prompted.tried == ["7-walrus-umbrella\n"]


@pytest.mark.parametrize(
    ("pasted", "taken"),
    [
        ("7-walrus-umbrella\n7-walrus-umbrella\n", "7-walrus-umbrella"),
        ("\n7-walrus-umbrella\r\nSee you at 7\r\n", "7-walrus-umbrella"),
        ("7-walrus-\numbrella\n", "7-walrus-\numbrella\n"),
    ],
)
async def test_first_line_that_is_a_code_is_taken_unless_all_lines_are_one(
    prompted: Prompted, pasted: str, taken: str
) -> None:
    reading = prompted.reading()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await prompted.paste(pasted)
        assert await reading
    assert (prompted.tried, prompted.seen.errors) == ([taken], [])


async def test_refused_line_stays_to_be_corrected_until_it_was_tried(prompted: Prompted) -> None:
    reading = prompted.reading()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await prompted.paste("7-walrus-umbxyz\n")
        while not prompted.seen.errors or prompted.seen.row != "code: 7-walrus-umbxyz":
            prompted.seen.changed.clear()
            await prompted.seen.changed.wait()
        await prompted.paste("\x7f\x7f\x7f\n")
        assert await reading
    assert prompted.tried == ["7-walrus-umb\n"]
