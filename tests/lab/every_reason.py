"""Does each side report why it does not connect, in each network? `make lab`.

    python -m pytest tests/lab/every_reason.py

`test_reasons` has a sample, `tests/programs/test_slow_wait.py` the sides that wait.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dcsend.peers.situations import Role, Situation
from tests.lab.situations import CASES, Case
from tests.lab.unmet import reason, reports

ROWS = [
    pytest.param(role, which, case, id=f"{role}: {which}: {case}")
    for (role, which), cases in CASES.items()
    for case in cases
    if role in (Role.DIALER, Role.OFFERER) or which is Situation.CHECKS_ARRIVE
]


@pytest.mark.parametrize(("role", "which", "case"), ROWS)
def test_side_that_tries_to_connect_reports_why_it_does_not(
    role: Role, which: Situation, case: Case, tmp_path: Path
) -> None:
    event, status = reason(role, case, tmp_path)
    assert reports(event, role, which), event
    assert (event["kind"], status) == ("connection", 5)
