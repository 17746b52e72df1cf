"""What a server of mailboxes, or a side with the words, can send in the handshake of a short code.

A script chooses the phases and bodies: any bytes, those of a real exchange with changes, or items
of the fuzzer that are sealed with the right key, so that they reach the parsers behind it.
"""

from __future__ import annotations

import contextlib
from typing import Final

from dcsend.description import Description, SdpType, Setup
from dcsend.errors import (
    AuthenticationFailed,
    DcsendError,
    IncompatibleVersion,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.rendezvous import handshake, sealing
from dcsend.rendezvous import items as contents
from dcsend.rendezvous.again import AgainAllocator, AgainJoiner, AgainKeys
from dcsend.rendezvous.items import Item
from dcsend.rendezvous.sealing import Keys, Phase
from dcsend.rendezvous.wire import MAX_PHASES
from tests.fuzz.script import Script

__all__ = ["allocator", "attempt", "items", "joiner"]

_Under = handshake.Allocator | handshake.Joiner | AgainAllocator | AgainJoiner
_WORDS: Final = "walrus-umbrella"
_REFUSED: Final = (AuthenticationFailed, IncompatibleVersion, RemoteProtocolError)
_OFFER: Final = Description(SdpType.OFFER, "abcd", "p" * 22, bytes(32), Setup.ACTPASS, ())
_ANSWER: Final = Description(SdpType.ANSWER, "efgh", "q" * 22, bytes(32), Setup.PASSIVE, ())
_HEADS: Final = {"b0": 98, "a1": 66}
"Bytes before the sealed message."


def _random(size: int) -> bytes:
    return bytes(range(size))


class _Exchange:
    """A real exchange of which the fuzzer has all messages and keys."""

    def __init__(self) -> None:
        self.one = handshake.Allocator(_WORDS, "7", random=_random)
        self.other = handshake.Joiner(_WORDS, "7", random=_random)
        # The scalars of both sides must differ.
        self.other._scalar = bytes(range(100, 132))
        self.bodies = dict([self.one.first])
        self.bodies |= [self.other.join(self.bodies["a0"], [_OFFER])]
        self.one.received("b0", self.bodies["b0"])
        self.bodies |= [self.one.seal([_ANSWER])]
        keys = self.one._keys
        assert keys is not None
        self.keys: Keys = keys


_REAL: Final = _Exchange()


def items(data: bytes) -> None:
    """Read the plaintext of a sealed message."""
    with contextlib.suppress(IncompatibleVersion, RemoteProtocolError):
        read = contents.decode(data)
        assert contents.decode(contents.encode(read)) == read


def allocator(data: bytes) -> None:
    """Give messages to an allocator."""
    side = handshake.Allocator(_WORDS, "7", random=_random)
    failure = _deliver(side, "b", Script(data))
    try:
        refusal = side.refusal()
    except LocalProtocolError:
        assert not isinstance(failure, AuthenticationFailed)
    else:
        assert isinstance(failure, AuthenticationFailed)
        assert refusal == ("a1", b"\1\0")


def joiner(data: bytes) -> None:
    """Give messages to a joiner: a0 of its own, or that of the real exchange, and others."""
    script = Script(data)
    side = handshake.Joiner(_WORDS, "7", random=_random)
    side._scalar = bytes(range(100, 132))
    a0 = script.piece() if script.byte() & 1 else _REAL.bodies["a0"]
    with contextlib.suppress(*_REFUSED):
        side.join(a0, [_OFFER])
        assert len(a0) == len(_REAL.bodies["a0"])
        _deliver(side, "a", script)


def attempt(data: bytes) -> None:
    """Give messages to either side of a second meeting: it has the keys of those that it opens."""
    script = Script(data)
    again = AgainKeys(bytes(32))
    allocator, joiner = (AgainAllocator(again, random=_random), AgainJoiner(again, random=_random))
    _, a0 = allocator.first
    real = dict([joiner.join(a0, [_OFFER])])
    if script.byte() & 1:
        _deliver(allocator, "b", script, real)
        return
    allocator.received(*next(iter(real.items())))
    _deliver(joiner, "a", script, dict([allocator.seal([_ANSWER])]))


def _deliver(
    side: _Under, letter: str, script: Script, real: dict[str, bytes] = _REAL.bodies
) -> DcsendError | None:
    """Give messages to a side; return the error with which it has ended."""
    got: list[Item] = []
    failures: list[DcsendError] = []
    while script:
        how, number = script.byte(), script.byte()
        phase = f"{letter}{number % 4 if how & 8 else number}"
        body = _body(how, phase, script.piece(), real.get(phase, b""))
        try:
            found = side.received(phase, body)
            assert not failures, "items after an error"
            got += found
        except _REFUSED as exc:
            failures.append(exc)
        assert len(side._held) <= MAX_PHASES
        assert side.is_confirmed or not got
        descriptions = [item for item in got if isinstance(item, Description)]
        assert len(descriptions) <= 1
    # A side that has failed raises the same error again.
    assert len({id(failure) for failure in failures}) <= 1
    return failures[0] if failures else None


def _body(how: int, phase: str, piece: bytes, real: bytes) -> bytes:
    """Return the piece, the real message with changes, or the piece as items, sealed."""
    match how & 3:
        case 0:
            return piece
        case 1:
            return real[: len(real) - len(piece)] + piece if how & 4 else piece + real[len(piece) :]
        case 2:
            return real
    parsed = Phase.parse(phase)
    if parsed is None:
        return piece
    first: list[Item] = [] if how & 4 else [_OFFER if phase == "b0" else _ANSWER]
    plaintext = contents.encode(first if phase in _HEADS else []) + piece
    key = _REAL.keys.b_to_a if parsed.side == "b" else _REAL.keys.a_to_b
    sealed = sealing.seal(key, parsed, plaintext[: sealing.MAX_PLAINTEXT])
    return real[: _HEADS.get(phase, 0)] + sealed
