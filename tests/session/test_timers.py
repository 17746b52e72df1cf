"""The timers are those of tests/vectors/timers.txt, as are the page's and those of PROTOCOL.md."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from dcsend.ice import consent, moving, relay, stun
from dcsend.peers import incoming_dial, listener, offer_answer, redialing, trickle
from dcsend.protocol import limits
from dcsend.rendezvous import client, local_serving, server_mailbox
from dcsend.sctp import timing
from dcsend.session import (
    arrivals,
    conversation,
    either,
    interruption,
    joining,
    lasting,
    meeting_again,
    outgoing,
    short_codes,
    trickling,
)
from dcsend.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
PROTOCOL: Final = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")

OURS: Final = {
    "code-life": Settings().expires,
    "dial": Settings().connect_timeout,
    "half-open": listener.HALF_OPEN_SECONDS,
    "consent-interval": consent.INTERVAL,
    "consent-pause": consent.PAUSE,
    "consent-silence": consent.SILENCE,
    "consent-silent-interval": consent.SILENT_INTERVAL,
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
    "other-address": moving.PATIENCE,
    "makes-room": arrivals.SILENT_SECONDS,
    "makes-room-same-address": arrivals.RESTARTED_SECONDS,
    "doubt": interruption.DOUBT,
    "interruption": interruption.SILENT,
    "reconnect": Settings().reconnect,
    "attempts": redialing.OFTEN,
    "attempts-often": redialing.EAGER,
    "attempts-later": redialing.SELDOM,
    "resume": lasting.TAKE_OVER,
    "away": lasting.RELOAD_SECONDS,
    "accept-unanswered": lasting.ANSWERING,
    "pair-again": meeting_again.PATIENCE,
    "welcome": server_mailbox.WELCOME,
    "mailbox": client.TIMEOUT,
    "claim": local_serving.CLAIMING,
    "first-message": local_serving.JOINING,
    "first-pause": client.FIRST_PAUSE,
    "longest-pause": client.LONGEST_PAUSE,
    "next-code": short_codes.SLOW,
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


def rows() -> dict[str, set[float]]:
    """Return the seconds of each rule in the table of PROTOCOL.md that has any."""
    table = re.findall(r"^\| (D-\d+) \|[^|\n]+\|([^|\n]+)\|[^|\n]+\|$", PROTOCOL, re.MULTILINE)
    seconds = {rule: re.sub(r"[\d.]+ (?:%|retransmissions)", "", cell) for rule, cell in table}
    found = {rule: set(map(float, re.findall(r"[\d.]+", cell))) for rule, cell in seconds.items()}
    return {rule: numbers for rule, numbers in found.items() if numbers}


def test_timers_have_the_seconds_of_protocol_md() -> None:
    listed: dict[str, set[float]] = defaultdict(set)
    for rule, _, seconds, programs in timers():
        assert programs
        listed[rule].add(seconds)
    assert listed == rows()
