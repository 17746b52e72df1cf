"""Session descriptions for data channels, as SDP (RFC 8866, RFC 8839, RFC 8841, RFC 8842).

Writes the minimum that all agents accept; reads the SDP of browsers, Pion, aiortc and libwebrtc.
The input is untrusted.

Must not import anything of dcsend but `description`, `errors` and `printable`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.errors import MalformedCode
from dcsend.printable import printable

__all__ = ["MAX_CANDIDATES", "MAX_SDP", "check", "format_sdp", "parse_sdp", "usable_host"]

MAX_SDP: Final = 65_536
"Characters that are read; real ones have 400 to 4000."
MAX_CANDIDATES: Final = 64
"Candidates that are read; each one causes connectivity checks."

_DEFAULT_MESSAGE_SIZE: Final = 65_536
"Used if the attribute is missing (RFC 8841, 6.1)."
_LARGEST_MESSAGE: Final = 2**53
_SCTP_PORT: Final = "5000"
"Used by all agents; not part of the compact form of a description."
_ICE_CHARS: Final = re.compile(r"[A-Za-z0-9+/]+", re.ASCII)
_FINGERPRINT: Final = re.compile(r"sha-256\s+([0-9a-f]{2}(?::[0-9a-f]{2}){31})", re.I | re.ASCII)
_CANDIDATE: Final = re.compile(
    r"\S{1,32} (\d{1,3}) (\S+) (\d{1,10}) (\S{1,253}) (\d{1,5}) typ (\w+)(?: .*)?", re.ASCII
)
_MDNS: Final = re.compile(r"[0-9a-z-]{1,63}\.local", re.I | re.ASCII)
_MID: Final = re.compile(r"[!-~]{1,64}")
_SETUPS: Final = {
    SdpType.OFFER: frozenset(Setup),
    SdpType.ANSWER: frozenset({Setup.ACTIVE, Setup.PASSIVE}),
}


def format_sdp(description: Description) -> str:
    """Return the SDP of *description*; lines end with CR LF."""
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {description.mid}",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{description.mid}",
        f"a=ice-ufrag:{description.ufrag}",
        f"a=ice-pwd:{description.password}",
        f"a=fingerprint:sha-256 {description.fingerprint.hex(':').upper()}",
        f"a=setup:{description.setup}",
        f"a=sctp-port:{_SCTP_PORT}",
        f"a=max-message-size:{description.max_message_size}",
        *(_candidate_line(*numbered) for numbered in enumerate(description.candidates)),
        # There are no more candidates, since there is no signaling channel for trickle ICE.
        "a=end-of-candidates",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _candidate_line(number: int, candidate: Candidate) -> str:
    line = (
        f"a=candidate:{number} 1 udp {candidate.priority} {candidate.host} {candidate.port}"
        f" typ {candidate.type}"
    )
    if candidate.type is CandidateType.HOST:
        return line
    # The related address is not disclosed (RFC 8839, 5.1).
    anywhere = "::" if ":" in candidate.host else "0.0.0.0"
    return f"{line} raddr {anywhere} rport 9"


def parse_sdp(type: SdpType, text: str) -> Description:
    """Read the SDP of an offer or an answer.

    Ignores candidates that can't be used: of other components, over TCP, of unknown types.

    Raises:
        MalformedCode: a required attribute is missing or invalid, or there is a media section that
            is not for data channels.
    """
    if len(text) > MAX_SDP:
        raise _damaged(f"its SDP has {len(text)} characters")
    session, media = _sections(text)
    lines = [*session, *media]
    description = Description(
        type=type,
        ufrag=_needed(lines, "ice-ufrag"),
        password=_needed(lines, "ice-pwd"),
        fingerprint=_fingerprint(lines),
        setup=_setup(lines, type),
        candidates=tuple(_candidates(lines)),
        mid=next(_values(media, "mid"), "0"),
        max_message_size=_message_size(lines),
    )
    check(description)
    return description


def check(description: Description) -> None:
    """Validate the fields of a description.

    Raises:
        MalformedCode: ufrag, password, mid or setup is out of its range.
    """
    for name, value, least in (
        ("ice-ufrag", description.ufrag, 4),
        ("ice-pwd", description.password, 22),
    ):
        if not least <= len(value) <= 256 or not _ICE_CHARS.fullmatch(value):
            raise _damaged(f"its {name} is invalid")
    if not _MID.fullmatch(description.mid):
        raise _damaged("its mid is invalid")
    if description.setup not in _SETUPS[description.type]:
        raise _damaged(f"an {description.type} can't have a=setup:{description.setup}")


def _sections(text: str) -> tuple[list[str], list[str]]:
    """Return the session-level lines, and those of the media section for data channels."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("m="):
            parts.append([])
        if line:
            parts[-1].append(line)
    session, *sections = parts
    if not session or session[0] != "v=0":
        raise _damaged("there is no SDP in it")
    # Port 0 marks a rejected section (RFC 8829, 5.2.2).
    alive = [section for section in sections if section[0].split()[1:2] != ["0"]]
    data = [section for section in alive if section[0].startswith("m=application ")]
    if len(alive) > len(data):
        raise MalformedCode(
            "the code also offers audio or video, and dcsend supports data channels only",
            "offer only a data channel in the other program",
        )
    if not data:
        raise MalformedCode(
            "the code offers no data channel", "create a data channel before the offer"
        )
    section = data[0]
    words = section[0].split()
    # In drafts before RFC 8841 the port was at the end of the m-line.
    old = words[-1] if words[2:3] == ["DTLS/SCTP"] else _SCTP_PORT
    port = next(_values(section, "sctp-port"), old)
    if port.strip() != _SCTP_PORT:
        raise MalformedCode(f"the code asks for SCTP port {printable(port[:10])}, not 5000")
    return session, section


def _values(lines: list[str], name: str) -> Iterator[str]:
    """Yield the values of an attribute."""
    prefix = f"a={name}:"
    return (line[len(prefix) :].strip() for line in lines if line.startswith(prefix))


def _needed(lines: list[str], name: str) -> str:
    value = next(_values(lines, name), None)
    if value is None:
        raise _damaged(f"its {name} is missing")
    return value


def _fingerprint(lines: list[str]) -> bytes:
    values = list(_values(lines, "fingerprint"))
    found = (_FINGERPRINT.fullmatch(value) for value in values)
    match = next((match for match in found if match), None)
    if match is None:
        raise _damaged("its SHA-256 fingerprint is " + ("invalid" if values else "missing"))
    return bytes.fromhex(match[1].replace(":", ""))


def _setup(lines: list[str], type: SdpType) -> Setup:
    value = next(_values(lines, "setup"), None)
    if value is None:
        # RFC 4145, 4: the default is active for an offer and passive for an answer.
        return Setup.ACTIVE if type is SdpType.OFFER else Setup.PASSIVE
    try:
        return Setup(value)
    except ValueError:
        raise _damaged(f"its setup is {printable(value[:20])}") from None


def _message_size(lines: list[str]) -> int:
    value = next(_values(lines, "max-message-size"), None)
    if value is None:
        return _DEFAULT_MESSAGE_SIZE
    if not re.fullmatch(r"\d{1,19}", value, re.ASCII):
        raise _damaged("its max-message-size is not a number")
    return min(int(value), _LARGEST_MESSAGE)


def _candidates(lines: list[str]) -> Iterator[Candidate]:
    """Yield the usable candidates, each address once."""
    seen: set[tuple[str, int]] = set()
    for value in _values(lines, "candidate"):
        candidate = _candidate(value)
        if candidate is None or (candidate.host, candidate.port) in seen:
            continue
        seen.add((candidate.host, candidate.port))
        yield candidate
        if len(seen) == MAX_CANDIDATES:
            return


def _candidate(value: str) -> Candidate | None:
    """Read one candidate; None if it can't be used."""
    match = _CANDIDATE.fullmatch(value)
    if match is None or match[1] != "1" or match[2].lower() != "udp":
        return None
    host = usable_host(match[4])
    port, priority = int(match[5]), int(match[3])
    if host is None or not 0 < port < 65_536 or not 0 < priority < 2**31:
        return None
    try:
        return Candidate(CandidateType(match[6]), host, port, priority)
    except ValueError:
        return None


def usable_host(text: str) -> str | None:
    """Return an address in canonical form, or an mDNS name; None for anything else."""
    if _MDNS.fullmatch(text):
        return text.lower()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    usable = not (address.is_unspecified or address.is_multicast)
    return str(address) if usable and "%" not in text else None


def _damaged(reason: str) -> MalformedCode:
    return MalformedCode(f"the code is damaged: {reason}")
