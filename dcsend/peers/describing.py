"""Our session description, and the roles that two descriptions give the two sides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dcsend.description import Candidate, Description, SdpType, Setup

if TYPE_CHECKING:
    from dcsend.ice.endpoint import IceEndpoint
    from dcsend.peers.peer import ConnectionRole, Remote

__all__ = ["connection_role", "describe", "remote"]


def describe(
    type: SdpType,
    ice: IceEndpoint,
    fingerprint: bytes,
    candidates: Iterable[Candidate],
    offer: Description | None = None,
    *,
    active: bool = False,
) -> Description:
    """Return our description: an offer, or the answer to *offer*.

    Args:
        type: offer or answer.
        ice: has our credentials.
        fingerprint: SHA-256 of our certificate; 32 bytes.
        candidates: ours.
        offer: of the peer.
        active: whether an answerer starts the handshake, if the offer permits both. JSEP
            recommends it (RFC 8829, 5.3.1). It costs a round trip: the offerer is the first to
            have both descriptions and a nominated pair.
    """
    setup = Setup.ACTPASS
    if type is SdpType.ANSWER:
        if offer is not None and offer.setup is not Setup.ACTPASS:
            active = offer.setup is Setup.PASSIVE
        setup = Setup.ACTIVE if active else Setup.PASSIVE
    return Description(
        type=type,
        ufrag=ice.connection.local_username,
        password=ice.connection.local_password,
        fingerprint=fingerprint,
        setup=setup,
        candidates=tuple(candidates),
        mid="0" if offer is None else offer.mid,
    )


def connection_role(
    ours: Description, theirs: Description, *, published: bool = False
) -> ConnectionRole:
    """Return our role; the offerer opens the channels.

    Args:
        ours: our description.
        theirs: that of the peer.
        published: as in `ConnectionRole`.
    """
    from dcsend.peers.peer import ConnectionRole

    offers = ours.type is SdpType.OFFER
    answer = theirs if offers else ours
    server = (answer.setup is Setup.ACTIVE) is offers
    return ConnectionRole(published=published, dtls_server=server, opens=offers)


def remote(theirs: Description) -> Remote:
    """Return the parameters in the description of the peer."""
    from dcsend.peers.peer import Remote

    return Remote(theirs.ufrag, theirs.password, theirs.fingerprint, theirs.max_message_size)
