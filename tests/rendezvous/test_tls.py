"""TLS between the client and a rendezvous server."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from dcsend.errors import ConnectionFailed
from dcsend.rendezvous.client import allocate, join
from dcsend.rendezvous.servers import Server
from dcsend.rendezvous.websocket import connect
from tests.support.certificates import self_signed
from tests.support.scripted_mailbox import raw_server, scripted_server

ROOT: Final = Path(__file__).parents[2]
OPEN: Final = (
    '{"type":"welcome","welcome":{}}',
    '{"type":"claimed","mailbox":"m"}',
    '{"type":"pong","pong":1}',
    '{"type":"message","side":"x","phase":"a0","body":"2a"}',
)
JOIN: Final = (
    "import asyncio, sys\n"
    "from dcsend.rendezvous.client import join\n"
    "from dcsend.rendezvous.servers import Server\n"
    "async def main():\n"
    "    mailbox = await join(Server(sys.argv[1], 's.example'), '7')\n"
    "    print(await mailbox.next())\n"
    "    await mailbox.close('happy')\n"
    "asyncio.run(main())\n"
)


async def opens(socket: web.WebSocketResponse) -> None:
    for text in OPEN:
        await socket.send_str(text)
    async for message in socket:
        if '"close"' in message.data:
            await socket.send_str('{"type":"closed"}')


def context(folder: Path, host: str = "127.0.0.1") -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*self_signed(folder, host))
    return made


async def test_certificate_that_no_authority_has_signed_is_refused(tmp_path: Path) -> None:
    async with scripted_server(opens, context(tmp_path)) as server:
        with pytest.raises(ConnectionFailed) as caught:
            await allocate(server)
    assert caught.value.message == (
        "the certificate of the server scripted.example is refused: self-signed certificate"
    )
    assert "clock" in caught.value.hint


async def test_server_without_tls_at_a_tls_url_is_one_line() -> None:
    async with scripted_server(opens) as server:
        with pytest.raises(ConnectionFailed) as caught:
            await allocate(Server(server.url.replace("ws:", "wss:"), "s.example"))
    start = "the server s.example has no working TLS: "
    assert caught.value.message.startswith(start)
    assert caught.value.message != start
    assert caught.value.hint == f"if it has no TLS, use --server {server.url} on both sides"


async def test_server_that_does_not_answer_a_tls_handshake_may_have_no_tls() -> None:
    silent = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()

    async with raw_server(wait) as port:
        with pytest.raises(ConnectionFailed) as caught:
            await connect(Server(f"wss://127.0.0.1:{port}/v1", "s.example"), 0.1)
    assert f"--server ws://127.0.0.1:{port}/v1 on both sides" in caught.value.hint


async def test_server_that_closes_a_tls_handshake_may_have_no_tls() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with raw_server(close) as port:
        with pytest.raises(ConnectionFailed) as caught:
            await connect(Server(f"wss://127.0.0.1:{port}/v1", "s.example"), 5)
        with pytest.raises(ConnectionFailed) as plain:
            await connect(Server(f"ws://127.0.0.1:{port}/v1", "s.example"), 5)
    assert f"--server ws://127.0.0.1:{port}/v1 on both sides" in caught.value.hint
    assert "TLS" not in plain.value.hint


async def run(url: str, authority: Path) -> tuple[str, str]:
    """Join with a new process that trusts an authority; return its output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", JOIN, url),
        env={**os.environ, "PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(authority)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return out.decode(), err.decode()


@pytest.mark.full
async def test_certificate_of_a_trusted_authority_is_accepted(tmp_path: Path) -> None:
    async with scripted_server(opens, context(tmp_path)) as server:
        out, err = await run(server.url, tmp_path / "certificate.pem")
    assert (out, err) == ("('a0', b'*')\n", "")


async def test_authority_that_is_named_after_the_start_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_server(opens, context(tmp_path)) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        mailbox = await join(server, "7")
        assert await mailbox.next() == ("a0", b"*")
        await mailbox.close("happy")


@pytest.mark.full
async def test_certificate_of_a_trusted_authority_for_another_host_is_refused(
    tmp_path: Path,
) -> None:
    async with scripted_server(opens, context(tmp_path, "192.0.2.7")) as server:
        _, err = await run(server.url, tmp_path / "certificate.pem")
    assert "the certificate of the server s.example is refused: IP address mismatch" in err
