"""The JSON texts of the mailbox protocol, and the limits that both of its ends enforce.

Used by the client (`mailbox`) and by the mailbox that an allocator serves (`local_mailbox`). Pure:
imports leaves only.
"""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from typing import Final, TypeGuard

__all__ = [
    "APP_ID",
    "MAX_BODY",
    "MAX_PHASES",
    "MAX_TEXT",
    "WireError",
    "body_of",
    "dump",
    "is_number",
    "is_text",
    "parse",
    "phase_letter",
    "tagged",
]

APP_ID: Final = "dcsend/1"
"The AppID in `bind`: the numbers of other programs and versions are separate from these."
MAX_TEXT: Final = 64 * 1024
"Bytes of one WebSocket message in UTF-8."
MAX_PHASES: Final = 64
"Messages of one side in one mailbox; phases have the numbers 0 to 63."
MAX_BODY: Final = 4096
"Bytes of one body, twice as many digits in `add` and `message`."

_NUMBER: Final = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_PHASE: Final = re.compile(r"([ab])(0|[1-9]\d?)", re.ASCII)
_TAG: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)


class WireError(ValueError):
    """A text that violates the mailbox protocol; its message names the violation."""


def parse(text: str) -> dict[str, object]:
    """Read one message: a JSON object with a text in `type`.

    Raises:
        WireError: it is something else.
    """
    try:
        values: object = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError("a message is not JSON") from None
    if not isinstance(values, dict):
        raise WireError("a message is not a JSON object")
    if not isinstance(values.get("type"), str):
        raise WireError("a message has no type")
    return values


def dump(kind: str, **fields: object) -> str:
    """Return a message of the type *kind*, in ASCII."""
    return json.dumps({"type": kind, **fields}, separators=(",", ":"))


def is_text(value: object, longest: int) -> TypeGuard[str]:
    """Return whether *value* is text of 1 to *longest* code points."""
    return isinstance(value, str) and 0 < len(value) <= longest


def is_number(value: object) -> TypeGuard[str]:
    """Return whether *value* is the number of a short code: "1" to "999999", without leading zeros.

    >>> is_number("7"), is_number("999999"), is_number("07"), is_number("1000000"), is_number(7)
    (True, True, False, False, False)
    """
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None


def phase_letter(value: object) -> str:
    """Return `a` or `b`, the first character of a phase from `a0` to `b63`; empty for others.

    >>> phase_letter("a0"), phase_letter("b63"), phase_letter("b64"), phase_letter("a01")
    ('a', 'b', '', '')
    """
    match = _PHASE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match is not None and int(match[2]) < MAX_PHASES else ""


def tagged(value: object) -> tuple[str, str]:
    """Return phase and tag of a message of a second meeting; both are empty for others.

    >>> tagged("b12.0123456789abcdef"), tagged("b12"), tagged("b64.0123456789abcdef")
    (('b12', '0123456789abcdef'), ('', ''), ('', ''))
    """
    phase, _, tag = value.partition(".") if isinstance(value, str) else ("", "", "")
    return (phase, tag) if phase_letter(phase) and _TAG.fullmatch(tag) else ("", "")


def body_of(value: object) -> bytes:
    """Return the bytes of a body in hexadecimal digits of either case.

    Raises:
        WireError: it is not text, has other characters, or is too long.
    """
    if not isinstance(value, str):
        raise WireError("a body is not text")
    if len(value) > 2 * MAX_BODY:
        raise WireError(f"a body is longer than {MAX_BODY} bytes")
    try:
        return unhexlify(value)
    except ValueError:
        raise WireError("a body is not hexadecimal") from None
