"""The private names of aiortc and aioice that are used: one test for each.

A failure means: the new version of the library moved or changed that name. Look into the
file that the message names.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aioice
import pytest
from aioice.ice import StunProtocol
from aioice.stun import Message
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import State as DtlsState
from aiortc.rtcsctptransport import DataChunk, InboundStream, SackChunk
from dcsend.engines.transmission import BriskSctp

import dcsend.engines
from dcsend.engines.certificate import Certificate

FOLDER: Final = Path(dcsend.engines.__file__).parent
PRIVATE: Final = "dcsend/engines/private.py"
ASSOCIATION: Final = "dcsend/engines/association.py"
TRANSMISSION: Final = "dcsend/engines/transmission.py"

Parameters = list[str]


class Library:
    """One of each object, made as the engines make them."""

    def __init__(self) -> None:
        certificate = Certificate.generate()
        self.connection = aioice.Connection(ice_controlling=False)
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.dtls = RTCDtlsTransport(
            self.ice, [RTCCertificate(key=certificate.key, cert=certificate.x509)]
        )
        self.sctp = RTCSctpTransport(self.dtls)
        self.protocol = StunProtocol(self.connection)


@pytest.fixture
async def library() -> Library:
    return Library()


# name, where it is used, how to reach it, its type
ATTRIBUTES: Final[list[tuple[str, str, Callable[[Library], Any], type]]] = [
    ("Connection._protocols", PRIVATE, lambda x: x.connection._protocols, list),
    ("Connection._local_candidates", PRIVATE, lambda x: x.connection._local_candidates, list),
    (
        "Connection._local_candidates_start",
        PRIVATE,
        lambda x: x.connection._local_candidates_start,
        bool,
    ),
    (
        "Connection._local_candidates_end",
        PRIVATE,
        lambda x: x.connection._local_candidates_end,
        bool,
    ),
    ("Connection._nominated", PRIVATE, lambda x: x.connection._nominated, dict),
    ("Connection._queue", PRIVATE, lambda x: x.connection._queue, asyncio.Queue),
    ("RTCIceGatherer._connection", PRIVATE, lambda x: x.gatherer._connection, aioice.Connection),
    ("RTCDtlsTransport._role", PRIVATE, lambda x: x.dtls._role, str),
    ("RTCDtlsTransport._ssl", PRIVATE, lambda x: x.dtls._ssl, type(None)),
    ("RTCDtlsTransport._state", PRIVATE, lambda x: x.dtls._state, DtlsState),
    ("RTCSctpTransport._srtt", PRIVATE, lambda x: x.sctp._srtt, type(None)),
    ("RTCSctpTransport._advertised_rwnd", ASSOCIATION, lambda x: x.sctp._advertised_rwnd, int),
    ("RTCSctpTransport._sack_misordered", ASSOCIATION, lambda x: x.sctp._sack_misordered, set),
    ("RTCSctpTransport._inbound_streams", ASSOCIATION, lambda x: x.sctp._inbound_streams, dict),
    (
        "RTCSctpTransport.State.CLOSED",
        ASSOCIATION,
        lambda x: x.sctp.State.CLOSED,
        RTCSctpTransport.State,
    ),
    ("InboundStream.reassembly", ASSOCIATION, lambda x: InboundStream().reassembly, list),
    ("SackChunk.gaps", ASSOCIATION, lambda x: SackChunk().gaps, list),
    ("DataChunk.stream_id", ASSOCIATION, lambda x: DataChunk().stream_id, int),
    *(
        (f"RTCSctpTransport.{name}", TRANSMISSION, lambda x, name=name: getattr(x.sctp, name), kind)
        for name, kind in (
            ("_cwnd", int),
            ("_data_channel_queue", deque),
            ("_fast_recovery_exit", type(None)),
            ("_flight_size", int),
            ("_forward_tsn_chunk", type(None)),
            ("_last_sacked_tsn", int),
            ("_local_tsn", int),
            ("_local_verification_tag", int),
            ("_outbound_queue", deque),
            ("_outbound_stream_seq", dict),
            ("_partial_bytes_acked", int),
            ("_rto", float),
            ("_rttvar", type(None)),
            ("_sent_queue", deque),
            ("_srtt", type(None)),
            ("_t3_handle", type(None)),
        )
    ),
    ("StunProtocol.transactions", PRIVATE, lambda x: x.protocol.transactions, dict),
    ("StunProtocol.receiver", PRIVATE, lambda x: x.protocol.receiver, aioice.Connection),
]

# name, where it is used, the method, its parameters, whether it is awaited
METHODS: Final[list[tuple[str, str, Callable[..., Any], Parameters, bool]]] = [
    (
        "Connection.request_received",
        PRIVATE,
        aioice.Connection.request_received,
        ["message", "addr", "protocol"],
        False,
    ),
    (
        "Connection.data_received",
        PRIVATE,
        aioice.Connection.data_received,
        ["data", "component"],
        False,
    ),
    ("RTCDtlsTransport._set_role", PRIVATE, RTCDtlsTransport._set_role, ["role"], False),
    ("RTCDtlsTransport._send_data", PRIVATE, RTCDtlsTransport._send_data, ["data"], True),
    ("RTCDtlsTransport._write_ssl", PRIVATE, RTCDtlsTransport._write_ssl, [], True),
    ("RTCSctpTransport._set_state", ASSOCIATION, RTCSctpTransport._set_state, ["state"], False),
    ("RTCSctpTransport._handle_data", ASSOCIATION, RTCSctpTransport._handle_data, ["data"], True),
    (
        "RTCSctpTransport._receive_data_chunk",
        ASSOCIATION,
        RTCSctpTransport._receive_data_chunk,
        ["chunk"],
        True,
    ),
    (
        "RTCSctpTransport._receive_sack_chunk",
        ASSOCIATION,
        RTCSctpTransport._receive_sack_chunk,
        ["chunk"],
        True,
    ),
    (
        "RTCSctpTransport._receive_forward_tsn_chunk",
        ASSOCIATION,
        RTCSctpTransport._receive_forward_tsn_chunk,
        ["chunk"],
        True,
    ),
    *(
        (
            f"RTCSctpTransport.{name}",
            TRANSMISSION,
            getattr(RTCSctpTransport, name),
            parameters,
            awaited,
        )
        for name, parameters, awaited in (
            (
                "_send",
                ["stream_id", "pp_id", "user_data", "expiry", "max_retransmits", "ordered"],
                True,
            ),
            ("_send_chunk", ["chunk"], True),
            ("_receive_chunk", ["chunk"], True),
            ("_transmit", [], True),
            ("_data_channel_flush", [], True),
            ("_flight_size_decrease", ["chunk"], False),
            ("_flight_size_increase", ["chunk"], False),
            ("_update_advanced_peer_ack_point", [], False),
            ("_update_rto", ["R"], False),
            ("_t3_start", [], False),
            ("_t3_restart", [], False),
            ("_t3_cancel", [], False),
            ("_t3_expired", [], False),
        )
    ),
    ("StunProtocol.connection_lost", PRIVATE, StunProtocol.connection_lost, ["exc"], False),
    (
        "Message.check_message_integrity",
        PRIVATE,
        Message.check_message_integrity,
        ["key"],
        False,
    ),
]


@pytest.mark.parametrize(
    ("name", "file", "get", "kind"), ATTRIBUTES, ids=[row[0] for row in ATTRIBUTES]
)
async def test_attribute_exists(
    library: Library, name: str, file: str, get: Callable[[Library], Any], kind: type
) -> None:
    try:
        value = get(library)
    except AttributeError as exc:
        pytest.fail(f"{name} is gone ({exc}): see {file}", pytrace=False)
    assert isinstance(value, kind), f"{name} is a {type(value).__name__} now: see {file}"


@pytest.mark.parametrize(
    ("name", "file", "method", "parameters", "awaited"), METHODS, ids=[row[0] for row in METHODS]
)
def test_method_takes_what_it_is_given(
    name: str, file: str, method: Callable[..., Any], parameters: Parameters, awaited: bool
) -> None:
    given = list(inspect.signature(method).parameters)[1:]
    assert given == parameters, f"{name} takes {given} now: see {file}"
    assert inspect.iscoroutinefunction(method) is awaited, f"{name}: see {file}"


async def test_ice_transport_copies_the_methods_of_the_connection_when_it_is_built() -> None:
    gatherer = RTCIceGatherer(iceServers=[])
    gatherer._connection = aioice.Connection(ice_controlling=False)
    ice = RTCIceTransport(gatherer)
    assert ice._recv.__self__ is gatherer._connection, f"ice_transport() in {PRIVATE}"  # type: ignore[attr-defined]


def test_ice_reads_what_gathering_would_have_set() -> None:
    source = inspect.getsource(aioice.Connection.connect)
    assert "_local_candidates_end" in source, f"muxed_connection() in {PRIVATE}"
    source = inspect.getsource(aioice.Connection.gather_candidates)
    assert "_local_candidates_start" in source, f"muxed_connection() in {PRIVATE}"


def test_only_three_files_use_private_names() -> None:
    """`_x` of anything but self, cls and what the same file defines."""
    elsewhere = {}
    for file in sorted(FOLDER.glob("*.py")):
        text = file.read_text()
        # All private names that libraries have, but not those that dcsend has itself.
        own = set(re.findall(r"(?:def|class) (_\w+)|self\.(_\w+)", text))
        own_names = {name for pair in own for name in pair}
        used = set(re.findall(r"(?<!self)(?<!cls)\.(_[a-z]\w*)", text)) - own_names
        if used:
            elsewhere[file.name] = used
    assert set(elsewhere) <= {"private.py", "association.py", "transmission.py"}, elsewhere


def test_chunks_have_what_our_own_give_them() -> None:
    theirs = inspect.getsource(RTCSctpTransport._send)
    ours = inspect.getsource(BriskSctp._send)
    names = [set(re.findall(r"chunk\.(\w+)\b(?=[^=]*=[^=])", text)) for text in (theirs, ours)]
    assert names[0] == names[1], f"_send() in {TRANSMISSION}"


def test_installed_versions_are_the_ones_these_names_are_of() -> None:
    assert importlib.metadata.version("aiortc").startswith("1.16.")
    assert importlib.metadata.version("aioice").startswith("0.13.")
