"""Certificates as an authority of the simulator issues them: of servers, of organisations, of professionals' cards.

Source: IGC-Santé profiles ORG AUTH_CLI and the signing certificate of a CPS, imitated.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

VALIDITY = timedelta(days=365)
_BACKDATED = timedelta(hours=1)
_HOSTS = (
    x509.DNSName("localhost"),
    x509.DNSName("simulator"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


@dataclass(frozen=True, slots=True)
class Authority:
    """A name, and the key that signs in it; two authorities may share a key."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    def certificate(self) -> x509.Certificate:
        """Its own certificate, signed by itself."""
        return (
            self._certificate(self.name, self.key.public_key(), datetime.now(UTC) + VALIDITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
            .sign(self.key, SHA256())
        )

    def server(self, subject: x509.Name) -> tuple[x509.Certificate, Key]:
        """A TLS server on this machine, or named as in compose.yaml."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._end_entity(subject, key, datetime.now(UTC) + VALIDITY, "digital_signature")
        builder = _for(builder, ExtendedKeyUsageOID.SERVER_AUTH)
        return builder.add_extension(x509.SubjectAlternativeName(_HOSTS), critical=False).sign(self.key, SHA256()), key

    def client(self, subject: x509.Name, until: datetime | None = None) -> tuple[x509.Certificate, Key]:
        """An organisation that logs in; `until` may be past."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._end_entity(subject, key, until or datetime.now(UTC) + VALIDITY, "digital_signature")
        return _for(builder, ExtendedKeyUsageOID.CLIENT_AUTH).sign(self.key, SHA256()), key

    def card(self, subject: x509.Name) -> tuple[x509.Certificate, Key]:
        """What a card signs with: RSA, key usage contentCommitment."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        builder = self._end_entity(subject, key, datetime.now(UTC) + VALIDITY, "content_commitment")
        return _for(builder, ExtendedKeyUsageOID.EMAIL_PROTECTION).sign(self.key, SHA256()), key

    def _end_entity(self, subject: x509.Name, key: Key, until: datetime, usage: str) -> x509.CertificateBuilder:
        return (
            self._certificate(subject, key.public_key(), until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(usage), critical=True)
        )

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, until: datetime
    ) -> x509.CertificateBuilder:
        start = min(datetime.now(UTC) - _BACKDATED, until - VALIDITY)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )


def name(*parts: Mapping[ObjectIdentifier, str]) -> x509.Name:
    """A distinguished name in France; a part is one attribute, or several together."""
    return x509.Name(
        x509.RelativeDistinguishedName(x509.NameAttribute(oid, value) for oid, value in part.items())
        for part in ({NameOID.COUNTRY_NAME: "FR"}, *parts)
    )


def _for(builder: x509.CertificateBuilder, purpose: ObjectIdentifier) -> x509.CertificateBuilder:
    return builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)


def _key_usage(*allowed: str) -> x509.KeyUsage:
    uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in allowed for use in uses})
