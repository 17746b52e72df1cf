"""A peer that violates the protocol, against a real program.

It is refused and reported, and no file is written outside the output folder.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dcsend.entry import Entry, Kind
from dcsend.protocol import limits
from dcsend.protocol.frames import encode_data, encode_hole
from dcsend.protocol.messages import Accept, Ack, Cancel, Complete, Hello, Manifest, Verdict
from tests.support.peers import until
from tests.support.processes import Stage, tree
from tests.support.scripted_peer import Peer, dialing, file_frames, put

GREETING = Hello((1,), "peer", "sender")

UNSAFE = (
    "../x",
    "..",
    ".",
    "/etc/x",
    "//x",
    "a/../../x",
    "a/./x",
    "a//x",
    "a/",
    "C:\\x",
    "C:x",
    "a\\..\\x",
    "x\0y",
    "new\nline",
    "esc \x1b]0;title\x07\x1b[2J",
    "c1 \x9b2J",
    "y" * 256,
    "folder/" + "\u00e9" * 256,
    "x.DCSEND-PART. .",
    "z/" * 2100 + "z",
    "x.dcsend-part",
    "x.dcsend-journal",
)
"Names that each receiver must refuse."


async def test_unsafe_names_are_refused_one_by_one(stage: Stage, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "output"
    receiver = stage.receive("", output)
    names = (*UNSAFE, "good")
    async with dialing(receiver.code) as peer:
        longest = [Entry(name[: limits.MAX_PATH], size=4) for name in names]
        accept = await peer.offer(*longest)
        assert accept.skip == tuple((number, "unsafe") for number in range(len(UNSAFE)))
        await peer.send(len(UNSAFE), b"good")
        assert await peer.finish() == Complete(ok=True, files=1, bytes=4)
    ended = await asyncio.to_thread(receiver.end)
    assert (ended.status, ended.fatal["kind"]) == (11, "partly")
    assert len(ended.of("file")) == len(names)
    assert [path for path, event in ended.files.items() if event["ok"]] == ["good"]
    assert len(ended.notes) > 20
    assert tree(tmp_path) == {
        "deep": "/",
        "deep/output": "/",
        "deep/output/good": ended.files["good"]["sha256"],
    }


async def test_hostile_words_reach_the_terminal_escaped(stage: Stage, tmp_path: Path) -> None:
    """Agent, names, lines, texts, and the reason of Cancel; `end` checks for raw escapes."""
    evil = "\x1b[2J\x9b5n\u202eevil"
    receiver = stage.run("receive", "-o", tmp_path, "-y", "-v", listen=False)
    code = receiver.stdout.readline().decode().strip()
    async with dialing(code) as peer:
        await put(peer.text, f"{evil} line\n")
        await put(peer.text, f"{evil} random")
        await peer.offer(Entry(evil, size=4), Entry("good", size=4), agent=evil)
        await peer.send_control(Cancel("error", f"{evil} reason"))
        await peer.ended()
    ended = await asyncio.to_thread(receiver.end)
    assert ended.status == 7
    shown = ended.err.decode()
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert shown.count("\\x1b[2J\\x9b5n\\u202eevil") >= 4
    assert os.listdir(tmp_path) == []


def hidden_offer(tmp_path: Path) -> list[Path]:
    """Make three photos, a login key and a start-up script; return the paths to send."""
    source, home = tmp_path / "source", tmp_path / "home"
    home.mkdir()
    (source / ".ssh").mkdir(parents=True)
    for name in ("IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg", ".ssh/authorized_keys", ".zshenv"):
        (source / name).write_text(name)
    return [source / name for name in ("IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg", ".ssh", ".zshenv")]


def test_hidden_names_are_named_before_the_question(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send(*hidden_offer(tmp_path))
    home = tmp_path / "home"
    receiver = stage.run(
        "receive", sender.code, cwd=home, terminal=True, environment={"HOME": str(home)}
    )
    receiver.until_shown(b"accept and save")
    receiver.write(b"y\n")
    ended = receiver.end()
    assert ended.status == 0
    asked = ended.err.index(b"accept and save")
    assert 0 < ended.err.index(b"hidden: .ssh, .zshenv") < asked
    assert sender.end().status == 0


def test_hidden_names_are_refused_in_the_home_folder_without_a_question(
    stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send(*hidden_offer(tmp_path))
    home = tmp_path / "home"
    receiver = stage.run(
        "receive", sender.code, "-y", "--json", cwd=home, environment={"HOME": str(home)}
    )
    ended = receiver.end()
    assert ended.files[".zshenv"]["reason"] == "its name is refused"
    assert ended.files[".ssh/authorized_keys"]["reason"] == "its name is refused"
    assert sender.end().status == ended.status != 0
    assert sorted(os.listdir(home)) == ["IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg"]


async def test_link_that_was_planted_is_not_walked_through(stage: Stage, tmp_path: Path) -> None:
    """One symbolic link out of the folder exists before; others are part of the transfer."""
    outside, output = tmp_path / "outside", tmp_path / "output"
    outside.mkdir()
    output.mkdir()
    (output / "planted").symlink_to(outside)
    (output / "taken").symlink_to(outside / "new")
    receiver = stage.receive("", output, "--overwrite")
    async with dialing(receiver.code) as peer:
        await peer.offer(
            Entry("planted/x", size=4),
            Entry("taken", size=5),
            Entry("up", kind=Kind.LINK, target="../outside"),
            Entry("absolute", kind=Kind.LINK, target=str(outside)),
            Entry("down/up", kind=Kind.LINK, target="../../outside/x"),
            Entry("inside", kind=Kind.LINK, target="taken"),
            Entry("sent", kind=Kind.LINK, target="."),
            Entry("sent/../x", size=4),
        )
        await peer.send(0, b"evil")
        await peer.send(1, b"taken")
        await peer.finish()
    ended = await asyncio.to_thread(receiver.end)
    assert ended.status == 11
    assert tree(outside) == {}
    for path in ("planted/x", "up", "absolute", "down/up", "sent/../x"):
        assert not ended.files[path]["ok"], path
    assert (output / "taken").read_bytes() == b"taken"
    assert not (output / "taken").is_symlink()
    assert os.readlink(output / "inside") == "taken"
    assert sorted(path.name for path in output.iterdir() if path.is_symlink()) == [
        "inside",
        "planted",
        "sent",
    ]


async def test_second_entry_of_one_name_is_refused(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.receive("", tmp_path / "output")
    async with dialing(receiver.code) as peer:
        accept = await peer.offer(Entry("file", size=5), Entry("file", size=6))
        assert accept.skip == ((1, "unsafe"),)
        await peer.send(0, b"first")
        await peer.finish()
    ended = await asyncio.to_thread(receiver.end)
    assert ended.status == 11
    assert os.listdir(tmp_path / "output") == ["file"]
    assert (tmp_path / "output" / "file").read_bytes() == b"first"


# Rules of the protocol

SIZE = 100_000
CONTENT = os.urandom(SIZE)
FRAMES = file_frames(0, CONTENT)


async def wrong_role(peer: Peer) -> None:
    await peer.send_control(Hello((1,), "peer", "receiver"))


async def wrong_version(peer: Peer) -> None:
    await peer.send_control(Hello((77,), "peer", "sender"))


async def no_greeting(peer: Peer) -> None:
    await peer.send_control(Manifest((Entry("file"),), last=True))


async def no_json(peer: Peer) -> None:
    await peer.send_control("{\x1b[2J" + "[" * 60_000)


async def too_long(peer: Peer) -> None:
    await peer.send_control(json.dumps({"type": "hello", "more": "x" * 65_536}))


async def binary(peer: Peer) -> None:
    await peer.send_control(b"\0\xff")


async def unknown_type(peer: Peer) -> None:
    await peer.send_control(GREETING, '{"type":"shell","run":"true"}')


async def receivers_message(peer: Peer) -> None:
    await peer.send_control(GREETING, Accept(window=1))


async def impossible_size(peer: Peer) -> None:
    entry = {"path": "file", "kind": "file", "size": 2**63}
    await peer.send_control(
        GREETING, json.dumps({"type": "manifest", "entries": [entry], "last": True})
    )


async def offered(peer: Peer) -> None:
    await peer.offer(Entry("file", size=SIZE), Entry("folder", kind=Kind.DIRECTORY))


async def second_manifest(peer: Peer) -> None:
    await offered(peer)
    await peer.send_control(Manifest((Entry("other"),), last=True))


async def no_frame(peer: Peer) -> None:
    await offered(peer)
    await peer.put(b"x" * 23)


async def text_for_a_frame(peer: Peer) -> None:
    await offered(peer)
    await peer.put("frame")


async def frame_out_of_order(peer: Peer) -> None:
    await offered(peer)
    await peer.put(FRAMES[1])


async def frame_twice(peer: Peer) -> None:
    await offered(peer)
    await peer.put(FRAMES[0], FRAMES[0])


async def frame_of_a_folder(peer: Peer) -> None:
    await offered(peer)
    await peer.put(*file_frames(1, b"content"))


async def frame_of_nothing(peer: Peer) -> None:
    await offered(peer)
    await peer.put(*file_frames(999_999, b"content"))


async def end_too_early(peer: Peer) -> None:
    await offered(peer)
    await peer.put(*file_frames(0, b"short"))


async def more_than_announced(peer: Peer) -> None:
    await offered(peer)
    await peer.put(FRAMES[0], encode_data(0, len(FRAMES[0]) - 24, bytes(60_000)))


async def hole_over_the_end(peer: Peer) -> None:
    await offered(peer)
    await peer.put(encode_hole(0, 0, limits.MAX_HOLE))


async def window_overrun(peer: Peer) -> None:
    """All frames are sent before Accept, so that none is acknowledged meanwhile."""
    await peer.send_control(GREETING)
    step = limits.MAX_PAYLOAD
    for offset in range(0, limits.WINDOW + step, step):
        await peer.put(encode_data(0, offset, bytes(step)))
    # Messages of different channels are not ordered.
    await until(lambda: peer.connection.sctp.is_drained)  # type: ignore[attr-defined]
    await peer.send_control(Manifest((Entry("file", size=2 * limits.WINDOW),), last=True))


BREACHES: dict[Callable[[Peer], Awaitable[None]], tuple[int, str]] = {
    wrong_role: (2, "both sides want to receive"),
    wrong_version: (10, "supports protocol version 77"),
    no_greeting: (1, "not allowed while greeting"),
    no_json: (1, "not valid JSON"),
    too_long: (1, "too long"),
    binary: (1, "binary message"),
    unknown_type: (1, "unknown message type"),
    receivers_message: (1, "not allowed while waiting"),
    impossible_size: (1, "size"),
    second_manifest: (1, "not allowed while receiving"),
    no_frame: (1, "not a frame"),
    text_for_a_frame: (1, "text message"),
    frame_out_of_order: (1, ""),
    frame_twice: (1, ""),
    frame_of_a_folder: (1, ""),
    frame_of_nothing: (1, "while file 0 is due"),
    end_too_early: (1, ""),
    more_than_announced: (1, ""),
    hole_over_the_end: (1, ""),
    window_overrun: (1, "window"),
}


BEFORE_ACCEPTANCE = {
    *(wrong_role, wrong_version, no_greeting, no_json, too_long, binary, unknown_type),
    *(receivers_message, impossible_size),
}

RARE = {
    no_greeting,
    too_long,
    binary,
    unknown_type,
    impossible_size,
    no_frame,
    frame_twice,
    frame_of_a_folder,
    frame_of_nothing,
}
"Tests of `protocol` distinguish them; here they run in the full suite only."


@pytest.mark.parametrize(
    "breach",
    [pytest.param(breach, marks=[pytest.mark.slow] * (breach in RARE)) for breach in BREACHES],
)
async def test_broken_rule_ends_the_transfer(
    stage: Stage, tmp_path: Path, breach: Callable[[Peer], Awaitable[None]]
) -> None:
    status, words = BREACHES[breach]
    receiver = stage.receive("", tmp_path)
    async with dialing(receiver.code) as peer:
        await breach(peer)
        assert (await peer.expect(Cancel)).reason in ("protocol", "version")
        await peer.ended()
    # Before a sender is accepted, the receiver goes on waiting for another one.
    end = await asyncio.to_thread(
        receiver.until, lambda event: event["event"] in ("left", "done"), "end"
    )
    if end["event"] == "left":
        assert words in end["message"]
        assert end["again"]
        receiver.process.terminate()
    ended = await asyncio.to_thread(receiver.end)
    if end["event"] == "done":
        assert ended.status == status
        assert words in ended.fatal["message"]
    assert (end["event"] == "left") is (breach in BEFORE_ACCEPTANCE)
    assert set(os.listdir(tmp_path)) <= {"file.dcsend-part", "file.dcsend-journal"}


async def test_flood_of_text_is_survived(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.receive("", tmp_path)
    async with dialing(receiver.code) as peer:
        await peer.offer(Entry("file", size=4))
        for number in range(3000):
            await put(peer.text, f"{number}\n")
        await put(peer.text, "x" * 100_000 + "\n")
        await peer.connection.channels["text"].writable()
        await peer.send(0, b"good")
        await peer.finish()
    ended = await asyncio.to_thread(receiver.end)
    assert ended.status == 0
    lines = [event["text"] for event in ended.of("text")]
    assert lines[:3000] == [str(number) for number in range(len(lines[:3000]))]
    assert max(map(len, lines)) <= limits.MAX_TEXT


# Against a sender


async def acknowledge_too_much(peer: Peer) -> None:
    await peer.accept()
    await peer.send_control(Ack(10**12))


async def verdict_too_early(peer: Peer) -> None:
    await peer.accept(window=1)
    await peer.send_control(Verdict(((0, "ok"),)), Complete(ok=True, files=1, bytes=SIZE))


async def complete_without_verdicts(peer: Peer) -> None:
    await peer.accept()
    await peer.send_control(Complete(ok=True, files=1, bytes=SIZE))


async def have_more_than_there_is(peer: Peer) -> None:
    await peer.send_control(Hello((1,), "peer", "receiver"))
    await peer.expect(Manifest)
    await peer.send_control(Accept(1000, have=((0, SIZE + 1),)))


@pytest.mark.parametrize(
    "breach",
    [
        acknowledge_too_much,
        pytest.param(verdict_too_early, marks=pytest.mark.slow),
        complete_without_verdicts,
        pytest.param(have_more_than_there_is, marks=pytest.mark.slow),
    ],
)
async def test_receiver_that_breaks_a_rule_is_refused(
    stage: Stage, tmp_path: Path, breach: Callable[[Peer], Awaitable[None]]
) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    sender = stage.send(tmp_path / "file")
    async with dialing(sender.code) as peer:
        await breach(peer)
        assert (await peer.expect(Cancel)).reason == "protocol"
        await peer.ended()
    if breach is have_more_than_there_is:  # nothing was accepted
        assert (await asyncio.to_thread(sender.event, "left"))["kind"] == "protocol"
        return
    ended = await asyncio.to_thread(sender.end)
    assert (ended.status, ended.fatal["kind"]) == (1, "protocol")
    assert ended.done["files"] == 0
