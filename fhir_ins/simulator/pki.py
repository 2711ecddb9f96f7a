"""A throw-away PKI: an authority, a server certificate and a client PKCS#12, for this machine only.

Source: IGC-Santé profile ORG AUTH_CLI, imitated; the names say that this is a simulator. The authority's key
is forgotten as soon as it has signed.
"""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

AUTHORITY_NAME = "TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS - FHIR-INS SIMULATOR"
ORGANISATION = "ETABLISSEMENT FICTIF FHIR-INS"
STRUCTURE = "10B0999901"

_PASSPHRASE = "simulator"  # noqa: S105  # it guards a key that opens nothing but the simulator
_VALIDITY = timedelta(days=365)
_MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the files are. `authority` is what both sides trust; the client logs in with `client`."""

    authority: Path
    server_certificate: Path
    server_key: Path
    client: Path
    passphrase: str = _PASSPHRASE


def ensure_pki(directory: Path) -> Pki:
    """The PKI in `directory`: the one there if it is whole and good for a day more, else a new one."""
    pki = Pki(
        directory / "authority.pem",
        directory / "server.pem",
        directory / "server.key",
        directory / "client.p12",
    )
    if not _usable(pki):
        directory.mkdir(parents=True, exist_ok=True)
        _make(pki)
    return pki


def _usable(pki: Pki) -> bool:
    """Whether all files are there, belong together and last."""
    try:
        authority = x509.load_pem_x509_certificate(pki.authority.read_bytes())
        server = x509.load_pem_x509_certificate(pki.server_certificate.read_bytes())
        key = load_pem_private_key(pki.server_key.read_bytes(), None)
        client = pkcs12.load_pkcs12(pki.client.read_bytes(), pki.passphrase.encode()).cert
        if client is None or key.public_key() != server.public_key():
            return False
        for certificate in (server, client.certificate):
            certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    end = min(link.not_valid_after_utc for link in (authority, server, client.certificate))
    return end > datetime.now(UTC) + _MARGIN


def _make(pki: Pki) -> None:
    signer = ec.generate_private_key(ec.SECP256R1())
    name = _name((NameOID.ORGANIZATION_NAME, "FHIR-INS"), (NameOID.COMMON_NAME, AUTHORITY_NAME))
    authority = _authority(name, signer)
    server, server_key = _leaf(name, signer, _server_subject(), ExtendedKeyUsageOID.SERVER_AUTH)
    client, client_key = _leaf(name, signer, _client_subject(), ExtendedKeyUsageOID.CLIENT_AUTH)
    sealed = pkcs12.serialize_key_and_certificates(
        b"INSI-AUTO", client_key, client, [authority], BestAvailableEncryption(pki.passphrase.encode())
    )
    pem = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for file, content in (
        (pki.authority, authority.public_bytes(Encoding.PEM)),
        (pki.server_certificate, server.public_bytes(Encoding.PEM)),
        (pki.server_key, pem),
        (pki.client, sealed),
    ):
        _write(file, content)


def _authority(name: x509.Name, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _certificate(name, name, signer.public_key(), signer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(signer, SHA256())
    )


def _leaf(
    issuer: x509.Name, signer: ec.EllipticCurvePrivateKey, subject: x509.Name, usage: ObjectIdentifier
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _certificate(subject, issuer, key.public_key(), signer)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    if usage == ExtendedKeyUsageOID.SERVER_AUTH:
        addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName("simulator"), *addresses])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, SHA256()), key


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _server_subject() -> x509.Name:
    return _name((NameOID.ORGANIZATION_NAME, "FHIR-INS"), (NameOID.COMMON_NAME, "localhost"))


def _client_subject() -> x509.Name:
    return _name(
        (NameOID.ORGANIZATION_NAME, ORGANISATION),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, STRUCTURE),
        (NameOID.COMMON_NAME, "INSI-AUTO"),
    )


def _name(*parts: tuple[ObjectIdentifier, str]) -> x509.Name:
    country = (NameOID.COUNTRY_NAME, "FR")
    return x509.Name([x509.NameAttribute(attribute, value) for attribute, value in (country, *parts)])


def _write(file: Path, content: bytes) -> None:
    """Replace `file` at once, readable by its owner only."""
    new = file.with_suffix(f".{os.getpid()}.new")
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.replace(file)
