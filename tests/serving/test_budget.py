"""How many requests a second are answered, and whose."""

from __future__ import annotations

import asyncio
from collections import Counter

from dcsend.serving.budget import Budget

VIRTUAL_TIME = True


class Requests:
    """Requests of several addresses, and when each of them was answered."""

    def __init__(self, rate: float = 10.0) -> None:
        self._budget = Budget(rate)
        self.answered: list[tuple[float, str]] = []

    async def send(self, host: str) -> None:
        """Send one request; return when it may be answered."""
        await self._budget.turn(host)
        self.answered.append((asyncio.get_running_loop().time(), host))


async def test_requests_of_one_second_are_answered_at_once_and_later_ones_at_the_rate() -> None:
    requests = Requests()
    await asyncio.gather(*(requests.send("a") for _ in range(15)))
    times = [round(when, 3) for when, _ in requests.answered]
    assert times == [0.0] * 10 + [0.1, 0.2, 0.3, 0.4, 0.5]


async def test_pause_saves_the_requests_of_one_second_at_most() -> None:
    requests = Requests()
    await asyncio.sleep(100)
    await asyncio.gather(*(requests.send("a") for _ in range(12)))
    assert [round(when, 3) for when, _ in requests.answered] == [100.0] * 10 + [100.1, 100.2]


async def test_address_that_sends_many_requests_delays_its_own_ones_only() -> None:
    requests = Requests()
    flood = asyncio.gather(*(requests.send("a") for _ in range(60)))
    await asyncio.sleep(1.05)
    async with asyncio.timeout(0.3):  # two turns: that of the other address, and its own
        await requests.send("b")
    await flood
    assert Counter(host for _, host in requests.answered) == {"a": 60, "b": 1}


async def test_request_whose_connection_has_ended_uses_no_turn() -> None:
    requests = Requests()
    tasks = [asyncio.create_task(requests.send("a")) for _ in range(60)]
    await asyncio.sleep(0.05)
    for task in tasks[10:]:
        task.cancel()
    await requests.send("a")
    assert round(requests.answered[-1][0], 3) == 0.1
