"""The server of a short code, written after the `@`: a host, perhaps with a port and a path.

The canonical text is ASCII: the host in lower case, names of other scripts as A-labels (RFC 5890),
IPv6 addresses as RFC 5952 spells them, in brackets. web-receiver/src/signaling/host.ts gives the
same result, but accepts a few more names that are written from right to left, as browsers do.

Must not import anything of dcsend but `errors` and `printable`.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

from dcsend.errors import IncompleteCode, MalformedCode
from dcsend.printable import printable

__all__ = ["read_host"]

_HINT: Final = "write it as HOST, HOST:PORT or [IPV6]:PORT, perhaps with a /path, or as public"
_NONE: Final = "none"
"As a value of `--server`, no server; so no server has this name."
_MAX_SHOWN: Final = 60
"Characters of the text that an error message shows."
_MAX_NAME: Final = 253
"Characters of a host name (RFC 1035, without the final dot)."
_MAX_LABEL: Final = 63
_MAX_PATH: Final = 200

_AROUND: Final = "'\"`´<>.,;!?*|=\\(){}$«»‹›“”„‟‘’‚‛·•…"
"Punctuation that texts add around a host; none of it begins or ends one."
_ENDS: Final = re.compile(r"^[\s\x00-\x1f\x7f-\x9f]+|[\s\x00-\x1f\x7f-\x9f]+$")
_INSIDE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]@]+)(?::([0-9]{1,5}))?")
_IPV6: Final = re.compile(r"\[[0-9a-fA-F:]+\]")
"Without a zone, which has a meaning on one machine only, and without the form of IPv4."
_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+/?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?")
"Names in local networks have underscores, too."
_IS_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


def read_host(text: str) -> str:
    """Return the canonical form of what follows the `@`, such as `relay.example:4000/v1`.

    White space and punctuation around it are ignored, as are invisible characters, a port's leading
    zeros, and a path that is only `/`. `public` is a host name like others.

    Raises:
        IncompleteCode: there is nothing.
        MalformedCode: it is no host with an optional port (1 to 65535) and path; it has white space
            or control characters, a user name, or a scheme; or it is `none`.

    >>> read_host("Relay.Example:04000/"), read_host("[2001:DB8:0::1]:4000/v1")
    ('relay.example:4000', '[2001:db8::1]:4000/v1')
    >>> read_host("münchen.example")
    'xn--mnchen-3ya.example'
    """
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    text = _trimmed(unicodedata.normalize("NFKC", text))
    if not text:
        raise IncompleteCode("the server of the code is missing after the @", _HINT)
    if _INSIDE.search(text):
        raise _malformed(text, "has spaces or control characters")
    if "://" in text:
        raise _malformed(text, "has a scheme")
    authority, slash, rest = text.partition("/")
    if "@" in authority:
        raise _malformed(text, "has a user name")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        is_ipv6 = authority.count(":") > 1 and "[" not in authority
        reason = "has an IPv6 address without brackets" if is_ipv6 else ""
        raise _malformed(text, reason or "is not a host with an optional port")
    host = _ipv6(text, found[1]) if found[1].startswith("[") else _name(text, found[1])
    port = "" if found[2] is None else f":{int(found[2])}"
    if port and not 1 <= int(found[2]) <= 0xFFFF:
        raise _malformed(text, "has a port that is not in the range 1 to 65535")
    path = slash + rest if rest else ""
    if len(path) > _MAX_PATH or (path and not _PATH.fullmatch(path)):
        raise _malformed(text, "has an invalid path")
    if host + port + path == _NONE:
        raise MalformedCode(
            f"the code names no server: @{_NONE}", "leave it out, or write the server after the @"
        )
    return host + port + path


def _trimmed(text: str) -> str:
    """Return *text* without white space, control characters and punctuation around it."""
    while True:
        # Closes a bracket that is opened before the code.
        closing = ":" if "[" in text else ":]"
        less = _ENDS.sub("", text).strip(_AROUND).rstrip(closing)
        if less == text:
            return text
        text = less


def _ipv6(text: str, bracketed: str) -> str:
    try:
        if not _IPV6.fullmatch(bracketed):
            raise ValueError(bracketed)
        address = ipaddress.IPv6Address(bracketed[1:-1])
    except ValueError:
        raise _malformed(text, "has an invalid IPv6 address") from None
    if address.ipv4_mapped is not None:
        # Versions of Python, and browsers, spell them differently.
        raise _malformed(text, "has an IPv4 address in the form of an IPv6 address")
    return f"[{address}]"


def _name(text: str, name: str) -> str:
    """Return a host name or an IPv4 address in its canonical form."""
    labels = [_label(label) for label in name.lower().replace("。", ".").split(".")]
    host = ".".join(labels)
    # As URLs do it: a name whose last label is a number is an IPv4 address or nothing.
    is_valid = all(labels) and len(host) <= _MAX_NAME
    if is_valid and _IS_NUMBER.fullmatch(labels[-1]):
        is_valid = _IPV4.fullmatch(host) is not None
    if not is_valid:
        raise _malformed(text, "has an invalid host name")
    return host


def _label(label: str) -> str:
    """Return the ASCII form of one label; empty if it is invalid."""
    if not label.isascii():
        label = unicodedata.normalize("NFKC", label)
        is_text = all(char == "-" or unicodedata.category(char)[0] in "LMN" for char in label)
        if not is_text or unicodedata.category(label[0])[0] == "M" or not _has_one_direction(label):
            return ""
        label = "xn--" + label.encode("punycode").decode("ascii")
    return label if len(label) <= _MAX_LABEL and _LABEL.fullmatch(label) else ""


def _has_one_direction(label: str) -> bool:
    """Return whether a label is as RFC 5893, section 2, demands it of labels from right to left."""
    classes = [unicodedata.bidirectional(char) for char in label]
    if not {"R", "AL", "AN"} & set(classes):
        return True
    last = [each for each in classes if each != "NSM"][-1:]
    is_mixed = "L" in classes or {"EN", "AN"} <= set(classes)
    return not is_mixed and classes[0] in ("R", "AL") and last[0] in ("R", "AL", "EN", "AN")


def _malformed(text: str, reason: str) -> MalformedCode:
    shown = printable(text[:_MAX_SHOWN]) + ("…" if len(text) > _MAX_SHOWN else "")
    return MalformedCode(f"the server '{shown}' {reason}", _HINT)
