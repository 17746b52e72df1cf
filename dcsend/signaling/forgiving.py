r"""Finds the bytes of a code in whatever was pasted, typed or scanned.

Owns both texts of a code: base 32, for people, and decimal digits, for links. What kind of
code it is stands in its first two letters: a dial code, or a session description. Between copy
and paste stand mail programs, chats, shells and terminals; what they add is passed over, what
they damage is named. Knows nothing of what the bytes mean: that is `dialcode`'s.

Must not import anything of dcsend but `errors` and `printable`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from dcsend.errors import IncompleteCode, MalformedCode
from dcsend.printable import printable

__all__ = ["DESCRIPTION", "MAX_TEXT", "PREFIX", "base32", "read", "squash"]

PREFIX: Final = "dc"
"What the text for people begins with."

DESCRIPTION: Final = "ds"
"The same of a session description, of which each side needs the other's."

_MISTAKEN: Final = {
    PREFIX: (
        "this is a dial code, which needs no answer",
        "use it without --signal sdp: dcsend receive CODE, or dcsend chat CODE",
    ),
    DESCRIPTION: (
        "this is one of two codes, each side needs the other's",
        "add --signal sdp to the command, or choose two codes on the page",
    ),
}
"Prefix -> what to say where it is that of the other kind."

MAX_TEXT: Final = 65536
"Characters that `read` looks at; more is a wrong file, not a code with some clutter."

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)} | {"o": 0, "i": 1, "l": 1}
_DIGITS: Final = frozenset("0123456789")

# What mail programs, chats, shells and terminals put around and into a code. Listed, rather
# than "everything else", so that a foreign letter is named and not silently dropped.
_CLUTTER: Final = frozenset("'\"`´<>.,;:!?*_~|=/\\()[]{}$«»‹›“”„‟‘’‚‛·•−")
_PASSED_OVER: Final = frozenset({"Cc", "Cf", "Pd", "Zs", "Zl", "Zp"})
"Unicode categories: controls, invisible characters (soft hyphen, BOM), dashes, white space."
_CONTROL_SEQUENCE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\^?\[\[?20[01]~")
_ENCODED_HASH: Final = re.compile(r"%(?:25)*23")
_COMMAND: Final = re.compile(r"dcsend(?:exe)?(?:receive|chat|send.{0,999}?to(?=d[cs]|$))")
"""`dcsend send PATH --to` has a path in it, of any letters; its length is limited so that no
text of 65536 characters takes long."""

SizeOf = Callable[[bytes], int | None]
"From the first two bytes or more: how many a code has that begins so; None if nobody knows."


def base32(raw: bytes, prefix: str = PREFIX) -> str:
    """Return the text for people: the prefix and base 32 (Crockford), lower case, no padding.

    >>> base32(b"dcsend")
    'dcchhq6sbecg'
    """
    length = _base32_length(len(raw))
    number = int.from_bytes(raw) << (5 * length - 8 * len(raw))
    digits = (_ALPHABET[number >> 5 * place & 31] for place in range(length - 1, -1, -1))
    return prefix + "".join(digits)


def read(text: str, largest: int, size_of: SizeOf, prefix: str = PREFIX) -> bytes:
    r"""Return the bytes that *text* carries, in either form; their checksum is not looked at.

    Args:
        text: what was pasted.
        largest: bytes of the longest code there is.
        size_of: tells a text that was cut off from one that was changed.
        prefix: what the wanted kind of code begins with; digits are a dial code's.

    Raises:
        MalformedCode: there is no code in it, or it is incomplete, or has foreign characters.

    >>> read("> DCCH HQ6S-\r\n> BECG.", 80, lambda beginning: 6)
    b'dcsend'
    """
    body = _body(text)
    kind = PREFIX if _DIGITS.issuperset(body) else body[: len(PREFIX)]
    if kind in _MISTAKEN and kind != prefix:
        raise MalformedCode(*_MISTAKEN[kind])
    if _DIGITS.issuperset(body):
        return _from_digits(body, largest)
    if kind == prefix:
        return _from_base32(body[len(prefix) :], largest, size_of)
    if body.startswith("http"):
        raise MalformedCode("the link has no code in it: the # and what follows it are missing")
    if body[0] in _DIGITS:
        raise _foreign_character(body, _DIGITS)
    links = ", links have # and digits" if prefix == PREFIX else ""
    raise MalformedCode(f"this is not a code: codes begin with {prefix}{links}")


def _body(text: str) -> str:
    """Return what is left without clutter, page and command; at least one character."""
    if len(text) > MAX_TEXT:
        raise MalformedCode(f"this is not a code: it has {len(text)} characters")
    squashed = squash(text)
    if not squashed:
        raise IncompleteCode("the code is empty")
    body = squashed.rpartition("#")[2]
    if command := _COMMAND.search(body):
        body = body[command.end() :]
        if not body:
            raise MalformedCode("the code is missing at the end of the command")
    if not body:
        raise MalformedCode("the link has no code in it: what belongs after the # is missing")
    return body


def squash(text: str) -> str:
    """Return *text* in lower case, without what copying adds, white space above all."""
    text = _ENCODED_HASH.sub("#", _CONTROL_SEQUENCE.sub("", text))
    return "".join(
        char
        for char in text
        if not (char.isspace() or char in _CLUTTER or unicodedata.category(char) in _PASSED_OVER)
    ).lower()


def _from_digits(digits: str, largest: int) -> bytes:
    """Read the number of a link.

    A missing digit moves all bits, so that only the checksum can tell.
    """
    # The limit comes before int(), whose work grows with the square of the length.
    if len(digits) > len(str(256**largest - 1)):
        raise MalformedCode(f"the code is damaged: it has {len(digits)} digits")
    number = int(digits)
    return number.to_bytes(-(-number.bit_length() // 8))


def _from_base32(body: str, largest: int, size_of: SizeOf) -> bytes:
    """Read what follows the prefix of a code for people."""
    if any(char not in _VALUES for char in body):
        raise _foreign_character(body, _VALUES)
    size = 5 * len(body) // 8
    length = len(PREFIX) + len(body)
    if size < 2:
        raise IncompleteCode(f"the code is damaged: only {length} characters of it are here")
    if size > largest:
        raise MalformedCode(f"the code is damaged: it has {length} characters")
    number = 0
    for char in body:
        number = number << 5 | _VALUES[char]
    unused = 5 * len(body) - 8 * size
    raw = (number >> unused).to_bytes(size)
    whole = size_of(raw)
    if whole is not None and len(body) != _base32_length(whole):
        expected = len(PREFIX) + _base32_length(whole)
        kind = IncompleteCode if length < expected else MalformedCode
        raise kind(f"the code is damaged: {length} of {expected} characters")
    if number & (1 << unused) - 1:
        raise MalformedCode("the code is damaged: its last character is wrong")
    return raw


def _base32_length(size: int) -> int:
    """Return how many base 32 characters *size* bytes need."""
    return -(-8 * size // 5)


def _foreign_character(body: str, alphabet: Iterable[str]) -> MalformedCode:
    """Return the refusal that names the first character outside *alphabet*."""
    known = frozenset(alphabet)
    char = next(char for char in body if char not in known)
    return MalformedCode(f"the code has a character that no code has: {printable(char)}")
