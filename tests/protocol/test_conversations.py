"""Whole conversations: each side of a vector, replayed against its state machine.

The messages of the peer are passed in. Those of the side itself say what it does, and it must send
the same; PROTOCOL.md describes the files.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from dcsend.content import Abort, Content, Data, End, Hole, Repair, Restart
from dcsend.entry import NOTHING
from dcsend.errors import DcsendError
from dcsend.protocol import limits
from dcsend.protocol.frames import FrameKind, decode_frame
from dcsend.protocol.messages import Accept, Manifest, Message, decode
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState

VECTORS: Final = Path(__file__).parents[1] / "vectors"
FREE: Final = {"agent", "name", "features", "max_frame", "message"}
"Fields whose content each implementation chooses."


@dataclass(frozen=True)
class Line:
    """One message of the conversation."""

    side: str
    channel: str
    text: str

    @property
    def fields(self) -> dict[str, Any]:
        """The control message, without what each implementation chooses."""
        values: dict[str, Any] = json.loads(self.text)
        return {key: value for key, value in values.items() if key not in FREE}


@dataclass(frozen=True)
class Conversation:
    """One file of tests/vectors."""

    name: str
    kind: str
    comment: str
    replay: str
    sender: str
    receiver: str
    content: str
    lines: tuple[Line, ...]
    held: str = "{}"

    def of(self, side: str) -> list[str]:
        """All control messages of *side*."""
        lines = (one for one in self.lines if (one.side, one.channel) == (side, "control"))
        return [one.text for one in lines]


def read(path: Path) -> Conversation:
    """Read a vector; a header that isn't known, or isn't there, is an error."""
    head, body = path.read_text(encoding="utf-8").split("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines())
    lines = tuple(Line(*line.split(" ", 2)) for line in body.splitlines())
    conversation = Conversation(**headers, lines=lines)
    assert (conversation.name, conversation.kind) == (path.stem, "conversation")
    assert {line.side for line in lines} == {"sender", "receiver"}
    assert {line.channel for line in lines} <= {"control", "data"}
    return conversation


CONVERSATIONS: Final = [read(path) for path in sorted(VECTORS.glob("conversation-*.txt"))]


def replayed_by(side: str) -> list[Conversation]:
    return [one for one in CONVERSATIONS if one.replay in ("both", side)]


class SenderReplay:
    """A Sender that does what the conversation says."""

    def __init__(self, conversation: Conversation) -> None:
        parts = [decode(text) for text in conversation.of("sender") if '"manifest"' in text]
        manifests = [part for part in parts if isinstance(part, Manifest)]
        self._entries = [entry for part in manifests for entry in part.entries]
        left_out = manifests[-1].left_out if manifests else NOTHING
        self.side = Sender(self._entries, left_out, agent="here/1")

    def act(self, fields: dict[str, Any]) -> None:
        """Do what leads to this message, unless the machine does so by itself."""
        match fields["type"]:
            case "bye" if self.side.state is TransferState.COMPLETED:
                self.side.end()
            case "cancel":
                self.side.cancel(fields["reason"])
            case "working":
                self.side.working()

    def make(self, message: bytes) -> bytes:
        """Make a frame with the content of *message*."""
        frame = decode_frame(message)
        payload, digests = bytes(frame.payload), bytes(frame.digest or b"")
        if frame.kind is FrameKind.HOLE:
            return self.side.hole(frame.number, frame.offset, frame.length)
        if frame.kind is FrameKind.AGAIN:
            return self.side.again(payload or frame.length)
        if frame.kind is FrameKind.RESTART:
            return self.side.restart(frame.number)
        if frame.kind is FrameKind.ABORT:
            return self.side.abort(frame.number, payload.decode())
        if frame.kind is FrameKind.DATA:
            return self.side.data(frame.number, frame.offset, payload, frame.digest)
        numbers, contents = list[int](), list[bytes]()
        for number in range(frame.number, frame.number + frame.offset):
            size = self._entries[number].size or 0
            numbers.append(number)
            contents.append(payload[:size])
            payload = payload[size:]
        parts = [digests[at : at + 32] for at in range(0, len(digests), 32)]
        return self.side.batch(numbers, contents, parts)

    def take(self, message: bytes) -> None:
        """Refuse a frame: a receiver sends none."""
        raise AssertionError(message)


class ReceiverReplay:
    """A Receiver that does what the conversation says, and keeps what arrives."""

    def __init__(self, conversation: Conversation) -> None:
        parts = [decode(text) for text in conversation.of("receiver") if '"accept"' in text]
        self._accepts = [part for part in parts if isinstance(part, Accept)]
        window = self._accepts[0].window if self._accepts else limits.WINDOW
        self.side = Receiver(agent="here/1", window=window)
        self.disk: dict[int, bytearray] = {}
        self._written = 0

    def act(self, fields: dict[str, Any]) -> None:
        """Do what leads to this message, unless the machine does so by itself."""
        match fields["type"]:
            case "accept":
                [accept] = self._accepts
                self.side.accept(dict(accept.skip), dict(accept.have))
            case "decline":
                self.side.decline(fields["reason"])
            case "ack":
                self.side.written(fields["bytes"] - self._written)
                self._written = fields["bytes"]
            case "verdict":
                for number, status in fields["files"]:
                    self.side.verdict(number, status)
            case "again":
                assert self.side.again(fields["file"], fields["from"], fields["to"])
            case "cancel":
                self.side.cancel(fields["reason"])
            case "working":
                self.side.working()

    def make(self, message: bytes) -> bytes:
        """Refuse to make a frame: a receiver sends none."""
        raise AssertionError(message)

    def take(self, message: bytes) -> None:
        """Receive a frame."""
        for event in self.side.receive_frame(message):
            self._write(event)

    def _write(self, event: Content) -> None:
        content = self.disk.setdefault(event.number, bytearray())
        match event:
            case Data() | End():
                content[event.offset :] = event.payload
            case Hole():
                content[event.offset :] = bytes(event.length)
            case Repair():
                end = event.offset + event.length
                content[event.offset : end] = event.payload or bytes(event.length)
            case Restart():
                content.clear()
            case Abort():
                del self.disk[event.number]


def replay(conversation: Conversation, name: str, half: SenderReplay | ReceiverReplay) -> None:
    """Pass in what the peer sends, and compare what this side sends."""
    half.side.start()
    queue = deque[str]()
    for line in conversation.lines:
        if line.side != name:
            assert half.side.state is not TransferState.FAILED, "nothing follows a violation"
            _pass_in(half, line)
        elif line.channel == "data":
            assert half.make(bytes.fromhex(line.text)).hex() == line.text
        else:
            queue += half.side.messages_to_send()
            if not queue:
                half.act(line.fields)
                queue += half.side.messages_to_send()
            assert Line(name, "control", queue.popleft()).fields == line.fields
    assert not [*queue, *half.side.messages_to_send()]


def _pass_in(half: SenderReplay | ReceiverReplay, line: Line) -> None:
    try:
        if line.channel == "data":
            half.take(bytes.fromhex(line.text))
        else:
            half.side.receive(line.text)
    except DcsendError:
        assert half.side.state is TransferState.FAILED


@pytest.mark.parametrize("conversation", replayed_by("sender"), ids=lambda one: one.name)
def test_sender_replays_the_conversation(conversation: Conversation) -> None:
    half = SenderReplay(conversation)
    replay(conversation, "sender", half)
    assert half.side.state == conversation.sender


@pytest.mark.parametrize("conversation", replayed_by("receiver"), ids=lambda one: one.name)
def test_receiver_replays_the_conversation(conversation: Conversation) -> None:
    half = ReceiverReplay(conversation)
    paths = [
        entry["path"]
        for text in conversation.of("sender")
        for entry in json.loads(text).get("entries", ())
    ]
    for path, held in json.loads(conversation.held).items():
        half.disk[paths.index(path)] = bytearray.fromhex(held)
    replay(conversation, "receiver", half)
    assert half.side.state == conversation.receiver
    for path, content in json.loads(conversation.content).items():
        assert half.disk[paths.index(path)].hex() == content


def test_conversations_are_of_every_kind() -> None:
    assert len(replayed_by("sender")) > 10
    assert len(replayed_by("receiver")) > 10
    assert {one.sender for one in CONVERSATIONS} == {"done", "declined", "cancelled", "failed"}
    assert {one.receiver for one in CONVERSATIONS} == {"done", "cancelled", "failed"}
    texts = "".join(line.text for one in CONVERSATIONS for line in one.lines)
    assert all(f'"type":"{kind.__name__.lower()}"' in texts for kind in Message.__args__)
