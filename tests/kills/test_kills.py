"""Programs that are killed: a sample of `make faults PART=kills`."""

from __future__ import annotations

import pytest

from tests.kills.rounds import carry_out

pytestmark = pytest.mark.full


@pytest.mark.parametrize("seed", [1, 6, 8, 12])
def test_killed_program_leaves_what_the_next_run_completes(seed: int) -> None:
    result = carry_out(seed)
    assert not result.faults, "\n".join(result.faults)
    assert sum(result.kills.values())
