"""Certificates for an hour, signed by an authority that nobody else trusts."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from tenaudit._kernel.extras import MissingExtra

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ImportError as error:
    raise MissingExtra("crypto", "cryptography") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Authority"]

_HOUR = dt.timedelta(hours=1)


class Authority:
    """Signs certificates with a key that it has made and keeps to itself.

    Args:
        name: what it calls itself.

    Example:
        >>> authority = Authority("test")
        >>> authority.certificate.startswith(b"-----BEGIN CERTIFICATE-----")
        True
        >>> authority.issue("broker", ["127.0.0.1"]).startswith(b"-----BEGIN PRIVATE KEY-----")
        True
    """

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._certificate = _about(self._name, self._name, self._key, self._key, ca=True).sign(
            self._key, hashes.SHA256()
        )

    @property
    def certificate(self) -> bytes:
        """Its own certificate, in PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, addresses: Sequence[str] = ()) -> bytes:
        """Return a new key, with no password, and its certificate, both in PEM, good for an hour.

        Args:
            name: whose it is.
            addresses: IP addresses that a server with it may have.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        about = _about(_named(name), self._name, key, self._key, ca=False)
        if addresses:
            told = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            about = about.add_extension(x509.SubjectAlternativeName(told), critical=False)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        certificate = about.sign(self._key, hashes.SHA256()).public_bytes(pem)
        return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _about(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signing_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.CertificateBuilder:
    """What a certificate says, with all that a strict verifier looks for (RFC 5280 section 4.2.1)."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + _HOUR)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
