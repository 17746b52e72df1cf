"""Attempts that do not connect, so that one side reports why; `situations` has the table."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.peers.reasons import TABLE, question
from dcsend.peers.situations import Role, Situation
from dcsend.signaling import blob
from dcsend.signaling.dialcode import Address, DialCode
from tests.lab.laboratory import Lab
from tests.lab.situations import Case
from tests.lab.ways import STUN
from tests.support.netns import Host
from tests.support.processes import Event, Program

__all__ = ["reason", "reports"]

PATIENCE: Final = "--connect-timeout=2"
"In place of 15 s: the reports do not depend on it."
SILENT: Final = "stun:203.0.113.10:9"
"A STUN server of the laboratory that is out of order."
_LARGE: Final = """table inet large {
  chain out { type filter hook output priority 0; udp length > 400 drop; }
}"""
ELSEWHERE: Final = {"foreign": "10.99.0.2", "loopback": "127.0.0.1"}


def pattern(role: Role, which: Situation, *, hint: bool) -> str:
    """Return what matches the text of a reason, whatever the facts in it."""
    reason = TABLE[role, which]
    text = reason.hint + question(role, which) if hint else reason.message
    parts = re.split(r"\{\w+\}", text)
    return ".+".join(map(re.escape, parts))


def reports(event: Event, role: Role, which: Situation) -> bool:
    """Return whether an `error` event has the message of a reason."""
    message, hint = event["message"], event["hint"] or ""
    return bool(
        re.fullmatch(pattern(role, which, hint=False), message)
        and re.fullmatch(pattern(role, which, hint=True), hint)
    )


def code(host: str) -> str:
    """Return the code of a listener that does not exist."""
    addresses = (Address(host, 40_000),)
    return DialCode(bytes(16), bytes(32), 40_000, addresses, int(time.time()) + 3600).text()


def answer(host: str) -> str:
    """Return the answer of a peer that does not exist."""
    candidates = (Candidate(CandidateType.HOST, host, 40_000, 1),)
    pwd = "p" * 22
    theirs = Description(SdpType.ANSWER, "abcd", pwd, bytes(32), Setup.ACTIVE, candidates)
    return blob.encode(theirs)


def drop_large(lab: Lab, host: Host) -> None:
    """Drop packets that are larger than checks: handshakes."""
    lab.net.nft(host.namespace, _LARGE)


def end(program: Program) -> None:
    """End a program as Ctrl-C does."""
    program.process.send_signal(signal.SIGINT)
    program.end()


def dialed(lab: Lab, case: Case, folder: Path) -> Program:
    """Return a dialer that does not connect."""
    reporter, other = (lab.a, lab.b) if case.reporter == "a" else (lab.b, lab.a)
    options: dict[str, Any] = (
        {"environment": {"DCSEND_STUN": SILENT}} if case.also == "stun" else {}
    )
    if case.also in ELSEWHERE:
        return lab.receive(reporter, code(ELSEWHERE[case.also]), folder / "out", PATIENCE)
    listener = lab.send(other, folder / "film")
    shown = listener.code
    if case.also == "ended":
        end(listener)
    if case.also == "large":
        drop_large(lab, other)
    if case.also == "unplugged":
        with lab.unplugged(reporter):
            dialer = lab.receive(reporter, shown, folder / "out", PATIENCE)
            dialer.end()
            return dialer
    return lab.receive(reporter, shown, folder / "out", PATIENCE, **options)


def offered(lab: Lab, case: Case, folder: Path) -> Program:
    """Return an offerer that does not connect although the answer was pasted."""
    reporter, other = (lab.a, lab.b) if case.reporter == "a" else (lab.b, lab.a)
    options: dict[str, Any] = (
        {"environment": {"DCSEND_STUN": SILENT}} if case.also == "stun" else {}
    )
    if case.also == "relay":
        options = {"environment": {"DCSEND_STUN": lab.relay()}}
    both = [f"--ice-server={lab.relay()}"] if case.also == "relays" else []
    if both:
        both.append(f"--ice-server={STUN}")
    arguments = ("--signal=sdp", PATIENCE, *both)
    if case.also == "unplugged":
        # Its only address at the start is that of loopback.
        with lab.unplugged(reporter):
            offerer = lab.send(reporter, folder / "film", *arguments, stdin=subprocess.PIPE)
            offerer.event("description", type="offer")
            offerer.write(answer(ELSEWHERE["foreign"]).encode() + b"\n")
            offerer.end()
            return offerer
    offerer = lab.send(reporter, folder / "film", *arguments, stdin=subprocess.PIPE, **options)
    offer = str(offerer.event("description", type="offer")["text"])
    if case.also in ELSEWHERE:
        theirs = answer(ELSEWHERE[case.also])
    else:
        if case.also == "large":
            drop_large(lab, other)
        answerer = lab.receive(other, offer, folder / "out", *both)
        theirs = str(answerer.event("description", type="answer")["text"])
        if case.also in ("ended", "relay"):
            end(answerer)
    offerer.write(theirs.encode() + b"\n")
    return offerer


def answered(lab: Lab, case: Case, folder: Path) -> Program:
    """Return an answerer that gets checks, and does not connect until its code expires."""
    reporter, other = (lab.a, lab.b) if case.reporter == "a" else (lab.b, lab.a)
    drop_large(lab, reporter)
    arguments = ("--signal=sdp", "--connect-timeout=600")
    offerer = lab.send(other, folder / "film", *arguments, stdin=subprocess.PIPE)
    offer = str(offerer.event("description", type="offer")["text"])
    answerer = lab.receive(reporter, offer, folder / "out", "--expires=5s")
    answer = answerer.event("description", type="answer")
    offerer.write(str(answer["text"]).encode() + b"\n")
    return answerer


_MAKERS: Final = {Role.DIALER: dialed, Role.OFFERER: offered, Role.ANSWERER: answered}


def reason(role: Role, case: Case, folder: Path) -> tuple[Event, int]:
    """Return the error that ends one side, and its exit status."""
    (folder / "film").write_bytes(b"film")
    with Lab(case.network) as lab:
        ended = _MAKERS[role](lab, case, folder).end()
    (event,) = [event for event in ended.of("error") if event["fatal"]]
    return event, ended.status
