"""The row below a code, in which a person types: a code of the other side, or an answer.

    waiting for the other side; or enter a code:          nothing is typed
    code: 7-walrus-umb_                                   keys edit, Tab completes, Enter ends
    code: 7-walrsu-umrella_              stays if it was refused; a paste replaces it
    connecting ...                                        with that code
    three wrong codes in a row: Enter shows another one, n ends short codes _

The terminal is in cbreak mode meanwhile, and the typed text is part of the row. So whatever else is
written cannot mix with it, and the block above stays where it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from dcsend.display.codes import CodeDisplay
from dcsend.display.editing import PAUSE, Console
from dcsend.display.keyboard import Keyboard
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.display.typed import Completed
from dcsend.display.wording import cut, sentence, width
from dcsend.errors import DcsendError, MalformedCode

__all__ = ["CodePrompt"]

_HINT: Final = "; or enter a code: "
_QUESTIONS: Final = (
    "three wrong codes in a row: Enter shows another one, n ends short codes ",
    "Enter shows another short code, n none ",
    "Enter: another code, n: none ",
)
"From the longest to the shortest."
_CORRECTABLE: Final = 200
"Characters of a refused line that stays; a longer one has been pasted."
_LEAST: Final = 4
"Columns for an answer."
_ANSWERS: Final = {"": True, "y": True, "yes": True, "n": False, "no": False}


class CodePrompt:
    """Takes a code and answers while a code is shown."""

    def __init__(
        self,
        codes: CodeDisplay,
        screen: Screen,
        err: Stream,
        keyboard: Keyboard,
        *,
        takes_codes: bool,
        pause: float = PAUSE,
    ) -> None:
        """Prepare.

        Args:
            codes: above the prompt.
            screen: has both.
            err: the terminal.
            keyboard: paused while the prompt reads.
            takes_codes: whether `enter` is called while this side waits; it then reads the answers,
                too.
            pause: of `Console`.
        """
        self._codes = codes
        self._pause = pause
        self._screen = screen
        self._err = err
        self._keyboard = keyboard
        self._takes_codes = takes_codes
        self._typing: Console | None = None
        self._is_connecting = False
        "Whether a code that was entered is being tried."
        self._ended = False
        "Whether the user has ended the input."
        self._answer: asyncio.Future[bool] | None = None
        "Of the open question."

    async def enter(
        self,
        check: Callable[[str], str],
        completed: Completed,
        attempt: Callable[[str], Awaitable[None]],
    ) -> bool:
        """Try the codes that are typed while this side waits; return whether one has connected.

        Args:
            check: raises DcsendError for an invalid code; returns the canonical form of a short
                one, and an empty text for others.
            completed: for the Tab key.
            attempt: connects with a code; its DcsendError is shown, and another code can be typed.

        Returns:
            True if *attempt* was successful; False at the end of input.
        """

        def is_valid(text: str) -> bool:
            with suppress(DcsendError):
                check(text)
                return True
            return False

        with self._reading(completed) as typing:
            while (text := await typing.paste(_is_line, _nothing, is_valid)) is not None:
                if self._is_answer(text) or not text.strip():
                    continue
                self._codes.complain([])
                text = _first_line(text, is_valid)
                try:
                    try:
                        self._refuse_own(text, check(text))
                    except DcsendError:
                        self._keep(typing, text)
                        raise
                    with self._connecting():
                        await attempt(text)
                except DcsendError as exc:
                    self._report(exc)
                else:
                    return True
        self._end()
        return False

    async def confirm(self) -> bool:
        """Ask whether to show another short code, after several wrong ones."""
        if self._ended:
            return False
        answer: asyncio.Future[bool] = asyncio.Future()
        self._answer = answer
        self._codes.suspend(is_suspended=True)
        if self._typing is not None:
            self._typing.drop()
        try:
            if self._takes_codes:
                self._show()
                return await answer
            with self._reading(_no_words) as typing:
                while not answer.done():
                    text = await typing.paste(_is_line, _nothing)
                    if text is None:
                        self._end()
                    else:
                        self._is_answer(text)
                return answer.result()
        finally:
            self._answer = None
            self._codes.suspend(is_suspended=False)
            self._show()

    @contextmanager
    def _reading(self, completed: Completed) -> Iterator[Console]:
        self._keyboard.pause()
        try:
            typing = self._typing = Console(
                completed, self._show, self._codes.returned, pause=self._pause
            )
            try:
                self._show()
                yield typing
            finally:
                self._typing = None
                typing.close()
                self._show()
        finally:
            self._keyboard.resume()

    @contextmanager
    def _connecting(self) -> Iterator[None]:
        self._is_connecting = True
        self._show()
        try:
            yield
        finally:
            self._is_connecting = False
            self._show()

    def _refuse_own(self, text: str, short: str) -> None:
        """Refuse the code that is shown here, and other words with its number: a guess uses it up.

        Args:
            text: what was typed.
            short: the canonical form of a short code; empty for another one.
        """
        hint = "enter the one that the other side shows"
        if self._codes.contains(short or text):
            raise MalformedCode("this is the code that is shown here", hint)
        if short and self._codes.has_number_of(short):
            raise MalformedCode("this is the number of the code that is shown here", hint)

    def _is_answer(self, text: str) -> bool:
        """Return whether *text* answers the open question, and pass the answer on."""
        answer = _ANSWERS.get(text.strip().lower())
        if answer is None or self._answer is None or self._answer.done():
            return False
        self._answer.set_result(answer)
        self._show()
        return True

    def _keep(self, typing: Console, text: str) -> None:
        """Leave a line that was refused before anything was sent, so that it can be corrected."""
        line = text.strip()
        if len(line) <= _CORRECTABLE and line.isprintable():
            typing.keep(line)
            self._show()

    def _end(self) -> None:
        """The input has ended: the answer to each question is no."""
        self._ended = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(False)

    def _report(self, error: DcsendError) -> None:
        rows = [error.message, *([f"hint: {error.hint}"] if error.hint else [])]
        self._codes.complain([sentence(row) for row in rows])

    def _show(self) -> None:
        self._codes.prompt(self._row if self._typing is not None else None)

    def _row(self, status: str) -> str:
        """Return the row in place of *status*: what is asked, and what is typed at the cursor."""
        columns = self._err.window[0] - 1
        typed = self._typing.pending(columns) if self._typing is not None else ""
        behind = self._typing.behind(columns) if self._typing is not None else ""
        if self._answer is not None and not self._answer.done():
            label = _fitting(_QUESTIONS, columns - _LEAST)
        elif not self._takes_codes:
            return status
        elif self._is_connecting:
            return "connecting ..."
        elif typed or behind:
            label = "code: "
        else:
            waiting = status.removesuffix("; Ctrl-C ends")
            lost = waiting.partition(": ")[0]  # such as: the server can't be reached
            briefer = () if "scroll up" in status else ("waiting",)
            if "server" in lost:
                briefer = (lost, *briefer)
            return _fitting([f"{one}{_HINT}" for one in (waiting, *briefer)], columns, status)
        return label + _around(typed, behind, columns - width(label))


def _fitting(texts: tuple[str, ...] | list[str], columns: int, otherwise: str = "") -> str:
    """Return the first text that fits, else *otherwise* or the last."""
    return next((text for text in texts if width(text) <= columns), otherwise or texts[-1])


def _around(before: str, behind: str, columns: int) -> str:
    """Return what is typed around the cursor in *columns* cells; it moves the cursor there."""
    beginning = cut(behind, max(2, columns // 3))
    end = _tail(before, columns - width(beginning))
    beginning = cut(behind, columns - width(end))
    back = width(beginning)
    return f"{end}{beginning}" + (f"\x1b[{back}D" if back else "")


def _tail(text: str, columns: int) -> str:
    """Return the end of *text* that takes at most *columns* cells."""
    taken = 0
    for place in range(len(text) - 1, -1, -1):
        taken += width(text[place])
        if taken > columns:
            end = text[place + 1 :]
            while end and not width(end[0]):  # it belongs to the character that has no room
                end = end[1:]
            return end
    return text


def _first_line(text: str, is_valid: Callable[[str], bool]) -> str:
    """Return the first line if it is a code and *text* is none: a code may be pasted twice.

    A code that was broken into lines stays whole.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and not is_valid(text) and is_valid(lines[0]):
        return lines[0]
    return text


def _is_line(text: str) -> bool:
    return text.endswith("\n")


def _nothing() -> None:
    """A line that is not valid is reported."""


def _no_words(text: str) -> tuple[str, ...]:
    return ()
