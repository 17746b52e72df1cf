"""Each side of a transfer, with a peer whose messages the bytes of a fuzzer choose."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from typing import Any, Final

from dcsend.entry import Entry
from dcsend.errors import (
    IncompatibleVersion,
    IntegrityError,
    LocalProtocolError,
    RemoteProtocolError,
    UsageError,
)
from dcsend.protocol.frames import (
    encode_abort,
    encode_again,
    encode_batch,
    encode_data,
    encode_hole,
)
from dcsend.protocol.messages import CANCEL_REASONS, DECLINE_REASONS, STATUSES
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.sender import Sender
from tests.fuzz.script import Script

__all__ = ["receiver", "sender"]

_STEPS: Final = 100
"Of a script, at most."
_REFUSED: Final = (RemoteProtocolError, IntegrityError, IncompatibleVersion, UsageError)
"Errors of a side because of a message of its peer."
_KINDS: Final = ("file", "directory", "link", "text")
_SIZES: Final = (0, 1, 5, 100, 70_000, 1 << 40, None)


def receiver(data: bytes) -> None:
    """Give messages and frames to a receiver while it accepts, writes and sends verdicts."""
    script = Script(data)
    side = Receiver(agent="fuzzer", window=100_000)
    side.start()
    if script.byte() & 1:
        side.receive(_hello("sender"))
    written = 0
    with contextlib.suppress(*_REFUSED):
        for _ in range(_STEPS):
            if not script:
                break
            what = script.byte()
            if what & 3 == 0:
                side.receive(_message(script))
            elif what & 3 == 1:
                side.receive_frame(_frame(script))
            else:
                written += _act(side, script, what >> 2)
            side.messages_to_send()
            assert side.received - written <= 100_000


def sender(data: bytes) -> None:
    """Give messages to a sender while it sends."""
    script = Script(data)
    entries = [
        Entry("a", size=5),
        Entry("b", size=0),
        Entry("c", size=None),
        Entry("d", size=70_000),
    ]
    side = Sender(entries, agent="fuzzer")
    side.start()
    if script.byte() & 1:
        side.receive(_hello("receiver"))
    with contextlib.suppress(*_REFUSED):
        for _ in range(_STEPS):
            if not script:
                break
            what = script.byte()
            if what & 1:
                side.receive(_message(script))
            else:
                _send(side, script, what >> 1)
            side.messages_to_send()
            assert side.sendable() >= 0
            assert side.acknowledged >= 0


def _hello(role: str) -> str:
    features = ["again"]
    fields = {"versions": [1], "agent": "x", "role": role, "features": features, "max_frame": 64960}
    return json.dumps({"type": "hello", **fields})


def _message(script: Script) -> str:
    """Return a message: any text, or one with valid fields whose values the script chooses."""
    number = script.byte() | script.byte() << 8
    pairs = [[script.byte() & 7, number] for _ in range(script.byte() & 3)]
    last = bool(script.byte() & 1)
    statuses = [[entry, _one_of(STATUSES, size)] for entry, size in pairs]
    name = script.take(script.byte() & 15).decode("latin-1")
    fields: tuple[dict[str, Any], ...] = (
        {"type": "manifest", "entries": _entries(script), "last": last},
        {"type": "accept", "window": number, "skip": [], "have": pairs, "last": last},
        {"type": "accept", "window": 1 << 20, "skip": statuses, "have": [], "last": last},
        {"type": "accept", "window": 1 << 20, "skip": [], "have": [], "last": True},
        {"type": "decline", "reason": _one_of(DECLINE_REASONS, number), "message": name},
        {"type": "ack", "bytes": number},
        {"type": "verdict", "files": statuses},
        {"type": "complete", "ok": last, "files": number & 7, "bytes": number},
        {"type": "working"},
        {"type": "bye"},
        {"type": "cancel", "reason": _one_of(CANCEL_REASONS, number), "message": name},
        {"type": name, name: pairs},
        {"type": "again", "file": number & 7, "from": number >> 8, "to": (number >> 4) + 1},
        {**json.loads(_hello("receiver" if last else "sender")), "name": name},
    )
    what = script.byte()
    if what < len(fields):
        return json.dumps(fields[what])
    return _hello(name) if what & 1 else script.piece().decode("utf-8", "surrogateescape")


def _one_of(values: Collection[str], number: int) -> str:
    return sorted(values)[number % len(values)]


def _entries(script: Script) -> list[dict[str, Any]]:
    entries = []
    for _ in range(script.byte() & 7):
        kind = _KINDS[script.byte() % len(_KINDS)]
        path = script.take(script.byte() & 31).decode("utf-8", "replace")
        entry: dict[str, Any] = {"path": path, "kind": kind}
        entry["size"] = _SIZES[script.byte() % len(_SIZES)] if kind in ("file", "text") else 0
        if kind == "link":
            entry["target"] = path
        entries.append(entry)
    return entries


def _frame(script: Script) -> bytes:
    """Return a frame: any bytes, or one with a right form."""
    number, offset, how = script.byte() & 7, script.byte() << (script.byte() & 31), script.byte()
    content = bytes(script.byte() << (how >> 5))
    with contextlib.suppress(LocalProtocolError):
        match how % 7:
            case 0:
                return encode_data(number, offset, content, None)
            case 6:
                return encode_again(number, offset, content if script.byte() & 1 else len(content))
            case 1:
                return encode_data(number, offset, content, bytes(32))
            case 2:
                count = script.byte() & 7
                return encode_batch(number, [content] * count, [bytes(32)] * count)
            case 3:
                return encode_hole(number, offset, len(content))
            case 4:
                return encode_abort(number, offset, "gone")
    return script.piece()


def _act(side: Receiver, script: Script, what: int) -> int:
    """Call a method of a receiver; return the bytes that it wrote. A wrong call raises."""
    number = script.byte() & 7
    with contextlib.suppress(LocalProtocolError):
        match what % 8:
            case 0:
                side.accept({}, {})
            case 6:
                side.again(number, script.byte(), script.byte())
            case 1:
                side.accept({number: "exists"}, {})
            case 2:
                side.accept({}, {number: 1 + script.byte()})
            case 3:
                cost = script.byte() << (number << 1)
                side.written(cost)
                return cost
            case 4:
                side.verdict(number, _one_of(STATUSES, script.byte()))
            case 5:
                side.working()
            case _:
                if number == 7:  # seldom, since little follows
                    side.decline("declined")
    return 0


def _send(side: Sender, script: Script, what: int) -> None:
    """Call a method of a sender; a call in a wrong state raises."""
    number, size = script.byte() & 3, script.byte()
    with contextlib.suppress(LocalProtocolError):
        match what % 7:
            case 0:
                side.data(number, 0, bytes(size))
            case 5:
                side.again(size if number & 1 else bytes(size))
            case 1:
                side.data(number, script.byte(), bytes(size), bytes(32))
            case 2:
                side.hole(number, 0, size)
            case 3:
                side.abort(number, "gone")
            case 4:
                side.batch([0, 1], [bytes(5), b""], [bytes(32)] * 2)
            case _:
                side.end()
