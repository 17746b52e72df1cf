"""The limit that the transfers of a process share, and what a receiver acknowledges under it."""

from __future__ import annotations

import asyncio

import pytest

from dcsend.errors import UsageError
from dcsend.session.limiting import RateLimit, Unacknowledged, parse_rate

VIRTUAL_TIME = True


async def passed(limit: RateLimit, seconds: float, *, takers: int = 1) -> list[int]:
    """Return how many bytes each of several takers gets within a time."""
    got = [0] * takers

    async def take(number: int) -> None:
        while True:
            size = min(limit.piece, 50_000)
            await limit.take(size)
            got[number] += size

    tasks = [asyncio.create_task(take(number)) for number in range(takers)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return got


async def test_limit_is_kept() -> None:
    (got,) = await passed(RateLimit(2_000_000), 10)
    assert got == pytest.approx(20_000_000, rel=0.01)


async def test_transfers_share_the_limit_evenly() -> None:
    got = await passed(RateLimit(3_000_000), 10, takers=3)
    assert got == [pytest.approx(10_000_000, rel=0.01)] * 3


async def test_change_has_effect_at_once_on_what_waits() -> None:
    limit = RateLimit(1000)
    waiting = asyncio.create_task(limit.take(50_000))
    second = asyncio.create_task(limit.take(50_000))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    limit.change(None)
    async with asyncio.timeout(0.001):
        await asyncio.gather(waiting, second)


async def test_lower_rate_has_effect_at_once() -> None:
    limit = RateLimit(None)
    limit.change(100_000)
    (got,) = await passed(limit, 2)
    assert got == pytest.approx(200_000, rel=0.03)


async def test_cancelled_transfer_leaves_its_turn_to_the_next_one() -> None:
    limit = RateLimit(1000)
    await limit.take(1000)
    first = asyncio.create_task(limit.take(50))
    second = asyncio.create_task(limit.take(50))
    await asyncio.sleep(0.1)
    first.cancel()
    async with asyncio.timeout(1.2):
        await second


async def test_change_is_reported_while_it_is_watched() -> None:
    limit, changes = RateLimit(), []
    with limit.watched(lambda: changes.append(limit.rate)):
        limit.change(5000)
        limit.change(None)
    limit.change(6000)
    assert changes == [5000, None]


async def test_window_is_half_a_second_of_the_rate() -> None:
    most = 8 << 20
    assert RateLimit(2_000_000).window(most, divides=True) == 1_000_000
    assert RateLimit(1000).window(most, divides=True) == 16 << 10
    assert RateLimit(1000).window(most, divides=False) == 2 * 64_960
    assert RateLimit(10**9).window(most, divides=True) == most
    assert RateLimit(None).window(most, divides=True) == most


def test_written_bytes_are_acknowledged_by_what_counts() -> None:
    written = Unacknowledged()
    written.add(1000, 1000)
    written.add(500, 24)  # a hole
    written.add(700, 700)
    assert (written.total, written.counted(300)) == (2200, 300)
    written.remove(300)
    assert (written.total, written.counted(5000)) == (1900, 700)
    written.remove(700)
    assert (written.total, written.counted(5000)) == (1200, 24)
    written.remove(24)
    assert written.total == 700
    written.shrink(500)
    assert (written.total, written.counted(5000)) == (500, 500)
    written.remove(500)
    assert written.total == 0
    assert not written.added.is_set()


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1000", 1000), ("500K", 5e5), ("2M", 2e6), (" 1.5g ", 1.5e9), ("2 m", 2e6), ("OFF", None)],
)
def test_rate_is_read(text: str, rate: float | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "M", "2T", "-1M", "0", "999", "2MiB", "nan", "1e6", "٢M", "9" * 13 + "K"]
)
def test_text_that_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a rate"):
        parse_rate(text)


@pytest.mark.parametrize("rate", [0, -1, 999, float("nan"), float("inf"), 10**400])
def test_limit_that_is_too_low_or_no_number_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="a limit has 1000 to"):
        RateLimit(rate)
    limit = RateLimit(5000)
    with pytest.raises(UsageError, match="a limit has 1000 to"):
        limit.change(rate)
    assert limit.rate == 5000
