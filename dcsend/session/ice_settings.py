"""The STUN and TURN servers of a run, and how the network of a side behaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcsend.errors import UsageError
from dcsend.ice.stun import parse_server
from dcsend.ice.turn_server import TurnServer, parse_turn, turn_of
from dcsend.peers.offer_answer import Servers
from dcsend.peers.situations import NatMapping, Network, Udp
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.rendezvous import items
    from dcsend.rendezvous.ice_servers import IceServer

__all__ = ["as_item", "from_item", "servers_of", "turn_servers"]


def servers_of(settings: Settings) -> Servers:
    """Return the servers that the user has named, or those of the default."""
    return Servers(
        tuple(parse_server(server) for server in settings.stun),
        tuple(parse_turn(server) for server in settings.turn),
        settings.stun_timeout,
        tuple(parse_server(server) for server in settings.diagnosing),
        settings.stun_chosen,
    )


def turn_servers(offered: Sequence[IceServer]) -> list[TurnServer]:
    """Return the TURN servers that a rendezvous server has offered; unusable URLs are left out."""
    found = []
    for server in offered:
        for url in server.urls:
            try:
                found.append(turn_of(url, server.username, server.credential))
            except UsageError:
                continue
    return found


def as_item(network: Network) -> items.Network:
    """Return what the other side gets of the network of this side."""
    from dcsend.rendezvous import items

    return items.Network(items.Mapping(network.mapping), items.Udp(network.udp))


def from_item(network: items.Network) -> Network:
    """Return what the other side has sent about its network."""
    return Network(NatMapping(network.mapping), Udp(network.udp))
