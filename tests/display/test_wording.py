"""Texts for people: nothing that a peer has sent is shown unescaped."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.display import wording
from dcsend.entry import Entry, Kind
from dcsend.printable import format_size, printable
from dcsend.session.events import Connected, FileFinished, Finished, ManifestKnown

HOSTILE = "\x1b[2J\u202egnp\x07\r\n"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (10**15, "1000.0 TB"),
    ],
)
def test_size_is_decimal(count: int, said: str) -> None:
    assert format_size(count) == said


@given(st.integers(0, 2**63))
def test_size_is_never_long(count: int) -> None:
    assert len(format_size(count)) <= 13


@given(st.floats(0, 1e9))
def test_duration_is_never_sixty_seconds(seconds: float) -> None:
    said = wording.duration(seconds)
    assert "60 s" not in said
    assert "60 min" not in said


def test_time_of_another_day_names_the_day() -> None:
    now = datetime.datetime(2026, 12, 31, 23, 50)
    assert wording.until(now + datetime.timedelta(hours=1), now) == "00:50 on 1 January"


@given(st.text(max_size=60), st.integers(4, 40))
def test_fitted_text_takes_the_room_it_was_given(text: str, columns: int) -> None:
    found = wording.fit(text, columns)
    # A wide character may leave one cell empty at the cut; the padding fills it.
    assert wording.width(found) == columns


def test_fitted_name_keeps_its_ending() -> None:
    assert wording.fit("holiday-in-the-mountains.mkv", 12).endswith(".mkv")


def test_wrapped_prose_keeps_a_code_in_one_piece() -> None:
    rows = wording.wrapped("run dcsend receive " + "x" * 90, 40)
    assert rows == ["run dcsend receive", "  " + "x" * 90]


def test_connection_shows_device_address_route_family_and_round_trip() -> None:
    event = Connected("direct", "IPv6", "2001:db8::1", "dcsend/1", 42.1, "anna's laptop")
    assert wording.describe_connection(event) == (
        "connected to anna's laptop (2001:db8::1, direct over IPv6, 42 ms)"
    )
    assert wording.describe_connection(event, program=True) == (
        "connected to anna's laptop (2001:db8::1, direct over IPv6, 42 ms, dcsend/1)"
    )


def test_device_without_a_name_is_shown_by_its_address() -> None:
    event = Connected("direct", "IPv4", "192.0.2.1", "dcsend/1", 42.1)
    said = "connected to 192.0.2.1 (direct over IPv4, 42 ms)"
    assert wording.describe_connection(event) == said


def test_connection_is_described_without_a_round_trip_that_was_not_measured() -> None:
    event = Connected("relayed", "", "", "x", None)
    assert wording.describe_connection(event) == "connected, relayed"


def test_manifest_counts_by_kind_and_names_a_few() -> None:
    entries = [
        Entry("tree", Kind.DIRECTORY),
        Entry("tree/a", size=1000),
        *(Entry(name, size=1) for name in "bcde"),
        Entry("text", Kind.TEXT, size=3),
        Entry("tree/l", Kind.LINK, target="a"),
    ]
    assert wording.describe_manifest(ManifestKnown(entries)) == (
        "5 files, 1 folder, 1 link, 1 text (1.0 kB): tree, b, c and 2 more"
    )


def test_manifest_of_a_stream_has_no_size() -> None:
    event = ManifestKnown([Entry("stdin", size=None)])
    assert wording.describe_manifest(event) == "1 file (unknown size): stdin"


def test_hidden_names_are_listed_each_once_those_at_the_top_first() -> None:
    paths = ["IMG_1.jpg", "a/b/.git/config", "a/b/.git/HEAD", ".ssh", ".ssh/authorized_keys"]
    paths += ["../x", "...", "a.b/c", ".zsh\x1benv"]
    entries = [*map(Entry, paths), Entry(".text", Kind.TEXT)]
    assert wording.hidden_names(entries) == "hidden: .ssh, ..., .zsh\\x1benv, a/b/.git"
    assert wording.hidden_names([Entry("a"), Entry("..")]) == ""


def test_of_many_hidden_names_five_are_listed() -> None:
    entries = [Entry(f"d/.{n}") for n in range(100)] + [Entry(".profile")]
    said = wording.hidden_names(entries)
    assert said == "hidden: .profile, d/.0, d/.1, d/.2, d/.3 and 96 more"


@pytest.mark.parametrize("kind", Kind)
def test_list_shows_every_kind_on_one_line_escaped(kind: Kind) -> None:
    (line,) = wording.list_entries(ManifestKnown([Entry(HOSTILE, kind, target=HOSTILE)]))
    assert line.isprintable()
    assert "\\x1b[2J\\u202e" in line


def test_verdict_names_a_renamed_file_only_where_it_was_renamed() -> None:
    kept = FileFinished("d/a.txt", "ok", 5, where="out/d/a.txt")
    renamed = FileFinished("d/a.txt", "ok", 5, where="out/d/a (1).txt")
    assert wording.describe_file(kept) == "ok       d/a.txt (5 B)"
    assert wording.describe_file(renamed) == "ok       d/a.txt (5 B), saved as a (1).txt"


def test_verdict_has_a_name_once() -> None:
    event = FileFinished("a\x1b.txt", "failed", 0, reason="a\\x1b.txt: permission denied")
    assert wording.describe_file(event) == "failed   a\\x1b.txt: permission denied"


def test_verdict_escapes_the_text_of_the_peer() -> None:
    said = wording.describe_file(FileFinished(HOSTILE, "failed", 0, reason=HOSTILE))
    assert said.isprintable()


def test_result_shows_files_bytes_time_and_rate() -> None:
    files = (FileFinished("a", "ok", 10**6), FileFinished("text", "ok", 3))
    event = Finished(True, 0, 10**6 + 3, 2.0, files, "receiver")
    assert wording.describe_result(event, {hash("text")}) == (
        "received and verified 1 file, 1 text, 1.0 MB in 2.0 s, 500.0 kB/s"
    )


def test_result_of_a_failure_shows_what_is_safe() -> None:
    files = (FileFinished("a", "ok", 1), FileFinished("b", "mismatch", 1, exit=6))
    event = Finished(False, 6, 2, 2.0, files, "sender")
    assert wording.describe_result(event) == "1 file sent and verified"


def test_name_from_right_to_left_keeps_the_order_of_what_stands_beside_it() -> None:
    event = Connected("direct", "IPv4", "192.0.2.1", "x", None, "\u05d0\u05e0\u05d4 7")
    assert wording.describe_connection(event) == (
        "connected to \u2068\u05d0\u05e0\u05d4 7\u2069 (192.0.2.1, direct over IPv4)"
    )
    assert wording.width(wording.short(event.name)) == 5


def test_result_of_a_transfer_of_nothing_new_is_described_as_such() -> None:
    files = (FileFinished("a", "skipped", 0, reason="it is there"),)
    event = Finished(True, 0, 0, 2.0, files, "receiver")
    assert wording.describe_result(event) == "nothing was received: everything was left out"


def test_long_sentence_loses_its_end_between_words() -> None:
    said = wording.sentence("word " * 300)
    assert said.endswith(" word...")
    assert wording.width(said) <= wording.LONGEST_MESSAGE
    assert wording.clipped("/a/path/without/a/space", 10) == "/a/path..."


@given(st.text(max_size=40), st.integers(1, 100))
def test_long_name_is_shown_by_its_beginning_and_its_end(middle: str, times: int) -> None:
    name = "first" + middle * times + "last.txt"
    said = wording.short(name).strip("\u2068\u2069")
    assert said.isprintable()
    assert wording.width(said) <= 200
    assert said.startswith("first")
    assert said.endswith("last.txt")
    assert said == printable(name) or ".." in said


def test_whatever_a_peer_calls_things_a_line_stays_short() -> None:
    name = "../" + "\U000e0001" * 4000
    refused = FileFinished(name, "failed", 0, reason="refused: unsafe")
    offered = ManifestKnown([Entry(name), Entry(name, Kind.LINK, target=name)])
    assert len(wording.describe_file(refused)) < 500
    assert len(wording.describe_manifest(offered)) < 1000
    assert all(len(line) < 500 for line in wording.list_entries(offered))
    assert len(wording.describe_connection(Connected("direct", "", "", name, None, name))) < 500
