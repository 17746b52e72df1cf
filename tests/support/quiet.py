"""Fixtures that fail a test after which a warning was logged, or an error has reached the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

__all__ = ["no_warnings", "nothing_raised"]


@pytest.fixture
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test after which something was logged that a person would see."""
    yield
    seen = [r for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert not seen, [record.getMessage() for record in seen]


@pytest.fixture
async def nothing_raised(no_warnings: None) -> AsyncIterator[None]:
    """Fail a test in which a callback of the loop raised, or after which a warning was logged."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))
    yield
    assert not raised
