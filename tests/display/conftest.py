"""Fixtures of the tests of displays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.display.seats import Seat
from tests.support.screens import Pty


@pytest.fixture
def seat() -> Iterator[Seat]:
    """Give a window of 80 columns and 24 rows."""
    pty = Pty()
    yield Seat(pty)
    pty.close()
