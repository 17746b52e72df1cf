"""Lists of STUN and TURN servers from a rendezvous server."""

from __future__ import annotations

import pytest

from dcsend.rendezvous.ice_servers import IceServer, parse_ice_servers
from dcsend.rendezvous.wire import WireError

TURN = {"urls": ["turn:t.example:3478"], "username": "1764400000:x", "credential": "secret"}


def test_servers_have_their_urls_and_accounts() -> None:
    assert parse_ice_servers([{"urls": "stun:s.example"}, TURN]) == (
        IceServer(("stun:s.example",)),
        IceServer(("turn:t.example:3478",), "1764400000:x", "secret"),
    )


def test_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(parse_ice_servers([TURN]))


def test_urls_of_unknown_schemes_are_left_out() -> None:
    listed = [{"urls": ["quic:a", "stun:b"]}, {"urls": "masque:c"}, {"urls": []}]
    assert parse_ice_servers(listed) == (IceServer(("stun:b",)),)


@pytest.mark.parametrize(
    "value",
    [
        *(None, {}, "stun:a", [1], [{}], [{"urls": None}], [{"urls": [1]}]),
        *([{"urls": "turn:a"}], [{"urls": "turns:a", "username": "u"}]),
        *(
            [TURN | {"username": 1}],
            [TURN | {"credential": None}],
            [TURN | {"username": "u" * 513}],
            [TURN | {"username": "\ud800"}],
            [TURN | {"credential": "a\udfff"}],
        ),
        *([{"urls": "stun:" + "a" * 300}], [{"urls": ["stun:a"] * 5}], [TURN] * 9),
    ],
)
def test_list_with_wrong_types_or_without_an_account_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="ice-servers"):
        parse_ice_servers(value)
