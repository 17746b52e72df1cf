"""Numbers of short codes that the user has chosen, over real multicast."""

from __future__ import annotations

from typing import cast

import pytest

from dcsend.errors import UsageError
from dcsend.rendezvous import discovery
from dcsend.session import allocation
from dcsend.session.allocation import Allocation
from dcsend.session.hosting import Hosting
from dcsend.settings import Settings
from tests.support.inside import inside, linked
from tests.support.netns import MakeLan, lan

__all__ = ["lan", "linked"]

pytestmark = pytest.mark.full


async def allocate(number: str) -> None:
    """Take a number that another device in the network has."""
    # No page is needed before the number is known to be free.
    allocating = Allocation(Settings(mdns=True), lambda event: None, cast("Hosting", None))
    async with allocating.mailboxes(number):
        pass


def test_chosen_number_of_another_code_is_refused_although_its_device_is_slow(
    linked: MakeLan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new number can replace one that is taken; a chosen one would be of no use to either."""
    monkeypatch.setattr(allocation, "_PATIENCE", 50)
    with inside(*linked(ipv6=False).hosts) as (one, other):
        allocating = other.start(allocate("77"))
        with one.within(discovery.announced("77", 4711)), pytest.raises(UsageError) as caught:
            allocating.result()
    assert caught.value.message == "another code in this network has the number 77"
