"""The tree of errors: one table over all of it, and the manners of every message raised."""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dcsend import errors
from dcsend.errors import DcsendError, Interrupted

PACKAGE: Final = Path(errors.__file__).parent

# class, parent, exit status, kind, whether it brings a hint of its own
TREE: Final = [
    ("DcsendError", "Exception", 1, "unexpected", False),
    ("UsageError", "DcsendError", 2, "usage", False),
    ("MalformedCode", "UsageError", 2, "code", True),
    ("IncompleteCode", "MalformedCode", 2, "code-incomplete", True),
    ("SourceError", "DcsendError", 3, "source", False),
    ("DestinationError", "DcsendError", 4, "destination", False),
    ("ConnectionFailed", "DcsendError", 5, "connection", False),
    ("IntegrityError", "DcsendError", 6, "integrity", True),
    ("PeerRefused", "DcsendError", 7, "refused", False),
    ("CodeUsed", "PeerRefused", 7, "code-used", True),
    ("PeerCannotSave", "PeerRefused", 7, "cannot-save", True),
    ("PeerDryRun", "PeerRefused", 7, "dry-run", True),
    ("AuthenticationFailed", "DcsendError", 8, "authentication", False),
    ("TimedOut", "DcsendError", 9, "timeout", False),
    ("CodeExpired", "TimedOut", 9, "code-expired", True),
    ("IncompatibleVersion", "DcsendError", 10, "version", True),
    ("PartlyDone", "DcsendError", 11, "partly", False),
    ("Interrupted", "DcsendError", 130, "interrupted", False),
    ("LocalProtocolError", "DcsendError", 1, "bug", True),
    ("RemoteProtocolError", "DcsendError", 1, "protocol", True),
]


def all_classes(root: type[DcsendError] = DcsendError) -> Iterator[type[DcsendError]]:
    """Yield the tree, parents first, without what other modules derive for themselves."""
    if root.__module__ == errors.__name__:
        yield root
        for child in root.__subclasses__():
            yield from all_classes(child)


def example(cls: type[DcsendError]) -> DcsendError:
    return Interrupted(signal.SIGINT) if issubclass(cls, Interrupted) else cls("x is odd")


@pytest.mark.parametrize(("name", "parent", "status", "kind", "hinted"), TREE)
def test_error_is_as_in_the_table(
    name: str, parent: str, status: int, kind: str, hinted: bool
) -> None:
    cls = getattr(errors, name)
    error = example(cls)
    found = (cls.__base__.__name__, error.exit_status, error.kind, bool(error.hint))
    assert found == (parent, status, kind, hinted)


def test_the_table_names_every_error() -> None:
    assert [row[0] for row in TREE] == [cls.__name__ for cls in all_classes()]


def test_the_module_exports_every_error() -> None:
    assert errors.__all__ == sorted(row[0] for row in TREE)


def test_kinds_are_unique_and_fit_for_programs() -> None:
    kinds = [cls.kind for cls in all_classes()]
    assert len(set(kinds)) == len(kinds)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) for kind in kinds)


def test_message_and_hint_are_kept_apart() -> None:
    error = errors.SourceError("a.txt does not exist", "look again")
    assert (str(error), error.message, error.hint) == (
        "a.txt does not exist",
        "a.txt does not exist",
        "look again",
    )


def test_a_given_hint_replaces_the_usual_one() -> None:
    assert errors.MalformedCode("too short", "type more").hint == "type more"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (1, 129)]
)
def test_an_interrupted_run_ends_with_128_and_the_signal(number: int, status: int) -> None:
    assert Interrupted(number).exit_status == status


# --- The drawing ---------------------------------------------------------------------------------

_BRANCH = re.compile(r"^ {4}(?P<bars>[│ ]*)[├└]─ (?P<name>\w+) +\S.*\((?P<status>[\d, ]+)\)$")


def drawn(docstring: str) -> Iterator[tuple[str, str, set[int]]]:
    """Yield class, parent and exit statuses of each branch in the drawing."""
    path = ["DcsendError"]
    for line in docstring.splitlines():
        if match := _BRANCH.match(line):
            depth = 1 + len(match["bars"]) // 4
            path[depth:] = [match["name"]]
            yield match["name"], path[depth - 1], {int(n) for n in match["status"].split(",")}


def test_the_drawn_tree_is_the_real_one() -> None:
    real = [
        (cls.__name__, cls.__base__.__name__ if cls.__base__ else "", {example(cls).exit_status})
        for cls in all_classes()
        if cls not in {DcsendError, Interrupted}
    ]
    ours = [row for row in drawn(errors.__doc__ or "") if row[0] != "Interrupted"]
    assert ours == real


def test_the_drawn_tree_has_the_statuses_of_an_interrupted_run() -> None:
    row = next(row for row in drawn(errors.__doc__ or "") if row[0] == "Interrupted")
    assert row == ("Interrupted", "DcsendError", {130, 143, 129})


def test_no_drawn_line_is_passed_over() -> None:
    assert (errors.__doc__ or "").count("─ ") == len(list(drawn(errors.__doc__ or "")))


# --- Manners -------------------------------------------------------------------------------------


def manners(text: str) -> str:
    """Return what is wrong with a message or a hint; empty if nothing is.

    >>> manners("Could not open x")
    'starts with a capital'
    >>> manners("could not open x.")
    'ends with a full stop'
    >>> manners("SCTP is gone") + manners("wait …")
    ''
    """
    # Abbreviations may lead: SCTP, IPv4, DTLS.
    if re.match(r"[A-Z](?![A-Z])", text):
        return "starts with a capital"
    if re.search(r"(?<!\.)\.$", text):
        return "ends with a full stop"
    return "is on several lines" if "\n" in text else ""


def texts(node: ast.expr) -> Iterator[str]:
    """Yield the literal forms of an argument; what is filled in is shown as `{}`."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*texts(body), *texts(orelse))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            sides = [*texts(left)] or ["{}"], [*texts(right)] or ["{}"]
            yield from (a + b for a in sides[0] for b in sides[1])


def raised_texts(source: str) -> Iterator[str]:
    """Yield every message and hint that *source* gives to an error of the tree."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                if name in errors.__all__:
                    given = [*node.args, *(k.value for k in node.keywords if k.arg == "hint")]
                    for argument in given:
                        yield from texts(argument)


def test_every_hint_has_manners() -> None:
    hints = [cls.default_hint for cls in all_classes()]
    assert [f"{hint}: {fault}" for hint in hints if (fault := manners(hint))] == []


@pytest.mark.full
def test_every_message_raised_in_the_package_has_manners() -> None:
    faults = [
        f"{path.relative_to(PACKAGE)}: {text}: {fault}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in raised_texts(path.read_text(encoding="utf-8"))
        if (fault := manners(text))
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_messages_are_found_wherever_they_are_raised() -> None:
    source = """
raise UsageError("A.")
raise errors.SourceError(f"{name} B", hint="C" if x else "D") from exc
queue.end(TimedOut("E" + name, "F"))
raise ValueError("not ours")
"""
    assert sorted(raised_texts(source)) == ["A.", "C", "D", "E{}", "F", "{} B"]
