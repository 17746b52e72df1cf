"""Certificates for TLS servers of tests, and authorities for them."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["certified", "of_authority", "self_signed"]


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key, as PEM.

    Args:
        folder: to write into.
        host: IP address that the certificate is for, besides the name localhost.

    Returns:
        The paths of the certificate and of the key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dcsend test")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(host))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def certified(
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    hosts: Sequence[x509.GeneralName] = (),
) -> x509.Certificate:
    """Return a certificate for a day; of an authority if it is signed by itself.

    Args:
        name: of its subject.
        issuer: the name of the authority.
        key: of the subject.
        signer: of the authority.
        hosts: names and addresses of a server.
    """
    authority = name == issuer
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(signer, hashes.SHA256())


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def of_authority(folder: Path, host: str) -> tuple[Path, Path, Path]:
    """Write a certificate with that of its authority, its key, and the authority's alone, as PEM.

    Firefox takes no certificate of an authority as that of a server, so none that is self-signed
    (mozilla::pkix: CA_CERT_USED_AS_END_ENTITY).

    Args:
        folder: to write into.
        host: IP address that the certificate is for, besides the name localhost.
    """
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = certified("dcsend relays", "dcsend relays", theirs, theirs)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(host))]
    pem = serialization.Encoding.PEM
    server = certified("localhost", "dcsend relays", ours, theirs, hosts).public_bytes(pem)
    secret = ours.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
    own = authority.public_bytes(pem)
    for file, content in zip(files, (server + own, secret, own), strict=True):
        file.write_bytes(content)
    return files
