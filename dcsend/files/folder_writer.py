"""Writing the entries of one accepted manifest into the chosen folder.

Each file is written as a part, or without a name, and added to the commit queue when its digest
matches. An error of one entry fails that entry; `disk` decides which errors end the run. Folders
without files, links, and the permissions and times of folders follow at the end.
"""

from __future__ import annotations

import contextlib
import itertools
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from dcsend.content import Abort, Content, Data, End, Hole, Repair, Restart
from dcsend.entry import Existing, Kind
from dcsend.errors import DcsendError, DestinationError, SourceError
from dcsend.files.committing import CommitQueue, Committed, FileSystemError
from dcsend.files.disk import DestinationLost, explain
from dcsend.files.entry_table import EntryTable
from dcsend.files.file_factory import FileFactory
from dcsend.files.folder import Tree
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.intake import TextIntake
from dcsend.files.interval_sync import MAX_UNSYNCED
from dcsend.files.links import PlannedLinks, check_link_path, make_link
from dcsend.files.name_collisions import NameCollisions
from dcsend.files.names import MAX_LEVELS, safe_path
from dcsend.files.part import PartFile
from dcsend.files.part_checks import PartChecks
from dcsend.files.placed_files import PlacedFiles
from dcsend.files.planned_folders import PlannedFolders
from dcsend.files.present import KeptFile
from dcsend.files.sink import Damage, Plan
from dcsend.files.syncing import MANY, FileSystemSync
from dcsend.files.trailing import Checked
from dcsend.listing import Entries, Index
from dcsend.printable import printable

__all__ = ["MAX_OPEN", "FolderWriter"]

MAX_OPEN: Final = 16
"Files that may be open at one time; the protocol sends one after the other."


class FolderWriter:
    """Carries out operations on the entries of a manifest.

    Args:
        root: the chosen folder, an absolute path.
        entries: the manifest.
        index: of the entries that can be saved.
        plan: which entries are received.
        existing: what to do about names that are taken.
        descriptors: see `Tree`.
        max_group: see `CommitQueue`.
        file_system_sync: see `CommitQueue`.
    """

    def __init__(
        self,
        root: Path,
        entries: Entries,
        index: Index,
        plan: Plan,
        *,
        existing: Existing,
        descriptors: bool,
        max_group: int,
        file_system_sync: FileSystemSync | None,
    ) -> None:
        collisions = NameCollisions(entries, root)
        self.table = EntryTable(entries, plan.skip, collisions)
        self.kept: list[str] = []
        "Paths of the parts that stay."
        self._folders = PlannedFolders(entries, index, plan.skip)
        self._tree = Tree(root, self._folders, descriptors=descriptors)
        self._entries = entries
        self._existing = existing
        self._stale: Sequence[int] = plan.stale
        "See `Plan.stale`; removed before the first write."
        self._placed = PlacedFiles(collisions) if existing is Existing.OVERWRITE else None
        self._queue = CommitQueue(existing, self._placed, max_group, file_system_sync)
        # After `fsync` of a file without a name, some file systems do not keep its size.
        tmpfiles = file_system_sync is not None
        self._factory = FileFactory(
            self._tree, entries, plan, existing, self.commit_all, tmpfiles=tmpfiles
        )
        self._checks = PartChecks(plan.have)
        self._open: dict[int, IncomingFile | KeptFile | TextIntake] = {}
        self._links = PlannedLinks(entries, index)

    @property
    def checking(self) -> Checked | None:
        """See `Sink.checking`."""
        return self._checks.checking

    @property
    def is_checking(self) -> bool:
        """See `Sink.is_checking`."""
        return self._checks.is_checking

    def take_damage(self) -> Sequence[Damage]:
        """See `Sink.take_damage`."""
        return self._checks.take_damage()

    def apply(self, portion: Sequence[Content], *, more: bool) -> None:
        """Carry out *portion*; see `Sink.apply`.

        Raises:
            DestinationLost: the disk is full or gone.
            OSError: an error that belongs to no entry.
        """
        ends = sum(isinstance(operation, End) for operation in portion)
        self._factory.begin_portion(many=ends >= MANY)
        self._remove_stale()
        self._limit_unsynced()
        self._compare_checked()
        for operation in portion:
            try:
                self._carry_out(operation)
            except DestinationLost:
                # Files that are complete should not be lost with the others.
                with contextlib.suppress(DcsendError, OSError):
                    self.commit_all()
                raise
            if self._queue.is_full:
                self._commit_ready()
        if not more:
            self.commit_all()
        elif self._queue.is_ready:
            self._commit_ready()

    def finish(self) -> None:
        """Commit all files, then make folders and links; see `Sink.finish`.

        Raises:
            DestinationLost: the disk is full or gone.
            OSError: an error that belongs to no entry.
        """
        self._remove_stale()
        self._compare_checked(wait=True)
        for number in list(self._open):
            error = DestinationError(f"{self.table.name(number)}: its end was not received")
            self._fail_entry(number, error)
        self.commit_all()
        folders = self.table.due(Kind.DIRECTORY)
        links = self.table.due(Kind.LINK)
        for number in folders:
            self._make(number)
        # Links come last, so that nothing is written while one of them exists.
        self._links.plan(self._tree.root, links, self._existing)
        for number in links:
            self._make(number)
        self._finish_folders(folders)

    def _remove_stale(self) -> None:
        stale, self._stale = self._stale, ()
        self._factory.remove_stale_parts(stale)

    def commit_all(self) -> None:
        """Wait until all complete files have their names for good."""
        while not self._queue.is_empty:
            self._commit_ready()

    def keep_open_files(self) -> None:
        """Close the unfinished files; their parts stay."""
        self._keep(self._open.values())
        self._open.clear()

    def close(self) -> None:
        """Close the complete files without a name, whose parts stay, and all folders."""
        self._keep(self._queue.abandon())
        self._tree.close()

    def _keep(self, files: Iterable[IncomingFile | KeptFile | TextIntake]) -> None:
        for file in files:
            if isinstance(file, IncomingFile) and file.keep():
                self.kept.append(file.path)

    # Content.

    def _carry_out(self, operation: Content) -> None:
        number = operation.number
        if not self.table.is_due(number):
            return
        try:
            match operation:
                case Data() | Hole():
                    self._append(self._file(number), operation)
                case End():
                    self._complete(operation)
                case Restart():
                    self._restart(number)
                case Repair():
                    self._checks.repair(operation)
                case Abort():
                    reason = printable(operation.reason) or "no reason given"
                    text = f"{self.table.name(number)}: the sender aborted it: {reason}"
                    self._fail_entry(number, SourceError(text), "aborted")
        except DestinationLost:
            raise
        except OSError as error:
            self._fail_on_disk(number, error)
        except DcsendError as error:
            self._fail_entry(number, error)

    @staticmethod
    def _append(file: IncomingFile | KeptFile | TextIntake, content: Data | Hole) -> None:
        if isinstance(content, Hole):
            file.check(content.offset, content.length)
            file.skip(content.length)
        else:
            file.check(content.offset, len(content.payload))
            file.write(content.payload)

    def _restart(self, number: int) -> None:
        """Remove the part of a file that begins again."""
        file = self._open.pop(number, None)
        self._checks.restart(number)
        self._factory.restart(number)
        if isinstance(file, IncomingFile):
            file.discard()
        else:
            self._factory.remove_stale_parts([number])  # the next frame may give the file up

    def _complete(self, end: End) -> None:
        """Write the last bytes of a file, compare its digest, and queue it."""
        file = self._file(end.number)
        if end.payload:
            file.check(end.offset, len(end.payload))
            file.write(end.payload)
        if not self._checks.end(end):
            return  # `_compare_checked` continues
        self._compare(end, file)

    def _compare_checked(self, *, wait: bool = False) -> None:
        """Compare the digests of complete files whose beginning has been verified meanwhile.

        Args:
            wait: also of the others, once they are.
        """
        for end in self._checks.take(wait=wait):
            file = self._open[end.number]
            try:
                if isinstance(file, PartFile):
                    if not file.settle(wait=True):
                        if not wait:
                            continue  # it has been changed: see `take_damage`
                        file.fail_changed()
                    self._checks.verified(end.number)
                self._compare(end, file)
            except DestinationLost:
                raise
            except OSError as error:
                self._fail_on_disk(end.number, error)
            except DcsendError as error:
                self._fail_entry(end.number, error)

    def _compare(self, end: End, file: IncomingFile | KeptFile | TextIntake) -> None:
        """Compare the digest of a file, and queue it."""
        mismatch = file.mismatch(end)
        if mismatch is not None:
            self._fail_entry(end.number, mismatch, "mismatch")
            return
        del self._open[end.number]
        if isinstance(file, TextIntake):
            self.table.succeed(end.number, "", file)
            return
        if isinstance(file, KeptFile):
            self.table.succeed(end.number, file.path, file, kept=True)
            return
        self.table.complete(end.number)
        self._queue.add(end.number, file)

    def _file(self, number: int) -> IncomingFile | KeptFile | TextIntake:
        """Return the file of an entry; create it if this is its first operation."""
        file = self._open.get(number)
        if file is None:
            if len(self._open) >= MAX_OPEN:
                raise DestinationError(f"{self.table.name(number)}: too many files are open")
            entry = self._entries[number]
            text = entry.kind is Kind.TEXT
            file = TextIntake(entry) if text else self._factory.create(number, entry)
            self._open[number] = file
            if isinstance(file, PartFile):
                self._checks.begin(number, file)
                file.check_name(self._existing, self._placed)
        return file

    def _fail_on_disk(self, number: int, error: OSError) -> None:
        """Fail one file because of a system call.

        Raises:
            DestinationLost: the disk is full or gone.
        """
        failure = self._tree.classify(error, self._entries[number].path)
        self._fail_entry(number, failure, cause=error)

    def _fail_entry(
        self,
        number: int,
        error: DcsendError,
        status: str = "failed",
        cause: OSError | None = None,
    ) -> None:
        """Fail one file and remove it, but for a part that a later run can continue."""
        file = self._open.pop(number, None)
        self._checks.drop(number)
        self.table.fail(number, error, file, status)
        if isinstance(file, IncomingFile) and file.fail(cause):
            self.kept.append(file.path)

    # Complete files.

    def _limit_unsynced(self) -> None:
        """Wait until a power cut would not cost too much; the open files see to themselves."""
        files = self._open.values()
        size = sum(file.unsynced for file in files if isinstance(file, IncomingFile))
        while self._queue.unsynced and self._queue.unsynced + size > MAX_UNSYNCED:
            self._commit_ready()

    def _commit_ready(self) -> None:
        """Advance the commit queue, and report the files that leave it."""
        self._queue.wait()
        self._tree.check_exists()
        committed = self._queue.advance()
        for one in committed:
            if one.name:
                self.table.succeed(one.number, one.part.folder.path_of(one.name), one.part)
        try:
            for one in committed:
                if one.error is not None:
                    self._fail_committed(one, one.error)
        except DestinationLost:
            self._keep(one.part for one in committed if not self.table.has_ended(one.number))
            raise
        self._tree.trim()

    def _fail_committed(self, one: Committed, error: OSError | DcsendError) -> None:
        """Fail a file that could not be given its name, or whose folder could not be synced.

        Raises:
            DestinationLost: the disk is full or gone.
        """
        if isinstance(error, FileSystemError):
            failure = explain(error, str(self._tree.root))
            raise DestinationLost(failure.message, failure.hint)
        if one.name:
            # An error of its folder does not fail the file, but may end the run.
            if isinstance(error, OSError):
                self._tree.classify(error, one.part.folder.path)
            return
        cause = error if isinstance(error, OSError) else None
        if isinstance(error, OSError):
            # Before the part is removed: if the disk is lost, the part stays.
            error = self._tree.classify(error, self._entries[one.number].path)
        self.table.fail(one.number, error, one.part)
        if one.part.fail(cause):
            self.kept.append(one.part.path)

    # Folders and links.

    def _make(self, number: int) -> None:
        """Make a folder or a link."""
        entry = self._entries[number]
        try:
            parts = safe_path(entry.path)
            if entry.kind is Kind.DIRECTORY:
                self._tree.folder(parts)
            else:
                folder = self._tree.folder(parts[:-1])
                check_link_path(self._tree.root, parts, entry.target, self._links)
                make_link(folder, parts, entry.target, self._existing)
            self.table.succeed(number, "")
        except DestinationLost:
            raise
        except OSError as error:
            self.table.fail_without_content(number, self._tree.classify(error, entry.path))
        except DcsendError as error:
            self.table.fail_without_content(number, error)
        self._tree.trim()

    def _finish_folders(self, numbers: Sequence[int]) -> None:
        """Set permissions and times of the folders that this run has made."""
        levels = [array("I") for _ in range(MAX_LEVELS)]
        for number in numbers:
            if self._folders.made_here[number]:
                levels[self._entries.path(number).count("/")].append(number)
        # The deepest first: permissions of a folder may forbid entering it.
        for number in itertools.chain.from_iterable(reversed(levels)):
            entry = self._entries[number]
            try:
                self._tree.folder(safe_path(entry.path)).finish(entry.mode, entry.mtime)
            except OSError as error:
                self._tree.classify(error, entry.path)  # raises if the disk is lost
            except DestinationLost:
                raise
            except DestinationError:
                pass  # something else has taken its place
            self._tree.trim()
        if numbers:
            # On file systems with a journal this makes all new names durable.
            try:
                self._tree.folder(()).sync()
            except OSError as error:
                self._tree.classify(error, str(self._tree.root))
