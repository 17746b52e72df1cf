"""The port of the last page, for the next run.

A page keeps data for its origin, and the origin contains the port: what a phone has kept is found
again only by a page from the same port. Imports leaf modules and the standard library only.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Final

from dcsend.errors import DcsendError
from dcsend.printable import system_reason
from dcsend.serving.port import blocked_port
from dcsend.serving.saving import save

__all__ = ["last_port", "remember", "state_folder"]

logger = logging.getLogger(__name__)

_NAME: Final = "page-port"
_MOST: Final = 16
"Bytes to read of the file; a port has at most five digits."


def state_folder() -> Path | None:
    r"""Return the folder for what runs leave for later ones; None if the system names none.

    `$XDG_STATE_HOME/dcsend`, by default `~/.local/state/dcsend`; on macOS by default
    `~/Library/Application Support/dcsend`, on Windows `%LOCALAPPDATA%\dcsend`.
    """
    name = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME"
    base = Path(os.environ.get(name, ""))
    if not base.is_absolute():  # the XDG specification ignores a relative one
        try:
            home = Path.home()
        except RuntimeError:
            return None
        if sys.platform == "win32":
            base = home / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = home / "Library" / "Application Support"
        else:
            base = home / ".local" / "state"
    return base / "dcsend"


def last_port() -> int:
    """Return the port of the last page; 0 if there is none that browsers accept."""
    try:
        if (folder := state_folder()) is None:
            return 0
        with (folder / _NAME).open("rb") as file:
            text = file.read(_MOST).strip()
    except (OSError, ValueError) as exc:
        logger.debug("the last port of the page is not known: %s", system_reason(exc, "unreadable"))
        return 0
    port = int(text) if text.isdigit() and len(text) <= 5 else 0
    return 0 if port > 65535 or blocked_port(port, served=True) else port


def remember(port: int) -> None:
    """Write *port* for the next run; an error is logged only.

    Args:
        port: 1 to 65535.
    """
    try:
        if (folder := state_folder()) is None:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save(f"{port}\n".encode(), folder / _NAME, overwrite=True)
    except DcsendError as exc:
        logger.debug("the port of the page is not kept: %s", exc.message)
    except (OSError, ValueError) as exc:
        logger.debug("the port of the page is not kept: %s", system_reason(exc, "unwritable"))
