r"""Finds the bytes of a code in pasted, typed or scanned text.

Defines both text forms of a code: base 32 for users, and decimal digits for links. The first two
letters give the kind of code: dial code or session description. Characters that mail programs,
chats, shells and terminals add are ignored; damage is reported. `dialcode` and `blob` interpret the
bytes.

Must not import anything of dcsend but `errors` and `printable`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from dcsend.errors import IncompleteCode, MalformedCode
from dcsend.printable import printable

__all__ = [
    *("CONTROL_SEQUENCE", "DESCRIPTION", "MAX_TEXT", "PREFIX"),
    *("base32", "is_clutter", "read", "resembles_code", "squash"),
]

PREFIX: Final = "dc"
"The first characters of the base 32 form of a dial code."

DESCRIPTION: Final = "ds"
"The first characters of the compact form of a session description."

_MISTAKEN: Final = {
    PREFIX: (
        "this is a dial code, which needs no answer",
        "run without --signal sdp: dcsend receive CODE, dcsend send PATH --to CODE, or dcsend chat "
        "CODE",
    ),
    DESCRIPTION: (
        "this is one of two codes; each side needs the code of the other side",
        "add --signal sdp to the command, or choose two codes on the page",
    ),
}
"Prefix -> message and hint if the other kind of code is needed."

MAX_TEXT: Final = 65536
"Characters that `read` accepts; more is not a code but a wrong file."

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)} | {"o": 0, "i": 1, "l": 1}
_DIGITS: Final = frozenset("0123456789")

# Characters that mail programs, chats, shells and terminals add to a code. All others, such as
# letters of other alphabets, are reported.
_CLUTTER: Final = frozenset("'\"`´<>.,;:!?*_~|=/\\()[]{}$«»‹›“”„‟‘’‚‛·•−")
_PASSED_OVER: Final = frozenset({"Cc", "Cf", "Pd", "Zs", "Zl", "Zp"})
"Unicode categories that are ignored: controls, invisible characters, dashes, white space."
CONTROL_SEQUENCE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\^?\[\[?20[01]~")
"A control sequence of a terminal, or a mark of a bracketed paste that has lost its escape."
_ENCODED_HASH: Final = re.compile(r"%(?:25)*23")
_COMMAND: Final = re.compile(r"dcsend(?:exe)?(?:receive|chat|send.{0,999}?to(?=d[cs]|$))")
"""`dcsend send PATH --to` contains any path; the limit bounds the time for a text of 65536
characters."""

_RESEMBLES: Final = re.compile(r"(?:d[cs](?=\d)[0-9a-z]{6,}|https?:?[^#]*#\d{20,}|dcsend#\d{20,})")
"""The beginning of a code, which may be damaged, or a link. The version must be a digit, so that
file names such as `dcim.zip` do not match."""

SizeOf = Callable[[bytes], int | None]
"Returns the length of a code from its first two bytes or more; None if the version is unknown."


def resembles_code(text: str) -> bool:
    """Return whether *text* is probably a code or a link, complete or not; never raises.

    >>> resembles_code("dc058000820c20"), resembles_code("> DC05 8000"), resembles_code("film.mkv")
    (True, True, False)
    >>> resembles_code("dcsend receive dc058000820c"), resembles_code("http://h/#" + 9 * "123")
    (True, True)
    """
    squashed = squash(text[:MAX_TEXT])
    command = _COMMAND.match(squashed)
    return bool(_RESEMBLES.match(squashed[command.end() :] if command else squashed))


def base32(raw: bytes, prefix: str = PREFIX) -> str:
    """Return the text form for users: prefix and base 32 (Crockford), lower case, no padding.

    >>> base32(b"dcsend")
    'dcchhq6sbecg'
    """
    length = _base32_length(len(raw))
    number = int.from_bytes(raw) << (5 * length - 8 * len(raw))
    digits = (_ALPHABET[number >> 5 * place & 31] for place in range(length - 1, -1, -1))
    return prefix + "".join(digits)


def read(text: str, largest: int, size_of: SizeOf, prefix: str = PREFIX) -> bytes:
    r"""Return the bytes in *text*, in either form; their checksum is not verified.

    Args:
        text: the pasted text.
        largest: bytes of the longest possible code.
        size_of: distinguishes an incomplete text from a damaged one.
        prefix: prefix of the required kind of code; a text of digits is a dial code.

    Raises:
        MalformedCode: *text* contains no code, or the code is incomplete or has invalid characters.

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
    if prefix == PREFIX:
        raise MalformedCode(
            "this is not a code: short codes begin with a number, dial codes with dc, and links "
            "have # and digits",
            "enter what the other side shows, such as 7-walrus-umbrella, or copy the whole link",
        )
    # The other form of a description, base64 of JSON, was tried before.
    raise MalformedCode(f"this is not a code: codes begin with {prefix} or eyJ")


def _body(text: str) -> str:
    """Return *text* without ignored characters, page URL and command; at least one character."""
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
        raise MalformedCode("the link has no code in it: the part after the # is missing")
    return body


def squash(text: str) -> str:
    """Return *text* in lower case, without ignored characters and escape sequences."""
    text = _ENCODED_HASH.sub("#", CONTROL_SEQUENCE.sub("", text))
    return "".join(char for char in text if not is_clutter(char)).lower()


def is_clutter(char: str) -> bool:
    """Return whether *char* is white space, invisible, a dash, or a mark that programs add."""
    return char.isspace() or char in _CLUTTER or unicodedata.category(char) in _PASSED_OVER


def _from_digits(digits: str, largest: int) -> bytes:
    """Read the number of a link.

    A missing digit shifts all bits, so only the checksum can detect it.
    """
    # Checked before int(), whose time grows with the square of the length.
    if len(digits) > len(str(256**largest - 1)):
        raise MalformedCode(f"the code is damaged: it has {len(digits)} digits")
    number = int(digits)
    return number.to_bytes(-(-number.bit_length() // 8))


def _from_base32(body: str, largest: int, size_of: SizeOf) -> bytes:
    """Read a code in base 32 without its prefix."""
    if any(char not in _VALUES for char in body):
        raise _foreign_character(body, _VALUES)
    size = 5 * len(body) // 8
    length = len(PREFIX) + len(body)
    if size < 2:
        raise IncompleteCode(f"the code is damaged: it has only {length} characters")
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
    """Return the number of base 32 characters for *size* bytes."""
    return -(-8 * size // 5)


def _foreign_character(body: str, alphabet: Iterable[str]) -> MalformedCode:
    """Return the error for the first character outside *alphabet*."""
    known = frozenset(alphabet)
    char = next(char for char in body if char not in known)
    return MalformedCode(f"the code has an invalid character: {printable(char)}")
