"""The network that produces each situation in which two sides do not connect.

docs/connecting.md shows the topology of each, with what else happens in the test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dcsend.peers.situations import Role, Situation
from tests.lab.topologies import TOPOLOGIES, Topology

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run in which one side reports a reason."""

    topology: str
    reporter: str = "b"
    "The host that dials or offers; the other one listens or answers."
    also: str = ""
    """A further condition. `ended`: the other program ends after it has shown its code;
    `unplugged`: the host *reporter* has no address; `foreign`, `loopback`: the code is from a
    machine in another network, or without a network; `large`: the other host drops packets that are
    larger than checks; `stun`: the only STUN server does not answer; `uplink`: the router of the
    host *reporter* is dead; `relay`: as `ended`, and *reporter* has a relay; `relays`: both have a
    relay over UDP."""

    @property
    def network(self) -> Topology:
        """The topology to build."""
        topology = TOPOLOGIES[self.topology]
        if self.also != "uplink":
            return topology
        sites = tuple(
            dataclasses.replace(site, uplink="dead") if self.reporter in site.hosts else site
            for site in topology.sites
        )
        return dataclasses.replace(topology, sites=sites)

    def __str__(self) -> str:
        """Return the cell of docs/connecting.md."""
        besides = f"; {WORDS[self.also]}" if self.also else ""
        return f"{self.topology}, at {self.reporter}{besides}"


WORDS: Final[Mapping[str, str]] = {
    "ended": "the other program has ended",
    "unplugged": "it has no address",
    "foreign": "the code is of another network",
    "loopback": "the code is of a machine without a network",
    "large": "packets of more than 400 bytes are lost",
    "stun": "the STUN server is out of order",
    "uplink": "its router is dead",
    "relay": "the other program has ended, a relay is named",
    "relays": "both name a relay over UDP",
}


def _cases(*topologies: str, reporter: str = "b", also: str = "") -> tuple[Case, ...]:
    return tuple(Case(topology=name, reporter=reporter, also=also) for name in topologies)


CASES: Final[Mapping[tuple[Role, Situation], tuple[Case, ...]]] = {
    (Role.DIALER, Situation.NO_NETWORK): _cases("restricted-restricted", also="unplugged"),
    (Role.DIALER, Situation.NO_FAMILY): (
        *_cases("v4only-v6only"),
        *_cases("v4only-v6only", reporter="a"),
    ),
    (Role.DIALER, Situation.NO_ROUTE): _cases("lan-offline", also="foreign"),
    (Role.DIALER, Situation.CHECKS_ARRIVE): _cases("lan", also="large"),
    (Role.DIALER, Situation.THIS_MACHINE): _cases("lan", also="loopback"),
    (Role.DIALER, Situation.PORT_CLOSED): _cases("lan", also="ended"),
    (Role.DIALER, Situation.SAME_NETWORK): _cases("lan-hostfw", "lan-hostfws", "isolation"),
    (Role.DIALER, Situation.SAME_ADDRESSES): _cases("vpn-kill"),
    (Role.DIALER, Situation.SAME_NAT): _cases("cgnat-same", "nohairpin"),
    (Role.DIALER, Situation.UDP_BLOCKED): _cases(
        "public-udpdrop", "public-udpreject", "restricted-tcp443"
    ),
    (Role.DIALER, Situation.STUN_SILENT): _cases("restricted-restricted", also="stun"),
    (Role.DIALER, Situation.NO_INTERNET): _cases("restricted-restricted", also="uplink"),
    (Role.DIALER, Situation.SYMMETRIC): _cases("restricted-symmetric", "symmetric-symmetric"),
    (Role.DIALER, Situation.OPEN_HERE): _cases("restricted-public"),
    (Role.DIALER, Situation.NAT): _cases(
        "restricted-restricted", "addrestricted-restricted", "cgnat-restricted", "dslite"
    ),
    (Role.DIALER, Situation.FIREWALL): _cases("v6-firewalls"),
    (Role.DIALER, Situation.PRIVATE): _cases("public-udpdrop", reporter="a"),
    (Role.OFFERER, Situation.NO_NETWORK): _cases("restricted-restricted", also="unplugged"),
    (Role.OFFERER, Situation.NO_FAMILY): (
        *_cases("v4only-v6only"),
        *_cases("v4only-v6only", reporter="a"),
    ),
    (Role.OFFERER, Situation.NO_ROUTE): _cases("lan-offline", also="foreign"),
    (Role.OFFERER, Situation.CHECKS_ARRIVE): _cases("lan", also="large"),
    (Role.OFFERER, Situation.THIS_MACHINE): _cases("lan", also="loopback"),
    (Role.OFFERER, Situation.RELAY_SILENT): _cases("symmetric-symmetric", also="relay"),
    (Role.OFFERER, Situation.SAME_NETWORK): _cases("isolation"),
    (Role.OFFERER, Situation.SAME_ADDRESSES): _cases("vpn-kill", also="ended"),
    (Role.OFFERER, Situation.SAME_NAT): _cases("cgnat-same", "nohairpin"),
    (Role.OFFERER, Situation.UDP_BLOCKED): (
        *_cases("public-udpdrop", "public-udpreject", "udpdrop-udpdrop", "restricted-tcp443"),
        *_cases("public-udpdrop", also="relays"),
    ),
    (Role.OFFERER, Situation.STUN_SILENT): _cases("restricted-symmetric", also="stun"),
    (Role.OFFERER, Situation.NO_INTERNET): _cases("restricted-restricted", also="uplink"),
    (Role.OFFERER, Situation.SYMMETRIC): _cases("restricted-symmetric", "symmetric-symmetric"),
    (Role.OFFERER, Situation.PRIVATE): (
        *_cases("public-udpdrop", reporter="a"),
        *_cases("public-udpdrop", reporter="a", also="relays"),
    ),
    (Role.OFFERER, Situation.UNKNOWN): _cases("symmetric-restricted"),
    (Role.LISTENER, Situation.NAT_HERE): _cases("restricted-public"),
    (Role.LISTENER, Situation.NO_CHECK_STUN): _cases("restricted-public", also="stun"),
    (Role.LISTENER, Situation.NO_CHECK_NAT): _cases("restricted-public"),
    (Role.LISTENER, Situation.NO_CHECK): _cases("restricted-public"),
    (Role.ANSWERER, Situation.NO_FAMILY): _cases("v4only-v6only"),
    (Role.ANSWERER, Situation.CHECKS_ARRIVE): _cases("lan", also="large"),
    (Role.ANSWERER, Situation.NO_CHECK_STUN): _cases("restricted-public", also="stun"),
    (Role.ANSWERER, Situation.NO_CHECK): _cases("restricted-public"),
}
