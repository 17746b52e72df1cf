"""ICE with one peer on the shared UDP port; used by the listener, the dialer and offer/answer.

    datagram ─ source has a route ─ Binding request ─► request filter ─► aioice
             │                    └ anything else ───► answers to our checks, DTLS
             └ unknown source ───── valid request ───► answered; the source has a route from then on

Imports aioice, so it is imported only after `peers.loading.load_aiortc`.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from dcsend.ice import agent
from dcsend.ice.checks import parse_request
from dcsend.ice.request_filter import RequestFilter
from dcsend.ice.stun import is_binding_request
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address, family
from dcsend.net.udp import UdpPort

if TYPE_CHECKING:
    from aioice.stun import Message

__all__ = ["MAX_SOURCES", "IceEndpoint"]

logger = logging.getLogger(__name__)

MAX_SOURCES: Final = 16
"Source addresses of one peer besides its candidates; a browser sends from each of its interfaces."
MAX_LATER: Final = 8
"Those from which requests arrived after ICE was settled; for one more, the oldest is removed."


class IceEndpoint:
    """The ICE connection to one peer, its request filter, and its routes on the port."""

    def __init__(
        self,
        port: UdpPort,
        *,
        controlling: bool,
        credentials: tuple[str, str] | None = None,
        requests: RequestFilter | None = None,
        drops_early: bool = False,
        relay_only: bool = False,
        rejected: Callable[[int], None] = lambda code: None,
        forged: Callable[[bytes, Address], None] = lambda data, source: None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            port: the shared port; its owner passes datagrams of unknown sources to
                `received_unknown` or `add_source`.
            controlling: the ICE role of this side.
            credentials: our ice-ufrag and ice-pwd; None for random ones.
            requests: the filter; None for one that validates by our ice-pwd and the peer's role.
            drops_early: whether the first valid request discards the datagrams that wait for DTLS:
                a peer sends requests before it starts a handshake, so they are forged.
            relay_only: whether nothing is sent from the port: only the addresses of `add_relay` are
                used.
            rejected: called with the error code of each local check that the peer refuses.
            forged: called with each request of a source with a route that our ice-pwd does not
                authenticate; with a filter of its own the caller has this already.
        """
        self._port = port
        self.connection, self._protocols = agent.port_connection(
            port,
            frozenset() if relay_only else port.families,
            controlling=controlling,
            validate=self._validate,
            credentials=credentials,
            rejected=rejected,
        )
        self._requests = requests or RequestFilter(
            self.connection.local_password, self._parse, forged=forged
        )
        self._drops_early = drops_early
        self._sources = 0
        self._later: dict[Address, None] = {}
        "Sources since ICE was settled that have a route, oldest first."

    @property
    def has_received(self) -> bool:
        """Whether a valid request of the peer has arrived."""
        return self._requests.has_received

    @property
    def received_at(self) -> float:
        """When an authentic datagram of the peer last arrived; see `IceConnection.received_at`."""
        return self.connection.received_at

    @property
    def is_nominated(self) -> bool:
        """Whether ICE has nominated a pair."""
        return agent.is_nominated(self.connection)

    @property
    def is_settled(self) -> bool:
        """Whether ICE has nominated a direct pair, which is not replaced by another one."""
        return agent.is_settled(self.connection)

    def set_controlling(self, controlling: bool) -> None:
        """Set the ICE role of this side, before the connection is established."""
        self.connection.ice_controlling = controlling

    async def add_candidate(self, kind: str, host: str, port: int, priority: int) -> Address | None:
        """Add a candidate of the peer and a route for it; None without a socket of its family.

        Args:
            kind: `host`, `srflx` or `relay`.
            host: an IP address.
            port: of the peer.
            priority: as the peer has set it (RFC 8445, 5.1.2).
        """
        address = (str(ipaddress.ip_address(host)), port)
        await agent.add_remote(self.connection, kind, *address, priority)
        protocol = self._protocols.get(family(address[0]))
        if protocol is None:
            return None
        # An address that another peer of the port uses keeps its route until a request arrives.
        if self._port.routed(address) is None:
            self._port.route(address, protocol.datagram_received)
        return address

    async def end_candidates(self) -> None:
        """Note that the peer has no more candidates: ICE fails once all checks have failed."""
        await self.connection.add_remote_candidate(None)

    async def add_relay(self, server: TurnServer) -> Address:
        """Allocate an address at a TURN server (RFC 8656) and add it to our candidates.

        Takes at most 6 s.

        Raises:
            ConnectionFailed: the server provides none.
        """
        return await agent.add_relay(self.connection, self._validate, server)

    def received_unknown(self, data: bytes, source: Address) -> None:
        """Handle a datagram of a source without a route, or with one to another endpoint."""
        if not self._takes_sources or not is_binding_request(data):
            return
        if family(source[0]) not in self._protocols:
            return
        message = self._filtered(self._requests.from_unknown, data, source)
        if message is not None:
            self.add_source(message, source)

    def add_source(self, message: Message, source: Address) -> bool:
        """Answer a valid request of a source without a route, and add the route.

        Once ICE is settled, the peer may have changed its address (`moving`).

        Returns:
            False if nothing was done: there are `MAX_SOURCES` sources, and ICE is not settled.
        """
        if not self._takes_sources:
            return False
        if self.is_settled:
            self._forget_source()
            self._later[source] = None
        else:
            self._sources += 1
        logger.debug("new source of the peer: %s", source)
        protocol = self._protocols[family(source[0])]
        self._port.route(source, protocol.datagram_received)
        protocol.answer(message, source)
        return True

    @property
    def _takes_sources(self) -> bool:
        return self.is_settled or self._sources < MAX_SOURCES

    @property
    def _selected(self) -> Address | None:
        """The address of the peer to which the path in use leads."""
        pair = agent.nominated(self.connection)
        return None if pair is None else pair.remote_addr

    def _forget_source(self) -> None:
        """Remove the route of the oldest address that the path has left, if there are many."""
        for source in self._later if len(self._later) >= MAX_LATER else ():
            if source != self._selected:
                self._port.unroute_source(source)
                del self._later[source]
                return

    def has_route(self, source: Address) -> bool:
        """Return whether datagrams of *source* are passed to this endpoint."""
        return any(protocol.has_route(source) for protocol in self._protocols.values())

    def mute(self) -> None:
        """Remove all routes, and discard everything that is sent from now on."""
        for protocol in self._protocols.values():
            protocol.mute()

    async def close(self) -> None:
        """Close the ICE connection and remove its routes; idempotent. The port stays open."""
        await self.connection.close()

    def _parse(self, data: bytes) -> Message | None:
        """Return the request of a peer that has the other role."""
        controlling = self.connection.ice_controlling
        return parse_request(data, "ICE-CONTROLLED" if controlling else "ICE-CONTROLLING")

    def _validate(self, data: bytes, source: Address) -> Message | None:
        """Return the request of a routed source, or None."""
        validate = partial(self._requests.from_routed, is_selected=source == self._selected)
        return self._filtered(validate, data, source)

    def _filtered(self, validate: agent.Validate, data: bytes, source: Address) -> Message | None:
        is_first = not self._requests.has_received
        message = validate(data, source)
        if is_first and self._drops_early and self._requests.has_received:
            self.connection.drop_queued()
        return message
