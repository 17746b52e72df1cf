"""Responses of mDNS, which any host in the local network can send, to the query for a number.

The bytes of the fuzzer are datagrams, or records of responses. They take the way of a datagram from
the socket on: through zeroconf to its cache, which is limited, and to the responders of a number.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Any, Final

from zeroconf import DNSCache, DNSIncoming  # type: ignore[attr-defined] # not in its __all__
from zeroconf._handlers.record_manager import RecordManager

from dcsend.net.mdns_cache import MAX_RECORDS, CacheLimit
from dcsend.rendezvous import dns_sd
from dcsend.rendezvous.dns_sd import MAX_HOSTS, MAX_PLACES, Responders
from tests.fuzz.script import Script

__all__ = ["responses"]

_KINDS: Final = (1, 28, 33, 12, 16, 47, 5, 13, 255)
"A, AAAA, SRV, PTR, TXT, NSEC, CNAME, HINFO, and one that has no records."
_TTLS: Final = (120, 0, 1, 0xFFFFFFFF)
_NAMES: Final = (
    b"\x017\x07_dcsend\x04_tcp\x05local\0",
    b"\x10aaaaaaaaaaaaaaaa\x05local\0",
    b"\x10bbbbbbbbbbbbbbbb\x05local\0",
    b"\x07_dcsend\x04_tcp\x05local\0",
    b"\xc0\x0c",
    b"\0",
)
"Names in records; the fifth one is that of the first record, compressed."
_WITH_LABEL: Final = 7
_SOURCE: Final = ("fe80::1", 5353)


class _Zeroconf:
    """What a `RecordManager` uses of `Zeroconf`, without sockets."""

    def __init__(self) -> None:
        self.cache = DNSCache()

    def async_notify_all(self) -> None:
        """Wake no task, since none waits."""


def _name(script: Script) -> bytes:
    which = script.byte() % (len(_NAMES) + 2)
    if which < len(_NAMES):
        return _NAMES[which]
    label = script.take(script.byte() & 63)
    return bytes([len(label)]) + label + (b"\x05local\0" if which == _WITH_LABEL else b"\0")


def _record(script: Script) -> bytes:
    owner, kind = _name(script), _KINDS[script.byte() % len(_KINDS)]
    how = script.byte()
    match kind:
        case 1:
            data = script.take(4)
        case 28:
            data = script.take(16)
        case 33:
            data = bytes(4) + script.take(2) + _name(script)
        case _:
            data = script.take(how >> 3)
    ttl = _TTLS[how & 3]
    return owner + struct.pack("!HHIH", kind, 0x8001 if how & 4 else 1, ttl, len(data)) + data


def _datagram(script: Script) -> bytes:
    count = script.byte() & 31
    if count == 0:
        return script.piece()
    records = b"".join(_record(script) for _ in range(count))
    return struct.pack("!6H", 0, 0x8400, 0, count, 0, 0) + records


def responses(data: bytes) -> None:
    """Give datagrams to the responders of a number."""
    script = Script(data)
    zeroconf: Any = _Zeroconf()
    manager = RecordManager(zeroconf)
    loopback = bool(script.byte() & 1)
    found = Responders("7", loopback=loopback)
    manager.async_add_listener(found, None)
    manager.async_add_listener(CacheLimit(zeroconf), None)
    now = 1000.0
    while script:
        how = script.byte()
        now += how
        message = DNSIncoming(_datagram(script), _SOURCE, how & 3, now)
        if message.valid and not message.is_query():
            manager.async_updates_from_response(message)
        _check(found, loopback=loopback)
    again = Responders("7")
    again.read_cache(zeroconf)
    _check(again, loopback=False)
    cache = zeroconf.cache
    held = sum(len(cache.entries_with_name(name)) for name in cache.names())
    assert held < 2 * MAX_RECORDS


def _check(found: Responders, *, loopback: bool) -> None:
    places = found.places
    assert len(places) <= MAX_PLACES
    assert bool(places) <= found.answered.is_set()
    for port, hosts in places:
        assert 0 < port <= 0xFFFF
        assert 0 < len(hosts) <= MAX_HOSTS
        for host in hosts:
            ip = ipaddress.ip_address(host)
            if ip.is_loopback:
                assert loopback
                continue
            assert not any((ip.is_multicast, ip.is_unspecified, ip.is_reserved))
            assert ("%" in host) == (ip.version == 6 and ip.is_link_local)
    query = dns_sd.query("7", found.unresolved, unicast=True)
    assert len(query.packets()) == 1
