"""The text that is typed at a prompt, and the keys that edit it.

    7-walrus-um|brella      before the cursor | behind it

Where the row is drawn again after each key (`moves`), the cursor can be anywhere in the line. Where
keys are only echoed, it stays at the end: an echo can't move it over the end of a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from dcsend.display.wording import width

__all__ = ["LARGEST", "Completed", "Typed", "none"]

LARGEST: Final = 65_536
"Characters of one paste; more is not a code but a wrong file. One more is kept, then no more."

_END_OF_INPUT: Final = "\x04"
_KILL_LINE: Final = "\x15"
_KILL_WORD: Final = "\x17"
_ERASE: Final = "\x08\x7f"
_TAB: Final = "\t"
_HOME, _LEFT, _END, _RIGHT, _KILL_REST = "\x01\x02\x05\x06\x0b"
_DELETE: Final = "\x1b"
"What no key leaves, since escape sequences are removed."
_MOVING: Final = _HOME + _LEFT + _END + _RIGHT + _KILL_REST + _DELETE
_KEYS: Final = re.compile(f"([{_END_OF_INPUT}{_KILL_LINE}{_KILL_WORD}{_ERASE}{_TAB}{_MOVING}])")
_ESCAPES: Final = re.compile(r"\x1b(?:O[ -~]|\[\[[ -~]|\[[0-?]*[ -/]*[@-~]?|)")
"""What a cursor or function key sends (SS3, `[[A` of the Linux console, CSI), also the marks around
a paste; and an Escape key without any of that."""
_SENT: Final = {
    _LEFT: "[D OD",
    _RIGHT: "[C OC",
    _HOME: "[H OH [1~ [7~",
    _END: "[F OF [4~ [8~",
    _DELETE: "[3~",
}
_CURSOR: Final = {f"\x1b{one}": key for key, sent in _SENT.items() for one in sent.split()}
_UNFINISHED: Final = re.compile(r"\x1b(?:O|\[\[|\[[0-?]{0,30}[ -/]{0,2})?\Z")
"The beginning of such a sequence at the end of what was read."
_COMPLETABLE: Final = 200
"Characters of a line whose last word Tab completes; a longer line has been pasted."
_PASTED: Final = 6
"Characters that arrive together if they are pasted, and are more than a person types at once."
_PER_CELL: Final = 4
"Characters of which the last ones are looked at for a cell: most of them may have no width."
_LETTERS: Final = re.compile("[A-Za-z]*")
_LAST_WORD: Final = re.compile(r"\w*\W*\Z")

Completed = Callable[[str], Sequence[str]]
"Returns a text with its last word completed, in each possible way; for the Tab key."


def none(text: str) -> Sequence[str]:
    """Complete nothing."""
    return ()


class Typed:
    """The text typed so far, edited as in cooked mode."""

    def __init__(self, completed: Completed = none, *, moves: bool = False) -> None:
        """Begin without text.

        Args:
            completed: for the Tab key.
            moves: whether the cursor can be moved; otherwise the keys for that are ignored.
        """
        self._completed = completed
        self._moves = moves
        self._before = ""
        self._behind = ""
        "The rest of the line, behind the cursor."
        self.kept = ""
        "The text, if it is a line that was refused, until it is edited."
        self.ended = False
        "Whether Ctrl-D was typed."
        self._unfinished = ""
        "The beginning of an escape sequence."

    @property
    def text(self) -> str:
        """The whole text."""
        return self._before + self._behind

    def before(self, columns: int) -> str:
        """Return the end of what is before the cursor; it may need more cells than *columns*."""
        return "".join(filter(str.isprintable, self._before[-_PER_CELL * columns :]))

    def behind(self, columns: int) -> str:
        """Return the beginning of what is behind the cursor; it may need more cells."""
        return "".join(filter(str.isprintable, self._behind[: _PER_CELL * columns]))

    def keep(self, line: str) -> None:
        """Begin with a line that was refused, to be corrected; what is pasted replaces it."""
        self._before, self._behind, self.kept = line, "", line

    def drop(self) -> None:
        """Remove the line that `keep` has begun with, unless it was edited."""
        if self.text == self.kept:
            self._before = self._behind = ""

    def type(self, arrived: str) -> str:
        """Add *arrived* and return its echo; everything after Ctrl-D is ignored.

        The text between two keys is added at once: a paste may have a million characters. Escape
        sequences are no text: those of a cursor key become the control character with its effect.
        """
        arrived, self._unfinished = self._unfinished + arrived, ""
        if found := _UNFINISHED.search(arrived):
            arrived, self._unfinished = arrived[: found.start()], found[0]
        arrived = _ESCAPES.sub(lambda sequence: _CURSOR.get(sequence[0], ""), arrived)
        if self.kept and self.kept == self.text and _KEYS.split(arrived)[0][_PASTED - 1 :].strip():
            self._before = self._behind = ""
        return "".join(self._press(part) for part in _KEYS.split(arrived) if part)

    def _press(self, part: str) -> str:
        """Handle one key, or add a text without any."""
        if self.ended:
            return ""
        if part == _END_OF_INPUT:
            self.ended = True
            return ""
        if part in _MOVING:
            if self._moves:
                self._move(part)
            return ""
        if part in _ERASE:
            return self._erase(_last(self._before))
        if part == _KILL_LINE:
            return self._erase(self._line)
        if part == _KILL_WORD:
            word = _LAST_WORD.search(self._line[-_COMPLETABLE:])
            return self._erase(word[0] if word is not None else "")
        if part == _TAB and (continued := self._continued()) is not None:
            return self._add(continued)
        return self._add(part.replace("\r", "\n"))

    @property
    def _line(self) -> str:
        """What is before the cursor in its line."""
        return self._before.rpartition("\n")[2]

    def _move(self, key: str) -> None:
        """Move the cursor, or remove what is behind it."""
        if key == _DELETE:
            self._behind = self._behind[len(_first(self._behind)) :]
        elif key == _KILL_REST:
            self._behind = ""
        else:
            ahead = {_RIGHT: _first(self._behind), _END: self._behind}.get(key, "")
            self._before, self._behind = self._before + ahead, self._behind[len(ahead) :]
            back = {_LEFT: _last(self._line), _HOME: self._line}.get(key, "")
            self._before = self._before[: len(self._before) - len(back)]
            self._behind = back + self._behind

    def _add(self, text: str) -> str:
        """Add what there is room for, and a line end in any case; return its echo.

        A line ends behind its last character, wherever the cursor is.
        """
        if self._behind and "\n" in text:
            first, _, rest = text.partition("\n")
            text, self._behind = f"{first}{self._behind}\n{rest}", ""
        room = max(0, LARGEST + 1 - len(self.text))
        if len(text) > room:
            is_ended = "\n" in text[room:] and not (self._before + text[:room]).endswith("\n")
            text = text[:room] + ("\n" if is_ended else "")
        self._before += text
        return "".join(char for char in text if char == "\n" or char.isprintable())

    def _continued(self) -> str | None:
        """Move to the end of the word and return what completes it; None without a word.

        Returns:
            An empty text if there is not exactly one way.
        """
        letters = _LETTERS.match(self._behind)
        rest = letters[0] if letters is not None else ""
        if not (self._before + rest)[-1:].isalpha():
            return None
        self._before, self._behind = self._before + rest, self._behind[len(rest) :]
        line = self._before[-_COMPLETABLE - 1 :].rpartition("\n")[2]
        ways = self._completed(line) if len(line) <= _COMPLETABLE else ()
        added = ways[0][len(line) :] if len(ways) == 1 else ""
        return added.rstrip("-") if self._behind else added  # what separates the words is there

    def _erase(self, tail: str) -> str:
        """Remove *tail* before the cursor; a line end is removed from the text only."""
        self._before = self._before[: len(self._before) - len(tail)]
        return "\b \b" * sum(width(char) for char in tail if char.isprintable())

    @property
    def stopped(self) -> bool:
        """Whether the user ended the input: with Ctrl-D, or Enter on an empty line."""
        line = self.text.removesuffix("\n").rpartition("\n")[2]
        return self.ended or (self.text.endswith("\n") and not line.strip())

    def lines(self) -> list[str]:
        """Remove the complete lines and return them without their ends."""
        *lines, self._before = self._before.split("\n")
        return lines


def _last(text: str) -> str:
    r"""Return the last character with the combining ones that belong to it.

    >>> _last("ae\u0301") == "e\u0301", _last("")
    (True, '')
    """
    place = len(text) - 1
    while place > 0 and not width(text[place]):
        place -= 1
    return text[max(0, place) :]


def _first(text: str) -> str:
    r"""Return the first character with the combining ones that belong to it.

    >>> _first("e\u0301a") == "e\u0301", _first("")
    (True, '')
    """
    place = 1
    while place < len(text) and not width(text[place]):
        place += 1
    return text[:place]
