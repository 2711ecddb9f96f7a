"""The AssertionPS: what a professional signs with their card (CPS, CPE) so that INSi is asked in their name.

Source: SAML 2.0 core §2.3.3, XML Signature §4; the form is that of an assertion signed with a test card, down to the
digest: no white space, SAML as the default namespace, the signature right after Issuer, exclusive canonicalisation,
RSA with SHA-256. There are no Conditions and no AuthnStatement.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Protocol, Self
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree

from fhir_ins.insi.assertion import EXCLUSIVE_C14N, SAML_NAMESPACE, SIGNATURE_NAMESPACE
from fhir_ins.insi.certificate import CertificateFault, load_certificate

_SUBJECT_NAME = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
# How the Issuer of a card's assertion names the parts of the subject
_NAMES = {NameOID.GIVEN_NAME: "2.5.4.42", NameOID.SURNAME: "SN", NameOID.TITLE: "T"}


@dataclass(frozen=True, slots=True, repr=False)
class AssertionPs:
    """What an AssertionPS says: the subject of the card's certificate, and who acts, for which practice.

    `name_id` is the national identifier of the professional, `billing_number` identifiantFacturation (9 digits),
    `sector` secteurActivite (SA05, SA07…). `qualifier` says what kind of identifier it is: CPS, a professional's.
    """

    issuer: str
    name_id: str
    billing_number: str
    sector: str
    qualifier: str = "CPS"

    @classmethod
    def of_card(cls, certificate: x509.Certificate, billing_number: str, sector: str) -> Self:
        """With what the card's signing certificate says of its holder; raises ValueError when it names nobody."""
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names:
            raise ValueError("The certificate of the card has no common name (CN), which identifies its holder.")
        return cls(certificate.subject.rfc4514_string(_NAMES), str(names[0].value), billing_number, sector)


class Signer(Protocol):
    """Whatever holds the private key of a card's signing certificate: a card reader, an HSM, a remote service."""

    @property
    def certificate(self) -> x509.Certificate:
        """The signing certificate, which the assertion carries."""

    async def sign(self, data: bytes) -> bytes:
        """The RSASSA-PKCS1-v1_5 signature with SHA-256 over `data`, which is not hashed yet."""


class SoftwareSigner:
    """A key in a PKCS#12 file: for tests, and for organisations whose key is not on a card."""

    def __init__(self, file: Path, passphrase: str) -> None:
        """Read the file; raises `CertificateFault` when it cannot be used, or its key is not RSA."""
        loaded = load_certificate(file, passphrase)
        if not isinstance(loaded.key, RSAPrivateKey):
            raise CertificateFault(f"The key in {file} is not an RSA key, which an AssertionPS is signed with.")
        self._key = loaded.key
        self._certificate = loaded.certificate

    @property
    def certificate(self) -> x509.Certificate:
        return self._certificate

    async def sign(self, data: bytes) -> bytes:
        """A millisecond of computation, as OpenSSL does it."""
        return self._key.sign(data, PKCS1v15(), SHA256())


async def sign(assertion: AssertionPs, signer: Signer, now: datetime, *, id_: str | None = None) -> bytes:
    """The signed AssertionPS as one element, with a fresh ID unless one is given; `now` is its IssueInstant.

    Raises what the signer raises, and ValueError for text that XML cannot carry.
    """
    own_id = id_ or f"_{uuid4()}"
    root = _unsigned(assertion, own_id, now)
    digest = sha256(_canonical(root)).digest()
    signature = etree.Element(_ds("Signature"), nsmap=_default(SIGNATURE_NAMESPACE))
    root.insert(1, signature)
    info = _signed_info(signature, own_id, digest)
    value = await signer.sign(_canonical(info))
    etree.SubElement(signature, _ds("SignatureValue")).text = b64encode(value).decode()
    data = etree.SubElement(etree.SubElement(signature, _ds("KeyInfo")), _ds("X509Data"))
    certificate = signer.certificate.public_bytes(Encoding.DER)
    etree.SubElement(data, _ds("X509Certificate")).text = b64encode(certificate).decode()
    return etree.tostring(root, encoding="utf-8")


def _unsigned(assertion: AssertionPs, own_id: str, now: datetime) -> etree._Element:
    instant = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    root = etree.Element(_saml("Assertion"), nsmap=_default(SAML_NAMESPACE))
    for name, value in (("ID", own_id), ("IssueInstant", instant), ("Version", "2.0")):
        root.set(name, value)
    etree.SubElement(root, _saml("Issuer"), Format=_SUBJECT_NAME).text = assertion.issuer
    subject = etree.SubElement(root, _saml("Subject"))
    etree.SubElement(subject, _saml("NameID"), NameQualifier=assertion.qualifier).text = assertion.name_id
    statement = etree.SubElement(root, _saml("AttributeStatement"))
    for name, value in (
        ("identifiantFacturation", assertion.billing_number),
        ("secteurActivite", assertion.sector),
    ):
        attribute = etree.SubElement(statement, _saml("Attribute"), Name=name)
        etree.SubElement(attribute, _saml("AttributeValue")).text = value
    return root


def _signed_info(signature: etree._Element, own_id: str, digest: bytes) -> etree._Element:
    info = etree.SubElement(signature, _ds("SignedInfo"))
    etree.SubElement(info, _ds("CanonicalizationMethod"), Algorithm=EXCLUSIVE_C14N)
    etree.SubElement(info, _ds("SignatureMethod"), Algorithm=_RSA_SHA256)
    reference = etree.SubElement(info, _ds("Reference"), URI=f"#{own_id}")
    transforms = etree.SubElement(reference, _ds("Transforms"))
    for algorithm in (_ENVELOPED, EXCLUSIVE_C14N):
        etree.SubElement(transforms, _ds("Transform"), Algorithm=algorithm)
    etree.SubElement(reference, _ds("DigestMethod"), Algorithm=_SHA256)
    etree.SubElement(reference, _ds("DigestValue")).text = b64encode(digest).decode()
    return info


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _default(namespace: str) -> dict[str, str]:
    """A namespace without prefix."""
    return {None: namespace}  # type: ignore[dict-item]  # the stubs forget that lxml takes None


def _saml(name: str) -> str:
    return f"{{{SAML_NAMESPACE}}}{name}"


def _ds(name: str) -> str:
    return f"{{{SIGNATURE_NAMESPACE}}}{name}"
