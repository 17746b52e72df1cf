"""Choosing what to receive at the terminal: a numbered list in pages, and numbers or names typed.

1-4,7          the files with these numbers
20-            from this number on
photos         everything in this folder, or the file of this name
all,!photos    everything but that
q              leave the choice as it was; so does Enter below the last page
"""

from __future__ import annotations

import asyncio
import re
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from dcsend.display.wording import counted, list_entries, short, width, wrapped
from dcsend.entry import Entry, Kind
from dcsend.listing import Entries
from dcsend.printable import format_size, printable
from dcsend.session.events import ManifestKnown

__all__ = ["Ask", "choose", "chosen_size", "numbered", "selected", "show_list", "unwanted_of"]

Ask = Callable[[str], Awaitable[str | None]]
"Shows a question, and returns what is typed; None at the end of input."


class ListWindow(Protocol):
    """A terminal."""

    @property
    def window(self) -> tuple[int, int]:
        """Columns and rows."""
        ...


_RANGE: Final = re.compile(r"(\d{1,7})(?:\s*-\s*(\d{0,7}))?", re.ASCII)
_HELP: Final = "type numbers such as 1-4,7, names of folders or files, all, or all,!NAME"
_LEAVES: Final = ("", "q")
_LONGEST: Final = 60
"Columns of a wrong term in a message."


def numbered(entries: Sequence[Entry]) -> array[int]:
    """Return the numbers of the entries that can be chosen: all but folders."""
    kind = entries.kind if isinstance(entries, Entries) else lambda n: entries[n].kind
    return array("I", (n for n in range(len(entries)) if kind(n) is not Kind.DIRECTORY))


def selected(text: str, entries: Sequence[Entry], listed: Sequence[int]) -> bytearray:
    """Return for each listed file whether it is chosen.

    Args:
        text: what was typed.
        entries: the manifest.
        listed: what `numbered` has returned.

    Raises:
        ValueError: with the message for the user.
    """
    terms = [term.strip() for term in text.split(",") if term.strip()]
    if not terms:
        raise ValueError(_HELP)
    chosen = bytearray([terms[0].startswith("!")]) * len(listed)
    names: list[tuple[str, bool]] = []
    for term in terms:
        include = not term.startswith("!")
        word = term if include else term[1:].strip()
        if word.lower() in ("all", "none"):
            chosen = bytearray([(word.lower() == "all") is include]) * len(listed)
            continue
        match = _RANGE.fullmatch(word)
        if match is None:
            names = [(word.rstrip("/"), include)]
            if not _mark(names[0], entries, listed, chosen):
                shown = short(word, _LONGEST)
                raise ValueError(f"{shown} is neither a number nor a name in the list; {_HELP}")
            continue
        first = int(match[1])
        last = first if match[2] is None else int(match[2] or len(listed))
        if not 1 <= first <= last <= len(listed):
            raise ValueError(f"{word} is not in the list of {len(listed)}; {_HELP}")
        chosen[first - 1 : last] = bytearray([include]) * (last - first + 1)
    return chosen


def _mark(
    term: tuple[str, bool], entries: Sequence[Entry], listed: Sequence[int], chosen: bytearray
) -> bool:
    """Choose or leave out a file, or all in a folder; return whether there is one."""
    name, include = term
    found = False
    inside = f"{name}/"
    paths = entries.path if isinstance(entries, Entries) else lambda n: entries[n].path
    for place, number in enumerate(listed):
        path = paths(number)
        if path == name or path.startswith(inside) or printable(path) == name:
            chosen[place] = include
            found = True
    return found


def unwanted_of(
    entries: Sequence[Entry], listed: Sequence[int], chosen: bytearray
) -> frozenset[int]:
    """Return the numbers of the entries that are not received.

    A folder is left out with all that is in it; an empty folder is received.
    """
    kept: set[str] = set()
    left: set[str] = set()
    unwanted: list[int] = []
    for place, number in enumerate(listed):
        parents = entries[number].path.rpartition("/")[0]
        (kept if chosen[place] else left).add(parents)
        if not chosen[place]:
            unwanted.append(number)
    kept, left = _with_parents(kept), _with_parents(left)
    for number, entry in enumerate(entries):
        if entry.kind is Kind.DIRECTORY and entry.path in left and entry.path not in kept:
            unwanted.append(number)
    return frozenset(unwanted)


def _with_parents(folders: set[str]) -> set[str]:
    """Return these folders and those that contain them."""
    every: set[str] = set()
    for folder in folders:
        while folder and folder not in every:
            every.add(folder)
            folder = folder.rpartition("/")[0]
    return every


def chosen_size(entries: Sequence[Entry], listed: Sequence[int], chosen: bytearray) -> int | None:
    """Return the bytes of the chosen files; None if unknown."""
    total = 0
    sizes = entries.size if isinstance(entries, Entries) else lambda n: entries[n].size
    for place, number in enumerate(listed):
        if chosen[place]:
            size = sizes(number)
            if size is None:
                return None
            total += size
    return total


async def choose(
    entries: Sequence[Entry],
    ask: Ask,
    show: Callable[[list[str]], None],
    window: ListWindow,
) -> frozenset[int] | None:
    """Let a person choose; return the numbers of what is not wanted.

    The result is None if nothing is chosen: at the end of input, and after `q`.

    Args:
        entries: the manifest.
        ask: asks for the answer.
        show: writes lines.
        window: of the terminal.
    """

    def say(text: str) -> None:
        show(wrapped(text, window.window[0]))

    listed = await asyncio.to_thread(numbered, entries)
    at = 0
    while True:
        columns, rows = window.window
        end = min(at + max(1, rows - 4), len(listed))
        show([_row(place, entries[listed[place]], columns) for place in range(at, end)])
        at = end
        more = at < len(listed)
        keys = "Enter: more, q: back" if more else "q: back"
        while True:
            typed = await ask(
                f"{at} of {len(listed)}; {keys}; numbers (1-4,7), names, all, !NAME: "
            )
            if typed is None:
                return None
            if not typed.strip() and more:
                break
            try:
                chosen = await asyncio.to_thread(selected, typed, entries, listed)
            except ValueError as error:
                if typed.strip().lower() in _LEAVES:  # no file has this name
                    say("the choice has not changed")
                    return None
                say(str(error))
                continue
            if any(chosen):
                size = await asyncio.to_thread(chosen_size, entries, listed, chosen)
                amount = "" if size is None else f" ({format_size(size)})"
                say(f"{sum(chosen)} of {counted(len(listed), 'file')}{amount} chosen")
                return await asyncio.to_thread(unwanted_of, entries, listed, chosen)
            say("nothing is chosen")


async def show_list(
    manifest: ManifestKnown, ask: Ask, show: Callable[[list[str]], None], window: ListWindow
) -> None:
    """List all entries, one window at a time; the arguments are those of `choose`."""
    columns, rows = window.window
    page: list[str] = []
    room = rows - 1
    for shown, line in enumerate(list_entries(manifest)):
        room -= -(-width(line) // columns)
        if page and room < 0:
            show(page)
            total = len(manifest.entries)
            answer = await ask(f"{shown} of {total}; Enter lists more, q ends the list ")
            if answer is None or answer.strip():
                return  # at the end of input, the question gets it as well
            page, room = [], rows - 1 - -(-width(line) // columns)
        page.append(line)
    show(page)


def _row(place: int, entry: Entry, columns: int) -> str:
    """Return the row of a file, no longer than the window."""
    head = f"{place + 1:>4} {format_size(entry.size):>8} "
    return head + short(entry.path, max(10, columns - 1 - width(head)))
