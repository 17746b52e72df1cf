"""What is pasted at the prompt below a code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest

from dcsend.display import prompt
from dcsend.display.editing import PAUSE
from dcsend.display.prompt import CodePrompt
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.display.wording import width
from dcsend.signaling.shortcode import completed, read
from tests.support.screens import Pty, rendered

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

MEGABYTE = 1_000_000
Row = Callable[[str], str]


class Surroundings:
    """What a prompt needs: codes, screen and keyboard, of which only the row is looked at."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.row = ""
        self.status = "waiting; Ctrl-C ends"
        self.errors: list[str] = []

    def prompt(self, row: Row | None) -> None:
        """Show the row."""
        self.row = row(self.status) if row else ""
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

    def returned(self) -> None:
        """Do nothing."""


class Prompted:
    """A prompt on a terminal, which takes a code."""

    def __init__(self, pty: Pty, pause: float = PAUSE) -> None:
        self._pty = pty
        self.seen = Surroundings()
        around = cast(Any, self.seen)
        self._prompt = CodePrompt(
            around, around, Stream(pty.file), around, takes_codes=True, pause=pause
        )
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


@pytest.fixture
def pasted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Prompted]:
    """Give a prompt for which a paste ends only after a pause that no test waits for."""
    pty = Pty()
    monkeypatch.setattr(sys, "stdin", pty.file)
    yield Prompted(pty, pause=1e6)
    pty.close()


@pytest.mark.parametrize("word", ["lorem ", "größer ", "文件 ", "e\u0301"])
async def test_paste_of_a_megabyte_costs_a_row_for_each_time_it_is_read(
    pasted: Prompted, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    measured = 0

    def counted(text: str) -> int:
        nonlocal measured
        measured += len(text)
        assert measured < MEGABYTE / 10, "the time for a paste grows with the square of its length"
        return width(text)

    monkeypatch.setattr(prompt, "width", counted)
    reading = pasted.reading()
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await pasted.paste(word * (MEGABYTE // len(word.encode())))
    assert measured
    assert pasted.seen.row.startswith("code: ")
    assert 70 <= width(pasted.seen.row) <= 79
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


LEFT, HOME = "\x1b[D", "\x1b[H"
LONG = "dcsend receive 7-walrus-umbrella@rendezvous.example"


def drawn(row: str, columns: int) -> str:
    """Return what a terminal shows of a row, with a mark at the cursor."""
    screen = rendered(row, columns, 1)
    cells = [screen.buffer[0][x].data for x in range(columns)]
    return f"{''.join(cells[: screen.cursor.x])}|{''.join(cells[screen.cursor.x :]).rstrip()}"


@pytest.mark.parametrize(
    ("columns", "keys", "row"),
    [
        (80, f"7-walus{LEFT * 2}", "code: 7-wal|us"),
        (80, f"7-walrus{HOME}", "code: |7-walrus"),
        (80, f"7-文e\u0301s{LEFT * 2}", "code: 7-文|\u00e9s"),
        (40, LONG, "code: alrus-umbrella@rendezvous.example|"),
        (40, f"{LONG}{LEFT * 5}", "code: alrus-umbrella@rendezvous.ex|ample"),
        (40, f"{LONG}{LEFT * 20}", "code: ceive 7-walrus-umbrell|a@rendezvou"),
        (40, f"{LONG}{HOME}", "code: |dcsend receive 7-walrus-umbrella@"),
        (40, f"{'文' * 20}{LEFT * 10}", f"code: {'文' * 10}|{'文' * 6}"),
        (40, "e\u0301" * 40, "code: " + "\u00e9" * 33 + "|"),
    ],
)
async def test_row_shows_what_is_around_the_cursor(
    monkeypatch: pytest.MonkeyPatch, columns: int, keys: str, row: str
) -> None:
    pty = Pty(columns)
    monkeypatch.setattr(sys, "stdin", pty.file)
    prompted = Prompted(pty)
    reading = prompted.reading()
    await asyncio.sleep(0)
    await prompted.paste(keys)
    async with asyncio.timeout(30):
        while drawn(prompted.seen.row, columns) != row:
            prompted.seen.changed.clear()
            await prompted.seen.changed.wait()
    reading.cancel()
    await asyncio.wait({reading})
    pty.close()


@pytest.mark.parametrize(
    ("columns", "status", "row"),
    [
        (80, "waiting for the other side; Ctrl-C ends", "waiting for the other side; or enter"),
        (40, "waiting for the other side; Ctrl-C ends", "waiting; or enter"),
        (60, "the server can't be reached: the code does not work now", "the server can't be re"),
        (60, "waiting; scroll up for the command and the link", "waiting; scroll up for the com"),
        (40, "the server can't be reached", "waiting; or enter"),
    ],
)
async def test_status_above_the_prompt_is_as_detailed_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch, columns: int, status: str, row: str
) -> None:
    pty = Pty(columns)
    monkeypatch.setattr(sys, "stdin", pty.file)
    prompted = Prompted(pty)
    prompted.seen.status = status
    reading = prompted.reading()
    await prompted.seen.changed.wait()
    assert prompted.seen.row.startswith(row)
    reading.cancel()
    await asyncio.wait({reading})
    pty.close()


def test_cursor_stays_in_the_line_when_the_rows_above_it_change() -> None:
    pty = Pty(40, 10)
    screen = Screen(Stream(pty.file))
    line = "code: dcsend receive 7-walrus-umbrelaa"  # as long as there is room for it
    cursor = len(line) - 2
    row = f"{line}\x1b[2D"
    draws: list[Callable[[], None]] = [
        lambda: screen.block(["first", "second"], row),
        lambda: screen.line("note"),
        lambda: screen.block(["first", "changed"], row),
        lambda: screen.block(["third"], row),
        lambda: screen.restatus(f"{line[:20]} longer"),
        lambda: screen.block(["fourth"], row),
        lambda: screen.status(row),
        screen.redraw,
    ]
    for draw in draws:
        draw()
        shown = pty.look()
        if not shown[-1].endswith("longer"):
            assert (shown[-1], pty.screen.cursor.x) == (line, cursor)
    pty.close()
