"""STUN connectivity checks, validated before they are passed to aioice.

aioice responds to every request, and raises on some malformed ones. Messages are parsed here after
`integrity` has authenticated them, except for a few error responses and refused checks. Imports
aioice for its STUN parser, so it is imported together with aiortc.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from aioice.stun import Class, Message, Method, parse_message

from dcsend.ice.integrity import is_bounded
from dcsend.ice.ufrag import DialerCredentials

__all__ = ["Check", "Refusal", "parse_answer", "parse_check", "parse_request", "refuse"]


class Refusal(enum.Enum):
    """Why a listener refuses a dialer: error code and reason phrase."""

    WRONG_SECRET = (401, "Unauthenticated")
    "Without MESSAGE-INTEGRITY (RFC 8489, 9.1.3), since there is no shared key."
    EXPIRED = (430, "Stale Credentials")
    "From RFC 3489; later RFCs have no code for it."
    USED = (486, "Allocation Quota Reached")
    "From RFC 8656, for a quota of one."
    BUSY = (500, "Server Error")
    """Another dialer is connected and not accepted yet. The client should retry (RFC 8489, 14.8);
    libwebrtc does so (Chromium 156)."""


@dataclass(frozen=True, slots=True)
class Check:
    """A well-formed connectivity check of a dialer."""

    message: Message
    credentials: DialerCredentials


def parse_answer(data: bytes) -> Message | None:
    """Return the STUN message in a datagram, or None if it is malformed."""
    if not is_bounded(data):
        return None
    try:
        return parse_message(data)
    except (ValueError, struct.error):  # UnicodeDecodeError is a ValueError
        return None


def parse_request(data: bytes, role: str) -> Message | None:
    """Return a Binding request with all attributes that ICE needs, or None.

    Args:
        data: a datagram.
        role: the attribute for the ICE role of the peer. The roles are fixed, so that a role
            conflict (RFC 8445, 7.3.1.1) is an error or an attack.
    """
    message = parse_answer(data)
    if message is None:
        return None
    if (message.message_method, message.message_class) != (Method.BINDING, Class.REQUEST):
        return None
    needed = {"USERNAME", "MESSAGE-INTEGRITY", "PRIORITY", role}
    return message if needed <= message.attributes.keys() else None


def parse_check(data: bytes) -> Check | None:
    """Return the check of a dialer in a datagram, or None if it is anything else."""
    message = parse_request(data, "ICE-CONTROLLING")
    if message is None:
        return None
    credentials = DialerCredentials.parse(message.attributes["USERNAME"])
    return Check(message, credentials) if credentials else None


def refuse(check: Check, refusal: Refusal, password: str) -> bytes:
    """Return the error response; it is not longer than the check, so there is no amplification."""
    response = Message(
        message_method=Method.BINDING,
        message_class=Class.ERROR,
        transaction_id=check.message.transaction_id,
        attributes={"ERROR-CODE": refusal.value},
    )
    if refusal is Refusal.WRONG_SECRET:
        response.add_fingerprint()
    else:
        response.add_message_integrity(password.encode())
    return bytes(response)
