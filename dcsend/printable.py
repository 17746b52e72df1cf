r"""Text for people: untrusted text made safe for a terminal, and numbers of bytes.

A leaf module: imports only the standard library.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["format_size", "printable", "system_reason"]

# str.isprintable() is False for controls, format characters (Cf: bidirectional overrides,
# zero-width characters, tags), surrogates, private use, unassigned characters, and every space
# but U+0020.
_BLANK = re.compile(
    "["
    # Default_Ignorable_Code_Point of Unicode, in any category: renderers show nothing.
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    # Blank although they are symbols or letters: BRAILLE PATTERN BLANK, OBJECT REPLACEMENT
    # CHARACTER, KHITAN SMALL SCRIPT FILLER, MUSICAL SYMBOL NULL NOTEHEAD.
    "\u2800\ufffc\U00016fe4\U0001d159"
    "]"
)
_EMOJI_STYLE = "\ufe0f"
"VARIATION SELECTOR-16: requests the coloured form of the emoji before it."


def system_reason(error: Exception, otherwise: str = "unknown error") -> str:
    """Return the system's reason for an error; it begins in lower case, as other messages do.

    Args:
        error: an `OSError`, or an error of the arguments of the call.
        otherwise: the reason of an error that has none of the system.

    >>> system_reason(OSError(2, "No such file")), system_reason(OSError(5, "I/O error"))
    ('no such file', 'I/O error')
    """
    reason: str = getattr(error, "strerror", None) or ""
    first, space, rest = reason.partition(" ")
    # Windows translates reasons, in German with capital letters within; musl has `I/O error`.
    if first[1:] == first[1:].lower():
        first = first.lower()
    return first + space + rest or otherwise


def printable(text: str) -> str:
    r"""Escape every character of *text* that is not visible.

    Control characters, escape sequences, line ends, bidirectional overrides, zero-width and blank
    characters, variation selectors and lone surrogates become escapes like `\x1b`. Visible
    characters are not changed, nor is one U+FE0F after a symbol (category So), as in many emoji.
    tests/vectors/printable.json has cases for all implementations.

    >>> printable("a b\x1b[2Jc")
    'a b\\x1b[2Jc'
    >>> printable("süß 文件 🎉")
    'süß 文件 🎉'
    >>> printable("\u202egnp.exe")
    '\\u202egnp.exe'
    """
    if text.isascii() and text.isprintable():
        return text
    if text.isprintable() and not _BLANK.search(text):
        return text
    return "".join(
        char if _is_visible(char, before) else _escaped(char)
        for before, char in zip(" " + text, text, strict=False)
    )


def format_size(count: int | None) -> str:
    """Return a number of bytes for a person, in decimal units.

    >>> format_size(999), format_size(1_500), format_size(2_340_000_000), format_size(None)
    ('999 B', '1.5 kB', '2.3 GB', 'unknown size')
    """
    if count is None:
        return "unknown size"
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def _is_visible(char: str, before: str) -> bool:
    if char == _EMOJI_STYLE:
        return unicodedata.category(before) == "So" and not _BLANK.match(before)
    return char.isprintable() and not _BLANK.match(char)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode()
