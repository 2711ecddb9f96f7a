"""TLS of the server itself: its certificate, and the client certificates it believes.

Source: RFC 9325 (recommendations for TLS); ANSSI, « Recommandations de sécurité relatives à TLS ». TLS 1.2 with ECDHE
and an AEAD, or TLS 1.3; no compression, no renegotiation, no tickets. Replaced files are taken by the next handshake.
"""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from fhir_ins.security.certificate_fault import CertificateFault
from fhir_ins.security.watched_files import WatchedFiles

# Of TLS 1.2; those of TLS 1.3 are all of this kind.
_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificate with its issuers, its key, and the authorities of client certificates.

    Without `client_authorities` no client is asked for a certificate; with them it may show one, or has to.
    """

    certificate: Path
    key: Path
    passphrase: str = field(default="", repr=False)
    client_authorities: Path | None = None
    client_required: bool = False


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """The context of a listening socket, whose handshakes use the files as they are then. Raises `CertificateFault`."""
    paths = [files.certificate, files.key, *([files.client_authorities] if files.client_authorities else [])]
    watched = WatchedFiles(*paths, read=lambda former: _context(files, former), event="tls_file")
    first = watched.current()

    def on_hello(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if (now := watched.current()) is not first:
            connection.context = now

    first.sni_callback = on_hello  # OpenSSL calls it for a client that names no server, too
    return first


def _context(files: TlsFiles, former: ssl.SSLContext | None) -> ssl.SSLContext:
    """A context of what the files hold; a certificate out of date is told at the start, and later refused."""
    certificate = _certificates(files.certificate, "certificate")[0]
    if reason := _out_of_date(certificate):
        text = f"The certificate in {files.certificate} {reason}."
        if former:
            raise CertificateFault(text)
        _log.warning("tls_certificate_out_of_date", file=str(files.certificate), reason=reason)
    key = _key(files.key, files.passphrase)
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise CertificateFault(
            f"The key in {files.key} is not that of the first certificate in {files.certificate}: put the server's "
            "own certificate first, and name the key it was made with."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0  # in a session taken up again the client's certificate is not looked at
    try:
        context.load_cert_chain(files.certificate, files.key, files.passphrase)
        if files.client_authorities:
            _certificates(files.client_authorities, "authority")
            context.load_verify_locations(files.client_authorities)
            context.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
    except ssl.SSLError as error:
        raise CertificateFault(f"OpenSSL refuses the server's certificate: {error.reason or error}.") from None
    return context


def _certificates(file: Path, kind: str) -> list[x509.Certificate]:
    """The certificates in a PEM file, at least one."""
    try:
        return x509.load_pem_x509_certificates(_content(file))
    except ValueError:
        remedy = f"one in DER becomes PEM with: openssl x509 -inform DER -in {file} -out {file.stem}.pem"
        raise CertificateFault(f"{file} holds no {kind} in PEM; {remedy}") from None


def _key(file: Path, passphrase: str) -> PrivateKeyTypes:
    content = _content(file)
    if b"PRIVATE KEY-----" not in content:
        raise CertificateFault(f"{file} holds no private key in PEM: name the file of the key by FHIR_INS_TLS_KEY.")
    sealed = b"ENCRYPTED" in content
    try:
        return load_pem_private_key(content, passphrase.encode() if sealed and passphrase else None)
    except TypeError:
        raise CertificateFault(
            f"The key in {file} is sealed by a passphrase: give it by FHIR_INS_TLS_KEY_PASSPHRASE."
        ) from None
    except ValueError:
        why = "the passphrase is not that of the key" if sealed else "it is damaged, or of a kind TLS does not use"
        raise CertificateFault(f"The key in {file} cannot be read: {why}.") from None


def _out_of_date(certificate: x509.Certificate) -> str | None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only"
    return None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise CertificateFault(f"There is no file {file}.") from None
    except OSError as error:
        raise CertificateFault(f"{file} cannot be read: {error.strerror}.") from None
