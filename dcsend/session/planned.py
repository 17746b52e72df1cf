"""The event of a dry run. Imports only leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dcsend.errors import DcsendError

__all__ = ["Planned"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run would transfer: the result of a dry run."""

    event: ClassVar = "plan"
    files: int
    "Number of files, texts and links that would be transferred."
    bytes: int | None
    "Bytes that would be sent; None if unknown."
    overwritten: int = 0
    "Number of existing files and links that would be replaced."
    renamed: int = 0
    "Number of files and links that would get another name, because theirs exists."
    skipped: Mapping[str, int] = field(default_factory=dict)
    "Number of entries that would not be received, by the reason in Accept."
    resumed: int = 0
    "Bytes of an earlier run that would not be sent again."
    compared: int = 0
    "Bytes of existing files that would be sent only if they differ."
    free: int | None = None
    "Free bytes at the destination; None if unknown, and at a sender."
    refusal: DcsendError | None = None
    "Why nothing would be received without an answer to a question."

    def as_json(self) -> dict[str, Any]:
        """The numbers, and the message of the refusal."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "overwritten": self.overwritten,
            "renamed": self.renamed,
            "skipped": dict(self.skipped),
            "resumed": self.resumed,
            "compared": self.compared,
            "free": self.free,
            "refusal": None if self.refusal is None else self.refusal.message,
        }
