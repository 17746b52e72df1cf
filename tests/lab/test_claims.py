"""Does each topology match its row of the table?"""

from __future__ import annotations

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
def test_topology_is_what_the_table_says(name: str) -> None:
    topology = TOPOLOGIES[name]
    with Lab(name) as lab:
        assert reaches(lab.b, lab.a) is ("a" in topology.reach)
        assert reaches(lab.a, lab.b) is ("b" in topology.reach)
        for label, host in (("a", lab.a), ("b", lab.b)):
            site = topology.site(label)
            dead = site.uplink != "works" or label in topology.second
            assert lets_in(host, lab.server) == _expected(site, dead=dead), label
            assert resolves(host, relays.NAME) is (not dead), label
            assert opens(host, 443) is (not dead), label
            assert opens(host, 80) is (not dead and site.block != "all-but-443"), label


def _expected(site: Site, *, dead: bool) -> tuple[str, str]:
    if dead or site.block:
        return "blocked", "blocked"
    mapping, filtering = _TRANSLATORS[site.nat]
    return mapping, "any" if site.ipv6 == "open" else filtering
