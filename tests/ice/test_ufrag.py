"""The dialer's credentials inside the user name of its checks."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.ice.ufrag import DialerCredentials, encode_ufrag

ICE = string.ascii_letters + string.digits + "+/"
fingerprints = st.binary(min_size=32, max_size=32)
passwords = st.text(ICE, min_size=22, max_size=128)
ufrags = st.text(ICE, min_size=4, max_size=64)


@given(fingerprints, passwords, ufrags)
def test_what_is_encoded_is_parsed(fingerprint: bytes, password: str, ufrag: str) -> None:
    encoded = encode_ufrag(fingerprint, password)
    assert DialerCredentials.parse(f"{encoded}:{ufrag}") == DialerCredentials(
        encoded, fingerprint, password, ufrag
    )


@given(fingerprints, passwords)
def test_encoded_ufrag_is_one_that_every_ice_agent_takes(fingerprint: bytes, password: str) -> None:
    encoded = encode_ufrag(fingerprint, password)
    assert set(encoded) <= set(ICE)
    assert 4 <= len(encoded) <= 256
    # USERNAME has at most 513 bytes (RFC 8489, 14.3); Chromium drops longer ufrags than 256.
    assert len(encoded) + 1 + 64 < 256


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    parsed = DialerCredentials.parse(text)
    assert parsed is None or len(parsed.fingerprint) == 32


@pytest.mark.full
@given(
    fingerprints,
    passwords,
    ufrags,
    st.integers(0, 200),
    st.sampled_from(["-", "_", ":", "=", "\n", "é", "\u0660", "\x00", " "]),
)
def test_one_wrong_character_anywhere_is_refused(
    fingerprint: bytes, password: str, ufrag: str, at: int, wrong: str
) -> None:
    username = f"{encode_ufrag(fingerprint, password)}:{ufrag}"
    at %= len(username) + 1
    assert DialerCredentials.parse(username[:at] + wrong + username[at:]) is None


@pytest.mark.parametrize(
    ("password", "ufrag"),
    [("p" * 21, "abcd"), ("p" * 129, "abcd"), ("p" * 22, "abc"), ("p" * 22, "a" * 65), ("", "")],
)
def test_lengths_out_of_bounds_are_refused(password: str, ufrag: str) -> None:
    assert DialerCredentials.parse(f"{encode_ufrag(bytes(32), password)}:{ufrag}") is None


def test_other_tag_is_refused() -> None:
    assert DialerCredentials.parse("dc2/" + "A" * 43 + "p" * 22 + ":abcd") is None
    assert DialerCredentials.parse("DC1/" + "A" * 43 + "p" * 22 + ":abcd") is None
