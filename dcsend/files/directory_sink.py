"""The sink for a folder of this machine: the states of a run; `FolderWriter` does the work.

NEW ──plan──> PLANNED ──apply──> WRITING ──finish──> FINISHED
 └───────────────┴────────────────┴──── close ─────────┴──> CLOSED
                                  └ disk lost ─> LOST ──────────┘
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
from collections.abc import Container, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from dcsend.content import Content
from dcsend.entry import Entry, Existing
from dcsend.errors import DcsendError, LocalProtocolError
from dcsend.files.committing import MAX_GROUP
from dcsend.files.disk import DestinationLost, explain
from dcsend.files.folder import USE_DESCRIPTORS
from dcsend.files.folder_writer import FolderWriter
from dcsend.files.planning import plan_folder
from dcsend.files.present import Present
from dcsend.files.sink import Damage, Outcome, Plan
from dcsend.files.syncing import FILE_SYSTEM_SYNC, FileSystemSync
from dcsend.files.trailing import Checked
from dcsend.listing import Entries, Index

__all__ = ["DirectorySink"]

logger = logging.getLogger(__name__)


class _SinkState(enum.Enum):
    """See the diagram above."""

    NEW = "new"
    PLANNED = "planned"
    WRITING = "being written"
    FINISHED = "finished"
    LOST = "lost"
    CLOSED = "closed"


_TRANSITIONS: Final = {
    (_SinkState.NEW, "plan"): _SinkState.PLANNED,
    (_SinkState.PLANNED, "apply"): _SinkState.WRITING,
    (_SinkState.WRITING, "apply"): _SinkState.WRITING,
    (_SinkState.PLANNED, "finish"): _SinkState.FINISHED,
    (_SinkState.WRITING, "finish"): _SinkState.FINISHED,
    (_SinkState.WRITING, "lose"): _SinkState.LOST,
    (_SinkState.FINISHED, "lose"): _SinkState.LOST,
    **{(state, "close"): _SinkState.CLOSED for state in _SinkState},
}


class DirectorySink:
    """A `Sink` that writes into a folder.

    Args:
        root: the chosen folder; created at the first write if it is missing.
        existing: what to do about names that are taken.
        unattended: the names are accepted without being shown to a person.
        same: see `Present`.
        checksum: see `Present`.
        descriptors: whether to open folders by descriptor, which is safer; not on Windows.
        max_group: see `CommitQueue`.
        file_system_sync: see `CommitQueue`.
    """

    def __init__(
        self,
        root: Path,
        *,
        existing: Existing,
        unattended: bool = False,
        same: bool = False,
        checksum: bool = False,
        descriptors: bool = USE_DESCRIPTORS,
        max_group: int = MAX_GROUP,
        file_system_sync: FileSystemSync | None = FILE_SYSTEM_SYNC,
    ) -> None:
        self._root = Path(os.path.abspath(root))
        self._existing = existing
        self._unattended = unattended
        self._same, self._checksum = same, checksum
        self._present: Present | None = None
        self._state = _SinkState.NEW
        self._make_writer = partial(
            FolderWriter,
            existing=existing,
            descriptors=descriptors,
            max_group=max_group,
            file_system_sync=file_system_sync,
        )
        self._writer = self._make_writer(self._root, Entries(), Index(Entries()), Plan())

    @property
    def kept(self) -> Sequence[str]:
        """Paths of the unfinished files that stay; complete once it is closed."""
        return self._writer.kept

    @property
    def checking(self) -> Checked | None:
        """See `Sink.checking`."""
        hashed = None if self._present is None else self._present.checked
        return self._writer.checking if hashed is None else hashed

    @property
    def is_checking(self) -> bool:
        """See `Sink.is_checking`."""
        return self._writer.is_checking

    def take_damage(self) -> Sequence[Damage]:
        """See `Sink.take_damage`."""
        return self._writer.take_damage()

    def plan(self, entries: Sequence[Entry], unwanted: Container[int] = ()) -> Plan:
        """Examine a manifest before anything is accepted; see `Sink.plan`."""
        self._advance("plan")
        manifest = entries if isinstance(entries, Entries) else Entries(entries)
        index = Index(manifest)
        if self._same:
            self._present = Present(str(self._root), self._existing, checksum=self._checksum)
        try:
            plan = plan_folder(
                manifest,
                index,
                self._root,
                self._existing,
                unattended=self._unattended,
                present=self._present,
                unwanted=unwanted,
            )
        except OSError as error:
            raise explain(error, str(self._root)) from None
        logger.debug(
            "destination %s: %d entries, %d skipped", self._root, len(manifest), len(plan.skip)
        )
        self._writer = self._make_writer(self._root, manifest, index, plan)
        return plan

    def apply(self, portion: Sequence[Content], *, more: bool = False) -> list[Outcome]:
        """Carry out *portion* in this thread; see `Sink.apply`."""
        self._advance("apply")
        with self._abort_run_when_lost():
            self._writer.apply(portion, more=more)
        return self._writer.table.take_outcomes()

    def finish(self) -> list[Outcome]:
        """Make folders and links, and set the times of folders; see `Sink.finish`."""
        self._advance("finish")
        with self._abort_run_when_lost():
            self._writer.finish()
        return self._writer.table.take_outcomes()

    def close(self) -> list[Outcome]:
        """Close all files, keeping parts and journals; see `Sink.close`."""
        # The fast part first: the process may exit before the rest is done.
        self._writer.keep_open_files()
        try:
            if self._state is _SinkState.WRITING:
                # Complete files whose sync is running should get their names.
                with contextlib.suppress(DcsendError, OSError):
                    self._writer.commit_all()
        finally:
            self._advance("close")
            self._writer.close()
        return self._writer.table.take_outcomes()

    @contextlib.contextmanager
    def _abort_run_when_lost(self) -> Iterator[None]:
        """End the run, keeping all parts, when the destination is lost.

        Raises:
            DestinationLost: it is, or an error belongs to no entry.
        """
        try:
            yield
        except (DestinationLost, OSError) as error:
            self._advance("lose")
            logger.debug("destination lost: %s", error)
            if isinstance(error, DestinationLost):
                raise
            failure = explain(error, str(self._root))
            raise DestinationLost(failure.message, failure.hint) from error

    def _advance(self, event: str) -> None:
        following = _TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} on a folder that is {self._state.value}")
        self._state = following
