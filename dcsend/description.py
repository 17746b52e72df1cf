"""What one side must know of the other to connect: the contents of a session description.

An SDP for data channels says little more than this (RFC 8829, RFC 8841); its texts are in
`signaling`. A leaf: imports only the standard library, so that `signaling` and `engines` can
share it without importing each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = ["MAX_MESSAGE_SIZE", "Candidate", "CandidateType", "Description", "SdpType", "Setup"]

MAX_MESSAGE_SIZE = 262_144
"Bytes. What Chromium and aiortc offer; Firefox takes more, and nobody here sends more."


class SdpType(enum.StrEnum):
    """Which half of the exchange it is (W3C `RTCSdpType`)."""

    OFFER = "offer"
    ANSWER = "answer"


class Setup(enum.StrEnum):
    """Who begins the DTLS handshake (RFC 8842): `active` is the client."""

    ACTPASS = "actpass"
    "An offer leaves it to the answer."
    ACTIVE = "active"
    PASSIVE = "passive"


class CandidateType(enum.StrEnum):
    """Where a candidate comes from (RFC 8445, 5.1.1)."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    "What a STUN server sees."
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"
    "An address at a TURN server."


@dataclass(frozen=True, slots=True)
class Candidate:
    """One transport address, UDP, component 1 (RFC 8839)."""

    type: CandidateType
    host: str
    "An IP address in canonical form, or an mDNS name that ends with `.local`."
    port: int
    "1 to 65535."
    priority: int
    "1 to 2**31 - 1; higher is tried first."


@dataclass(frozen=True, slots=True)
class Description:
    """One side's half of what both must know."""

    type: SdpType
    ufrag: str
    "4 to 256 characters of A-Z a-z 0-9 + / (RFC 8839, 5.4)."
    password: str = field(repr=False)
    "22 to 256 of the same."
    fingerprint: bytes
    "SHA-256 of the DTLS certificate, 32 bytes."
    setup: Setup
    "`actpass` in offers, one of the others in answers."
    candidates: tuple[Candidate, ...]
    "In the order in which they stand; may be empty."
    mid: str = "0"
    "Identification tag of the one media section (RFC 5888); an answer repeats that of the offer."
    max_message_size: int = MAX_MESSAGE_SIZE
    "Bytes that it takes at most in one message; 0 for any number (RFC 8841, 6)."
