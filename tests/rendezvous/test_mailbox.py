"""The client side of the mailbox protocol: what it sends, and what each answer leads to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from dcsend.errors import (
    CodeUsed,
    ConnectionFailed,
    DcsendError,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.printable import printable
from dcsend.rendezvous.mailbox import MailboxClient

WELCOME = '{"type":"welcome","welcome":{}}'
CLAIMED = '{"type":"claimed","mailbox":"m1"}'
PONG = '{"type":"pong","pong":1}'
INPUTS: Final = Path(__file__).parents[1] / "vectors" / "mailbox-inputs.json"
VECTORS: Final = json.loads(INPUTS.read_text(encoding="ascii"))


def message(side: str, phase: object, body: object = "00") -> str:
    return json.dumps({"type": "message", "side": side, "phase": phase, "body": body})


def types(texts: list[str]) -> list[str]:
    return [json.loads(text)["type"] for text in texts]


def phases(texts: list[str]) -> list[str]:
    return [values["phase"] for text in texts if (values := json.loads(text))["type"] == "add"]


def opened(number: str = "7") -> MailboxClient:
    """Return a client whose mailbox is open; without a number it has allocated 7."""
    client = MailboxClient("server.example", "aa", number)
    client.connect()
    client.receive(WELCOME)
    if not number:
        client.receive('{"type":"allocated","nameplate":"7"}')
    client.receive(CLAIMED)
    client.receive(PONG)
    return client


def test_joiner_binds_and_claims_before_the_server_has_sent_anything() -> None:
    assert [json.loads(text) for text in MailboxClient("s", "aa", "7").connect()] == [
        {"type": "bind", "appid": "dcsend/1", "side": "aa"},
        {"type": "claim", "nameplate": "7"},
    ]


def test_allocator_claims_the_number_that_it_gets() -> None:
    client = MailboxClient("s", "aa")
    assert types(client.connect()) == ["bind", "allocate"]
    client.receive(WELCOME)
    (claim,) = client.receive('{"type":"allocated","nameplate":"42"}')
    assert json.loads(claim) == {"type": "claim", "nameplate": "42"}
    assert client.number == "42"


def test_mailbox_is_opened_as_soon_as_its_id_is_known() -> None:
    client = MailboxClient("s", "aa", "7")
    client.connect()
    client.receive(WELCOME)
    assert not client.is_open
    first, *_ = client.receive(CLAIMED)
    assert json.loads(first) == {"type": "open", "mailbox": "m1"}
    assert client.is_open


def test_message_that_was_added_early_is_sent_when_the_mailbox_opens() -> None:
    client = MailboxClient("s", "aa", "7")
    client.connect()
    client.receive(WELCOME)
    assert client.add("b0", b"x") == []
    assert phases(client.receive(CLAIMED)) == ["b0"]


def test_body_is_sent_in_hexadecimal_digits() -> None:
    (text,) = opened().add("b0", b"\xab\x01")
    assert json.loads(text) == {"type": "add", "phase": "b0", "body": "ab01"}


@pytest.mark.parametrize(
    ("phase", "body"), [("a0", b""), ("b64", b""), ("b01", b""), ("", b""), ("b1", bytes(4097))]
)
def test_message_outside_of_the_protocol_is_not_sent(phase: str, body: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        opened().add(phase, body)


def test_phase_is_sent_once() -> None:
    client = opened()
    client.add("b0", b"x")
    with pytest.raises(LocalProtocolError):
        client.add("b0", b"y")


def test_each_phase_of_the_other_side_is_delivered_once() -> None:
    client = opened()
    for text in (message("bb", "a0", "aB"), message("bb", "a0", "cd"), message("bb", "a1")):
        client.receive(text)
    assert list(client.messages) == [("a0", b"\xab"), ("a1", b"\0")]


@pytest.mark.parametrize("phase", ["b1", "a64", "a", "pake", "a01", 0, None])
def test_phases_that_are_not_of_the_other_side_are_ignored(phase: object) -> None:
    client = opened()
    assert client.receive(message("bb", phase, "zz")) == []
    assert not client.messages


def test_own_messages_are_not_delivered() -> None:
    client = opened()
    client.receive(message("aa", "a0"))
    assert not client.messages


# --- a new socket


def test_after_a_lost_socket_the_same_side_claims_the_same_number() -> None:
    client = opened("")
    assert [json.loads(text) for text in client.connect()] == [
        {"type": "bind", "appid": "dcsend/1", "side": "aa"},
        {"type": "claim", "nameplate": "7"},
    ]


def test_message_that_the_mailbox_has_is_not_sent_again() -> None:
    client = opened()
    client.add("b0", b"x")
    client.connect()
    client.receive(WELCOME)
    assert phases(client.receive(CLAIMED)) == []
    client.receive(message("aa", "b0"))
    assert client.receive(PONG) == []


def test_message_that_the_mailbox_lacks_is_sent_again_even_if_its_echo_had_arrived() -> None:
    client = opened()
    client.add("b0", b"x")
    client.receive(message("aa", "b0"))
    client.connect()
    client.receive(WELCOME)
    client.receive('{"type":"claimed","mailbox":"another"}')
    assert phases(client.receive(PONG)) == ["b0"]


def test_message_that_was_added_without_a_socket_is_sent_at_once_and_only_once() -> None:
    client = opened()
    client.connect()
    client.add("b0", b"x")
    client.receive(WELCOME)
    assert phases(client.receive(CLAIMED)) == ["b0"]
    assert client.receive(PONG) == []


def test_joiner_that_has_not_got_all_messages_releases_nothing() -> None:
    """A server refuses a claim of a side that has released the number; so it can be tried again."""
    client = MailboxClient("s", "aa", "7")
    client.connect()
    client.receive(WELCOME)
    client.receive(CLAIMED)
    assert client.close("errory") == []
    client.receive(PONG)
    assert types(client.close("errory")) == ["release", "close"]


def test_code_that_an_earlier_attempt_of_this_side_has_used_up_is_reported() -> None:
    client = opened()
    with pytest.raises(CodeUsed, match="an earlier attempt has used up"):
        client.receive('{"type":"message","side":"aa","phase":"b0","body":"00"}')


def test_first_message_is_sent_before_later_ones_after_a_lost_socket() -> None:
    """An allocator's mailbox takes no joiner that begins with another message than b0."""
    client = opened()
    client.add("b0", b"x")  # sent; it may not have arrived
    client.add("b1", b"x")
    client.connect()
    client.add("b2", b"x")
    client.receive(WELCOME)
    assert phases(client.receive(CLAIMED)) == []
    assert client.add("b3", b"x") == []
    assert phases(client.receive(PONG)) == ["b0", "b1", "b2", "b3"]
    assert phases(client.add("b4", b"x")) == ["b4"]


def test_messages_that_come_again_after_a_lost_socket_are_not_delivered_again() -> None:
    client = opened()
    client.receive(message("bb", "a0"))
    client.connect()
    for text in (WELCOME, CLAIMED, message("bb", "a0"), message("bb", "a1")):
        client.receive(text)
    assert [phase for phase, _ in client.messages] == ["a0", "a1"]


def test_number_that_a_server_has_given_to_another_allocator_is_lost() -> None:
    client = opened("")
    client.connect()
    for text in (WELCOME, CLAIMED):
        client.receive(text)
    with pytest.raises(ConnectionFailed, match="given the number 7 to another code"):
        client.receive(message("bb", "a0"))


# --- welcome


def welcomed(**welcome: object) -> MailboxClient:
    client = MailboxClient("server.example", "aa", "7")
    client.connect()
    client.receive(json.dumps({"type": "welcome", "welcome": welcome}))
    return client


def test_motd_is_one_line_that_is_safe_to_show() -> None:
    assert welcomed(motd="down on\nMonday\x1b[2J").motd == "down on Monday\\x1b[2J"
    assert len(welcomed(motd="x" * 10_000).motd) == 400


def test_error_of_the_server_ends_with_its_text() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        welcomed(error="too busy\x1b")
    assert caught.value.message == "the server server.example refuses: too busy\\x1b"
    assert caught.value.hint


@pytest.mark.parametrize("methods", [{"hashcash": {"bits": 6}, "x\x1b": {}}, ["hashcash", "x\x1b"]])
def test_permission_of_an_unknown_kind_is_named(methods: object) -> None:
    with pytest.raises(ConnectionFailed, match=r"does not support: hashcash, x\\x1b$"):
        welcomed(**{"permission-required": methods})


@pytest.mark.parametrize("methods", [{"none": {}, "hashcash": {}}, {}, None])
def test_server_that_also_serves_without_permission_is_used(methods: object) -> None:
    assert welcomed(**{"permission-required": methods}).is_welcomed


def test_ice_servers_come_with_welcome_or_later() -> None:
    client = welcomed(**{"dcsend-ice-servers": [{"urls": "stun:a"}]})
    assert [server.urls for server in client.ice_servers] == [("stun:a",)]
    client.receive('{"type":"ice-servers","servers":[{"urls":"stun:b"}]}')
    assert [server.urls for server in client.ice_servers] == [("stun:b",)]


def test_server_that_may_send_ice_servers_later_sends_an_empty_list() -> None:
    assert not welcomed().offers_servers
    assert welcomed(**{"dcsend-ice-servers": []}).offers_servers
    client = welcomed()
    client.receive('{"type":"ice-servers","servers":[]}')
    assert client.offers_servers


# --- refusals and violations


def test_third_side_learns_that_the_number_is_used() -> None:
    with pytest.raises(CodeUsed, match="two others already use the number 7 on the server") as why:
        opened().receive('{"type":"error","error":"crowded"}')
    assert "may still show this code" in why.value.hint


def test_allocator_whose_number_is_crowded_is_to_try_again() -> None:
    with pytest.raises(CodeUsed) as caught:
        opened("").receive('{"type":"error","error":"crowded"}')
    assert caught.value.hint == "try again"


def test_other_error_of_the_server_is_shown_escaped() -> None:
    with pytest.raises(ConnectionFailed, match=r"server.example reports: must \\x1bbind first"):
        opened().receive('{"type":"error","error":"must \\u001bbind first"}')


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", '"x"', "{}", '{"type":1}', "[" * 60_000),
        *('{"type":"welcome"}', '{"type":"welcome","welcome":[]}'),
        *('{"type":"claimed"}', '{"type":"claimed","mailbox":1}'),
        '{"type":"claimed","mailbox":"' + "m" * 101 + '"}',
        *(message("bb", "a0", body) for body in (None, 1, "0", "0g", " 0", "00" * 4097)),
        '{"type":"ice-servers"}',
    ],
)
def test_violation_of_the_server_is_one_line_with_its_name(text: str) -> None:
    client = MailboxClient("server.example", "aa", "7")
    client.connect()
    client.receive(WELCOME)
    with pytest.raises(RemoteProtocolError) as caught:
        client.receive(text)
    line = "the server server.example violates the mailbox protocol: "
    assert caught.value.message.startswith(line)
    assert "--server" in caught.value.hint


@pytest.mark.parametrize("number", ["0", "07", "1000000", "-1", "x", "", 7, None])
def test_allocated_number_that_fits_in_no_code_is_a_violation(number: object) -> None:
    client = MailboxClient("s", "aa")
    client.connect()
    client.receive(WELCOME)
    with pytest.raises(RemoteProtocolError, match="number of 1 to 6 digits"):
        client.receive(json.dumps({"type": "allocated", "nameplate": number}))


@pytest.mark.parametrize("text", ['{"type":"allocated","nameplate":"7"}', CLAIMED])
def test_server_that_answers_before_it_has_sent_welcome_violates_the_protocol(text: str) -> None:
    client = MailboxClient("s", "aa", "7")
    client.connect()
    with pytest.raises(RemoteProtocolError, match="comes before welcome"):
        client.receive(text)


@pytest.mark.parametrize(
    "text",
    [
        *('{"type":"ack"}', '{"type":"surprise","x":[1]}', '{"type":"nameplates"}'),
        *('{"type":"allocated","nameplate":"9"}', '{"type":"claimed","mailbox":"m2"}', PONG),
    ],
)
def test_what_was_not_asked_for_changes_nothing(text: str) -> None:
    client = opened()
    assert client.receive(text) == []
    assert (client.number, client.is_open) == ("7", True)


def test_flood_of_messages_is_a_violation() -> None:
    client = opened()
    for _ in range(1000 - 3):
        client.receive('{"type":"ack"}')
    with pytest.raises(RemoteProtocolError, match="more than 1000 messages"):
        client.receive('{"type":"ack"}')


def test_messages_of_a_hostile_server_are_at_most_64() -> None:
    client = opened()
    for number in range(900):
        client.receive(message(f"side{number}", f"a{number}", "00" * 4096))
    assert len(client.messages) == 64


# --- the end


def test_close_releases_the_number_and_closes_with_the_mood() -> None:
    client = opened()
    assert [json.loads(text) for text in client.close("happy")] == [
        {"type": "release"},
        {"type": "close", "mood": "happy"},
    ]
    client.receive('{"type":"closed"}')
    assert client.is_closed


def test_close_without_a_mailbox_sends_nothing() -> None:
    assert MailboxClient("s", "aa", "7").close("lonely") == []


def test_unknown_mood_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        opened().close("glad")


@pytest.mark.parametrize("number", ["x", "07", "1000000"])
def test_number_that_fits_in_no_code_is_not_joined(number: str) -> None:
    with pytest.raises(DcsendError):
        MailboxClient("s", "aa", number)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["comment"].replace(" ", "-"))
def test_texts_of_a_server_have_the_outcome_of_the_vectors(vector: dict[str, Any]) -> None:
    """Also those with unpaired surrogates, which JSON can contain: they are never sent on."""
    client = MailboxClient("server.example", "aa", "7")
    sent = client.connect()
    outcome, shown = "ok", ""
    try:
        for text in vector["received"]:
            sent += client.receive(text)
    except DcsendError as exc:
        outcome, shown = "ends", exc.message
    assert outcome == vector["outcome"], shown
    (shown + printable(client.motd)).encode()
    assert "".join(sent).isascii()
