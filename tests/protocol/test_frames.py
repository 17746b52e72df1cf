"""Frames: the shared vectors, damage at every byte, and what must never be made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.errors import DcsendError, IntegrityError, LocalProtocolError, RemoteProtocolError
from dcsend.protocol import limits
from dcsend.protocol.frames import (
    Frame,
    FrameKind,
    decode_frame,
    encode_abort,
    encode_again,
    encode_batch,
    encode_data,
    encode_hole,
    encode_restart,
)
from tests.protocol.test_messages import Vector, vectors

FRAMES = vectors("frame")
OK_FRAMES = [vector for vector in FRAMES if vector.expect == "ok"]
DIGEST = bytes(range(32))


def fields_of(frame: Frame) -> dict[str, object]:
    """A frame, as `fields` of a vector has it."""
    return {
        "kind": frame.kind.name.lower(),
        "number": frame.number,
        "offset": frame.offset,
        "length": frame.length,
        "payload": bytes(frame.payload).hex(),
        "digest": None if frame.digest is None else frame.digest.hex(),
    }


def encoded(frame: Frame) -> bytes:
    """The same frame, made by us."""
    if frame.kind is FrameKind.DATA:
        return encode_data(frame.number, frame.offset, frame.payload, frame.digest)
    if frame.kind is FrameKind.BATCH:
        # Where one content ends only the manifest says.
        empty = (b"",) * (frame.offset - 1)
        together = frame.digest or b""
        digests = [together[at : at + 32] for at in range(0, len(together), 32)]
        return encode_batch(frame.number, (bytes(frame.payload), *empty), digests)
    if frame.kind is FrameKind.HOLE:
        return encode_hole(frame.number, frame.offset, frame.length)
    if frame.kind is FrameKind.AGAIN:
        return encode_again(frame.number, frame.offset, frame.payload or frame.length)
    if frame.kind is FrameKind.RESTART:
        return encode_restart(frame.number, frame.offset)
    return encode_abort(frame.number, frame.offset, str(frame.payload, "utf-8"))


@pytest.mark.parametrize("vector", OK_FRAMES, ids=str)
def test_frame_vector_is_decoded(vector: Vector) -> None:
    assert fields_of(decode_frame(bytes.fromhex(vector.payload))) == vector.fields


@pytest.mark.parametrize("vector", OK_FRAMES, ids=str)
def test_frame_vector_is_what_we_make_ourselves(vector: Vector) -> None:
    data = bytes.fromhex(vector.payload)
    assert encoded(decode_frame(data)) == data


@pytest.mark.parametrize("vector", [v for v in FRAMES if v.expect == "remote-error"], ids=str)
def test_frame_vector_that_breaks_a_rule_is_refused(vector: Vector) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_frame(bytes.fromhex(vector.payload))


@pytest.mark.parametrize("vector", [v for v in FRAMES if v.expect == "integrity-error"], ids=str)
def test_frame_vector_that_is_damaged_is_refused(vector: Vector) -> None:
    with pytest.raises(IntegrityError):
        decode_frame(bytes.fromhex(vector.payload))


@pytest.mark.parametrize("vector", OK_FRAMES, ids=str)
def test_frame_vectors_are_refused_wherever_they_are_truncated(vector: Vector) -> None:
    data = bytes.fromhex(vector.payload)
    # The largest frame has as many truncations as bytes: its header, and every 997th.
    for size in [*range(min(len(data), 100)), *range(100, len(data), 997)]:
        with pytest.raises(RemoteProtocolError if size < 24 else IntegrityError):
            decode_frame(data[:size])


@pytest.mark.full
@pytest.mark.parametrize("vector", [v for v in FRAMES if len(v.payload) < 2000], ids=str)
def test_every_changed_byte_of_a_frame_is_caught(vector: Vector) -> None:
    data = bytearray.fromhex(vector.payload)
    for place, right in enumerate(data):
        for wrong in range(256):
            if wrong != right:
                data[place] = wrong
                try:
                    decode_frame(bytes(data))
                except DcsendError:
                    continue
                # Only damage can turn a damaged vector into a whole frame.
                assert vector.expect == "integrity-error"
        data[place] = right


@given(st.binary(max_size=200))
def test_random_bytes_are_no_frame(data: bytes) -> None:
    with pytest.raises((RemoteProtocolError, IntegrityError)):
        decode_frame(data)


@given(
    number=st.integers(0, limits.MAX_ENTRIES - 1),
    offset=st.integers(0, limits.MAX_SAFE - 100),
    payload=st.binary(max_size=100),
    digest=st.none() | st.binary(min_size=32, max_size=32),
)
def test_data_comes_back_as_it_was(
    number: int, offset: int, payload: bytes, digest: bytes | None
) -> None:
    if not payload and digest is None:
        digest = DIGEST
    frame = decode_frame(encode_data(number, offset, payload, digest))
    assert (frame.number, frame.offset, bytes(frame.payload)) == (number, offset, payload)
    assert frame.digest == digest


def test_payload_is_a_view_and_not_a_copy() -> None:
    message = encode_data(0, 0, b"hello")
    payload = decode_frame(message).payload
    assert isinstance(payload, memoryview)
    assert payload.obj is message


def test_memoryview_can_be_sent() -> None:
    assert encode_data(1, 2, memoryview(b"xhello")[1:]) == encode_data(1, 2, b"hello")


@pytest.mark.parametrize(
    ("number", "offset", "payload", "digest"),
    [
        (0, 0, b"", None),
        (0, 0, bytes(limits.MAX_PAYLOAD + 1), None),
        (0, 0, bytes(limits.MAX_PAYLOAD_WITH_DIGEST + 1), DIGEST),
        (0, 0, b"x", b"short"),
        (-1, 0, b"x", None),
        (limits.MAX_ENTRIES, 0, b"x", None),
        (0, -1, b"x", None),
        (0, limits.MAX_SAFE, b"x", None),
    ],
)
def test_impossible_data_is_never_made(
    number: int, offset: int, payload: bytes, digest: bytes | None
) -> None:
    with pytest.raises(LocalProtocolError):
        encode_data(number, offset, payload, digest)


@pytest.mark.parametrize(
    ("contents", "digests"),
    [
        ((), ()),
        ((b"a",), ()),
        ((b"a", b"b"), (DIGEST,)),
        ((b"a",), (b"short",)),
        ((bytes(limits.MAX_PAYLOAD_WITH_DIGEST), b""), (DIGEST, DIGEST)),
    ],
)
def test_impossible_batch_is_never_made(
    contents: tuple[bytes, ...], digests: tuple[bytes, ...]
) -> None:
    with pytest.raises(LocalProtocolError):
        encode_batch(0, contents, digests)


@pytest.mark.parametrize("length", [-1, 0, limits.MAX_HOLE + 1])
def test_impossible_hole_is_never_made(length: int) -> None:
    with pytest.raises(LocalProtocolError):
        encode_hole(0, 0, length)


def test_largest_frames_fill_whole_packets() -> None:
    assert len(encode_data(0, 0, bytes(limits.MAX_PAYLOAD))) == limits.MAX_FRAME
    assert len(encode_data(0, 0, bytes(limits.MAX_PAYLOAD_WITH_DIGEST), DIGEST)) == limits.MAX_FRAME
    assert limits.MAX_FRAME == 56 * 1160


def test_long_reason_of_an_abort_is_cut_at_a_character() -> None:
    frame = decode_frame(encode_abort(0, 0, "x" + "ä" * 300))
    assert str(frame.payload, "utf-8") == "x" + "ä" * 249


def test_reason_of_an_abort_may_name_a_file_that_is_not_unicode() -> None:
    frame = decode_frame(encode_abort(0, 0, "a\udcff"))
    assert bytes(frame.payload) == b"a\\udcff"
