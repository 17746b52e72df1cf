"""`dcsend chat` with Pion, with libwebrtc and with itself: the demo, in both roles."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demo_peers import Cast, Talker

KINDS = ("pion", "libwebrtc", "dcsend")
LETTERS = r"[A-Za-z]{15}"


@pytest.fixture
def peer(cast: Cast, pion: Path) -> Callable[..., Talker]:
    """Start a peer of one kind; options as the Go program has them."""

    def start(kind: str, *options: str) -> Talker:
        if kind == "pion":
            return cast.run(pion, "-interval", "300ms", *options)
        return cast.libwebrtc(*options) if kind == "libwebrtc" else cast.dcsend(*options)

    return start


Start = Callable[..., Talker]


def meet(
    cast: Cast, peer: Start, kind: str, *, offers: bool, options: tuple[str, ...] = ()
) -> tuple[Talker, Talker]:
    """Return dcsend and its peer, connected; *offers* tells whether dcsend does."""
    if offers:
        ours, theirs = cast.dcsend("--offer", *options), peer(kind)
        cast.introduce(ours, theirs)
    else:
        theirs, ours = peer(kind, "--offer" if kind != "pion" else "-offer"), cast.dcsend(*options)
        cast.introduce(theirs, ours)
    for talker in (ours, theirs):
        talker.until("has changed: connected")
        talker.until(r"^Data channel '.*'-'\d+' open\.")
    return ours, theirs


def send(talker: Talker, kind: str, text: str) -> None:
    """Have a peer send a text."""
    talker.say(text if kind == "dcsend" else f"send {text}")


@pytest.mark.parametrize("offers", [True, False], ids=["offers", "answers"])
@pytest.mark.parametrize("kind", KINDS)
def test_messages_go_both_ways(
    cast: Cast, peer: Start, kind: str, offers: bool, tmp_path: Path
) -> None:
    save = ("--save", str(tmp_path / "saved"))
    ours, theirs = meet(cast, peer, kind, offers=offers, options=save)
    (theirs if offers else ours).until(r"^New DataChannel data \d+$")
    # The random ones, as they were sent.
    sent = ours.until(f"^Sending '({LETTERS})'$")[1]
    theirs.until(f"^Message from DataChannel 'data': '{sent}'$")
    sent = theirs.until(f"^Sending '({LETTERS})'$")[1]
    ours.until(f"^Message from DataChannel 'data': '{sent}'$")
    # What people type.
    ours.say("grüße 文 🎉")
    theirs.until("^Message from DataChannel 'data': 'grüße 文 🎉'$")
    ours.say("//not a command")
    theirs.until("^Message from DataChannel 'data': '/not a command'$")
    send(theirs, kind, "zurück")
    ours.until("^Message from DataChannel 'data': 'zurück'$")
    # Bytes.
    (tmp_path / "a file").write_bytes(bytes(range(200)) * 100)
    ours.say(f"/send {tmp_path / 'a file'}")
    first = bytes(range(200)) * 100
    theirs.until(f"^Message from DataChannel 'data': 16384 bytes {first[:32].hex()}")
    theirs.until(
        f"^Message from DataChannel 'data': {20000 - 16384} bytes {first[16384:16400].hex()}"
    )
    if kind != "dcsend":
        theirs.say("binary 00ff1b")
        ours.until("^Message from DataChannel 'data': 3 bytes 00ff1b, saved as .*data-000001.bin$")
        assert (tmp_path / "saved" / "data-000001.bin").read_bytes() == b"\0\xff\x1b"
        theirs.say("send ")
        ours.until("^Message from DataChannel 'data': ''$")


def test_transcript_has_the_shape_of_the_demos(cast: Cast, peer: Start) -> None:
    ours, _ = meet(cast, peer, "pion", offers=False)
    # Who has its channel open first sends first.
    for first in ("^Message from", "^Sending"):
        ours.until(first)
    begun = [re.sub(LETTERS, "X", line) for line in ours.lines]
    assert re.fullmatch(r"eyJ[A-Za-z0-9+/=]+", ours.lines[0])
    assert begun[1:5] == [
        "Peer Connection State has changed: connecting",
        "Peer Connection State has changed: connected",
        "New DataChannel data 1",
        "Data channel 'data'-'1' open. Random messages will now be sent to any connected"
        " DataChannels every 0.3 seconds",
    ]
    assert {"Sending 'X'", "Message from DataChannel 'data': 'X'"} == set(begun[5:])


@pytest.mark.parametrize("kind", ["pion", "libwebrtc"])
def test_options_of_our_channel_arrive(cast: Cast, peer: Start, kind: str) -> None:
    for options, seen in (
        (("--unordered", "--max-retransmits", "3"), "ordered=false retransmits=3 lifetime=none"),
        (
            ("--max-lifetime", "250", "--protocol", "raw"),
            "ordered=true retransmits=none lifetime=250",
        ),
    ):
        channel = ("--channel", "lïne one")
        ours, theirs = meet(cast, peer, kind, offers=True, options=(*channel, *options))
        protocol = "raw" if "raw" in options else ""
        theirs.until(f"^Options of 'lïne one': {seen} protocol='{protocol}'$")
        sent = ours.until(f"^Sending '({LETTERS})'$")[1]
        theirs.until(f"^Message from DataChannel 'lïne one': '{sent}'$")


@pytest.mark.parametrize("kind", KINDS)
def test_negotiated_channel_is_open_on_both_sides_unannounced(
    cast: Cast, peer: Start, kind: str
) -> None:
    dash = "-" if kind == "pion" else "--"
    ours = cast.dcsend("--offer", "--negotiated", "7")
    theirs = peer(kind, f"{dash}negotiated", "7")
    cast.introduce(ours, theirs)
    for one, other in ((ours, theirs), (theirs, ours)):
        one.until(r"^Data channel 'data'-'7' open\.")
        sent = one.until(f"^Sending '({LETTERS})'$")[1]
        other.until(f"^Message from DataChannel 'data': '{sent}'$")
    assert not any(line.startswith("New DataChannel") for line in ours.lines + theirs.lines)


def test_any_label_is_accepted_and_shown_escaped(cast: Cast, peer: Start) -> None:
    ours, theirs = meet(cast, peer, "pion", offers=False)
    theirs.say("channel two words\x1b[2J")
    found = ours.until(r"^New DataChannel (two words\S+) \d+$")
    assert "\x1b" not in found[1]
    ours.until(r"^Data channel 'two words\S+'-'\d+' open\.")
    ours.say("to both")
    theirs.until("^Message from DataChannel 'two words.*: 'to both'$")
    theirs.until("^Message from DataChannel 'data': 'to both'$")


def test_several_channels_are_opened(cast: Cast, peer: Start) -> None:
    options = ("--channel", "one", "--channel", "two")
    _, theirs = meet(cast, peer, "pion", offers=True, options=options)
    theirs.until(r"^New DataChannel one \d+$")
    theirs.until(r"^New DataChannel two \d+$")


@pytest.mark.parametrize("kind", KINDS)
def test_peer_that_closes_politely_ends_the_chat(cast: Cast, peer: Start, kind: str) -> None:
    ours, theirs = meet(cast, peer, kind, offers=True)
    theirs.say("/quit" if kind == "dcsend" else "close")
    ours.until("^Peer Connection State has changed: closed$")
    ours.until("^Peer Connection has gone to closed exiting$")
    assert ours.end() == 0


@pytest.mark.parametrize("kind", ["pion", "libwebrtc"])
def test_peer_notices_that_we_quit(cast: Cast, peer: Start, kind: str) -> None:
    ours, theirs = meet(cast, peer, kind, offers=False)
    ours.say("the last word")
    ours.say("/quit")
    theirs.until("'the last word'")
    theirs.until("^Peer Connection State has changed: closed$|^Data channel 'data'-'1' closed$")
    assert ours.end() == 0


def test_dial_code_needs_no_answer(cast: Cast) -> None:
    listener = cast.dcsend("--listen")
    dialer = cast.dcsend(listener.description())
    for one, other in ((listener, dialer), (dialer, listener)):
        one.until("has changed: connecting")
        one.until("has changed: connected")
        sent = one.until(f"^Sending '({LETTERS})'$")[1]
        other.until(f"^Message from DataChannel 'data': '{sent}'$")
    listener.until(r"^New DataChannel data \d+$")


def test_compact_codes_are_short_and_work(cast: Cast) -> None:
    offerer, answerer = cast.dcsend("--offer", "--compact"), cast.dcsend()
    cast.introduce(offerer, answerer)
    assert max(len(offerer.lines[0]), len(answerer.lines[0])) < 200
    offerer.until("has changed: connected")


def test_damaged_description_is_refused(cast: Cast) -> None:
    offer = cast.dcsend("--offer", "--compact").description()
    damaged = offer[:50] + ("a" if offer[50] != "a" else "b") + offer[51:]
    answerer = cast.dcsend()
    answerer.say(damaged)
    assert answerer.end() == 2
    assert "the code is damaged" in answerer.errors[0]
    assert "hint" in answerer.errors[1]


def test_end_of_input_is_not_the_end(cast: Cast, peer: Start) -> None:
    theirs = peer("pion", "-offer")
    ours = cast.dcsend()
    ours.say(theirs.description())
    assert ours.process.stdin is not None
    ours.process.stdin.close()  # as `echo OFFER | dcsend chat` does
    theirs.say(ours.description())
    sent = ours.until(f"^Sending '({LETTERS})'$")[1]
    theirs.until(f"'{sent}'")


def test_offer_on_the_command_line(cast: Cast, peer: Start) -> None:
    theirs = peer("libwebrtc", "--offer")
    ours = cast.dcsend(theirs.description())
    theirs.say(ours.description())
    ours.until("has changed: connected")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--offer", "--listen"), "contradict each other"),
        (("--offer", "--max-retransmits", "1", "--max-lifetime", "1"), "contradict each other"),
        (("--offer", "--negotiated", "1", "--channel", "a", "--channel", "b"), "one channel"),
        (("--unordered",), "channels that this side opens"),
        (("--compact",), "is for an offer"),
        (("--listen", "--ice-server", "turn:a:b@192.0.2.1"), "TURN"),
        (("--offer", "--ice-server", "turn:192.0.2.1"), "not named in full"),
        (("--offer", "--ice-server", "@/does/not/exist"), "can't read the servers"),
        (("hello",), "not a code"),
        (("--offer", "--save", "/dev/null"), "not a folder"),
    ],
)
def test_wrong_usage_gets_a_line_and_a_hint(arguments: tuple[str, ...], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "dcsend", "chat", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (2, 4)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
