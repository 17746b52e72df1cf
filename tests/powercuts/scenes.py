"""What is received, and how."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dcsend.entry import Existing
from tests.powercuts.scale import FACTOR

__all__ = ["MTIME", "OLD", "SCENES", "Scene"]

MIB: Final = 1 << 20
MTIME: Final = 1_700_000_000_000_000
OLD: Final = b"what was there before\n"


@dataclass(frozen=True, slots=True)
class Scene:
    """One kind of transfer."""

    text: str
    "For the report."
    sizes: tuple[int, int]
    "Bytes of a file, at least and at most."
    count: int = 1
    "Files."
    existing: Existing = Existing.SKIP
    "What the receiver does with names that are taken."
    taken: bool = False
    "Each second name is taken by another file."
    factor: int = FACTOR
    "By which the limits are smaller."
    disturbed: bool = True
    "Other programs sync, and the system writes parts of files at any time."
    paced: bool = False
    "The sender waits for each sync, so what the journal has is durable."
    continued: bool = False
    "The recorded run continues a part that a power cut has left."
    programs: bool = False
    "Received by a real program, and not only by its sink."
    delay: float = 0.0
    "Seconds that the disk takes for each byte."
    image: int = 0
    "Bytes of the disk, if it is larger than others."

    def files(self, seed: int) -> Mapping[str, bytes]:
        """Return the content of each file by its path."""
        rng = random.Random(seed)
        pool = rng.randbytes(2 * MIB + max(self.sizes) // 8)
        return {
            f"{'' if number % 3 else 'inner/'}{number:03}.bin": self._content(rng, pool)
            for number in range(self.count)
        }

    def _content(self, rng: random.Random, pool: bytes) -> bytes:
        size, content = rng.randint(*self.sizes), bytearray()
        while len(content) < size:
            if size > 4 * MIB and rng.random() < 0.1:
                content += bytes(rng.randint(1, MIB))
                continue
            begin = rng.randrange(len(pool))
            content += pool[begin : begin + rng.randint(1, MIB)]
        return bytes(content[:size])

    def occupy(self, output: Path, seed: int) -> None:
        """Make the files that are there before the transfer."""
        output.mkdir()
        for number, path in enumerate(self.files(seed) if self.taken else ()):
            if number % 2:
                continue
            place = output / path
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(OLD)


SCENES: Final[Mapping[str, Scene]] = {
    "large": Scene("one file of 12 MiB, with holes", (12 * MIB, 12 * MIB)),
    "continued": Scene(
        "the same, of which a cut has left a part", (12 * MIB, 12 * MIB), continued=True
    ),
    "paced": Scene(
        "the same from a slow sender, and nothing else uses the disk",
        (12 * MIB, 12 * MIB),
        disturbed=False,
        paced=True,
    ),
    "several": Scene("24 files of up to 1.5 MiB", (0, 1536 << 10), count=24),
    "slow": Scene(
        "40 files of 0.9 MiB, disk of 20 MB/s", (900 << 10, 900 << 10), count=40, delay=5e-8
    ),
    "small": Scene("120 files of up to 60 KiB", (0, 60 << 10), count=120),
    "overwrite": Scene(
        "16 files of up to 1 MiB, half of them replace others",
        (0, MIB),
        count=16,
        existing=Existing.OVERWRITE,
        taken=True,
    ),
    "overwrite-small": Scene(
        "60 files of up to 60 KiB, half of them replace others",
        (1, 60 << 10),
        count=60,
        existing=Existing.OVERWRITE,
        taken=True,
    ),
    "rename": Scene(
        "16 files of up to 1 MiB, half of the names are taken",
        (0, MIB),
        count=16,
        existing=Existing.RENAME,
        taken=True,
    ),
    "programs": Scene(
        "24 files of up to 1.5 MiB, `dcsend send` and `dcsend receive`",
        (0, 1536 << 10),
        count=24,
        programs=True,
    ),
    "program": Scene(
        "one file of 12 MiB, `dcsend send` and `dcsend receive`",
        (12 * MIB, 12 * MIB),
        programs=True,
    ),
    "film": Scene(
        "one file of 300 MiB, with the limits as they are",
        (300 * MIB, 300 * MIB),
        factor=1,
        image=448 * MIB,
    ),
}
"By name."
