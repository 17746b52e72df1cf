"""The limits of a receiver that stays: what counts besides content; a disk without an answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcsend.content import Data, End
from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files.planning import plan_folder
from dcsend.files.sink import Plan
from dcsend.listing import Entries, Index
from dcsend.session import admission
from dcsend.session.admission import Inbox
from dcsend.settings import Settings
from tests.session.test_senders import MIB, accept, plan_of, tally


@pytest.mark.parametrize("limit", ["max_total", "max_peer"])
def test_folders_that_have_no_entry_count(limit: str, tmp_path: Path) -> None:
    entries = Entries([Entry(f"{number}/b/c/d/empty", size=0) for number in range(2)])
    plan = plan_folder(entries, Index(entries), tmp_path, Existing.RENAME)
    settings = Settings(output=str(tmp_path), min_free=0)
    most: dict[str, Any] = {limit: 10 * 4096}
    Inbox(replace(settings, **most), accept).admission(tally(1)).check(entries, plan)
    less: dict[str, Any] = {limit: 10 * 4096 - 1}
    with pytest.raises(DestinationError):
        Inbox(replace(settings, **less), accept).admission(tally(1)).check(entries, plan)


def test_empty_files_and_folders_leave_free_what_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = MIB + 3 * 4096
    monkeypatch.setattr(admission, "free_room", lambda root: free)
    inbox = Inbox(Settings(output=str(tmp_path), min_free=MIB), accept)
    one = inbox.admission(tally(1))
    with pytest.raises(DestinationError):
        one.check(plan_of(0)[0], Plan(folders=3))
    one.reserve(plan_of(0)[0], Plan(folders=2))
    free = MIB
    with pytest.raises(DestinationError):
        one.admit([End(0, 0, bytes(32))])


def test_disk_that_does_not_answer_delays_no_end_and_what_it_admits_later_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hang(root: Path) -> int:
        asked.set()
        answered.wait(20)
        return 10 * MIB

    monkeypatch.setattr(admission, "free_room", hang)
    inbox = Inbox(Settings(output=str(tmp_path), max_total=MIB, min_free=0), accept)
    one = inbox.admission(tally(1))
    with ThreadPoolExecutor() as pool:
        try:
            late = pool.submit(one.reserve, *plan_of(MIB))
            assert asked.wait(5)
            pool.submit(one.end).result(5)
        finally:
            answered.set()
        with pytest.raises(DestinationError, match="has ended"):
            late.result(5)
    with pytest.raises(DestinationError, match="has ended"):
        one.admit([Data(0, 0, b"x")])
    inbox.admission(tally(2)).reserve(*plan_of(MIB))
