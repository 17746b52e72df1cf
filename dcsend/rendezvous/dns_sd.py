"""Messages of DNS-SD (RFC 6763) for the number of a short code: queries, responses, announcements.

Imports zeroconf, so this module is imported late. Sends and receives nothing itself: the caller has
the `Zeroconf`, whose cache is read here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from zeroconf import (  # type: ignore[attr-defined] # records are not in its __all__
    DNSAddress,
    DNSOutgoing,
    DNSQuestion,
    DNSRecord,
    DNSService,
    RecordUpdate,
    RecordUpdateListener,
    ServiceInfo,
    Zeroconf,
    current_time_millis,
)

__all__ = ["Responders", "instance", "query", "service"]

MAX_PLACES: Final = 8
"Responders of one number that are kept. Two are enough to give up; the rest shows the user more."
MAX_HOSTS: Final = 8
"Addresses of one responder that are kept."

_TYPE: Final = "_dcsend._tcp.local."
_A, _AAAA, _SRV, _IN, _UNICAST = 1, 28, 33, 1, 0x8000
"Types and class of records; the bit of a question that permits a unicast response."
_TTL: Final = 120
"""Seconds for which neighbours keep the records of a process that is killed: what
RFC 6762, 10 recommends for records with a host name."""
_HOST: Final = re.compile(r"[a-z0-9-]{1,63}\.local\.", re.ASCII)
"Host names of responders. Others need not fit into a query, since zeroconf decodes any bytes."
_FRESH: Final = 1000.0
"""Milliseconds. zeroconf ignores a response equal to one of the last second, hence one that it got
before the query is read from its cache. Older records may be of a responder that is gone."""


def instance(number: str) -> str:
    """Return the name of the service instance of a number.

    >>> instance("7")
    '7._dcsend._tcp.local.'

    Raises:
        ValueError: *number* is not 1 to 40 decimal digits.
    """
    if not (number.isascii() and number.isdecimal() and len(number) <= 40):
        raise ValueError("the number has to be 1 to 40 decimal digits")
    return f"{number}.{_TYPE}"


def service(number: str, host: str, port: int, addresses: Sequence[str]) -> ServiceInfo:
    """Return what is announced: a PTR, an SRV, an empty TXT, A and AAAA records.

    Args:
        number: of the code.
        host: label of the host name; random, since the name of this machine is not to be revealed.
        port: of the mailbox.
        addresses: of this machine.
    """
    return ServiceInfo(
        _TYPE,
        instance(number),
        port=port,
        properties=b"\0",  # the empty one: RFC 6763, 6.1
        server=f"{host}.local.",
        host_ttl=_TTL,
        other_ttl=_TTL,
        parsed_addresses=list(addresses),
    )


def query(number: str, hosts: Iterable[str] = (), *, unicast: bool) -> DNSOutgoing:
    """Return a query for the SRV records of a number, and for the addresses of *hosts*.

    Args:
        number: of the code.
        hosts: names of responders whose addresses are unknown.
        unicast: permit unicast responses, which are sent at once (RFC 6762, 5.4); a multicast
            response is delayed if the last one was sent less than a second ago.
    """
    bits = _IN | (_UNICAST if unicast else 0)
    message = DNSOutgoing(0)
    message.add_question(DNSQuestion(instance(number), _SRV, bits))
    for host in hosts:
        message.add_question(DNSQuestion(host, _A, bits))
        message.add_question(DNSQuestion(host, _AAAA, bits))
    return message


@dataclass(slots=True)
class _Responder:
    """The ports and addresses of a host name in an SRV record."""

    ports: dict[int, None] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)


class Responders(RecordUpdateListener):
    """The responders of one number, collected from the records of each response.

    The cache of zeroconf is not used for this: in it, the record of one responder replaces that of
    another one, since each claims to be the only one (RFC 6762, 10.2).
    """

    def __init__(self, number: str, *, loopback: bool = False, only: str | None = None) -> None:
        """Begin without a responder.

        Args:
            number: of the code.
            loopback: accept loopback addresses: this machine has no others.
            only: host name of the responder that is looked for; None for all.
        """
        self._only = only
        self._name = instance(number)
        self._loopback = loopback
        self._found: dict[str, _Responder] = {}
        self.answered = asyncio.Event()
        "Set at the first SRV record."
        self.reachable = asyncio.Event()
        "Set at the first responder with an address."

    @property
    def places(self) -> list[tuple[int, list[str]]]:
        """Port and addresses of each responder; an IPv6 link-local address has its scope."""
        places = [
            (port, list(one.hosts))
            for one in self._found.values()
            for port in one.ports
            if one.hosts
        ]
        return places[:MAX_PLACES]

    @property
    def unresolved(self) -> list[str]:
        """Names of responders without an address."""
        return [name for name, one in self._found.items() if not one.hosts]

    def read_cache(self, zeroconf: Zeroconf) -> None:
        """Take the records that arrived in the last second."""
        now = current_time_millis()

        def recent(name: str) -> list[DNSRecord]:
            records = zeroconf.cache.entries_with_name(name)
            return [record for record in records if now - record.created <= _FRESH]

        self._read(recent(self._name), now)
        for name in list(self._found):
            self._read(recent(name), now)

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Read the records of one response, in any order.

        zeroconf also calls this with records that have expired in its cache.
        """
        self._read([update.new for update in records], now)

    def _read(self, records: Sequence[DNSRecord], now: float) -> None:
        for record in records:
            if isinstance(record, DNSService) and record.key == self._name:
                self._read_service(record, now)
        for record in records:
            if isinstance(record, DNSAddress) and record.key in self._found:
                self._read_address(self._found[record.key], record, now)
        if self._found:
            self.answered.set()
        if any(one.hosts for one in self._found.values()):
            self.reachable.set()

    def _read_service(self, record: DNSService, now: float) -> None:
        responder = self._found.get(record.server_key)
        if record.is_expired(now):  # withdrawn with a TTL of 0: RFC 6762, 10.1
            if responder is not None:
                responder.ports.pop(record.port, None)
                if not responder.ports:
                    del self._found[record.server_key]
            return
        if record.port == 0 or not _HOST.fullmatch(record.server_key):
            return
        if self._only is not None and record.server != self._only:
            return
        if responder is None:
            if len(self._found) == MAX_PLACES:
                return
            responder = self._found[record.server_key] = _Responder()
        if len(responder.ports) < MAX_PLACES:
            responder.ports[record.port] = None

    def _read_address(self, responder: _Responder, record: DNSAddress, now: float) -> None:
        host = _usable(record.address, record.scope_id, loopback=self._loopback)
        if host is None:
            return
        if record.is_expired(now):
            responder.hosts.pop(host, None)
        elif len(responder.hosts) < MAX_HOSTS:
            responder.hosts[host] = None


def _usable(packed: bytes, scope: int | None, *, loopback: bool) -> str | None:
    """Return an address of a record as text, or None if no other machine can have it."""
    if len(packed) not in (4, 16):
        return None
    ip = ipaddress.ip_address(packed)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return None
    if ip.is_loopback:
        return str(ip) if loopback else None
    if ip.is_multicast or ip.is_reserved:
        return None
    if isinstance(ip, ipaddress.IPv4Address):
        return None if packed[0] == 0 else str(ip)  # "this network": RFC 1122, 3.2.1.3
    if ip.is_link_local:
        return f"{ip}%{scope}" if scope else None
    return str(ip)
