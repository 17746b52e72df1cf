"""`dcsend chat` with Pion, with libwebrtc and with itself: the demo, in both roles."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import run
from tests.support.demo_peers import LineProgram, Programs

KINDS = ("pion", "libwebrtc", "dcsend")
LETTERS = r"[A-Za-z]{15}"


@pytest.fixture
def peer(programs: Programs, pion: Path) -> Callable[..., LineProgram]:
    """Start a peer of one kind; options of the Go program."""

    def start(kind: str, *options: str) -> LineProgram:
        if kind == "pion":
            return programs.run(pion, "-interval", "300ms", *options)
        return programs.libwebrtc(*options) if kind == "libwebrtc" else programs.chat(*options)

    return start


Start = Callable[..., LineProgram]


def meet(
    programs: Programs, peer: Start, kind: str, *, offers: bool, options: tuple[str, ...] = ()
) -> tuple[LineProgram, LineProgram]:
    """Return dcsend and its peer, connected; *offers*: whether dcsend offers."""
    if offers:
        ours, theirs = programs.chat("--offer", *options), peer(kind)
        programs.exchange(ours, theirs)
    else:
        theirs, ours = (
            peer(kind, "--offer" if kind != "pion" else "-offer"),
            programs.chat(*options),
        )
        programs.exchange(theirs, ours)
    for program in (ours, theirs):
        program.until("has changed: connected")
        program.until(r"^Data channel '.*'-'\d+' open\.")
    return ours, theirs


def send(program: LineProgram, kind: str, text: str) -> None:
    """Send a text from a peer."""
    program.write_line(text if kind == "dcsend" else f"send {text}")


@pytest.mark.parametrize("offers", [True, False], ids=["offers", "answers"])
@pytest.mark.parametrize("kind", KINDS)
def test_messages_arrive_in_both_directions(
    programs: Programs, peer: Start, kind: str, offers: bool, tmp_path: Path
) -> None:
    save = ("--save", str(tmp_path / "saved"))
    ours, theirs = meet(programs, peer, kind, offers=offers, options=save)
    (theirs if offers else ours).until(r"^New DataChannel data \d+$")
    # The random messages.
    sent = ours.until(f"^Sending '({LETTERS})'$")[1]
    theirs.until(f"^Message from DataChannel 'data': '{sent}'$")
    sent = theirs.until(f"^Sending '({LETTERS})'$")[1]
    ours.until(f"^Message from DataChannel 'data': '{sent}'$")
    # Typed lines.
    ours.write_line("grüße 文 🎉")
    theirs.until("^Message from DataChannel 'data': 'grüße 文 🎉'$")
    ours.write_line("//not a command")
    theirs.until("^Message from DataChannel 'data': '/not a command'$")
    send(theirs, kind, "zurück")
    ours.until("^Message from DataChannel 'data': 'zurück'$")
    # Binary messages.
    (tmp_path / "a file").write_bytes(bytes(range(200)) * 100)
    ours.write_line(f"/send {tmp_path / 'a file'}")
    first = bytes(range(200)) * 100
    theirs.until(f"^Message from DataChannel 'data': 16384 bytes {first[:32].hex()}")
    theirs.until(
        f"^Message from DataChannel 'data': {20000 - 16384} bytes {first[16384:16400].hex()}"
    )
    if kind != "dcsend":
        theirs.write_line("binary 00ff1b")
        ours.until("^Message from DataChannel 'data': 3 bytes 00ff1b, saved as .*data-000001.bin$")
        assert (tmp_path / "saved" / "data-000001.bin").read_bytes() == b"\0\xff\x1b"
        theirs.write_line("send ")
        ours.until("^Message from DataChannel 'data': ''$")


def test_transcript_has_the_lines_of_the_demo(programs: Programs, peer: Start) -> None:
    ours, _ = meet(programs, peer, "pion", offers=False)
    # The side whose channel opens first sends first.
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
def test_peer_receives_the_options_of_our_channel(
    programs: Programs, peer: Start, kind: str
) -> None:
    for options, seen in (
        (("--unordered", "--max-retransmits", "3"), "ordered=false retransmits=3 lifetime=none"),
        (
            ("--max-lifetime", "250", "--protocol", "raw"),
            "ordered=true retransmits=none lifetime=250",
        ),
    ):
        channel = ("--channel", "lïne one")
        ours, theirs = meet(programs, peer, kind, offers=True, options=(*channel, *options))
        protocol = "raw" if "raw" in options else ""
        theirs.until(f"^Options of 'lïne one': {seen} protocol='{protocol}'$")
        sent = ours.until(f"^Sending '({LETTERS})'$")[1]
        theirs.until(f"^Message from DataChannel 'lïne one': '{sent}'$")


@pytest.mark.parametrize("kind", KINDS)
def test_negotiated_channel_is_open_on_both_sides_unannounced(
    programs: Programs, peer: Start, kind: str
) -> None:
    dash = "-" if kind == "pion" else "--"
    ours = programs.chat("--offer", "--negotiated", "7")
    theirs = peer(kind, f"{dash}negotiated", "7")
    programs.exchange(ours, theirs)
    for one, other in ((ours, theirs), (theirs, ours)):
        one.until(r"^Data channel 'data'-'7' open\.")
        sent = one.until(f"^Sending '({LETTERS})'$")[1]
        other.until(f"^Message from DataChannel 'data': '{sent}'$")
    assert not any(line.startswith("New DataChannel") for line in ours.lines + theirs.lines)


def test_any_label_is_accepted_and_shown_escaped(programs: Programs, peer: Start) -> None:
    ours, theirs = meet(programs, peer, "pion", offers=False)
    theirs.write_line("channel two words\x1b[2J")
    found = ours.until(r"^New DataChannel (two words\S+) \d+$")
    assert "\x1b" not in found[1]
    ours.until(r"^Data channel 'two words\S+'-'\d+' open\.")
    ours.write_line("to both")
    theirs.until("^Message from DataChannel 'two words.*: 'to both'$")
    theirs.until("^Message from DataChannel 'data': 'to both'$")


def test_several_channels_are_opened(programs: Programs, peer: Start) -> None:
    options = ("--channel", "one", "--channel", "two")
    _, theirs = meet(programs, peer, "pion", offers=True, options=options)
    theirs.until(r"^New DataChannel one \d+$")
    theirs.until(r"^New DataChannel two \d+$")


@pytest.mark.parametrize("kind", KINDS)
def test_peer_that_closes_the_connection_ends_the_chat(
    programs: Programs, peer: Start, kind: str
) -> None:
    ours, theirs = meet(programs, peer, kind, offers=True)
    theirs.write_line("/quit" if kind == "dcsend" else "close")
    ours.until("^Peer Connection State has changed: closed$")
    ours.until("^Peer Connection has gone to closed exiting$")
    assert ours.end() == 0


@pytest.mark.parametrize("kind", ["pion", "libwebrtc"])
def test_peer_detects_that_dcsend_has_quit(programs: Programs, peer: Start, kind: str) -> None:
    ours, theirs = meet(programs, peer, kind, offers=False)
    ours.write_line("the last word")
    ours.write_line("/quit")
    theirs.until("'the last word'")
    theirs.until("^Peer Connection State has changed: closed$|^Data channel 'data'-'1' closed$")
    assert ours.end() == 0


def test_dial_code_needs_no_answer(programs: Programs) -> None:
    listener = programs.chat("--listen")
    dialer = programs.chat(listener.description())
    for one, other in ((listener, dialer), (dialer, listener)):
        one.until("has changed: connecting")
        one.until("has changed: connected")
        sent = one.until(f"^Sending '({LETTERS})'$")[1]
        other.until(f"^Message from DataChannel 'data': '{sent}'$")
    listener.until(r"^New DataChannel data \d+$")


def test_compact_codes_are_short_and_work(programs: Programs) -> None:
    offerer, answerer = programs.chat("--offer", "--compact"), programs.chat()
    programs.exchange(offerer, answerer)
    assert max(len(offerer.lines[0]), len(answerer.lines[0])) < 200
    offerer.until("has changed: connected")


def test_damaged_description_is_refused(programs: Programs) -> None:
    offer = programs.chat("--offer", "--compact").description()
    damaged = offer[:50] + ("a" if offer[50] != "a" else "b") + offer[51:]
    answerer = programs.chat()
    answerer.write_line(damaged)
    assert answerer.end() == 2
    assert "the code is damaged" in answerer.errors[0]
    assert "hint" in answerer.errors[1]


def test_end_of_input_does_not_end_the_chat(programs: Programs, peer: Start) -> None:
    theirs = peer("pion", "-offer")
    ours = programs.chat()
    ours.write_line(theirs.description())
    assert ours.process.stdin is not None
    ours.process.stdin.close()  # as `echo OFFER | dcsend chat` does
    theirs.write_line(ours.description())
    sent = ours.until(f"^Sending '({LETTERS})'$")[1]
    theirs.until(f"'{sent}'")


def test_offer_on_the_command_line(programs: Programs, peer: Start) -> None:
    theirs = peer("libwebrtc", "--offer")
    ours = programs.chat(theirs.description())
    theirs.write_line(ours.description())
    ours.until("has changed: connected")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--offer", "--listen"), "contradict each other"),
        (("--offer", "--max-retransmits", "1", "--max-lifetime", "1"), "contradict each other"),
        (("--offer", "--negotiated", "1", "--channel", "a", "--channel", "b"), "one channel"),
        (("--unordered",), "channels that this side opens"),
        (("--compact",), "is for an offer"),
        (("--listen", "--ice-server", "turn:a:b@192.0.2.1"), "TURN"),
        (("--offer", "--ice-server", "turn:192.0.2.1"), "is incomplete"),
        (("--offer", "--ice-server", "@/does/not/exist"), "can't read the servers"),
        (("hello",), "not a code"),
        (("--offer", "--save", "/dev/null"), "choose another with --save"),
    ],
)
def test_wrong_usage_is_reported_with_a_hint(arguments: tuple[str, ...], message: str) -> None:
    status, _, errors = run("chat", *arguments)
    assert status in (2, 4)
    assert message in errors
