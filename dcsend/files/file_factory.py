"""Creating the file of an entry, when its first bytes are received: as a part or without a name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files.disk import ends_run
from dcsend.files.final_names import candidate_names
from dcsend.files.folder import Folder, Tree
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.locking import PartLocked, locked_error
from dcsend.files.manifest import manifest_id
from dcsend.files.names import JOURNAL_SUFFIX, PART_SUFFIX, safe_path
from dcsend.files.part import PartFile, PartOfThisRun, remove_stale
from dcsend.files.present import KeptFile, copy_into_part
from dcsend.files.sink import Plan
from dcsend.files.tmpfile import MAX_SIZE, TmpfileFactory
from dcsend.listing import Entries

__all__ = ["FileFactory"]


class FileFactory:
    """Creates files, each as a part or without a name.

    Args:
        tree: the chosen folder.
        entries: the manifest.
        plan: has the bytes of parts that are continued, and existing files.
        existing: what to do about names that are taken; with `RENAME`, a file whose part another
            transfer is writing gets a part of another name.
        commit_all: waits until all complete files have their names.
        tmpfiles: whether many small files are created without a name.
    """

    def __init__(
        self,
        tree: Tree,
        entries: Entries,
        plan: Plan,
        existing: Existing,
        commit_all: Callable[[], None],
        *,
        tmpfiles: bool,
    ) -> None:
        self._have = plan.have
        self._present = dict(plan.present)
        self._tree = tree
        self._existing = existing
        self._entries = entries
        self._commit_all = commit_all
        self._many = False
        self._manifest = ""
        "The manifest id, once a part with a journal needs it; computing it takes time."
        self._use_tmpfiles = tmpfiles
        self._tmpfiles = TmpfileFactory()
        self._own_parts: set[str] = set()
        "The open parts of this run; see `PartFile`."

    def begin_portion(self, *, many: bool) -> None:
        """Prepare for the next portion.

        Args:
            many: so many files end in this portion that they are synced by file system.
        """
        self._many = many and self._use_tmpfiles
        self._tmpfiles.recheck_folders()

    def remove_stale_parts(self, numbers: Iterable[int]) -> None:
        """Remove the parts of these entries that an earlier run has left, as far as possible.

        A journal without a part is removed, too.
        """
        for number in numbers:
            *parents, name = safe_path(self._entries.path(number))
            try:
                with contextlib.suppress(DestinationError):
                    folder = self._tree.folder(tuple(parents))
                    remove_stale(folder, name, self._own_parts)
                    folder.remove(folder.beside(name, JOURNAL_SUFFIX))
            except OSError as error:
                if ends_run(error):
                    raise
            self._tree.trim()

    def restart(self, number: int) -> None:
        """Begin a new part of this entry when it is created next."""
        self._have.pop(number, None)
        self._present.pop(number, None)

    def create(self, number: int, entry: Entry) -> IncomingFile | KeptFile:
        """Create the file of *entry*, or open the part that is continued.

        Args:
            number: of the entry.
            entry: of the manifest.

        Raises:
            DestinationError: it can't get its name, or something else has the name of its part, or
                the part that is to be continued is gone.
            OSError: a system call failed.
        """
        *parents, name = safe_path(entry.path)
        start = self._have.get(number, 0)
        try:
            return self._create(tuple(parents), name, entry, number, start)
        except PartOfThisRun:
            # Two names of the manifest are one here: place the earlier file first.
            self._commit_all()
        except FileNotFoundError:
            self._tree.check_exists()
            # A folder was removed while it was open: make it again.
            self._commit_all()  # until then the folder is in use, and stays open
            self._tree.forget()
        return self._create(tuple(parents), name, entry, number, start)

    def _create(
        self, parents: tuple[str, ...], name: str, entry: Entry, number: int, start: int
    ) -> IncomingFile | KeptFile:
        folder = self._tree.folder(parents)
        present = self._present.get(number)
        if present is not None and present.size == entry.size:
            return KeptFile(folder, name, entry, present)
        if present is not None:
            copy_into_part(folder, name, entry, present, self._manifest_id, self._own_parts)
        small = entry.size is not None and entry.size <= MAX_SIZE
        # If a part exists, `PartFile` removes it, or detects that another run is writing it.
        if self._many and small and (folder.made or not _has_part(folder, name)):
            file = self._tmpfiles.create(folder, name, entry)
            if file is not None:
                return file
        names = iter([name]) if start else candidate_names(folder, name, self._existing)
        for part_name in names:
            try:
                return PartFile(
                    folder, name, entry, self._manifest_id, self._own_parts, start, part_name
                )
            except PartLocked:
                if start or self._existing is not Existing.RENAME:
                    raise
        raise locked_error(name)

    def _manifest_id(self) -> str:
        if not self._manifest:
            self._manifest = manifest_id(self._entries)
        return self._manifest


def _has_part(folder: Folder, name: str) -> bool:
    return folder.lstat(folder.beside(name, PART_SUFFIX)) is not None
