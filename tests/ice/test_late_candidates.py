"""Candidates that come while checks run (RFC 8838), over the simulated network of `test_ice`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dcsend.ice.connection import IceConnection, is_relayed
from tests.ice.test_ice import DELAY, Agent, Both, asked, direct

VIRTUAL_TIME = True
"The tests are about the times of checks; see tests/support/virtual_time.py."


@pytest.fixture
async def late() -> AsyncIterator[Both]:
    """Two sides, each with a relay, that have no candidates of each other yet."""
    made = Both()
    offering, answering = IceConnection(ice_controlling=True), IceConnection(ice_controlling=False)
    made.a = Agent("a", made.network, offering, relay=True)
    made.b = Agent("b", made.network, answering, relay=True)
    for end, other in ((made.a, made.b), (made.b, made.a)):
        end.ice.remote_username = other.ice.local_username
        end.ice.remote_password = other.ice.local_password
    yield made
    await made.a.ice.close()
    await made.b.ice.close()


async def until_direct(both: Both, seconds: float) -> None:
    """Wait until both sides use the direct path."""
    async with asyncio.timeout(seconds):
        while is_relayed(both.a.pair) or is_relayed(both.b.pair):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_address_that_is_gathered_late_is_checked_with_the_known_candidates(
    late: Both,
) -> None:
    late.network.passes = lambda source, target, data: not direct(source, target)
    ice, relay = late.a.ice, late.a.protocols[1]
    ice._protocols.remove(relay)
    ice._local_candidates.remove(relay.local_candidate)
    await ice.add_remote_candidate(late.b.ice.local_candidates[0])
    connecting = asyncio.gather(ice.connect(), late.b.ice.connect())
    await asyncio.sleep(1)
    assert not asked(late, "10.2.0.1", "10.1.0.2")
    ice.add_protocol(relay)
    async with asyncio.timeout(1):
        await connecting
    assert late.a.path == ("10.2.0.1", "10.1.0.2")


async def test_a_direct_candidate_that_arrives_after_a_relayed_pair_is_used_replaces_it(
    late: Both,
) -> None:
    here, there = late.a.ice.local_candidates, late.b.ice.local_candidates
    await late.a.ice.add_remote_candidate(there[1])
    await late.b.ice.add_remote_candidate(here[1])
    late.network.passes = lambda source, target, data: not direct(source, target)
    await asyncio.gather(late.a.ice.connect(), late.b.ice.connect())
    assert is_relayed(late.a.pair)
    assert is_relayed(late.b.pair)
    late.network.passes = lambda source, target, data: True
    await late.a.ice.add_remote_candidate(there[0])
    await until_direct(late, 1)


async def test_a_direct_candidate_is_checked_although_a_nomination_arrives_at_that_moment(
    late: Both,
) -> None:
    """At a nomination aioice removes all pairs without a check."""
    here, there = late.a.ice.local_candidates, late.b.ice.local_candidates
    await late.a.ice.add_remote_candidate(there[1])
    await late.b.ice.add_remote_candidate(here[1])
    late.network.passes = lambda source, target, data: not direct(source, target)
    await asyncio.gather(late.a.ice.connect(), late.b.ice.connect())
    # As if its pair still waited for its turn.
    await asyncio.sleep(4 * DELAY)
    begin, late.b.ice._begin_checks = late.b.ice._begin_checks, lambda: None  # type: ignore[method-assign]
    await late.b.ice.add_remote_candidate(here[0])
    late.b.ice._begin_checks = begin  # type: ignore[method-assign]
    late.b.ice.check_complete(late.b.pair)
    await asyncio.sleep(4 * DELAY)
    assert asked(late, "10.1.0.2", "10.1.0.1")


async def test_no_candidate_is_checked_once_a_direct_path_is_used(late: Both) -> None:
    here, there = late.a.ice.local_candidates, late.b.ice.local_candidates
    await late.a.ice.add_remote_candidate(there[0])
    await late.b.ice.add_remote_candidate(here[0])
    await asyncio.gather(late.a.ice.connect(), late.b.ice.connect())
    await asyncio.sleep(4 * DELAY)
    count = len(late.network.sent)
    await late.a.ice.add_remote_candidate(there[1])
    await asyncio.sleep(4 * DELAY)
    assert len(late.network.sent) == count
