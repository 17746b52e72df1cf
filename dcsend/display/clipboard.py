"""Copying by escape sequence, also over ssh: OSC 52, where the terminal allows it.

Nobody answers, so whether it worked is not known: what is copied is always shown, too.
"""

from __future__ import annotations

import base64
import os
from typing import Final

from dcsend.display.streams import Stream

__all__ = ["copy"]

_LONGEST: Final = 50_000
"Characters; terminals cut off at 74 994 bytes of base64 and more (xterm, hterm)."


def copy(text: str, stream: Stream) -> bool:
    """Ask the terminal behind *stream* to copy *text*; False where there is none that could."""
    # GNU screen shows the sequence as text.
    mute = os.environ.get("TERM", "").startswith("screen") and "TMUX" not in os.environ
    if not stream.movable or mute or len(text) > _LONGEST:
        return False
    stream.write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a")
    return True
