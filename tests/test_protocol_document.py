"""PROTOCOL.md as a document: its rules have numbers and tests, and its examples are right.

That its tables of fields, states and limits are those of the code is tested beside the code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from dcsend.description import SdpType
from dcsend.ice.ufrag import DialerCredentials
from dcsend.signaling.sdp import format_sdp, parse_sdp

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")
HEADING: Final = "\n## Rules and tests\n"
RULE: Final = r"[STIORMHCNFWLEDV]-\d+"
NO_TEST: Final = "—"
IN_RANGES: Final = frozenset("RM")
"Rules whose sections have ranges of numbers, with gaps between them."


def defined(document: str) -> list[str]:
    """Return the numbers of all rules: paragraphs that begin with one, and rows of the timers."""
    text = document.partition(HEADING)[0]
    return [
        bold or row
        for bold, row in re.findall(rf"^(?:\*\*({RULE})\*\* |\| (D-\d+) \|)", text, re.MULTILINE)
    ]


def rows(document: str) -> dict[str, list[str]]:
    """Return the tests and vectors of each rule in the last table."""
    section = document.partition(HEADING)[2]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        row = re.fullmatch(rf"\| ({RULE}) \| (\S.*) \|", line)
        if row is not None:
            assert row[1] not in found, f"twice: {row[1]}"
            found[row[1]] = row[2].split(", ")
    return found


def missing(tests: list[str]) -> list[str]:
    """Return those of *tests*, each `` `test_name` `` or `` `vector.txt` ``, that do not exist."""
    return [test for test in tests if test != NO_TEST and test.strip("`") not in EXISTING]


def _existing() -> frozenset[str]:
    folder = ROOT / "tests"
    names = {path.name for path in (folder / "vectors").iterdir()}
    for path in folder.rglob("test_*.py"):
        names |= set(re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE))
    return frozenset(names)


EXISTING: Final = _existing()
ROWS: Final = rows(DOCUMENT)


def test_each_rule_is_defined_once_and_numbers_have_no_gap() -> None:
    rules = defined(DOCUMENT)
    assert len(rules) > 150
    for letter in sorted({rule[0] for rule in rules}):
        numbers = [int(rule[2:]) for rule in rules if rule[0] == letter]
        if letter in IN_RANGES:
            assert numbers == sorted(set(numbers)), letter
        else:
            assert numbers == list(range(1, len(numbers) + 1)), letter


def test_each_rule_that_the_text_refers_to_is_defined() -> None:
    mentioned = set(re.findall(rf"(?<![\w-]){RULE}\b", DOCUMENT.partition(HEADING)[0]))
    assert mentioned <= set(defined(DOCUMENT))


def test_table_has_each_rule_in_their_order() -> None:
    assert list(ROWS) == defined(DOCUMENT)


@pytest.mark.parametrize("rule", ROWS)
def test_rule_names_tests_and_vectors_that_exist(rule: str) -> None:
    assert not missing(ROWS[rule])


def test_few_rules_have_no_test() -> None:
    assert sum(tests == [NO_TEST] for tests in ROWS.values()) <= 2


def test_faults_of_the_document_are_noticed() -> None:
    gone = ["`test_none`", "`control-none.txt`", "`missing`"]
    assert missing([*gone, "`control-ok-ack.txt`", NO_TEST]) == gone
    assert defined("\n**C-1** One.\nC-2 is not a rule.\n| D-7 | a timer |\n") == ["C-1", "D-7"]
    assert rows(f"{HEADING}\n| C-1 | `test_x`, `y.txt` |\n") == {"C-1": ["`test_x`", "`y.txt`"]}


# --- examples


def block(begins: str) -> str:
    """Return the indented block that follows the paragraph beginning with *begins*."""
    text = DOCUMENT[DOCUMENT.index(begins) :]
    found = re.search(r"\n\n((?:    .*\n)+)", text)
    assert found is not None
    return "".join(line[4:] + "\r\n" for line in found[1].splitlines())


def test_username_in_protocol_md_is_parsed() -> None:
    found = re.search(r"`(dc1/\S+:abcd)`", DOCUMENT)
    assert found is not None
    credentials = DialerCredentials.parse(found[1])
    assert credentials is not None
    assert credentials.fingerprint == bytes(range(32))
    assert (credentials.password, credentials.ufrag) == ("p" * 22, "abcd")


def test_answer_of_a_dialer_in_protocol_md_is_read() -> None:
    fingerprint = bytes(range(32)).hex(":")
    values = {
        "<mid>": "0",
        "<fingerprint of the dialer><ice-pwd of the dialer>": "A" * 43 + "p" * 22,
        "<ice-pwd of the listener, S-11>": "q" * 24,
        "<fingerprint of the code, as AB:CD:…>": fingerprint.upper(),
        "<address> <port>": "192.0.2.7 40000",
        "<next address> <its port>": "192.0.2.8 40001",
    }
    sdp = block("**I-2**")
    for placeholder, value in values.items():
        assert placeholder in sdp
        sdp = sdp.replace(placeholder, value)
    assert format_sdp(parse_sdp(SdpType.ANSWER, sdp)) == sdp


def test_offer_in_protocol_md_is_read_and_written() -> None:
    sdp = block("**O-6**")
    assert format_sdp(parse_sdp(SdpType.OFFER, sdp)) == sdp
