"""Write the manual page dcsend(1) from the command tree and from docs/json.md.

    python scripts/manpage.py FILE

hatch_build.py runs it when a wheel is built, so that the page has the options of that version; the
program itself never imports this. Needs typer and the checkout. The result is ASCII and has no
date, so that the same sources make the same page.

There is no library for it: click-man and similar ones expect `click`, and typer contains a copy of
click with classes of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
ESCAPES: Final = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
ENTRY_OF_HELP: Final = (".TP", r"\fB\-h\fR, \fB\-\-help\fR", "Show the help of a command.")
EXAMPLES: Final = (
    ("Send a file; the command for the other machine is printed.", "dcsend send film.mkv"),
    ("Receive with a short code.", "dcsend receive 7-walrus-umbrella"),
    ("Receive into a folder without questions.", "dcsend receive CODE -o ~/Downloads -y"),
    ("Let the receiver print the code.", "dcsend receive\ndcsend send film.mkv --to CODE"),
    ("Serve three receivers, at once or one after the other.", "dcsend send film.mkv --times 3"),
    ("Send and receive a stream.", "tar c . | dcsend send -\ndcsend receive CODE -o - | tar x"),
    ("Connect two sides behind NAT with two codes.", "dcsend send film.mkv --signal sdp"),
)


def escaped(text: str) -> str:
    """Return *text* for a line of roff: nothing in it is a request or an escape."""
    plain = "".join(
        ESCAPES.get(char, char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text
    )
    return rf"\&{plain}" if plain.startswith((".", r"\(aq")) else plain


def paragraphs(text: str) -> Iterator[str]:
    """Yield the lines of roff for a text whose paragraphs are separated by empty lines."""
    for paragraph in text.strip().split("\n\n"):
        yield ".PP"
        yield escaped(" ".join(paragraph.split()))


def entry(parameter: Any) -> Iterator[str]:  # noqa: ANN401 - a class of typer
    """Yield the lines of roff for one option or argument."""
    if parameter.param_type_name == "argument":
        names = rf"\fI{escaped(parameter.metavar)}\fR"
    else:
        ordered = sorted(parameter.opts, key=lambda name: name.startswith("--"))
        names = ", ".join(rf"\fB{escaped(name)}\fR" for name in ordered)
        if not (parameter.is_flag or parameter.count):
            names += rf" \fI{escaped(parameter.metavar)}\fR"
    yield ".TP"
    yield names
    yield escaped(parameter.help)


def entries(parameters: Iterable[Any]) -> Iterator[str]:
    """Yield the lines of roff for several options and arguments."""
    for parameter in parameters:
        yield from entry(parameter)


def environment(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of roff for the variables; those named after their option are one rule."""
    from dcsend.cli.options import EPILOG

    yield ".SH ENVIRONMENT"
    yield from paragraphs(EPILOG.format(others=""))
    for name, command in tree.items():
        for one in command.params:
            opts = [opt for opt in one.opts if opt.startswith("--")]
            derived = {"DCSEND_" + opt.strip("-").upper().replace("-", "_") for opt in opts}
            named = [one.envvar] if isinstance(one.envvar, str) else one.envvar or []
            for variable in sorted({*named} - derived):
                target = one.opts[0] if one.param_type_name == "option" else one.metavar
                yield from (".TP", rf"\fB{variable}\fR", escaped(f"{target} of dcsend {name}"))


def statuses() -> Iterator[str]:
    """Yield the lines of roff for the table of exit statuses in docs/json.md."""
    table = (ROOT / "docs" / "json.md").read_text(encoding="utf-8").partition("## Events")[0]
    for status, meaning in re.findall(r"^\| ([\d, ]+) \| (.+) \|$", table, re.MULTILINE):
        yield ".TP"
        yield rf"\fB{escaped(status)}\fR"
        yield escaped(meaning.replace("`", ""))


def page(program: Any, version: str) -> Iterator[str]:  # noqa: ANN401 - a class of typer
    """Yield the lines of the manual page.

    Args:
        program: the command tree.
        version: of dcsend.
    """
    summary, _, description = program.help.partition("\n\n")
    yield f'.TH DCSEND 1 "" "dcsend {escaped(version)}" "User Commands"'
    # Neither hyphens nor wide spaces: a break inside an option or an address would mislead.
    yield ".nh"
    yield ".ad l"
    yield ".SH NAME"
    yield rf"dcsend \- {escaped(' '.join(summary.split()).rstrip('.').lower())}"
    yield ".SH SYNOPSIS"
    for name, command in program.commands.items():
        arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
        yield rf"\fBdcsend {name}\fR \fI{escaped(' '.join(['[OPTION]...', *arguments]))}\fR"
        yield ".br"
    yield ".SH DESCRIPTION"
    yield from paragraphs(description)
    yield from commands(program.commands)
    yield ".SH OTHER OPTIONS"
    yield from entries(program.params)
    yield from ENTRY_OF_HELP
    yield from environment(program.commands)
    yield ".SH EXIT STATUS"
    yield from statuses()
    yield ".SH EXAMPLES"
    for text, example in EXAMPLES:
        yield from (".PP", escaped(text), ".PP", ".RS 4", ".nf")
        yield from map(escaped, example.splitlines())
        yield from (".fi", ".RE")


def commands(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of roff for each command, and once the options of both send and receive."""
    sender = {parameter.name for parameter in tree["send"].params}
    shared = [parameter for parameter in tree["receive"].params if parameter.name in sender]
    yield ".SH COMMANDS"
    for name, command in tree.items():
        yield f".SS dcsend {name}"
        yield from paragraphs(command.help)
        names = {one.name for one in shared} if name in ("send", "receive") else set()
        yield from entries(one for one in command.params if one.name not in names)
    yield ".SH OPTIONS OF SEND AND RECEIVE"
    yield from entries(shared)


def main() -> None:
    """Write the page to the file that is named on the command line."""
    sys.path.insert(0, str(ROOT))
    import typer

    from dcsend._version import __version__
    from dcsend.cli import app

    lines = page(typer.main.get_command(app), __version__)
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
