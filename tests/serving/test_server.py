"""The page's HTTP server over real sockets: responses, limits, start and end."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import re
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from dcsend.serving.budget import RATE
from dcsend.serving.page import Page
from dcsend.serving.port import listen
from dcsend.serving.server import LIFETIME, MAX_CONNECTIONS, PageServer
from tests.serving.client import PATIENCE, Client, until
from tests.serving.sample_page import HTML, PAGE, POLICY


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Serve the page with the default limits."""
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
    """Serve with a short deadline for each connection."""
    async for found in serve(lifetime=0.3):
        yield found


@pytest.fixture
async def crowded() -> AsyncIterator[Client]:
    """Serve at most two connections."""
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
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Vary": "Accept-Encoding",
        "Server": "dcsend",
        "Connection": "close",
    }


@pytest.mark.parametrize(
    ("host", "policy"),
    [
        *(
            (host, "same-origin")
            for host in ("localhost:7000", "a.localhost", "127.0.0.1", "[::1]:7000")
        ),
        *(
            (host, None)
            for host in (
                *("192.168.1.7:7000", "[fd00::7]", "localhost.example", "", "x"),
                *("evillocalhost", "1127.0.0.1", "127.0.0.1.example", "a.localhost.example"),
            )
        ),
    ],
)
async def test_opener_policy_is_sent_to_trustworthy_hosts_only(
    client: Client, host: str, policy: str | None
) -> None:
    """On other hosts a browser ignores it and writes a warning to its console."""
    received = await client.raw(f"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    found = re.search(rb"Cross-Origin-Opener-Policy: (\S+)", received)
    assert received.startswith(b"HTTP/1.1 200")
    assert (found and found[1].decode()) == policy


async def test_both_address_families_are_served_at_one_port(client: Client) -> None:
    if not socket.has_ipv6 or len(families(client.port)) < 2:
        assert os.environ.get("CI") != "true", "the build machine must have IPv6"
        pytest.skip("no IPv6 here")
    assert (await client.get(host="::1")).body == HTML


def families(port: int) -> list[socket.AddressFamily]:
    """Return the address families in which *port* of this machine accepts connections."""
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
async def test_page_is_compressed_for_a_client_that_accepts_gzip(
    client: Client, accepted: str
) -> None:
    answer = await client.get(Accept_Encoding=accepted)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < len(HTML)
    assert gzip.decompress(answer.body) == HTML


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "gzip; q=0.000, br", "br", "xgzipx"])
async def test_page_is_not_compressed_for_other_clients(client: Client, accepted: str) -> None:
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
async def test_other_paths_are_not_found(client: Client, path: str) -> None:
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
async def test_invalid_request_gets_a_status_without_versions(
    client: Client, junk: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        received = await client.raw(junk)
    except ConnectionResetError:
        received = b""  # the request is longer than the server reads
    head, _, body = received.partition(b"\r\n\r\n")
    assert not received or re.match(rb"HTTP/1\.[01] 400 ", head)
    assert body == b""
    assert b"aiohttp" not in received
    assert b"Python" not in received
    assert (await client.get()).status == 200
    assert capfd.readouterr() == ("", "")


async def test_connection_that_ends_in_an_error_is_counted_no_more(crowded: Client) -> None:
    # aiohttp fails to decompress the body after the response, and resets its transport.
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde"
    )
    for _ in range(2):
        assert await crowded.raw(request)
    assert (await crowded.get()).status == 200


async def test_one_connection_is_one_request(client: Client) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
    assert (await client.raw(request * 3)).count(b"HTTP/1.1 200") == 1


@pytest.mark.full
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
async def test_connection_with_an_incomplete_request_is_closed(
    impatient: Client, beginning: bytes
) -> None:
    started = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionResetError):
        await impatient.raw(beginning)
    assert asyncio.get_running_loop().time() - started < PATIENCE / 2


async def test_connection_that_sends_byte_by_byte_is_closed(impatient: Client) -> None:
    _, writer = await impatient.connect()
    with pytest.raises(ConnectionError):
        await until(lambda: writer.write(b"x"), writer.drain)
    writer.close()


@pytest.mark.full
async def test_connection_of_a_client_that_does_not_read_is_closed() -> None:
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


async def test_connection_above_the_limit_gets_the_place_of_the_oldest_one(
    crowded: Client,
) -> None:
    first, second = await crowded.connect(), await crowded.connect()
    assert (await crowded.get()).status == 200
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            assert await first[0].read() == b""
    second[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await second[0].read()).startswith(b"HTTP/1.1 200")
    for _, writer in (first, second):
        writer.close()


async def test_number_of_silent_connections_is_limited() -> None:
    sockets = listen()
    server = PageServer(PAGE)
    await server.start(sockets)
    client = Client(sockets[0].getsockname()[1])
    writers = [(await client.connect())[1] for _ in range(3 * MAX_CONNECTIONS)]
    assert len(server.connections) == MAX_CONNECTIONS
    for writer in writers:
        writer.close()
    server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, loopback has one address")
async def test_flood_of_requests_is_answered_slowly_and_keeps_no_other_client_out(
    client: Client,
) -> None:
    clock = asyncio.get_running_loop().time
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answered = 0
    started = clock()

    async def flood() -> None:
        nonlocal answered
        while True:
            with contextlib.suppress(ConnectionError):  # its place was given to another one
                if (await client.raw(request)).startswith(b"HTTP/1.1 200"):
                    answered += 1

    clients = [asyncio.create_task(flood()) for _ in range(2 * MAX_CONNECTIONS)]
    try:
        await until(lambda: answered > RATE)  # the first second's are used up
        for _ in range(3):
            asked = clock()
            assert (await client.raw(request, source="127.0.0.2")).startswith(b"HTTP/1.1 200")
            assert clock() - asked < LIFETIME / 2
    finally:
        for task in clients:
            task.cancel()
        await asyncio.wait(clients)
    assert answered <= RATE * (clock() - started + 1)


async def test_connection_before_the_server_starts_is_served_later() -> None:
    sockets = listen()
    client = Client(sockets[0].getsockname()[1])
    early = asyncio.create_task(client.get())
    await asyncio.sleep(0)
    server = PageServer(PAGE)
    await server.start(sockets)
    assert (await early).status == 200
    server.close()


async def test_close_ends_connections_and_frees_the_port() -> None:
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


async def test_cancelled_start_leaves_no_socket_open() -> None:
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


async def test_log_has_refusals_without_what_the_client_has_sent(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await client.get("/private-path")
    await client.raw(b"private words\r\n\r\n")
    assert "request refused with status 404" in caplog.text
    assert "request refused with status 400" in caplog.text
    assert "private" not in caplog.text
