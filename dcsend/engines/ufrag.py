"""What a dialer tells a listener inside the first STUN check.

A dialer, browser or terminal, writes the remote half of its ICE user name itself when it
fabricates the listener's answer. Every check carries it (RFC 8445, 7.2.2), protected by
MESSAGE-INTEGRITY under a password that only the holder of the code knows:

    USERNAME = "dc1/" + fingerprint + password ":" dialer's own ufrag
                        43 characters  22..128     4..64

Pure: text in, values out.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["TAG", "DialerCredentials", "encode_ufrag"]

TAG: Final = "dc1/"
"Names the scheme and its version; only ice-chars (RFC 8839, 5.4), as Chromium insists."

# Upper bounds keep the whole below the 256 characters of an ice-ufrag (RFC 8839, 5.4).
_USERNAME = re.compile(
    r"(dc1/([A-Za-z0-9+/]{43})([A-Za-z0-9+/]{22,128})):([A-Za-z0-9+/]{4,64})", re.ASCII
)


def encode_ufrag(fingerprint: bytes, password: str) -> str:
    """Return the ufrag that the dialer gives the listener in the fabricated answer.

    Args:
        fingerprint: SHA-256 of the dialer's own DTLS certificate, 32 bytes.
        password: the dialer's own ice-pwd.

    >>> encode_ufrag(bytes(32), "p" * 22)[:12]
    'dc1/AAAAAAAA'
    """
    return TAG + base64.b64encode(fingerprint).decode().rstrip("=") + password


@dataclass(frozen=True, slots=True)
class DialerCredentials:
    """Everything an SDP offer would have told, taken from one USERNAME attribute."""

    local_ufrag: str
    "The listener's ufrag as this dialer fabricated it; unique to the dialer."
    fingerprint: bytes
    "SHA-256 of the dialer's certificate; 32 bytes."
    password: str
    "The dialer's ice-pwd."
    ufrag: str
    "The dialer's own ice-ufrag."

    @classmethod
    def parse(cls, username: str) -> Self | None:
        """Return the credentials, or None where *username* is of another kind.

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
