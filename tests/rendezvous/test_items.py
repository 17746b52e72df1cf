"""Items: the vectors, every item that can be sent, and limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.description import Candidate, CandidateType
from dcsend.errors import DcsendError, IncompatibleVersion, LocalProtocolError, RemoteProtocolError
from dcsend.rendezvous import items
from dcsend.rendezvous.items import Bye, End, Item, Mapping, Network, Udp
from tests.rendezvous.shortcodes import ANSWER, OFFER, VECTORS, candidate, shown

HOSTS = st.one_of(
    st.ip_addresses(v=4).filter(lambda ip: not (ip.is_unspecified or ip.is_multicast)).map(str),
    st.ip_addresses(v=6).filter(lambda ip: not (ip.is_unspecified or ip.is_multicast)).map(str),
    st.uuids().map(lambda uuid: f"{uuid}.local"),
)
CANDIDATES = st.builds(
    Candidate,
    type=st.sampled_from(CandidateType),
    host=HOSTS,
    port=st.integers(1, 65_535),
    priority=st.integers(1, 2**31 - 1),
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
BYES = st.builds(Bye, reason=TEXTS.filter(bool).map(lambda text: text[:10]), message=TEXTS)
NETWORKS = st.builds(Network, mapping=st.sampled_from(Mapping), udp=st.sampled_from(Udp))
ITEMS = st.one_of(CANDIDATES, BYES, NETWORKS, st.just(End()), st.sampled_from([OFFER, ANSWER]))


@pytest.mark.parametrize("vector", VECTORS["items"], ids=lambda vector: vector["comment"])
def test_plaintext_of_the_vectors_has_its_items(vector: dict[str, Any]) -> None:
    result: str | list[dict[str, Any]]
    try:
        result = [shown(item) for item in items.decode(bytes.fromhex(vector["plaintext"]))]
    except DcsendError as error:
        result = error.kind
    assert result == vector["result"]


@given(st.lists(ITEMS, max_size=8), st.integers(0, 20))
def test_items_are_read_as_they_were_written(sent: list[Item], padding: int) -> None:
    assert items.decode(items.encode(sent) + bytes(padding)) == sent


@given(st.lists(ITEMS, max_size=3), st.data())
def test_truncated_items_are_never_others(sent: list[Item], data: st.DataObject) -> None:
    whole = items.encode(sent)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        read = items.decode(whole[:cut])
    except RemoteProtocolError:
        return
    assert read == sent[: len(read)]


@given(st.binary(max_size=300))
def test_any_plaintext_is_read_or_refused(plaintext: bytes) -> None:
    try:
        read = items.decode(plaintext)
    except (RemoteProtocolError, IncompatibleVersion):
        return
    assert items.decode(items.encode(read)) == read


@given(ITEMS, st.integers(6, 255), st.binary(max_size=50))
def test_items_of_unknown_types_are_ignored(item: Item, kind: int, value: bytes) -> None:
    unknown = bytes([kind]) + len(value).to_bytes(2) + value
    assert items.decode(unknown + items.encode([item]) + unknown) == [item]


@pytest.mark.parametrize(
    "item",
    [
        replace(candidate(), priority=0),
        replace(candidate(), priority=2**31),
        replace(candidate(), host="printer.local"),
        replace(OFFER, password="x" * 300),
        Bye("", "message"),
        Bye("error", "a\0b"),
        Bye("error", "x" * 195),
    ],
)
def test_item_without_a_binary_form_is_not_sent(item: Item) -> None:
    with pytest.raises(LocalProtocolError):
        items.encode([item])


def test_longest_bye_is_sent() -> None:
    longest = Bye("error", "é" * 97)
    assert items.decode(items.encode([longest])) == [longest]


def test_error_of_a_description_states_what_is_wrong_with_it() -> None:
    with pytest.raises(RemoteProtocolError, match="checksum"):
        items.decode(b"\1\0\3abc")
