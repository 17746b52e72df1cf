"""The web server of the laboratory, which serves the page, over https on port 443.

It has a public address of its own, as a hosted copy of the page has: a page from a server in the
internet is what two people in different networks open, and what needs no permission of Chromium
(Local Network Access) for the rendezvous server, whose address is public, too.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

from tests.lab.relays import authority
from tests.support.netns import Host, enter

__all__ = ["ADDRESSES", "NAME", "start"]

NAME: Final = "page.lab.test"
ADDRESSES: Final = ("203.0.113.13", "2001:db8:ff::13")
_PORT: Final = 443
_PLAIN_PORT: Final = 80


def start(
    host: Host, folder: Path, page: bytes, *, tls: bool = True
) -> tuple[str, Callable[[], None]]:
    """Serve a page; return its URL, and what ends the server.

    Args:
        host: whose addresses are `ADDRESSES`; without TLS, a host of a LAN.
        folder: for the files of the authority.
        page: the content of the page.
        tls: whether it uses TLS.
    """
    authority(folder)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
    made: list[_Server] = []
    ready = threading.Event()

    def serve() -> None:
        try:
            enter(host.namespace)
            made.append(_Server(page, context))
        finally:
            ready.set()
        made[0].serve_forever()

    thread = threading.Thread(target=serve, name="page of the laboratory", daemon=True)
    thread.start()
    ready.wait()
    assert made, "the web server could not start; see above"

    def end() -> None:
        made[0].shutdown()
        thread.join()
        made[0].server_close()

    return f"https://{NAME}/" if tls else f"http://{host.ipv4}/", end


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, page: bytes, context: ssl.SSLContext | None) -> None:
        self.page = page
        super().__init__(("::", _PORT if context else _PLAIN_PORT), _Handler)
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # That of HTTPServer also resolves the name of its address.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = NAME, self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        page = self.server.page if self.path == "/" else None
        self.send_response(200 if page is not None else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page or b"")))
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *_: object) -> None:
        """Log nothing."""
