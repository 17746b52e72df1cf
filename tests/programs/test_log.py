"""`--debug`: a log of each kind of connection, without anything secret."""

from __future__ import annotations

import base64
import re
import signal
from pathlib import Path
from urllib.parse import quote

import pytest

from dcsend.signaling import blob, dialcode
from tests.support.coturn import Coturn, rest_account
from tests.support.processes import Program, Stage

LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z]+ dcsend[\w.]*: .+")
CONTENT = b"content-of-the-file"
TYPED = b"a-line-that-is-typed"


def forms(secret: bytes) -> list[bytes]:
    """Return the texts in which a log could show *secret*."""
    encoders = (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode)
    texts = [encode(secret).rstrip(b"=") for encode in encoders]
    return [secret.hex().encode(), repr(secret)[2:-1].encode(), *texts]


def secrets_of(code: str) -> list[bytes]:
    """Return the parts of a dial code or a session description that a log must not contain."""
    if code.startswith("dc"):
        secret = dialcode.decode(code).secret
        return [code.encode(), *forms(secret), dialcode.ice_password(secret).encode()]
    return [code.encode(), blob.decode(code).password.encode()]


def check(logs: list[Path], codes: list[str], password: str = "password") -> None:
    """Check that each log has records, and no secret in them."""
    # A dialer's ufrag contains its ICE password (PROTOCOL.md, dial code).
    secrets = [CONTENT, TYPED, password.encode(), b"dc1/"]
    secrets += [secret for code in codes for secret in secrets_of(code)]
    for log in logs:
        content = log.read_bytes()
        records = content.splitlines()
        assert len(records) > 3
        assert [record for record in records if not LINE.fullmatch(record)] == []
        assert [secret for secret in secrets if secret in content] == []
        assert b"\x1b" not in content


def layers_of(log: Path) -> set[str]:
    """Return the packages of dcsend that have written records to *log*."""
    return set(re.findall(r" DEBUG dcsend\.(\w+)\.", log.read_text(encoding="utf-8")))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Make a folder to send."""
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "a").write_bytes(CONTENT * 3)
    return folder


def test_log_of_a_dial_code_has_no_secret(stage: Stage, tmp_path: Path, film: Path) -> None:
    logs = [tmp_path / "sender.log", tmp_path / "receiver.log"]
    sender = stage.run("send", film, "--json", "--debug", logs[0])
    code = sender.code
    output = tmp_path / "out"
    receiver = stage.run("receive", code, "-y", "--json", "-o", output, "--debug", logs[1])
    assert (receiver.end().status, sender.end().status) == (0, 0)
    check(logs, [code])
    assert logs[0].stat().st_mode & 0o777 == 0o600
    layers = {"net", "ice", "dtls", "sctp", "peers", "protocol", "session"}
    assert layers <= layers_of(logs[0])
    assert {*layers, "files"} <= layers_of(logs[1])


def exchange(stage: Stage, film: Path, logs: list[Path], server: str) -> tuple[str, str]:
    """Transfer by an offer and an answer, which are returned, with *server* for both."""
    common = ("--json", "--signal", "sdp", f"--stun={server}", "--debug")
    sender = stage.run("send", film, *common, logs[0], stdin=-1)
    offer = str(sender.event("description")["text"])
    output = logs[1].parent / "out"
    receiver = stage.run("receive", "-y", "-o", output, *common, logs[1], stdin=-1)
    receiver.write(f"{offer}\n".encode())
    answer = str(receiver.event("description")["text"])
    sender.write(f"{answer}\n".encode())
    assert (receiver.end().status, sender.end().status) == (0, 0)
    return offer, answer


def test_log_of_an_offer_and_an_answer_over_a_relay_has_no_secret(
    stage: Stage, tmp_path: Path, film: Path, coturn: Coturn
) -> None:
    logs = [tmp_path / "sender.log", tmp_path / "receiver.log"]
    account = rest_account()
    user, password = (quote(part, safe="") for part in account)
    server = f"turn:{user}:{password}@{coturn.host}:{coturn.rest_port}"
    codes = exchange(stage, film, logs, server)
    check(logs, [*codes], password)
    check(logs, [*codes], account[1])


def test_log_of_an_offer_and_an_answer_on_a_direct_path_has_no_secret(
    stage: Stage, tmp_path: Path, film: Path
) -> None:
    logs = [tmp_path / "sender.log", tmp_path / "receiver.log"]
    codes = exchange(stage, film, logs, "none")
    check(logs, [*codes])
    for log in logs:
        assert {"net", "ice", "dtls", "sctp", "peers", "protocol", "session"} <= layers_of(log)
        assert b"relay" not in log.read_bytes()


def type_and_leave(chat: Program, peer: Program) -> None:
    """Send a line from one chat to the other, and end both."""
    chat.event("open")
    chat.write(TYPED + b"\n")
    peer.event("message", text=TYPED.decode())
    chat.process.send_signal(signal.SIGINT)
    assert chat.end().status == 130
    peer.end()


def test_log_of_a_chat_has_no_secret(stage: Stage, tmp_path: Path) -> None:
    logs = [tmp_path / "listener.log", tmp_path / "dialer.log"]
    listener = stage.run("chat", "--listen", "--json", "--debug", logs[0], stdin=-1)
    code = listener.code
    dialer = stage.run("chat", code, "--json", "--debug", logs[1], stdin=-1)
    type_and_leave(dialer, listener)
    check(logs, [code])


def test_log_of_a_chat_by_descriptions_has_no_secret(stage: Stage, tmp_path: Path) -> None:
    logs = [tmp_path / "offerer.log", tmp_path / "answerer.log"]
    common = ("chat", "--json", "--stun", "none", "--debug")
    offerer = stage.run(*common, logs[0], "--offer", stdin=-1)
    answerer = stage.run(*common, logs[1], stdin=-1)
    offer = str(offerer.event("description")["text"])
    answerer.write(f"{offer}\n".encode())
    answer = str(answerer.event("description")["text"])
    offerer.write(f"{answer}\n".encode())
    type_and_leave(answerer, offerer)
    check(logs, [offer, answer])


def test_log_goes_to_standard_error_beside_the_messages(stage: Stage, film: Path) -> None:
    sender = stage.run("send", film, "--debug", "2", "--expires", "1s")
    ended = sender.end()
    assert ended.status == 9
    assert b"waiting for the other side" in ended.err
    assert sum(bool(LINE.fullmatch(line)) for line in ended.err.splitlines()) > 2


def test_log_is_appended(stage: Stage, tmp_path: Path, film: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    assert stage.run("send", film, "--debug", log, "--expires", "1s").end().status == 9
    first, *rest = log.read_bytes().splitlines()
    assert first == b"before"
    assert LINE.fullmatch(rest[0])


def test_log_does_not_go_into_what_is_sent(stage: Stage, tmp_path: Path, film: Path) -> None:
    (film / "log").write_bytes(b"ours")
    ended = stage.run("send", film, "--debug", film / "log", "--expires", "1s").end()
    assert ended.status == 2
    assert b"the log of this run would go into" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--debug", ""), b"the value of --debug is empty"),
        (("--debug", "77"), b"can't write the log to descriptor 77: "),
        (("--debug", "missing/file"), b"can't write the log to missing/file: "),
        (("--debug", "1", "--json"), b"--debug 1 is standard output"),
    ],
)
def test_place_that_takes_no_log_is_refused(
    stage: Stage, tmp_path: Path, arguments: tuple[str, ...], message: bytes
) -> None:
    ended = stage.run("chat", "--listen", *arguments, cwd=tmp_path).end()
    assert ended.status == 2
    assert message in ended.err + ended.out
