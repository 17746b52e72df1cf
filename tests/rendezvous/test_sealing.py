"""Sealed messages: keys, padding, and what is authenticated."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from dcsend.errors import AuthenticationFailed, LocalProtocolError, RemoteProtocolError
from dcsend.rendezvous import sealing
from dcsend.rendezvous.sealing import Phase

KEY = bytes(range(32))
PHASE = Phase("a", 7)


@pytest.mark.parametrize(("name", "info"), [("a_to_b", "a>b"), ("b_to_a", "b>a"), ("again",) * 2])
def test_keys_are_those_of_hkdf(name: str, info: str) -> None:
    isk = bytes(range(64))
    extracted = hmac.digest(b"", isk, "sha256")
    expanded = hmac.digest(extracted, f"dcsend 1 {info}\1".encode(), hashlib.sha256)
    assert getattr(sealing.derive(isk), name) == expanded


def test_keys_are_not_shown() -> None:
    assert repr(sealing.derive(bytes(64))) == "Keys()"


def test_message_is_sealed_with_its_number_and_its_phase() -> None:
    sealed = ChaCha20Poly1305(KEY).encrypt(
        (7).to_bytes(12), b"items".ljust(512, b"\0"), b"dcsend/1\0a7"
    )
    assert sealing.seal(KEY, PHASE, b"items") == sealed


@given(st.binary(max_size=2048))
def test_sealed_message_is_opened_with_its_padding(plaintext: bytes) -> None:
    sealed = sealing.seal(KEY, PHASE, plaintext)
    opened = sealing.open_sealed(KEY, PHASE, sealed)
    assert opened.rstrip(b"\0") == plaintext.rstrip(b"\0")
    assert len(opened) in (512, 1024, 1536, 2048)
    assert len(opened) - len(plaintext) < 512 or not plaintext


def test_message_that_is_too_long_is_not_sealed() -> None:
    with pytest.raises(LocalProtocolError):
        sealing.seal(KEY, PHASE, bytes(2049))


@pytest.mark.parametrize("other", [Phase("a", 6), Phase("b", 7)])
def test_message_of_another_phase_is_refused(other: Phase) -> None:
    with pytest.raises(AuthenticationFailed):
        sealing.open_sealed(KEY, other, sealing.seal(KEY, PHASE, b""))


@given(st.integers(0, 527), st.integers(1, 255))
def test_changed_message_is_refused(place: int, change: int) -> None:
    sealed = bytearray(sealing.seal(KEY, PHASE, b"items"))
    sealed[place] ^= change
    with pytest.raises(AuthenticationFailed):
        sealing.open_sealed(KEY, PHASE, bytes(sealed))


@pytest.mark.parametrize("size", [0, 15, 16, 527, 529, 1039, 2063, 2065, 2576])
def test_sealed_message_of_another_length_is_refused(size: int) -> None:
    assert not sealing.is_sealed_size(size)
    with pytest.raises(RemoteProtocolError, match=f"a7 has {size} bytes"):
        sealing.open_sealed(KEY, PHASE, bytes(size))


@pytest.mark.parametrize(
    "name", ["", "a", "a01", "a64", "a+1", "A1", "c1", "a1 ", "a1\n", "a\u0661"]
)
def test_name_of_no_phase_is_not_read(name: str) -> None:
    assert Phase.parse(name) is None


@pytest.mark.parametrize("name", ["a0", "a1", "b9", "b10", "a63"])
def test_name_of_a_phase_is_read_and_written(name: str) -> None:
    assert str(Phase.parse(name)) == name
