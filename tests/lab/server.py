"""The public server of the laboratory: STUN and names.

    python -m tests.lab.server NAMES IP...

Each address has STUN on UDP 3478 and 19302 and a name server on UDP 53; NAMES is a JSON object of
name -> list of addresses. Prints "ready" and serves until killed.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

import dns.message
import dns.rcode
import dns.rrset

from tests.demo.stun_server import HEADER, answer

_STUN: Final = (3478, 19302)
_SECONDS: Final = 60
"How long an answer of the name server may be kept."


def main() -> None:
    """Serve until killed."""
    known: dict[str, list[str]] = json.loads(sys.argv[1])
    for address in sys.argv[2:]:
        _serve(address, 53, lambda data, _: _resolve(known, data))
        for port in _STUN:
            _serve(address, port, _stun)
    print("ready", flush=True)  # noqa: T201
    threading.Event().wait()


def _serve(
    address: str, port: int, reply: Callable[[bytes, tuple[str, int]], bytes | None]
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, port))

    def work() -> None:
        while True:
            data, source = sock.recvfrom(4096)
            if said := reply(data, source[:2]):
                sock.sendto(said, source)

    threading.Thread(target=work, daemon=True).start()


def _stun(data: bytes, source: tuple[str, int]) -> bytes | None:
    if len(data) >= HEADER.size and data[:2] == b"\x00\x01":
        return answer(data, *source)
    return None


def _resolve(known: dict[str, list[str]], data: bytes) -> bytes:
    """Answer from what is known: addresses of the family that was asked for, or no such name."""
    query = dns.message.from_wire(data)
    response = dns.message.make_response(query, recursion_available=True)
    (question,) = query.question
    name = question.name.to_text(omit_final_dot=True).lower()
    if name not in known:
        response.set_rcode(dns.rcode.NXDOMAIN)
    version = {"A": 4, "AAAA": 6}.get(question.rdtype.name)
    addresses = [a for a in known.get(name, []) if ipaddress.ip_address(a).version == version]
    if addresses:
        response.answer.append(
            dns.rrset.from_text(question.name, _SECONDS, "IN", question.rdtype.name, *addresses)
        )
    return bytes(response.to_wire())


if __name__ == "__main__":
    main()
