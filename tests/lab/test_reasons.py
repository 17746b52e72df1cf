"""Is each side told why it does not connect, in the network that is the reason? A sample.

`every_reason` has all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dcsend.engines.situations import Role, Situation
from tests.lab.situations import CASES, Case
from tests.lab.unmet import is_told, reason

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
def test_side_that_tries_to_connect_is_told_why_it_does_not(
    role: Role, which: Situation, case: Case, tmp_path: Path
) -> None:
    told, status = reason(role, case, tmp_path)
    assert is_told(told, role, which), told
    assert (told["kind"], status) == ("connection", 5)
