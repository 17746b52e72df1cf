"""The timers are those of tests/vectors/timers.txt, as are the page's and those of PROTOCOL.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from dcsend.ice import consent, relay, stun
from dcsend.peers import incoming_dial, listener, offer_answer, trickle
from dcsend.protocol import limits
from dcsend.sctp import timing
from dcsend.session import conversation, either, joining, outgoing, trickling
from dcsend.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]

OURS: Final = {
    "code-life": Settings().expires,
    "dial": Settings().connect_timeout,
    "half-open": listener.HALF_OPEN_SECONDS,
    "consent-interval": consent.INTERVAL,
    "consent-silence": consent.SILENCE,
    "consent-expires": consent.EXPIRES,
    "hello": Settings().deadlines.hello,
    "progress": Settings().deadlines.progress,
    "progress-of-frames": Settings().deadlines.progress,
    "progress-of-acks": Settings().deadlines.progress,
    "bye": Settings().deadlines.bye,
    "gathering": Settings().stun_timeout,
    "gathering-relay": relay.LIMIT,
    "keep-mapping": stun.KEEP_ALIVE_SECONDS,
    "keep-peer-mapping": offer_answer.PUNCH_SECONDS,
    "working": Settings().deadlines.working,
    "keep-alive-interval": limits.KEEP_ALIVE_INTERVAL,
    "silence-report": Settings().silence_report,
    "silence-limit": Settings().silence_limit,
    "farewell": conversation.FAREWELL,
    "hang-up": outgoing.HANG_UP_SECONDS,
    "hold": Settings().deadlines.hold,
    "gone": incoming_dial.GONE_SECONDS,
    "init": timing.T1,
    "init-longest": timing.T1_MAX,
    "pair": trickle.PATIENCE,
    "answer": joining.ANSWER,
    "attempt": trickling.LONGEST,
    "head-start": either.HEAD_START,
}


def timers() -> list[tuple[str, str, float, list[str]]]:
    """Return rule, name, seconds and programs of each timer."""
    text = (ROOT / "tests" / "vectors" / "timers.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.partition("\n\n")[2].splitlines()]
    return [(rule, name, float(seconds), programs) for rule, name, seconds, *programs in lines]


def test_timers_are_those_of_the_table() -> None:
    assert {n: s for _, n, s, programs in timers() if "python" in programs} == OURS


def test_random_messages_are_sent_as_often_as_the_protocol_has_it() -> None:
    assert Settings().keep_alive_interval == limits.KEEP_ALIVE_INTERVAL


@pytest.mark.parametrize(("rule", "name", "seconds", "programs"), timers())
def test_protocol_md_has_each_timer(
    rule: str, name: str, seconds: float, programs: list[str]
) -> None:
    protocol = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| {rule} \|[^|]*\|([^|]*)\|", protocol, re.MULTILINE)
    assert found, f"{name}: no rule {rule}"
    assert f"{seconds:g}" in re.findall(r"[\d.]+", found[1]), f"{name}: {found[0]}"
    assert programs
