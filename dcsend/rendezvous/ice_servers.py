"""The STUN and TURN servers that a rendezvous server offers: `ice-servers`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from dcsend.rendezvous.wire import WireError

__all__ = ["MAX_SERVERS", "IceServer", "parse_ice_servers"]

MAX_SERVERS: Final = 8
"Servers in one list."
_MAX_URLS: Final = 4
_MAX_URL: Final = 300
_MAX_ACCOUNT: Final = 512
"Code points of a user name or password."
_SCHEME: Final = re.compile(r"(stuns?|turns?):[!-~]+", re.ASCII)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"JSON can contain it alone, and no encoding of text can."
_RELAYS: Final = ("turn:", "turns:")


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server, as `RTCIceServer` of the WebRTC API."""

    urls: tuple[str, ...]
    "RFC 7064 and RFC 7065; at least one."
    username: str = ""
    credential: str = field(default="", repr=False)
    "A password; empty for STUN."


def parse_ice_servers(value: object) -> tuple[IceServer, ...]:
    """Read a list of `{"urls": …, "username": …, "credential": …}`.

    `urls` is a text or a list of texts. URLs with other schemes than stun, stuns, turn and turns
    are left out, since a later version may define them; so are servers without any other.

    Raises:
        WireError: the list, or a field of a server, has the wrong type or is too long; or a TURN
            server has no account.
    """
    if not isinstance(value, list) or len(value) > MAX_SERVERS:
        raise WireError(f"ice-servers is not a list of at most {MAX_SERVERS} servers")
    servers = (_server(item) for item in value)
    return tuple(server for server in servers if server.urls)


def _server(item: object) -> IceServer:
    if not isinstance(item, dict):
        raise WireError("ice-servers has an entry that is not an object")
    urls = item.get("urls")
    listed = [urls] if isinstance(urls, str) else urls
    if not isinstance(listed, list) or len(listed) > _MAX_URLS:
        raise WireError(f"ice-servers has an entry without a list of at most {_MAX_URLS} URLs")
    if not all(isinstance(url, str) and len(url) <= _MAX_URL for url in listed):
        raise WireError(f"ice-servers has a URL that is not text of at most {_MAX_URL} characters")
    known = tuple(url for url in listed if _SCHEME.fullmatch(url.lower()))
    username, credential = _account(item, "username"), _account(item, "credential")
    if not (username and credential) and any(url.lower().startswith(_RELAYS) for url in known):
        raise WireError("ice-servers has a TURN server without an account")
    return IceServer(known, username, credential)


def _account(item: dict[str, object], key: str) -> str:
    value = item.get(key, "")
    if not isinstance(value, str) or len(value) > _MAX_ACCOUNT or _SURROGATE.search(value):
        raise WireError(f"ice-servers has a {key} that is not text")
    return value
