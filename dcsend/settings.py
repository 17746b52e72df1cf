"""The settings of a run and their defaults.

`cli` creates them, `session` reads them; the layers below take plain values. Imports only leaves.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dcsend.entry import Existing

__all__ = ["DEFAULT_STUN", "MIN_FREE", "SECOND_STUN", "STDIO", "Deadlines", "Settings", "Signal"]

STDIO = "-"
"As a source, standard input; as a destination, standard output."

MIN_FREE = 1_000_000_000
"Bytes of the disk that a receiver that stays leaves free, unless the user has chosen a number."

DEFAULT_STUN = ("stun:stun.l.google.com:19302",)
"""The most used public STUN server, and the default of the Pion demo and of aiortc. It receives no
data except the public address; `--stun none` disables it."""

SECOND_STUN = ("stun:stun.cloudflare.com:3478",)
"""Used only after a failure, and only with the default server: two servers of different operators
show whether a NAT is symmetric, and whether UDP is blocked or a server is down."""


class Signal(enum.StrEnum):
    """The kind of signaling: what the users carry from one side to the other."""

    DIAL = "dial"
    "A dial code, in one direction."
    SDP = "sdp"
    "An offer and an answer, one in each direction."


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for the steps of a peer that do not depend on a person (PROTOCOL.md, Timers).

    Args:
        hello: From open channels to the peer's Hello.
        progress: To the peer's next step: the next part of a Manifest or an Accept, a frame, an
            Ack, a Verdict, Complete; or to Working.
        working: Between two Working of this side while its disk, source or pipe has not finished.
        bye: After the last verdict, to the sender's Bye; the run succeeds without it. Long, since
            closing takes Complete from a sender that is slow to read it; shorter than the silence
            after which a peer is taken for gone.
        hold: For which a peer that is not accepted keeps its place while another dialer waits. A
            person needs less to read an offer; a program that only keeps the connection open must
            not block others.
    """

    hello: float = 15.0
    progress: float = 60.0
    working: float = 20.0
    bye: float = 15.0
    hold: float = 120.0


@dataclass(frozen=True, slots=True)
class Settings:
    """One run: send, receive or chat.

    Args:
        code: Code or link of a listener to dial; empty to listen. Contains the secret, so it is not
            in repr().
        port: UDP port to listen on or dial from, and TCP port of the page; 0 for a random one,
            and for the page the port of the last run if it is free.
        addresses: IP addresses for the code in place of those of the interfaces, e.g. with port
            forwarding.
        signal: `sdp` if the listener can't be reached, and for TURN.
        stun: STUN servers that report the public address to the side that shows a code. A dialer
            uses them after a failure, to find the reason. Empty for none.
        turn: TURN servers, which relay if there is no direct path:
            `turn:USER:PASSWORD@HOST[:PORT][?transport=tcp]`, or `turns:`. They contain passwords,
            so they are not in repr(). Used with `sdp` only, since a dial code has no room for
            relayed addresses.
        stun_timeout: Seconds by which STUN may delay the code.
        expires: Seconds until an unused code expires.
        connect_timeout: Seconds for which a dialer tries to connect, as in Chromium (measured);
            about two thirds of them if nothing answers.
        reconnect: Seconds for which the two sides try to connect again when the connection is lost
            during a transfer, except with `sdp`; 0 to end the run then.
        inhibit: Whether this computer is kept from falling asleep while a transfer runs; on by
            default on the command line only.
        page: Whether a listener serves the page for browsers on a TCP port; on by default on the
            command line only. Without it the link opens no page, but `receive` accepts it.
        page_url: URL of a hosted copy of the page; the link then points there, and no page is
            served.
        server: Rendezvous server for short codes: its URL or host name, or `public` for the one of
            magic-wormhole. Empty for none: short codes then work inside this network only.
        mdns: Whether a short code can be used in this network without a server: the side that shows
            it serves a mailbox on a TCP port and announces it by multicast DNS, and the side that
            enters it looks for it; on by default on the command line only.
        words: Number of words of a new short code, 2 to 8.
        times: Number of receivers that the side that sends serves with one code, at once or one
            after the other, until they have everything; None for any number until the code expires.
        at_once: Number of these, or of the senders of `keep`, that can be connected at once; others
            wait.
        own_code: Words that the user has chosen for the first short code, with a number in front of
            them or without; empty for new ones.
        relay_only: Use relayed addresses only, so that the peer does not get the addresses of this
            side; needs a TURN server, and a short code or `sdp`.
        name: Name of this device for the peer, 1 to 64 characters without control characters and
            slashes; empty for none. The command line uses the host name; a program that imports
            dcsend may serve unknown people, so there is no default.
        links: Send symbolic links inside folders as links; otherwise they are left out.
        exclude: Globs of names or relative paths to leave out; with a leading `/`, of paths
            relative to what is sent.
        warn_unmatched: Warn about patterns of `exclude` that match nothing.
        stdin_name: Name of the file that is read from standard input.
        text: A text to send, which is shown on the other side and not saved.
        output: Folder to save in, created if missing; `~` is the home folder, `-` standard output.
            A path with an extension that is not a folder, such as `film.iso`, is the path of the
            file if a single file is offered; with a slash at its end it is always a folder.
        existing: What to do about existing files: `Existing.REFUSE` refuses the offer, unless the
            user is asked and decides otherwise.
        keep: Stay after a sender has ended, and receive from others with the same code, at once or
            one after the other, until the code expires or the run is ended. Existing files stay;
            `existing` is `RENAME` or `SKIP`.
        into: With `keep`, the folder in `output` for each sender, a relative path with `{date}`,
            `{time}`, `{peer}` and `{address}`; empty for `output` itself.
        max_total: Bytes that a run with `keep` accepts of all senders together; None for no limit.
            Each entry counts as 4096 at least.
        max_peer: The same for one offer.
        min_free: Bytes of the disk that a run with `keep` leaves free.
        skip_same: Do not receive files that are there already with the same size and time, and of
            files that have grown, with `existing` to overwrite, only the rest.
        checksum: With `skip_same`, compare the digests of files of the same size, not the times;
            the other side gets them.
        limit_rate: Bytes of content per second that this side sends, or lets the other side send;
            None for no limit.
        dry_run: Transfer nothing: a receiver reports what it would receive, and gives the code
            back; a sender reports what it would send, and shows no code.
        window: Largest number of bytes between the sender's channel and the receiver's disk: 0.6 s
            at 100 Mbit/s. Bounds the memory of both sides if the disk is slow.
        block_size: Approximate bytes per read from disk; the exact size is a multiple of a frame.
        again: Command line that repeats this run without its code, for a hint after an
            interruption; empty if there is none.
        keep_alive_interval: Seconds between keep-alive messages on the text channel.
        silence_report: Seconds without any message until the user is informed; two intervals and
            some delay.
        silence_limit: Seconds without any message until the run ends; ICE consent takes about as
            long (RFC 7675).
        progress_interval: Seconds between progress events, at least.
        deadlines: Seconds for the steps of the peer; see `Deadlines`.
    """

    # Connecting
    code: str = field(default="", repr=False)
    port: int = 0
    addresses: Sequence[str] = ()
    signal: Signal = Signal.DIAL
    stun: Sequence[str] = DEFAULT_STUN
    turn: Sequence[str] = field(default=(), repr=False)
    stun_timeout: float = 2.0
    expires: float = 3600.0
    connect_timeout: float = 15.0
    reconnect: float = 600.0
    inhibit: bool = False
    page: bool = False
    page_url: str = ""
    server: str = ""
    mdns: bool = False
    words: int = 2
    times: int | None = 1
    at_once: int = 32
    own_code: str = field(default="", repr=False)
    relay_only: bool = False

    name: str = ""

    # Sending
    links: bool = False
    exclude: Sequence[str] = ()
    warn_unmatched: bool = True
    stdin_name: str = "stdin"
    text: str | None = None

    # Saving
    output: str = "."
    existing: Existing = Existing.REFUSE
    keep: bool = False
    into: str = ""
    max_total: int | None = None
    max_peer: int | None = None
    min_free: int = MIN_FREE
    skip_same: bool = False
    checksum: bool = False

    # Transfer
    limit_rate: float | None = None
    dry_run: bool = False
    window: int = 8 * 1024 * 1024
    block_size: int = 1024 * 1024
    again: str = field(default="", repr=False)
    keep_alive_interval: float = 5.0
    silence_report: float = 12.0
    silence_limit: float = 30.0
    progress_interval: float = 0.25
    deadlines: Deadlines = Deadlines()

    @property
    def has_short_codes(self) -> bool:
        """Whether a side that publishes a code also shows short codes."""
        return bool(self.server) or self.uses_mdns

    @property
    def peers(self) -> int | None:
        """Number of peers that the code is for; None for any number."""
        return None if self.keep else self.times

    @property
    def places(self) -> int:
        """Number of peers that can be connected at once with the code."""
        return self.at_once if self.peers is None else min(self.at_once, self.peers)

    @property
    def uses_mdns(self) -> bool:
        """Whether a short code is announced and looked for in this network.

        The two sides get the addresses of each other there, so with `relay_only` it is not.
        """
        return self.mdns and not self.relay_only

    @property
    def diagnosing(self) -> Sequence[str]:
        """STUN servers that are used after a failure, to find the reason."""
        return self.stun if self.stun_chosen else (*self.stun, *SECOND_STUN)

    @property
    def stun_chosen(self) -> bool:
        """Whether the STUN servers are not those of the default."""
        return tuple(self.stun) != DEFAULT_STUN

    @property
    def names_file(self) -> bool:
        """Whether `output` is the path of a file if a single file is offered."""
        if self.output.endswith(tuple(filter(None, (os.sep, os.altsep)))):
            return False
        path = Path(os.path.expanduser(self.output))
        # Unlike Path.is_dir, os.path.isdir raises no OSError for a name that is too long.
        return bool(path.suffix) and not os.path.isdir(path)

    @property
    def destination(self) -> Path | None:
        """The folder to save in; None for standard output."""
        return None if self.output == STDIO else Path(os.path.expanduser(self.output))
