"""Small files that travel together: what a receiver takes, and whole halves of a transfer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dcsend.content import End
from dcsend.protocol.frames import FrameKind, encode_batch, encode_data
from dcsend.protocol.limits import MAX_FRAME, MAX_PAYLOAD_WITH_DIGEST, WINDOW
from dcsend.protocol.messages import Accept, Hello, Manifest
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.side import TransferState
from dcsend.session.events import FileFinished, Progressed
from tests.protocol.test_receiver import DIGEST, assert_frame_refused, receiver_in
from tests.support.halves import both, receiver, sender
from tests.support.memory import connected_pair
from tests.support.scripted_peer import Peer


def of_three(have: dict[int, int] | None = None) -> Receiver:
    """A receiver that awaits three files: of 5 bytes, of none, and of 2; then a stream."""
    receiver = receiver_in(TransferState.WAITING)
    kinds = [("a", "file", 5), ("d", "directory", 0), ("b", "file", 0), ("c", "file", 2)]
    entries = [{"path": path, "kind": kind, "size": size} for path, kind, size in kinds]
    entries.append({"path": "s", "kind": "file", "size": None})
    receiver.receive(json.dumps({"type": "manifest", "entries": entries, "last": True}))
    receiver.accept({}, have or {})
    return receiver


def test_receiver_takes_whole_files_together() -> None:
    receiver = of_three()
    other = bytes(range(32))
    frame = encode_batch(0, (b"hello", b"", b"yo"), (DIGEST, other, DIGEST))
    assert receiver.receive_frame(frame) == [
        End(0, 5, DIGEST, b"hello", 61),
        End(2, 0, other, b"", 32),
        End(3, 2, DIGEST, b"yo", 34),
    ]
    assert receiver.received == len(frame) == 61 + 32 + 34
    receiver.receive_frame(encode_data(4, 0, b"", DIGEST))
    assert receiver.state is TransferState.RECEIVED


@pytest.mark.parametrize(
    ("number", "contents", "have"),
    [
        (2, (b"", b"yo"), {}),  # not the first that is due
        (0, (b"hello", b"", b"y"), {}),  # sizes that are not those of the manifest
        (0, (b"hello", b"yo"), {}),
        (0, (b"hello", b"", b"yo", b""), {}),  # a stream has no size
        (0, (b"hello", b"", b"yo", b"", b""), {}),  # more than there are
        (0, (b"hello", b"", b"yo"), {3: 1}),  # there in part
        (0, (b"hello", b""), {0: 1}),
    ],
)
def test_receiver_refuses_a_batch_that_is_not_due(
    number: int, contents: tuple[bytes, ...], have: dict[int, int]
) -> None:
    frame = encode_batch(number, contents, (DIGEST,) * len(contents))
    assert_frame_refused(of_three(have), frame, "that is not due")


@pytest.mark.parametrize("content", [b"llo", b"hello"], ids=["rest", "whole"])
def test_receiver_refuses_a_batch_in_the_middle_of_a_file(content: bytes) -> None:
    receiver = of_three()
    receiver.receive_frame(encode_data(0, 0, b"he"))
    assert_frame_refused(receiver, encode_batch(0, (content,), (DIGEST,)), "that is not due")


def _tree(root: Path) -> list[int]:
    """Make files, small ones around one of two frames; return their sizes, in order."""
    sizes = [*range(0, 4000, 100), 2 * MAX_PAYLOAD_WITH_DIGEST, *range(50)]
    root.mkdir()
    for number, size in enumerate(sizes):
        (root / f"{number:03}").write_bytes(bytes([number]) * size)
    return sizes


@pytest.mark.parametrize("most", [MAX_FRAME, 3000])
async def test_small_files_travel_together_in_frames_that_the_peer_takes(
    tmp_path: Path, most: int
) -> None:
    left, right = connected_pair()
    sizes = _tree(tmp_path / "tree")
    sending = asyncio.create_task(sender(left, tmp_path / "tree").run())
    peer = Peer(right)
    await peer.send_control(Hello((1,), "peer", "receiver", max_frame=most))
    await peer.expect(Manifest)
    await peer.send_control(Accept(WINDOW))
    arrived = dict[int, int]()
    lengths = []
    while len(arrived) < len(sizes) or sum(arrived.values()) < sum(sizes):
        before = peer.received_bytes
        frame = await peer.next_frame()
        lengths.append(peer.received_bytes - before)
        first = frame.number - 1  # the folder is number 0
        if frame.kind is FrameKind.BATCH:
            together = range(first, first + frame.offset)
            assert frame.length == sum(sizes[n] for n in together)
            arrived |= {n: sizes[n] for n in together}
        else:
            arrived[first] = arrived.get(first, 0) + frame.length
    assert arrived == dict(enumerate(sizes))
    assert max(lengths) <= most
    # 79 kB of small files; alone they would have 92 frames, or 145.
    assert len(lengths) <= (6 if most == MAX_FRAME else 90)
    right.cut()
    assert await sending is not None


@pytest.mark.parametrize("size", [1 << 20, 5000])
async def test_files_of_a_batch_are_reported_one_by_one(tmp_path: Path, size: int) -> None:
    left, right = connected_pair()
    sizes = _tree(tmp_path / "tree")
    # What is written and acknowledged at once may end in the middle of a BATCH frame.
    receiving = receiver(right, tmp_path / "in", portion_size=size)
    sending = sender(left, tmp_path / "tree")
    assert await both(sending, receiving) == (None, None)
    for side in (sending, receiving):
        assert [file.bytes for file in side.tally.files] == sizes
        assert side.tally.bytes == sum(sizes)
        shown = [event for event in side.events if isinstance(event, Progressed)]
        assert shown[-1].bytes == sum(sizes)
        assert all(event.file_bytes <= (event.file_total or 0) for event in shown)
        counted = finished = 0
        for event in side.events:
            if isinstance(event, Progressed):
                counted = event.bytes
            elif isinstance(event, FileFinished) and side is sending:
                finished += event.bytes
                assert counted >= finished  # written before its verdict
    for number, size in enumerate(sizes):
        arrived = (tmp_path / "in" / "tree" / f"{number:03}").read_bytes()
        assert arrived == bytes([number]) * size
