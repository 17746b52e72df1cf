"""CPace: the vectors of the draft, and another implementation of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import cpace as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.errors import RemoteProtocolError
from dcsend.rendezvous import cpace
from dcsend.rendezvous.cpace import Sent

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "cpace.json").read_text()
)
RUN: Final = {name: bytes.fromhex(value) for name, value in VECTORS["run"].items()}
A: Final = Sent(RUN["Ya"], RUN["ADa"])
B: Final = Sent(RUN["Yb"], RUN["ADb"])
TAGS: Final = VECTORS["confirmation"]
POINTS: Final = VECTORS["low_order_points"]["points"]
SCALAR: Final = bytes.fromhex(VECTORS["low_order_points"]["s"])
P: Final = 2**255 - 19
SCALARS: Final = st.binary(min_size=32, max_size=32)


def encoded(number: int) -> bytes:
    return number.to_bytes(32, "little")


# --- the vectors


@pytest.mark.parametrize("vector", VECTORS["prepend_len"])
def test_length_is_written_as_in_the_draft(vector: dict[str, str]) -> None:
    assert cpace.prepend_len(bytes.fromhex(vector["data"])).hex() == vector["result"]


def test_parts_are_joined_as_in_the_draft() -> None:
    parts = map(bytes.fromhex, VECTORS["lv_cat"]["parts"])
    assert cpace.lv_cat(*parts).hex() == VECTORS["lv_cat"]["result"]


def test_generator_is_that_of_the_draft() -> None:
    inputs = RUN["PRS"], RUN["CI"], RUN["sid"]
    assert cpace.generator_string(*inputs) == RUN["generator_string"]
    assert cpace.map_to_curve(RUN["hash"]) == cpace.map_to_curve(RUN["u"]) == RUN["g"]
    assert cpace.generator(*inputs) == RUN["g"]


def test_shares_and_the_secret_point_are_those_of_the_draft() -> None:
    assert cpace.scalar_mult(RUN["ya"], RUN["g"]) == RUN["Ya"]
    assert cpace.scalar_mult(RUN["yb"], RUN["g"]) == RUN["Yb"]
    assert cpace.scalar_mult(RUN["ya"], RUN["Yb"]) == RUN["K"]
    assert cpace.scalar_mult(RUN["yb"], RUN["Ya"]) == RUN["K"]


def test_session_key_is_that_of_the_draft() -> None:
    transcript = cpace.lv_cat(A.share, A.data) + cpace.lv_cat(B.share, B.data)
    assert transcript == RUN["transcript_ir"]
    assert cpace.session_key(RUN["sid"], RUN["K"], A, B) == RUN["ISK_IR"]


def test_tags_of_the_confirmation_are_those_of_the_vectors() -> None:
    isk = RUN["ISK_IR"]
    assert cpace.confirmation_tag(RUN["sid"], isk, A).hex() == TAGS["Ta"]
    assert cpace.confirmation_tag(RUN["sid"], isk, B).hex() == TAGS["Tb"]
    assert cpace.is_tag(bytes.fromhex(TAGS["Ta"]), RUN["sid"], isk, A)
    assert not cpace.is_tag(bytes.fromhex(TAGS["Ta"]), RUN["sid"], isk, B)
    assert not cpace.is_tag(bytes.fromhex(TAGS["Ta"])[:-1], RUN["sid"], isk, A)


@pytest.mark.parametrize("point", [point for point in POINTS if point["abort"]])
def test_point_of_low_order_is_refused(point: dict[str, str]) -> None:
    with pytest.raises(RemoteProtocolError, match="low order"):
        cpace.scalar_mult(SCALAR, bytes.fromhex(point["u"]))


@pytest.mark.parametrize("point", [point for point in POINTS if not point["abort"]])
def test_other_encoding_gives_the_point_of_the_draft(point: dict[str, str]) -> None:
    assert cpace.scalar_mult(SCALAR, bytes.fromhex(point["u"])).hex() == point["q"]


# --- encodings


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_share_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"has {size} bytes"):
        cpace.scalar_mult(SCALAR, bytes([9] * size))


@given(SCALARS, st.integers(0, 18), st.booleans())
def test_share_above_the_prime_is_reduced(scalar: bytes, small: int, top: bool) -> None:
    high = P + small | top << 255
    try:
        expected: bytes | None = cpace.scalar_mult(scalar, encoded(small))
    except RemoteProtocolError:
        expected = None
    if expected is None:
        with pytest.raises(RemoteProtocolError):
            cpace.scalar_mult(scalar, encoded(high))
    else:
        assert cpace.scalar_mult(scalar, encoded(high)) == expected
    assert cpace.is_same_point(encoded(high), encoded(small))


@given(st.integers(0, P - 1), st.integers(0, P - 1))
def test_two_points_are_the_same_only_if_they_are(one: int, other: int) -> None:
    assert cpace.is_same_point(encoded(one), encoded(other)) == (one == other)
    assert cpace.is_same_point(encoded(one), encoded(one | 1 << 255))


@given(SCALARS)
def test_every_field_element_is_mapped_to_the_curve(element: bytes) -> None:
    u = int.from_bytes(cpace.map_to_curve(element), "little")
    assert u < P
    right = u * (u * u + 486_662 * u + 1) % P
    # On the curve, and not on its twist; 0 is mapped to 0, which is on both.
    assert pow(right, (P - 1) // 2, P) in (0, 1)


# --- another implementation


@given(
    prs=st.binary(max_size=200),
    ci=st.binary(max_size=200),
    sid=st.binary(max_size=40),
    data=st.tuples(st.binary(max_size=200), st.binary(max_size=9)),
    scalar=SCALARS,
)
def test_two_implementations_agree(
    prs: bytes, ci: bytes, sid: bytes, data: tuple[bytes, bytes], scalar: bytes
) -> None:
    ada, adb = data
    theirs = oracle.CPace.start(role=oracle.CPaceRole.RESPONDER, prs=prs, sid=sid, ci=ci, ad=adb)
    a = Sent(cpace.scalar_mult(scalar, cpace.generator(prs, ci, sid)), ada)
    b = Sent(theirs.public_share, adb)
    theirs.derive(a.share, a.data)
    isk = cpace.session_key(sid, cpace.scalar_mult(scalar, b.share), a, b)
    assert isk == theirs.isk
    assert cpace.is_tag(theirs.tag(), sid, isk, b)
    assert theirs.verify(cpace.confirmation_tag(sid, isk, a))


@given(scalar=SCALARS, share=SCALARS)
def test_two_implementations_agree_on_any_share(scalar: bytes, share: bytes) -> None:
    try:
        ours: bytes | None = cpace.scalar_mult(scalar, share)
    except RemoteProtocolError:
        ours = None
    assert ours == oracle._scalar_mult_vfy(scalar, share)
