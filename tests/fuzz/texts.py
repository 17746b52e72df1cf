"""Texts from untrusted sources: codes, descriptions, names, messages, servers, journals.

Each function takes the bytes of a fuzzer. It fails if a parser raises an exception that it does not
document, or accepts a value that differs after it was written and read again.
"""

from __future__ import annotations

import binascii
import contextlib
import io
import json
from typing import Final
from zlib import crc32

from dcsend.description import SdpType
from dcsend.entry import Entry
from dcsend.errors import (
    IncompatibleVersion,
    IntegrityError,
    LocalProtocolError,
    MalformedCode,
    RemoteProtocolError,
    UsageError,
)
from dcsend.files.journal import parse_points
from dcsend.files.names import UnsafeName, safe_path, safe_target
from dcsend.ice.stun import parse_server
from dcsend.ice.turn_server import parse_turn
from dcsend.ice.ufrag import DialerCredentials, encode_ufrag
from dcsend.printable import printable
from dcsend.protocol import frames, messages
from dcsend.rendezvous.servers import read_option, server_at
from dcsend.signaling import blob, dialcode, forgiving, shortcode, words
from dcsend.signaling.sdp import format_sdp, parse_sdp
from tests.fuzz.script import Script

__all__ = [
    *("codes", "credentials", "descriptions", "frame", "journal", "message", "names"),
    *("sdp", "servers", "shown", "typed"),
]

_REFUSED: Final = (UsageError, IncompatibleVersion)
"Errors of a refused code."
_PATH_BYTES: Final = 4096
"Longer than a path on any system."


def codes(data: bytes) -> None:
    """Read a dial code: as text, or as bytes that get the right checksum and form."""
    script = Script(data)
    how = script.byte()
    if how & 1:
        body = script.rest()
        raw = body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2)
        text = forgiving.base32(raw) if how & 2 else f"dcsend:#{int.from_bytes(raw)}"
    else:
        text = script.text()
    with contextlib.suppress(*_REFUSED):
        code = dialcode.decode(text)
        assert dialcode.decode(code.text()) == code
        assert dialcode.decode(code.link("http://10.0.0.1/")) == code


def descriptions(data: bytes) -> None:
    """Read one of two codes: as text, as JSON, or as bytes that get the right checksum."""
    script = Script(data)
    how = script.byte()
    if how & 1:
        body = script.rest()
        raw = body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2)
        text = forgiving.base32(raw, forgiving.DESCRIPTION)
    elif how & 2:
        kind = ("offer", "answer", "pranswer")[how >> 2 & 1]
        text = json.dumps({"type": kind, "sdp": script.text()})
    else:
        text = script.text()
    blob.is_blob(text)
    blob.is_compact(text)
    with contextlib.suppress(*_REFUSED):
        description = blob.decode(text)
        assert blob.decode(blob.encode_json(description)) == description
        with contextlib.suppress(*_REFUSED):
            blob.decode(blob.encode(description))


def typed(data: bytes) -> None:
    """Read a short code: as text, or a number, words of the list with damage, and a host."""
    script = Script(data)
    how = script.byte()
    text = script.text() if how & 1 else _said(script, how)
    shortcode.resembles_short_code(text)
    shortcode.completed(text)
    with contextlib.suppress(UsageError):
        chosen = shortcode.own(text)
        assert shortcode.own("-".join(chosen.words)).words == chosen.words
    with contextlib.suppress(MalformedCode):
        code = shortcode.read(text)
        assert shortcode.read(code.text()) == code
        assert code.text().isascii()
        assert shortcode.resembles_short_code(code.text())


def _said(script: Script, how: int) -> str:
    """Return a text that is mostly a short code."""
    known = words.word_list()
    said = [str(1 + script.byte())]
    for _ in range(2 + (how >> 1 & 1)):
        word = known[(script.byte() << 8 | script.byte()) % len(known)]
        at = script.byte() % (len(word) + 1)
        said.append(word[:at] + script.take(how >> 2 & 3).decode("latin-1") + word[at:])
    text = "-".join(said)
    return f"{text}@{script.text()}" if how & 16 else text


def sdp(data: bytes) -> None:
    """Read SDP, in lines that are mostly of the kind that is looked for."""
    script = Script(data)
    kind = SdpType.OFFER if script.byte() & 1 else SdpType.ANSWER
    lines = ["v=0", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]
    while script:
        what = script.byte()
        value = script.take(script.byte()).decode("utf-8", "surrogateescape")
        lines.append(f"{_SDP[what % len(_SDP)]}{value}")
    with contextlib.suppress(*_REFUSED):
        description = parse_sdp(kind, "\r\n".join(lines))
        assert parse_sdp(kind, format_sdp(description)) == description


_SDP: Final = (
    *("", "a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:sha-256 ", "a=setup:", "a=candidate:"),
    *(
        "a=candidate:1 1 udp 2130706431 ",
        "a=max-message-size:",
        "a=mid:",
        "m=",
        "v=",
        "a=sctp-port:",
    ),
    *("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=setup:actpass"),
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
)
"Beginnings of lines."


def servers(data: bytes) -> None:
    """Read what names a STUN, TURN or rendezvous server."""
    text = Script(data).text()
    for parse in (parse_server, parse_turn):
        with contextlib.suppress(UsageError):
            parse(text)
    with contextlib.suppress(UsageError):
        server = read_option(text)
        assert server is None or read_option(server.url) == server
        if server is not None and server.fits_in_code:
            assert server_at(server.name) == server


def credentials(data: bytes) -> None:
    """Read the user name of a dialer's check."""
    text = Script(data).text()
    found = DialerCredentials.parse(text)
    if found is not None:
        assert text == f"{found.local_ufrag}:{found.ufrag}"
        # The last two bits of a fingerprint's last character are not looked at.
        again = encode_ufrag(found.fingerprint, found.password)
        assert again[:46] == found.local_ufrag[:46]


def message(data: bytes) -> None:
    """Read a message of the control channel."""
    text = Script(data).text()
    with contextlib.suppress(RemoteProtocolError):
        read = messages.decode(text)
        with contextlib.suppress(LocalProtocolError):
            assert messages.decode(messages.encode(read)) == read


def frame(data: bytes) -> None:
    """Read a frame: as it is, or with the right checksum."""
    script = Script(data)
    raw = script.rest()
    if raw[:1] and raw[0] & 1:
        head, content = raw[1:21].ljust(20, b"\0"), raw[21:]
        crc = crc32(content, crc32(bytes(4), crc32(head)))
        raw = head + crc.to_bytes(4) + content
    with contextlib.suppress(RemoteProtocolError, IntegrityError):
        frames.decode_frame(raw)


def names(data: bytes) -> None:
    """Read a path and the target of a link from a manifest."""
    path, _, target = Script(data).text().partition("\0")
    with contextlib.suppress(UnsafeName):
        parts = safe_path(path)
        assert parts
        assert "/".join(parts) == path
        assert not {"", ".", ".."} & set(parts)
        assert len(path.encode()) <= _PATH_BYTES
        safe_target(parts, target)


def shown(data: bytes) -> None:
    """Display a text: it must not contain control sequences of a terminal."""
    text = Script(data).text()
    safe = printable(text)
    assert all(char.isprintable() for char in safe)
    assert printable(safe) == safe
    safe.encode()


def journal(data: bytes) -> None:
    """Read a journal from the disk: any bytes, or lines that follow a valid header."""
    entry = Entry("p", size=9)
    header = b'{"v":1,"manifest":"m","path":"p","size":9,"mtime":null}\n'
    for content in (data, header + data):
        before = 0
        for point in parse_points(io.BytesIO(content), entry):
            assert before < point.offset <= 9
            assert point.start in (0, before)
            assert content[: point.end].endswith(b"\n")
            before = point.offset
