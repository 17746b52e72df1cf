"""Which rendezvous server is used: `--server`, and the `@host` of a short code. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from dcsend.errors import MalformedCode, UsageError
from dcsend.printable import printable
from dcsend.signaling.host import read_host

__all__ = ["DEFAULT", "NONE", "PUBLIC", "Server", "local_server", "read_option", "server_at"]

NONE: Final = "none"
"Value of `--server` for no server."

_PATH: Final = "/v1"
"Path of the WebSocket where a URL has none."
_PUBLIC: Final = "public"
_MAX_URL: Final = 300
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_IN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*", re.ASCII)
_HINT: Final = "write wss://HOST/v1, a host name, public, or none"


@dataclass(frozen=True, slots=True)
class Server:
    """A rendezvous server."""

    url: str
    "Of its WebSocket: `wss://` or `ws://`."
    name: str
    """For users, and what follows `@` in a code: `public`, or the URL without `wss://` and `/v1`.
    That of a `ws://` URL is the whole URL, which no code can contain."""
    hosts: tuple[str, ...] = ()
    """IP addresses to connect to in place of the host in the URL; no proxy is used then. IPv6
    link-local addresses have their scope, as in `fe80::7%eth0`."""

    @property
    def is_private(self) -> bool:
        """Whether the host is in this network: a private address, or a name without dots."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_private
        except ValueError:
            return "." not in host

    @property
    def fits_in_code(self) -> bool:
        """Whether a code can name it: `@name`, in the canonical form of hosts in codes."""
        try:
            return self.url.startswith("wss://") and read_host(self.name) == self.name
        except MalformedCode:
            return False


PUBLIC: Final = Server("wss://relay.magic-wormhole.io/v1", _PUBLIC)
"The public server of magic-wormhole, which is used only where the user names it."
DEFAULT: Final[tuple[Server, ...]] = ()
"Servers that are used without `--server`: none."


def read_option(text: str) -> Server | None:
    """Read a value of `--server`: a URL, a host, `public`, or `none`.

    Returns:
        The server; None for `none`.

    Raises:
        UsageError: it is none of them.

    >>> read_option("wss://mailbox.example.org:8443/v1")
    Server(url='wss://mailbox.example.org:8443/v1', name='mailbox.example.org:8443', hosts=())
    >>> read_option("ws://localhost:4000/v1").name, read_option("none")
    ('ws://localhost:4000/v1', None)
    """
    text = text.strip()
    if text.lower() == NONE:
        return None
    return _read(text) if "://" in text else server_at(text)


def server_at(host: str) -> Server:
    """Return the server that a short code names: `public`, or `host[:port][/path]` over TLS.

    Raises:
        UsageError: it is neither.

    >>> server_at("Example.org")
    Server(url='wss://example.org/v1', name='example.org', hosts=())
    >>> server_at("[2001:db8::7]:8443/mailbox").url
    'wss://[2001:db8::7]:8443/mailbox'
    """
    if host.lower() == _PUBLIC:
        return PUBLIC
    if "://" in host:
        raise _refusal(host, "a code names a server by its host alone")
    return _read(f"wss://{host}")


def local_server(hosts: Sequence[str], port: int) -> Server:
    """Return the mailbox that an allocator serves in this network.

    Args:
        hosts: its IP addresses, in the order of preference.
        port: its TCP port.
    """
    return Server(
        f"ws://dcsend.invalid:{port}{_PATH}", "of the device in this network", tuple(hosts)
    )


def _read(url: str) -> Server:
    _check_characters(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refusal(url, "it is not a URL") from None
    if parts.scheme not in ("ws", "wss"):
        raise _refusal(url, f"{parts.scheme}:// is not wss:// or ws://")
    # urlsplit leaves an empty query or fragment out.
    if parts.username is not None or any(char in url for char in "?#\\"):
        raise _refusal(url, "it has more than a host, a port and a path")
    host = _host(url, parts)
    path = parts.path if parts.path != "/" else ""
    if not _IN_PATH.fullmatch(path):
        raise _refusal(url, "its path has other characters than a URL")
    if port == 0 or parts.netloc.endswith(":"):
        raise _refusal(url, "its port is not a number from 1 to 65535")
    if port == (443 if parts.scheme == "wss" else 80):
        port = None
    place = host if port is None else f"{host}:{port}"
    path = path or _PATH
    full = f"{parts.scheme}://{place}{path}"
    if full == PUBLIC.url:
        return PUBLIC
    if parts.scheme == "ws":
        return Server(full, full)
    named = place if path == _PATH else place + path
    if named in (_PUBLIC, NONE):
        raise _refusal(url, f"{named} has a meaning of its own")
    return Server(full, named)


def _check_characters(url: str) -> None:
    if len(url) > _MAX_URL:
        raise _refusal(url, f"it is longer than {_MAX_URL} characters")
    if printable(url) != url or " " in url:
        raise _refusal(url, "it contains a space or an invisible character")


def _host(url: str, parts: SplitResult) -> str:
    """Return the host in lower case: a name in ASCII, or an IP address."""
    host = parts.hostname or ""
    if ":" in host:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise _refusal(url, "its host is not an IP address") from None
        if address.scope_id is not None:
            raise _refusal(url, "a scope has no meaning on another machine")
        return f"[{address}]"
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise _refusal(url, "its host is not a name or an IP address")
    return name


def _refusal(text: str, why: str) -> UsageError:
    shown = printable(text[:80] + ("…" if len(text) > 80 else ""))
    return UsageError(f"{shown!r} names no rendezvous server: {why}", _HINT)
