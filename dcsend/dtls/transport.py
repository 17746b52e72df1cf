"""DTLS: aiortc's transport for the handshake and the end, own code for the packets in between.

Several packets at a time are encrypted or decrypted, through private names of aiortc and pyOpenSSL.
Of a packet of 1200 bytes, `recv(2048)` of pyOpenSSL takes 1.6 to 2.3 times as long as `SSL_read`
into a buffer of the connection, decryption included (2026-11-29, Python 3.11).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from aiortc import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport, RTCIceTransport
from aiortc.rtcdtlstransport import State as DtlsState
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import _util

from dcsend.dtls.certificate import Certificate
from dcsend.ice.agent import FilteredStunProtocol, nominated
from dcsend.ice.connection import IceConnection
from dcsend.net.segmentation import BURST

__all__ = [
    *("DtlsTransport", "dtls_transport", "join_records", "peer_certificate_differs"),
    "split_records",
]

logger = logging.getLogger(__name__)

_RECORDS: Final = 65_536
"Bytes of records that are read from OpenSSL at once; a burst has fewer."
_MAX_BURST: Final = _RECORDS - BURST * 64
"Bytes of packets whose records have at most `_RECORDS` bytes."
_RECORD_HEADER: Final = 13
"Bytes; the last two are the length of the rest (RFC 6347, 4.1)."
_READ_AHEAD: Final = 16_384
"Bytes that OpenSSL reads at once from its input, and a little more."
_MAX_PACKET: Final = 16_384
"Bytes of the content of a DTLS record, at most (RFC 6347, 4.1)."
_SSL: Final = _util.lib
_FFI: Final = _util.ffi
_TYPES: Final = (20, 21, 22, 23)
"Content types of DTLS 1.2 (RFC 6347, 4.3.1)."
_APPLICATION_DATA: Final = 23
_VERSION: Final = b"\xfe\xfd"
_DTLS_1_2: Final = 0xFEFD
_PROTECTED: Final = b"\xfe\xfd\0\1"
"Version and epoch of each record of DTLS 1.2 after the handshake: there is no renegotiation."


class DtlsTransport(RTCDtlsTransport):
    """Encrypts and decrypts many packets at a time, without a task or a queue for each.

    aiortc's loop performs the handshake and detects the end. In between, datagrams go from the
    callback of the socket to the receiver of `attach` within one turn of the event loop. Packets
    that can't be sent are lost, as with UDP.
    """

    def __init__(
        self, connection: IceConnection, ice: RTCIceTransport, certificate: Certificate
    ) -> None:
        super().__init__(ice, [RTCCertificate(key=certificate.key, cert=certificate.x509)])
        self._connection = connection
        self._receiver: Callable[[list[bytes]], None] | None = None
        # For each connection: OpenSSL writes to them without the interpreter lock.
        self._packet = _FFI.new("char[]", _MAX_PACKET)
        self._records = _FFI.new("char[]", _RECORDS)
        self._is_dtls_1_2 = False
        self._datagrams: list[bytes] = []
        "Datagrams that have arrived in this turn of the event loop."
        self._sending: asyncio.Handle | None = None
        self.is_closed_by_peer = False
        "Whether close_notify of the peer has arrived."
        self._is_starting = False
        self._is_stopped = False
        self.on("statechange", self._note_state)

    @property
    def peer_certificate(self) -> x509.Certificate | None:
        """The certificate that the peer has presented; None before it has, and after the end."""
        return self._ssl.get_peer_certificate(as_cryptography=True) if self._ssl else None

    def _note_state(self) -> None:
        logger.debug("DTLS is %s", self.state)
        if self._state is DtlsState.CLOSED:
            self._free()

    def _free(self) -> None:
        """Free what OpenSSL holds: up to 250 KB that the garbage collector does not count.

        Otherwise a receiver that stays holds those of hundreds of connections and failed handshakes
        until the next collection.
        """
        self._ssl = None
        self._packet = self._records = _FFI.NULL

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:  # noqa: N803 - of aiortc
        """Perform the handshake; the state shows its result."""
        self._is_starting = True
        try:
            await super().start(remoteParameters)
        finally:
            self._is_starting = False
            if self._is_stopped:
                self._free_unconnected()

    async def stop(self) -> None:
        """Send close_notify, after all packets."""
        self._send_records()
        await super().stop()
        self._send_records()
        self._is_stopped = True
        if not self._is_starting:
            self._free_unconnected()

    def _free_unconnected(self) -> None:
        """Free it after a handshake that has failed, was ended, or has not begun.

        The loop of a connected transport uses it until the state is CLOSED.
        """
        if self._state is not DtlsState.CONNECTED:
            self._free()

    async def _write_ssl(self) -> None:
        """Send what OpenSSL has written: at once in the handshake, later with the packets."""
        if self._state is not DtlsState.CONNECTED:
            await super()._write_ssl()
        elif self._sending is None:
            self._sending = asyncio.get_running_loop().call_soon(self._send_records)

    def _send_records(self) -> None:
        """Send the records that OpenSSL has written."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        pair = nominated(self._connection)
        if self._ssl is None or pair is None:
            return
        size = _SSL.BIO_read(self._ssl._from_ssl, self._records, _RECORDS)
        if size > 0:
            records = split_records(_FFI.buffer(self._records, size)[:])
            cast(FilteredStunProtocol, pair.protocol).send_all(records, pair.remote_addr)
        else:
            _SSL.ERR_clear_error()

    def attach(self, receiver: Callable[[list[bytes]], None]) -> None:
        """Pass the packets of each turn of the event loop to *receiver*, in order, from now on."""
        self._receiver = receiver
        # aiortc's loop passes what it takes from aioice's queue to `_handle_data`.
        self._register_data_receiver(self)
        self._connection.pass_to(self._received)
        if self._ssl is not None:
            self._is_dtls_1_2 = self._ssl.get_protocol_version() == _DTLS_1_2
            version, cipher = self._ssl.get_protocol_version_name(), self._ssl.get_cipher_name()
            logger.debug("packets are exchanged over %s with %s", version, cipher)

    async def _handle_data(self, data: bytes) -> None:
        self._count_arrived(1)
        if self._receiver is not None:
            self._receiver([data])

    def _received(self, data: bytes) -> None:
        """Store a datagram until all of this turn have been read."""
        if self._is_dtls_1_2 and (data[0] not in _TYPES or data[1:3] != _VERSION):
            return  # OpenSSL would discard it
        if not self._datagrams:
            asyncio.get_running_loop().call_soon(self._decrypt)
        self._datagrams.append(data)

    def _decrypt(self) -> None:
        datagrams, self._datagrams = self._datagrams, []
        if self._ssl is None or self._receiver is None:
            return
        ssl = self._ssl._ssl
        packets: list[bytes] = []
        is_closed = False
        for records in join_records(datagrams):
            self._ssl.bio_write(records)
            while (size := _SSL.SSL_read(ssl, self._packet, _MAX_PACKET)) > 0:
                packets.append(_FFI.buffer(self._packet, size)[:])
            if _SSL.SSL_get_error(ssl, size) == _SSL.SSL_ERROR_ZERO_RETURN:
                is_closed = True
            _SSL.ERR_clear_error()
        if packets:
            self._count_arrived(len(packets))
            self._receiver(packets)
        if any(data[0] != _APPLICATION_DATA for data in datagrams):
            self._send_records()  # the last flight of the handshake, retransmitted
        if is_closed:
            logger.debug("the peer has sent close_notify")
            self.is_closed_by_peer = True
            self._connection.pass_to(None)
            self._connection.end_queue()

    def _count_arrived(self, count: int) -> None:
        """Count authentic packets, which show that the peer is reachable."""
        pair = nominated(self._connection)
        if pair is not None:
            cast(FilteredStunProtocol, pair.protocol).count_arrived(count)

    def send_packets(self, packets: Sequence[bytes]) -> None:
        """Encrypt and send packets of at most 16 KiB each."""
        if self._state is not DtlsState.CONNECTED or self._ssl is None:
            return
        ssl = self._ssl._ssl
        count = size = 0
        for packet in packets:
            # Records are read at once: with a part of a record, `split_records` would fail.
            if count == BURST or size + len(packet) > _MAX_BURST:
                self._send_records()
                count = size = 0
            if _SSL.SSL_write(ssl, packet, len(packet)) <= 0:
                _SSL.ERR_clear_error()
            count += 1
            size += len(packet)
        self._send_records()


def join_records(datagrams: Sequence[bytes]) -> Iterator[bytes]:
    r"""Join datagrams of one record each into inputs that OpenSSL reads at once.

    OpenSSL reads as many bytes as its longest record has. It may skip a record of another type,
    version or epoch without regard to its length, and take what follows for the next header. So
    only records whose length it evaluates are joined. All others may be forged; they are passed on
    alone, so that they do not affect the datagrams after them.

    >>> record = b"\x17\xfe\xfd\0\1" + bytes(7) + b"\1a"
    >>> [len(records) for records in join_records([record, record, b"junk", record])]
    [28, 4, 14]
    """
    joined: list[bytes] = []
    size = 0
    for data in datagrams:
        is_record = (
            len(data) > _RECORD_HEADER
            and data[0] in _TYPES
            and data[1:5] == _PROTECTED
            and len(data) == _RECORD_HEADER + (data[11] << 8 | data[12])
        )
        if joined and (not is_record or size + len(data) > _READ_AHEAD):
            yield b"".join(joined)
            joined, size = [], 0
        if not is_record:
            yield data
            continue
        joined.append(data)
        size += len(data)
    if joined:
        yield b"".join(joined)


def split_records(records: bytes) -> list[bytes]:
    r"""Split the output of OpenSSL into its records (RFC 6347, 4.1), each for one datagram.

    >>> [len(record) for record in split_records(bytes(12) + b"\1a" + bytes(12) + b"\2bc")]
    [14, 15]
    """
    split = []
    start = 0
    while start < len(records):
        end = start + _RECORD_HEADER + (records[start + 11] << 8 | records[start + 12])
        split.append(records[start:end])
        start = end
    return split


def dtls_transport(
    connection: IceConnection, ice: RTCIceTransport, certificate: Certificate, *, server: bool
) -> DtlsTransport:
    """Return the DTLS transport over *ice*, the ORTC object of *connection*.

    Args:
        connection: the ICE connection.
        ice: of `ice.agent.ice_transport`.
        certificate: ours.
        server: whether the peer starts the handshake: true for the listener (`a=setup:passive`).
    """
    dtls = DtlsTransport(connection, ice, certificate)
    dtls._set_role("server" if server else "client")
    return dtls


def peer_certificate_differs(dtls: DtlsTransport, fingerprint: bytes) -> bool:
    """Return whether the peer has sent a certificate with another SHA-256 fingerprint."""
    certificate = dtls.peer_certificate
    return certificate is not None and certificate.fingerprint(hashes.SHA256()) != fingerprint
