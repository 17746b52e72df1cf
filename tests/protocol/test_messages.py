"""Control messages: the shared vectors, damage at every character, and PROTOCOL.md.

The vectors are text files that any implementation can run: header lines `key: value`,
an empty line, the payload (JSON text, or a frame in hex), a line end.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.entry import Entry, Kind
from dcsend.errors import (
    IncompatibleVersion,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.protocol import limits
from dcsend.protocol.manifest_messages import split_accept, split_manifest, split_verdict
from dcsend.protocol.messages import (
    Accept,
    Ack,
    Again,
    Cancel,
    Hello,
    Manifest,
    Message,
    Verdict,
    choose_version,
    clip,
    decode,
    encode,
)

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
EXPECTED = {
    "control": {"ok", "remote-error", "version-error"},
    "frame": {"ok", "remote-error", "integrity-error"},
}


@dataclass(frozen=True)
class Vector:
    """One file of tests/vectors."""

    name: str
    kind: str
    expect: str
    comment: str
    payload: str
    fields: dict[str, object] | None = None
    "What it decodes to, if it does."

    def __str__(self) -> str:
        return self.name


def read_vector(text: str) -> Vector:
    """Read a vector; a header that isn't known, or isn't there, is an error."""
    head, payload = text.split("\n\n", 1)
    headers = dict(line.split(": ", 1) for line in head.splitlines())
    assert len(headers) == len(head.splitlines()), "a header twice"
    assert payload.endswith("\n")
    decoded = json.loads(headers.pop("fields", "null"))
    vector = Vector(**headers, payload=payload[:-1], fields=decoded)
    assert vector.expect in EXPECTED[vector.kind]
    assert (vector.fields is None) == vector.expect.endswith(("remote-error", "integrity-error"))
    return vector


def vectors(kind: str) -> list[Vector]:
    """All vectors of a kind."""
    paths = sorted(VECTORS.glob(f"{kind}-*.txt"))
    read = [read_vector(path.read_bytes().decode()) for path in paths]
    assert [vector.name for vector in read] == [path.stem for path in paths]
    assert {vector.kind for vector in read} == {kind}
    return read


CONTROL = vectors("control")
OK = [vector for vector in CONTROL if vector.expect == "ok"]
SHORT = [vector for vector in CONTROL if len(vector.payload) < 1000]


def fields_of(message: Message) -> dict[str, object]:
    """A message, as `fields` of a vector has it."""
    plain = {"type": type(message).__name__.lower(), **asdict(message)}
    if isinstance(message, Manifest):
        plain["entries"] = [entry._asdict() for entry in message.entries]
        plain["left_out"] = message.left_out.as_json()
    if isinstance(message, Accept) and not message.digests:
        del plain["digests"]
    if isinstance(message, Ack) and message.window is None:
        del plain["window"]
    if isinstance(message, Again):
        plain = {"type": "again", "file": message.number, "from": message.start, "to": message.end}
    result: dict[str, object] = json.loads(json.dumps(plain))
    return result


# --- vectors


def test_vector_with_an_unknown_header_fails() -> None:
    with pytest.raises(TypeError):
        read_vector("name: x\nkind: control\nexpect: ok\ncomment: x\ncolour: red\n\n{}\n")


def test_vectors_cover_every_message_type() -> None:
    types = {vector.fields["type"] for vector in OK if vector.fields}
    assert types == {kind.__name__.lower() for kind in Message.__args__}


@pytest.mark.parametrize("vector", OK, ids=str)
def test_message_vector_is_decoded(vector: Vector) -> None:
    assert fields_of(decode(vector.payload)) == vector.fields


@pytest.mark.parametrize("vector", OK, ids=str)
def test_message_survives_encoding(vector: Vector) -> None:
    message = decode(vector.payload)
    assert decode(encode(message)) == message


@pytest.mark.parametrize("vector", [v for v in CONTROL if v.expect == "remote-error"], ids=str)
def test_message_vector_that_breaks_a_rule_is_refused(vector: Vector) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(vector.payload)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("vector", [v for v in CONTROL if v.expect == "version-error"], ids=str)
def test_hello_without_a_common_version_is_refused(vector: Vector) -> None:
    message = decode(vector.payload)
    assert isinstance(message, Hello)
    assert fields_of(message) == vector.fields
    with pytest.raises(IncompatibleVersion, match="supports protocol version 2, 3, this side 1"):
        choose_version(message)


@pytest.mark.parametrize("name", ["x" * 65, "a\x1bb", "a/b", "\ud800", "  "])
def test_name_that_a_peer_would_ignore_is_not_sent(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode(Hello((1,), "a", "sender", name=name))


def test_highest_common_version_is_chosen() -> None:
    assert choose_version(Hello((3, 1, 2), "a", "sender"), (1, 2)) == 2


@pytest.mark.parametrize("vector", OK, ids=str)
def test_message_is_refused_wherever_it_is_truncated(vector: Vector) -> None:
    step = max(1, len(vector.payload) // 500)
    for size in range(0, len(vector.payload), step):
        with pytest.raises(RemoteProtocolError):
            decode(vector.payload[:size])


@pytest.mark.full
@pytest.mark.parametrize("vector", SHORT, ids=str)
def test_every_changed_character_is_refused_or_harmless(vector: Vector) -> None:
    text = vector.payload
    for place, right in enumerate(text):
        bits = [chr(ord(right) ^ 1 << bit) for bit in range(7)]
        for wrong in [*bits, *'"\\{}[],:0-.eE \x00\n\x7f\ud800é🎉']:
            try:
                message = decode(text[:place] + wrong + text[place + 1 :])
            except RemoteProtocolError:
                continue
            assert decode(encode(message)) == message


@pytest.mark.full
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_refused_or_harmless(value: object) -> None:
    for text in (json.dumps(value), json.dumps({"type": "manifest", "entries": value})):
        with pytest.raises(RemoteProtocolError):
            decode(text)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(text)


@given(st.sampled_from(OK), st.data())
def test_any_value_in_any_field_is_refused_or_harmless(vector: Vector, data: st.DataObject) -> None:
    values = json.loads(vector.payload)
    key = data.draw(st.sampled_from(sorted(values)))
    values[key] = data.draw(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.integers())
    )
    try:
        message = decode(json.dumps(values))
    except RemoteProtocolError:
        return
    assert decode(encode(message)) == message


# --- what leaves


@pytest.mark.parametrize(
    "message",
    [
        Ack(-1),
        Ack(2**53),
        Cancel("bored"),
        Cancel("error", "x" * 501),
        Cancel("error", "\ud800"),
        Verdict(()),
        Manifest((Entry("a\udcff"),), last=True),
        Manifest((Entry("d", Kind.DIRECTORY, size=4096),), last=True),
        Manifest((Entry("a", mode=0o4755),), last=True),
        Manifest((Entry("x" * 4000),) * 20, last=True),
        Hello((1,), "x" * 129, "sender"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_message_that_a_peer_must_refuse_never_leaves(message: Message) -> None:
    with pytest.raises(LocalProtocolError, match="can't send this"):
        encode(message)


def test_cancel_text_is_cut_and_made_unicode() -> None:
    assert clip("a\udcff" + "x" * 600) == "a\\udcff" + "x" * 493


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


SIZES = st.none() | st.integers(0, 2**53 - 1)
ENTRIES = st.builds(lambda path, size: Entry(path, size=size), NAMES, SIZES)


@given(st.lists(ENTRIES))
def test_manifest_survives_being_split(entries: list[Entry]) -> None:
    entries *= 7
    parts = [decode(encode(part)) for part in split_manifest(entries)]
    assert [entry for part in parts if isinstance(part, Manifest) for entry in part.entries] == (
        entries
    )
    assert [part.last for part in parts if isinstance(part, Manifest)] == (
        [False] * (len(parts) - 1) + [True]
    )


@pytest.mark.parametrize("name", ['"\\' * 50, "\x01" * 80, "🎉" * 100, "é" * 100, "x"])
def test_manifest_parts_are_at_most_48_kib(name: str) -> None:
    entry = Entry(name, Kind.LINK, target=name, mtime=-(2**53) + 1, stored=2**53 - 1)
    sizes = [len(encode(part).encode()) for part in split_manifest([entry] * 1000)]
    assert len(sizes) > 1
    assert max(sizes) <= limits.SPLIT_CONTROL + 64


def test_manifest_of_nothing_is_one_message() -> None:
    assert list(split_manifest([])) == [Manifest((), last=True)]


@pytest.mark.parametrize(("skips", "haves", "parts"), [(0, 0, 1), (1000, 0, 1), (999, 2, 2)])
def test_accept_is_split_by_pairs(skips: int, haves: int, parts: int) -> None:
    skip = dict.fromkeys(range(skips), "unsupported")
    have = dict.fromkeys(range(skips, skips + haves), 2**53 - 1)
    split = list(split_accept(1, skip, have))
    assert len(split) == parts
    assert [part.last for part in split] == [False] * (parts - 1) + [True]
    assert dict(pair for part in split for pair in part.skip) == skip
    assert dict(pair for part in split for pair in part.have) == have


def test_largest_answers_fit_a_message() -> None:
    thousand = range(limits.MAX_ENTRIES - 1000, limits.MAX_ENTRIES)
    longest = Accept(2**53 - 1, (), tuple((number, 2**53 - 1) for number in thousand), last=False)
    assert len(encode(longest)) < limits.SPLIT_CONTROL


def test_verdicts_are_split_by_pairs() -> None:
    files = [(number, "mismatch") for number in range(2001)]
    assert [len(part.files) for part in split_verdict(files)] == [1000, 1000, 1]
    assert list(split_verdict([])) == []


# --- PROTOCOL.md


PROTOCOL = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The part of PROTOCOL.md below a heading, up to the next of its kind."""
    level, _, _ = title.partition(" ")
    found = re.search(
        rf"^{re.escape(title)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", PROTOCOL, re.M | re.S
    )
    assert found, title
    return found[1]


def table(title: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head and back-quotes."""
    found = re.search(r"^\|.*?(?=\n[^|]|\n\n|\Z)", section(title), re.M | re.S)
    assert found, title
    rows = found[0].splitlines()
    return [[cell.strip().replace("`", "") for cell in row.split("|")[1:-1]] for row in rows[2:]]


def test_limits_are_those_of_protocol_md() -> None:
    documented = {row[0]: int(row[1].replace(" ", "")) for row in table("## Limits")}
    actual = {
        name: int(value)
        for name, value in vars(limits).items()
        if name.isupper() and isinstance(value, int | float)
    }
    assert documented == actual


def test_message_fields_are_those_of_protocol_md() -> None:
    for kind in Message.__args__:
        # An attribute can't be called `from`.
        attributes = {"file": "number", "from": "start", "to": "end"}
        documented = [attributes.get(row[0], row[0]) for row in table(f"### {kind.__name__}")]
        assert documented == [field.name for field in fields(kind)], kind.__name__


def test_entry_fields_are_those_of_protocol_md() -> None:
    assert [row[0] for row in table("#### Entry")] == list(Entry._fields)
