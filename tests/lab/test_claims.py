"""Does each topology match its row of the table?

The probes of a topology run at the same time, each with sockets of its own: what is dropped takes
as long as the limit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab import TOPOLOGIES, Lab, Nat, Site, relays
from tests.lab.probing import lets_in, opens, reaches, resolves

_TRANSLATORS = {
    None: ("none", "any"),
    Nat.NONE: ("none", "address and port"),
    Nat.FULL_CONE: ("one port", "any"),
    Nat.ADDRESS: ("one port", "address"),
    Nat.PORT: ("one port", "address and port"),
    Nat.SYMMETRIC: ("a port each", "address and port"),
}
"Mapping and filtering."


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topology_is_that_of_the_table(name: str) -> None:
    topology = TOPOLOGIES[name]
    with Lab(name) as lab, ThreadPoolExecutor(10) as pool:
        reached = {
            "a": pool.submit(reaches, lab.b, lab.a),
            "b": pool.submit(reaches, lab.a, lab.b),
        }
        found = {
            label: (
                pool.submit(lets_in, host, lab.server),
                pool.submit(resolves, host, relays.NAME),
                pool.submit(opens, host, 443),
                pool.submit(opens, host, 80),
            )
            for label, host in (("a", lab.a), ("b", lab.b))
        }
        for label, reach in reached.items():
            assert reach.result() is (label in topology.reach), label
        for label, (way, name_found, https, http) in found.items():
            site = topology.site(label)
            dead = site.uplink != "works" or label in topology.second
            assert way.result() == _expected(site, dead=dead), label
            assert name_found.result() is (not dead), label
            assert https.result() is (not dead), label
            assert http.result() is (not dead and site.block != "all-but-443"), label


def _expected(site: Site, *, dead: bool) -> tuple[str, str]:
    if dead or site.block:
        return "blocked", "blocked"
    mapping, filtering = _TRANSLATORS[site.nat]
    return mapping, "any" if site.ipv6 == "open" else filtering
