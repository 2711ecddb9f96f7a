"""The client certificate of a structure (IGC-Santé, ORG AUTH_CLI), and the TLS it gives.

Source: IGC-Santé profile ORG AUTH_CLI; subject C, ST, O, OU (the structure's identifier), CN INSI-AUTO or
INSI-MANU. The file is a PKCS#12, modern or legacy (3DES, RC2).
"""

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID


class CertificateFault(Exception):
    """Why a certificate or a trust file cannot be used, in plain words; no passphrase, no key."""


@dataclass(frozen=True, slots=True, repr=False)
class ClientCertificate:
    """A certificate with its key and chain, and what its subject and issuer say (None: not said)."""

    key: PrivateKeyTypes
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]

    @property
    def common_name(self) -> str | None:
        return _name(self.certificate.subject, NameOID.COMMON_NAME)

    @property
    def organisational_unit(self) -> str | None:
        """The structure's identifier, which INSi wants as Emetteur."""
        return _name(self.certificate.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)

    @property
    def organisation(self) -> str | None:
        return _name(self.certificate.subject, NameOID.ORGANIZATION_NAME)

    @property
    def issuer_common_name(self) -> str | None:
        return _name(self.certificate.issuer, NameOID.COMMON_NAME)

    @property
    def not_before(self) -> datetime:
        return self.certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def __repr__(self) -> str:  # the key stays out of tracebacks
        return f"ClientCertificate({self.common_name}, until {self.not_after:%Y-%m-%d})"


def load_certificate(file: Path, passphrase: str, *, now: datetime | None = None) -> ClientCertificate:
    """Read a PKCS#12; raises `CertificateFault` if missing, illegible, locked, without key, or expired."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise CertificateFault(f"There is no file {file}.") from None
    except OSError as error:
        raise CertificateFault(f"{file} cannot be read: {error.strerror}.") from None
    certificate = _unlocked(file, content, passphrase)
    moment = now or datetime.now(UTC)
    if moment > certificate.not_after:
        raise CertificateFault(f"The certificate in {file} expired on {certificate.not_after:%Y-%m-%d}.")
    return certificate


def ssl_context(certificate: ClientCertificate | None, trust: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later with this client certificate, or without any; the server's name is checked.

    `trust` is a PEM bundle of the authorities to believe, None for the system's. The private key goes to
    OpenSSL through anonymous memory, never through a disk. Raises `CertificateFault`.
    """
    context = _trusting(trust)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is None:
        return context
    memory = os.memfd_create("client-certificate")
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(_pem(certificate))
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    except ssl.SSLError as error:
        raise CertificateFault(f"OpenSSL refuses the client certificate: {error.reason}.") from None
    finally:
        os.close(memory)
    return context


def _unlocked(file: Path, content: bytes, passphrase: str) -> ClientCertificate:
    try:
        store = pkcs12.load_pkcs12(content, passphrase.encode() or None)
    except ValueError as error:
        if str(error).startswith("Invalid password"):
            raise CertificateFault(f"The passphrase of {file} is wrong.") from None
        raise CertificateFault(f"{file} is not a PKCS#12 (.p12, .pfx) file.") from None
    if store.key is None or store.cert is None:
        raise CertificateFault(f"{file} holds no private key with its certificate.")
    others = tuple(other.certificate for other in store.additional_certs)
    return ClientCertificate(store.key, store.cert.certificate, others)


def _trusting(trust: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=trust)
    except ssl.SSLError:
        raise CertificateFault(f"The trust file {trust} holds no PEM certificate.") from None
    except OSError as error:
        raise CertificateFault(f"The trust file {trust} cannot be read: {error.strerror}.") from None


def _pem(certificate: ClientCertificate) -> bytes:
    key = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = (certificate.certificate, *certificate.chain)
    return key + b"".join(link.public_bytes(Encoding.PEM) for link in chain)


def _name(name: x509.Name, attribute: x509.ObjectIdentifier) -> str | None:
    values = name.get_attributes_for_oid(attribute)
    return str(values[0].value) if values else None
