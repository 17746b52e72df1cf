"""A peer that leaves before anything is accepted gives the code back, a few times."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import dcsend
from dcsend.entry import Entry
from dcsend.errors import ConnectionFailed, DcsendError, DestinationError, PeerCannotSave
from dcsend.peers.transfer import TransferConnection
from dcsend.protocol.messages import (
    Bye,
    Cancel,
    Complete,
    Decline,
    Hello,
    Manifest,
    Message,
    Verdict,
)
from dcsend.session.arrivals import MAX_RETURNS, Met
from dcsend.session.events import Arrived, CodeReady, Event, Failed, Left, Warned
from dcsend.settings import Deadlines, Settings
from tests.support.memory import connected_pair
from tests.support.peers import until
from tests.support.processes import Program, Stage
from tests.support.scripted_peer import Peer, dialing, file_frames

LOCAL = Settings(stun=(), addresses=("127.0.0.1",))
HELLO = Hello((1,), "peer", "receiver")


async def look(code: str) -> None:
    """Connect, see what is offered, and go: what a preview of the link does."""
    async with dialing(code) as peer:
        await peer.send_control(HELLO)
        await peer.expect(Manifest)


async def take(code: str, content: bytes) -> None:
    """Connect, accept, and receive the one file."""
    async with dialing(code) as peer:
        await peer.accept()
        await peer.next_frame()
        assert peer.content(0) == content
        await peer.acknowledge()
        await peer.send_control(
            Verdict(((0, "ok"),)), Complete(ok=True, files=1, bytes=len(content))
        )
        await peer.expect(Bye)


async def test_peer_that_only_looks_gives_the_code_back(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    await look(await asyncio.to_thread(lambda: sender.code))
    left = await asyncio.to_thread(sender.event, "left")
    assert (left["address"], left["kind"], left["again"]) == ("127.0.0.1", "connection", True)
    await take(sender.code, b"x")
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 0
    shown = ("arrived", "connected", "manifest", "left", "file")
    kinds = [event["event"] for event in ended.events if event["event"] in shown]
    assert kinds == ["arrived", "connected", "manifest", "left", *kinds[:3], "file"]


@pytest.mark.parametrize(
    ("leave", "kind"),
    [
        (lambda peer: peer.send_control(HELLO, Cancel("interrupted", "")), "refused"),
        (lambda peer: peer.send_control("nonsense"), "protocol"),
        (lambda peer: peer.send_control(Hello((9,), "peer", "receiver")), "version"),
        (lambda peer: peer.send_control(Hello((1,), "peer", "sender")), "usage"),
    ],
    ids=["cancels", "breaks a rule", "has no common version", "wants to send, too"],
)
async def test_peer_that_ends_it_before_acceptance_gives_the_code_back(
    stage: Stage, tmp_path: Path, leave: Callable[[Peer], object], kind: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    async with dialing(await asyncio.to_thread(lambda: sender.code)) as peer:
        leaving = leave(peer)
        assert asyncio.iscoroutine(leaving)
        await leaving
        await peer.ended()
    assert (await asyncio.to_thread(sender.event, "left"))["kind"] == kind
    await take(sender.code, b"x")
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_answer_of_a_person_ends_the_run(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    async with dialing(await asyncio.to_thread(lambda: sender.code)) as peer:
        await peer.send_control(HELLO, Decline("declined", ""))
        await peer.expect(Bye)
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 7
    assert not ended.of("left")


async def test_peer_that_leaves_after_acceptance_ends_the_run(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    async with dialing(await asyncio.to_thread(lambda: sender.code)) as peer:
        await peer.accept()
        await peer.next_frame()
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 5
    assert not ended.of("left")


async def test_sixth_departure_ends_the_run(stage: Stage, tmp_path: Path) -> None:
    sender = stage.receive("", tmp_path)
    for _ in range(6):
        async with dialing(await asyncio.to_thread(lambda: sender.code)) as peer:
            await peer.send_control(Hello((1,), "peer", "sender"), Cancel("interrupted", ""))
            await peer.ended()
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 7
    assert [event["again"] for event in ended.of("left")] == [*[True] * 5, False]
    assert ended.fatal["message"] == (
        "6 connections have ended before anything was accepted: the other side cancelled"
    )
    assert ended.fatal["hint"] == "run it again for a new code"


async def test_receiver_that_can_not_save_it_gives_the_code_back(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    async with dialing(await asyncio.to_thread(lambda: sender.code)) as peer:
        await peer.send_control(HELLO, Decline("destination", "file exists in the folder already"))
        await peer.expect(Bye)
    left = await asyncio.to_thread(sender.event, "left")
    assert (left["kind"], left["again"]) == ("cannot-save", True)
    assert left["message"] == "the other side can't save it: file exists in the folder already"
    await take(sender.code, b"x")
    assert (await asyncio.to_thread(sender.end)).status == 0


async def leave_often(program: Program, role: str) -> None:
    """Use up every return of a code."""
    for _ in range(MAX_RETURNS):
        async with dialing(await asyncio.to_thread(lambda: program.code)) as peer:
            await peer.send_control(Hello((1,), "peer", role), Cancel("interrupted", ""))
            await peer.ended()


@pytest.mark.parametrize("listens", ["sender", "receiver"])
async def test_sixth_receiver_that_can_not_save_it_reports_that_the_code_is_used_up(
    stage: Stage, tmp_path: Path, listens: str
) -> None:
    (tmp_path / "file").write_bytes(b"new")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"old")
    if listens == "sender":
        listener = stage.send(tmp_path / "file")
        await leave_often(listener, "receiver")
        dialer = stage.receive(listener.code, tmp_path / "in")
    else:
        listener = stage.receive("", tmp_path / "in")
        await leave_often(listener, "sender")
        dialer = stage.send(tmp_path / "file", "--to", listener.code)
    ended = await asyncio.to_thread(dialer.end)
    assert "file exists in " in ended.fatal["message"]
    assert "new code" in ended.fatal["hint"]
    assert "the same code" not in ended.fatal["hint"]
    assert not (await asyncio.to_thread(listener.end)).of("left")[-1]["again"]


def test_code_works_again_after_files_that_exist(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"new")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"old")
    sender = stage.send(tmp_path / "file")
    refused = stage.receive(sender.code, tmp_path / "in").end()
    assert (refused.status, refused.fatal["kind"]) == (4, "destination")
    assert refused.fatal["hint"] == (
        "run it again with --overwrite, --rename or --skip; the same code works again"
    )
    assert (tmp_path / "in" / "file").read_bytes() == b"old"
    again = stage.receive(sender.code, tmp_path / "in", "--overwrite")
    assert (again.end().status, sender.end().status) == (0, 0)
    assert (tmp_path / "in" / "file").read_bytes() == b"new"


def test_reason_has_the_name_and_not_the_path_of_a_file_where_a_folder_is_needed(
    stage: Stage, tmp_path: Path
) -> None:
    for name in ("file", "other", "in/film.iso"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"old")
    sender = stage.send(tmp_path / "file", str(tmp_path / "other"))
    refused = stage.receive(sender.code, tmp_path / "in" / "film.iso").end()
    assert (refused.status, refused.fatal["kind"]) == (4, "destination")
    reason = "film.iso is not a folder"
    assert sender.event("left")["message"] == f"the other side can't save it: {reason}"


def test_code_of_a_receiver_works_again_after_files_that_exist(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"new")
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"old")
    receiver = stage.receive("", tmp_path / "in")
    refused = stage.send(tmp_path / "file", "--to", receiver.code).end()
    assert (refused.status, refused.fatal["kind"]) == (7, "cannot-save")
    assert "file exists in the folder already" in refused.fatal["message"]
    assert refused.fatal["hint"].startswith("send other files; or ask the person")
    assert refused.fatal["hint"].endswith("which makes a new code; the same code works again")
    assert receiver.event("left")["again"]
    other = stage.send(tmp_path / "other", "--to", receiver.code)
    assert (other.end().status, receiver.end().status) == (0, 0)
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["file", "other"]


@pytest.mark.parametrize("kind", [DestinationError, PeerCannotSave])
async def test_of_two_codes_none_works_again(kind: type[DcsendError]) -> None:
    met = Met(connected_pair()[0])
    with pytest.raises(kind) as raised:
        await met.parted(kind("file exists", "add --rename"), introduced=True)
    assert raised.value.hint == "add --rename; both sides need a new code"


async def test_second_dialer_waits_and_is_let_in_when_the_first_leaves(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    code = await asyncio.to_thread(lambda: sender.code)
    async with dialing(code) as peer:
        await peer.send_control(HELLO)
        await peer.expect(Manifest)
        waiting = stage.receive(code, tmp_path / "out")
        await asyncio.to_thread(sender.event, "error", kind="code-busy")
    assert (await asyncio.to_thread(waiting.end)).status == 0
    assert (tmp_path / "out" / "file").read_bytes() == b"x"
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_second_dialer_reports_that_another_one_is_connected(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    code = await asyncio.to_thread(lambda: sender.code)
    async with dialing(code) as peer:
        await peer.send_control(HELLO)
        await peer.expect(Manifest)
        second = stage.receive(code, tmp_path / "out", "--connect-timeout", "2")
        ended = await asyncio.to_thread(second.end)
    assert ended.status == 5
    assert "another device is connected with this code" in ended.fatal["message"]
    assert "run this again" in ended.fatal["hint"]


async def test_peer_that_vanishes_makes_room_at_once_where_another_one_asks(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sender = stage.send(tmp_path / "file")
    code = await asyncio.to_thread(lambda: sender.code)
    first = stage.run("receive", code, "-o", tmp_path / "first", terminal=True)
    await asyncio.to_thread(first.until_shown, b"accept")
    first.kill()
    second = stage.receive(code, tmp_path / "out")
    assert (await asyncio.to_thread(second.end)).status == 0
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 0
    assert [event["message"] for event in ended.of("left")] == ["it does not answer any more"]


async def code_of(events: list[Event]) -> str:
    """Return the code of a run in this process, as soon as it is there."""
    await until(lambda: any(isinstance(event, CodeReady) for event in events))
    return next(event.code for event in events if isinstance(event, CodeReady))


@pytest.mark.full
@pytest.mark.parametrize(
    ("messages", "missed"),
    [
        ((), "did not introduce itself in time"),
        (
            (Hello((1,), "peer", "sender"), Manifest((Entry("a", size=1),), last=False)),
            "did not complete its list of files",
        ),
    ],
    ids=["no Hello", "half a list"],
)
async def test_peer_that_stays_and_misses_a_deadline_ends_the_run(
    tmp_path: Path, messages: tuple[Message, ...], missed: str
) -> None:
    events: list[Event] = []
    settings = replace(LOCAL, keep_alive_interval=0.1, deadlines=Deadlines(hello=1.0, progress=1.0))
    receiving = asyncio.create_task(
        dcsend.receive(output=tmp_path, settings=settings, on_event=events.append)
    )
    async with dialing(await code_of(events)) as peer:
        await peer.send_control(*messages)
        with pytest.raises(ConnectionFailed, match=missed) as raised:
            async with asyncio.timeout(150):
                await receiving
        assert raised.value.exit_status == 5
        assert raised.value.hint == "run it again for a new code"
        await peer.ended()
    assert [event.again for event in events if isinstance(event, Left)] == [False]
    assert [event.error for event in events if isinstance(event, Failed)] == [raised.value]


@pytest.mark.full
async def test_peer_that_is_lost_before_its_hello_gives_the_code_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    events: list[Event] = []
    settings = replace(LOCAL, keep_alive_interval=0.1, deadlines=Deadlines(hello=5.0))
    sending = asyncio.create_task(
        dcsend.send(tmp_path / "file", settings=settings, on_event=events.append)
    )
    code = await code_of(events)
    async with dialing(code) as peer:
        assert isinstance(peer.connection, TransferConnection)
        assert peer.connection.port is not None
        await peer.connection.port.close()  # nothing leaves this machine any more, no farewell
        await until(lambda: any(isinstance(event, Left) for event in events))
    assert [event.again for event in events if isinstance(event, Left)] == [True]
    await take(code, b"x")
    await sending


@pytest.mark.full
async def test_peer_that_is_not_accepted_makes_room_after_a_while(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    events: list[Event] = []
    settings = replace(LOCAL, deadlines=Deadlines(hold=1.0))
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, CodeReady):
            code.set_result(event.code)

    sending = asyncio.create_task(
        dcsend.send(tmp_path / "file", settings=settings, on_event=on_event)
    )
    async with dialing(await code) as first:
        await first.send_control(HELLO)
        await first.expect(Manifest)
        # Without another dialer it may stay for as long as it likes.
        _, pending = await asyncio.wait({sending}, timeout=1.5)
        assert pending
        assert not any(isinstance(event, Left) for event in events)
        await take(await code, b"x")
        with contextlib.suppress(dcsend.DcsendError):
            async with asyncio.timeout(150):
                while "cancel" not in str(await first.control.receive()):
                    pass
    await sending
    kinds = [type(event) for event in events if isinstance(event, Arrived | Left | Warned)]
    assert kinds == [Arrived, Left, Arrived]


async def test_question_goes_with_the_peer_it_was_about(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.run("receive", "-o", tmp_path / "out", "--qr", "none", terminal=True)
    await asyncio.to_thread(receiver.until_shown, b"waiting")
    code = re.search(rb"--to\s+(dc[0-9a-z\s]+?)\r", receiver.shown)
    assert code is not None
    text = re.sub(rb"\s", b"", code[1]).decode()
    async with dialing(text) as peer:
        await peer.send_control(
            Hello((1,), "peer", "sender"), Manifest((Entry("first", size=1),), last=True)
        )
        await asyncio.to_thread(receiver.until_shown, b"[Y/n, l lists all] ")
        await asyncio.to_thread(receiver.write, b"y")  # and no Enter yet
    await asyncio.to_thread(receiver.until_shown, b"has left, and the code works again")
    async with dialing(text) as peer:
        await peer.send_control(
            Hello((1,), "peer", "sender"), Manifest((Entry("second", size=1),), last=True)
        )
        await asyncio.to_thread(receiver.until_shown, b"[y/n, l lists all] ")
        # Meant for the first question: it accepts nothing of the second peer.
        await asyncio.to_thread(receiver.write, b"\n")
        await asyncio.to_thread(
            receiver.until_shown, b"Enter alone does not count after a device has left"
        )
        await asyncio.to_thread(receiver.until_shown, b"[y/n, l lists all] ", 2)
        await asyncio.to_thread(receiver.write, b"y\n")
        for frame in file_frames(0, b"x"):
            await peer.put(frame)
        await peer.expect(Complete)
        await peer.send_control(Bye())
    assert (await asyncio.to_thread(receiver.reap)).status == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["second"]
