"""The content of sealed messages: descriptions, candidates, the end of either.

A plaintext is a sequence of items, integers in network byte order:

    type     u8    0: no more items, the rest is zero
    length   u16
    value

    1 description       the compact form of a description, in binary (PROTOCOL.md, O-3)
    2 candidate         type × 4 + family, address, port, as in a description; priority u32
    3 end               empty: no more candidates
    4 bye               reason, NUL, message, in UTF-8
    5 network           u8 behaviour of the NAT, u8 UDP

Items of other types are ignored. The input has been authenticated, and is validated all the same.

Must not import anything of dcsend but `description`, `errors` and `signaling.blob`.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from dcsend.description import Candidate, Description
from dcsend.errors import LocalProtocolError, MalformedCode, RemoteProtocolError
from dcsend.signaling import blob

__all__ = ["MAX_BYE", "Bye", "End", "Item", "Mapping", "Network", "Udp", "decode", "encode"]

MAX_BYE: Final = 200
"Bytes of the value of a bye, at most."

_DESCRIPTION, _CANDIDATE, _END, _BYE, _NETWORK = range(1, 6)
_HEAD: Final = struct.Struct("!BH")
_PRIORITY: Final = struct.Struct("!I")
_LARGEST_PRIORITY: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class End:
    """No more candidates follow (RFC 8838, 8.2)."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The side ends the attempt."""

    reason: str
    "As in Cancel: `interrupted`, `error`, …; without NUL, not empty."
    message: str
    "Text for people, untrusted; without NUL. At most MAX_BYE bytes with the reason and a NUL."


class Mapping(enum.IntEnum):
    """How the NAT of a side maps addresses (RFC 4787, 4.1)."""

    UNKNOWN = 0
    NONE = 1
    "There is no NAT."
    ENDPOINT_INDEPENDENT = 2
    ADDRESS_DEPENDENT = 3
    "The mapping is another one for each destination."


class Udp(enum.IntEnum):
    """Whether UDP leaves the network of a side."""

    UNKNOWN = 0
    WORKS = 1
    BLOCKED = 2


@dataclass(frozen=True, slots=True)
class Network:
    """What a side has found out about its network, for the message when no path is found."""

    mapping: Mapping
    udp: Udp


Item: TypeAlias = Description | Candidate | End | Bye | Network


def encode(items: Iterable[Item]) -> bytes:
    """Return the plaintext of a message, without padding.

    A description loses what the compact form has no place for: candidates after the eighth, `mid`,
    `max_message_size`.

    Raises:
        LocalProtocolError: an item has no binary form.

    >>> encode([End(), Bye("error", "")]).hex()
    '0300000400066572726f7200'
    """
    return b"".join(_HEAD.pack(kind, len(value)) + value for kind, value in map(_encoded, items))


def _encoded(item: Item) -> tuple[int, bytes]:
    match item:
        case Description():
            try:
                return _DESCRIPTION, blob.pack(item)
            except MalformedCode as error:
                raise LocalProtocolError(f"the description can't be sent: {error}") from None
        case Candidate():
            packed = blob.pack_candidate(item)
            if not packed or not 0 < item.priority <= _LARGEST_PRIORITY:
                raise LocalProtocolError("the candidate has no binary form")
            return _CANDIDATE, packed + _PRIORITY.pack(item.priority)
        case End():
            return _END, b""
        case Bye():
            value = f"{item.reason}\0{item.message}".encode()
            if len(value) > MAX_BYE or value.count(b"\0") > 1 or not item.reason:
                raise LocalProtocolError("the reason or the message of a bye is invalid")
            return _BYE, value
        case Network():
            return _NETWORK, bytes([item.mapping, item.udp])


def decode(plaintext: bytes) -> list[Item]:
    """Read the plaintext of a message, with or without padding.

    Raises:
        RemoteProtocolError: an item is malformed, or the padding is not zero.
        IncompatibleVersion: a description has another version.

    >>> decode(bytes.fromhex("030000 ff0001aa 050002 0301 00"))
    [End(), Network(mapping=<Mapping.ADDRESS_DEPENDENT: 3>, udp=<Udp.WORKS: 1>)]
    """
    found = (_decoded(kind, value) for kind, value in _values(plaintext))
    return [item for item in found if item is not None]


def _values(plaintext: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item before the padding."""
    position = 0
    while position < len(plaintext) and plaintext[position]:
        end = position + _HEAD.size
        if end > len(plaintext):
            raise RemoteProtocolError("a sealed message ends within an item")
        kind, length = _HEAD.unpack_from(plaintext, position)
        position = end + length
        if position > len(plaintext):
            raise RemoteProtocolError("a sealed message ends within an item")
        yield kind, plaintext[end:position]
    if any(plaintext[position:]):
        raise RemoteProtocolError("the padding of a sealed message is not zero")


def _decoded(kind: int, value: bytes) -> Item | None:
    """Return an item; None if its type is unknown."""
    match kind:
        case 1:
            return _description(value)
        case 2:
            return _candidate(value)
        case 3:
            if value:
                raise RemoteProtocolError("the end of candidates has a value")
            return End()
        case 4:
            return _bye(value)
        case 5:
            return _network(value)
    return None


def _description(value: bytes) -> Description:
    try:
        return blob.unpack(value)
    except MalformedCode as error:
        raise RemoteProtocolError(f"the description is invalid: {error}") from None


def _candidate(value: bytes) -> Candidate:
    try:
        (priority,) = _PRIORITY.unpack(value[-_PRIORITY.size :])
        candidate, rest = blob.unpack_candidate(value[: -_PRIORITY.size], priority)
    except (ValueError, IndexError, struct.error):
        raise RemoteProtocolError("a candidate is invalid") from None
    if rest or not 0 < priority <= _LARGEST_PRIORITY:
        raise RemoteProtocolError("a candidate is invalid")
    return candidate


def _bye(value: bytes) -> Bye:
    try:
        reason, message = value.decode().split("\0")
    except ValueError:
        # Of another number of parts, or not UTF-8.
        raise RemoteProtocolError("a bye is invalid") from None
    if len(value) > MAX_BYE or not reason:
        raise RemoteProtocolError("a bye is invalid")
    return Bye(reason, message)


def _network(value: bytes) -> Network:
    if len(value) != 2:
        raise RemoteProtocolError(f"the facts of a network have {len(value)} bytes")
    mapping, udp = value
    return Network(
        Mapping(mapping) if mapping <= max(Mapping) else Mapping.UNKNOWN,
        Udp(udp) if udp <= max(Udp) else Udp.UNKNOWN,
    )
