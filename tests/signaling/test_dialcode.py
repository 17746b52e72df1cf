"""The dial code: both texts, everything that copying does to them, everything refused."""

from __future__ import annotations

import binascii
import json
import string
from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.errors import IncompatibleVersion, MalformedCode, UsageError
from dcsend.signaling import dialcode
from dcsend.signaling.dialcode import Address, DialCode, decode, decode_bytes, ice_password

VECTORS = Path(__file__).parents[1] / "vectors"
PAGE = "https://dcsend.example/"
CLUTTER = " \t\r\n\u00a0\u200b\u2060\ufeff\u00ad\"'`<>-\u201c\u201d\u2018\u2019\u2013.,"
OUTCOMES = {"malformed": MalformedCode, "version": IncompatibleVersion}

unhurried = settings(deadline=None)
"How long an example takes depends on what else the computer does."

Block = list[tuple[str, str]]


def read_vectors(name: str, keys: set[str]) -> list[Block]:
    """Read the blocks of a vector file; a key that the test would not look at is an error."""
    blocks: list[Block] = []
    lines = (VECTORS / name).read_text(encoding="ascii").split("\n")
    for block in "\n".join(line for line in lines if not line.startswith("#")).split("\n\n"):
        if pairs := [tuple(line.split(": ", 1)) for line in block.split("\n") if line]:
            assert {key for key, _ in pairs} <= keys
            blocks.append(pairs)  # type: ignore[arg-type]  # split(…, 1) gives pairs
    return blocks


VALID = read_vectors(
    "dialcode-valid.txt",
    {
        *("comment", "secret", "fingerprint", "port", "address", "expires"),
        *("binary", "text", "digits", "password"),
    },
)
HEADER, *INPUTS = read_vectors("dialcode-inputs.txt", {"code", "comment", "input", "outcome"})
INPUT_CODE = dict(HEADER)["code"]


def comment_of(block: Block) -> str:
    """Name a parametrised test."""
    return dict(block)["comment"].replace(" ", "-")


def from_vector(block: Block) -> DialCode:
    """Build the code that a block describes."""
    fields = dict(block)
    hosts = [value.split(" ") for key, value in block if key == "address"]
    return DialCode(
        bytes.fromhex(fields["secret"]),
        bytes.fromhex(fields["fingerprint"]),
        int(fields["port"]),
        tuple(Address(host, int(port)) for host, port in hosts),
        int(fields["expires"]),
    )


def usable(address: IPv4Address | IPv6Address) -> bool:
    """Return whether a code may hold *address*."""
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    refused = address.is_multicast or address.is_unspecified or mapped
    return not refused and str(address) != "255.255.255.255"


ports = st.integers(1, 65535)
hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(usable).map(str)


@st.composite
def codes(draw: st.DrawFn) -> DialCode:
    """Draw any code that can be published."""
    port = draw(ports)
    own_or_mapped = st.one_of(st.just(port), ports)
    found = draw(st.lists(st.builds(Address, hosts, own_or_mapped), min_size=1, max_size=14))
    return DialCode(
        draw(st.binary(min_size=16, max_size=16)),
        draw(st.binary(min_size=32, max_size=32)),
        port,
        dialcode.select_addresses(port, found),
        draw(st.integers(0, 2**32 - 1)),
    )


@st.composite
def mangled(draw: st.DrawFn, text: str) -> str:
    """Put clutter into *text* wherever people and programs do."""
    places = draw(st.lists(st.integers(0, len(text)), max_size=12))
    for place in sorted(places, reverse=True):
        clutter = draw(st.text(CLUTTER, min_size=1, max_size=3))
        text = text[:place] + clutter + text[place:]
    return draw(st.sampled_from(["{}", "\x1b[200~{}\x1b[201~", "> {}", "<{}>", "'{}'."])).format(
        text
    )


@pytest.mark.parametrize("block", VALID, ids=comment_of)
def test_code_has_the_bytes_and_texts_of_the_vectors(block: Block) -> None:
    fields, code = dict(block), from_vector(block)
    assert code.encode().hex() == fields["binary"]
    assert code.text() == fields["text"]
    assert code.link(PAGE) == f"{PAGE}#{fields['digits']}"
    assert ice_password(code.secret) == fields["password"]


@pytest.mark.parametrize("block", VALID, ids=comment_of)
def test_texts_of_the_vectors_are_read_back(block: Block) -> None:
    fields, code = dict(block), from_vector(block)
    assert decode(fields["text"]) == decode(fields["digits"]) == code
    assert decode_bytes(bytes.fromhex(fields["binary"])) == code


@pytest.mark.parametrize("block", INPUTS, ids=comment_of)
def test_pasted_text_has_the_outcome_of_the_vectors(block: Block) -> None:
    fields = dict(block)
    pasted = json.loads(fields["input"])
    if fields["outcome"] == "ok":
        assert decode(pasted).text() == INPUT_CODE
    else:
        with pytest.raises(OUTCOMES[fields["outcome"]]):
            decode(pasted)


@pytest.mark.full
@unhurried
@given(codes(), st.data())
def test_mangled_code_for_people_is_read_back(code: DialCode, data: st.DataObject) -> None:
    assert decode(data.draw(mangled(code.text()))) == code


@pytest.mark.full
@unhurried
@given(codes(), st.data())
def test_mangled_link_is_read_back(code: DialCode, data: st.DataObject) -> None:
    assert decode(data.draw(mangled(code.link(PAGE)))) == code


@pytest.mark.full
@unhurried
@given(codes(), st.data())
def test_mangled_command_is_read_back(code: DialCode, data: st.DataObject) -> None:
    assert decode(data.draw(mangled(f"dcsend receive {code.text().upper()}"))) == code


@pytest.mark.full
@unhurried
@given(codes())
def test_equal_codes_have_equal_texts(code: DialCode) -> None:
    again = DialCode(code.secret, code.fingerprint, code.port, code.addresses, code.expires)
    assert (again.text(), again.link(PAGE)) == (code.text(), code.link(PAGE))


@unhurried
@given(
    st.one_of(st.text(), st.text("dc#0123456789abcdefghjkmnpqrstvwxyzu \n"), st.text("0123456789"))
)
def test_no_text_raises_anything_but_the_two_refusals(text: str) -> None:
    with pytest.raises((MalformedCode, IncompatibleVersion)):
        decode(text)


@unhurried
@given(st.text(st.characters(codec=None), min_size=1), st.integers(0, 100))
def test_no_damage_to_a_code_raises_anything_else(noise: str, place: int) -> None:
    text = INPUT_CODE[:place] + noise + INPUT_CODE[place:]
    try:
        code = decode(text)
    except (MalformedCode, IncompatibleVersion):
        return
    assert code.text() == INPUT_CODE


def with_checksum(body: bytes) -> bytes:
    """Append the CRC-16/CCITT-FALSE (PROTOCOL.md, S)."""
    return body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2)


@unhurried
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_two_refusals(raw: bytes) -> None:
    # With the right checksum, so that the fields are read.
    checked = with_checksum(raw)
    try:
        code = decode_bytes(checked)
    except (MalformedCode, IncompatibleVersion):
        return
    assert code.encode() == checked


@pytest.mark.full
@pytest.mark.parametrize("block", VALID[::3], ids=comment_of)
def test_every_change_of_one_character_is_refused(block: Block) -> None:
    text = dict(block)["text"]
    alphabet = string.digits + string.ascii_lowercase
    synonyms = str.maketrans("oil", "011")
    for place in range(len(text)):
        for char in alphabet:
            if char.translate(synonyms) == text[place]:
                continue
            with pytest.raises((MalformedCode, IncompatibleVersion)):
                decode(text[:place] + char + text[place + 1 :])


@pytest.mark.full
@pytest.mark.parametrize("block", VALID, ids=comment_of)
def test_every_change_of_one_digit_is_detected(block: Block) -> None:
    # A changed digit changes many bits: of all such changes one in 65536 has the right checksum,
    # and these vectors were chosen to have none.
    digits = dict(block)["digits"]
    for place in range(len(digits)):
        for char in string.digits:
            if char == digits[place]:
                continue
            with pytest.raises((MalformedCode, IncompatibleVersion)):
                decode(digits[:place] + char + digits[place + 1 :])


@pytest.mark.parametrize("block", VALID[::3], ids=comment_of)
def test_every_lost_character_is_detected(block: Block) -> None:
    for text in (dict(block)["text"], dict(block)["digits"]):
        for place in range(len(text)):
            with pytest.raises(MalformedCode):
                decode(text[:place] + text[place + 1 :])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", "the code is empty"),
        (
            "hello",
            "this is not a code: short codes begin with a number, dial codes with dc, ",
        ),
        (INPUT_CODE[:50], f"the code is damaged: 50 of {len(INPUT_CODE)} characters"),
        (INPUT_CODE + "00", f"the code is damaged: {len(INPUT_CODE) + 2} of {len(INPUT_CODE)} ch"),
        (INPUT_CODE[:50] + "u" + INPUT_CODE[51:], "the code has an invalid character: u"),
        (INPUT_CODE[:50] + "\ue000", "the code has an invalid character: \\ue000"),
        (INPUT_CODE[1:], "this is not a code"),
        (PAGE, "the link has no code in it: the # and what follows it are missing"),
        (f"dcsend receive {PAGE}", "the link has no code in it"),
        (PAGE + "#", "the link has no code in it: the part after the # is missing"),
        ("dcsend receive ", "the code is missing at the end of the command"),
        ("dcsend send PATH --to ", "the code is missing at the end of the command"),
        ("#12345678", "the code is damaged: its checksum is wrong"),
        ("#1234567x", "the code has an invalid character: x"),
        ("x" * 65537, "this is not a code: it has 65537 characters"),
        ("dc" + "0" * 5000, "the code is damaged: it has 5002 characters"),
        ("1" * 5000, "the code is damaged: it has 5000 digits"),
    ],
)
def test_refusal_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(MalformedCode) as refusal:
        decode(text)
    assert refusal.value.message.startswith(message)


def test_other_version_is_named() -> None:
    body = b"\x02" + from_vector(VALID[0]).encode()[1:-2]
    with pytest.raises(
        IncompatibleVersion, match="the code has version 2, this dcsend supports ver"
    ):
        decode_bytes(with_checksum(body))


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "255.255.255.255",
        "239.1.2.3",
        "::",
        "ff02::1",
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "2001:DB8::1",
        "2001:db8:0:0::1",
        "example.org",
        "10.0.0.01",
        "",
        "\x1b[2J",
    ],
)
def test_address_that_cannot_be_dialled_is_refused(host: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Address(host, 5000)
    assert refusal.value.message.isprintable()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(UsageError, match="not in the range 1 to 65535"):
        Address("10.0.0.1", port)
    with pytest.raises(UsageError, match="not in the range 1 to 65535"):
        DialCode(bytes(16), bytes(32), port, (Address("10.0.0.1", 1),), 0)


@pytest.mark.parametrize("expires", [-1, 2**32])
def test_expiry_out_of_range_is_refused(expires: int) -> None:
    with pytest.raises(UsageError, match=f"can't expire at {expires}, only at 0 to 4294967295"):
        DialCode(bytes(16), bytes(32), 9, (Address("10.0.0.1", 9),), expires)


def test_code_that_expired_long_ago_is_read_like_any_other() -> None:
    code = DialCode(bytes(16), bytes(32), 9, (Address("10.0.0.1", 9),), 1)
    assert decode(code.text()).expires == 1


@pytest.mark.parametrize(("secret", "fingerprint"), [(15, 32), (17, 32), (16, 20), (16, 48)])
def test_secret_and_fingerprint_of_another_length_are_refused(
    secret: int, fingerprint: int
) -> None:
    with pytest.raises(UsageError, match="secret of 16 bytes"):
        DialCode(bytes(secret), bytes(fingerprint), 1, (Address("10.0.0.1", 1),), 0)


def test_code_without_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one address"):
        DialCode(bytes(16), bytes(32), 1, (), 0)


def test_fourth_address_of_a_kind_is_refused() -> None:
    addresses = tuple(Address(f"10.0.0.{last}", 9) for last in range(4))
    with pytest.raises(UsageError, match="3 addresses of each kind"):
        DialCode(bytes(16), bytes(32), 9, addresses, 0)


def test_the_same_address_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        DialCode(bytes(16), bytes(32), 9, (Address("10.0.0.1", 9),) * 2, 0)


def test_addresses_are_put_in_the_order_of_the_layout() -> None:
    mapped6, plain6 = Address("2001:db8::1", 7), Address("fd00::1", 9)
    mapped4, plain4, second4 = (
        Address(f"10.0.0.{n}", port) for n, port in [(9, 8), (2, 9), (1, 9)]
    )
    code = DialCode(bytes(16), bytes(32), 9, (mapped6, plain4, mapped4, plain6, second4), 0)
    assert code.addresses == (plain4, second4, plain6, mapped4, mapped6)


def test_code_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        from_vector(VALID[0]).port = 7  # type: ignore[misc]


def test_representation_does_not_show_the_secret() -> None:
    secret = b"very secret text"
    code = DialCode(secret, bytes(32), 9, (Address("10.0.0.1", 9),), 0)
    for shown in (repr(code), str(code), f"{code}"):
        assert "secret" not in shown
        assert code.text() not in shown


def test_code_for_two_families_is_short() -> None:
    code = from_vector(VALID[0])
    assert (len(code.encode()), len(code.text())) == (78, 127)


@pytest.mark.parametrize(
    ("page", "base"),
    [
        (PAGE, PAGE),
        (PAGE + "#", PAGE),
        ("http://192.168.1.7:8000/", "http://192.168.1.7:8000/"),
        ("HTTP://[fd00::1]:8000", "HTTP://[fd00::1]:8000"),
        ("https://dcsend.example/?lang=de", "https://dcsend.example/?lang=de"),
        ("file:///home/me/dcsend.html#", "file:///home/me/dcsend.html"),
        ("dcsend:", "dcsend:"),
        ("dcsend:#", "dcsend:"),
    ],
)
def test_link_is_the_page_and_the_digits(page: str, base: str) -> None:
    code = from_vector(VALID[0])
    link = code.link(page)
    assert link == f"{base}#{int.from_bytes(code.encode())}"
    assert decode(link) == code


@pytest.mark.parametrize(
    "page",
    [
        "",
        "#",
        "dcsend.example",
        "ftp://dcsend.example/",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "file:",
        "dcsend:x",
        "http://[::1",
        "https://dcsend.example/#old",
        "https://dcsend.example/##",
        "https://dcsend.example/ ",
        "https://dcsend.example/\n",
        "https://dcsend.example/\x1b[2J",
    ],
)
def test_page_that_cannot_carry_a_code_is_refused(page: str) -> None:
    with pytest.raises(UsageError) as refusal:
        from_vector(VALID[0]).link(page)
    assert refusal.value.message.isprintable()


def test_ice_password_has_only_characters_that_ice_allows() -> None:
    passwords = {ice_password(dialcode.new_secret()) for _ in range(200)}
    assert {len(password) for password in passwords} == {24}
    assert set("".join(passwords)) <= set(string.ascii_letters + string.digits + "+/")


def test_secrets_differ() -> None:
    found = {dialcode.new_secret() for _ in range(100)}
    assert len(found) == 100
    assert {len(secret) for secret in found} == {16}


def test_selection_keeps_the_best_of_each_kind() -> None:
    wanted = [Address(f"fd00::{last}", 9) for last in "321"] + [Address("10.0.0.1", 8)]
    extra = [Address("fd00::4", 9), wanted[0]]
    assert dialcode.select_addresses(9, wanted + extra) == tuple(wanted)
