"""The command line: every option has its variable, every mistake a line and a hint."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
import typer.main

import dcsend
from dcsend._version import __version__
from dcsend.cli import app
from dcsend.entry import Existing
from dcsend.errors import UsageError
from dcsend.runner import Options, one_of, parse_duration
from dcsend.session.events import CodeReady
from dcsend.settings import Settings
from dcsend.signaling.dialcode import Address, DialCode
from tests.screens import Pty

NOBODY = DialCode(bytes(16), bytes(32), 9, (Address("127.0.0.1", 9),), 1_000_000_000).text()
"A code of long ago; nobody waits there."

WITHOUT_VARIABLE = {"help", "version", "install_completion", "show_completion", "paths"}
"What is done once and never as a habit, and what is sent."

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
RUNS = {name: COMMANDS[name] for name in ("receive", "send")}
"What is done as a habit; `page` is done once, and its --output is no folder."
PARAMETERS = [
    pytest.param(name, parameter.name, parameter.envvar, id=f"{name}-{parameter.name}")
    for name, command in RUNS.items()
    for parameter in command.params
    if parameter.name not in WITHOUT_VARIABLE
]

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


def run(
    *arguments: str, stdin: int | IO[str] = subprocess.DEVNULL, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run dcsend to its end; return its status, standard output and standard error."""
    # Without PYTHONPATH: what is received, by default in the current folder, may not go there.
    variables = {"DCSEND_ADDRESS": "127.0.0.1", "COLUMNS": "100"}
    found = subprocess.run(
        [sys.executable, "-m", "dcsend", *arguments],
        env={**os.environ, **variables, **(env or {})},
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in found.stderr
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(("command", "parameter", "variable"), PARAMETERS)
def test_option_has_its_variable(command: str, parameter: str, variable: str | list[str]) -> None:
    # Both commands take the other side's code from one variable.
    name = "code" if parameter == "to" else parameter
    first = variable if isinstance(variable, str) else variable[0]
    assert first == f"DCSEND_{name.upper()}"


@pytest.mark.parametrize("command", RUNS)
def test_help_names_every_option_and_its_variable(command: str) -> None:
    shown = " ".join(run(command, "--help")[1].split())
    for parameter in COMMANDS[command].params:
        if parameter.name in WITHOUT_VARIABLE:
            continue
        variables = parameter.envvar
        named = variables if isinstance(variables, str) else ", ".join(variables)
        assert f"env var: {named}" in shown
        if parameter.param_type_name == "option":
            assert all(f"{option} " in shown or f"{option}," in shown for option in parameter.opts)


def test_both_commands_have_the_options_of_meeting_and_showing() -> None:
    send, receive = ({p.name for p in COMMANDS[name].params} for name in ("send", "receive"))
    assert send - receive == {"paths", "to", "text", "name", "links", "exclude"}
    assert receive - send == {"code", "output", "yes", "overwrite", "rename", "skip"}


def test_variable_does_what_the_option_does(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    env = {"DCSEND_EXPIRES": "soon", "DCSEND_JSON": "1"}
    status, out, err = run("send", str(tmp_path / "a"), env=env)
    assert (status, err) == (2, "")
    assert json.loads(out.splitlines()[0])["message"] == "'soon' is not a time"


def test_relay_of_a_file_or_a_variable_never_stops_a_run_with_a_dial_code(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("turn:me:secret@192.0.2.1\n")
    servers = {"DCSEND_ICE_SERVER": f"@{tmp_path / 'servers'}", "DCSEND_STUN": ""}
    # A dial code has no room for its address; the variable is for runs with two codes, too.
    status, out, err = run("send", "--text", "x", "--expires", "1s", "--json", env=servers)
    assert (status, err) == (9, "")
    assert json.loads(out.splitlines()[0])["event"] == "code"
    named = servers["DCSEND_ICE_SERVER"]
    status, _, err = run("send", "--text", "x", "--stun", named)
    assert status == 2
    assert "a TURN server is of no use" in err
    assert "secret" not in err


def test_servers_do_not_come_from_standard_input() -> None:
    status, _, err = run("receive", "-y", "--signal", "sdp", "--stun", "@-")
    assert status == 2
    assert "can't come from standard input" in err
    assert "@FILE" in err


def test_repeatable_variable_is_split_at_spaces(tmp_path: Path) -> None:
    for name in ("a.o", "b.pyc"):
        (tmp_path / name).touch()
    env = {"DCSEND_EXCLUDE": "*.o *.pyc x*"}
    status, _, err = run("send", str(tmp_path / "a.o"), str(tmp_path / "b.pyc"), env=env)
    assert status == 3
    assert "nothing is left to send" in err


def test_version_is_one_line() -> None:
    assert run("--version") == (0, f"dcsend {__version__}\n", "")
    assert run("-V") == run("--version")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["send", "-h"], ["receive", "--help"]])
def test_help_is_on_standard_output_and_fits_a_window(arguments: list[str]) -> None:
    status, out, err = run(*arguments, env={"COLUMNS": "80"})
    assert (status, err) == (0, "")
    assert out.startswith("Usage: dcsend ")
    assert max(map(len, out.splitlines())) <= 80


def test_nothing_at_all_shows_the_help_as_a_mistake() -> None:
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "dcsend send PATH; then, on the other: dcsend receive CODE" in err


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["send", "x", "--frobnicate"], "no such option: --frobnicate", "dcsend send --help"),
        (["sned", "x"], "no such command 'sned'", "dcsend --help"),
        (["send", "x", "--port", "65536"], "invalid value for '--port'", "dcsend send --help"),
        (["send", "x", "--port", "a"], "invalid value for '--port'", "dcsend send --help"),
        (["send", "x", "--qr", "big"], "invalid value for '--qr'", "dcsend send --help"),
        (["receive", "a", "b"], "got unexpected extra argument", "dcsend receive --help"),
        (["send"], "nothing to send", "name files or folders"),
        (["send", "x", "--expires", "0"], "'0' is not a time", "write 90s, 10m, 1h or 2d"),
        (["send", "-", "-"], "standard input can be sent once only", "name - once"),
        (["receive", "-y", "--skip", "--rename"], "--rename and --skip contradict", "choose one"),
        (["receive", "-y", "--json", "-o", "-"], "--json and -o - both want", "choose one"),
        (["receive", "--json", "-o", "-"], "--json and -o - both want", "choose one"),
        (["receive"], "standard input is not a terminal", "add -y"),
        (["receive", "-q"], "--quiet is given", "add -y"),
        (["receive", "-y", "dc0"], "", ""),
        (["receive", "-y", "--address", "home"], "'home' is not an IP address", "write --address"),
        (["receive", "-y", "--qr-file", "x.jpg"], "x.jpg ends neither in .png nor in .svg", ""),
        (["send", "-", "--to", "@-"], "standard input can't be both the code", "@FILE"),
        (["send", "x", "--name", "y"], "--name is for what comes from standard input", "add -"),
        (["receive", "a", "--connect-timeout", "nan"], "nan is not a number of seconds", "--help"),
        (["receive", "a", "--connect-timeout", "inf"], "inf is not in the range", "--help"),
        (["send", "x", "--connect-timeout", "9"], "--connect-timeout is for the side that is", ""),
        (["receive", "-y", "--connect-timeout", "9"], "--connect-timeout is for the side", ""),
        (["send", "x", "--to", "a", "--qr", "half"], "--qr is for the side that prints", "leave"),
        (["receive", "a", "-y", "--qr-file", "x.png"], "--qr-file is for the side that prints", ""),
        (["receive", "a", "-y", "--expires", "1h"], "--expires is for the side that prints", ""),
        (
            ["receive", "a", "--stun", "none", "--address", "::1", "--page-url", "https://x"],
            "--address and --page-url are for the side that prints the code",
            "leave it out",
        ),
        (["receive", "a", "-y", "--no-page"], "--no-page is for the side that prints", "leave it"),
        (
            ["send", "x", "--no-page", "--page-url", "https://x"],
            "--page-url and --no-page contradict each other",
            "choose one",
        ),
        (["send", "x", "--page-url", "gopher://x"], "is not an http, https or file URL", ""),
        (["page"], "missing option '--output'", "dcsend page --help"),
    ],
)
def test_mistake_is_a_line_a_hint_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").touch()
    status, _, err = run(*arguments)
    assert status == 2
    lines = [line for line in err.splitlines() if line.startswith("dcsend: ")]
    assert said in lines[0]
    assert not hint or hint in lines[1]
    assert re.match(r"dcsend: [^A-Z]", lines[0])
    assert not lines[0].endswith(".")


def test_mistake_is_two_events_with_json() -> None:
    status, out, err = run("receive", "--json")
    assert (status, err) == (2, "")
    error, done = map(json.loads, out.splitlines())
    assert error["message"] == "nobody can be asked whether to accept: --json is given"
    assert (done["event"], done["exit"]) == ("done", 2)


@pytest.mark.parametrize("form", [["--json"], ["DCSEND_JSON"]])
@pytest.mark.parametrize(
    "arguments", [["send", "f", "--port", "abc"], ["send", "--frobnicate"], ["sned"]]
)
def test_command_line_that_cannot_be_parsed_is_two_events_with_json(
    arguments: list[str], form: list[str]
) -> None:
    by_variable = form == ["DCSEND_JSON"]
    env = {"DCSEND_JSON": "True"} if by_variable else {}
    status, out, err = run(*arguments, *([] if by_variable else form), env=env)
    assert (status, err) == (2, "")
    error, done = map(json.loads, out.splitlines())
    assert (error["event"], error["kind"]) == ("error", "usage")
    assert (done["event"], done["exit"]) == ("done", 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "f", "--port", "abc", "--", "--json"],
        ["receive", "--json", "-o", "-", "--port", "abc"],
        ["receive", "--json", "--output=-", "--port", "abc"],
    ],
)
def test_command_line_that_cannot_be_parsed_is_told_to_a_person_otherwise(
    arguments: list[str],
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "invalid value for '--port'" in err


def understood(
    monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str
) -> tuple[Settings, Options]:
    """Return what `receive` makes of a command line and of the variables."""
    seen: list[tuple[Settings, Options]] = []

    def look(settings: Settings, options: Options) -> int:
        seen.append((settings, options))
        return 0

    monkeypatch.setattr("dcsend.runner.run_receive", look)
    for name, value in variables.items():
        monkeypatch.setenv(f"DCSEND_{name}", value)
    app(["receive", *arguments], standalone_mode=False)
    return seen[0]


def test_policy_on_the_command_line_beats_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = understood(monkeypatch, "--skip", RENAME="1")
    assert settings.existing is Existing.SKIP


def test_policy_of_the_variable_counts_where_the_command_line_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, _ = understood(monkeypatch, "-y", RENAME="1")
    assert settings.existing is Existing.RENAME


def test_variables_that_contradict_each_other_are_a_mistake() -> None:
    status, _, err = run("receive", "-y", env={"DCSEND_RENAME": "1", "DCSEND_SKIP": "1"})
    assert status == 2
    assert "--rename and --skip contradict each other" in err


def test_standard_output_goes_to_what_the_command_line_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, options = understood(monkeypatch, "-o", "-", JSON="1")
    assert (settings.output, options.json) == ("-", False)
    monkeypatch.delenv("DCSEND_JSON")
    settings, options = understood(monkeypatch, "--json", OUTPUT="-")
    assert (settings.output, options.json) == (".", True)


def test_variables_that_both_want_standard_output_are_a_mistake() -> None:
    status, out, err = run("receive", "-y", env={"DCSEND_JSON": "1", "DCSEND_OUTPUT": "-"})
    assert (status, out) == (2, "")
    assert "--json and -o - both want standard output" in err


def test_variables_for_the_other_side_are_ignored(tmp_path: Path) -> None:
    env = {
        "DCSEND_EXPIRES": "soon",
        "DCSEND_QR": "full",
        "DCSEND_QR_FILE": str(tmp_path / "code.jpg"),
        "DCSEND_CONNECT_TIMEOUT": "1",
        "DCSEND_PAGE_URL": "https://pages.dcsend.example/",
        "DCSEND_NO_PAGE": "1",
        "DCSEND_STUN": "none",
        "DCSEND_NAME": "x",
    }
    status, _, err = run("receive", "-y", NOBODY, env=env)
    assert (status, "expired" in err) == (9, True)
    (tmp_path / "a").touch()
    kept = {"DCSEND_CONNECT_TIMEOUT": "1", "DCSEND_NAME": "x", "DCSEND_EXPIRES": "1s"}
    assert run("send", str(tmp_path / "a"), env=kept)[0] == 9


@pytest.mark.parametrize(
    ("arguments", "variables", "served", "hosted"),
    [
        ([], {}, True, ""),
        (["--no-page"], {}, False, ""),
        (["--page-url", "https://x"], {}, False, "https://x"),
        ([], {"NO_PAGE": "1"}, False, ""),
        ([], {"PAGE_URL": "https://x"}, False, "https://x"),
        (["--no-page"], {"PAGE_URL": "https://x"}, False, ""),
        (["--page-url", "https://y"], {"NO_PAGE": "1"}, False, "https://y"),
        (["--page-url", "https://y"], {"PAGE_URL": "https://x"}, False, "https://y"),
    ],
)
def test_page_is_served_unless_it_is_hosted_or_unwanted(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variables: dict[str, str],
    served: bool,
    hosted: str,
) -> None:
    monkeypatch.delenv("DCSEND_NO_PAGE")
    settings, _ = understood(monkeypatch, *arguments, **variables)
    assert (settings.page, settings.page_url) == (served, hosted)


def test_variables_that_both_tell_of_the_page_are_a_mistake() -> None:
    env = {"DCSEND_NO_PAGE": "1", "DCSEND_PAGE_URL": "https://x"}
    status, _, err = run("receive", "-y", env=env)
    assert status == 2
    assert "--page-url and --no-page contradict each other" in err


def test_program_that_imports_dcsend_serves_nothing_unless_told() -> None:
    assert not Settings().page


def test_home_folder_is_where_it_is_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = understood(monkeypatch, OUTPUT="~/inbox")
    assert settings.destination == Path.home() / "inbox"
    assert Settings(output="./~").destination == Path("~")
    assert Settings(output="-").destination is None


@pytest.mark.parametrize(
    ("name", "status"),
    [("code.jpg", 2), ("missing/code.png", 4), ("file/code.svg", 4), ("folder.png", 4)],
)
def test_qr_file_that_cannot_be_written_is_told_before_the_code(
    tmp_path: Path, name: str, status: int
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    arguments = ("receive", "-y", "--expires", "1s", "--qr-file", str(tmp_path / name))
    found, out, err = run(*arguments)
    assert (found, out) == (status, "")
    assert name in err
    assert sorted(tmp_path.rglob("*")) == before


def test_qr_file_that_can_be_written_is(tmp_path: Path) -> None:
    path = tmp_path / "code.svg"
    assert run("receive", "-y", "--expires", "1s", "--qr-file", str(path))[0] == 9
    assert list(tmp_path.iterdir()) == [path]


def test_missing_source_is_status_3(tmp_path: Path) -> None:
    status, out, err = run("send", str(tmp_path / "gone"))
    assert (status, out) == (3, "")
    assert err.startswith("dcsend: no such file or folder: ")


def test_name_on_the_command_line_is_escaped_where_it_is_repeated() -> None:
    status, out, err = run("send", "gone\x1b[2J")
    assert (status, out) == (2, "")
    assert err.startswith("dcsend: can't send gone\\x1b[2J: ")


@on_posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["receive -y -o - nonsense", "send -", "receive @-", "send"])
def test_closed_standard_streams_are_no_surprise(arguments: str, closed: str) -> None:
    root = str(Path(dcsend.__file__).parents[1])
    command = f"{sys.executable} -m dcsend {arguments} --expires 1s {closed}"
    found = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "DCSEND_ADDRESS": "127.0.0.1", "PYTHONPATH": root},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    # `send -` has something to send where standard input is open: nobody comes for it.
    assert found.returncode in ((2, 9) if arguments == "send -" else (2,))
    assert b"Traceback" not in found.stderr
    assert b"Exception" not in found.stderr


@on_posix
@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--version"], 0), (["receive", "--json"], 2), (["send", "--help"], 1)],
)
def test_output_that_nobody_reads_does_not_change_the_status(
    arguments: list[str], status: int
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    found = subprocess.run(
        [sys.executable, "-m", "dcsend", *arguments],
        env={**kept, "PYTHONPATH": str(Path(dcsend.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (found.returncode, found.stderr) == (status, b"")


@pytest.fixture
def pty() -> Iterator[Pty]:
    """Give a terminal."""
    terminal = Pty()
    yield terminal
    terminal.close()


@on_posix
def test_question_that_nobody_would_see_is_not_asked(pty: Pty) -> None:
    status, _, err = run("receive", stdin=pty.file)
    assert status == 2
    assert "nobody can be asked whether to accept: standard error is not a terminal" in err


@on_posix
def test_bytes_of_a_stranger_are_not_written_to_a_terminal(pty: Pty) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "dcsend", "receive", "-y", "-o", "-", "--expires", "1s"],
        env={**os.environ, "PYTHONPATH": str(Path(dcsend.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        stdout=pty.file,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        "dcsend: standard output is a terminal",
        "dcsend: hint: pipe it into a file or a program, or choose a folder with --output",
    ]


@pytest.mark.parametrize("arguments", [("receive", "-y", ""), ("send", "--to", " ", ".")])
def test_empty_code_is_refused_as_of_a_variable_that_is_not_set(arguments: Sequence[str]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("dcsend: the code is empty\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("10 min", 600), (" 1.5H ", 5400), ("30d", 2592000)],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1w", "31d", "1h30m", "nan", "inf", "١s", "1e3"])
def test_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_duration(text)


def test_policies_contradict_each_other_by_name() -> None:
    everything = dict.fromkeys((Existing.OVERWRITE, Existing.RENAME, Existing.SKIP), True)
    with pytest.raises(UsageError, match="--overwrite and --rename and --skip contradict"):
        one_of(everything)
    assert one_of(dict.fromkeys(everything, False)) is Existing.REFUSE
    assert one_of({Existing.SKIP: True}) is Existing.SKIP


def test_secret_is_in_no_repr() -> None:
    secret = "dc0secret"
    event = CodeReady(secret, f"dcsend:#{secret}", datetime.datetime.now(datetime.UTC), "sender")
    assert secret not in repr(event) + str(event)
    assert secret not in repr(Settings(code=secret)) + str(Settings(code=secret))


def test_damaged_code_is_not_repeated() -> None:
    # It may be the right one but for a character, and errors are what people paste in public.
    damaged = "dc0" + "7" * 60
    status, out, err = run("receive", "-y", damaged)
    assert status == 2
    assert damaged[3:20] not in out + err
