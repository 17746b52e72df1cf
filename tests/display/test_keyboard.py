"""What is typed at a real terminal: lines, answers, the end of input, a job in the background."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from dcsend.display.keyboard import Keyboard
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


@pytest.fixture
def pty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    """Give a terminal that is standard input, and whose foreground job we are."""
    terminal = Pty()
    with open(terminal.file.fileno(), encoding="utf-8", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp())
        yield terminal
    terminal.close()


@pytest.fixture
async def keyboard(pty: Pty) -> Keyboard:
    """Give a keyboard that reads the terminal; closed by the test, or with the loop."""
    keyboard = Keyboard()
    keyboard.start()
    return keyboard


async def within(seconds: float, keyboard: Keyboard) -> str:
    """Return the next line that answers no question."""
    async with asyncio.timeout(seconds):
        return await keyboard.lines.get()


async def asked(keyboard: Keyboard) -> asyncio.Task[str | None]:
    """Ask a question; return its answer."""
    answer = asyncio.create_task(keyboard.ask())
    await asyncio.sleep(0)  # the turn in which it asks
    return answer


async def test_typed_lines_come_without_their_ends(pty: Pty, keyboard: Keyboard) -> None:
    pty.type("hellö\n\nwörld\n")
    assert [await within(150, keyboard) for _ in range(2)] == ["hellö", "wörld"]
    keyboard.close()


async def test_line_that_is_not_finished_waits(pty: Pty, keyboard: Keyboard) -> None:
    pty.type("hel\x04")  # Ctrl-D hands over what is there
    pty.type("lo\n")
    assert await within(150, keyboard) == "hello"
    keyboard.close()


async def test_forgotten_key_presses_are_no_part_of_the_next_line(
    pty: Pty, keyboard: Keyboard
) -> None:
    pty.type("first\ny\x04")  # Ctrl-D hands over what is there
    assert await within(150, keyboard) == "first"
    for _ in range(10):  # turns of the loop, in which the rest is read
        await asyncio.sleep(0)
    keyboard.forget()
    pty.type("no\n")
    assert await within(150, keyboard) == "no"
    keyboard.close()


async def test_answer_goes_to_the_question_and_the_next_line_does_not(
    pty: Pty, keyboard: Keyboard
) -> None:
    async with asyncio.timeout(150):
        answer = await asked(keyboard)
        pty.type("yes\nhello\n")
        assert await answer == "yes"
        assert await keyboard.lines.get() == "hello"
    keyboard.close()


async def test_enter_is_an_empty_answer(pty: Pty, keyboard: Keyboard) -> None:
    async with asyncio.timeout(150):
        answer = await asked(keyboard)
        pty.type("\n")
        assert await answer == ""
    keyboard.close()


async def test_enter_pressed_too_early_answers_nothing(pty: Pty, keyboard: Keyboard) -> None:
    pty.type("\nmarker\n")
    assert await within(150, keyboard) == "marker"
    answer = await asked(keyboard)
    assert not answer.done()
    pty.type("n\n")
    assert await answer == "n"
    keyboard.close()


async def test_end_of_input_is_no_answer_now_and_later(pty: Pty, keyboard: Keyboard) -> None:
    async with asyncio.timeout(150):
        answer = await asked(keyboard)
        pty.type("\x04")
        assert await answer is None
        assert await keyboard.ask() is None


async def test_closed_terminal_is_no_answer(pty: Pty, keyboard: Keyboard) -> None:
    async with asyncio.timeout(150):
        answer = await asked(keyboard)
        os.close(pty.eyes)
        assert await answer is None


class Job:
    """The process group of the test, in the foreground of the terminal or not."""

    def __init__(self) -> None:
        self.is_foreground = True
        self.looked = asyncio.Event()

    def tcgetpgrp(self, fd: int) -> int:
        """As `os.tcgetpgrp`."""
        self.looked.set()
        return os.getpgrp() if self.is_foreground else -1

    async def read_in_background(self, pty: Pty, text: str) -> None:
        """Move to the background, and return when the keyboard has refused to read *text* there."""
        self.is_foreground = False
        self.looked.clear()
        pty.type(text)
        async with asyncio.timeout(150):
            await self.looked.wait()
        self.is_foreground = True


@pytest.fixture
async def job(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> Job:
    job = Job()
    monkeypatch.setattr(os, "tcgetpgrp", job.tcgetpgrp)
    return job


async def test_job_in_the_background_leaves_the_terminal_alone_until_it_is_back(
    pty: Pty, job: Job, keyboard: Keyboard
) -> None:
    await job.read_in_background(pty, "for the shell\n")
    assert keyboard.lines.empty()
    os.kill(os.getpid(), signal.SIGCONT)
    assert await within(150, keyboard) == "for the shell"
    keyboard.close()


@pytest.mark.full
async def test_job_that_ran_on_in_the_background_reads_again_without_a_signal(
    pty: Pty, job: Job, keyboard: Keyboard
) -> None:
    await job.read_in_background(pty, "y\n")
    assert await within(150, keyboard) == "y"
    keyboard.close()


async def test_closed_keyboard_reads_no_more(pty: Pty, keyboard: Keyboard) -> None:
    keyboard.close()
    keyboard.close()
    pty.type("hello\n")
    await asyncio.sleep(0)
    assert keyboard.lines.empty()


async def test_console_that_a_loop_cannot_wait_for_is_read_by_a_thread(
    pty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", missing)
    keyboard = Keyboard()
    keyboard.start()
    pty.type("hellö\n\x04")
    assert await within(150, keyboard) == "hellö"
    async with asyncio.timeout(150):
        assert await keyboard.ask() is None
