"""Writing the one file of a transfer to a stream."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

import pytest

from dcsend.content import Abort, Content, Data, End, Hole
from dcsend.entry import Entry, Kind
from dcsend.errors import DestinationError
from dcsend.files.stream_sink import StreamSink
from tests.support.sinks import statuses, whole

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def test_stream_gets_the_bytes_and_the_zeros() -> None:
    out = io.BytesIO()
    sink = StreamSink(out)
    sink.plan([Entry("../any name", size=None)])
    expected = b"ab" + bytes(100) + b"cd"
    digest = hashlib.sha256(expected).digest()
    [outcome] = sink.apply([Data(0, 0, b"ab"), Hole(0, 2, 100), End(0, 104, digest, b"cd")])
    assert (outcome.status, outcome.size, outcome.saved) == ("ok", 104, None)
    assert out.getvalue() == expected
    assert sink.apply([Data(0, 104, b"more")]) == []
    assert sink.finish() == sink.close() == []


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [Entry("a"), Entry("b")],
        [Entry("d", Kind.DIRECTORY)],
        [Entry("d", Kind.DIRECTORY), Entry("d/a")],
        [Entry("l", Kind.LINK, target="x")],
    ],
)
def test_stream_takes_one_file_only(entries: list[Entry]) -> None:
    with pytest.raises(DestinationError, match="one file"):
        StreamSink(io.BytesIO()).plan(entries)


@pytest.mark.parametrize(
    ("portion", "status"),
    [
        ([Data(0, 0, b"ab"), End(0, 2, bytes(32))], "mismatch"),
        ([Data(0, 1, b"ab")], "failed"),
        ([End(0, 3, bytes(32), b"ab")], "failed"),
        ([End(0, 3, bytes(32), b"abc")], "failed"),
        ([Data(0, 0, b"abc")], "failed"),
        ([Abort(0, "why")], "aborted"),
    ],
)
def test_error_of_a_stream_is_reported(portion: list[Content], status: str) -> None:
    sink = StreamSink(io.BytesIO())
    sink.plan([Entry("f", size=2)])
    [outcome] = sink.apply(portion)
    assert outcome.status == status
    assert outcome.error is not None


def test_stream_that_takes_a_part_of_each_write_gets_all_bytes() -> None:
    class Narrow(io.BytesIO):
        """As a raw pipe whose buffer is nearly full."""

        def write(self, data: ReadableBuffer) -> int:
            return super().write(memoryview(data)[:3])

    out, content = Narrow(), b"0123456789"
    sink = StreamSink(out)
    sink.plan([Entry("f", size=10)])
    assert statuses(sink.apply(whole(0, content))) == ["ok"]
    assert out.getvalue() == content


def test_stream_without_an_end_fails_at_the_finish() -> None:
    sink = StreamSink(io.BytesIO())
    sink.plan([Entry("f", size=None)])
    sink.apply([Data(0, 0, b"x")])
    assert statuses(sink.finish()) == ["failed"]


def test_stream_without_a_reader_ends_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as stream:
        sink = StreamSink(stream)
        sink.plan([Entry("f", size=None)])
        with pytest.raises(DestinationError, match="has ended"):
            sink.apply([Data(0, 0, b"x")])
