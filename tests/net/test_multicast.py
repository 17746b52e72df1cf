"""Leaving the groups of mDNS, without a network."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dcsend.net.multicast import joined


class _Groups:
    """Takes the place of AsyncZeroconf; its end waits for `left`."""

    def __init__(self) -> None:
        self.zeroconf = self
        self.cache = None
        self.leaving, self.left = asyncio.Event(), asyncio.Event()

    def async_add_listener(self, listener: object, question: object) -> None:
        """Ignore a listener."""

    async def async_update_interfaces(self, interfaces: object) -> None:
        """Ignore new interfaces."""

    async def async_close(self) -> None:
        """Wait for `left`."""
        self.leaving.set()
        await self.left.wait()


@pytest.mark.parametrize("times", [1, 2])
async def test_task_that_is_cancelled_while_it_leaves_the_groups_is_cancelled(times: int) -> None:
    """The code of a run that has ended would be shown, and the run would wait for its joiner."""
    groups = _Groups()
    went_on = False

    async def use() -> None:
        nonlocal went_on
        async with joined(lambda: cast(Any, groups)):
            pass
        went_on = True

    task = asyncio.create_task(use())
    await groups.leaving.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done(), "the groups are left first"
    groups.left.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert not went_on


async def test_groups_are_left_when_the_last_of_their_users_has_ended() -> None:
    groups = _Groups()
    groups.left.set()
    async with joined(lambda: cast(Any, groups)) as first:
        async with joined() as second:
            assert first is second
        assert not groups.leaving.is_set()
    assert groups.leaving.is_set()
