"""A small authority for tests that need certificates which the simulator's PKI does not make."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, pkcs12
from cryptography.x509.oid import NameOID

from fhir_ins.insi.certificate import ClientCertificate

TEST_AUTHORITY = "TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS"
NOW = datetime.now(UTC).replace(microsecond=0)


def name(common_name: str, unit: str | None = None) -> x509.Name:
    parts = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]
    return x509.Name([x509.NameAttribute(attribute, value) for attribute, value in parts if value])


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    key: CertificateIssuerPrivateKeyTypes
    certificate: x509.Certificate

    def pkcs12(self, passphrase: str = "secret", *others: x509.Certificate, encryption=None) -> bytes:
        sealing = encryption or (BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption())
        return pkcs12.serialize_key_and_certificates(None, self.key, self.certificate, others, sealing)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def client(self) -> ClientCertificate:
        return ClientCertificate(self.key, self.certificate, ())


class Authority:
    """A root, or an intermediate of `above`."""

    def __init__(self, common_name: str = TEST_AUTHORITY, above: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common_name)
        self.certificate = (above or self).certify(self)

    def certify(self, below: "Authority") -> x509.Certificate:
        return (
            _builder(below.name, below.key, self.name, NOW - timedelta(days=900), NOW + timedelta(days=900))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, SHA256())
        )

    def issue(
        self,
        common_name: str = "INSI-AUTO",
        unit: str | None = "10B0999901",
        *,
        start: datetime = NOW - timedelta(days=1),
        days: float = 365,
        key: CertificateIssuerPrivateKeyTypes | None = None,
        extensions: tuple[x509.ExtensionType, ...] = (),
    ) -> Issued:
        own = key or ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name(common_name, unit), own, self.name, start, start + timedelta(days=days))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Issued(own, builder.sign(self.key, SHA256()))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def write(self, file: Path) -> Path:
        file.write_bytes(self.pem)
        return file


def _builder(
    subject: x509.Name, key: CertificateIssuerPrivateKeyTypes, issuer: x509.Name, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
