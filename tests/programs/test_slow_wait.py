"""The notes of a side that waits: at once, and after a minute without a check.

All cases run at the same time in one test, beside other tests (scripts/tests.py).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.peers.situations import Role, Situation
from dcsend.session.waiting import NO_CHECK_SECONDS
from dcsend.signaling import blob
from tests.lab.laboratory import Lab
from tests.lab.unmet import SILENT, reports
from tests.support.processes import PATIENCE, Event, Program

NO_STUN: Final = {"DCSEND_STUN": SILENT}


def offer() -> str:
    """Return the offer of a peer that does not exist."""
    places = (Candidate(CandidateType.HOST, "203.0.113.99", 40_000, 1),)
    return blob.encode(
        Description(SdpType.OFFER, "abcd", "p" * 22, bytes(32), Setup.ACTPASS, places)
    )


def note(program: Program, role: Role, which: Situation, patience: float) -> Event:
    """Wait for a note."""

    def wanted(event: Event) -> bool:
        return event["event"] == "error" and reports(event, role, which)

    event = program.until(wanted, f"note: {which}", patience)
    assert (event["kind"], event["fatal"]) == ("waiting", False)
    return event


def test_side_that_waits_reports_what_may_keep_the_other_one_away(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"film")
    listener, answerer = Role.LISTENER, Role.ANSWERER
    with Lab("restricted-public") as lab:
        film, out = tmp_path / "film", tmp_path / "out"
        behind = lab.send(lab.a, film)
        waiting = [
            (behind, listener, Situation.NO_CHECK_NAT),
            (lab.send(lab.b, film), listener, Situation.NO_CHECK),
            (
                lab.send(lab.a, film, environment=NO_STUN),
                listener,
                Situation.NO_CHECK_STUN,
            ),
            (lab.receive(lab.a, offer(), out), answerer, Situation.NO_CHECK),
            (
                lab.receive(lab.a, offer(), out, environment=NO_STUN),
                answerer,
                Situation.NO_CHECK_STUN,
            ),
        ]
        began = time.monotonic()
        note(behind, listener, Situation.NAT_HERE, PATIENCE)
        assert time.monotonic() - began < PATIENCE
        for program, role, which in waiting:
            event = note(program, role, which, NO_CHECK_SECONDS + PATIENCE)
            shown = program.so_far("code") + program.so_far("description")
            after = program.at(event) - program.at(shown[0])
            assert after > NO_CHECK_SECONDS - 1
