"""What a receiver that stays (`--keep`) accepts: within which limits, and one question at a time.

    plan ─► `check` ─► question, or none ─► `reserve` ─► `admit` each portion ─► `end`
              └ above a limit: refused        └ the same     └ the same, for sizes not known before

What is accepted counts from acceptance on. When a transfer has ended, only what was written counts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from dcsend.content import Content, Data, End, Hole, Repair
from dcsend.entry import Chosen, Entry, Existing
from dcsend.errors import DestinationError, UsageError
from dcsend.files.room import free_room
from dcsend.files.sender_folders import SenderFolders
from dcsend.printable import format_size
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.files.sink import Plan
    from dcsend.session.agreement import Decide
    from dcsend.session.events import ManifestKnown
    from dcsend.session.outcome import Tally

__all__ = ["NEVER_REPLACES", "Admission", "Inbox"]

NEVER_REPLACES: Final = (
    "--keep never replaces files, because several senders may use the same names"
)
_LEAST: Final = 4096
"""Bytes that each entry counts, and each folder without an entry: a block of the disk. Without
it, a million empty files would count nothing."""


class _Size(NamedTuple):
    """How much of an offer is received."""

    content: int
    "Bytes of content, as far as they are known."
    extra: int
    "Bytes that entries and folders count besides that."

    @property
    def total(self) -> int:
        """Content and extra bytes together."""
        return self.content + self.extra


class Inbox:
    """The limits of a run, the folders of its senders, and the question that is open.

    Args:
        settings: of the run: limits, folder.
        decide: returns whether to accept an offer; one call after the other.
        unattended: *decide* accepts without a look at the offer.
    """

    def __init__(self, settings: Settings, decide: Decide, *, unattended: bool = True) -> None:
        self._settings = settings
        self._decide = decide
        self._turn = asyncio.Lock()
        self._lock = threading.Lock()
        self._counted = 0
        "Bytes of all offers that were accepted."
        self._pending = 0
        "Of the counted bytes, those that are not written yet."

        self._folders: SenderFolders | None = None
        if settings.into and settings.destination is not None:
            self._folders = SenderFolders(
                settings.destination, settings.into, unattended=unattended
            )

    def admission(self, tally: Tally) -> Admission:
        """Return the admission of the sender with this tally."""
        return Admission(self, tally)

    @property
    def has_folders(self) -> bool:
        """Whether each sender has a folder."""
        return self._folders is not None

    def folder(self, tally: Tally) -> str:
        """Return the folder of a sender; empty if it is the chosen one; for any thread.

        Raises:
            DestinationError: none can be used.
        """
        if self._folders is None:
            return ""
        with self._lock:
            return str(self._folders.of(tally.number, *tally.peer))

    def release(self, tally: Tally) -> None:
        """Let other senders have the folder of one; for any thread."""
        if self._folders is not None:
            with self._lock:
                self._folders.release(tally.number)

    async def decide(self, known: ManifestKnown) -> bool | Existing | Chosen:
        """Ask when the questions about earlier offers are answered.

        Raises:
            UsageError: the answer is to replace files.
        """
        async with self._turn:
            answer = await self._decide(known)
        if (answer.existing if isinstance(answer, Chosen) else answer) is Existing.OVERWRITE:
            raise UsageError(NEVER_REPLACES)
        return answer

    def free(self) -> int | None:
        """Return the free bytes of the disk, None if unknown; for the disk thread.

        It may wait for a disk that does not answer, so no lock is held meanwhile.
        """
        root = self._settings.destination
        return None if root is None else free_room(root)

    def refuse(self, size: int, other: int, free: int | None) -> None:
        """Refuse an offer that exceeds a limit; for any thread.

        Args:
            size: bytes of it.
            other: bytes of it that count already.
            free: see `free`.

        Raises:
            DestinationError: it does.
        """
        with self._lock:
            self._refuse(size, other, free)

    def take(self, size: int, other: int, free: int | None) -> None:
        """Count *size* further bytes of an offer; for any thread.

        Raises:
            DestinationError: as `refuse`.
        """
        with self._lock:
            self._refuse(size, other, free)
            self._counted += size
            self._pending += size

    def write(self, size: int, stored: int, free: int | None) -> None:
        """Note that *size* counted bytes are about to be written; for any thread.

        Args:
            size: of the content.
            stored: without zeros that are not stored, and with what empty files count.
            free: see `free`.

        Raises:
            DestinationError: there is too little room by now.
        """
        with self._lock:
            self._check_room(stored, free)
            self._pending -= size

    def give_back(self, counted: int, pending: int) -> None:
        """Subtract bytes that are not written after all; for any thread.

        Args:
            counted: bytes that count no longer.
            pending: of the bytes to be written, those that will not be.
        """
        with self._lock:
            self._counted -= counted
            self._pending -= pending

    def _refuse(self, size: int, other: int, free: int | None) -> None:
        most, total = self._settings.max_peer, self._settings.max_total
        if most is not None and other + size > most:
            raise DestinationError(
                f"{format_size(other + size)} are offered, and at most {format_size(most)} are "
                "accepted from one sender",
                "a part of it may be accepted",
            )
        if total is not None and self._counted + size > total:
            left = max(0, total - self._counted)
            raise DestinationError(
                f"{format_size(other + size)} are offered, and only {format_size(left + other)} "
                "more are accepted",
            )
        self._check_room(size + self._pending, free)

    def _check_room(self, size: int, free: int | None) -> None:
        least = self._settings.min_free
        if free is not None and size and free - size < least:
            raise DestinationError(
                f"not enough room: {format_size(least)} of the disk stay free", "make room there"
            )


class Admission:
    """The offer of one sender.

    `check`, `reserve` and `admit` are called by the disk thread, which may still do so after `end`.

    Args:
        inbox: of the run.
        tally: of the sender.
    """

    def __init__(self, inbox: Inbox, tally: Tally) -> None:
        self._inbox = inbox
        self._tally = tally
        self._lock = threading.Lock()
        "Held for what follows; taken before that of the inbox."
        self._has_ended = False
        self._size = _Size(0, 0)
        self._counted = 0
        "Bytes that the inbox counts."
        self._written = 0
        "Bytes of content."

    async def decide(self, known: ManifestKnown) -> bool | Existing | Chosen:
        """As `Inbox.decide`, with the number and the folder of the sender."""
        number, folder = self._tally.number, self.folder
        return await self._inbox.decide(replace(known, sender=number, folder=folder))

    @property
    def moves(self) -> bool:
        """Whether the sender has a folder of its own."""
        return self._inbox.has_folders

    @property
    def folder(self) -> str:
        """As `Inbox.folder`, once the sender has sent Hello."""
        return self._inbox.folder(self._tally)

    def check(self, entries: Sequence[Entry], plan: Plan) -> None:
        """Refuse an offer that exceeds a limit, before the user is asked.

        Raises:
            DestinationError: it does.
        """
        self._inbox.refuse(_size(entries, plan).total, 0, self._inbox.free())

    def reserve(self, entries: Sequence[Entry], plan: Plan) -> None:
        """Count an offer that is accepted from now on.

        Raises:
            DestinationError: it exceeds a limit by now, or the transfer has ended.
        """
        size, free = _size(entries, plan), self._inbox.free()
        with self._lock:
            self._refuse_late()
            self._inbox.take(size.total, 0, free)
            self._size, self._counted = size, size.total

    def admit(self, portion: Sequence[Content]) -> None:
        """Count what is about to be written.

        Raises:
            DestinationError: it exceeds a limit, because its size was not known or there is less
                room, or the transfer has ended.
        """
        stored = sum(len(one.payload) for one in portion if isinstance(one, Data | End | Repair))
        size = stored + sum(one.length for one in portion if isinstance(one, Hole))
        empty = sum(_LEAST for one in portion if isinstance(one, End) and not one.size)
        free = self._inbox.free()
        with self._lock:
            self._refuse_late()
            beyond = self._written + size + self._size.extra - self._counted
            if beyond > 0:
                self._inbox.take(beyond, self._counted, free)
                self._counted += beyond
            self._inbox.write(size, stored + empty, free)
            self._written += size

    def end(self) -> None:
        """Count only what was written, and what entries and folders count besides; idempotent."""
        self._inbox.release(self._tally)
        with self._lock:
            if self._has_ended:
                return
            self._has_ended = True
            counted = min(self._written + self._size.extra, self._counted)
            self._inbox.give_back(self._counted - counted, self._counted - self._written)

    def _refuse_late(self) -> None:
        if self._has_ended:
            raise DestinationError("the transfer has ended")


def _size(entries: Sequence[Entry], plan: Plan) -> _Size:
    """Return how much of an offer is received with *plan*."""
    content = extra = 0
    have = plan.have
    for number, entry in enumerate(entries):
        if number not in plan.skip:
            size = entry.size or 0
            content += max(0, size - have.get(number, 0))
            extra += max(0, _LEAST - size)
    extra += _LEAST * plan.folders
    return _Size(content, extra)
