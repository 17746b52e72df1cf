"""Copies and forged datagrams between two agents, over the simulated network of `test_ice`."""

from __future__ import annotations

import asyncio

import pytest
from aioice.stun import Class, Message, Method, parse_message

from dcsend.ice import consent
from dcsend.ice.agent import UNSIGNED_PER_SECOND, nominated
from dcsend.ice.rate_limits import REPEATS_PER_SECOND
from dcsend.ice.request_filter import RequestFilter
from tests.ice.test_ice import PEER_A, Address, Both, both, connected

__all__ = ["both"]

VIRTUAL_TIME = True


async def test_response_from_another_address_alone_validates_no_pair(both: Both) -> None:
    await both.make()

    def passes(source: Address, target: Address, data: bytes) -> bool:
        if data[:2] == b"\1\1":
            both.network.protocols[target].datagram_received(data, ("10.9.9.9", 9))
            return False
        return True

    both.network.passes = passes
    connecting = [asyncio.create_task(end.ice.connect()) for end in (both.a, both.b)]
    await asyncio.wait(connecting, timeout=5)
    assert nominated(both.a.ice) is nominated(both.b.ice) is None
    both.network.passes = lambda source, target, data: True
    async with asyncio.timeout(10):
        await asyncio.gather(*connecting)


async def test_copies_beyond_their_limit_are_dropped_before_they_are_authenticated() -> None:
    forged = list[bytes]()
    key, source = "k" * 24, ("192.0.2.7", 9)
    requests = RequestFilter(key, parse_message, forged=lambda data, source: forged.append(data))
    request = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": "a:b"})
    request.add_message_integrity(key.encode())
    recorded = bytes(request)
    handled = [requests.from_routed(recorded, source) for _ in range(2 * REPEATS_PER_SECOND)]
    assert sum(message is not None for message in handled) == 1 + REPEATS_PER_SECOND
    changed = recorded[:-9] + bytes([recorded[-9] ^ 1]) + recorded[-8:]
    assert requests.from_routed(changed, source) is None
    assert forged == []
    await asyncio.sleep(1)
    assert requests.from_routed(changed, source) is None
    assert forged == [changed]


@pytest.mark.parametrize("kind", [b"\0\1", b"\1\1"], ids=["request", "response"])
async def test_copy_of_a_consent_check_or_its_response_is_no_sign_of_life(
    both: Both, kind: bytes
) -> None:
    await connected(both)
    await asyncio.sleep(4 * consent.INTERVAL)
    recorded = [sent for sent in both.network.sent if sent[2][:2] == kind and sent[1][0] == PEER_A]
    await asyncio.sleep(2 * both.network.delay)  # the last of them has arrived, too
    both.network.passes = lambda source, target, data: False
    arrived = both.a.ice.arrived
    for _ in range(2):
        for source, target, data in recorded:
            both.network.protocols[target].datagram_received(data, source)
    assert len(recorded) > 3
    assert both.a.ice.arrived == arrived


async def test_controlling_side_nominates_with_each_consent_check(both: Both) -> None:
    """As Chromium does."""
    await connected(both)
    both.network.sent.clear()
    await asyncio.sleep(4 * consent.INTERVAL)
    nominates = {"10.1.0.1": set[bool](), "10.1.0.2": set[bool]()}
    for source, _, data in both.network.sent:
        if data[:2] == b"\0\1":
            nominates[source[0]].add("USE-CANDIDATE" in parse_message(data).attributes)
    assert nominates == {"10.1.0.1": {True}, "10.1.0.2": {False}}


def error(request: bytes, code: int, key: str = "") -> bytes:
    """Return an error response to a request, signed if there is a key."""
    parsed = parse_message(request)
    response = Message(
        message_method=Method.BINDING,
        message_class=Class.ERROR,
        transaction_id=parsed.transaction_id,
        attributes={"ERROR-CODE": (code, "no")},
    )
    if key:
        response.add_message_integrity(key.encode())
    return bytes(response)


async def test_role_conflict_that_the_peer_reports_does_not_end_the_check(both: Both) -> None:
    await both.make()
    refused = list[bytes]()

    def passes(source: Address, target: Address, data: bytes) -> bool:
        if data[:2] != b"\0\1" or source[0] != PEER_A or len(refused) == 2:
            return True
        refused.append(data)
        answer = error(data, 487, both.b.ice.local_password)
        both.network.protocols[source].datagram_received(answer, target)
        return False

    both.network.passes = passes
    async with asyncio.timeout(5):
        await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    assert len(refused) == 2
    assert both.a.refusals == []
    assert both.a.ice.ice_controlling


async def test_unsigned_error_responses_are_read_only_so_many_times(both: Both) -> None:
    await both.make()
    both.network.passes = lambda source, target, data: False
    connecting = asyncio.create_task(both.a.ice.connect())
    await asyncio.sleep(0.01)
    source, target, request = both.network.sent[0]
    for _ in range(10 * UNSIGNED_PER_SECOND):
        both.network.protocols[source].datagram_received(error(request, 401), target)
    assert both.a.refusals == [401] * UNSIGNED_PER_SECOND
    connecting.cancel()
    await asyncio.wait({connecting})
