"""The certificate of a run: what browsers and aiortc need, and nothing about this machine."""

from __future__ import annotations

import datetime
import hashlib

from aiortc import RTCCertificate
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dcsend.dtls.certificate import Certificate

CERTIFICATE = Certificate.generate()


def test_fingerprint_is_sha256_of_the_der_form() -> None:
    der = CERTIFICATE.x509.public_bytes(serialization.Encoding.DER)
    assert CERTIFICATE.fingerprint == hashlib.sha256(der).digest()


def test_aiortc_announces_the_same_fingerprint() -> None:
    theirs = RTCCertificate(key=CERTIFICATE.key, cert=CERTIFICATE.x509).getFingerprints()
    assert CERTIFICATE.fingerprint.hex(":").upper() in {f.value.upper() for f in theirs}


def test_certificate_is_signed_by_its_own_key_on_the_curve_that_webrtc_demands() -> None:
    CERTIFICATE.x509.verify_directly_issued_by(CERTIFICATE.x509)
    assert isinstance(CERTIFICATE.key.curve, ec.SECP256R1)
    assert CERTIFICATE.x509.public_key() == CERTIFICATE.key.public_key()


def test_certificate_is_valid_for_clocks_that_differ_by_a_day() -> None:
    now = datetime.datetime.now(tz=datetime.UTC)
    for hours in (-23, 0, 23):
        then = now + datetime.timedelta(hours=hours)
        assert CERTIFICATE.x509.not_valid_before_utc < then < CERTIFICATE.x509.not_valid_after_utc


def test_each_run_has_a_certificate_of_its_own() -> None:
    other = Certificate.generate()
    assert other.fingerprint != CERTIFICATE.fingerprint
    assert other.x509.subject != CERTIFICATE.x509.subject
    assert other.x509.serial_number != CERTIFICATE.x509.serial_number


def test_key_is_not_shown() -> None:
    assert repr(CERTIFICATE) == "Certificate()"
