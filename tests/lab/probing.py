"""Tests of NAT behaviour (RFC 5780) with packets that hosts send.

A thread in the namespace of a host creates its sockets.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import dns.message

from tests.lab.building import SERVER, SERVER_2
from tests.support.netns import Host, enter

__all__ = ["inside", "lets_in", "opens", "reaches", "resolves", "udp"]

_LIMIT: Final = 1.5
"""Seconds that a datagram may take; one that is dropped takes as long. Beside the tests of browsers
a process of the laboratory got no processor for more than 0.3 s."""
_HEADER: Final = struct.Struct("!HHI12s")
_COOKIE: Final = 0x2112A442

_Result = TypeVar("_Result")

Address = tuple[str, int]


def inside(host: Host, work: Callable[[], _Result]) -> _Result:
    """Call *work* in a thread that is in a host's namespace."""
    with ThreadPoolExecutor(1, initializer=enter, initargs=(host.namespace,)) as pool:
        return pool.submit(work).result()


def udp(host: Host, address: str = "", *, ipv6: bool = False) -> socket.socket:
    """Make a UDP socket on a host; bound to one of its addresses, or to all of a family."""
    family = socket.AF_INET6 if ipv6 or ":" in address else socket.AF_INET
    sock = inside(host, lambda: socket.socket(family, socket.SOCK_DGRAM))
    sock.bind((address, 0))
    sock.settimeout(_LIMIT)
    return sock


def lets_in(host: Host, server: Host) -> tuple[str, str]:
    """Return how the way from a host to the internet maps and filters; `blocked` without STUN.

    Mapping: `none`, `one port`, `a port each`. Filtering: `any`, `address`, `address and port`.
    """
    version = 0 if host.ipv4 else 1
    far, far_2, own = SERVER[version], SERVER_2[version], (host.ipv4, host.ipv6)[version]
    with udp(host, ipv6=bool(version)) as sock:
        first, _ = _ask(sock, (far, 19302))
        if first is None:
            return "blocked", "blocked"
        second, _ = _ask(sock, (far, 3478))
        mapping = "one port" if first == second else "a port each"
        if first == (own, sock.getsockname()[1]):
            mapping = "none"
        # The host has sent to two ports of the first address of the server, to none of its second.
        words = {secrets.token_bytes(8): "address", secrets.token_bytes(8): "any"}
        for word, address in zip(words, (far, far_2), strict=True):
            with udp(server, address) as sender:
                sender.sendto(word, first)
        came = _ask(sock, (far, 19302))[1] + _rest(sock)
    found = [name for word, name in words.items() if word in came]
    return mapping, found[-1] if found else "address and port"


def reaches(sender: Host, receiver: Host) -> bool:
    """Return whether an unsolicited datagram reaches an address of a host."""
    for version, (source, target) in enumerate(
        ((sender.ipv4, receiver.ipv4), (sender.ipv6, receiver.ipv6))
    ):
        if not source or not target:
            continue
        with udp(sender, ipv6=bool(version)) as ours, udp(receiver, target) as theirs:
            word = secrets.token_bytes(8)
            try:
                ours.sendto(word, theirs.getsockname())
            except OSError:
                continue
            if word in _ask(theirs, (SERVER[version], 19302))[1] + _rest(theirs):
                return True
    return False


def resolves(host: Host, name: str) -> bool:
    """Return whether a host gets an answer from the name server of the laboratory."""
    version = 0 if host.ipv4 else 1
    with udp(host, ipv6=bool(version)) as sock:
        try:
            sock.sendto(dns.message.make_query(name, "A").to_wire(), (SERVER[version], 53))
            return bool(dns.message.from_wire(sock.recv(2048)).answer)
        except OSError:
            return False


def opens(host: Host, port: int) -> bool:
    """Return whether a TCP connection to the server is refused or accepted, not dropped."""
    address = SERVER[0] if host.ipv4 else SERVER[1]

    def work() -> bool:
        try:
            socket.create_connection((address, port), _LIMIT).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    return inside(host, work)


def _ask(sock: socket.socket, server: Address) -> tuple[Address | None, list[bytes]]:
    """Send a Binding request; return the mapped address, if any, and the other datagrams.

    Without a response, the time limit applies.
    """
    transaction = secrets.token_bytes(12)
    came: list[bytes] = []
    try:
        sock.sendto(_HEADER.pack(1, 0, _COOKIE, transaction), server)
        while (data := sock.recv(2048))[8:20] != transaction:
            came.append(data)
    except TimeoutError:
        return None, came
    except OSError:
        # No network, or rejected: neither has waited for what was sent before.
        return None, came + _rest(sock)
    # The server of the laboratory responds with one attribute, XOR-MAPPED-ADDRESS.
    port = struct.unpack_from("!H", data, 26)[0] ^ (_COOKIE >> 16)
    packed = bytes(a ^ b for a, b in zip(data[28:], data[4:20], strict=False))
    return (str(ipaddress.ip_address(packed)), port), came


def _rest(sock: socket.socket) -> list[bytes]:
    """Return the datagrams that arrive within the time limit.

    A response of the server can overtake a datagram that was sent before the request: two
    processors deliver them, and the one of a longer way may be busy.
    """
    came = []
    try:
        while True:
            came.append(sock.recv(2048))
    except OSError:
        return came
