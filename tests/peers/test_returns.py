"""Which connections a listener counts: `Places` and `Returns`, without a network."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.ice.checks import Refusal
from dcsend.net.address import Address
from dcsend.peers.places import Places
from dcsend.peers.returning import Returns

HERE, THERE = ("192.0.2.1", 4000), ("198.51.100.7", 5000)


class Dial:
    """A dial with open channels."""

    def __init__(self, fingerprint: bytes = b"1") -> None:
        self.connection = object()
        self.fingerprint = fingerprint
        self.is_kept = False

    def keep(self) -> None:
        """Note it."""
        self.is_kept = True


def dials(*fingerprints: bytes) -> list[Any]:
    return [Dial(one) for one in fingerprints]


def check(transaction: bytes, fingerprint: bytes = b"1") -> Any:  # noqa: ANN401 - a stand-in
    """Return what is used of a check."""
    return SimpleNamespace(
        credentials=SimpleNamespace(fingerprint=fingerprint),
        message=SimpleNamespace(transaction_id=transaction),
    )


async def test_dial_beyond_the_number_is_refused_as_busy_until_a_place_is_free() -> None:
    places = Places[Any](2)
    one, two, three = dials(b"1", b"2", b"3")
    refusals = []
    for dial in (one, two):
        refusals.append(places.refusal)
        assert places.take(dial)
    refusals.append(places.refusal)
    assert not places.take(three)
    places.leave(one.connection)
    refusals.append(places.refusal)
    assert places.take(three)
    assert refusals == [None, None, Refusal.BUSY, None]
    places.limit(1)
    assert [*places] == [two, three], "connections that are above the limit stay"
    assert not places.take(one)


async def test_dial_that_has_left_is_not_returned() -> None:
    places = Places[Any](2)
    left, stays = dials(b"1", b"2")
    places.take(left)
    places.take(stays)
    places.leave(left.connection)
    assert await places.next() is stays


async def test_after_the_end_all_are_refused_with_its_first_reason() -> None:
    places = Places[Any](2)
    places.end(Refusal.USED)
    places.end(Refusal.EXPIRED)
    assert places.refusal is Refusal.USED
    assert not places.take(dials(b"1")[0])


async def test_closing_ends_all_that_wait_for_a_dial() -> None:
    places = Places[Any](1)
    waiting = [asyncio.create_task(places.next()) for _ in range(2)]
    await asyncio.sleep(0)
    places.close()
    for task in waiting:
        with pytest.raises(ConnectionFailed):
            await asyncio.wait_for(task, 5)
    assert not places.take(dials(b"1")[0])


async def test_connection_that_takes_over_has_the_place_and_the_patience_of_the_former() -> None:
    places = Places[Any](1)
    former, later = dials(b"1", b"1")
    places.take(former)
    places.keep(former.connection)
    places.replace(former.connection, later)
    assert (later in places, former in places, later.is_kept) == (True, False, True)


async def begun(returns: Returns[Any], *asked: tuple[Any, Address]) -> list[tuple[Any, Address]]:
    """Return the dials that begin when these checks arrive at once."""
    found: list[tuple[Any, Address]] = []

    def begin(check: object, source: Address) -> None:
        found.append((check, source))

    for one, source in asked:
        returns.ask(one, source, begin)
    await asyncio.sleep(0)
    return found


async def test_of_the_checks_that_arrive_at_once_the_last_begins_a_dial() -> None:
    returns = Returns[Any]()
    returns.permit(dials(b"1")[0])
    first, last = check(b"a"), check(b"b")
    assert await begun(returns, (first, HERE), (last, THERE)) == [(last, THERE)]
    assert await begun(returns, (first, HERE)) == [(first, HERE)]


async def test_copy_of_a_check_from_elsewhere_does_not_move_the_dial_there() -> None:
    returns = Returns[Any]()
    returns.permit(dials(b"1")[0])
    one = check(b"a")
    assert await begun(returns, (one, HERE), (check(b"a"), THERE)) == [(one, HERE)]


async def test_each_dialer_with_a_permit_begins_a_dial_of_its_own() -> None:
    returns = Returns[Any]()
    for dial in dials(b"1", b"2"):
        returns.permit(dial)
    one, other = check(b"a", b"1"), check(b"b", b"2")
    assert await begun(returns, (one, HERE), (other, THERE)) == [(one, HERE), (other, THERE)]


async def test_dialer_whose_permit_was_revoked_meanwhile_begins_nothing() -> None:
    returns = Returns[Any]()
    (dial,) = dials(b"1")
    returns.permit(dial)
    found: list[object] = []
    returns.ask(check(b"a"), HERE, lambda check, source: found.append(source))
    returns.revoke(dial)
    await asyncio.sleep(0)
    assert not found
    assert not returns.completed(dial)


async def test_end_of_a_former_connection_does_not_revoke_the_permit_of_the_present_one() -> None:
    returns = Returns[Any]()
    former, present, next_one = dials(b"1", b"1", b"1")
    returns.permit(former)
    returns.permit(present)
    returns.revoke(former)
    assert returns.is_by(b"1")
    assert returns.completed(next_one)
    assert await returns.next(cast(Any, present)) is next_one
    returns.revoke(present)
    assert not returns.is_by(b"1")
