"""The prompt of a waiting receiver on a terminal, at which much is pasted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.load import Stopwatch
from tests.support.processes import Program, Stage

pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals as Unix has them")

PROMPT = b"or enter a code: "


@pytest.fixture
def receiver(stage: Stage, tmp_path: Path) -> Program:
    """Start a receiver that waits at its prompt."""
    program = stage.run("receive", "-o", tmp_path, terminal=True)
    program.until_shown(PROMPT)
    return program


@pytest.mark.parametrize("word", [b"lorem ipsum ", "größer ".encode(), b"lorem ipsum\n"])
def test_prompt_answers_ctrl_c_within_a_second_after_a_megabyte_was_pasted(
    receiver: Program, word: bytes
) -> None:
    watch = Stopwatch()
    receiver.write(word * (1_000_000 // len(word)))
    watch.assert_within(3)
    watch = Stopwatch()
    receiver.write(b"\x03")
    assert receiver.reap().status == 130
    watch.assert_within(1)
