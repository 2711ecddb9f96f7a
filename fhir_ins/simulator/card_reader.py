"""What a workstation with a card reader makes: the signed assertion of a card, for tests of those who carry it.

Source: the AssertionPS of a test card: SAML as the default namespace, the signature right after Issuer, exclusive
canonicalisation, RSA with SHA-256, attributes identifiantFacturation and secteurActivite. The assertion of a carte
Vitale is not public: here it has the same form, and names its bearer by their number.
"""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from cryptography.x509.oid import NameOID
from lxml import etree

from fhir_ins.simulator.assertions import PROFESSIONAL, SAML

_XMLDSIG = "http://www.w3.org/2000/09/xmldsig#"
_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
_NAMES = {NameOID.SURNAME: "SN", NameOID.TITLE: "T"}
_ATTRIBUTES = (("identifiantFacturation", "999999990"), ("secteurActivite", "SA05"))


class Card:
    """A card in the reader: a PKCS#12 such as `Pki.card`, whose key is RSA."""

    def __init__(self, file: Path, passphrase: str) -> None:
        loaded = pkcs12.load_pkcs12(file.read_bytes(), passphrase.encode() or None)
        if loaded.cert is None or not isinstance(loaded.key, RSAPrivateKey):
            raise ValueError(f"{file} holds no certificate with an RSA key.")
        self._key, self._certificate = loaded.key, loaded.cert.certificate

    @property
    def identifier(self) -> str:
        """The CN of its certificate: the national identifier of a professional."""
        return str(self._certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def professional(self, issued: datetime) -> bytes:
        """An AssertionPS."""
        attributes = "".join(
            f'<Attribute Name="{name}"><AttributeValue>{value}</AttributeValue></Attribute>'
            for name, value in _ATTRIBUTES
        )
        statement = f"<AttributeStatement>{attributes}</AttributeStatement>"
        return self._signed(PROFESSIONAL, self.identifier, statement, issued)

    def vitale(self, number: str, issued: datetime) -> bytes:
        """A Vitale assertion; `number` is the bearer's, or that of the insured whose card it is."""
        return self._signed("VITALE", number, "", issued)

    def _signed(self, qualifier: str, name_id: str, statement: str, issued: datetime) -> bytes:
        own_id = f"_{uuid4()}"
        instant = issued.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = (
            f'<Assertion xmlns="{SAML}" ID="{own_id}" IssueInstant="{instant}" Version="2.0">'
            '<Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName">'
            f"{escape(self._certificate.subject.rfc4514_string(_NAMES))}</Issuer>"
        )
        tail = (
            f'<Subject><NameID NameQualifier="{qualifier}">{escape(name_id)}</NameID></Subject>{statement}</Assertion>'
        )
        return (head + self._signature(own_id, head + tail) + tail).encode()

    def _signature(self, own_id: str, assertion: str) -> str:
        """ds:Signature of an assertion that has none yet."""
        digest = b64encode(sha256(_canonical(assertion)).digest()).decode()
        info = (
            f'<SignedInfo xmlns="{_XMLDSIG}"><CanonicalizationMethod Algorithm="{_C14N}"/>'
            '<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
            f'<Reference URI="#{own_id}"><Transforms><Transform Algorithm="{_XMLDSIG}enveloped-signature"/>'
            f'<Transform Algorithm="{_C14N}"/></Transforms>'
            '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            f"<DigestValue>{digest}</DigestValue></Reference></SignedInfo>"
        )
        value = b64encode(self._key.sign(_canonical(info), PKCS1v15(), SHA256())).decode()
        certificate = b64encode(self._certificate.public_bytes(Encoding.DER)).decode()
        return (
            f'<Signature xmlns="{_XMLDSIG}">{info}<SignatureValue>{value}</SignatureValue>'
            f"<KeyInfo><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></Signature>"
        )


def _canonical(xml: str) -> bytes:
    return etree.tostring(etree.fromstring(xml), method="c14n", exclusive=True, with_comments=False)
