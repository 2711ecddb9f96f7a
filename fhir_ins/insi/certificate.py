"""The client certificate of a structure (IGC-Santé, ORG AUTH_CLI), and the TLS it gives.

Source: IGC-Santé profile ORG AUTH_CLI; subject C, ST, O, OU (the structure's identifier), CN INSI-AUTO or
INSI-MANU. The file is a PKCS#12, modern or legacy (3DES, RC2).
"""

import os
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fhir_ins.insi.certificate_chain import chain_of
from fhir_ins.insi.pkcs12 import key_and_certificates
from fhir_ins.security.certificate_fault import CertificateFault as CertificateFault

Authorities = tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ClientCertificate:
    """A certificate with its key, the issuers its file has, and what its subject and issuer say (None: not said)."""

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
    def is_test(self) -> bool:
        """Whether an authority of the IGC-Santé's test branch issued it."""
        return (self.issuer_common_name or "").startswith("TEST ")

    @property
    def not_before(self) -> datetime:
        return self.certificate.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def out_of_date(self, now: datetime) -> str | None:
        """Why it cannot be used at this time, as the end of a sentence; None when it can."""
        if now > self.not_after:
            return f"expired on {self.not_after:%Y-%m-%d}"
        if now < self.not_before:
            return f"is valid from {self.not_before:%Y-%m-%d %H:%M} UTC only"
        return None

    def __repr__(self) -> str:  # the key stays out of tracebacks
        return f"ClientCertificate({self.common_name}, until {self.not_after:%Y-%m-%d})"


def load_certificate(file: Path, passphrase: str) -> ClientCertificate:
    """Read a PKCS#12; raises `CertificateFault` if it is missing, illegible, locked or without key.

    Whether it is valid today is asked before each call, because a process lives longer than many certificates.
    """
    key, certificate, others = key_and_certificates(str(file), _content(file), passphrase)
    return ClientCertificate(key, certificate, chain_of(certificate, others).links)


def load_authorities(file: Path) -> Authorities:
    """Read a trust file, PEM certificates one after the other; raises `CertificateFault`."""
    content = _content(file)
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        remedy = f"a certificate in DER becomes PEM with: openssl x509 -inform DER -in {file} -out trust.pem"
        raise CertificateFault(f"The trust file {file} holds no PEM certificate; {remedy}") from None


def ssl_context(certificate: ClientCertificate | None, trust: Path | Authorities | None) -> ssl.SSLContext:
    """TLS 1.2 or later with this client certificate, or without any; the server's name is checked.

    `trust`: the authorities to believe, or the file that holds them; None for the system's. Raises `CertificateFault`.
    """
    authorities = load_authorities(trust) if isinstance(trust, Path) else trust
    context = ssl.create_default_context(cadata=_der(authorities) if authorities else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        _present(certificate, context)
    return context


def require_usable(certificate: ClientCertificate) -> None:
    """Raise `CertificateFault` when OpenSSL does not take this certificate, such as for a key that is too short."""
    _present(certificate, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _present(certificate: ClientCertificate, context: ssl.SSLContext) -> None:
    """Let TLS use the certificate; its key goes to OpenSSL through anonymous memory, never through a disk."""
    memory = os.memfd_create("client-certificate")
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(_pem(certificate))
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    except ssl.SSLError as error:
        raise CertificateFault(f"OpenSSL refuses the client certificate: {error.reason or error}.") from None
    finally:
        os.close(memory)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise CertificateFault(f"There is no file {file}.") from None
    except OSError as error:
        raise CertificateFault(f"{file} cannot be read: {error.strerror}.") from None


def _der(certificates: Authorities) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def _pem(certificate: ClientCertificate) -> bytes:
    key = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = (certificate.certificate, *certificate.chain)
    return key + b"".join(link.public_bytes(Encoding.PEM) for link in chain)


def _name(name: x509.Name, attribute: x509.ObjectIdentifier) -> str | None:
    values = name.get_attributes_for_oid(attribute)
    return str(values[0].value) if values else None
