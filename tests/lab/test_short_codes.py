"""What short codes connect in which network between two terminals, and by which route.

`make lab` measures the same with pages.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.lab import DISTANT, TOPOLOGIES, Lab, rules
from tests.lab.short_codes import NO_SERVER, relayed
from tests.lab.ways import STUN, Attempt, Outcome, short_code
from tests.support.load import slowness
from tests.support.page import random_file

AT_ONCE: Final = 6
"Networks at the same time, which mostly wait."
ADVICE: Final = 20.0
"Seconds until both sides have reported why there is no path."

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "lan-dual": ("IPv4", "IPv6"),
    "lan-v6": ("IPv6",),
    "v6-public": ("IPv6",),
    "v6-firewalls": ("IPv6",),
    "dslite": ("IPv6",),
}
"The families that a route may have, where they are not IPv4."

DIRECT: Final = tuple(
    name for name, topology in TOPOLOGIES.items() if topology.codes and name not in NO_SERVER
)
LOCAL: Final = (*NO_SERVER, "lan-v6")
"Topologies in which a short code connects without a server."
RELAYED: Final = tuple(name for name, topology in TOPOLOGIES.items() if not topology.codes)
TRANSPORTS: Final = ("tcp", "tls", "tls443")
"Ways to a relay, besides that of each topology."
PREFERRED: Final = (
    *("lan", "restricted-restricted", "fullcone-symmetric", "symmetric-addrestricted"),
    *("broken6", "dslite", "v6-firewalls", "lan-offline"),
)
"Topologies in which a relay is named and must not be used."

_RELAY: Final = "--ice-server turn:USER:PASSWORD@HOST)"
_TLS: Final = "--ice-server turns:USER:PASSWORD@HOST:443)"
_NEAR: Final = (
    "although it is in the network of this machine (tried",
    f"(that network isolates its devices: use another one, or a relay: {_RELAY}",
)
_HERE: Final = (
    "the NAT of this network is symmetric (tried",
    f"(a relay is needed, on one of the two sides: {_RELAY}",
)
_THERE: Final = ("the NAT there is symmetric (tried", _HERE[1])
_BLOCKED: Final = (
    "this network blocks UDP: no STUN server answers, but TCP works (tried",
    f"(use another network, or a relay over TLS: {_TLS}",
)
_BLOCKED_THERE: Final = (
    "the network of the other side blocks UDP (tried",
    f"(use another network there, or a relay over TLS there: {_TLS}",
)
_V4, _V6 = (
    (
        f"the other side has {there} addresses only, and this machine {here} addresses only",
        f"(use a new code, and a relay on the side with IPv6 only: {_RELAY}",
    )
    for here, there in (("IPv4", "IPv6"), ("IPv6", "IPv4"))
)
_OPEN: Final = "1 address, no NAT"
_CONE: Final = "2 addresses, NAT that is not symmetric"
_SYMMETRIC: Final = "2 addresses, symmetric NAT"
_NO_UDP: Final = "1 address, UDP blocked"


def _shared(address: str) -> tuple[str, str]:
    return (
        f"both sides have the public address {address}, which can't be reached from behind it",
        f"(connect both to one network, not to a guest network, or use a relay: {_RELAY}",
    )


UNMET: Final[Mapping[str, tuple[tuple[str, str], tuple[str, str], tuple[str, ...]]]] = {
    "isolation": (_NEAR, _NEAR, (_CONE, _CONE)),
    "symmetric-restricted": (_HERE, _THERE, (_SYMMETRIC, _CONE)),
    "restricted-symmetric": (_THERE, _HERE, (_CONE, _SYMMETRIC)),
    "symmetric-symmetric": (_HERE, _HERE, (_SYMMETRIC, _SYMMETRIC)),
    "public-udpdrop": (_BLOCKED_THERE, _BLOCKED, (_OPEN, _NO_UDP)),
    "public-udpreject": (_BLOCKED_THERE, _BLOCKED, (_OPEN, _NO_UDP)),
    "udpdrop-udpdrop": (_BLOCKED, _BLOCKED, (_NO_UDP, _NO_UDP)),
    "restricted-tcp443": (_BLOCKED_THERE, _BLOCKED, (_CONE, _NO_UDP)),
    "v4only-v6only": (_V4, _V6, ()),
    "cgnat-same": (_shared("203.0.113.3"), _shared("203.0.113.3"), (_CONE, _CONE)),
    "nohairpin": (_shared("203.0.113.1"), _shared("203.0.113.1"), (_CONE, _CONE)),
}
"""Without a relay: the reason and the next step that a reports, those that b reports, and what each
has tried; nothing is tried without a common address family."""


def _in(name: str, way: Callable[[Lab, Path], Attempt], folder: Path, limit: float) -> Outcome:
    with Lab(name, delays=DISTANT) as lab:
        return way(lab, folder).outcome(limit)


def _without_stun_at_first(lab: Lab, folder: Path) -> Attempt:
    """Start the side that shows the code while its network loses everything."""
    server = ["--server", lab.rendezvous()]
    with lab.silent(lab.a):
        allocator = lab.send(lab.a, random_file(folder / "film", 300_000), *server)
        # STUN has timed out by then, and the server has not.
        allocator.event("code")
    code = allocator.event("short_code")["code"]
    asked = time.monotonic()
    return Attempt((allocator, lab.receive(lab.b, code, folder / "out", *server)), asked)


def _with_a_relay_out_of_reach(lab: Lab, folder: Path) -> Attempt:
    servers = [STUN, lab.relay()]
    return short_code(lab, folder, server=False, a=servers, b=servers)


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Connect in several networks at a time; each test waits for its own."""
    # Those that wait longest begin first.
    ways: dict[str, Callable[[Lab, Path], Attempt]] = {
        "lan-hostfw without a server": lambda lab, folder: short_code(lab, folder, server=False),
        "restricted-restricted without STUN at first": _without_stun_at_first,
        "lan-offline with a relay out of reach": _with_a_relay_out_of_reach,
    }
    ways |= dict.fromkeys((*UNMET, *DIRECT), short_code)
    local = functools.partial(short_code, server=False)
    ways |= {f"{name} without a server": local for name in LOCAL}
    relays = [(name, TOPOLOGIES[name].relay) for name in (*RELAYED, *PREFERRED)]
    relays += [("symmetric-symmetric", kind) for kind in TRANSPORTS]
    for name, kind in relays:
        server = name not in NO_SERVER
        ways[f"{name} by {kind}"] = functools.partial(relayed, kind=kind, server=server)
    limit = ADVICE * slowness()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(
                _in, name.partition(" ")[0], way, tmp_path_factory.mktemp("codes"), limit
            )
            for name, way in ways.items()
        }


def test_every_network_is_tested() -> None:
    assert {*DIRECT, *LOCAL, *UNMET} == set(TOPOLOGIES)
    assert set(UNMET) == set(RELAYED)


@pytest.mark.parametrize("name", DIRECT)
def test_short_code_connects_directly_where_two_codes_do(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    outcome = met[name].result()
    _check_direct(outcome, name)
    notes = [one for one in outcome.said if "is that of a VPN" not in one]
    assert not notes, "no note that this side can't be reached by the dial code"


@pytest.mark.parametrize("name", LOCAL)
def test_short_code_connects_in_one_network_without_a_server(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    _check_direct(met[f"{name} without a server"].result(), name)


@pytest.mark.parametrize("name", UNMET)
def test_both_sides_of_a_short_code_report_why_there_is_no_path_and_the_next_step(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    outcome = met[name].result()
    assert outcome.seconds is None, outcome
    assert outcome.statuses == (None, 5), "the side that shows the code goes on with another one"
    *reasons, tried = UNMET[name]
    for side, (reason, step) in zip("ab", reasons, strict=True):
        (said,) = (one for one in outcome.reported if one.startswith(side))
        assert reason in said
        assert said.endswith(step)
        if tried:
            here, there = tried if side == "a" else tried[::-1]
            assert f"tried from here: {here}; from there: {there})" in said


@pytest.mark.parametrize("name", RELAYED)
def test_short_code_connects_through_a_relay_where_nothing_else_does(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    _check(met[f"{name} by {TOPOLOGIES[name].relay}"].result(), "relayed IPv4")


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_short_code_connects_over_each_transport_to_a_relay(
    kind: str, met: Mapping[str, Future[Outcome]]
) -> None:
    _check(met[f"symmetric-symmetric by {kind}"].result(), "relayed IPv4")


@pytest.mark.parametrize("name", PREFERRED)
def test_short_code_uses_no_relay_where_a_direct_path_works(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    _check_direct(met[f"{name} by udp"].result(), name)


def test_short_code_connects_in_one_network_though_no_server_and_no_relay_is_in_reach(
    met: Mapping[str, Future[Outcome]],
) -> None:
    _check(met["lan-offline with a relay out of reach"].result(), "direct IPv4")


def test_joiner_names_the_port_that_a_firewall_in_its_network_blocks(
    met: Mapping[str, Future[Outcome]],
) -> None:
    outcome = met["lan-hostfw without a server"].result()
    assert outcome.statuses == (None, 5)
    (said,) = (one for one in outcome.said if one.startswith("b"))
    assert "10.1.0.2, can't be reached at TCP port" in said
    assert "open that port in its firewall" in said


def test_relay_only_sends_no_packet_to_the_other_side_in_one_network(tmp_path: Path) -> None:
    with Lab("lan", delays=DISTANT) as lab:
        for one, other in ((lab.a, lab.b), (lab.b, lab.a)):
            lab.net.nft(one.namespace, rules.count(other.ipv4))
        _check(relayed(lab, tmp_path, "udp", "--relay-only").outcome(), "relayed IPv4")
        for host in (lab.a, lab.b):
            assert "packets 0 " in host.run(["nft", "list", "ruleset"]).stdout


def test_short_code_connects_directly_though_no_stun_server_answered_at_first(
    met: Mapping[str, Future[Outcome]],
) -> None:
    _check(met["restricted-restricted without STUN at first"].result(), "direct IPv4")


def _check_direct(outcome: Outcome, name: str) -> None:
    families = FAMILIES.get(name, ("IPv4",))
    _check(outcome, *(f"direct {family}" for family in families))


def _check(outcome: Outcome, *routes: str) -> None:
    assert outcome.statuses == (0, 0), outcome
    assert outcome.routes in [(route, route) for route in routes], outcome
