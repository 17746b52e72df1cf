"""The public server of the laboratory: STUN and names, by one thread of the test's own process."""

from __future__ import annotations

import ipaddress
import selectors
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import dns.message
import dns.rcode
import dns.rrset

from tests.demo.stun_server import HEADER, answer
from tests.support.netns import Host, enter

__all__ = ["Server"]

_STUN: Final = (3478, 19302)
_DNS: Final = 53
_SECONDS: Final = 60
"Time to live of a DNS record, in seconds."

Reply = Callable[[bytes, tuple[str, int]], bytes | None]


class Server:
    """STUN on UDP 3478 and 19302 and a name server on UDP 53, until it is closed.

    Args:
        host: the namespace of its sockets.
        addresses: of its sockets.
        names: name -> addresses; any other name does not exist.
    """

    def __init__(
        self, host: Host, addresses: Sequence[str], names: Mapping[str, Sequence[str]]
    ) -> None:
        self._names = names
        self._end, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(host.namespace, addresses, ready), daemon=True
        )
        self._thread.start()
        ready.wait()
        assert len(self._selector.get_map()) > 1, "the server could not bind its sockets; see above"

    def close(self) -> None:
        """Stop answering."""
        self._end.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _serve(self, namespace: str, addresses: Sequence[str], ready: threading.Event) -> None:
        try:
            enter(namespace)
            for address in addresses:
                self._listen(address, _DNS, self._resolve)
                for port in _STUN:
                    self._listen(address, port, _stun)
        finally:
            ready.set()
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    return
                sock, reply = key.fileobj, key.data
                assert isinstance(sock, socket.socket)
                data, source = sock.recvfrom(4096)
                if said := reply(data, source[:2]):
                    sock.sendto(said, source)

    def _listen(self, address: str, port: int, reply: Reply) -> None:
        sock = socket.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
        )
        sock.bind((address, port))
        self._selector.register(sock, selectors.EVENT_READ, reply)

    def _resolve(self, data: bytes, source: tuple[str, int]) -> bytes:
        """Return the response to a query: addresses of its family, or NXDOMAIN."""
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query, recursion_available=True)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        if name not in self._names:
            response.set_rcode(dns.rcode.NXDOMAIN)
        version = {"A": 4, "AAAA": 6}.get(question.rdtype.name)
        known = [a for a in self._names.get(name, ()) if ipaddress.ip_address(a).version == version]
        if known:
            response.answer.append(
                dns.rrset.from_text(question.name, _SECONDS, "IN", question.rdtype.name, *known)
            )
        return bytes(response.to_wire())


def _stun(data: bytes, source: tuple[str, int]) -> bytes | None:
    if len(data) >= HEADER.size and data[:2] == b"\x00\x01":
        return answer(data, *source)
    return None
