"""The offer that is shown last on a terminal, and the question about it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from dcsend.display import wording
from dcsend.display.choosing import choose, show_list
from dcsend.display.keyboard import Keyboard
from dcsend.display.offer import Question, answer_of, can_choose, of_chosen, question
from dcsend.display.qr import Request
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.entry import Chosen, Existing, Kind
from dcsend.errors import UsageError
from dcsend.listing import is_one_file
from dcsend.printable import printable
from dcsend.session.events import ManifestKnown

__all__ = ["Deciding", "TerminalOptions"]


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """The options of a transfer that concern the display."""

    qr: Request = "auto"
    "`auto`, `half`, `full` or `none`."
    verbose: bool = False
    "Show keep-alive messages, and every file."
    sends: bool = False
    "Whether this side sends."
    keeps: bool = False
    "Whether this side receives from several senders."
    dials: bool = False
    "Whether this side has entered a code."
    long: bool = False
    "Whether the dial code is shown beside a short code."
    suggests_server: bool = True
    "Whether a short code that works in this network only has a hint how it works in others."
    hosted: bool = False
    "Whether the page is hosted on a server; otherwise it is served to the local network only."
    names_file: bool = False
    "Whether `output` is the path of a file if a single file is offered."
    dry_run: bool = False
    "Whether nothing is transferred."
    limit: float | None = None
    "Limit of the rate at first, bytes per second; None for none."
    output: str = "."
    "Where this side saves; `-` for standard output, to which nothing else is then written."


class Deciding:
    """Shows offers, and asks whether to accept.

    Args:
        screen: where the question is shown.
        err: the stream of the screen.
        keyboard: for answers; None if standard input is not a terminal.
        options: of the display.
        write: writes a permanent sentence.
    """

    def __init__(
        self,
        screen: Screen,
        err: Stream,
        keyboard: Keyboard | None,
        options: TerminalOptions,
        write: Callable[[str], None],
    ) -> None:
        self._screen = screen
        self._err = err
        self._keyboard = keyboard
        self._options = options
        self._write = write
        self._departed = False
        "Whether a peer has left before it was accepted."
        self._folder = ""
        "Where the offer is saved, if its sender has a folder."
        self.files = 0
        "Number of offered entries with content."
        self.saves_as = False
        "Whether `output` is the path of the only offered file."
        self.texts: frozenset[int] = frozenset()
        "Hashes of the paths of text entries, of which there may be a million."

    @property
    def saves(self) -> bool:
        """Whether this side saves files, and does not write one to standard output."""
        return self._options.output != "-"

    def depart(self) -> None:
        """Note that a peer has left before it was accepted."""
        self._departed = True

    def note(self, event: ManifestKnown) -> None:
        """Note what is offered, for the questions and lines that follow."""
        self.files = event.files
        self._folder = event.folder
        self.saves_as = self._options.names_file and is_one_file(event.entries)
        self.texts = frozenset(hash(e.path) for e in event.entries if e.kind is Kind.TEXT)

    def write(self, event: ManifestKnown, verb: str) -> None:
        """Write what is offered."""
        self._write(f"{verb} {wording.describe_manifest(event)}")
        if not self._options.sends and (hidden := wording.hidden_names(event.entries)):
            self._write(hidden)
        if not self._options.sends and (lost := wording.describe_left_out(event.left_out)):
            self._write(lost)

    async def decide(self, manifest: ManifestKnown) -> bool | Existing | Chosen:
        """Ask whether to accept; `l` lists all entries first; the end of input means `n`."""
        if self._keyboard is None:
            raise UsageError(
                "can't ask whether to accept: standard input is not a terminal",
                "add -y to accept every offer",
            )
        unwanted = frozenset[int]()
        asked = self._asked(manifest)
        while True:
            answer = await self._ask(asked.prompt)
            typed = "n" if answer is None else answer.strip().lower()
            if typed in asked.answers:
                return answer_of(asked.answers[typed], unwanted)
            if typed in ("l", "list"):
                await show_list(manifest, self._ask, self._screen.lines, self._err)
            elif typed in ("c", "choose") and can_choose(manifest):
                entries = manifest.entries
                chosen = await choose(entries, self._ask, self._screen.lines, self._err)
                if chosen is not None:
                    unwanted = chosen
                    asked = self._asked(of_chosen(manifest, unwanted))
            else:
                self._write(asked.reminder)

    async def decide_about(self, manifest: ManifestKnown, sender: str) -> bool | Existing | Chosen:
        """As `decide`, about the offer of one of several senders, which is shown first.

        Args:
            manifest: the offer.
            sender: describes it.
        """
        self.note(manifest)
        try:
            self.write(manifest, f"{sender} offers")
            return await self.decide(manifest)
        except asyncio.CancelledError:  # the sender has left
            self._screen.cancel_question()
            if self._keyboard is not None:
                self._keyboard.forget()
            raise

    def _asked(self, manifest: ManifestKnown) -> Question:
        """Return the question about an offer, and show what precedes it."""
        explicit = ""
        if manifest.sender:
            explicit = "Enter alone does not count where several devices send"
        elif self._departed:
            explicit = "Enter alone does not count after a device has left"
        asked = question(
            manifest, self._question(), self.place, is_file=self.saves_as, explicit=explicit
        )
        if asked.facts:
            self._write(asked.facts)
        return asked

    async def _ask(self, text: str) -> str | None:
        """Return the answer to a question; None at the end of input."""
        self._screen.ask(text)
        answer = await self._keyboard.ask() if self._keyboard is not None else None
        if answer is None:
            self._screen.clear()
        else:
            self._screen.answered()
        return answer

    def _question(self) -> str:
        if not self.saves:
            return "accept and write it to standard output?"
        if self.files and self.files == len(self.texts):
            return "accept and show it?"
        return f"accept and save {self.where}?"

    @property
    def where(self) -> str:
        """Where this side saves, as the end of a sentence."""
        return f"{'as' if self.saves_as else 'in'} {self.place}"

    @property
    def place(self) -> str:
        """The path of the destination, escaped."""
        return printable(os.path.abspath(os.path.expanduser(self._folder or self._options.output)))
