"""DTLS for many packets at a time: aiortc's transport, with its handshake and its end.

With `private` and `stock` the only users of private names of aiortc and pyOpenSSL.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceTransport
from aiortc.rtcdtlstransport import State as DtlsState
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL, _util

from dcsend.engines.certificate import Certificate
from dcsend.engines.ice import IceConnection
from dcsend.engines.private import JudgedProtocol, nominated
from dcsend.engines.segmentation import BURST

__all__ = ["Dtls", "dtls_transport", "peer_certificate_differs"]

_RECORDS: Final = 65_536
"Bytes read at once of what OpenSSL has written; more than a burst has."
_MAX_BURST: Final = _RECORDS - BURST * 64
"Bytes of packets that become so many bytes of records."
_RECORD_HEADER: Final = 13
"Bytes; the length of the rest is in the last two (RFC 6347, 4.1)."
_READ_AHEAD: Final = 16_384
"Bytes that OpenSSL reads at once from where datagrams are put for it, and a little more."
_MAX_PACKET: Final = 16_384
"Bytes of the longest packet that a DTLS record can have (RFC 6347, 4.1)."
_SSL: Final = _util.lib
_FFI: Final = _util.ffi
_TYPES: Final = (20, 21, 22, 23)
"Content types of DTLS 1.2 (RFC 6347, 4.3.1)."
_APPLICATION_DATA: Final = 23
_VERSION: Final = b"\xfe\xfd"
_DTLS_1_2: Final = 0xFEFD
_PROTECTED: Final = b"\xfe\xfd\0\1"
"Version and epoch of every record of DTLS 1.2 once the handshake is over: there is no new one."


class Dtls(RTCDtlsTransport):
    """Encrypts and decrypts many packets at a time, without a task or a queue for each.

    aiortc's own loop makes the handshake, and notices the end. In between, what arrives goes from
    the socket's callback to `attach`'s receiver in the same turn of the loop. Loses what can't be
    sent, as UDP does.
    """

    def __init__(
        self, connection: IceConnection, ice: RTCIceTransport, certificate: Certificate
    ) -> None:
        super().__init__(ice, [RTCCertificate(key=certificate.key, cert=certificate.x509)])
        self._connection = connection
        self._receiver: Callable[[list[bytes]], None] | None = None
        # One for each connection: the interpreter lock is released while OpenSSL writes to it.
        self._packet = _FFI.new("char[]", _MAX_PACKET)
        "Where OpenSSL puts a packet. pyOpenSSL allocates this much anew for each one."
        self._records = _FFI.new("char[]", _RECORDS)
        "Where OpenSSL puts records. pyOpenSSL allocates this much anew, too."
        self._is_dtls_1_2 = False
        self._arrived: list[bytes] = []
        "Datagrams of this turn of the loop."
        self._gathered = 0
        "Packets that OpenSSL has encrypted and nobody has taken yet."
        self._sending: asyncio.Handle | None = None

    # aiortc's SCTP, packet by packet

    async def stop(self) -> None:
        """Say goodbye to the peer; nothing is held back before or after it."""
        self._send_records()
        await super().stop()
        self._send_records()

    async def _send_data(self, data: bytes) -> None:
        # Not by `state`, which makes a string: this runs for each packet.
        if self._state is not DtlsState.CONNECTED or self._ssl is None:
            return
        with contextlib.suppress(SSL.Error):
            self._ssl.send(data)
        self._gathered += 1
        if self._gathered >= BURST:
            self._send_records()
        elif self._sending is None:
            self._sending = asyncio.get_running_loop().call_soon(self._send_records)

    async def _write_ssl(self) -> None:
        """Let out what OpenSSL has to say: at once in a handshake, else with the packets."""
        if self._state is not DtlsState.CONNECTED:
            await super()._write_ssl()
        elif self._sending is None:
            self._sending = asyncio.get_running_loop().call_soon(self._send_records)

    def _send_records(self) -> None:
        """Send what was gathered."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        self._gathered = 0
        pair = nominated(self._connection)
        if self._ssl is None or pair is None:
            return
        size = _SSL.BIO_read(self._ssl._from_ssl, self._records, _RECORDS)
        if size > 0:
            records = _split(_FFI.buffer(self._records, size)[:])
            cast(JudgedProtocol, pair.protocol).send_all(records, pair.remote_addr)
        else:
            _SSL.ERR_clear_error()

    # Our SCTP, all packets of a turn

    def attach(self, receiver: Callable[[list[bytes]], None]) -> None:
        """Give *receiver* the packets of each turn of the loop, in order, from now on."""
        self._receiver = receiver
        # What aiortc's loop has taken or will take from aioice's queue comes by `_handle_data`.
        self._register_data_receiver(self)
        self._connection.direct = self._datagram
        if self._ssl is not None:
            self._is_dtls_1_2 = self._ssl.get_protocol_version() == _DTLS_1_2

    async def _handle_data(self, data: bytes) -> None:
        self._note_life(1)
        if self._receiver is not None:
            self._receiver([data])

    def _datagram(self, data: bytes) -> None:
        if self._is_dtls_1_2 and (data[0] not in _TYPES or data[1:3] != _VERSION):
            return  # OpenSSL would drop it
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._decrypt)
        self._arrived.append(data)

    def _decrypt(self) -> None:
        arrived, self._arrived = self._arrived, []
        if self._ssl is None or self._receiver is None:
            return
        ssl = self._ssl._ssl
        packets: list[bytes] = []
        alive = True
        for records in _joined(arrived):
            self._ssl.bio_write(records)
            while (size := _SSL.SSL_read(ssl, self._packet, _MAX_PACKET)) > 0:
                packets.append(_FFI.buffer(self._packet, size)[:])
            if _SSL.SSL_get_error(ssl, size) == _SSL.SSL_ERROR_ZERO_RETURN:
                alive = False
            _SSL.ERR_clear_error()
        if packets:
            self._note_life(len(packets))
            self._receiver(packets)
        if any(data[0] != _APPLICATION_DATA for data in arrived):
            self._send_records()  # a handshake's last flight, asked for again
        if not alive:
            self._connection.direct = None
            self._connection.farewell()

    def _note_life(self, count: int) -> None:
        """Note that *count* packets were authentic."""
        pair = nominated(self._connection)
        if pair is not None:
            cast(JudgedProtocol, pair.protocol).arrived += count

    def send_packets(self, packets: Sequence[bytes]) -> None:
        """Encrypt and send."""
        if self._state is not DtlsState.CONNECTED or self._ssl is None:
            return
        ssl = self._ssl._ssl
        count = size = 0
        for packet in packets:
            # All of it must be read at once: half a record would spoil those behind it.
            if count == BURST or size + len(packet) > _MAX_BURST:
                self._send_records()
                count = size = 0
            if _SSL.SSL_write(ssl, packet, len(packet)) <= 0:
                _SSL.ERR_clear_error()
            count += 1
            size += len(packet)
        self._send_records()


def _joined(datagrams: Sequence[bytes]) -> Iterator[bytes]:
    r"""Join datagrams of one record each into what OpenSSL reads at once.

    It looks at as many bytes as its longest record has. A record of another type, version or epoch
    it may pass over without looking for its end; it takes what follows for the next header. So only
    records that it looks for the end of are joined. All others, which anybody could have sent, are
    left alone, and harm nothing that comes after them.

    >>> record = b"\x17\xfe\xfd\0\1" + bytes(7) + b"\1a"
    >>> [len(records) for records in _joined([record, record, b"junk", record])]
    [28, 4, 14]
    """
    batch: list[bytes] = []
    size = 0
    for data in datagrams:
        sound = (
            len(data) > _RECORD_HEADER
            and data[0] in _TYPES
            and data[1:5] == _PROTECTED
            and len(data) == _RECORD_HEADER + (data[11] << 8 | data[12])
        )
        if batch and (not sound or size + len(data) > _READ_AHEAD):
            yield b"".join(batch)
            batch, size = [], 0
        if not sound:
            yield data
            continue
        batch.append(data)
        size += len(data)
    if batch:
        yield b"".join(batch)


def _split(records: bytes) -> list[bytes]:
    r"""Cut what OpenSSL has written into its records (RFC 6347, 4.1), a datagram each.

    >>> [len(record) for record in _split(bytes(12) + b"\1a" + bytes(12) + b"\2bc")]
    [14, 15]
    """
    cut = []
    start = 0
    while start < len(records):
        end = start + _RECORD_HEADER + (records[start + 11] << 8 | records[start + 12])
        cut.append(records[start:end])
        start = end
    return cut


def dtls_transport(
    connection: IceConnection, ice: RTCIceTransport, certificate: Certificate, *, server: bool
) -> Dtls:
    """Return the DTLS transport over *ice*, which was made of *connection*.

    The listener is always the server (`a=setup:passive`), and so is who answers an offer.
    """
    dtls = Dtls(connection, ice, certificate)
    dtls._set_role("server" if server else "client")
    return dtls


def peer_certificate_differs(dtls: RTCDtlsTransport, fingerprint: bytes) -> bool:
    """Tell whether the handshake got as far as a certificate, and it was another one."""
    certificate = dtls._ssl.get_peer_certificate(as_cryptography=True) if dtls._ssl else None
    return certificate is not None and certificate.fingerprint(hashes.SHA256()) != fingerprint
