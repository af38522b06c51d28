"""A small CA and the certificate of a server, as ``deploy/make-certs.sh`` makes them with openssl.

The CA is kept, because the devices trust it: another name of the server, or an expired certificate,
needs a new certificate and no change on the devices. The CA's key stays in this folder.
"""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from pathlib import Path
from typing import Iterable, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hyperhive.common import files

_DAYS = 3650
_EARLIER = datetime.timedelta(days=1)
"""A Jetson Nano has no clock battery, and until NTP answers its clock may be behind."""

_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def ensure(authority: Path, server: Path, names: Iterable[str]) -> None:
    """Make the CA if there is none, and a new certificate for a server with these names.

    All files get mode 0600. Raises ``OSError``.

    Args:
        authority: the file of the CA's certificate; its key is beside it, with the suffix .key.
        server: the file of the server's certificate and key.
        names: host names and addresses of the server.
    """
    if not authority.exists():
        _make_ca(authority)
    ca = x509.load_pem_x509_certificate(authority.read_bytes())
    ca_pem_key = authority.with_suffix(".key").read_bytes()
    loaded = serialization.load_pem_private_key(ca_pem_key, None)
    ca_key = cast(ec.EllipticCurvePrivateKey, loaded)
    key = ec.generate_private_key(ec.SECP256R1())
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _begun("mongo", ca.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_general, names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    files.write_private(server, _pem(certificate) + _pem_of_key(key))


def _make_ca(authority: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"hyperhive CA {secrets.token_hex(4)}"
    certificate = (
        _begun(name, _named(name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CA_USAGE, critical=True)
        .sign(key, hashes.SHA256())
    )
    files.write_private(authority.with_suffix(".key"), _pem_of_key(key))
    files.write_private(authority, _pem(certificate))  # last: it says that both are there


def _begun(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
