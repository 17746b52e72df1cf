"""What the fuzzer has found interesting, once more and without it; see CONTRIBUTING.md."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.associations import run

CORPUS = sorted((Path(__file__).parent.parent / "fuzz" / "corpus" / "sctp").iterdir())


def test_nothing_in_the_corpus_breaks_an_association() -> None:
    assert len(CORPUS) > 50
    for path in CORPUS:
        run(path.read_bytes())


@pytest.mark.parametrize("seed", range(4))
def test_nothing_like_it_does_either(seed: int) -> None:
    random = Random(seed)
    for path in CORPUS:
        data = bytearray(path.read_bytes())
        for _ in range(random.randrange(1, 5)):
            at = random.randrange(len(data))
            match random.randrange(3):
                case 0:
                    data[at] = random.randrange(256)
                case 1:
                    data[at:at] = random.choice(CORPUS).read_bytes()[at:]
                case _:
                    del data[at : at + 2]
                    data += b"\3"
        run(bytes(data))
