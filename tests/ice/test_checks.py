"""Connectivity checks of a dialer as a listener reads them: the shared vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from dcsend.ice.checks import parse_check
from dcsend.ice.integrity import is_authentic, is_signed
from dcsend.ice.stun import is_binding_request
from dcsend.signaling.dialcode import ice_password

VECTORS: Final = Path(__file__).parents[1] / "vectors" / "checks.txt"
CASES: Final = [
    (verdict, *json.loads(rest))
    for verdict, rest in (
        line.split(" ", 1) for line in VECTORS.read_text().splitlines() if line[0] != "#"
    )
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_check_has_the_verdict_of_the_vectors(case: tuple[str, ...]) -> None:
    verdict, _, secret, datagram, *username = case
    data = bytes.fromhex(datagram)
    key = ice_password(bytes.fromhex(secret)).encode()
    check = parse_check(data) if is_binding_request(data) and is_signed(data) else None
    if check is None:
        assert verdict == "drop"
    elif not is_authentic(data, key):
        assert verdict == "wrong-secret"
    else:
        assert verdict == "accept"
        assert check.message.attributes["USERNAME"] == username[0]
        credentials = check.credentials
        assert f"{credentials.local_ufrag}:{credentials.ufrag}" == username[0]


def test_checks_are_of_every_kind() -> None:
    assert {case[0] for case in CASES} == {"accept", "wrong-secret", "drop"}
