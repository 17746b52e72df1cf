"""TURN relays of the laboratory: Debian's coturn, on the server, or on a host of a LAN."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import ipaddress
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.lab.building import SERVER
from tests.support.netns import Host
from tests.support.processes import PATIENCE

__all__ = ["KINDS", "NAME", "SECRET", "Kind", "authority", "credentials", "start"]

NAME: Final = "turn.lab.test"
"The server's name."
SECRET: Final = "a-shared-secret"
"Shared secret of the servers with time-limited credentials."


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to a relay."""

    scheme: str
    port: int
    query: str = ""
    secret: bool = False
    "Credentials are made of `SECRET`; otherwise they are `user` and `password`."

    def url(self, host: str = NAME) -> str:
        """Return what `--ice-server` takes."""
        user, password = credentials() if self.secret else ("user", "password")
        given = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"{self.scheme}:{given}@{host}:{self.port}{self.query}"


KINDS: Final = {
    "udp": Kind("turn", 3479),
    "tcp": Kind("turn", 3479, "?transport=tcp"),
    "tls": Kind("turns", 5349),
    "tcp443": Kind("turn", 443, "?transport=tcp"),
    "tls443": Kind("turns", 443),
    "secret": Kind("turn", 3480, secret=True),
}
"On the port 443 coturn takes both, TCP and TLS; 3478 is the STUN server's."


def credentials(name: str = "name", seconds: int = 3600) -> tuple[str, str]:
    """Return a user and a password that a server with `SECRET` takes for so long.

    https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00
    """
    user = f"{int(time.time()) + seconds}:{name}"
    digest = hmac.new(SECRET.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()


def start(
    server: Host, kind: Kind, folder: Path, addresses: Sequence[str] = SERVER
) -> subprocess.Popen[bytes]:
    """Start a relay and wait until it accepts connections; skip the test without coturn.

    Args:
        server: the host it runs on.
        kind: selects its port.
        folder: for its files, among them `ca.pem` for programs.
        addresses: of that host.
    """
    if shutil.which("turnserver") is None:
        reason = "relays need turnserver (coturn); see scripts/system-tools.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    authority(folder)
    # It reads /etc/turnserver.conf unless it is given one.
    (folder / "turn.conf").touch()
    check: list[str] = ["--use-auth-secret", "--static-auth-secret", SECRET]
    if not kind.secret:
        check = ["--lt-cred-mech", "--user", "user:password"]
    argv = [
        *("turnserver", "-c", str(folder / "turn.conf"), "--no-cli", "--no-rfc5780"),
        *("--realm", NAME, "--fingerprint", "--no-software-attribute"),
        *(word for address in addresses for word in ("--listening-ip", address)),
        *(word for address in addresses for word in ("--relay-ip", address)),
        *("--listening-port", str(kind.port), "--tls-listening-port", str(kind.port)),
        *("--cert", str(folder / "server.pem"), "--pkey", str(folder / "server.key"), *check),
        *("--pidfile", str(folder / f"{kind.port}.pid")),
        *("--userdb", str(folder / f"{kind.port}.db")),
        *("--min-port", "50000", "--max-port", "59999", "--log-file", "stdout"),
    ]
    with (folder / f"turn-{kind.port}.log").open("wb") as log:
        process = server.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    listening = ["ss", "-Hltn", f"sport = :{kind.port}"]
    deadline = time.monotonic() + PATIENCE
    # coturn has no way to report that it listens.
    while not server.run(listening).stdout.strip():
        said = (folder / f"turn-{kind.port}.log").read_text(errors="replace")[-2000:]
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return process


def authority(folder: Path) -> Path:
    """Make an authority, and a certificate for the servers; return the authority's, for programs.

    The certificate is that of every name in the domain `lab.test`.
    """
    certificate = folder / "ca.pem"
    if certificate.exists():
        return certificate
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("lab", NAME)]
    made = []
    for number, (key, name) in enumerate(zip(keys, names, strict=True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
        )
        if number:
            also = [
                x509.DNSName("*.lab.test"),
                *(x509.IPAddress(ipaddress.ip_address(a)) for a in SERVER),
            ]
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(x509.SubjectAlternativeName(also), critical=False)
            builder = builder.add_extension(usage, critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()))
    (folder / "server.key").write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    for path, one in ((folder / "server.pem", made[1]), (certificate, made[0])):
        path.write_bytes(one.public_bytes(serialization.Encoding.PEM))
    return certificate
