"""coturn, a widely used TURN server, as a child process of the test on loopback.

Without `turnserver` a test is skipped; with CI=true it fails.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from dcsend.ice.stun import binding_request
from tests.support.certificates import of_authority

__all__ = ["Coturn", "coturn", "rest_account", "start"]

_SECRET: Final = "a shared secret"
_PATIENCE: Final = 150.0


@dataclass(frozen=True, slots=True)
class Coturn:
    """A running server; its accounts are `user:password`, and those of `rest_account`."""

    host: str
    port: int
    "For UDP and TCP, `user:password`."
    tls_port: int
    rest_port: int
    "For UDP and TCP, accounts made with a shared secret."
    authority: Path
    "Certificate of the authority of its own, which is for localhost and its host."


def rest_account(name: str = "me", *, seconds: int = 3600) -> tuple[str, str]:
    """Return a temporary user and its password (draft-uberti-behave-turn-rest, 2.2)."""
    user = f"{int(time.time()) + seconds}:{name}"
    digest = hmac.new(_SECRET.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()


@pytest.fixture(scope="session")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    """Run coturn on 127.0.0.1 while the tests run."""
    folder = tmp_path_factory.mktemp("coturn")
    started: list[subprocess.Popen[bytes]] = []

    def popen(argv: list[str]) -> None:
        started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    try:
        yield start(folder, popen)
    finally:
        for process in started:
            process.kill()
            process.wait()


def start(
    folder: Path,
    popen: Callable[[list[str]], object],
    host: str = "127.0.0.1",
    *,
    ready: bool = True,
) -> Coturn:
    """Start a server on *host* with *popen*, which may run it in a namespace.

    Args:
        folder: for its certificate and an empty configuration.
        popen: starts a program; the caller ends it.
        host: its address, also for relayed datagrams; it listens on 127.0.0.1, too.
        ready: wait until it accepts connections and answers over UDP; *host* must be reachable
            from this process.
    """
    if shutil.which("turnserver") is None:
        message = "relays need turnserver (coturn)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    certificate, key, authority = of_authority(folder, host)
    # It reads /etc/turnserver.conf unless it is given another.
    (folder / "turn.conf").write_text("")
    port, tls_port, rest_port = _free_ports(3)
    made = Coturn(host, port, tls_port, rest_port, authority)
    common = [
        *("turnserver", "-c", str(folder / "turn.conf"), "--no-cli", "--log-file", "stdout"),
        *("--realm", "dcsend.test", "--listening-ip", host, "--relay-ip", host),
        *(() if host == "127.0.0.1" else ("--listening-ip", "127.0.0.1")),
        *("--cert", str(certificate), "--pkey", str(key), "--allow-loopback-peers", "--no-dtls"),
    ]
    for ports, account, name in (
        ((made.port, made.tls_port), ["--lt-cred-mech", "--user", "user:password"], "static"),
        ((made.rest_port, None), ["--use-auth-secret", f"--static-auth-secret={_SECRET}"], "rest"),
    ):
        tls = ["--no-tls"] if ports[1] is None else ["--tls-listening-port", str(ports[1])]
        files = ["--pidfile", str(folder / f"{name}.pid"), "--userdb", str(folder / f"{name}.db")]
        popen([*common, "--listening-port", str(ports[0]), *tls, *account, *files])
    if ready:
        for port in (made.port, made.tls_port, made.rest_port):
            _until(partial(_connect, host, port))
        # coturn listens on TCP before it listens on UDP.
        for port in (made.port, made.rest_port):
            _until(partial(_ask, host, port))
    return made


def _free_ports(count: int) -> list[int]:
    """Return different free ports: each stays bound until all are chosen."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def _connect(host: str, port: int) -> None:
    socket.create_connection((host, port), 1).close()


def _ask(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((host, port))
        sock.send(binding_request(os.urandom(12)))
        sock.recv(1500)


def _until(attempt: Callable[[], None]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            attempt()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
