r"""Make a stranger's text safe to show in a terminal.

A leaf: imports only the standard library.
"""

from __future__ import annotations

__all__ = ["printable"]

# Format characters (Cf) that hide or reorder text: bidirectional controls, zero-width
# characters, tags. str.isprintable() already says no to all of Cf, Cc, Cs, Co, Zl, Zp.


def printable(text: str) -> str:
    r"""Escape everything in *text* that is not plainly visible.

    Control characters, escape sequences, line ends, bidirectional overrides,
    zero-width characters and lone surrogates become `\x1b`-style escapes; what is
    visible stays as it is.

    >>> printable("a b\x1b[2Jc")
    'a b\\x1b[2Jc'
    >>> printable("süß 文件 🎉")
    'süß 文件 🎉'
    >>> printable("\u202egnp.exe")
    '\\u202egnp.exe'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text
    )
