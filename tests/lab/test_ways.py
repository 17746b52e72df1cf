"""What connects in which network, between terminals; `make lab` measures the rest of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.lab import DISTANT, TOPOLOGIES, Lab
from tests.lab.ways import STUN, Outcome, dial, two_codes
from tests.support.load import slowness

PAUSE: Final = 8.0
"Seconds before the last code is pasted: the subject of the test, not a wait for an event."
SOON: Final = 3.0
"Seconds until a connection after any pause, on an idle machine."

DIALLED: Final = (
    *(("lan-deadnet", "a"), ("lan-hostfw", "b"), ("lan-second", "a"), ("lan-v6", "b")),
    *(("fullcone-symmetric", "a"), ("forwarded", "a"), ("hairpin", "a"), ("vpn-exit", "a")),
)
"Topologies in which a host can be dialled although something is in the way, and the host."

BY_TWO_CODES: Final = (
    *("lan-hostfws", "restricted-restricted", "addrestricted-restricted"),
    *("symmetric-addrestricted", "dslite", "cgnat-restricted", "vpn-kill"),
)
"Topologies that two codes connect, and in which neither side can be dialled."

RELAYED: Final = (
    *("isolation", "symmetric-symmetric", "v4only-v6only", "udpdrop-udpdrop", "restricted-tcp443"),
)
"Topologies in which only a relay helps."


@pytest.mark.parametrize(("name", "listener"), DIALLED)
def test_listener_can_be_dialled(name: str, listener: str, tmp_path: Path) -> None:
    assert listener in TOPOLOGIES[name].dial
    with Lab(name) as lab:
        _check(dial(lab, listener, tmp_path).outcome(), "direct")


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Have all of them carry their codes at the same time; each test waits for its own."""

    def meet(name: str) -> Outcome:
        with Lab(name, delays=DISTANT) as lab:
            return two_codes(lab, tmp_path_factory.mktemp("codes"), pause=PAUSE).outcome()

    with ThreadPoolExecutor(len(BY_TWO_CODES)) as pool:
        yield {name: pool.submit(meet, name) for name in BY_TWO_CODES}


@pytest.mark.parametrize("name", BY_TWO_CODES)
def test_two_codes_connect_at_once_however_long_the_last_one_was_carried(
    name: str, met: Mapping[str, Future[Outcome]]
) -> None:
    assert TOPOLOGIES[name].codes
    outcome = met[name].result()
    _check(outcome, "direct")
    assert outcome.seconds is not None
    assert outcome.seconds < SOON * slowness(), outcome


@pytest.mark.parametrize("name", RELAYED)
def test_relay_joins_what_nothing_else_does(name: str, tmp_path: Path) -> None:
    assert not TOPOLOGIES[name].codes
    with Lab(name, delays=DISTANT) as lab:
        servers = [STUN, lab.relay(TOPOLOGIES[name].relay)]
        _check(two_codes(lab, tmp_path, a=servers, b=servers).outcome(), "relayed")


def test_relay_of_one_side_is_enough(tmp_path: Path) -> None:
    with Lab("symmetric-restricted", delays=DISTANT) as lab:
        outcome = two_codes(lab, tmp_path, b=[STUN, lab.relay()]).outcome()
    assert outcome.statuses == (0, 0), outcome


def test_no_relay_is_used_where_a_direct_path_works(tmp_path: Path) -> None:
    with Lab("fullcone-symmetric", delays=DISTANT) as lab:
        servers = [STUN, lab.relay()]
        _check(two_codes(lab, tmp_path, a=servers, b=servers).outcome(), "direct")


def _check(outcome: Outcome, route: str) -> None:
    assert outcome.statuses == (0, 0), outcome
    assert {said.partition(" ")[0] for said in outcome.routes} == {route}, outcome
