"""The two codes of `--signal sdp`: nothing damaged passes, whatever copying adds does no harm."""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import json
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.errors import DcsendError, IncompatibleVersion, MalformedCode
from dcsend.signaling import blob, dialcode
from dcsend.signaling.sdp import format_sdp

VECTORS = Path(__file__).parents[1] / "vectors"
OUTCOMES = {"malformed": MalformedCode, "version": IncompatibleVersion}
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
DIAL_CODE = (
    "dc058000820c20a1g7104gm2rc1m70y001081g81860w40j2gb1g6gw3rg2491650n2rbhg68t3ce1t7gzkh07edcm03"
    "0000g7400gve0000000000000000000zk90"
)

Block = list[tuple[str, str]]


def read_vectors(name: str) -> list[Block]:
    """Read the blocks of a vector file."""
    text = (VECTORS / name).read_text(encoding="ascii")
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    blocks = [[line for line in block.split("\n") if line] for block in lines.split("\n\n")]
    return [[(key, value) for key, value in map(_split, block)] for block in blocks if block]


def _split(line: str) -> tuple[str, str]:
    key, _, value = line.partition(": ")
    return key, value


VALID = read_vectors("blob-valid.txt")
HEADER, *INPUTS = read_vectors("blob-inputs.txt")


def comment_of(block: Block) -> str:
    """Name a parametrised test."""
    return dict(block)["comment"].replace(" ", "-")


def from_vector(block: Block) -> Description:
    """Build the description of a block."""
    fields = dict(block)
    preferences = {"host": 126, "srflx": 100, "prflx": 110, "relay": 0}
    candidates = []
    for number, value in enumerate(value for key, value in block if key == "candidate"):
        kind, host, port = value.split(" ")
        priority = preferences[kind] << 24 | 65535 - number << 8 | 255
        candidates.append(Candidate(CandidateType(kind), host, int(port), priority))
    return Description(
        SdpType(fields["type"]),
        fields["ufrag"],
        fields["password"],
        bytes.fromhex(fields["fingerprint"]),
        Setup(fields["setup"]),
        tuple(candidates),
        offer_mark=int(fields["mark"], 16) if "mark" in fields else None,
    )


def test_an_answer_names_its_offer_in_both_forms() -> None:
    offer = from_vector(VALID[0])
    assert offer.type is SdpType.OFFER
    answer = replace(offer, type=SdpType.ANSWER, setup=Setup.PASSIVE, offer_mark=blob.mark(offer))
    for text in (blob.encode(answer), blob.encode_json(answer)):
        assert blob.decode(text).offer_mark == blob.mark(offer)
    # A copied offer has the same mark.
    assert blob.mark(blob.decode(blob.encode_json(offer))) == blob.mark(offer)
    assert blob.mark(replace(offer, password=offer.password[::-1])) != blob.mark(offer)
    # An offer has no mark, whatever it holds.
    assert blob.decode(blob.encode(replace(offer, offer_mark=1))).offer_mark is None


@pytest.mark.parametrize("block", VALID, ids=comment_of)
def test_description_has_the_bytes_and_text_of_the_vectors(block: Block) -> None:
    text = blob.encode(from_vector(block))
    assert text == dict(block)["text"]
    assert text.startswith("ds")
    assert text[2:22].strip(ALPHABET) == ""
    assert blob.decode(text) == from_vector(block)


@pytest.mark.parametrize("block", INPUTS, ids=comment_of)
def test_pasted_text_has_the_outcome_of_the_vectors(block: Block) -> None:
    fields = dict(block)
    pasted = json.loads(fields["input"])
    if fields["outcome"] == "ok":
        assert blob.decode(pasted, SdpType.ANSWER) == blob.decode(dict(HEADER)["code"])
        return
    with pytest.raises(OUTCOMES[fields["outcome"]]) as refused:
        blob.decode(pasted, SdpType.ANSWER)
    assert refused.value.hint


def test_error_of_a_text_that_is_no_code_has_both_beginnings() -> None:
    with pytest.raises(MalformedCode, match=r"codes begin with ds or eyJ$"):
        blob.decode("garbage")


def test_description_of_a_browser_is_short() -> None:
    sizes = [len(bytes.fromhex(dict(block)["binary"])) for block in VALID[:3]]
    assert max(sizes) <= 110


@pytest.mark.full
@pytest.mark.parametrize("block", VALID[:4], ids=comment_of)
def test_no_code_damaged_in_any_one_character_is_accepted(block: Block) -> None:
    code = dict(block)["text"]
    for place in range(len(code)):
        others = set(ALPHABET + "du") - {code[place]}
        damaged = {code[:place] + other + code[place + 1 :] for other in others}
        damaged.add(code[:place] + code[place + 1 :])
        damaged |= {code[:place] + more + code[place:] for more in "07z"}
        if code[place : place + 1] != code[place + 1 : place + 2] and place + 1 < len(code):
            damaged.add(code[:place] + code[place + 1] + code[place] + code[place + 2 :])
        damaged.discard(code)
        for text in damaged:
            with pytest.raises((MalformedCode, IncompatibleVersion), match="code") as refused:
                blob.decode(text)
            assert refused.value.hint


def test_code_of_the_demo_that_is_cut_anywhere_is_refused() -> None:
    code = blob.encode_json(from_vector(VALID[2]))
    for end in range(len(code.rstrip("=")) - 1):
        with pytest.raises(MalformedCode):
            blob.decode(code[:end])


@pytest.mark.full
@pytest.mark.parametrize("block", VALID[1:3], ids=comment_of)
def test_code_of_the_demo_damaged_in_one_character_is_refused_or_means_the_same(
    block: Block,
) -> None:
    description = from_vector(block)
    code = blob.encode_json(description)
    alphabet = string.ascii_letters + string.digits + "+/="
    refused = 0
    for place in range(len(code)):
        for other in (*alphabet, ""):
            damaged = code[:place] + other + code[place + 1 :]
            if damaged == code:
                continue
            try:
                assert blob.decode(damaged) == description, damaged
            except MalformedCode:
                refused += 1
    # What means the same is damage to the name of the checksum, and to what no byte is made of.
    assert refused > 0.97 * len(code) * len(alphabet)


def test_description_of_the_demo_itself_has_no_checksum_and_is_read() -> None:
    description = from_vector(VALID[0])
    fields = {"type": "offer", "sdp": format_sdp(description)}
    assert blob.decode(base64.b64encode(json.dumps(fields).encode()).decode()) == description


def test_mark_in_an_offer_is_ignored() -> None:
    offer = from_vector(VALID[0])
    assert offer.type is SdpType.OFFER
    assert blob.decode(blob.encode_json(replace(offer, offer_mark=7))).offer_mark is None


def test_form_of_the_demo_is_base64_of_json() -> None:
    description = from_vector(VALID[0])
    fields = json.loads(base64.b64decode(blob.encode_json(description), validate=True))
    sdp, mark, crc = fields["sdp"].rpartition("a=dcsend-crc:")
    assert mark
    assert re.fullmatch(r"[0-9a-f]{4}\r\n", crc)
    assert {**fields, "sdp": sdp} == {"type": "offer", "sdp": format_sdp(description)}
    assert "\n" not in blob.encode_json(description)


@pytest.mark.parametrize(
    "command", ["dcsend chat {}", "$ dcsend receive {} --signal sdp", "dcsend send a b --to {} -q"]
)
@pytest.mark.parametrize("encode", [blob.encode, blob.encode_json], ids=["compact", "json"])
def test_whole_command_is_read(command: str, encode: object) -> None:
    description = from_vector(VALID[0])
    text = encode(description)  # type: ignore[operator]
    assert blob.is_blob(command.format(text))
    assert blob.decode(command.format(text)) == description


def test_kinds_of_codes_are_distinguished() -> None:
    compact, demo = (encode(from_vector(VALID[0])) for encode in (blob.encode, blob.encode_json))
    assert [blob.is_blob(text) for text in (compact, demo, DIAL_CODE, "", "http://a/#12")] == [
        *(True, True),
        *(False, False, False),
    ]
    assert [blob.is_compact(text) for text in (compact, demo, DIAL_CODE)] == [True, False, False]


def test_the_other_kind_of_code_is_named_with_what_to_do() -> None:
    with pytest.raises(MalformedCode, match="dial code") as refused:
        blob.decode(DIAL_CODE)
    assert "without --signal sdp" in refused.value.hint
    assert "dcsend send PATH --to CODE" in refused.value.hint
    with pytest.raises(MalformedCode, match="one of two codes") as refused:
        dialcode.decode(blob.encode(from_vector(VALID[0])))
    assert "--signal sdp" in refused.value.hint


def test_the_other_half_and_bare_sdp_are_named() -> None:
    offer = from_vector(VALID[0])
    with pytest.raises(MalformedCode, match="this is an offer, and an answer is needed"):
        blob.decode(blob.encode(offer), SdpType.ANSWER)
    with pytest.raises(MalformedCode, match="SDP without a type"):
        blob.decode(format_sdp(offer))


def test_candidates_that_do_not_fit_are_left_out_from_the_end() -> None:
    offer = from_vector(VALID[0])
    many = tuple(
        Candidate(
            CandidateType.HOST, f"2001:db8::{n:x}", 1000 + n, 126 << 24 | 65535 - n << 8 | 255
        )
        for n in range(1, 30)
    )
    kept = blob.decode(blob.encode(replace(offer, candidates=many))).candidates
    assert [candidate.host for candidate in kept] == [c.host for c in many[: len(kept)]]
    assert 6 <= len(kept) <= 8


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Any description that the compact form can carry in full."""
    ice_char = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    kind = draw(st.sampled_from(SdpType))
    setups = [Setup.ACTIVE, Setup.PASSIVE] if kind is SdpType.ANSWER else list(Setup)
    places = draw(
        st.lists(
            st.tuples(
                st.sampled_from(CandidateType),
                st.one_of(
                    st.integers(0x0B000001, 0xDFFFFFFE).map(
                        lambda n: f"{n >> 24}.{n >> 16 & 255}.1.{n & 255}"
                    ),
                    st.integers(1, 0xFFFF).map(lambda n: f"2001:db8::{n:x}"),
                    st.uuids().map(lambda name: f"{name}.local"),
                ),
                st.integers(1, 65535),
            ),
            max_size=5,
        )
    )
    return Description(
        type=kind,
        ufrag=draw(st.text(ice_char, min_size=4, max_size=20)),
        password=draw(st.text(ice_char, min_size=22, max_size=40)),
        fingerprint=draw(st.binary(min_size=32, max_size=32)),
        setup=draw(st.sampled_from(setups)),
        candidates=tuple(
            Candidate(
                kind,
                host,
                port,
                {"host": 126, "srflx": 100, "prflx": 110, "relay": 0}[kind] << 24
                | 65535 - number << 8
                | 255,
            )
            for number, (kind, host, port) in enumerate(places)
        ),
    )


@pytest.mark.full
@given(descriptions())
def test_what_goes_in_comes_out(description: Description) -> None:
    assert blob.decode(blob.encode(description)) == description


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_any_text_is_read_or_refused(text: str) -> None:
    blob.is_blob(text)
    for prefix in ("", "ds", "eyJ0eXBlIjoi", '{"type":"offer","sdp":'):
        with contextlib.suppress(DcsendError):
            blob.decode(prefix + text)


# --- the binary form, which messages of short codes contain


@pytest.mark.parametrize("block", VALID, ids=comment_of)
def test_description_has_the_bytes_of_the_vectors(block: Block) -> None:
    raw = bytes.fromhex(dict(block)["binary"])
    assert blob.pack(from_vector(block)) == raw
    assert blob.unpack(raw) == from_vector(block)
    assert len(raw) <= blob.MAX_PACKED


@pytest.mark.full
@pytest.mark.parametrize("block", VALID, ids=comment_of)
def test_changed_bytes_are_another_description_or_refused(block: Block) -> None:
    whole = bytes.fromhex(dict(block)["binary"])[:-2]
    for place, bit in itertools.product(range(len(whole)), range(8)):
        changed = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
        for data in (changed, changed + binascii.crc_hqx(changed, 0xFFFF).to_bytes(2)):
            with contextlib.suppress(MalformedCode, IncompatibleVersion):
                assert blob.pack(blob.unpack(data)) == data
