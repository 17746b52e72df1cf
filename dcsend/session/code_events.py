"""The events with which a side publishes what the other side needs: codes and descriptions."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from dcsend.errors import DcsendError

__all__ = [
    "CodeReady",
    "DescriptionReady",
    "Link",
    "ShortCodeOver",
    "ShortCodeReady",
    "ShortCodeServer",
    "ShortCodeUsed",
]

JsonObject = dict[str, Any]


class Link(NamedTuple):
    """A URL that opens the page with a code."""

    url: str
    network: str
    "Interface of this machine to whose network it belongs; empty if unknown."


@dataclass(frozen=True, slots=True)
class CodeReady:
    """The listener can be dialed from now on.

    Emitted again, with another code, when the addresses of this machine have changed before a peer
    has connected. Secret, certificate, port and expiry are the same: earlier codes remain valid and
    work where their addresses still lead to this machine.
    """

    event: ClassVar = "code"
    code: str = field(repr=False)
    "For `receive` or `--to`."
    link: str = field(repr=False)
    "The page's address with the code in its fragment."
    expires: datetime.datetime
    "When the code expires; with a time zone."
    role: str
    "`sender` or `receiver`: which side published the code."
    links: Sequence[Link] = field(default=(), repr=False)
    "One for each network of this machine; the first is `link`."
    files: int | None = None
    "Number of files and texts that are offered; None where this side receives."
    bytes: int | None = None
    "Their size; None if it is not known."
    texts: int = 0
    "How many of `files` are texts."
    words: Sequence[str] = field(default=(), repr=False)
    "Those of the short code that `ShortCodeReady` completes; empty if there will be none."
    host: str = ""
    "The server that the short code will name after `@`; empty if it will name none."
    times: int | None = 1
    "Number of receivers that can use the code; None for any number."
    is_hidden: bool = False
    "Whether people see the short code only, since this one has addresses that are to be hidden."

    def as_json(self) -> JsonObject:
        """Code, link, all links, when the code expires (ISO 8601), and a sender's offer."""
        offer = {} if self.files is None else {"files": self.files, "bytes": self.bytes}
        return {
            "code": self.code,
            "link": self.link,
            "links": [link.url for link in self.links] or [self.link],
            "expires": self.expires.isoformat(timespec="seconds"),
            **offer,
            **({} if self.times == 1 else {"times": self.times}),
        }


@dataclass(frozen=True, slots=True)
class ShortCodeReady:
    """A short code can be used from now on.

    Emitted again, with another code, after a code was used up, and with another link when the
    addresses of this machine have changed. The dial code stays valid.
    """

    event: ClassVar = "short_code"
    code: str = field(repr=False)
    "For `receive` or `--to`, or to be said aloud."
    server: str
    "The rendezvous server; empty if the code works in this network only."
    expires: datetime.datetime
    "When the code expires; with a time zone."
    link: str = field(default="", repr=False)
    "The address of a hosted page with the dial code and this one; empty without such a page."

    def as_json(self) -> JsonObject:
        """Code, server, link, when the code expires (ISO 8601)."""
        return {
            "code": self.code,
            "server": self.server or None,
            "link": self.link or None,
            "expires": self.expires.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True)
class ShortCodeServer:
    """The connection to the server of the short code is lost, or is back.

    It is made again until the code is used or has expired.
    """

    event: ClassVar = "short_code_server"
    server: str
    "The rendezvous server."
    connected: bool
    "Whether devices find the code on the server."
    local: bool
    "Whether devices in this network find the code without the server."

    def as_json(self) -> JsonObject:
        """Return the fields."""
        return {"server": self.server, "connected": self.connected, "local": self.local}


@dataclass(frozen=True, slots=True)
class ShortCodeUsed:
    """The short code works no more: a device has tried it, or the server has lost its number.

    If no peer is accepted because of that, another code or `ShortCodeOver` follows.
    """

    event: ClassVar = "short_code_used"
    code: str = field(repr=False)
    "The short code that was used up."

    def as_json(self) -> JsonObject:
        """Return the code."""
        return {"code": self.code}


@dataclass(frozen=True, slots=True)
class ShortCodeOver:
    """No short code is shown any more; the dial code stays valid."""

    event: ClassVar = "short_code_over"
    error: DcsendError
    "Why."

    @property
    def kind(self) -> str:
        """The stable name of the class of the error."""
        return self.error.kind

    @property
    def message(self) -> str:
        """Why, as a sentence."""
        return self.error.message

    @property
    def hint(self) -> str:
        """The next step; empty if there is none."""
        return self.error.hint

    def as_json(self) -> JsonObject:
        """Kind, message and hint."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint or None}


@dataclass(frozen=True, slots=True)
class DescriptionReady:
    """Our session description, for the other side."""

    event: ClassVar = "description"
    type: str
    "`offer` or `answer`."
    text: str = field(repr=False)
    "For the other side to paste; one line."

    def as_json(self) -> JsonObject:
        """Whether it is the offer or the answer, and its text."""
        return {"type": self.type, "text": self.text}
