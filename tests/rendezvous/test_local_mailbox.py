"""The mailbox that an allocator serves: who may use it, what it delivers, and its limits."""

from __future__ import annotations

import json

import pytest

from dcsend.errors import ConnectionFailed, LocalProtocolError
from dcsend.rendezvous.local_mailbox import MAX_RECEIVED, LocalMailbox
from dcsend.rendezvous.mailbox import MailboxClient


class Device:
    """A connection to a local mailbox."""

    def __init__(self, mailbox: LocalMailbox, side: str = "bb") -> None:
        self.texts: list[str] = []
        self.closed = 0
        self._side = side
        self.connection = mailbox.connect(self.texts.append, self._close)

    def send(self, kind: str, **fields: object) -> None:
        """Send one message."""
        self.connection.receive(json.dumps({"type": kind, **fields}))

    def join(self, number: str = "7") -> Device:
        """Bind, claim and open."""
        self.send("bind", appid="dcsend/1", side=self._side)
        self.send("claim", nameplate=number)
        claimed = self.last("claimed")
        self.send("open", mailbox=claimed["mailbox"] if claimed else "")
        return self

    def last(self, kind: str) -> dict[str, object] | None:
        """Return the newest message of this type."""
        found = [value for text in self.texts if (value := json.loads(text))["type"] == kind]
        return found[-1] if found else None

    @property
    def error(self) -> object:
        """The text of the error that has ended the connection."""
        error = self.last("error")
        return error["error"] if error and self.closed else None

    @property
    def messages(self) -> list[tuple[object, object]]:
        """Phase and body of each message that was delivered."""
        values = map(json.loads, self.texts)
        return [(v["phase"], v["body"]) for v in values if v["type"] == "message"]

    def _close(self) -> None:
        self.closed += 1


def client_of(mailbox: LocalMailbox) -> tuple[MailboxClient, Device]:
    """Connect the client of a joiner, and exchange texts until neither side has any."""
    client, device = MailboxClient("local", "bb", "7"), Device(mailbox)
    exchange(client, device, client.connect())
    return client, device


def exchange(client: MailboxClient, device: Device, texts: list[str]) -> None:
    while texts or device.texts:
        for text in texts:
            device.connection.receive(text)
        received, device.texts[:] = list(device.texts), []
        texts = [reply for text in received for reply in client.receive(text)]


def test_client_and_allocator_exchange_messages() -> None:
    mailbox = LocalMailbox("7")
    mailbox.side.add("a0", b"first")
    client, device = client_of(mailbox)
    assert list(client.messages) == [("a0", b"first")]
    exchange(client, device, client.add("b0", b"offer"))
    mailbox.side.add("a1", b"answer")
    exchange(client, device, [])
    assert client.messages[-1] == ("a1", b"answer")


async def test_allocator_gets_each_phase_once() -> None:
    mailbox = LocalMailbox("7")
    joiner = Device(mailbox).join()
    for phase, body in (("b0", "AB"), ("b0", "cd"), ("b1", "ef")):
        joiner.send("add", phase=phase, body=body)
    assert [await mailbox.side.next(), await mailbox.side.next()] == [
        ("b0", b"\xab"),
        ("b1", b"\xef"),
    ]
    assert joiner.messages == [("b0", "ab"), ("b0", "ab"), ("b1", "ef")]  # echoes


def test_first_side_that_adds_a_message_is_the_joiner_and_the_others_are_crowded() -> None:
    mailbox = LocalMailbox("7")
    mailbox.side.add("a0", b"\x01")
    idle, joiner, unbound = (
        Device(mailbox, "bb").join(),
        Device(mailbox, "cc").join(),
        Device(mailbox),
    )
    assert idle.messages == joiner.messages == [("a0", "01")]
    joiner.send("add", phase="b0", body="00")
    late = Device(mailbox, "dd").join()
    assert (idle.error, late.error, joiner.error) == ("crowded", "crowded", None)
    assert not late.messages
    mailbox.side.add("a1", b"\x02")
    assert joiner.messages == [("a0", "01"), ("b0", "00"), ("a1", "02")]
    assert idle.messages == [("a0", "01")]
    assert unbound.error is None


def test_sides_that_stay_without_a_message_do_not_keep_a_joiner_out() -> None:
    mailbox = LocalMailbox("7")
    for number in range(7):
        assert Device(mailbox, f"{number}").join().error is None
    joiner = Device(mailbox, "cc").join()
    joiner.send("add", phase="b0", body="00")
    assert joiner.error is None


@pytest.mark.parametrize("phase", ["b1", "b5", "b63"])
async def test_side_that_begins_with_another_message_than_a_guess_gets_no_place(phase: str) -> None:
    mailbox = LocalMailbox("7")
    neighbour, joiner = Device(mailbox, "bb").join(), Device(mailbox, "cc").join()
    neighbour.send("add", phase=phase, body="00")
    assert neighbour.error == "a joiner begins with b0"
    joiner.send("add", phase="b0", body="01")
    joiner.send("add", phase=phase, body="02")
    assert joiner.error is None
    assert [await mailbox.side.next(), await mailbox.side.next()] == [
        ("b0", b"\x01"),
        (phase, b"\x02"),
    ]


def test_joiner_that_leaves_after_a_message_keeps_its_place_and_returns() -> None:
    mailbox = LocalMailbox("7")
    first = Device(mailbox, "bb").join()
    first.send("add", phase="b0", body="00")
    first.connection.end()
    assert Device(mailbox, "cc").join().error == "crowded"
    mailbox.side.add("a1", b"\x01")
    assert Device(mailbox, "bb").join().messages == [("b0", "00"), ("a1", "01")]


def test_new_socket_of_a_side_replaces_the_earlier_one() -> None:
    mailbox = LocalMailbox("7")
    old = Device(mailbox).join()
    new = Device(mailbox).join()
    mailbox.side.add("a0", b"\x01")
    assert old.closed == 1
    assert (old.messages, new.messages) == ([], [("a0", "01")])


def test_side_of_the_allocator_is_taken() -> None:
    mailbox = LocalMailbox("7")
    mailbox.side.add("a0", b"")
    seen = Device(mailbox).join()
    message = seen.last("message")
    assert message is not None
    seen.connection.end()
    assert Device(mailbox, str(message["side"])).join().error == "crowded"


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        ("bind", {"appid": "other/1", "side": "bb"}, "this mailbox has another AppID"),
        ("bind", {"appid": "dcsend/1"}, "bind has no side"),
        ("bind", {"appid": "dcsend/1", "side": ""}, "bind has no side"),
        ("bind", {"appid": "dcsend/1", "side": "b" * 65}, "bind has no side"),
        ("claim", {"nameplate": "7"}, "bind first"),
        ("add", {"phase": "b0", "body": ""}, "bind first"),
        ("ping", {"ping": "x"}, "ping has no number"),
        ("ping", {"ping": True}, "ping has no number"),
        ("ping", {"ping": 1 << 64}, "ping has no number"),
        ("surprise", {}, "this mailbox has no messages of that type"),
    ],
)
def test_message_that_is_wrong_before_bind_ends_the_connection(
    kind: str, fields: dict[str, object], error: str
) -> None:
    device = Device(LocalMailbox("7"))
    device.send(kind, **fields)
    assert device.error == error


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        ("bind", {"appid": "dcsend/1", "side": "cc"}, "bound already"),
        ("claim", {"nameplate": "8"}, "this mailbox has another number"),
        ("claim", {}, "this mailbox has another number"),
        ("allocate", {}, "this mailbox has no messages of that type"),
        ("list", {}, "this mailbox has no messages of that type"),
        ("open", {"mailbox": "x"}, "open already"),
        ("add", {"phase": "a0", "body": ""}, "a joiner's phases are b0 to b63"),
        ("add", {"phase": "b64", "body": ""}, "a joiner's phases are b0 to b63"),
        ("add", {"phase": 0, "body": ""}, "a joiner's phases are b0 to b63"),
        ("add", {"phase": "b0"}, "a body is not text"),
        ("add", {"phase": "b0", "body": "xy"}, "a body is not hexadecimal"),
        ("add", {"phase": "b0", "body": "00" * 4097}, "a body is longer than 4096 bytes"),
    ],
)
def test_message_that_is_wrong_after_open_ends_the_connection(
    kind: str, fields: dict[str, object], error: str
) -> None:
    device = Device(LocalMailbox("7")).join()
    device.send(kind, **fields)
    assert device.error == error


def test_mailbox_is_not_opened_without_its_number() -> None:
    mailbox = LocalMailbox("7")
    other = Device(mailbox).join()
    claimed = other.last("claimed")
    assert claimed is not None
    device = Device(mailbox, "cc")
    device.send("bind", appid="dcsend/1", side="cc")
    device.send("open", mailbox=claimed["mailbox"])
    assert device.error == "claim the number first"


def test_message_is_not_added_before_the_mailbox_is_open() -> None:
    device = Device(LocalMailbox("7"))
    device.send("bind", appid="dcsend/1", side="bb")
    device.send("add", phase="b0", body="")
    assert device.error == "open the mailbox first"


@pytest.mark.parametrize("text", ["", "[]", "{", "1", '{"type":[]}', "[" * 60_000])
def test_text_that_is_no_message_ends_the_connection(text: str) -> None:
    device = Device(LocalMailbox("7"))
    device.connection.receive(text)
    assert device.error
    device.send("ping", ping=1)
    assert device.last("pong") is None


def test_connection_ends_after_many_messages() -> None:
    device = Device(LocalMailbox("7"))
    for _ in range(MAX_RECEIVED):
        device.send("ping", ping=1)
    assert not device.closed
    device.send("ping", ping=1)
    assert device.error == "too many messages"


def test_close_of_the_joiner_is_confirmed_and_ends_its_connection() -> None:
    device = Device(LocalMailbox("7")).join()
    device.send("release")
    device.send("close", mood="happy")
    assert device.last("released")
    assert device.last("closed")
    assert device.closed == 1


async def test_closed_mailbox_ends_its_connection_and_refuses_others() -> None:
    mailbox = LocalMailbox("7")
    joiner, unbound = Device(mailbox).join(), Device(mailbox)
    await mailbox.side.close("happy")
    await mailbox.side.close("happy")
    assert unbound.error == "this code has ended"
    assert (joiner.closed, joiner.error) == (1, "this code has ended")
    assert Device(mailbox).error == "this code has ended"
    with pytest.raises(ConnectionFailed):
        await mailbox.side.next()


@pytest.mark.parametrize(("phase", "size"), [("b0", 1), ("a64", 1), ("a0", 1), ("a1", 4097)])
def test_allocator_adds_no_message_outside_of_the_protocol(phase: str, size: int) -> None:
    mailbox = LocalMailbox("7")
    mailbox.side.add("a0", b"")
    with pytest.raises(LocalProtocolError):
        mailbox.side.add(phase, bytes(size))
