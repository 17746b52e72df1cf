"""What a run can be told, and what it does when told nothing.

Read by `cli` (which fills it) and `session` (which obeys it); the layers below take plain
values. Imports only leaves.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dcsend.entry import Existing

__all__ = ["DEFAULT_STUN", "SECOND_STUN", "STDIO", "ChatSettings", "Engine", "Settings", "Signal"]

STDIO = "-"
"As a source, standard input; as a destination, standard output."

DEFAULT_STUN = ("stun:stun.l.google.com:19302",)
"""Learns our public address and nothing else: no name, no key, no file. The most used public
server, and the default of the Pion demo and of aiortc; `--stun none` asks nobody."""

SECOND_STUN = ("stun:stun.cloudflare.com:3478",)
"""Asked after a failure only, and only where the server above is the one in use: two servers of
different owners show whether a NAT is symmetric, and whether UDP is blocked or a server is down."""


class Signal(enum.StrEnum):
    """What travels between the two sides before they are connected."""

    DIAL = "dial"
    "The dial code, one way."
    SDP = "sdp"
    "Two session descriptions, one each way."


class Engine(enum.StrEnum):
    """Whose SCTP carries the data channels; the other side need not have the same."""

    DCSEND = "dcsend"
    "Ours, made for bulk."
    STOCK = "aiortc-stock"
    "aiortc's, several times slower: to compare, and to fall back to."


@dataclass(frozen=True, slots=True)
class Settings:
    """One run: send, receive or chat."""

    # How to meet
    code: str = field(default="", repr=False)
    "Code or link of a listener to dial; empty to listen. Holds the secret, so not in repr()."
    port: int = 0
    "UDP port to listen on or dial from, and TCP port of the page; 0 for random ones."
    addresses: Sequence[str] = ()
    "IP addresses to put into the code in place of the ones found, e.g. behind a port forwarding."
    signal: Signal = Signal.DIAL
    "`sdp` for networks in which the code's one way is not enough, and for TURN."
    stun: Sequence[str] = DEFAULT_STUN
    """STUN servers asked for our public address, by the side that shows a code; by a dialer after
    a failure, to find out why. Empty for none."""
    turn: Sequence[str] = field(default=(), repr=False)
    """TURN servers, which relay where there is no direct path; user and password in each, hence
    not in repr(): `turn:USER:PASSWORD@HOST[:PORT][?transport=tcp]`, or `turns:`. A dial code has no
    room for relayed addresses: with `sdp` only; the dialer of a dial code uses none."""
    stun_timeout: float = 2.0
    "Seconds the code may be late because of STUN; a dead server must not hold it up."
    expires: float = 3600.0
    "Seconds until a code that nobody used stops working; long enough to walk to the other machine."
    connect_timeout: float = 15.0
    "Seconds a dialer tries: Chromium gives up after 15, too (measured)."
    engine: Engine = Engine.DCSEND
    page: bool = False
    """Whether a listener serves the page for browsers, which opens a TCP port to the network. The
    command line does, a program that imports dcsend has to want it. Without a page the link opens
    nothing, but `receive` takes it."""
    page_url: str = ""
    "Where a copy of the page is hosted; the link then points there and nothing is served."

    # What to send
    links: bool = False
    "Send symbolic links inside folders as links; otherwise they are left out."
    exclude: Sequence[str] = ()
    "Globs of names or relative paths to leave out."
    stdin_name: str = "stdin"
    "Name for what is read from standard input."
    text: str | None = None
    "A text to send, shown at the other end and not saved."

    # Where to
    output: str = "."
    "Folder to save in, made if missing; `~` is the home folder, `-` standard output."
    existing: Existing = Existing.REFUSE

    # While it runs
    window: int = 8 * 1024 * 1024
    """Bytes in flight at most, between the sender's channel and the receiver's disk. 0.6 s at
    100 Mbit/s; bounds the memory of both sides when the disk is slow."""
    block_size: int = 1024 * 1024
    "About how many bytes are read from disk at once; the exact size is whole frames."
    heartbeat: float = 5.0
    "Seconds between random messages on the text channel; the demo's own interval."
    silence_report: float = 12.0
    "Seconds without any message until the person is told; two heartbeats and some delay."
    silence_limit: float = 30.0
    "Seconds without any message until the run ends; ICE consent takes about as long (RFC 7675)."
    progress_interval: float = 0.25
    "Seconds between progress events, at least."

    @property
    def diagnosing(self) -> Sequence[str]:
        """STUN servers that are asked why there is no connection, after a failure."""
        return (*self.stun, *SECOND_STUN) if tuple(self.stun) == DEFAULT_STUN else self.stun

    @property
    def destination(self) -> Path | None:
        """The folder to save in, or None for standard output."""
        return None if self.output == STDIO else Path(os.path.expanduser(self.output))


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What a chat does that a transfer does not."""

    offers: bool = False
    "With descriptions: make the offer and wait for the answer, instead of the other way round."
    listens: bool = False
    "Publish a dial code; a code to dial is in `Settings.code`."
    channels: Sequence[str] = ()
    "Labels of the channels we open; none for `data` where we offer or dial, else for no channel."
    ordered: bool = True
    max_retransmits: int | None = None
    "How often a lost message is sent again, 0 to 65535; None for as often as it takes (RFC 3758)."
    max_lifetime: int | None = None
    "Milliseconds for which a lost message is sent again, 1 to 65535; not with `max_retransmits`."
    protocol: str = ""
    "Name of a subprotocol (RFC 8832, 5.1)."
    negotiated: int | None = None
    "Stream id of the one channel, 0 to 65534, that the other side opens, too, without being told."
    interval: float = 5.0
    "Seconds between the random messages on each channel; the demo's own."
    save: Path | None = None
    "Folder for binary messages."
    shows_json: bool = True
    "Show our description in the demo's form, which everybody reads; else the compact one."
