"""Validation of the device name in Hello, which must also be possible as a file name.

Imported before the dial code is shown, so it imports only the limits.
"""

from __future__ import annotations

import re
from typing import Final

from dcsend.protocol.limits import MAX_DEVICE

__all__ = ["is_device_name"]

_IMPOSSIBLE: Final = re.compile("[\x00-\x1f\x7f-\x9f/\\\\\ud800-\udfff]")
"Control characters, path separators and surrogates."


def is_device_name(text: str) -> bool:
    r"""Return whether *text* is a device name: 1 to 64 code points, not only spaces.

    Invisible characters are allowed, as in a file name: `printable` escapes them.

    >>> is_device_name("anna's laptop"), is_device_name("a\nb"), is_device_name(" ")
    (True, False, False)
    """
    return len(text) <= MAX_DEVICE and bool(text.strip(" ")) and _IMPOSSIBLE.search(text) is None
