"""URIs of TURN servers (RFC 7065, with user and password in front of the host)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from dcsend.errors import UsageError
from dcsend.net.address import Address
from dcsend.printable import printable

__all__ = ["TurnServer", "parse_turn", "turn_of"]

_URI: Final = re.compile(
    # The last @ and the last : before it are the separators: a host has no @, and user names of
    # the REST API of coturn are EXPIRES:NAME, in which NAME can be an e-mail address.
    r"(?i:(turns?)):(\S+):([^:\s]*)@(\[[0-9A-Fa-f:]+\]|[^\[\]:/?@\s]+)(?::(\d{1,5}))?"
    r"(?:\?transport=(udp|tcp))?",
    re.ASCII,
)
_PORTS: Final = {"turn": 3478, "turns": 5349}


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A TURN server and an account on it."""

    address: Address
    user: str
    password: str = field(repr=False)
    transport: str = "udp"
    "Between this machine and the server: `udp` or `tcp`."
    tls: bool = False
    "Whether TLS is used; over TCP only."


def parse_turn(uri: str) -> TurnServer:
    """Split `turn:USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]`, or the same with `turns:`.

    USER can contain `:`. In PASSWORD it is `%3A`; a space is `%20`.

    Raises:
        UsageError: it has another form. The message contains no password.

    >>> parse_turn("turn:me:s%40cret@turn.example.org")
    TurnServer(address=('turn.example.org', 3478), user='me', transport='udp', tls=False)
    >>> parse_turn("turn:1764400000:me:bm8gb25l@turn.example.org").user
    '1764400000:me'
    >>> parse_turn("turns:me:x@[2001:db8::7]:443").address
    ('2001:db8::7', 443)
    """
    match = _URI.fullmatch(uri.strip())
    scheme = match[1].lower() if match else ""
    port = int(match[5] or _PORTS[scheme]) if match else 0
    if match is None or not 0 < port < 65536:
        before, _, host = uri.rpartition("@")
        shown = printable(host[:80] if before else "turn:…")
        raise UsageError(
            f"the TURN server {shown!r} is incomplete",
            "write turn:USER:PASSWORD@HOST or turn:USER:PASSWORD@HOST:PORT?transport=tcp",
        )
    tls = scheme == "turns"
    if tls and match[6] == "udp":
        raise UsageError(
            f"turns: to {match[4]} is TLS over TCP, not over UDP",
            "leave ?transport=udp out, or write turn: for UDP",
        )
    return TurnServer(
        (match[4].strip("[]"), port),
        unquote(match[2]),
        unquote(match[3]),
        "tcp" if tls else match[6] or "udp",
        tls,
    )


def turn_of(url: str, user: str, password: str) -> TurnServer:
    """Return the server of a URL without an account (RFC 7065), and an account on it.

    Raises:
        UsageError: the URL has another form.

    >>> turn_of("turns:turn.example.org?transport=tcp", "me", "a:b").address
    ('turn.example.org', 5349)
    """
    scheme, colon, rest = url.partition(":")
    return parse_turn(f"{scheme}{colon}{quote(user)}:{quote(password, safe='')}@{rest}")
