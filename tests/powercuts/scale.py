"""Smaller limits, so that a short transfer has as many syncs as a long one has otherwise."""

from __future__ import annotations

from typing import Final

from dcsend.files import folder_writer, interval_sync, journal, resuming

__all__ = ["BOUND", "FACTOR", "scale"]

FACTOR: Final = 32
BOUND: Final = 128 << 20
"Bytes that a power cut may cost."
_LIMITS: Final = [
    (module, name, getattr(module, name))
    for module, name in (
        (interval_sync, "INTERVAL"),
        (interval_sync, "MAX_UNSYNCED"),
        (folder_writer, "MAX_UNSYNCED"),
        (journal, "INTERVAL"),
        (journal, "MIN_SIZE"),
        (resuming, "MIN_SIZE"),
    )
]


def scale(factor: int) -> None:
    """Divide all limits of this process by *factor*."""
    for module, name, value in _LIMITS:
        setattr(module, name, value // factor)
