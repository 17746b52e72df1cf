"""How often a long test tries something: less in each run of the tests than in `make lab`."""

from __future__ import annotations

import os

__all__ = ["amount"]

_ALL = os.environ.get("DCSEND_TESTS_ALL", "") == "1"


def amount(usual: int, every: int) -> int:
    """Return *usual*, or *every* with DCSEND_TESTS_ALL=1 in the environment."""
    return every if _ALL else usual
