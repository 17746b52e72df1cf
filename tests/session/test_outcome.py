"""From verdicts to exit statuses, and from cancel reasons to errors, as tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dcsend.entry import Entry, Kind
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IncompatibleVersion,
    IntegrityError,
    LocalProtocolError,
    PartlyDone,
    PeerRefused,
    RemoteProtocolError,
    SourceError,
)
from dcsend.protocol.messages import CANCEL_REASONS
from dcsend.session.events import FileFinished
from dcsend.session.outcome import (
    cancel_reason,
    exit_status,
    failure,
    peer_cancelled,
    peer_declined,
)
from dcsend.session.verdicts import Verdicts


def verdicts(*faults: int) -> list[FileFinished]:
    return [
        FileFinished(f"f{n}", "failed" if fault else "ok", 1, reason="why", exit=fault)
        for n, fault in enumerate(faults)
    ]


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ((), 0),
        ((0, 0), 0),
        ((3,), 3),
        ((4, 4), 4),
        ((0, 3), 11),
        ((3, 4), 11),
        ((6,), 6),
        ((0, 6), 6),
        ((3, 6, 0), 6),
    ],
)
def test_exit_status_of_verdicts(faults: tuple[int, ...], status: int) -> None:
    assert exit_status(verdicts(*faults)) == status
    error = failure(verdicts(*faults))
    assert (error.exit_status if error else 0) == status


def test_a_partial_failure_has_the_number_and_names_one() -> None:
    error = failure(verdicts(0, 3, 0))
    assert isinstance(error, PartlyDone)
    assert str(error) == "1 of 3 failed; f1: why"


def counted(*faults: int, offered: int, unheard: int = 0) -> Verdicts:
    """Return verdicts over files, of a transfer in which *offered* should have come."""
    files = Verdicts(verdicts(*faults))
    files.offered, files.unheard = offered, unheard
    return files


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        # Links and folders that are fine have no verdict, and are counted all the same.
        (counted(0, 4, offered=1506), 11, "1 of 1506 failed; f1: why"),
        (counted(4, offered=2), 11, "1 of 2 failed; f0: why"),
        (counted(0, 0, offered=3, unheard=1), 11, "1 of 3 failed; "),
        (counted(0, offered=3, unheard=2), 11, "2 of 3 failed; "),
        (counted(0, 4, offered=3, unheard=1), 11, "2 of 3 failed; f1: why"),
        (counted(offered=1, unheard=1), 3, "the sender can't read it, or can't send its name"),
        (counted(6, offered=3, unheard=1), 6, "2 of 3 failed; f0: why"),
    ],
)
def test_what_has_no_verdict_counts_too(files: Verdicts, status: int, words: str) -> None:
    assert exit_status(files) == status
    assert str(failure(files)).startswith(words)


def test_links_are_offered_and_folders_only_if_they_fail() -> None:
    files = Verdicts()
    entries = [
        Entry("d", Kind.DIRECTORY),
        Entry("d/f"),
        Entry("d/l", Kind.LINK, target="f"),
        Entry("t", Kind.TEXT),
    ]
    files.expect(entries, 2)
    assert files.offered == 5
    files.add(FileFinished("d", "failed", 0, exit=4), 0)
    assert files.offered == 6


def test_a_reason_that_names_the_file_names_it_once() -> None:
    bad = [FileFinished("f", "failed", 0, reason="f: permission denied", exit=4)]
    assert str(failure(bad)) == "f: permission denied"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RemoteProtocolError("x"), "protocol"),
        (IncompatibleVersion("x"), "version"),
        (IntegrityError("x"), "integrity"),
        (DestinationError("x"), "destination"),
        (SourceError("x"), "source"),
        (ConnectionFailed("x"), "timeout"),
        (LocalProtocolError("x"), "error"),
        (asyncio.CancelledError(), "interrupted"),
    ],
)
def test_each_error_has_a_reason_of_the_protocol(error: BaseException, reason: str) -> None:
    assert cancel_reason(error) == reason
    assert reason in CANCEL_REASONS


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("interrupted", PeerRefused),
        ("destination", PeerRefused),
        ("integrity", IntegrityError),
        ("version", IncompatibleVersion),
        ("timeout", ConnectionFailed),
    ],
)
def test_what_the_peer_cancels_for_decides_our_status(reason: str, kind: type[DcsendError]) -> None:
    assert type(peer_cancelled(reason, "disk full")) is kind


def test_a_page_that_was_closed_is_distinguished_from_a_person_who_cancels() -> None:
    page = Path(__file__).parents[2] / "web-receiver" / "src" / "session" / "story.ts"
    message = "the page was closed"
    assert f'"{message}"' in page.read_text()
    closed = "the other side's page was closed or loaded again"
    assert str(peer_cancelled("interrupted", message)) == closed
    assert str(peer_cancelled("interrupted", "you stopped it")) == "the other side cancelled"


def test_a_peers_words_are_escaped() -> None:
    assert "\x1b" not in str(peer_cancelled("error", "\x1b[2Jboo"))
    assert "\x1b" not in str(peer_declined("space", "\x1b[2Jboo"))
