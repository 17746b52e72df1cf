"""A certificate for `localhost`, and an authority that the browsers of the tests trust."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificates import certified

__all__ = ["Identity", "as_base64", "identity", "trusting"]


@dataclass(frozen=True, slots=True)
class Identity:
    """The certificate of the host, and that of its authority."""

    authority: x509.Certificate
    chain: Path
    "Certificate of `localhost` and its private key, in PEM."

    @property
    def chromium(self) -> list[str]:
        """The flags that make Chromium trust it."""
        return trusting(self.authority)

    @property
    def base64(self) -> str:
        """The authority's certificate, as `TRUST` of `tab_scripts` takes it."""
        return as_base64(self.authority)


def trusting(certificate: x509.Certificate) -> list[str]:
    """Return the flags that make Chromium accept every chain with this certificate."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return [f"--ignore-certificate-errors-spki-list={pin}"]


def as_base64(certificate: x509.Certificate) -> str:
    """Return a certificate as `TRUST` of `tab_scripts` takes it."""
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Make them, for a day."""
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = certified("dcsend tests", "dcsend tests", theirs, theirs)
    host = certified("localhost", "dcsend tests", ours, theirs, [x509.DNSName("localhost")])
    pem = serialization.Encoding.PEM
    secret = ours.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = tmp_path_factory.mktemp("identity") / "chain.pem"
    chain.write_bytes(host.public_bytes(pem) + authority.public_bytes(pem) + secret)
    return Identity(authority, chain)
