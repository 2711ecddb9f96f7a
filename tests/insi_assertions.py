"""Signed assertions for tests: a card's key in a PKCS#12, and judging signatures without the code that made them."""

from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import NameOID
from lxml import etree

from fhir_ins.insi.assertion_ps import AssertionPs, sign

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
HOLDER = "00B9999901"
DS = "{http://www.w3.org/2000/09/xmldsig#}"


@cache
def card() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """The key and the signing certificate of a card that nobody holds."""
    key = rsa.generate_private_key(65537, 2048)
    holder = [(NameOID.GIVEN_NAME, "CAMILLE"), (NameOID.COMMON_NAME, HOLDER), (NameOID.SURNAME, "FICTIF")]
    subject = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, "Infirmier")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in holder]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST AC FICTIVE")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .sign(key, SHA256())
    )
    return key, certificate


def card_file(folder: Path) -> Path:
    key, certificate = card()
    file = folder / "card.p12"
    file.write_bytes(pkcs12.serialize_key_and_certificates(None, key, certificate, None, BestAvailableEncryption(b"s")))
    return file


@dataclass(frozen=True)
class CardSigner:
    """A signer as an operator would write one."""

    @property
    def certificate(self) -> x509.Certificate:
        return card()[1]

    async def sign(self, data: bytes) -> bytes:
        return card()[0].sign(data, PKCS1v15(), SHA256())


async def signed(name_id: str = HOLDER, *, age: timedelta = timedelta(), now: datetime = NOW) -> bytes:
    """An assertion that names somebody, signed so long before `now`."""
    said = AssertionPs("CN=FICTIF", name_id, "123456789", "SA05")
    return await sign(said, CardSigner(), now - age)


def holds(assertion: etree._Element) -> bool:
    """Whether digest and signature are right, where the assertion stands now (XML Signature §3.2)."""
    signature = assertion.find(f"{DS}Signature")
    info = signature.find(f"{DS}SignedInfo")
    der = b64decode(signature.findtext(f".//{DS}X509Certificate"))
    key = x509.load_der_x509_certificate(der).public_key()
    value = b64decode(signature.findtext(f"{DS}SignatureValue"))
    key.verify(value, canonical(info), PKCS1v15(), SHA256())
    digest = b64decode(info.findtext(f".//{DS}DigestValue"))
    follows = signature.getnext()
    assertion.remove(signature)
    matches = sha256(canonical(assertion)).digest() == digest
    follows.addprevious(signature)
    return matches


def canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True)
