"""The text of a short code: what people type and paste, what is corrected, what is refused."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.errors import IncompleteCode, MalformedCode, UsageError
from dcsend.signaling import shortcode
from dcsend.signaling.forgiving import resembles_code
from dcsend.signaling.shortcode import OwnCode, ShortCode, completed, own, read
from dcsend.signaling.words import candidates, new_words, word_list
from tests.signaling.test_dialcode import CLUTTER, INPUT_CODE, comment_of, read_vectors

CODE: Final = ShortCode("7", ("walrus", "umbrella"))
INPUTS: Final = read_vectors(
    "shortcode-inputs.txt", {"comment", "input", "outcome", "resembles", "message", "hint"}
)
OUTCOMES: Final = {"malformed": MalformedCode, "incomplete": IncompleteCode}
HOSTS: Final = (
    *("", "public", "relay.example", "relay.example:4000", "localhost/v1", "192.0.2.7:80/a/b/"),
    *("[2001:db8::7]", "[::1]:4000/v1", "xn--mnchen-3ya.example:443"),
)

unhurried = settings(deadline=None)
"How long an example takes depends on what else the computer does."

codes = st.builds(
    ShortCode,
    st.integers(1, shortcode.MAX_NUMBER).map(str),
    st.lists(st.sampled_from(word_list()), min_size=2, max_size=8).map(tuple),
    st.sampled_from(HOSTS),
)
"Any code that can be shown."


@pytest.mark.parametrize("block", INPUTS, ids=comment_of)
def test_typed_text_has_the_outcome_of_the_vectors(block: list[tuple[str, str]]) -> None:
    fields = dict(block)
    typed = json.loads(fields["input"])
    if (kind := OUTCOMES.get(fields["outcome"])) is None:
        assert read(typed).text() == fields["outcome"]
    else:
        with pytest.raises(MalformedCode) as raised:
            read(typed)
        assert type(raised.value) is kind
        assert raised.value.message == json.loads(fields["message"])
        assert raised.value.hint == json.loads(fields["hint"])


@pytest.mark.parametrize("block", INPUTS, ids=comment_of)
def test_text_resembles_a_short_code_as_in_the_vectors(block: list[tuple[str, str]]) -> None:
    fields = dict(block)
    resembles = shortcode.resembles_short_code(json.loads(fields["input"]))
    assert resembles is (fields["resembles"] == "yes")


@pytest.mark.parametrize("block", INPUTS, ids=comment_of)
def test_text_in_the_place_of_a_code_is_a_short_code_as_in_the_vectors(
    block: list[tuple[str, str]],
) -> None:
    fields = dict(block)
    is_short = shortcode.is_short_code(json.loads(fields["input"]))
    assert is_short is (fields["resembles"] in ("yes", "code"))


@unhurried
@given(codes)
def test_every_code_is_read_back(code: ShortCode) -> None:
    assert read(code.text()) == code
    assert shortcode.resembles_short_code(code.text())
    assert not resembles_code(code.text())


@unhurried
@given(codes, st.lists(st.text(CLUTTER + "_–−—", min_size=1, max_size=3), min_size=9, max_size=9))
def test_any_clutter_between_the_words_is_ignored(code: ShortCode, clutter: list[str]) -> None:
    # Zero-width characters and hyphens that a line break shows separate nothing.
    gaps = [f"{some} " for some in clutter]
    parts = [gap + part for gap, part in zip(gaps, (code.number, *code.words), strict=False)]
    typed = "".join(parts).upper() + (f"@{code.host}" if code.host else "")
    assert read(typed) == code


@unhurried
@given(codes, st.sampled_from(["dcsend receive {}", "dcsend send 'a b' --to {}", "http://p/#{}"]))
def test_code_in_a_command_or_link_is_read_back(code: ShortCode, around: str) -> None:
    typed = around.format(code.text())
    assert read(typed) == code
    assert shortcode.resembles_short_code(typed)


@unhurried
@given(codes, st.data())
def test_code_with_one_wrong_letter_in_each_word_is_corrected(
    code: ShortCode, data: st.DataObject
) -> None:
    wrong = [word_with_an_error(word, data) for word in code.words]
    assert read("-".join((code.number, *wrong))).words == code.words


def word_with_an_error(word: str, data: st.DataObject) -> str:
    """Draw a text that stands for *word* only and has one letter more, less or another one."""
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    rest = data.draw(st.sampled_from([word[at:], word[at + 1 :]]))
    typed = word[:at] + data.draw(st.sampled_from(["", letter])) + rest
    return typed if candidates(typed) == [word] else word


@unhurried
@given(
    st.one_of(
        st.text(),
        st.text(st.characters(codec=None)),
        st.text("0123456789-walrusumbel @:/#.[]%25\x1b\x00"),
        st.text("7-asp wal@[:]/.é٧").map("7-walrus-umbrella@{}".format),
    )
)
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    shortcode.resembles_short_code(text)
    shortcode.is_short_code(text)
    completed(text)
    with contextlib.suppress(MalformedCode):
        code = read(text)
        assert read(code.text()) == code
    with contextlib.suppress(UsageError):
        own(text)


@pytest.mark.parametrize(
    "text",
    [
        *("7-" + "wal" * 21_000, "7" * 65_536, "-" * 65_536, "%25" * 21_845, "yo " * 21_845),
        *(
            "dcsend send " * 5_461,
            "7-walrus-umbrella@" + "a" * 65_000,
            "7-walrus-umbrella@" + "[" * 65_000,
        ),
        "7" + "-wal" * 16_000,
    ],
    ids=range(9),
)
def test_a_long_text_is_refused_in_time(text: str) -> None:
    start = time.process_time()
    with pytest.raises(MalformedCode) as raised:
        read(text)
    assert time.process_time() - start < 2
    assert len(raised.value.message) < 200


# --- the value


def test_text_and_secret_of_a_code() -> None:
    code = ShortCode("42", ("walrus", "umbrella", "zebra"), "[2001:db8::7]:4000")
    assert code.text() == "42-walrus-umbrella-zebra@[2001:db8::7]:4000"
    assert code.secret() == "walrus-umbrella-zebra"


def test_words_are_not_in_the_repr_of_a_code() -> None:
    assert "walrus" not in repr(CODE)


@pytest.mark.parametrize(
    ("number", "words", "host"),
    [
        ("", ("walrus", "umbrella"), ""),
        ("0", ("walrus", "umbrella"), ""),
        ("07", ("walrus", "umbrella"), ""),
        ("1000000", ("walrus", "umbrella"), ""),
        ("٧", ("walrus", "umbrella"), ""),
        ("7\n", ("walrus", "umbrella"), ""),
        ("7", ("walrus",), ""),
        ("7", ("walrus",) * 9, ""),
        ("7", ("walrus", "wal"), ""),
        ("7", ("walrus", "Umbrella"), ""),
        ("7", ("walrus", "umbrella"), "Public"),
        ("7", ("walrus", "umbrella"), "me@relay.example"),
    ],
)
def test_code_with_a_field_out_of_its_range_is_refused(
    number: str, words: tuple[str, ...], host: str
) -> None:
    with pytest.raises(UsageError):
        ShortCode(number, words, host)


def test_new_words_make_a_code() -> None:
    code = ShortCode(str(1 + secrets.randbelow(shortcode.MAX_NUMBER)), new_words(8))
    assert read(code.text()) == code


# --- completion


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("7-wal", ["7-walrus-"]),
        ("7 WAL", ["7 walrus-"]),
        ("7wal", ["7walrus-"]),
        ("7-walrus", ["7-walrus-"]),
        ("wal", ["walrus"]),
        (
            "dcsend chat 7-walrus-um",
            ["dcsend chat 7-walrus-umbrella", "dcsend chat 7-walrus-umpire"],
        ),
        (
            "7-walrus-qu",
            [f"7-walrus-{word}" for word in ("quarters", "quesadilla", "quilt", "quote")],
        ),
        *[
            (typed, [])
            for typed in ("", "7", "7-", "7-walrus-", "7-walrus ", "7-xyz", "7-walrus@pub")
        ],
    ],
)
def test_last_word_is_completed(typed: str, expected: list[str]) -> None:
    assert completed(typed) == expected


# --- a code that the user has chosen


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("walrus-umbrella", OwnCode("", ("walrus", "umbrella"))),
        (" Walrus UMBRELLA ", OwnCode("", ("walrus", "umbrella"))),
        ("7-walrus-umbrella", OwnCode("7", ("walrus", "umbrella"))),
        ("0123456 walrus_umbrella", OwnCode("123456", ("walrus", "umbrella"))),
        ("yo-yo walrus", OwnCode("", ("yoyo", "walrus"))),
        ("-".join(["walrus"] * 8), OwnCode("", ("walrus",) * 8)),
    ],
)
def test_words_of_the_list_are_accepted_as_a_code_of_choice(typed: str, expected: OwnCode) -> None:
    assert own(typed) == expected


@pytest.mark.parametrize(
    ("typed", "message", "hint"),
    [
        ("", "the code is empty", "a code has a number"),
        ("walrus", "a code of your own has 2 to 8 words: it has 1 word", "add words"),
        ("7", "a code of your own has 2 to 8 words: it has 0 words", "add words"),
        ("-".join(["walrus"] * 9), "a code of your own has 2 to 8 words: it has 9 words", ""),
        ("walrus-umb", "'umb' is not in the list of words", "words that are: umbrella"),
        ("walrus-umbrela", "'umbrela' is not in the list of words", "words that are: umbrella"),
        ("correct-horse", "'correct' is not in the list of words", ""),
        ("walrus-qqqqqq", "'qqqqqq' is not in the list of words", "choose words of the list"),
        ("walrus-umbrella@public", "a code of your own has no server after an @", "--server"),
        ("0-walrus-umbrella", "the number of a code is 1 to 999999, not 0", ""),
        ("1234567-walrus-umbrella", "the number of the code has 7 digits, at most 6", ""),
    ],
)
def test_other_codes_of_choice_are_refused_with_the_reason(
    typed: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        own(typed)
    assert raised.value.message.startswith(message)
    assert hint in raised.value.hint


def test_other_kinds_of_codes_do_not_resemble_a_short_one() -> None:
    for text in (INPUT_CODE, "eyJ0eXBlIjoib2ZmZXIiLCJzZHAiOiJ2PTAifQ==", "ds01c700416803"):
        assert not shortcode.resembles_short_code(text)
        assert not shortcode.is_short_code(text)


def test_no_beginning_of_another_code_is_a_short_code() -> None:
    for end in range(3, len(INPUT_CODE) + 1):
        assert not shortcode.is_short_code(INPUT_CODE[:end])
        assert not shortcode.is_short_code(INPUT_CODE[:end] + "\n")
