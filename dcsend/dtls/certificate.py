"""The DTLS certificate of one run.

Imports only `cryptography`, so that the code can be shown before aiortc is loaded.
"""

from __future__ import annotations

import datetime
import secrets
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Certificate"]

_VALIDITY = datetime.timedelta(days=30)
"As in browsers. Peers do not check it: they compare the fingerprint (RFC 8122)."


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate with its key."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    x509: x509.Certificate = field(repr=False)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the DER form; 32 bytes (RFC 8122)."""
        return self.x509.fingerprint(hashes.SHA256())

    @classmethod
    def generate(cls) -> Self:
        """Return a new one: ECDSA on P-256, which all WebRTC implementations have (RFC 8827)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(16))])
        now = datetime.datetime.now(tz=datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # A day ago: the clock of the peer may be behind.
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + _VALIDITY)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)
