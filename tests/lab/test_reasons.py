"""Does each side report why it does not connect, in the network that is the reason? A sample.

`every_reason` has all reasons.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dcsend.peers.situations import Role, Situation
from tests.lab.situations import CASES, Case
from tests.lab.unmet import reason, reports

SAMPLE = (
    (Role.DIALER, Situation.SAME_NETWORK),
    (Role.DIALER, Situation.UDP_BLOCKED),
    (Role.OFFERER, Situation.SYMMETRIC),
    (Role.OFFERER, Situation.SAME_NAT),
)

ROWS = [
    pytest.param(role, which, CASES[role, which][0], id=f"{role}: {which}")
    for role, which in SAMPLE
]


@pytest.mark.parametrize(("role", "which", "case"), ROWS)
def test_side_that_tries_to_connect_reports_why_it_does_not(
    role: Role, which: Situation, case: Case, tmp_path: Path
) -> None:
    event, status = reason(role, case, tmp_path)
    assert reports(event, role, which), event
    assert (event["kind"], status) == ("connection", 5)
