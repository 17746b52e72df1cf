"""What short codes connect in which network, and by which route; `make lab` measures all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.lab import DISTANT, TOPOLOGIES, Lab, rules
from tests.lab.short_codes import relayed
from tests.lab.ways import Attempt, Outcome, short_code
from tests.support.load import slowness
from tests.support.page import random_file

AT_ONCE: Final = 4
"Networks at the same time, which mostly wait."
ADVICE: Final = 20.0
"Seconds until both sides have reported why there is no path."

DIRECT: Final[Mapping[str, str]] = {
    "lan-hostfws": "IPv4",
    "restricted-restricted": "IPv4",
    "symmetric-addrestricted": "IPv4",
    "narrow": "IPv4",
    "v6-firewalls": "IPv6",
    "broken6": "IPv4",
    "cgnat-restricted": "IPv4",
}
"Topologies in which a short code connects over a server, and the family of the route."

LOCAL: Final[Mapping[str, str]] = {
    "lan-offline": "IPv4",
    "lan-second": "IPv4",
    "lan-v6": "IPv6",
}
"The same without a server."

RELAYED: Final[Mapping[str, str]] = {
    "isolation": "udp",
    "udpdrop-udpdrop": "tcp",
    "symmetric-symmetric": "tls",
    "restricted-tcp443": "tls443",
}
"Topologies in which nothing but a relay connects, and its kind."


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


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Connect in several networks at a time; each test waits for its own."""
    ways: dict[str, Callable[[Lab, Path], Attempt]] = {
        "symmetric-restricted without a relay": short_code,
        "lan-hostfw without a server": lambda lab, folder: short_code(lab, folder, server=False),
        "restricted-restricted without STUN at first": _without_stun_at_first,
        "fullcone-symmetric with a relay": lambda lab, folder: relayed(lab, folder, "udp"),
    }
    ways |= dict.fromkeys(DIRECT, short_code)
    ways |= dict.fromkeys(LOCAL, lambda lab, folder: short_code(lab, folder, server=False))
    for name, kind in RELAYED.items():
        ways[name] = lambda lab, folder, kind=kind: relayed(lab, folder, kind)  # type: ignore[misc]
    limit = ADVICE * slowness()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(
                _in, name.partition(" ")[0], way, tmp_path_factory.mktemp("codes"), limit
            )
            for name, way in ways.items()
        }


@pytest.mark.parametrize("name", DIRECT)
def test_short_code_connects_directly_where_two_codes_do(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    assert TOPOLOGIES[name].codes
    outcome = met[name].result()
    _check(outcome, f"direct {DIRECT[name]}")
    assert not outcome.said, "no note that this side can't be reached by the dial code"


@pytest.mark.parametrize("name", LOCAL)
def test_short_code_connects_in_one_network_without_a_server(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    _check(met[name].result(), f"direct {LOCAL[name]}")


@pytest.mark.parametrize("name", RELAYED)
def test_short_code_connects_through_a_relay_where_nothing_else_does(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    assert not TOPOLOGIES[name].codes
    _check(met[name].result(), "relayed IPv4")


def test_short_code_uses_no_relay_where_a_direct_path_works(
    met: Mapping[str, Future[Outcome]],
) -> None:
    _check(met["fullcone-symmetric with a relay"].result(), "direct IPv4")


def test_both_sides_of_a_short_code_report_why_there_is_no_path(
    met: Mapping[str, Future[Outcome]],
) -> None:
    outcome = met["symmetric-restricted without a relay"].result()
    assert outcome.seconds is None
    assert outcome.statuses == (None, 5), "the side that shows the code goes on with another one"
    here, there = ([one for one in outcome.said if one.startswith(side)] for side in "ab")
    assert "a relay is needed" in here[-1], here
    assert "a relay is needed" in there[-1], there


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


def _check(outcome: Outcome, route: str) -> None:
    assert outcome.statuses == (0, 0), outcome
    assert outcome.routes == (route, route), outcome
