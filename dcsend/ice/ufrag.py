"""The parameters of a dialer, in the USERNAME of its STUN checks.

A dialer, a page or a terminal, creates the answer of the listener itself, and in it the ice-ufrag
of the listener. It is a part of the USERNAME of every check (RFC 8445, 7.2.2), which has a
MESSAGE-INTEGRITY with a key from the code:

    USERNAME = "dc1/" + fingerprint + password ":" dialer's own ufrag
                        43 characters  22..128     4..64

No input, output or clock.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["TAG", "DialerCredentials", "encode_ufrag"]

TAG: Final = "dc1/"
"The scheme and its version, in ice-chars (RFC 8839, 5.4), which Chromium requires."

# The bounds keep it below the 256 characters of an ice-ufrag (RFC 8839, 5.4).
_USERNAME = re.compile(
    r"(dc1/([A-Za-z0-9+/]{43})([A-Za-z0-9+/]{22,128})):([A-Za-z0-9+/]{4,64})", re.ASCII
)


def encode_ufrag(fingerprint: bytes, password: str) -> str:
    """Return the ice-ufrag of the listener in the answer that the dialer creates.

    Args:
        fingerprint: SHA-256 of the dialer's own DTLS certificate, 32 bytes.
        password: the dialer's own ice-pwd.

    >>> encode_ufrag(bytes(32), "p" * 22)[:12]
    'dc1/AAAAAAAA'
    """
    return TAG + base64.b64encode(fingerprint).decode().rstrip("=") + password


@dataclass(frozen=True, slots=True)
class DialerCredentials:
    """The parameters of an SDP offer, from a USERNAME attribute."""

    local_ufrag: str
    "The listener's ice-ufrag, which is different for each dialer. Contains `password`."
    fingerprint: bytes
    "SHA-256 of the dialer's certificate; 32 bytes."
    password: str
    "The dialer's ice-pwd."
    ufrag: str
    "The dialer's own ice-ufrag."

    @classmethod
    def parse(cls, username: str) -> Self | None:
        """Return the credentials, or None if *username* has another form.

        >>> DialerCredentials.parse("dc1/" + "A" * 43 + "p" * 24 + ":abcd").ufrag
        'abcd'
        >>> DialerCredentials.parse("alice:bob") is None
        True
        """
        match = _USERNAME.fullmatch(username)
        if match is None:
            return None
        try:
            fingerprint = base64.b64decode(match[2] + "=", validate=True)
        except ValueError:
            return None
        return cls(match[1], fingerprint, match[3], match[4])
