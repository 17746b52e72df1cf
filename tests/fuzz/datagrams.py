"""Datagrams that come from anywhere: STUN, before and after it is found authentic, and DTLS."""

from __future__ import annotations

import asyncio
import hmac
import struct
import zlib
from typing import Any, Final

from aioice.stun import Message

from dcsend.engines import checks, integrity, private, stun
from dcsend.engines.checks import Refusal
from dcsend.engines.dtls import _joined, _split
from dcsend.engines.listener import Listener
from dcsend.engines.origins import Origin
from dcsend.engines.quota import Gate, SeenChecks
from dcsend.engines.udp import Address, UdpPort
from tests.fuzz.script import Script

__all__ = ["answers", "listener", "messages", "records"]

_KEY: Final = b"a password of 22 chars"
_SERVER: Final = ("203.0.113.10", 3478)
_PEER: Final = ("203.0.113.2", 5000)
_TRANSACTION: Final = bytes(range(12))
_KINDS: Final = (0x0001, 0x0101, 0x0111, 0x0011, 0x0003, 0x0103)
"Binding request, success, error and indication; Allocate request and success."
_ATTRIBUTES: Final = (
    *(0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x000D, 0x0012, 0x0014, 0x0016, 0x0019, 0x0020),
    *(0x0024, 0x0025, 0x8022, 0x8028, 0x8029, 0x802A, 0x7FFF, 0xFFFF),
)
_USERNAME: Final = b"dc1/" + b"A" * 43 + b"B" * 24 + b":abcd"
_ENDS: Final = (b"", b"\0", b"\x80\x29\0\x08" + bytes(8), b"\x80\x2a\0\x08" + bytes(8))


def _datagram(script: Script) -> bytes:
    """Return a datagram: anything, or a STUN message, perhaps a signed one."""
    how = script.byte()
    if how & 3 == 0:
        return script.piece()
    content = b""
    if how & 4:
        # What a check of a dialer has to have.
        content += (
            struct.pack("!HH", 0x0006, len(_USERNAME)) + _USERNAME + bytes(-len(_USERNAME) % 4)
        )
        content += b"\0\x24\0\4\x6e\0\1\xff\x80\x2a\0\x08" + bytes(8)
    for _ in range(script.byte() & 31):
        kind, size = _ATTRIBUTES[script.byte() % len(_ATTRIBUTES)], script.byte()
        value = script.take(size)
        said = size if how & 8 else len(value)
        content += struct.pack("!HH", kind, said) + value + bytes(-len(value) % 4)
    kind = _KINDS[script.byte() % len(_KINDS)]
    transaction = _TRANSACTION if how & 16 else script.take(12).ljust(12, b"\0")
    return _signed(kind, transaction, content) if how & 32 else _message(kind, transaction, content)


def _message(kind: int, transaction: bytes, content: bytes, more: int = 0) -> bytes:
    head = struct.pack("!HHI", kind, (len(content) + more) & 0xFFFF, 0x2112A442)
    return head + transaction + content


def _signed(kind: int, transaction: bytes, content: bytes) -> bytes:
    """Return an authentic message, as `integrity` wants it."""
    digest = hmac.digest(_KEY, _message(kind, transaction, content, 24), "sha1")
    content += b"\0\x08\0\x14" + digest
    crc = zlib.crc32(_message(kind, transaction, content, 8)) ^ 0x5354554E
    return _message(kind, transaction, content + b"\x80\x28\0\4" + crc.to_bytes(4))


def messages(data: bytes) -> None:
    """Read a datagram by each of the functions that look at one."""
    datagram = _datagram(Script(data))
    stun.is_binding_request(datagram)
    stun.mapped_address(datagram, datagram[8:20])
    integrity.is_error(datagram)
    bounded = integrity.is_bounded(datagram)
    if integrity.is_authentic(datagram, _KEY):
        assert integrity.is_signed(datagram)
    message = checks.parse_answer(datagram)
    assert message is None or bounded
    for role in ("ICE-CONTROLLING", "ICE-CONTROLLED"):
        checks.parse_request(datagram, role)
    check = checks.parse_check(datagram)
    if check is not None:
        for refusal in Refusal:
            assert len(checks.refuse(check, refusal, "password")) <= len(datagram)


class _Port(UdpPort):
    """A port without sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def send(self, data: bytes, target: Address, origin: Origin | None = None) -> None:
        """Count it."""
        self.sent += len(data)

    def reply(self, data: bytes, source: Address) -> None:
        """Count it."""
        self.sent += len(data)


def listener(data: bytes) -> None:
    """Let a listener whose code has expired hear datagrams: it answers, and lets none in."""
    asyncio.run(_listen(Script(data)))


async def _listen(script: Script) -> None:
    port = _Port()
    made: Any = None
    hears: Listener[Any] = Listener(
        port, certificate=made, password=_KEY.decode(), make=made, stun_servers=[_SERVER]
    )
    hears._loaded = True
    hears._refusal = Refusal.EXPIRED
    future: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
    hears.mapped._transactions[_TRANSACTION] = (_SERVER, future)
    hears.mapped._kept[bytes(12)] = _SERVER
    hears.mapped._origins[_SERVER] = False
    for number in range(50):
        if not script:
            break
        datagram = _datagram(script)
        before = port.sent
        port.unknown(datagram, _SERVER if script.byte() & 1 else ("203.0.113.2", number + 1))
        assert port.sent - before <= len(datagram), "an answer longer than the question"
    assert not hears._dials
    future.cancel()


class _Ice:
    """What hears what a `JudgedProtocol` lets through."""

    remote_password = _KEY.decode()

    def data_received(self, data: bytes, component: int) -> None:
        """Hear a datagram of the peer."""
        assert 20 <= data[0] <= 63

    def request_received(self, message: Message, source: Address, protocol: object) -> None:
        """Hear a check of the peer."""
        assert "USERNAME" in message.attributes


class _Transaction:
    """A request of ours that waits for its answer."""

    def response_received(self, message: Message, source: Address) -> None:
        """Hear the answer."""
        assert message.transaction_id == _TRANSACTION


def answers(data: bytes) -> None:
    """Let what is between a port and ICE hear datagrams of a known source."""
    asyncio.run(_answer(Script(data)))


async def _answer(script: Script) -> None:
    gate, now = Gate(SeenChecks(), 200), asyncio.get_running_loop().time
    rejected: list[int] = []

    def judge(data: bytes, source: Address) -> Message | None:
        if not integrity.is_authentic(data, _KEY) or not gate.admits(data, source, now()):
            return None
        return checks.parse_request(data, "ICE-CONTROLLING")

    ice: Any = _Ice()
    protocol = private.JudgedProtocol(ice, judge, rejected.append)
    waiting: Any = _Transaction()
    protocol.transactions[_TRANSACTION] = waiting
    for _ in range(50):
        if not script:
            break
        protocol.datagram_received(_datagram(script), _PEER)


def records(data: bytes) -> None:
    """Sort datagrams that are said to be DTLS: none is lost, and none is put before another."""
    script = Script(data)
    arrived = []
    while script:
        how = script.byte()
        content = script.piece()
        if how & 1:
            kind = bytes([20 + (how >> 1 & 3)])
            size = len(content) + (how >> 3 & 1)
            content = kind + b"\xfe\xfd\0\1" + bytes(6) + (size & 0xFFFF).to_bytes(2) + content
        arrived.append(content)
    joined = list(_joined(arrived))
    assert b"".join(joined) == b"".join(arrived)
    sound = [d for d in arrived if len(d) > 13 and len(d) == 13 + int.from_bytes(d[11:13])]
    if len(sound) == len(arrived):
        assert [r for records in joined for r in _split(records)] == sound
