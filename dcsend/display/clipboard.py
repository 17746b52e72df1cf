"""Copying to the clipboard by the escape sequence OSC 52, which also works over ssh.

Terminals do not report whether they have copied the text, so it is always shown as well.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from dcsend.display.streams import Stream

__all__ = ["COPIED", "copy"]

COPIED: Final = "also copied to the clipboard, if your terminal supports it"
"Shown after `copy`."

_LONGEST: Final = 50_000
"Characters; xterm and hterm accept 74 994 bytes of base64."


def copy(text: str, stream: Stream) -> bool:
    """Send *text* to the clipboard of a terminal; return False if that is not supported."""
    # GNU screen shows the sequence as text.
    is_gnu_screen = os.environ.get("TERM", "").startswith("screen") and "TMUX" not in os.environ
    if not stream.movable or is_gnu_screen or len(text) > _LONGEST:
        return False
    stream.write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a")
    return True
