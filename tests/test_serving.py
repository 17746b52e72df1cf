"""The page's server, over real sockets: what it answers, what it survives, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import cast

import pytest

from dcsend.errors import UsageError
from dcsend.serving import page as page_module
from dcsend.serving.page import Page, read_page
from dcsend.serving.port import listen, objection
from dcsend.serving.server import MAX_CONNECTIONS, PageServer

POLICY = "default-src 'none'; script-src 'sha256-AAAA=' 'wasm-unsafe-eval'"
HTML = f"""<!doctype html><html><head><meta charset="utf-8">\
<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>dcsend</title></head>
<body><script type="text/plain" id="service-worker">
self.addEventListener("fetch", (event) => {{ if (1 < 2 && 3 > 2) event.respondWith(0); }});
</script>{"<p>café" * 200}</body></html>""".encode()
PAGE = Page(HTML)
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Talks to one server the way browsers and others do."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send nothing."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, request: bytes, host: str = "127.0.0.1") -> bytes:
        """Return everything that comes back until the other side closes."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, self.port)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()

    async def get(
        self, path: str = "/", method: str = "GET", host: str = "127.0.0.1", **headers: str
    ) -> Answer:
        """Make one request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        said = await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode(), host)
        response = HTTPResponse(cast(socket.socket, _Socket(said)), method=method)
        response.begin()
        return Answer(response.status, dict(response.getheaders()), response.read())


class _Socket:
    """What http.client needs of a socket, to read an answer that is complete."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


async def until(
    condition: Callable[[], object], each: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Wait until *condition* holds; what another task or the system does tells nobody."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
            if each is not None:
                await each()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Serve the page with the usual limits."""
    async for found in serve():
        yield found


async def serve(**limits: float) -> AsyncIterator[Client]:
    sockets = listen()
    server = PageServer(PAGE, **limits)  # type: ignore[arg-type]
    await server.start(sockets)
    try:
        yield Client(sockets[0].getsockname()[1])
    finally:
        server.close()


@pytest.fixture
async def impatient() -> AsyncIterator[Client]:
    """Serve with a short life for each connection."""
    async for found in serve(lifetime=0.3):
        yield found


@pytest.fixture
async def crowded() -> AsyncIterator[Client]:
    """Serve two at once."""
    async for found in serve(max_connections=2):
        yield found


async def test_root_is_the_page_with_its_headers(client: Client) -> None:
    answer = await client.get()
    assert (answer.status, answer.body) == (200, HTML)
    headers = answer.headers
    assert headers.pop("Date")
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(HTML)),
        "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Vary": "Accept-Encoding",
        "Server": "dcsend",
        "Connection": "close",
    }


async def test_both_address_families_are_served_at_one_port(client: Client) -> None:
    if not socket.has_ipv6 or len(families(client.port)) < 2:
        assert os.environ.get("CI") != "true", "the build machine must have IPv6"
        pytest.skip("no IPv6 here")
    assert (await client.get(host="::1")).body == HTML


def families(port: int) -> list[socket.AddressFamily]:
    """Return those in which something listens at *port* on this machine."""
    found = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            if sock.connect_ex((host, port)) == 0:
                found.append(family)
    return found


async def test_head_has_the_headers_alone(client: Client) -> None:
    answer = await client.get(method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(HTML))


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "deflate;q=1, GZIP;q=0.5"])
async def test_page_is_compressed_for_who_accepts_it(client: Client, accepted: str) -> None:
    answer = await client.get(Accept_Encoding=accepted)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < len(HTML)
    assert gzip.decompress(answer.body) == HTML


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "gzip; q=0.000, br", "br", "xgzipx"])
async def test_page_is_plain_for_everybody_else(client: Client, accepted: str) -> None:
    answer = await client.get(Accept_Encoding=accepted)
    assert "Content-Encoding" not in answer.headers
    assert answer.body == HTML


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/index.html",
            "/favicon.ico",
            "/dcsend-service-worker.js",
            "//",
            "/.",
            "/../",
            "/%2e%2e",
        ),
        *("/etc/passwd", "/..%2fpyproject.toml", "/\\", "/%00", "/x?y=z"),
    ],
)
async def test_everything_else_is_not_found(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["Server"] == "dcsend"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_other_methods_are_refused(client: Client, method: str) -> None:
    answer = await client.get(method=method)
    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    ],
    ids=["TLS", "words", "version", "length", "header", "long path", "long header", "many headers"],
)
async def test_junk_is_answered_with_a_status_and_nothing_about_us(
    client: Client, junk: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        said = await client.raw(junk)
    except ConnectionResetError:
        said = b""  # it had more to say than we wanted to hear
    head, _, body = said.partition(b"\r\n\r\n")
    assert not said or re.match(rb"HTTP/1\.[01] 400 ", head)
    assert body == b""
    assert b"aiohttp" not in said
    assert b"Python" not in said
    assert (await client.get()).status == 200
    assert capfd.readouterr() == ("", "")


async def test_connection_that_ends_in_an_error_gives_its_place_back(crowded: Client) -> None:
    # aiohttp fails to unpack what comes behind the answer, and forgets its transport.
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde"
    )
    for _ in range(2):
        assert await crowded.raw(request)
    assert (await crowded.get()).status == 200


async def test_one_connection_is_one_request(client: Client) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
    assert (await client.raw(request * 3)).count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_who_never_finishes_is_closed(impatient: Client, beginning: bytes) -> None:
    started = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionResetError):
        await impatient.raw(beginning)
    assert asyncio.get_running_loop().time() - started < PATIENCE / 2


async def test_who_sends_byte_by_byte_is_closed(impatient: Client) -> None:
    _, writer = await impatient.connect()
    with pytest.raises(ConnectionError):
        await until(lambda: writer.write(b"x"), writer.drain)
    writer.close()


async def test_who_does_not_read_is_closed() -> None:
    sockets = listen()
    server = PageServer(Page(HTML + os.urandom(30_000_000)), lifetime=0.3)
    await server.start(sockets)
    client = Client(sockets[0].getsockname()[1])
    _, writer = await client.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: server.connections)
    await until(lambda: not server.connections)
    writer.close()
    server.close()


async def test_one_too_many_is_closed_at_once_and_others_are_served_later(crowded: Client) -> None:
    first, second = await crowded.connect(), await crowded.connect()
    third, late = await crowded.connect()
    async with asyncio.timeout(PATIENCE):
        assert await third.read() == b""
    for _, writer in (first, second):
        writer.close()
        await writer.wait_closed()
    late.close()
    assert (await crowded.get()).status == 200


async def test_flood_of_silent_connections_costs_a_bounded_number() -> None:
    sockets = listen()
    server = PageServer(PAGE)
    await server.start(sockets)
    client = Client(sockets[0].getsockname()[1])
    writers = [(await client.connect())[1] for _ in range(3 * MAX_CONNECTIONS)]
    assert len(server.connections) == MAX_CONNECTIONS
    for writer in writers:
        writer.close()
    server.close()


async def test_browser_that_is_too_early_waits() -> None:
    sockets = listen()
    client = Client(sockets[0].getsockname()[1])
    early = asyncio.create_task(client.get())
    await asyncio.sleep(0)
    server = PageServer(PAGE)
    await server.start(sockets)
    assert (await early).status == 200
    server.close()


async def test_end_of_the_server_closes_what_is_open_and_frees_the_port() -> None:
    sockets = listen()
    port = sockets[0].getsockname()[1]
    server = PageServer(PAGE, lifetime=1000)
    await server.start(sockets)
    client = Client(port)
    reader, writer = await client.connect()
    await until(lambda: server.connections)
    server.close()
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    assert families(port) == []
    for sock in listen(port):
        sock.close()


async def test_start_that_is_cancelled_leaves_nothing_open() -> None:
    sockets = listen()
    port = sockets[0].getsockname()[1]
    server = PageServer(PAGE)
    starting = asyncio.create_task(server.start(sockets))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    server.close()
    for sock in sockets[1:]:
        sock.close()
    assert families(port) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_machine_without_room_for_a_socket_says_so() -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(UsageError, match="Too many open files"):
            listen()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    ("port", "served", "objected"),
    [
        *((1, False, True), (1023, False, True), (1024, True, False), (0, True, False)),
        *((6000, True, True), (6000, False, False), (10080, True, True), (65535, True, False)),
    ],
)
def test_ports_that_browsers_refuse_are_known(port: int, served: bool, objected: bool) -> None:
    assert bool(objection(port, served=served)) == objected


def test_port_that_is_taken_is_named() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"TCP port {port}: in use") as caught:
            listen(port)
    assert "--no-page" in caught.value.hint


def test_chosen_port_is_the_one(unused: int) -> None:
    sockets = listen(unused)
    assert {sock.getsockname()[1] for sock in sockets} == {unused}
    for sock in sockets:
        sock.close()


@pytest.fixture
def unused() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


# --- The page itself -----------------------------------------------------------------------------


def test_policy_is_the_one_in_the_page() -> None:
    assert PAGE.policy == POLICY


def test_page_without_a_policy_is_not_served() -> None:
    with pytest.raises(UsageError, match="no security policy"):
        PageServer(Page(b"<!doctype html><title>something else</title>"))


def test_service_worker_is_taken_out_as_it_is() -> None:
    script = PAGE.service_worker.decode()
    assert script.startswith('self.addEventListener("fetch"')
    assert "1 < 2 && 3 > 2" in script
    assert script.endswith("});\n")


@pytest.mark.parametrize(
    "html", [b"<script>1</script>", b"<script type=module src=service-worker></script>", b""]
)
def test_page_without_a_service_worker_says_so(html: bytes) -> None:
    with pytest.raises(UsageError, match="has no service worker"):
        _ = Page(html).service_worker


def test_page_of_the_package_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("page", "index"):
        (tmp_path / f"{name}.html").write_text(name)
    monkeypatch.setattr(page_module, "_IN_PACKAGE", tmp_path / "page.html")
    monkeypatch.setattr(page_module, "_IN_CHECKOUT", tmp_path / "index.html")
    assert read_page().content == b"page"


def test_page_of_the_checkout_is_taken_where_the_package_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_bytes(b"checkout")
    digest = hashlib.sha256(b"checkout").hexdigest()
    (tmp_path / "build.sha256").write_text(f"{'0' * 64}  sources\n{digest}  index.html\n")
    monkeypatch.setattr(page_module, "_IN_PACKAGE", tmp_path / "missing.html")
    monkeypatch.setattr(page_module, "_IN_CHECKOUT", tmp_path / "index.html")
    assert read_page().content == b"checkout"


def test_page_that_was_changed_after_it_was_built_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"checkout").hexdigest()
    (tmp_path / "build.sha256").write_text(f"{'0' * 64}  sources\n{digest}  index.html\n")
    (tmp_path / "index.html").write_bytes(b"changed")
    monkeypatch.setattr(page_module, "_IN_PACKAGE", tmp_path / "missing.html")
    monkeypatch.setattr(page_module, "_IN_CHECKOUT", tmp_path / "index.html")
    with pytest.raises(UsageError, match="is not the page that was built") as caught:
        read_page()
    assert "make page" in caught.value.hint


def test_missing_page_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page_module, "_IN_PACKAGE", tmp_path / "missing.html")
    monkeypatch.setattr(page_module, "_IN_CHECKOUT", tmp_path / "index.html")
    with pytest.raises(UsageError) as caught:
        read_page()
    assert "make page" in caught.value.hint
    assert "--no-page" in caught.value.hint


def test_page_is_looked_for_where_wheels_and_checkouts_have_it() -> None:
    root = Path(__file__).resolve().parent.parent
    assert root / "dcsend" / "page.html" == page_module._IN_PACKAGE
    assert root / "web-receiver" / "dist" / "index.html" == page_module._IN_CHECKOUT
