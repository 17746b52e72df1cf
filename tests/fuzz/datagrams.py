"""Datagrams from any source: STUN before and after authentication, and DTLS."""

from __future__ import annotations

import asyncio
import hmac
import socket
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

from aioice.stun import Message

from dcsend.dtls.transport import join_records, split_records
from dcsend.ice import agent, checks, integrity, stun
from dcsend.ice.checks import Refusal
from dcsend.ice.rate_limits import ReplayCache, RequestLimiter
from dcsend.ice.stun import MappedAddresses
from dcsend.net.address import Address
from dcsend.net.source_address import LocalAddress
from dcsend.net.udp import UdpPort
from dcsend.peers.listener import Listener
from dcsend.peers.loading import load_aiortc
from tests.fuzz.script import Script
from tests.ice.test_stun import response

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


def _datagram(script: Script, transactions: Sequence[bytes] = (_TRANSACTION,)) -> bytes:
    """Return a datagram: anything, or a STUN message, perhaps a signed one.

    Args:
        script: chooses.
        transactions: ids of requests that were sent; a message may be the response.
    """
    how = script.byte()
    if how & 3 == 0:
        return script.piece()
    content = b""
    if how & 4:
        # The attributes of a check by a dialer.
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
    known = transactions[-1 if how & 64 else 0]
    transaction = known if how & 16 else script.take(12).ljust(12, b"\0")
    return _signed(kind, transaction, content) if how & 32 else _message(kind, transaction, content)


def _message(kind: int, transaction: bytes, content: bytes, more: int = 0) -> bytes:
    head = struct.pack("!HHI", kind, (len(content) + more) & 0xFFFF, 0x2112A442)
    return head + transaction + content


def _signed(kind: int, transaction: bytes, content: bytes) -> bytes:
    """Return a message with MESSAGE-INTEGRITY as `integrity` selects."""
    digest = hmac.digest(_KEY, _message(kind, transaction, content, 24), "sha1")
    content += b"\0\x08\0\x14" + digest
    crc = zlib.crc32(_message(kind, transaction, content, 8)) ^ 0x5354554E
    return _message(kind, transaction, content + b"\x80\x28\0\4" + crc.to_bytes(4))


def messages(data: bytes) -> None:
    """Parse a datagram with each function that parses one."""
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
        self.requests: list[bytes] = []
        "Sent to the STUN server."

    @property
    def families(self) -> frozenset[socket.AddressFamily]:
        """That of the server."""
        return frozenset({socket.AF_INET})

    def send(self, data: bytes, target: Address, local: LocalAddress | None = None) -> None:
        """Count it."""
        self.sent += len(data)
        if target == _SERVER:
            self.requests.append(data)

    def reply(self, data: bytes, source: Address) -> None:
        """Count it."""
        self.sent += len(data)


def listener(data: bytes) -> None:
    """Give datagrams to a listener whose code has expired: it responds, and accepts none."""
    asyncio.run(_listen(Script(data)))


async def _as_it_is(server: Address) -> list[Address]:
    return [server]


async def _turns() -> None:
    """Let the tasks that were started send their requests."""
    for _ in range(10):
        await asyncio.sleep(0)


async def _listen(script: Script) -> None:
    port = _Port()
    made: Any = None
    expired: Listener[Any] = Listener(port, certificate=made, password=_KEY.decode(), make=made)
    expired.mapped = MappedAddresses(port, [_SERVER], resolve=_as_it_is)
    await load_aiortc()
    accepting = asyncio.create_task(expired.accept())
    await asyncio.sleep(0)  # the turn in which it begins
    await expired.expire()
    query = asyncio.create_task(expired.mapped.query(60))
    await _turns()
    port.unknown(response(port.requests[0]), _SERVER)
    await query
    # A request to the server whose response is awaited, and one of a keep-alive.
    survey = asyncio.create_task(expired.mapped.survey(60))
    await _turns()
    expired.mapped.keep_alive()
    _, *unanswered = port.requests
    transactions = [request[8:20] for request in unanswered]
    assert len(transactions) == 2
    for number in range(50):
        if not script:
            break
        datagram = _datagram(script, transactions)
        before = port.sent
        port.unknown(datagram, _SERVER if script.byte() & 1 else ("203.0.113.2", number + 1))
        assert port.sent - before <= len(datagram), "an answer longer than the question"
    assert not expired.dials
    for task in (accepting, survey):
        task.cancel()
    await asyncio.wait({accepting, survey})


class _Ice:
    """The receiver of what a `FilteredStunProtocol` accepts."""

    remote_password = _KEY.decode()

    def data_received(self, data: bytes, component: int) -> None:
        """Accept a datagram of the peer."""
        assert 20 <= data[0] <= 63

    def request_received(self, message: Message, source: Address, protocol: object) -> None:
        """Accept a check of the peer."""
        assert "USERNAME" in message.attributes


class _Transaction:
    """A request that waits for its response."""

    def response_received(self, message: Message, source: Address) -> None:
        """Accept the response."""
        assert message.transaction_id == _TRANSACTION


def answers(data: bytes) -> None:
    """Give datagrams of a known source to the filter between a port and ICE."""
    asyncio.run(_answer(Script(data)))


async def _answer(script: Script) -> None:
    limiter, now = RequestLimiter(ReplayCache(), 200), asyncio.get_running_loop().time
    rejected: list[int] = []

    def validate(data: bytes, source: Address) -> Message | None:
        if not integrity.is_authentic(data, _KEY) or not limiter.admits(data, source, now()):
            return None
        return checks.parse_request(data, "ICE-CONTROLLING")

    ice: Any = _Ice()
    protocol = agent.FilteredStunProtocol(ice, validate, rejected.append)
    waiting: Any = _Transaction()
    protocol.transactions[_TRANSACTION] = waiting
    for _ in range(50):
        if not script:
            break
        protocol.datagram_received(_datagram(script), _PEER)


def records(data: bytes) -> None:
    """Sort datagrams as DTLS: none is lost, and their order is kept."""
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
    joined = list(join_records(arrived))
    assert b"".join(joined) == b"".join(arrived)
    sound = [d for d in arrived if len(d) > 13 and len(d) == 13 + int.from_bytes(d[11:13])]
    if len(sound) == len(arrived):
        assert [r for records in joined for r in split_records(records)] == sound
