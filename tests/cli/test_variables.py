"""Environment variables of options: their names, and which value counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dcsend.cli import app
from dcsend.entry import Existing
from dcsend.settings import Settings
from dcsend.stage import DisplayOptions
from tests.support.command_line import COMMANDS, OLD_CODE, run

WITHOUT_VARIABLE = {"help", "version", "install_completion", "show_completion", "paths"}
"Parameters for a single run, and what is sent."

RUNS = {name: COMMANDS[name] for name in ("receive", "send")}
"Not `page`: its --output is not a folder."
PARAMETERS = [
    pytest.param(name, parameter.name, parameter.envvar, id=f"{name}-{parameter.name}")
    for name, command in RUNS.items()
    for parameter in command.params
    if parameter.name not in WITHOUT_VARIABLE
]


@pytest.mark.parametrize(("command", "parameter", "variable"), PARAMETERS)
def test_option_has_its_variable(command: str, parameter: str, variable: str | list[str]) -> None:
    # Both commands take the code from one variable.
    name = "code" if parameter == "to" else parameter.rstrip("_")
    first = variable if isinstance(variable, str) else variable[0]
    assert first == f"DCSEND_{name.upper()}"


@pytest.mark.full
@pytest.mark.parametrize("command", [*RUNS, "chat"])
def test_help_names_every_option_and_each_variable_of_another_name(command: str) -> None:
    shown = " ".join(run(command, "--help")[1].split())
    assert shown.count("environment variable") == 1
    assert "env var" not in shown
    for parameter in COMMANDS[command].params:
        if parameter.name in WITHOUT_VARIABLE:
            continue
        named = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
        derived = {
            "DCSEND_" + name.lstrip("-").upper().replace("-", "_") for name in parameter.opts
        }
        target = parameter.opts[0] if parameter.param_type_name == "option" else "CODE"
        assert all(f"{name} sets {target}" in shown for name in set(named) - derived)
        if parameter.param_type_name == "option":
            assert all(f"{option} " in shown or f"{option}," in shown for option in parameter.opts)


@pytest.mark.full
def test_variable_does_what_the_option_does(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    env = {"DCSEND_EXPIRES": "soon", "DCSEND_JSON": "1"}
    status, out, err = run("send", str(tmp_path / "a"), env=env)
    assert (status, err) == (2, "")
    assert json.loads(out.splitlines()[0])["message"] == "'soon' is not a time"


@pytest.mark.full
@pytest.mark.parametrize(
    "arguments",
    [
        ["receive", "dc0", "-y"],
        ["receive", "7-walrus", "-y"],
        ["send", "--text", "x", "--to", "7-walrus"],
        ["send", "--text", "x", "--no-mdns", "--expires", "1s"],
    ],
)
def test_variable_with_words_of_ones_own_is_ignored_where_no_short_code_is_shown(
    arguments: list[str],
) -> None:
    _, _, err = run(*arguments, env={"DCSEND_OWN_CODE": "no-such-words"})
    assert "list of words" not in err


@pytest.mark.full
def test_variable_with_words_that_do_not_exist_is_refused_where_a_short_code_is_shown() -> None:
    env = {"DCSEND_OWN_CODE": "no-such-words", "DCSEND_NO_MDNS": ""}
    status, _, err = run("receive", "-y", "--expires", "1s", env=env)
    assert status == 2
    assert "is not in the list of words" in err


@pytest.mark.full
def test_relay_of_a_file_or_a_variable_never_stops_a_run_with_a_dial_code(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("turn:me:secret@192.0.2.1\n")
    servers = {"DCSEND_ICE_SERVER": f"@{tmp_path / 'servers'}", "DCSEND_STUN": ""}
    # A dial code cannot hold a relayed address; the variable also serves runs with two codes.
    status, out, err = run("send", "--text", "x", "--expires", "1s", "--json", env=servers)
    assert (status, err) == (9, "")
    assert json.loads(out.splitlines()[0])["event"] == "code"
    named = servers["DCSEND_ICE_SERVER"]
    status, _, err = run("send", "--text", "x", "--stun", named)
    assert status == 2
    assert "a TURN server can't be used" in err
    assert "secret" not in err


@pytest.mark.full
def test_repeatable_variable_is_split_at_spaces(tmp_path: Path) -> None:
    for name in ("a.o", "b.pyc"):
        (tmp_path / name).touch()
    env = {"DCSEND_EXCLUDE": "*.o *.pyc x*"}
    status, _, err = run("send", str(tmp_path / "a.o"), str(tmp_path / "b.pyc"), env=env)
    assert status == 3
    assert "nothing is left to send" in err


def understood(
    monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str
) -> tuple[Settings, DisplayOptions]:
    """Return the settings that `receive` computes from a command line and the variables."""
    seen: list[tuple[Settings, DisplayOptions]] = []

    def look(settings: Settings, options: DisplayOptions) -> int:
        seen.append((settings, options))
        return 0

    monkeypatch.setattr("dcsend.runner.run_receive", look)
    for name, value in variables.items():
        monkeypatch.setenv(f"DCSEND_{name}", value)
    app(["receive", *arguments], standalone_mode=False)
    return seen[0]


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        ({"NO_MDNS": ""}, True),
        ({"SERVER": "public"}, True),
        ({"SERVER": "none"}, False),
        ({}, False),
    ],
)
def test_relay_of_a_variable_is_used_where_there_are_short_codes(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], kept: bool
) -> None:
    settings, _ = understood(monkeypatch, STUN="", ICE_SERVER="turn:me:x@192.0.2.1", **variables)
    assert bool(settings.turn) == kept


def test_policy_on_the_command_line_beats_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = understood(monkeypatch, "--skip", RENAME="1")
    assert settings.existing is Existing.SKIP


def test_policy_of_the_variable_counts_where_the_command_line_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, _ = understood(monkeypatch, "-y", RENAME="1")
    assert settings.existing is Existing.RENAME


@pytest.mark.full
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


@pytest.mark.full
def test_variables_that_both_take_standard_output_are_a_mistake() -> None:
    status, out, err = run("receive", "-y", env={"DCSEND_JSON": "1", "DCSEND_OUTPUT": "-"})
    assert (status, out) == (2, "")
    assert "--json and -o - both use standard output" in err


@pytest.mark.full
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
    status, _, err = run("receive", "-y", OLD_CODE, env=env)
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


@pytest.mark.full
def test_contradicting_variables_of_the_page_are_a_mistake() -> None:
    env = {"DCSEND_NO_PAGE": "1", "DCSEND_PAGE_URL": "https://x"}
    status, _, err = run("receive", "-y", env=env)
    assert status == 2
    assert "--page-url and --no-page contradict each other" in err


def test_home_folder_is_where_it_is_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = understood(monkeypatch, OUTPUT="~/inbox")
    assert settings.destination == Path.home() / "inbox"
    assert Settings(output="./~").destination == Path("~")
    assert Settings(output="-").destination is None


@pytest.mark.full
@pytest.mark.parametrize(
    ("variable", "arguments"),
    [("DCSEND_CODE", ("receive", "-y")), ("DCSEND_TO", ("send", "."))],
)
def test_empty_variable_for_the_code_is_refused(
    variable: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"dcsend: {variable} is empty\n")
