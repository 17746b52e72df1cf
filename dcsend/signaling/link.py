"""A link with both codes of a side: a dial code, `+`, and a short code.

`https://example.org/#3569…+7-walrus-umbrella@public`: a side that opens it dials, and uses the
short code beside that. `dialcode` and `shortcode` read the two parts. `+` is in neither of them,
and no program adds one to a code.

Must not import anything of dcsend but `signaling`.
"""

from __future__ import annotations

import re
from typing import Final

from dcsend.signaling.forgiving import squash

__all__ = ["both_codes", "link_of_both"]

_PLUS: Final = re.compile(r"\+|%(?:25)*2b", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]{140}\Z")
"The end of the number of a link; the shortest dial code has 147 digits."


def link_of_both(dial_link: str, short_code: str) -> str:
    """Return the link with both codes.

    >>> link_of_both("https://dcsend.example/#3569", "7-walrus-umbrella")
    'https://dcsend.example/#3569+7-walrus-umbrella'
    """
    return f"{dial_link}+{short_code}"


def both_codes(text: str) -> tuple[str, str] | None:
    """Return the texts of the dial code and of the short code; None unless *text* has both.

    Neither of them is read.

    >>> both_codes(f"https://dcsend.example/#{150 * '3'}+7-walrus-umbrella")[1]
    '7-walrus-umbrella'
    >>> both_codes("7-walrus-umbrella"), both_codes("a+b")
    (None, None)
    """
    marks = list(_PLUS.finditer(text))
    if not marks or not _NUMBER.search(squash(text[: marks[-1].start()])):
        return None
    return text[: marks[-1].start()], text[marks[-1].end() :]
