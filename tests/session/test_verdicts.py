"""Verdicts of a run in little memory: what goes in comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.entry import Entry
from dcsend.session.verdicts import FileFinished, Verdicts

FILES = st.builds(
    FileFinished,
    st.text(max_size=20),
    st.sampled_from(["ok", "mismatch", "failed", "skipped"]),
    st.integers(0, 2**53),
    st.text(max_size=20) | st.just("out/a"),
    st.just("") | st.binary(min_size=32, max_size=32).filter(any).map(bytes.hex),
    st.text(max_size=20),
    st.sampled_from([0, 3, 4, 6]),
)


@pytest.mark.full
@given(st.lists(FILES, max_size=10))
def test_what_is_returned_is_what_was_added(files: list[FileFinished]) -> None:
    verdicts = Verdicts()
    verdicts.entries = [Entry(file.path) for file in files]
    for number, file in enumerate(files):
        verdicts.add(file, number if number % 3 else None)
    assert verdicts == files
    assert list(verdicts) == verdicts[:] == files
    assert verdicts.good == sum(file.status == "ok" for file in files)
    assert verdicts.faults == {
        status: sum(file.exit == status for file in files)
        for status in {file.exit for file in files} - {0}
    }
    assert verdicts.first_bad == next((file for file in files if file.exit), None)
    assert verdicts.saved == any(file.where for file in files)


def test_reasons_of_a_peer_are_kept_up_to_a_number() -> None:
    files = [FileFinished(f"f{n}", "failed", 0, reason=f"{n}" * 100, exit=3) for n in range(2000)]
    reasons = [file.reason for file in Verdicts(files)]
    assert reasons[:900] == [file.reason for file in files[:900]]
    assert set(reasons[1000:]) == {"like many others"}
