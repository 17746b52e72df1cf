"""What a device is called: chosen, the host name, or nothing; sent to the other side."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dcsend.errors import UsageError
from dcsend.session.introduction import agent, check_name, host_name
from tests.support.processes import Stage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("anna", "anna"),
        ("annas-laptop.local", "annas-laptop"),
        ("build7.factory.example.com", "build7"),
        ("localhost", ""),
        ("localhost.localdomain", ""),
        ("", ""),
        ("a\nb", ""),
        ("x" * 65, ""),
    ],
)
def test_host_name_is_sent_without_the_domain(
    monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert host_name() == name


def test_agent_does_not_contain_the_version_of_python() -> None:
    assert "Python" not in agent()


@pytest.mark.parametrize("name", ["x" * 65, "a\nb", "a\x1b[2Jb", "a/b", "a\\b", " ", "\udc80"])
def test_name_that_no_device_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert "64 characters" in caught.value.hint


def test_each_side_gets_the_name_of_the_other(stage: Stage, tmp_path: Path, file: Path) -> None:
    sender = stage.send(file, "--as", "anna's \N{PERSONAL COMPUTER}")
    receiver = stage.receive(sender.code, tmp_path, "--rename", environment={"DCSEND_AS": "ben"})
    assert receiver.event("connected")["name"] == "anna's \N{PERSONAL COMPUTER}"
    assert sender.event("connected")["name"] == "ben"
    assert (sender.end().status, receiver.end().status) == (0, 0)


@pytest.mark.parametrize("empty", ["option", "variable"])
def test_name_is_that_of_the_host_unless_it_is_empty(
    stage: Stage, tmp_path: Path, file: Path, empty: str
) -> None:
    options = ("--as", "") if empty == "option" else ()
    environment = {"DCSEND_AS": "" if empty == "variable" else "ben"}
    sender = stage.send(file, *options, environment=environment)
    receiver = stage.receive(sender.code, tmp_path / "in")
    assert receiver.event("connected")["name"] is None
    assert sender.event("connected")["name"] == (host_name() or None)
    assert (sender.end().status, receiver.end().status) == (0, 0)


@pytest.mark.parametrize("name", ["x" * 65, "a/b"])
def test_impossible_name_is_refused_before_there_is_a_code(
    stage: Stage, file: Path, name: str
) -> None:
    refused = stage.run("send", file, "--as", name).end()
    assert (refused.status, refused.out) == (2, b"")
    assert b"64 characters" in refused.err
