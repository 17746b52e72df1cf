"""Write received entries into a folder of this machine.

Each file grows as a part beside its target, and gets its name when its digest matches.
Files that end in one batch are synced to disk together, which is many times faster than
one after the other, and while the next batch is written (`settling`). Trouble with one
file fails that file alone; a disk that is full or gone ends the run, with every part left
in place.

    NEW ──plan──> PLANNED ──apply──> WRITING ──finish──> FINISHED
     └───────────────┴────────────────┴──── close ─────────┴──> CLOSED
                                      └ disk lost ─> LOST ──────────┘
"""

from __future__ import annotations

import contextlib
import enum
import errno
import itertools
import os
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from dcsend.entry import Entry, Kind
from dcsend.errors import DcsendError, DestinationError, LocalProtocolError, SourceError
from dcsend.files.disk import explain, is_fatal
from dcsend.files.folder import USE_DESCRIPTORS, Folder, Identity, Tree
from dcsend.files.growing import GrowingFile
from dcsend.files.intake import TextIntake
from dcsend.files.links import PlannedLinks, judge_way, make_link
from dcsend.files.manifest import manifest_id
from dcsend.files.names import MAX_LEVELS, PART_SUFFIX, beside, safe_path
from dcsend.files.operations import Abort, End, Existing, Hole, Operation, Outcome, Plan, Write
from dcsend.files.part import PartFile
from dcsend.files.planned import PlannedFolders
from dcsend.files.planning import plan_folder
from dcsend.files.settling import Settled, Settler
from dcsend.files.syncing import MANY
from dcsend.files.unnamed import MAX_SIZE, Unnamer
from dcsend.listing import Entries, Index
from dcsend.printable import printable

__all__ = ["DirectorySink"]

MAX_OPEN: Final = 16
"Files that may be arriving at one time; the protocol sends one after the other."


class _State(enum.Enum):
    """Where the sink stands; see the diagram above."""

    NEW = "new"
    PLANNED = "planned"
    WRITING = "being written"
    FINISHED = "finished"
    LOST = "lost"
    CLOSED = "closed"


_TRANSITIONS: Final = {
    (_State.NEW, "plan"): _State.PLANNED,
    (_State.PLANNED, "apply"): _State.WRITING,
    (_State.WRITING, "apply"): _State.WRITING,
    (_State.PLANNED, "finish"): _State.FINISHED,
    (_State.WRITING, "finish"): _State.FINISHED,
    (_State.WRITING, "lose"): _State.LOST,
    (_State.FINISHED, "lose"): _State.LOST,
    (_State.NEW, "close"): _State.CLOSED,
    (_State.PLANNED, "close"): _State.CLOSED,
    (_State.WRITING, "close"): _State.CLOSED,
    (_State.FINISHED, "close"): _State.CLOSED,
    (_State.LOST, "close"): _State.CLOSED,
    (_State.CLOSED, "close"): _State.CLOSED,
}

# One byte per entry: with 100 000 entries a set of numbers would be 60 times as much.
_REFUSED, _DUE, _COMPLETE, _ENDED = 0, 1, 2, 3

# What the system says, too, when the chosen folder itself has been removed or unmounted.
_MAY_BE_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, getattr(errno, "ESTALE", 0)})

_MAX_ERRORS: Final = 1000
"Folders and links that can't be made up to which each has its own reason."
_ONE_OF_MANY: Final = DestinationError("it could not be made, like many others")

_Open = GrowingFile | TextIntake


class DirectorySink:
    """A `Sink` that writes into a folder.

    Args:
        root: the chosen folder; made at the first write if it is missing.
        existing: what to do about files that are there already.
        unattended: nobody is shown the names before they are accepted.
        descriptors: whether to walk by descriptor, safer where the system can.
    """

    def __init__(
        self,
        root: Path,
        *,
        existing: Existing,
        unattended: bool = False,
        descriptors: bool = USE_DESCRIPTORS,
    ) -> None:
        self.root = Path(os.path.abspath(root))
        self._unattended = unattended
        self._existing = existing
        self._tree = Tree(self.root, descriptors=descriptors)
        self._state = _State.NEW
        self._entries = Entries()
        self._folders = PlannedFolders(self._entries, Index(self._entries), ())
        self._manifest = ""
        "Its id, once a file needs it: it takes a while for many small ones, which don't."
        self._status = bytearray()
        self._open: dict[int, _Open] = {}
        self._outcomes: list[Outcome] = []
        placed: set[Identity] | None = set() if existing is Existing.OVERWRITE else None
        self._settler = Settler(existing, placed)
        self._unnamer = Unnamer()
        self._many = False
        "Many files end in this batch, so that they are worth being synced together."
        self._links = PlannedLinks(self._entries, self._folders.index)
        "Links that this run makes, and where each points; known at the finish."
        self._errors = 0
        "Of what has been made at the finish."

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """Judge a manifest before anything is accepted; see `Sink.plan`."""
        self._advance("plan")
        self._entries = entries if isinstance(entries, Entries) else Entries(entries)
        index = Index(self._entries)
        plan = plan_folder(
            self._entries, index, self.root, self._existing, unattended=self._unattended
        )
        self._status = bytearray(
            _REFUSED if number in plan.skip else _DUE for number in range(len(entries))
        )
        self._folders = self._tree.wanted = PlannedFolders(self._entries, index, plan.skip)
        self._links = PlannedLinks(self._entries, index)
        return plan

    def apply(self, batch: Sequence[Operation], *, more: bool = False) -> list[Outcome]:
        """Carry out *batch*, in order, in this thread; see `Sink.apply`."""
        self._advance("apply")
        self._many = sum(isinstance(operation, End) for operation in batch) >= MANY
        self._unnamer.look_again()
        for operation in batch:
            try:
                self._carry_out(operation)
            except DestinationError:
                # What has ended before is complete; it should not be lost with the rest.
                with contextlib.suppress(DcsendError):
                    self._settle()
                raise
            if self._settler.is_full:
                self._turn()
        if not more:
            self._settle()
        elif self._settler.is_due:
            self._turn()
        return self._take_outcomes()

    def finish(self) -> list[Outcome]:
        """Make folders, then links, then set the times of folders; see `Sink.finish`."""
        self._advance("finish")
        for number in list(self._open):
            self._fail(number, DestinationError(f"{self._name(number)} never came to its end"))
        self._settle()
        kind, due = self._entries.kind, [array("I"), array("I")]
        for number, status in enumerate(self._status):
            if status == _DUE and kind(number) in (Kind.DIRECTORY, Kind.LINK):
                due[kind(number) is Kind.LINK].append(number)
        folders, links = due
        # Links come last, so that nothing at all is written while one of them exists.
        for number in folders:
            self._make(number)
        self._links.plan(self.root, links, self._existing)
        for number in links:
            self._make(number)
        self._finish_folders(folders)
        return self._take_outcomes()

    def close(self) -> list[Outcome]:
        """Let go of everything; parts and journals stay; see `Sink.close`."""
        # First what takes no time: the program may not wait for all of this.
        self._keep(self._open.values())
        self._open.clear()
        try:
            if self._state is _State.WRITING:
                # What is complete is not to be lost because its sync is still under way.
                with contextlib.suppress(DcsendError):
                    self._settle()
        finally:
            self._advance("close")
            self._keep(self._settler.abandon())
            self._tree.close()
        return self._take_outcomes()

    def _keep(self, parts: Iterable[_Open]) -> None:
        for part in parts:
            if isinstance(part, GrowingFile):
                with contextlib.suppress(OSError):
                    part.keep()

    def _advance(self, what: str) -> None:
        following = _TRANSITIONS.get((self._state, what))
        if following is None:
            raise LocalProtocolError(f"{what} on a folder that is {self._state.value}")
        self._state = following

    # Operations on one entry.

    def _carry_out(self, operation: Operation) -> None:
        number = operation.number
        if not 0 <= number < len(self._status) or self._status[number] == _REFUSED:
            raise LocalProtocolError(f"bytes for entry {number}, which was not accepted")
        if self._entries[number].kind not in (Kind.FILE, Kind.TEXT):
            raise LocalProtocolError(f"bytes for entry {number}, which has none")
        if self._status[number] != _DUE:
            return
        try:
            self._write(operation)
        except OSError as error:
            self._fail(number, self._judge(error, self._entries[number].path))
        except DcsendError as error:
            if self._state is _State.LOST:
                raise
            self._fail(number, error)

    def _write(self, operation: Operation) -> None:
        number = operation.number
        match operation:
            case Write():
                part = self._part(number)
                part.check(operation.offset, len(operation.payload))
                part.write(operation.payload)
            case Hole():
                part = self._part(number)
                part.check(operation.offset, operation.length)
                part.skip(operation.length)
            case End():
                self._end(operation)
            case Abort():
                name = self._name(number)
                reason = printable(operation.reason) or "no reason given"
                error = SourceError(f"{name}: the sender gave it up: {reason}")
                self._fail(number, error, "aborted")

    def _end(self, end: End) -> None:
        part = self._part(end.number)
        if end.payload:
            part.check(end.size - len(end.payload), len(end.payload))
            part.write(end.payload)
        mismatch = part.mismatch(end)
        if mismatch is not None:
            self._fail(end.number, mismatch, "mismatch")
            return
        del self._open[end.number]
        if isinstance(part, TextIntake):
            self._ended(end.number, "", part)
            return
        self._status[end.number] = _COMPLETE
        self._settler.add(end.number, part)

    def _part(self, number: int) -> _Open:
        """Return the part of an entry, begun now if this is its first operation."""
        part = self._open.get(number)
        if part is None:
            if len(self._open) >= MAX_OPEN:
                raise DestinationError(f"{self._name(number)}: too many files arrive at once")
            part = self._open[number] = self._begin(self._entries[number])
        return part

    def _begin(self, entry: Entry) -> _Open:
        if entry.kind is Kind.TEXT:
            return TextIntake(entry)
        *parents, name = safe_path(entry.path)
        try:
            return self._create(tuple(parents), name, entry)
        except FileNotFoundError:
            if self._tree.lost():
                raise
            # A folder that was held open has been removed since: make it again.
            self._settle()  # until then it is in use, and stays open
            self._tree.forget()
            return self._create(tuple(parents), name, entry)

    def _create(self, parents: tuple[str, ...], name: str, entry: Entry) -> GrowingFile:
        folder = self._tree.folder(parents)
        small = entry.size is not None and entry.size <= MAX_SIZE
        # A part that is there already, of an earlier run or a living one, is dealt with as one.
        if self._many and small and (folder.made or not _has_part(folder, name)):
            unnamed = self._unnamer.begin(folder, name, entry)
            if unnamed is not None:
                return unnamed
        return PartFile(folder, name, entry, self._manifest_id)

    def _manifest_id(self) -> str:
        if not self._manifest:
            self._manifest = manifest_id(self._entries)
        return self._manifest

    # Files that are complete.

    def _settle(self) -> None:
        """Wait until all complete files have their names, for good."""
        while not self._settler.is_empty:
            self._turn()

    def _turn(self) -> None:
        """Take complete files one step on, and note those that have got there."""
        self._settler.wait()
        if self._tree.lost():
            # It may only have been moved; but then nothing is where we would say it is.
            self._lose(DestinationError(f"{self._shown_root} has gone while files arrived"))
        settled = self._settler.turn()
        for one in settled:
            if one.name:
                self._ended(one.number, one.part.folder.where(one.name), one.part)
        try:
            for one in settled:
                if one.error is not None:
                    self._fault(one, one.error)
        except DestinationError:
            self._keep(one.part for one in settled if self._status[one.number] != _ENDED)
            raise
        self._tree.trim()

    def _fault(self, one: Settled, error: OSError | DcsendError) -> None:
        """Fail a file that could not be given its name, or whose folder could not be synced.

        Raises:
            DestinationError: the disk is full or gone.
        """
        if one.name:
            # What its folder had is no reason to lose it, unless it ends the run.
            if isinstance(error, OSError) and is_fatal(error):
                raise self._judge(error, one.part.folder.path)
            return
        if isinstance(error, OSError):
            # Judged first: if the disk is lost, the part stays.
            error = self._judge(error, self._entries[one.number].path)
        one.part.discard()
        self._fail(one.number, error)

    # Folders and links.

    def _make(self, number: int) -> None:
        entry = self._entries[number]
        try:
            parts = safe_path(entry.path)
            if entry.kind is Kind.DIRECTORY:
                self._tree.folder(parts)
                self._ended(number, "")
            else:
                folder = self._tree.folder(parts[:-1])
                judge_way(self.root, parts, entry.target, self._links)
                make_link(folder, parts, entry.target, self._existing)
                self._ended(number, "")
        except OSError as error:
            self._fail_one(number, self._judge(error, entry.path))
        except DcsendError as error:
            self._fail_one(number, error)
        self._tree.trim()

    def _fail_one(self, number: int, error: DcsendError) -> None:
        """End a folder or a link that can't be made; of very many, only some are told why."""
        self._errors += 1
        self._fail(number, error if self._errors <= _MAX_ERRORS else _ONE_OF_MANY)

    def _finish_folders(self, numbers: Sequence[int]) -> None:
        levels = [array("I") for _ in range(MAX_LEVELS)]
        for number in numbers:
            if self._folders.ours[number]:  # else it was there before, and is not ours to change
                levels[self._entries.path(number).count("/")].append(number)
        # The deepest first: a folder may take away the right to enter it.
        for number in itertools.chain.from_iterable(reversed(levels)):
            entry = self._entries[number]
            parts = safe_path(entry.path)
            with contextlib.suppress(OSError, DestinationError):
                self._tree.folder(parts).finish(entry.mode, entry.mtime)
            self._tree.trim()
        if numbers:
            # On file systems with a journal this makes all the names above last, too.
            with contextlib.suppress(OSError):
                self._tree.folder(()).sync()

    # Outcomes.

    def _ended(self, number: int, where: str, part: _Open | None = None) -> None:
        self._status[number] = _ENDED
        if part is None:
            self._outcomes.append(Outcome(number, "ok", where))
            return
        text = bytes(part.content) if isinstance(part, TextIntake) else None
        self._outcomes.append(
            Outcome(number, "ok", where, part.position, part.hasher.hexdigest(), text=text)
        )

    def _fail(self, number: int, error: DcsendError, status: str = "failed") -> None:
        """End one entry for good, and remove what there is of it."""
        self._status[number] = _ENDED
        part = self._open.pop(number, None)
        if isinstance(part, GrowingFile):
            part.discard()
        size = 0 if part is None else part.position
        sha256 = "" if part is None else part.hasher.hexdigest()
        self._outcomes.append(Outcome(number, status, "", size, sha256, error))

    def _judge(self, error: OSError, name: str) -> DestinationError:
        """Return *error* for an outcome, unless it ends the run.

        Raises:
            DestinationError: it does.
        """
        failure = explain(error, name)
        if error.errno in _MAY_BE_GONE and self._tree.lost():
            self._lose(DestinationError(f"{self._shown_root} has gone while files arrived"))
        if is_fatal(error):
            self._lose(failure)
        return failure

    def _lose(self, failure: DestinationError) -> NoReturn:
        """End the run; every part stays."""
        if self._state is not _State.LOST:
            self._advance("lose")
        raise failure

    @property
    def _shown_root(self) -> str:
        return printable(str(self.root))

    def _take_outcomes(self) -> list[Outcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _name(self, number: int) -> str:
        return printable(self._entries[number].path)


def _has_part(folder: Folder, name: str) -> bool:
    return folder.lstat(beside(name, PART_SUFFIX)) is not None
