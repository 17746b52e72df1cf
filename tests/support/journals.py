"""Reading the journals of parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["read_lines"]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a journal, one for each line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
