"""The command line: help, options and their errors, each with a message and a hint."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from dcsend._version import __version__
from dcsend.cli.parsing import one_of, parse_duration
from dcsend.entry import Existing
from dcsend.errors import UsageError
from dcsend.session.events import CodeReady
from dcsend.settings import Settings
from tests.support.command_line import COMMANDS, run


def test_both_commands_have_the_options_of_meeting_and_showing() -> None:
    send, receive = ({p.name for p in COMMANDS[name].params} for name in ("send", "receive"))
    assert send - receive == {"paths", "to", "text", "name", "links", "exclude", "times"}
    of_receive = {"code", "output", "yes", "overwrite", "rename", "skip", "skip_same", "checksum"}
    of_keep = {"into", "keep", "max_total", "max_peer", "min_free"}
    assert receive - send == of_receive | of_keep


@pytest.mark.full
def test_version_is_one_line() -> None:
    assert run("--version") == (0, f"dcsend {__version__}\n", "")
    assert run("-V") == run("--version")


@pytest.mark.full
@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["send", "-h"], ["receive", "--help"]])
def test_help_is_on_standard_output_and_fits_a_window(arguments: list[str]) -> None:
    status, out, err = run(*arguments, env={"COLUMNS": "80"})
    assert (status, err) == (0, "")
    assert out.startswith("Usage: dcsend ")
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.full
def test_nothing_at_all_shows_the_help_as_a_mistake() -> None:
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "On one machine, run: dcsend send PATH\n" in err


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["send", "x", "--frobnicate"], "no such option: --frobnicate", "dcsend send --help"),
        (["sned", "x"], "no such command 'sned'", "dcsend --help"),
        (["send", "x", "--port", "65536"], "invalid value for '--port'", "dcsend send --help"),
        (["send", "x", "--port", "a"], "invalid value for '--port'", "dcsend send --help"),
        (["send", "x", "--port", "80x"], "'80x' is not a whole number", "dcsend send --help"),
        (["receive", "a", "--connect-timeout", "x"], "'x' is not a number", "--help"),
        (["send", "x", "--qr", "big"], "invalid value for '--qr'", "dcsend send --help"),
        (["receive", "a", "b"], "this is not a code", "such as 7-walrus-umbrella"),
        (["receive", "7", "-y"], "the words of the code are missing", "a number and at least two"),
        (["receive", "walrus-umbrella", "-y"], "it has no number at its beginning", "a number and"),
        (["receive", "7-wa-um", "-y"], "'wa' is not a word of a code", "at least 3 letters"),
        (["send", "x", "--to", "1000000-walrus-umbrella"], "has 7 digits, at most 6", "a number"),
        (["receive", "7-walrus-umbrella@none", "-y"], "the code names no server", "leave it out"),
        (["page", "-o", "p", "b"], "got unexpected extra argument", "dcsend page --help"),
        (["send"], "nothing to send", "name files or folders"),
        (["send", "x", "--expires", "0"], "'0' is not a time", "write 90s, 10m, 1h or 2d"),
        (["send", "-", "-"], "standard input can be sent once only", "name - once"),
        (["receive", "-y", "--skip", "--rename"], "--rename and --skip contradict", "choose one"),
        (["receive", "-y", "--json", "-o", "-"], "--json and -o - both use", "--json-to"),
        (["receive", "--json", "-o", "-"], "--json and -o - both use", "--json-to"),
        (["receive"], "standard input is not a terminal", "add -y"),
        (["receive", "-q"], "--quiet is given", "add -y"),
        (["receive", "-y", "dc0"], "", ""),
        (["receive", "-y", "--address", "home"], "'home' is not an IP address", "write --address"),
        (["receive", "-y", "--qr-file", "x.jpg"], "x.jpg ends neither in .png nor in .svg", ""),
        (["send", "-", "--to", "@-"], "standard input can't be both the code", "@FILE"),
        (["send", "x", "--name", "y"], "--name is for what comes from standard input", "add -"),
        (["receive", "a", "--connect-timeout", "nan"], "nan is not a number of seconds", "--help"),
        (["receive", "a", "--connect-timeout", "inf"], "inf is not in the range", "--help"),
        (["receive", "a", "--signal", "sdp", "--qr-file", "x.png"], "--qr-file is of no use", ""),
        (["receive", "a", "-y", "--qr-file", "x.png"], "--qr-file is for the side that prints", ""),
        (
            ["receive", "a", "--stun", "none", "--address", "::1", "--qr-file", "x.png"],
            "--address and --qr-file are for the side that prints the code",
            "leave it out",
        ),
        (
            ["send", "x", "--no-page", "--page-url", "https://x"],
            "--page-url and --no-page contradict each other",
            "choose one",
        ),
        (["send", "x", "--page-url", "gopher://x"], "is not an http, https or file URL", ""),
        (
            ["page", "-o", "index.html", "--service-worker", "--overwrite"],
            "--service-worker writes a script, and index.html is the name of a page",
            "dcsend-service-worker.js",
        ),
        (["receive", "-y", "-o", ""], "the path to save in is empty", "name a folder"),
        (["send", "x", ""], "a path to send is empty", "name a file or a folder"),
        (["page", "-o", ""], "the path for --output is empty", "name a file"),
        (["send", "--text", ""], "the text for --text is empty", "give a text"),
        (["send", "--to"], "option '--to' requires an argument", "dcsend send --help"),
        (["x", "--to"], "option '--to' requires an argument", "dcsend send --help"),
        (["@x", "-o"], "option '-o' requires an argument", "dcsend receive --help"),
        (
            ["x", "--debug", "--no-page"],
            "option '--debug' requires an argument",
            "dcsend send --help",
        ),
        (["@x", "-o", "-y"], "option '-o' requires an argument, and -y is an", ""),
        (["chat", "7-walrus-umbrella@public"], "a short code is for dcsend send", "chat --listen"),
        (["chat", "7-walrus"], "a short code is for dcsend send", "chat --listen"),
        (["chat", "https://x/#7-walrus-umbrella"], "a short code is for dcsend", "chat --listen"),
        (["chat", "--save", ""], "the folder for --save is empty", "name a folder"),
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


@pytest.mark.full
@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("dc0", "--stun none --no-page --qr none"),
        ("dc0", "--qr half --words 3 --long --server none"),
        ("dc0", "--expires 1h --page-url https://dcsend.example/ --signal dial"),
        ("dc0", "--code walrus-umbrella --no-mdns"),
        ("dc0", "--code no-such-words --words 5"),
        ("7-walrus", "--address 127.0.0.1"),
    ],
)
def test_options_whose_absence_does_not_surprise_are_accepted_on_the_dialing_side(
    code: str, options: str
) -> None:
    status, _, err = run("receive", code, "-y", *options.split())
    assert (status, "code" in err, "for the side" in err) == (2, True, False)


@pytest.mark.full
def test_timeout_of_a_dial_is_accepted_where_a_code_is_printed() -> None:
    status, _, err = run("receive", "-y", "--expires", "1s", "--connect-timeout", "9")
    assert status == 9, err


@pytest.mark.full
def test_usage_error_is_two_events_with_json() -> None:
    status, out, err = run("receive", "--json")
    assert (status, err) == (2, "")
    error, done = map(json.loads, out.splitlines())
    assert error["message"] == "can't ask whether to accept: --json is given"
    assert (done["event"], done["exit"]) == ("done", 2)


@pytest.mark.full
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


@pytest.mark.full
@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "f", "--port", "abc", "--", "--json"],
        ["receive", "--json", "-o", "-", "--port", "abc"],
        ["receive", "--json", "--output=-", "--port", "abc"],
    ],
)
def test_command_line_that_cannot_be_parsed_is_plain_text_without_json(
    arguments: list[str],
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "invalid value for '--port'" in err


def test_program_that_imports_dcsend_serves_no_page_by_default() -> None:
    assert not Settings().page


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "status"),
    [("code.jpg", 2), ("missing/code.png", 4), ("file/code.svg", 4), ("folder.png", 4)],
)
def test_qr_file_that_cannot_be_written_is_an_error_before_the_code(
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


@pytest.mark.full
def test_qr_file_that_can_be_written_is(tmp_path: Path) -> None:
    path = tmp_path / "code.svg"
    assert run("receive", "-y", "--expires", "1s", "--qr-file", str(path))[0] == 9
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.full
def test_missing_source_is_status_3(tmp_path: Path) -> None:
    status, out, err = run("send", str(tmp_path / "gone"))
    assert (status, out) == (3, "")
    assert err.startswith("dcsend: no such file or folder: ")


@pytest.mark.full
def test_name_on_the_command_line_is_escaped_where_it_is_repeated() -> None:
    status, out, err = run("send", "gone\x1b[2J")
    assert (status, out) == (2, "")
    assert err.startswith("dcsend: can't send gone\\x1b[2J: ")


@pytest.mark.full
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


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0s", 0), ("10m", 600)])
def test_duration_may_be_zero_where_that_means_never(text: str, seconds: float) -> None:
    assert parse_duration(text, zero=True) == seconds
    with pytest.raises(UsageError, match="is not a time"):
        parse_duration("none", zero=True)


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


@pytest.mark.full
def test_damaged_code_is_not_repeated() -> None:
    # The code may be right except for one character, and people publish error messages.
    damaged = "dc0" + "7" * 60
    status, out, err = run("receive", "-y", damaged)
    assert status == 2
    assert damaged[3:20] not in out + err


@pytest.mark.full
@pytest.mark.parametrize("idle", [["--no-mdns"], ["--signal", "sdp"]])
def test_words_without_a_short_code_are_refused(tmp_path: Path, idle: list[str]) -> None:
    (tmp_path / "a").touch()
    status, _, err = run("send", str(tmp_path / "a"), "--code", "walrus-umbrella", *idle)
    assert (status, "--code is for a short code" in err) == (2, True)


@pytest.mark.full
def test_message_about_relay_only_names_the_server_and_the_relay_that_are_missing() -> None:
    status, _, err = run("send", "--text", "x", "--relay-only")
    assert status == 2
    assert "--relay-only needs a rendezvous server and a TURN server" in err
    assert "--server URL" in err
    assert "--ice-server turn:" in err
