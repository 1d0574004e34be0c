"""A throw-away certificate authority for tests, with a server's and a client's certificate for loopback.

The keys are made afresh for each folder and are valid for a day; nothing else ever trusts them.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Where the PEM files lie: the authority's certificate, and certificate and key of the server and of a client."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def certificates(folder: Path) -> Certificates:
    """Write an authority and two certificates it has signed into `folder`: for 127.0.0.1 and localhost, and for a client."""
    paths = Certificates(*(folder / f"{name}.pem" for name in ("authority", "server", "server-key", "client", "client-key")))
    authority, authority_key = _authority()
    _write(paths.authority, authority)
    for purpose, path, key_path in (
        (ExtendedKeyUsageOID.SERVER_AUTH, paths.server, paths.server_key),
        (ExtendedKeyUsageOID.CLIENT_AUTH, paths.client, paths.client_key),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(path.stem, authority.subject, key).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = builder.add_extension(names, critical=False).add_extension(signer, critical=False)
        _write(path, builder.sign(authority_key, hashes.SHA256()))
        _write_key(key_path, key)
    return paths


def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate that signs itself and may sign others, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
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
    builder = (
        _builder("authority", _name("authority"), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _name(of: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Footfall tests: {of}")])


def _builder(of: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """A certificate yet to be signed. It began a day ago, so that a clock a little behind does not matter."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(of))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
