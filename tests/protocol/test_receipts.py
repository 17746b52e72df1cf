"""How many messages have arrived: the shared vectors, and what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from dcsend.errors import RemoteProtocolError
from dcsend.protocol.receipts import Receipt, encode_receipt, is_receipt, read_receipt

VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors" / "receipts.txt"
LINES: Final = VECTORS.read_text(encoding="utf-8").partition("\n\n")[2].splitlines()


@pytest.mark.parametrize("line", LINES)
def test_receipt_has_the_verdict_of_the_vectors(line: str) -> None:
    expected, verdict, message = line.split(" ", 2)
    try:
        read_receipt(message, resumes=expected == "resume")
    except RemoteProtocolError:
        assert verdict == "bad"
    else:
        assert verdict == "ok"


@pytest.mark.parametrize("resumes", [False, True])
def test_what_is_written_is_read(resumes: bool) -> None:
    receipt = Receipt(1, 2**53 - 1, 0)
    message = encode_receipt(receipt, resumes=resumes)
    assert is_receipt(message)
    assert read_receipt(message, resumes=resumes) == receipt


def test_frame_is_no_receipt() -> None:
    assert not is_receipt(b'{"type":"received"')
    with pytest.raises(RemoteProtocolError):
        read_receipt(b'{"type":"received","control":1,"data":1,"text":1}')
