"""The content of a session description: what one side needs of the other to connect.

An SDP for data channels contains little more than this (RFC 8829, RFC 8841). `signaling` has its
text forms. A leaf: imports only the standard library, so that `signaling` and `peers` can share it
without importing each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = ["MAX_MESSAGE_SIZE", "Candidate", "CandidateType", "Description", "SdpType", "Setup"]

MAX_MESSAGE_SIZE = 262_144
"Bytes. The limit of Chromium and aiortc; that of Firefox is larger, but dcsend sends no more."


class SdpType(enum.StrEnum):
    """Whether a description is an offer or an answer (W3C `RTCSdpType`)."""

    OFFER = "offer"
    ANSWER = "answer"


class Setup(enum.StrEnum):
    """The DTLS role (RFC 8842): `active` is the client."""

    ACTPASS = "actpass"
    "In offers: the answer decides."
    ACTIVE = "active"
    PASSIVE = "passive"


class CandidateType(enum.StrEnum):
    """The type of a candidate (RFC 8445, 5.1.1)."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    "The address in the response of a STUN server."
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"
    "An address on a TURN server."


@dataclass(frozen=True, slots=True)
class Candidate:
    """One UDP transport address of component 1 (RFC 8839)."""

    type: CandidateType
    host: str
    "An IP address in canonical form, or an mDNS name that ends with `.local`."
    port: int
    "1 to 65535."
    priority: int
    "1 to 2**31 - 1; candidates with higher priority are tried first."


@dataclass(frozen=True, slots=True)
class Description:
    """The session description of one side."""

    type: SdpType
    ufrag: str
    "4 to 256 characters of A-Z a-z 0-9 + / (RFC 8839, 5.4)."
    password: str = field(repr=False)
    "22 to 256 characters of those of `ufrag`."
    fingerprint: bytes
    "SHA-256 of the DTLS certificate, 32 bytes."
    setup: Setup
    "Usually `actpass` in offers; `active` or `passive` in answers."
    candidates: tuple[Candidate, ...]
    "In the order of the description; may be empty."
    mid: str = "0"
    "Identification tag of the media section (RFC 5888); an answer repeats that of the offer."
    max_message_size: int = MAX_MESSAGE_SIZE
    "Largest message that it accepts, in bytes; 0 for no limit (RFC 8841, 6)."
    offer_mark: int | None = None
    "In an answer: 16 bits that identify the offer (`signaling.blob.mark`); None if unknown."
