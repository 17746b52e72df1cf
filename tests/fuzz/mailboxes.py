"""The mailbox protocol: what a server can send to a client, and a network to a local mailbox.

The bytes of the fuzzer are JSON texts, each after two bytes of its length, or numbers of texts that
lead into the protocol.
"""

from __future__ import annotations

from typing import Final

from dcsend.errors import DcsendError
from dcsend.rendezvous.again import AgainKeys
from dcsend.rendezvous.attempts import AgainClient, AgainMailbox
from dcsend.rendezvous.local_mailbox import LocalConnection, LocalMailbox
from dcsend.rendezvous.mailbox import MailboxClient
from dcsend.rendezvous.wire import MAX_BODY, MAX_PHASES, dump, parse
from tests.fuzz.script import Script

__all__ = ["again", "client", "local"]

_SENT_BY_SERVERS: Final = (
    *('{"type":"welcome","welcome":{}}', '{"type":"claimed","mailbox":"m"}'),
    *('{"type":"allocated","nameplate":"7"}', '{"type":"pong","pong":1}'),
    *('{"type":"message","side":"x","phase":"a0","body":"00"}', '{"type":"closed"}'),
    *('{"type":"message","side":"x","phase":"b0","body":"00"}', '{"type":"ack"}'),
    '{"type":"ice-servers","servers":[{"urls":"turn:a","username":"u","credential":"c"}]}',
)
_SENT_BY_CLIENTS: Final = (
    *('{"type":"bind","appid":"dcsend/1","side":"b"}', '{"type":"claim","nameplate":"7"}'),
    *('{"type":"open","mailbox":"0000000000000000"}', '{"type":"ping","ping":1}'),
    *('{"type":"add","phase":"b0","body":"00"}', '{"type":"add","phase":"b1","body":"00"}'),
    *('{"type":"release"}', '{"type":"close"}', '{"type":"bind","appid":"dcsend/1","side":"c"}'),
)
_AGAIN: Final = AgainKeys(bytes(32))
"A second meeting, with one attempt."
_TAG: Final = "00" * 8
_SENT_AGAIN: Final = (
    *(text.replace('0","body', f'0.{_TAG}","body') for text in _SENT_BY_SERVERS),
    *(dump("message", side=_AGAIN.sides[s], phase=f"{s}0.{_TAG}", body="00") for s in "ab"),
)
_SENT_BY_JOINERS: Final = (
    dump("bind", appid="dcsend/1", side=_AGAIN.sides["b"]),
    dump("open", mailbox=_AGAIN.mailbox),
    *(text.replace('","body', f'.{_TAG}","body') for text in _SENT_BY_CLIENTS),
)
_OWN: Final = 255
"First byte of a step in which the side under test does something itself."


def _text(script: Script, known: tuple[str, ...]) -> str:
    """Return a text that is known, or the next one of the script."""
    which = script.byte()
    if which < len(known):
        return known[which]
    return script.piece().decode("utf-8", "surrogateescape")


def client(data: bytes) -> None:
    """Let a server send anything to an allocator or a joiner, over several sockets."""
    script = Script(data)
    number = "7" if script.byte() & 1 else ""
    letter = "b" if number else "a"
    _client(script, MailboxClient("server", "aa", number), f"{letter}%d", _SENT_BY_SERVERS)


def _client(script: Script, side: MailboxClient, phases: str, known: tuple[str, ...]) -> None:
    side.connect()
    added = 0
    failure: DcsendError | None = None
    try:
        while script:
            what = script.byte()
            if what == _OWN:
                side.connect()
            elif what == _OWN - 1 and added < MAX_PHASES:
                _check(side.add(phases % added, b"x"))
                added += 1
            else:
                _check(side.receive(_text(script, known)))
            assert len(side.messages) <= MAX_PHASES
            assert side.motd.isprintable()
    except DcsendError as exc:
        failure = exc
    assert failure is None or (failure.message.isprintable() and failure.hint)
    assert all(len(body) <= MAX_BODY for _, body in side.messages)


def _check(texts: list[str]) -> None:
    """Require that few and valid texts are sent at once."""
    assert len(texts) <= MAX_PHASES + 2
    for text in texts:
        assert parse(text)


def local(data: bytes) -> None:
    """Let several devices send anything to the mailbox that an allocator serves."""
    _local(Script(data), LocalMailbox("7", random=bytes), "a%d", _SENT_BY_CLIENTS)


def again(data: bytes) -> None:
    """Do both with a second meeting, whose messages name an attempt."""
    script = Script(data)
    if script.byte() & 1:
        letter = "b" if script.byte() & 1 else "a"
        _client(script, AgainClient("server", _AGAIN, letter), f"{letter}%d.{_TAG}", _SENT_AGAIN)
    else:
        _local(script, AgainMailbox(_AGAIN), f"a%d.{_TAG}", _SENT_BY_JOINERS)


def _local(script: Script, mailbox: LocalMailbox, phases: str, known: tuple[str, ...]) -> None:
    devices: list[LocalConnection] = []
    outputs: list[list[str]] = []
    added = 0
    while script:
        what = script.byte()
        if what == _OWN and len(devices) < 8:
            outputs.append([])
            devices.append(mailbox.connect(outputs[-1].append, lambda: None))
        elif what == _OWN - 1 and added < MAX_PHASES:
            mailbox.side.add(phases % added, b"x")
            added += 1
        elif devices:
            devices[what % len(devices)].receive(_text(script, known))
        # The allocator, and one other side.
        assert sum(device.is_joiner for device in devices) < 2
    for device, texts in zip(devices, outputs, strict=True):
        _check(texts[:1])
        assert len(texts) <= 2 * 200 + 2 * MAX_PHASES + 3
        device.end()
