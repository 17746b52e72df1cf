"""Why two sides do not connect: facts in, words out. Real networks: programs/test_connecting.py."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.peers.reasons import TABLE, error, situation, words
from dcsend.peers.situations import (
    Facts,
    IPInterface,
    NatMapping,
    Network,
    RemoteAddress,
    Role,
    Situation,
    Udp,
    foreseen,
    foreseen_while_waiting,
    situation_while_waiting,
)
from tests.lab.situations import CASES

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "connecting.md"

HOME: Final = "192.168.1.7/24"
PUBLIC: Final = "203.0.113.9/32"
SIX: Final = "2001:db8:1::7/64"
TWO_SERVERS: Final = ("stun.example.org:3478", "stun.example.net:3478")


def own(*addresses: str) -> tuple[IPInterface, ...]:
    return tuple(map(ipaddress.ip_interface, addresses))


def facts(role: Role, *theirs: str, here: tuple[str, ...] = (HOME,), **more: Any) -> Facts:  # noqa: ANN401 - the fields of Facts
    """Return facts about a peer at *theirs*, all with a route and at port 40000."""
    places = tuple(RemoteAddress(host, 40_000) for host in theirs)
    more.setdefault("routed", frozenset(theirs))
    return Facts(role, places, own(*here), **more)


def seen(*places: tuple[str, int]) -> dict[str, Any]:
    """Return what STUN servers answered."""
    return {"servers": TWO_SERVERS[: max(1, len(places))], "mapped": places}


NAT_THERE: Final = ("10.9.9.9", "198.51.100.1")
"What is in the code of a listener behind a NAT elsewhere."


@pytest.mark.parametrize(
    ("theirs", "more", "expected"),
    [
        (["192.168.1.9"], {}, Situation.SAME_NETWORK),
        (["192.168.1.9"], {"closed": frozenset({"192.168.1.9"})}, Situation.PORT_CLOSED),
        (["192.168.1.9"], {"servers": TWO_SERVERS, "tcp": True}, Situation.SAME_NETWORK),
        (["192.168.1.9", "198.51.100.1"], seen(("203.0.113.1", 5)), Situation.SAME_ADDRESSES),
        (["192.168.1.9", "203.0.113.1"], seen(("203.0.113.1", 5)), Situation.SAME_NETWORK),
        (["192.168.1.9", "198.51.100.1"], {}, Situation.SAME_NETWORK),
        (["192.168.1.7"], {}, Situation.THIS_MACHINE),
        (["192.168.1.7", "198.51.100.1"], seen(("203.0.113.1", 5)), Situation.SAME_ADDRESSES),
        (["127.0.0.1"], {}, Situation.THIS_MACHINE),
        (["10.9.9.9", "203.0.113.1"], seen(("203.0.113.1", 5)), Situation.SAME_NAT),
        (NAT_THERE, {"servers": TWO_SERVERS, "tcp": True}, Situation.UDP_BLOCKED),
        (NAT_THERE, {"servers": TWO_SERVERS[:1], "tcp": True}, Situation.STUN_SILENT),
        (NAT_THERE, {"servers": TWO_SERVERS}, Situation.NO_INTERNET),
        (
            ["198.51.100.1"],
            {"servers": TWO_SERVERS, "tcp": True, "closed": frozenset({"198.51.100.1"})},
            Situation.UDP_BLOCKED,
        ),
        (NAT_THERE, seen(("203.0.113.1", 5), ("203.0.113.1", 6)), Situation.SYMMETRIC),
        (NAT_THERE, seen(("203.0.113.1", 5), ("203.0.113.1", 5)), Situation.NAT),
        (NAT_THERE, seen(("203.0.113.1", 5)), Situation.NAT),
        (NAT_THERE, {}, Situation.NAT),
        (NAT_THERE, {"closed": frozenset(NAT_THERE)}, Situation.NAT),
        (NAT_THERE, {"here": (PUBLIC,), **seen(("203.0.113.9", 5))}, Situation.OPEN_HERE),
        (["198.51.100.1"], seen(("203.0.113.1", 5)), Situation.FIREWALL),
        (["198.51.100.1"], {"closed": frozenset({"198.51.100.1"})}, Situation.PORT_CLOSED),
        (["2001:db8:9::9"], {"here": (SIX,)}, Situation.FIREWALL),
        (["2001:db8:1::9"], {"here": (SIX,)}, Situation.SAME_NETWORK),
        (["10.9.9.9"], seen(("203.0.113.1", 5)), Situation.PRIVATE),
        (["192.168.1.9"], {"check_arrived": True}, Situation.CHECKS_ARRIVE),
    ],
)  # fmt: skip
def test_reasons_of_a_failed_dial_are_distinguished(
    theirs: list[str], more: dict[str, Any], expected: Situation
) -> None:
    assert situation(facts(Role.DIALER, *theirs, **more)) is expected


@pytest.mark.parametrize(
    ("theirs", "more", "expected"),
    [
        (["192.168.1.9"], {}, Situation.SAME_NETWORK),
        (["192.168.1.9"], {"closed": frozenset({"192.168.1.9"})}, Situation.SAME_NETWORK),
        (["192.168.1.9", "198.51.100.1"], seen(("203.0.113.1", 5)), Situation.SAME_ADDRESSES),
        (["x.local", "203.0.113.1"], seen(("203.0.113.1", 5)), Situation.SAME_NAT),
        (NAT_THERE, {"servers": TWO_SERVERS, "tcp": True}, Situation.UDP_BLOCKED),
        (NAT_THERE, seen(("203.0.113.1", 5), ("203.0.113.1", 6)), Situation.SYMMETRIC),
        (NAT_THERE, seen(("203.0.113.1", 5)), Situation.UNKNOWN),
        (["10.9.9.9"], seen(("203.0.113.1", 5)), Situation.PRIVATE),
        (["x.local"], seen(("203.0.113.1", 5)), Situation.PRIVATE),
        ([], {}, Situation.UNKNOWN),
        (NAT_THERE, {"relay": True}, Situation.RELAY_SILENT),
        (NAT_THERE, {"relay": True, "check_arrived": True}, Situation.CHECKS_ARRIVE),
        (["192.168.1.9"], {"relay": True}, Situation.RELAY_SILENT),
        (["x.local"], {"relay": True}, Situation.PRIVATE),
        (["10.9.9.9"], {"relay": True}, Situation.PRIVATE),
    ],
)
def test_reasons_of_a_failed_offer_are_distinguished(
    theirs: list[str], more: dict[str, Any], expected: Situation
) -> None:
    assert situation(facts(Role.OFFERER, *theirs, **more)) is expected


BLOCKED: Final = Network(udp=Udp.BLOCKED)
SYMMETRIC: Final = Network(NatMapping.ADDRESS_DEPENDENT, Udp.WORKS)


@pytest.mark.parametrize(
    ("theirs", "more", "expected"),
    [
        (["10.9.9.9"], {"there": BLOCKED, "relay": True}, Situation.UDP_BLOCKED_THERE),
        (
            ["10.9.9.9"],
            {"there": BLOCKED, "servers": TWO_SERVERS, "tcp": True},
            Situation.UDP_BLOCKED,
        ),
        (["192.168.1.9"], {"there": BLOCKED}, Situation.SAME_NETWORK),
        (["10.9.9.9"], {"there": BLOCKED, "check_arrived": True}, Situation.CHECKS_ARRIVE),
        (NAT_THERE, {"there": SYMMETRIC}, Situation.SYMMETRIC_THERE),
        (NAT_THERE, {"there": SYMMETRIC, "relay": True}, Situation.RELAY_SILENT),
        (NAT_THERE, seen(("203.0.113.1", 5), ("203.0.113.1", 6)), Situation.SYMMETRIC),
        (NAT_THERE, {"servers": TWO_SERVERS, "tcp": True}, Situation.UDP_BLOCKED),
        (["10.9.9.9", "203.0.113.1"], seen(("203.0.113.1", 5)), Situation.SAME_NAT),
        (NAT_THERE, {}, Situation.UNKNOWN),
        (["x.local"], seen(("203.0.113.1", 5)), Situation.PRIVATE),
        (["x.local", "10.9.9.9"], seen(("203.0.113.1", 5)), Situation.PRIVATE),
        (["x.local"], {"there": SYMMETRIC, "relay": True}, Situation.PRIVATE),
        (["x.local"], {"servers": TWO_SERVERS}, Situation.NO_INTERNET),
        (["x.local", "2001:db8:9::9"], {"routed": frozenset()}, Situation.NO_FAMILY),
        (
            ["x.local", "2001:db8:9::9"],
            {"routed": frozenset(), "relay": True},
            Situation.RELAY_SILENT,
        ),
        (["x.local", "2001:db8:9::9"], {}, Situation.UNKNOWN),
    ],
)
def test_reasons_of_a_failed_short_code_are_distinguished(
    theirs: list[str], more: dict[str, Any], expected: Situation
) -> None:
    assert situation(facts(Role.SHORT_CODE, *theirs, **more)) is expected


@pytest.mark.parametrize(
    ("here", "more", "expected"),
    [
        (HOME, {}, Network()),
        (HOME, {"servers": TWO_SERVERS}, Network()),
        (HOME, {"servers": TWO_SERVERS, "tcp": True}, BLOCKED),
        (HOME, {"servers": TWO_SERVERS[:1], "tcp": True}, Network()),
        (HOME, seen(("203.0.113.1", 5)), Network(udp=Udp.WORKS)),
        (HOME, seen(("203.0.113.1", 5), ("203.0.113.1", 6)), SYMMETRIC),
        (
            HOME,
            seen(("203.0.113.1", 5), ("203.0.113.1", 5)),
            Network(NatMapping.ENDPOINT_INDEPENDENT, Udp.WORKS),
        ),
        (PUBLIC, seen(("203.0.113.9", 5)), Network(NatMapping.NONE, Udp.WORKS)),
    ],
)
def test_the_network_of_a_side_is_what_two_stun_servers_show(
    here: str, more: dict[str, Any], expected: Network
) -> None:
    assert facts(Role.SHORT_CODE, *NAT_THERE, here=(here,), **more).network == expected


def test_error_of_a_short_code_has_what_both_sides_have_tried() -> None:
    behind = seen(("203.0.113.1", 5), ("203.0.113.1", 5))
    known = facts(Role.SHORT_CODE, *NAT_THERE, relay=True, there=SYMMETRIC, **behind)
    assert error(known, Situation.UNKNOWN).message == (
        "no path to the other side (tried from here: 2 addresses and a relay, NAT that is not "
        "symmetric; from there: 2 addresses, symmetric NAT)"
    )


def test_a_relay_of_the_other_side_is_one_too() -> None:
    theirs = (RemoteAddress("198.51.100.1", 5, relayed=True),)
    assert situation(Facts(Role.OFFERER, theirs, own(HOME))) is Situation.RELAY_SILENT


def test_a_relay_of_the_other_side_is_none_where_udp_is_blocked_here() -> None:
    theirs = (RemoteAddress("10.9.9.9", 5), RemoteAddress("198.51.100.1", 5, relayed=True))
    blocked = Facts(Role.OFFERER, theirs, own(HOME), servers=TWO_SERVERS, tcp=True)
    assert situation(blocked) is Situation.UDP_BLOCKED


def test_a_symmetric_nat_does_not_matter_where_both_have_ipv6() -> None:
    answers = seen(("203.0.113.1", 5), ("203.0.113.1", 6))
    both = facts(Role.OFFERER, *NAT_THERE, "2001:db8:9::9", here=(HOME, SIX), **answers)
    assert situation(both) is Situation.UNKNOWN


@pytest.mark.parametrize(
    ("theirs", "here", "more", "expected"),
    [
        (["2001:db8::9"], (HOME,), {}, Situation.NO_FAMILY),
        (["10.9.9.9"], (SIX,), {}, Situation.NO_FAMILY),
        (["10.9.9.9"], (), {}, Situation.NO_NETWORK),
        (["10.9.9.9"], (HOME,), {}, Situation.NO_ROUTE),
        (["10.9.9.9"], (SIX,), {"relay": True}, None),
        (["x.local"], (SIX,), {}, None),
        ([], (SIX,), {}, None),
        # A translator of this machine (464XLAT) gives it a route to IPv4.
        (["10.9.9.9"], (SIX,), {"routed": frozenset({"10.9.9.9"})}, None),
    ],
)
def test_what_is_known_at_once(
    theirs: list[str], here: tuple[str, ...], more: dict[str, Any], expected: Situation | None
) -> None:
    for role in (Role.DIALER, Role.OFFERER):
        known = facts(role, *theirs, here=here, **{"routed": frozenset[str](), **more})
        assert foreseen(known) is expected


def test_a_listener_behind_a_nat_gets_the_reason_at_once() -> None:
    behind = facts(Role.LISTENER, "192.168.1.7", **seen(("203.0.113.1", 5)))
    assert foreseen_while_waiting(behind) is Situation.NAT_HERE
    assert situation_while_waiting(behind) is Situation.NO_CHECK_NAT


@pytest.mark.parametrize(
    ("here", "more"),
    [
        ((PUBLIC,), seen(("203.0.113.9", 5))),
        ((HOME, SIX), seen(("203.0.113.1", 5))),
        ((HOME,), {}),
        ((HOME,), {"servers": TWO_SERVERS}),
    ],
    ids=["a public address", "IPv6, too", "no STUN server asked", "none answered"],
)
def test_nothing_is_claimed_of_a_listener_that_may_be_reachable(
    here: tuple[str, ...], more: dict[str, Any]
) -> None:
    theirs = [str(ipaddress.ip_interface(address).ip) for address in here]
    listener = facts(Role.LISTENER, *theirs, here=here, **more)
    assert foreseen_while_waiting(listener) is None


def test_an_answerer_gets_the_reason_at_once_without_a_common_family_else_later() -> None:
    other = facts(Role.ANSWERER, "2001:db8::9", routed=frozenset())
    assert foreseen_while_waiting(other) is Situation.NO_FAMILY
    assert situation_while_waiting(other) is Situation.NO_CHECK
    silent = facts(Role.ANSWERER, "10.9.9.9", servers=TWO_SERVERS)
    assert foreseen_while_waiting(silent) is None
    assert situation_while_waiting(silent) is Situation.NO_CHECK_STUN


def test_words_name_the_addresses_and_the_port() -> None:
    closed = facts(Role.DIALER, "192.168.1.9", "192.168.1.8", closed=frozenset({"192.168.1.8"}))
    shown = error(closed, Situation.PORT_CLOSED)
    assert shown.message == "192.168.1.8 can be reached, but its UDP port 40000 is closed"
    assert shown.exit_status == 5
    router = frozenset({"198.51.100.1"})  # rejects what comes to its own address
    near = facts(Role.DIALER, "198.51.100.1", "192.168.1.9", closed=router)
    shown = error(near, Situation.SAME_NETWORK)
    assert shown.message.startswith("no answer from 192.168.1.9, although")
    assert "open UDP port 40000" in shown.hint


_HOSTS = st.sampled_from(
    [
        *("192.168.1.7", "192.168.1.9", "10.9.9.9", "198.51.100.1", "203.0.113.1", "2001:db8::9"),
        *("2001:db8:1::9", "fd00::1", "127.0.0.1", "0a1b.local"),
    ]
)
_MAPPED = st.tuples(st.sampled_from(["203.0.113.1", "198.51.100.1", "2001:db8:1::7"]), st.just(5))
_FACTS = st.builds(
    Facts,
    role=st.sampled_from(Role),
    theirs=st.lists(st.builds(RemoteAddress, _HOSTS, st.just(5), st.booleans())).map(tuple),
    own=st.lists(st.sampled_from(own(HOME, PUBLIC, SIX))).map(tuple),
    routed=st.frozensets(_HOSTS),
    relay=st.booleans(),
    servers=st.sampled_from([(), TWO_SERVERS[:1], TWO_SERVERS]),
    mapped=st.lists(_MAPPED, max_size=2).map(tuple),
    check_arrived=st.booleans(),
    tcp=st.booleans(),
    closed=st.frozensets(_HOSTS),
    there=st.builds(Network, st.sampled_from(NatMapping), st.sampled_from(Udp)),
)


@given(_FACTS)
def test_whatever_is_known_there_are_words_for_it(known: Facts) -> None:
    if known.role is Role.DIALER and not known.hosts:
        return  # a code has an address at least, and no names
    if known.role in (Role.DIALER, Role.OFFERER, Role.SHORT_CODE):
        found = [foreseen(known), situation(known)]
    else:
        found = [foreseen_while_waiting(known), situation_while_waiting(known)]
    for which in found:
        if which is not None:
            message, hint = words(known, which)
            assert message
            assert "{" not in message + hint


_EXAMPLES: Final = {
    "hosts": "192.168.1.7, 203.0.113.1",
    "host": "192.168.1.7",
    "port": 40000,
    "public": "203.0.113.1",
    "theirs": "IPv6",
    "ours": "IPv4",
    "server": "stun.example.org:3478",
    "from_here": "2 addresses, symmetric NAT",
    "from_there": "3 addresses and a relay",
}


def test_the_document_shows_the_table() -> None:
    shown: dict[Role, list[tuple[str, ...]]] = {}
    role = None
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## .*\((.+)\)$", line):
            role = Role(heading[1]) if heading[1] in set(Role) else None
        elif line.startswith("| ") and role is not None:
            cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
            shown.setdefault(role, []).append(cells)
    for role in Role:
        assert shown[role][0] == ("situation", "message", "hint", "topology of the test")
        expected = [
            (
                which.value,
                *(f"`{text.format_map(_EXAMPLES)}`" if text else "" for text in reason),
                "<br>".join(map(str, CASES.get((role, which), ["scripted"]))),
            )
            for (whose, which), reason in TABLE.items()
            if whose is role
        ]
        assert shown[role][1:] == expected
