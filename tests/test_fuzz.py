"""What the fuzzer has found interesting for each parser, and things like it, without the fuzzer."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.fuzz.targets import TARGETS, load, timed

CORPUS: Final = Path(__file__).parent / "fuzz" / "corpus"
CHANGES: Final = 3
"Changed copies of each input."
OTHERS: Final = [name for name in TARGETS if name != "sctp"]
"tests/sctp has a replay of its own."


@pytest.mark.parametrize("name", OTHERS)
def test_no_input_of_the_corpus_breaks_its_target(name: str) -> None:
    target = timed(load(name))
    inputs = sorted(path.read_bytes() for path in (CORPUS / name).iterdir())
    assert inputs
    random = Random(name)
    for data in inputs:
        target(data)
        for _ in range(CHANGES):
            target(changed(data, random.choice(inputs), random))


def changed(data: bytes, other: bytes, random: Random) -> bytes:
    """Return *data* with a byte changed, a part of another input in it, or a part missing."""
    at = random.randrange(len(data) + 1)
    match random.randrange(3):
        case 0:
            return data[:at] + random.randbytes(1) + data[at + 1 :]
        case 1:
            return data[:at] + other[at:]
        case _:
            return data[:at] + data[at + 2 :]
