"""Responses of neighbours that do not use dcsend's own code."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final

from zeroconf import DNSIncoming, RecordUpdate  # type: ignore[attr-defined] # not in its __all__

from dcsend.rendezvous.dns_sd import Responders

__all__ = ["AAAA", "SRV", "TXT", "A", "address", "deliver", "record", "response", "srv"]

A, TXT, AAAA, SRV = 1, 16, 28, 33


def name(text: str) -> bytes:
    """Return a domain name as it is sent, without compression."""
    labels = [label.encode() for label in text.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(owner: str, kind: int, data: bytes, ttl: int = 120) -> bytes:
    """Return a record of class IN, with the cache-flush bit."""
    return name(owner) + struct.pack("!HHIH", kind, 0x8001, ttl, len(data)) + data


def srv(number: str, host: str, port: int, ttl: int = 120) -> bytes:
    """Return the SRV record of a number."""
    data = struct.pack("!HHH", 0, 0, port) + name(host)
    return record(f"{number}._dcsend._tcp.local", SRV, data, ttl)


def address(host: str, ip: str, ttl: int = 120) -> bytes:
    """Return the A or AAAA record of a host name."""
    if ":" in ip:
        return record(host, AAAA, socket.inet_pton(socket.AF_INET6, ip), ttl)
    return record(host, A, socket.inet_aton(ip), ttl)


def response(records: Sequence[bytes]) -> bytes:
    """Return a response with these answers."""
    return struct.pack("!6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


NOW: Final = 1000.0


def deliver(
    responders: Responders, *records: bytes, scope: int | None = None, later: float = 0.0
) -> None:
    """Give *responders* a response as zeroconf does.

    Args:
        responders: gets it.
        records: answers of the response.
        scope: index of the interface on which it was received over IPv6.
        later: milliseconds until zeroconf gives it to them.
    """
    message = DNSIncoming(response(records), ("fe80::1", 5353), scope, NOW)
    assert message.valid
    updates = [RecordUpdate(answer, None) for answer in message.answers()]
    assert len(updates) == len(records)
    responders.async_update_records(None, NOW + later, updates)  # type: ignore[arg-type]
