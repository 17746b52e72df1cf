"""Links with both codes: which text is one, and its parts."""

from __future__ import annotations

import json
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.errors import MalformedCode
from dcsend.signaling.dialcode import Address, DialCode, decode
from dcsend.signaling.forgiving import MAX_TEXT
from dcsend.signaling.link import both_codes, link_of_both
from dcsend.signaling.shortcode import read
from tests.signaling.test_dialcode import Block, comment_of, read_vectors
from tests.signaling.test_shortcode import OUTCOMES, codes, unhurried

HEADER, *INPUTS = read_vectors("link-inputs.txt", {"code", "comment", "input", "outcome"})
CODE: Final = decode(dict(HEADER)["code"])


@pytest.mark.parametrize("block", INPUTS, ids=comment_of)
def test_text_is_a_link_with_both_codes_as_in_the_vectors(block: Block) -> None:
    fields = dict(block)
    found, outcome = both_codes(json.loads(fields["input"])), fields["outcome"]
    if found is None:
        assert outcome == "none"
        return
    assert decode(found[0]) == CODE
    if (kind := OUTCOMES.get(outcome)) is None:
        assert read(found[1]).text() == outcome
    else:
        with pytest.raises(MalformedCode) as raised:
            read(found[1])
        assert type(raised.value) is kind


@unhurried
@given(st.binary(min_size=16, max_size=16), codes)
def test_every_link_with_both_codes_is_read_back(secret: bytes, short: object) -> None:
    code = DialCode(secret, bytes(32), 1, (Address("192.0.2.7", 1),), 0)
    text = link_of_both(code.link("https://dcsend.example/"), short.text())  # type: ignore[attr-defined]
    found = both_codes(text)
    assert found is not None
    assert (decode(found[0]), read(found[1])) == (code, short)


def test_long_text_takes_little_time() -> None:
    began = time.process_time()
    for text in ("+" * MAX_TEXT, "1" * MAX_TEXT + "+", "%25" * (MAX_TEXT // 3)):
        both_codes(text)
    assert time.process_time() - began < 1
