"""The files of a case, and their destination."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["SCENES", "Scene"]

_OLD: Final = b"what was there before\n"


@dataclass(frozen=True, slots=True)
class Scene:
    """One kind of transfer."""

    fill: Callable[[Path], None]
    "Fills the folder that is sent."
    sending: tuple[str, ...] = ()
    "Options of the sender."
    receiving: tuple[str, ...] = ()
    "Options of the receiver."
    taken: bool = False
    "Each file exists already, with another content."
    sides: tuple[str, ...] = ("receiver", "sender")
    "On which calls fail."
    step: int = 1
    "Each so-manieth call fails."
    lasting: int = 0
    "Persistent errors begin at each call whose number is a multiple of this; 0: never."

    def occupy(self, source: Path, output: Path) -> None:
        """Make the files in *output* that exist before the transfer."""
        output.mkdir()
        if not self.taken:
            return
        for path in sorted(source.rglob("*")):
            place = output / path.relative_to(source.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                place.write_bytes(_OLD)


def old_digest() -> str:
    """Return the SHA-256, in hexadecimal, of each file that existed before."""
    return hashlib.sha256(_OLD).hexdigest()


def _mixed(folder: Path) -> None:
    """Make 20 files: empty, small, of several blocks, with a journal, with holes; and a link."""
    for number in range(16):
        place = folder / ("" if number < 6 else "one" if number < 11 else "one/two")
        place.mkdir(exist_ok=True)
        (place / f"{number:02}.bin").write_bytes(os.urandom(number * 997))
    (folder / "empty folder").mkdir()
    (folder / "half.bin").write_bytes(os.urandom(500_000))
    (folder / "large.bin").write_bytes(os.urandom(2_500_000))
    with (folder / "sparse.bin").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
        file.truncate(6_000_000)
    with (folder / "journal.bin").open("wb") as file:
        file.write(os.urandom(1_200_000))
        file.truncate(20_000_000)
        file.seek(19_000_000)
        file.write(b"more")
    (folder / "link").symlink_to("00.bin")


def _small(folder: Path) -> None:
    """Make 40 small files: so many travel, are written and are synced together."""
    (folder / "in").mkdir()
    for number in range(40):
        (folder / ("in" if number % 2 else "") / f"{number:02}").write_bytes(os.urandom(200))


SCENES: Final[dict[str, Scene]] = {
    "mixed": Scene(_mixed, ("--links",), lasting=10),
    "small": Scene(_small, lasting=10),
    "overwrite": Scene(
        _mixed, ("--links",), ("--overwrite",), taken=True, sides=("receiver",), step=3
    ),
    "rename": Scene(_mixed, ("--links",), ("--rename",), taken=True, sides=("receiver",), step=3),
    "small-overwrite": Scene(_small, (), ("--overwrite",), taken=True, sides=("receiver",), step=3),
}
"By name."
