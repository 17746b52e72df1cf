"""The vectors of short codes, and what several tests of them use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.rendezvous.handshake import Allocator, Joiner
from dcsend.rendezvous.items import Bye, End, Item, Network
from dcsend.signaling import blob

__all__ = [
    *("ANSWER", "NUMBER", "OFFER", "VECTORS", "WORDS"),
    *("allocator", "candidate", "feed", "joined", "joiner", "shown"),
]

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "shortcode-handshake.json").read_text()
)
WORDS: Final[str] = VECTORS["words"]
NUMBER: Final[str] = VECTORS["number"]
OFFER: Final = Description(
    SdpType.OFFER, "abcd", "ABCDEFGHIJKLMNOPQRSTUV", bytes(32), Setup.ACTPASS, ()
)
ANSWER: Final = Description(
    SdpType.ANSWER, "efgh", "abcdefghijklmnopqrstuv", bytes(32), Setup.PASSIVE, ()
)


def candidate(number: int = 0) -> Candidate:
    """Return one candidate of many."""
    return Candidate(CandidateType.HOST, "192.0.2.7", 40_000 + number, 2_130_706_431)


def feed(*parts: bytes) -> Callable[[int], bytes]:
    """Return a source of bytes that are not random."""
    left = list(parts)

    def random(size: int) -> bytes:
        part = left.pop(0)
        assert len(part) == size
        return part

    return random


def allocator(words: str = WORDS, number: str = NUMBER) -> Allocator:
    """Return the allocator of the vectors."""
    fixed = feed(bytes.fromhex(VECTORS["sid"]), bytes.fromhex(VECTORS["ya"]))
    return Allocator(words, number, random=fixed)


def joiner(words: str = WORDS, number: str = NUMBER) -> Joiner:
    """Return the joiner of the vectors."""
    return Joiner(words, number, random=feed(bytes.fromhex(VECTORS["yb"])))


def joined() -> tuple[Allocator, Joiner]:
    """Return two sides that have confirmed each other."""
    one, other = allocator(), joiner()
    one.received(*other.join(one.first[1], [OFFER]))
    other.received(*one.seal([ANSWER]))
    return one, other


def shown(item: Item) -> dict[str, Any]:
    """Return an item in the form of the vectors."""
    match item:
        case Description():
            return {"type": "description", "packed": blob.pack(item).hex()}
        case Candidate(type=kind, host=host, port=port, priority=priority):
            fields = {"kind": str(kind), "host": host, "port": port, "priority": priority}
            return {"type": "candidate", **fields}
        case End():
            return {"type": "end"}
        case Bye(reason=reason, message=message):
            return {"type": "bye", "reason": reason, "message": message}
        case Network(mapping=mapping, udp=udp):
            return {"type": "network", "mapping": int(mapping), "udp": int(udp)}
