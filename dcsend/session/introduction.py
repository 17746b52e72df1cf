"""What Hello contains of this side: program, version, system, and the name of the device."""

from __future__ import annotations

import platform
import socket

from dcsend._version import __version__
from dcsend.errors import UsageError
from dcsend.protocol.device import is_device_name
from dcsend.protocol.limits import MAX_DEVICE

__all__ = ["agent", "check_name", "host_name"]


def agent() -> str:
    """Return name and version of this program, and the system."""
    return f"dcsend/{__version__} ({platform.system()})"


def host_name() -> str:
    """Return the first part of the host name, without the domain; empty if it names nothing.

    The domain may reveal an employer or a place; the first part is the usual name of a machine.
    """
    name = socket.gethostname().partition(".")[0]
    return name if name.lower() != "localhost" and is_device_name(name) else ""


def check_name(name: str) -> None:
    """Refuse a name that Hello can't contain; an empty one means none.

    Raises:
        UsageError: it is too long, or contains what no file name can contain.
    """
    if name and not is_device_name(name):
        raise UsageError(
            f"this can't name a device: {name}"
            if len(name) <= MAX_DEVICE
            else f"the name of the device has {len(name)} characters",
            f"choose 1 to {MAX_DEVICE} characters, no control character and no slash among them",
        )
