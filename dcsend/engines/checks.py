"""STUN connectivity checks as both sides read them, before ICE sees them.

aioice answers every request, and raises on some that are malformed; nothing reaches it that was not
read here, and little is read that `integrity` has not found authentic. Uses aioice's STUN parser;
so this is loaded together with aiortc, never before.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from aioice.stun import Class, Message, Method, parse_message

from dcsend.engines.integrity import is_bounded
from dcsend.engines.ufrag import DialerCredentials

__all__ = ["Check", "Refusal", "parse_answer", "parse_check", "parse_request", "refuse"]


class Refusal(enum.Enum):
    """Why a listener turns a dialer away: code and reason phrase on the wire."""

    WRONG_SECRET = (401, "Unauthenticated")
    "Unsigned, as RFC 8489, 9.1.3 wants it: there is no shared key to sign with."
    EXPIRED = (430, "Stale Credentials")
    "The code of RFC 3489; later RFCs have none for it."
    USED = (486, "Allocation Quota Reached")
    "The code of RFC 8656, for a quota of one."
    BUSY = (500, "Server Error")
    """A dialer is connected that has not been accepted yet. RFC 8489, 14.8: the client should try
    again, and libwebrtc goes on by itself (Chromium 156)."""


@dataclass(frozen=True, slots=True)
class Check:
    """A well-formed connectivity check of a dialer."""

    message: Message
    credentials: DialerCredentials


def parse_answer(data: bytes) -> Message | None:
    """Return the STUN message in a datagram of whatever content, or None."""
    if not is_bounded(data):
        return None
    try:
        return parse_message(data)
    except (ValueError, struct.error):  # UnicodeDecodeError is a ValueError
        return None


def parse_request(data: bytes, role: str) -> Message | None:
    """Return a Binding request with all that ICE needs, or None.

    Args:
        data: a datagram.
        role: the attribute for the role that the peer always has. The roles are settled by who
            dials, so a role conflict (RFC 8445, 7.3.1.1) is an error, or an attack.
    """
    message = parse_answer(data)
    if message is None:
        return None
    if (message.message_method, message.message_class) != (Method.BINDING, Class.REQUEST):
        return None
    needed = {"USERNAME", "MESSAGE-INTEGRITY", "PRIORITY", role}
    return message if needed <= message.attributes.keys() else None


def parse_check(data: bytes) -> Check | None:
    """Return a dialer's check in a datagram, or None where it is anything else."""
    message = parse_request(data, "ICE-CONTROLLING")
    if message is None:
        return None
    credentials = DialerCredentials.parse(message.attributes["USERNAME"])
    return Check(message, credentials) if credentials else None


def refuse(check: Check, refusal: Refusal, password: str) -> bytes:
    """Return the error response; never longer than the check, so it amplifies nothing."""
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
