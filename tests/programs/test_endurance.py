"""A sample of `make endurance`: what a receiver that stays uses after transfers with faults."""

from __future__ import annotations

import sys

import pytest

from tests.endurance import carry_out


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_receiver_that_stays_uses_no_more_after_transfers_with_faults() -> None:
    # Those that are given up after 30 s only are in `make endurance`.
    run = await carry_out(30, 4, seed=3, without=("cut", "killed"))
    assert not run.faults
    assert run.status == 0
    assert sum(run.kinds.values()) == 30
    assert len(run.kinds) >= 4
    first, last = run.samples[0], run.samples[-1]
    assert last.threads <= first.threads
    assert last.descriptors <= first.descriptors
    assert last.memory - first.memory < 40
