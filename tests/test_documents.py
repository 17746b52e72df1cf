"""The documents: their links, their lists, and their tables of options, events and statuses."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from dcsend import errors
from dcsend.cli import app
from dcsend.session.events import OfPeer
from tests.test_public_api import EVENTS

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
DOCUMENTS: Final = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "tests/interop").rglob("*.md")]
)
PROGRAM: Final[Any] = typer.main.get_command(app)
COMMANDS: Final[dict[str, Any]] = PROGRAM.commands
SIGNALS: Final = {129, 130, 143}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def slugs(document: Path) -> set[str]:
    """Return the anchors that a Markdown viewer makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def rows(section: str, columns: int) -> Iterator[list[str]]:
    """Yield the cells of the table rows in a section, without the two lines of the head."""
    for line in section.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == columns and not set(cells[0]) <= set("-: "):
            yield cells


def section(document: str, heading: str) -> str:
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


def test_architecture_has_every_module_and_is_short() -> None:
    text = read("ARCHITECTURE.md")
    assert len(text.splitlines()) <= 220
    tables = [line for line in text.partition("## The page")[0].splitlines() if line[:1] == "|"]
    # Several packages have a module `events`: the table of each must name its own.
    named = Counter(re.findall(r"`(\w+)`", "\n".join(tables)))
    modules = Counter(path.stem for path in (ROOT / "dcsend").rglob("*.py"))
    del modules["__init__"]
    assert modules - named == Counter()


def test_architecture_has_every_script_of_the_page_without_a_twin() -> None:
    text = read("ARCHITECTURE.md").partition("## The page")[2].partition("## How bytes flow")[0]
    named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))))
    package, page = ROOT / "dcsend", ROOT / "web-receiver" / "src"
    missing = [
        path.name
        for path in page.rglob("*.ts")
        if not (package / path.relative_to(page)).with_suffix(".py").exists()
        and path.stem not in named | {"vite-env.d"}
    ]
    assert missing == []


def test_readme_is_short_and_has_the_two_commands() -> None:
    readme = read("README.md")
    assert len(readme.splitlines()) <= 130
    assert "$ make demo " in readme
    assert "$ make test " in readme


def test_index_lists_every_document() -> None:
    index = read("docs/index.md")
    documents = {path.name for path in DOCS.glob("*.md")} - {"index.md"}
    assert documents <= set(re.findall(r"\]\(([\w.-]+\.md)\)", index))


def test_decisions_are_numbered_complete_and_listed() -> None:
    index = read("docs/decisions/README.md")
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    for number, record in enumerate(records, 1):
        assert record.name.startswith(f"{number:04}-")
        text = record.read_text(encoding="utf-8")
        title, date, *headings = re.findall(r"^(?:#+|Date:) .+$", text, re.MULTILINE)
        assert (
            f"| [{number:04}]({record.name}) | {title.partition('. ')[2]} | {date[6:]} |" in index
        )
        assert headings == ["## Context", "## Measurement", "## Consequence"]


def described(heading: str) -> set[tuple[str, ...]]:
    """Return the options in one section of docs/options.md, each with its variables."""
    found = set()
    for option, variables, meaning in rows(section(read("docs/options.md"), heading), 3):
        if option != "option":
            assert meaning, option
            names = re.findall(r"`([^`]+)`", option.replace("\\|", "|"))
            found.add((*names, *re.findall(r"`([^`]+)`", variables)))
    return found


def documented(parameter: Any) -> tuple[str, ...]:  # noqa: ANN401 - click's class
    """Return what docs/options.md has to have for a parameter."""
    variables = parameter.envvar or ()
    named = (variables,) if isinstance(variables, str) else tuple(variables)
    if parameter.param_type_name == "argument":
        return (parameter.metavar, *named)
    short_first = sorted(parameter.opts, key=lambda name: name.startswith("--"))
    names = list(short_first)
    if not (parameter.is_flag or parameter.count):
        names[-1] += f" {parameter.metavar}"
    return (*names, *named)


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("send", ["send", "send and receive"]),
        ("receive", ["receive", "send and receive"]),
        ("chat", ["chat"]),
        ("page", ["page"]),
        ("parts", ["parts"]),
        ("", ["dcsend"]),
    ],
)
def test_options_and_variables_are_those_of_the_program(command: str, headings: list[str]) -> None:
    parameters = (COMMANDS[command] if command else PROGRAM).params
    expected = {documented(one) for one in parameters if one.name != "help"}
    assert set.union(*(described(heading) for heading in headings)) == expected


def test_exit_statuses_are_those_of_the_errors() -> None:
    kinds = (getattr(errors, name) for name in errors.__all__)
    statuses = {0, *SIGNALS, *(kind.exit_status for kind in kinds)}
    for document, heading, without in (
        ("docs/json.md", "Exit statuses", set()),
        ("docs/troubleshooting.md", "By exit status", {0}),
    ):
        cells = [row[0] for row in rows(section(read(document), heading), 2 if not without else 3)]
        assert {int(number) for cell in cells for number in re.findall(r"\d+", cell)} == (
            statuses - without
        )


def texts(package: Path) -> Iterator[str]:
    """Yield each string in the program, with `…` in the place of what is inserted."""
    for module in package.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w+\}", "…", node.value)


@pytest.mark.full
def test_messages_in_troubleshooting_are_those_of_the_program() -> None:
    document = read("docs/troubleshooting.md")
    known = set(texts(ROOT / "dcsend"))
    for heading, columns in (("No connection", 3), ("Short codes", 3), ("Other messages", 2)):
        for cells in rows(section(document, heading), columns):
            for message in re.findall(r"`([^`]+)`", cells[0]):
                fragments = [re.escape(part) for part in message.split("…")]
                pattern = re.compile(".*".join(fragments), re.DOTALL)
                assert any(map(pattern.search, known)), message


def test_kinds_of_errors_and_their_statuses_are_those_of_the_program() -> None:
    table = {
        (kind, re.findall(r"\d+", status)[0])
        for kinds, status, _ in rows(section(read("docs/json.md"), "Values"), 3)
        for kind in re.findall(r"`([\w-]+)`", kinds)
    }
    classes = [getattr(errors, name) for name in errors.__all__]
    assert table == {
        (one.kind, "128" if one is errors.Interrupted else str(one.exit_status)) for one in classes
    }


def test_events_and_their_fields_are_those_of_the_program() -> None:
    table = {}
    for names, fields in rows(section(read("docs/json.md"), "Events"), 2):
        for name in re.findall(r"`(\w+)`", names):
            table[name] = set(re.findall(r"`(\w+)`", fields))
    assert set(table) == {event.event for event in EVENTS}
    several = section(read("docs/json.md"), "Several peers")
    for event in EVENTS:
        names_of_event = set(event.as_json())
        if isinstance(event, OfPeer):
            names_of_event.remove(event.role)
            assert f"`{event.role}`" in several
        assert names_of_event <= table[event.event], event.event


# --- paths in comments


PATH: Final = re.compile(r"(?<![\w./-])(?:dcsend/[\w/-]+\.py|[\w/-]+\.ts)\b")
PAGE: Final = ROOT / "web-receiver"
SOURCES: Final = (*(ROOT / "dcsend").rglob("*.py"), *(PAGE / "src").rglob("*.ts"))


def missing_paths(text: str, folder: Path) -> list[str]:
    """Return the paths of modules in *text*, of a file in *folder*, that do not exist."""
    roots = (ROOT, PAGE, PAGE / "src", folder)
    return [
        path for path in PATH.findall(text) if not any((root / path).exists() for root in roots)
    ]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_named_in_comments_exist(source: Path) -> None:
    assert not missing_paths(source.read_text(encoding="utf-8"), source.parent)


def test_modules_that_do_not_exist_are_noticed() -> None:
    text = (
        "As `dcsend/peers/memory.py` and `dcsend/errors.py`; see base.ts, main.ts, files/gone.ts."
    )
    gone = ["dcsend/peers/memory.py", "base.ts", "files/gone.ts"]
    assert missing_paths(text, PAGE / "src") == gone
