"""Records that `DtlsTransport` reads: forged ones affect no others; connections are separate."""

from __future__ import annotations

import asyncio
import gc
import struct
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dcsend.dtls.certificate import Certificate
from dcsend.dtls.transport import join_records
from dcsend.errors import ConnectionFailed
from dcsend.ice.connection import IceConnection
from dcsend.net.address import Address
from dcsend.net.segmentation import BURST
from dcsend.peers.loading import transfer_peer
from dcsend.peers.peer import ConnectionRole
from dcsend.peers.sctp_transport import SctpTransport
from dcsend.peers.transfer import TransferConnection
from tests.support.peers import HalfOpen, NotingConnection, Relay, published, transfer, until

PATIENCE: Final = 20.0
"Seconds; consent expires after 30."
OVERHEAD: Final = 13 + 8 + 16
"Bytes of a record besides its content, with AES-GCM (RFC 5288)."
SEQUENCE: Final = b"\0\0\0\0\xff\xff"
"Further on than any record of these tests."


GENUINE: Final = b"genuine %06d"
"A packet of the peer; SCTP has none of such a length, which is no multiple of four."


class Ends:
    """A dialer that encrypts, and a listener that reads what a test gives it."""

    def __init__(
        self, dialer: TransferConnection, listener: NotingConnection, relay: Relay
    ) -> None:
        self.dialer = dialer
        self.listener = listener
        self._relay = relay
        self._count = 0

    async def encrypted(self, packets: Sequence[bytes]) -> list[bytes]:
        """Return the records in which the dialer sends *packets*, of one length; none arrives."""
        records: list[bytes] = []

        def passes(data: bytes) -> bool:
            if len(data) != len(packets[0]) + OVERHEAD:
                return True
            records.append(data)
            return False

        self._relay.passes = passes
        for start in range(0, len(packets), BURST):
            some = packets[start : start + BURST]
            self.dialer.dtls.send_packets(some)
            end = start + len(some)
            await until(lambda end=end: len(records) == end)  # type: ignore[misc]
        return records

    async def genuine(self, count: int) -> list[bytes]:
        """Return records that are the peer's."""
        numbers = range(self._count, self._count + count)
        self._count += count
        return await self.encrypted([GENUINE % number for number in numbers])

    async def arrive(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """Let datagrams arrive in one turn of the loop; return the packets in them."""
        before = len(self.listener.arrived)
        for datagram in datagrams:
            self.listener.ice.data_received(datagram, 1)
        await asyncio.sleep(0)  # the turn in which they are decrypted
        return self.listener.arrived[before:]

    async def arrive_genuine(self, datagrams: Sequence[bytes]) -> int:
        """Let datagrams arrive; return how many genuine packets are in them."""
        packets = await self.arrive(datagrams)
        return sum(packet.startswith(b"genuine ") for packet in packets)


@asynccontextmanager
async def connected() -> AsyncIterator[Ends]:
    """Connect a dialer and a listener over a relay."""
    async with published(NotingConnection) as here, Relay.open(here.number) as relay:
        dialer, listener = await here.pair_over(relay)
        assert isinstance(listener, NotingConnection)
        yield Ends(dialer, listener, relay)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with connected() as made:
        yield made


# The handshake, as it is on the path

SUITES: Final = {0xC02B, 0xC02C, 0xCCA9, 0xC023, 0xC024, 0xC009, 0xC00A, 0xC0AC, 0xC0AD}
"ECDHE_ECDSA with AES or ChaCha20 (RFC 5289, RFC 7905, RFC 8422, RFC 7251)."
OF_TLS_1_3: Final = {0x1301, 0x1302, 0x1303, 0x00FF}
"Suites of TLS 1.3 (RFC 8446), and the value that signals secure renegotiation (RFC 5746)."
PROFILES: Final = {0x0001, 0x0007, 0x0008}
"SRTP_AES128_CM_HMAC_SHA1_80 (RFC 5764) and the two with AES-GCM (RFC 7714)."
USE_SRTP: Final = 14


def vector(data: bytes, head: int) -> tuple[bytes, bytes]:
    """Return a vector whose length has *head* bytes (RFC 5246, 4.3), and what follows it."""
    end = head + int.from_bytes(data[:head])
    return data[head:end], data[end:]


def numbers(data: bytes) -> list[int]:
    """Return the 16-bit numbers in *data*."""
    return [number for (number,) in struct.iter_unpack("!H", data)]


def srtp_profiles(extensions: bytes) -> list[int]:
    """Return the profiles of use_srtp (RFC 5764, 4.1.1)."""
    while extensions:
        kind, size = struct.unpack_from("!HH", extensions)
        if kind == USE_SRTP:
            return numbers(vector(extensions[4:], 2)[0])
        extensions = extensions[4 + size :]
    return []


async def test_dtls_has_the_version_suites_and_profile_of_protocol_md() -> None:
    hellos: dict[int, bytes] = {}

    def note(data: bytes) -> bool:
        if data[0] == 22 and data[3:5] == b"\0\0" and data[13] in {1, 2}:
            hellos[data[13]] = data[25 : 25 + int.from_bytes(data[14:17])]
        return True

    async with published(NotingConnection) as here, Relay.open(here.number) as relay:
        relay.passes = note
        for connection in await here.pair_over(relay):
            certificate = connection.dtls.peer_certificate
            assert certificate is not None
            key = certificate.public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            assert key.curve.name == "secp256r1"
    client, server = hellos[1], hellos[2]
    assert client[:2] == server[:2] == b"\xfe\xfd"
    _, rest = vector(client[34:], 1)  # session id
    _, rest = vector(rest, 1)  # cookie
    suites, rest = vector(rest, 2)
    _, rest = vector(rest, 1)  # compression methods
    offered, extensions = set(numbers(suites)), rest[2:]
    assert offered & SUITES
    assert offered <= SUITES | OF_TLS_1_3
    assert set(srtp_profiles(extensions)) & PROFILES
    _, rest = vector(server[34:], 1)  # session id
    assert int.from_bytes(rest[:2]) in SUITES
    assert set(srtp_profiles(rest[5:])) <= PROFILES
    assert srtp_profiles(rest[5:])


def record(
    body: bytes,
    *,
    kind: int = 23,
    version: int = 0xFEFD,
    epoch: int = 1,
    length: int | None = None,
) -> bytes:
    """Return a record that its sender has no key for."""
    size = len(body) if length is None else length
    return struct.pack("!BHH", kind, version, epoch) + SEQUENCE + struct.pack("!H", size) + body


HEADER: Final = record(b"", length=0x4000)
"A body that is the header of a record which never ends."


def forgeries() -> Iterator[bytes]:
    """Return datagrams of which each might make OpenSSL pass over what follows."""
    bodies = (HEADER, bytes(40), HEADER * 3)
    for body in bodies:
        yield from (record(body, kind=kind) for kind in range(20, 64))
        versions = (0x0101, 0x0303, 0xFEFF, 0xFEFC, 0xFEFE, 0, 0xFFFF)
        yield from (record(body, version=version) for version in versions)
        yield from (record(body, epoch=epoch) for epoch in (0, 2, 3, 0xFFFF))
        yield from (record(body, length=size) for size in (0, 1, 13, 39, 41, 0x4000, 0xFFFF))
        for kind in (20, 21, 22):
            yield from (record(body, kind=kind, epoch=epoch) for epoch in (0, 2))
            yield record(body, kind=kind, version=0xFEFF, epoch=0)
    yield from (record(bytes(size)) for size in (*range(40), 16_371, 16_384, 16_500, 18_500))
    yield record(b"") * 2 + HEADER
    yield record(bytes(40)) + HEADER
    yield record(bytes(40)) + record(bytes(5), version=0x0101) + HEADER
    yield record(b"\2\x28", kind=21, epoch=0)  # a fatal alert
    yield record(b"\1\0", kind=21, epoch=0)  # close_notify
    yield record(b"\2\x28", kind=21)
    yield record(b"\1", kind=20, epoch=0)  # ChangeCipherSpec
    yield record(bytes(12), kind=22, epoch=0)  # HelloRequest
    yield b"\x17"
    yield HEADER[:12]


@pytest.mark.parametrize("kind", [19, 24])
def test_record_of_another_type_is_joined_with_no_other(kind: int) -> None:
    check_is_alone(record(bytes(40), kind=kind))


@pytest.mark.parametrize(("version", "epoch"), [(0xFEFF, 1), (0xFEFD, 0), (0xFEFD, 2)])
def test_record_of_another_version_or_epoch_is_joined_with_no_other(
    version: int, epoch: int
) -> None:
    check_is_alone(record(bytes(40), version=version, epoch=epoch))


@pytest.mark.parametrize("length", [0, 39, 41])
def test_record_with_another_length_than_its_datagram_is_joined_with_no_other(length: int) -> None:
    check_is_alone(record(bytes(40), length=length))


def test_record_without_content_is_joined_with_no_other() -> None:
    check_is_alone(record(b""))


def check_is_alone(alone: bytes) -> None:
    """Check that only the datagrams beside this one are joined."""
    good = record(bytes(40))
    assert list(join_records([good, good, alone, good, good])) == [good * 2, alone, good * 2]


async def test_forged_records_harm_none_that_come_with_them(ends: Ends) -> None:
    harmful = []
    for forged in forgeries():
        good = await ends.genuine(6)
        if await ends.arrive_genuine([*good[:2], forged, *good[2:4], forged, *good[4:]]) != 6:
            harmful.append(forged[:40].hex())
    assert not harmful
    await transfer(ends.dialer, ends.listener, 5)
    await transfer(ends.listener, ends.dialer, 5)


async def test_genuine_record_that_was_changed_harms_no_other(ends: Ends) -> None:
    harmful = []
    for position in range(40):
        (changed,) = await ends.genuine(1)
        for bit in (1, 128):
            forged = bytearray(changed)
            forged[position % len(changed)] ^= bit
            good = await ends.genuine(4)
            arriving = [bytes(forged), *good[:2], bytes(forged), *good[2:]]
            if await ends.arrive_genuine(arriving) != 4:
                harmful.append((position, bit))
    assert not harmful
    await transfer(ends.dialer, ends.listener, 5)


async def test_record_sent_twice_counts_once(ends: Ends) -> None:
    good = await ends.genuine(4)
    assert await ends.arrive_genuine([*good[:2], *good, *good]) == 4


async def test_packets_of_the_peer_are_signs_of_life_and_forged_ones_are_not(ends: Ends) -> None:
    ice = ends.listener.ice
    genuine = await ends.genuine(5)
    before = ice.arrived
    await ends.arrive([*forgeries()])
    assert ice.arrived == before
    assert await ends.arrive_genuine(genuine) == 5
    assert ice.arrived == before + 5


async def test_more_records_than_are_read_at_once_are_sent_whole(ends: Ends) -> None:
    packets = [bytes([number]) * 16_000 for number in range(5)]
    ends.dialer.dtls.send_packets(packets)

    def long() -> list[bytes]:
        return [packet for packet in ends.listener.arrived if len(packet) == len(packets[0])]

    await until(lambda: len(long()) == len(packets))
    assert long() == packets


# The begin and the end, over a path that loses datagrams


async def test_close_notify_alone_ends_the_connection() -> None:
    async with published() as here, Relay.open(here.number) as relay:
        dialer, accepted = await here.pair_over(relay)
        relay.passes = lambda data: data[0] != 23  # all that SCTP sends
        await accepted.close()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionFailed):
                await dialer.channels["text"].receive()


async def test_closed_connection_holds_no_memory_of_openssl_until_a_garbage_collection() -> None:
    async with published() as here:
        pair = await here.pair()
        held = [weakref.ref(one.dtls._ssl) for one in pair if one.dtls._ssl]
        assert len(held) == 2
        gc.disable()
        try:
            await asyncio.gather(*(one.close() for one in pair))
            await until(lambda: not any(one() for one in held))
        finally:
            gc.enable()


@pytest.mark.parametrize("fault", ["another certificate", "silent in the handshake"])
async def test_failed_handshake_holds_no_memory_of_openssl_until_a_garbage_collection(
    fault: str,
) -> None:
    held: list[weakref.ref[object]] = []

    def noting(
        ice: IceConnection, certificate: Certificate, role: ConnectionRole
    ) -> TransferConnection:
        one = transfer_peer(ice, certificate, role)

        def note() -> None:
            if one.dtls.state == "connecting":
                held.append(weakref.ref(one.dtls._ssl))

        one.dtls.on("statechange", note)
        return one

    half_open = HalfOpen()
    async with (
        published(noting, half_open=half_open) as here,
        Relay.open(here.number) as relay,
    ):
        announced = None
        if fault == "another certificate":
            announced = bytes(32)
        else:
            relay.passes = lambda data: data[0] < 20  # all but DTLS
        gc.disable()
        try:
            addresses = [(relay.outer.get_extra_info("sockname")[0], relay.port)]
            dialing = asyncio.create_task(here.dial(addresses=addresses, announced=announced))
            await until(lambda: bool(held))
            if announced is None:
                half_open.expire()
            await until(lambda: bool(here.errors))
            await until(lambda: held[0]() is None)
            dialing.cancel()
            await asyncio.wait({dialing})
        finally:
            gc.enable()
    assert ("certificate" in here.errors[0].message) == (announced is not None)


class PassiveTransport(SctpTransport):
    """An association that the peer begins."""

    async def start(self, max_message_size: int) -> None:
        """Receive packets; send none before the INIT of the peer."""
        self._channels.max_message_size = max_message_size
        self._dtls.attach(self._receive)


class PassiveConnection(TransferConnection):
    """A connection whose first packets of SCTP are responses."""

    transport_type = PassiveTransport


@pytest.mark.full
async def test_last_flight_is_sent_again_when_the_client_repeats_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With an INIT of its own, a listener would send the flight again.
    async with published(PassiveConnection) as here, Relay.open(here.number) as relay:
        pass_on, lost = relay.outer.sendto, list[bytes]()

        def lossy(data: bytes, target: Address) -> None:
            if data[0] == 20 and not lost:  # ChangeCipherSpec
                lost.append(data)
            else:
                pass_on(data, target)

        monkeypatch.setattr(relay.outer, "sendto", lossy)
        await here.pair_over(relay)
        assert lost


# Two connections in two threads: the interpreter lock is released while OpenSSL decrypts

PACKETS: Final = 3000


async def read_own(marker: int, together: threading.Barrier, wrong: list[int]) -> None:
    """Decrypt many packets at the time another thread does; note those that are not ours."""
    async with connected() as ends:
        content = bytes([marker]) * 1102
        records = await ends.encrypted([content] * PACKETS)
        together.wait(30)
        got: list[bytes] = []
        for start in range(0, PACKETS, 30):
            got += await ends.arrive(records[start : start + 30])
        wrong.append(sum(packet != content for packet in got if len(packet) == len(content)))
        assert len(got) >= PACKETS


def test_threads_do_not_read_each_others_packets() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    together, wrong = threading.Barrier(2), list[int]()
    threads = [
        threading.Thread(target=lambda m=marker: asyncio.run(read_own(m, together, wrong)))
        for marker in (1, 2)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == [0, 0]
