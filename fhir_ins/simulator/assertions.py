"""Judging a signed SAML assertion: is the signature right, whose is it, and is it still good?

Source: XML Signature §3.2 and §4, Exclusive XML Canonicalization; the AssertionPS of a test card: RSA with SHA-256,
one Reference to the assertion, enveloped-signature then exclusive canonicalisation, the card's signing certificate in
KeyInfo. Integrators tell the lifetimes: an hour, and 20 minutes for the assertion of a carte Vitale. Nothing here is
shared with the server, which makes such assertions.
"""

import re
from base64 import b64decode
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from lxml import etree

from fhir_ins.simulator.refusal import Refused

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
PROFESSIONAL = "CPS"
"""The NameQualifier of an AssertionPS; any other assertion is taken for a carte Vitale's."""

_DS = "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ALGORITHMS = (
    ("SignedInfo/CanonicalizationMethod", (_EXCLUSIVE,)),
    ("SignedInfo/SignatureMethod", ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",)),
    ("SignedInfo/Reference/Transforms/Transform", (f"{_DS}enveloped-signature", _EXCLUSIVE)),
    ("SignedInfo/Reference/DigestMethod", ("http://www.w3.org/2001/04/xmlenc#sha256",)),
)
_RDN = re.compile(r"(?<!\\)[,+]")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?", re.ASCII)
_LIFETIME = timedelta(hours=1)
_VITALE_LIFETIME = timedelta(minutes=20)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion whose signature is right: what NameID says, and whether a professional signed it with their card."""

    name_id: str
    is_of_professional: bool


def judge(assertion: etree._Element, authorities: Sequence[x509.Certificate], now: datetime) -> Assertion:
    """Hold an assertion to all rules; raises `Refused` with the first it breaks."""
    if assertion.tag != f"{{{SAML}}}Assertion" or assertion.get("Version") != "2.0":
        raise Refused("wsse:Security holds something other than SAML 2.0 assertions.")
    signer = signer_of(assertion)
    _hold_certificate(signer, authorities, now)
    name = assertion.find(f"{{{SAML}}}Subject/{{{SAML}}}NameID")
    name_id = "" if name is None else (name.text or "").strip()
    if name is None or not name_id:
        raise Refused("An assertion has a Subject with a NameID.")
    professional = name.get("NameQualifier") == PROFESSIONAL
    _hold_time(assertion.get("IssueInstant"), professional, now)
    if professional:
        _hold_names(assertion, name_id, signer)
    return Assertion(name_id, professional)


def signer_of(assertion: etree._Element) -> x509.Certificate:
    """The certificate whose key signed this assertion; raises `Refused` when the signature is missing or wrong."""
    signature = _signature(assertion)
    for path, expected in _ALGORITHMS:
        elements = signature.findall(_ds(path))
        # parameters, such as a list of inclusive namespaces, would change what is signed
        if tuple(element.get("Algorithm") for element in elements) != expected or any(len(each) for each in elements):
            raise Refused(f"The signature of an assertion has another {path.rpartition('/')[2]} than the contract's.")
    references = signature.findall(_ds("SignedInfo/Reference"))
    if [reference.get("URI") for reference in references] != [f"#{assertion.get('ID')}"]:
        raise Refused("The signature of an assertion has one Reference, to the assertion's ID.")
    digest = _bytes(signature, "SignedInfo/Reference/DigestValue")
    if not compare_digest(digest, sha256(_canonical(_unsigned(assertion))).digest()):
        raise Refused("The digest of an assertion is wrong: it was changed after it was signed.")
    certificate = _certificate(_bytes(signature, "KeyInfo/X509Data/X509Certificate"))
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise Refused("An assertion is signed with an RSA key.")
    value, signed = _bytes(signature, "SignatureValue"), _canonical(signature[0])
    try:
        key.verify(value, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Refused("The signature of an assertion is wrong.") from None
    return certificate


def _signature(assertion: etree._Element) -> etree._Element:
    """The one signature, in its place right after Issuer; SignedInfo is its first child."""
    signatures = list(assertion.iter(_ds("Signature")))
    if len(signatures) != 1 or [child.tag for child in list(assertion)[:2]] != [f"{{{SAML}}}Issuer", _ds("Signature")]:
        raise Refused("An assertion has one signature, right after its Issuer.")
    (signature,) = signatures
    if not len(signature) or [child.tag for child in signature.findall(_ds("SignedInfo"))] != [signature[0].tag]:
        raise Refused("The signature of an assertion starts with its one SignedInfo.")
    return signature


def _hold_certificate(signer: x509.Certificate, authorities: Sequence[x509.Certificate], now: datetime) -> None:
    if not any(_issued(signer, authority) for authority in authorities):
        raise Refused("The certificate that signed an assertion is of no authority the simulator trusts.")
    if not signer.not_valid_before_utc <= now <= signer.not_valid_after_utc:
        raise Refused("The certificate that signed an assertion is not valid now.")
    try:
        usage = signer.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        usage = None
    if usage is None or not usage.content_commitment:
        raise Refused("An assertion is signed with a signing certificate (key usage contentCommitment).")


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _hold_time(instant: str | None, professional: bool, now: datetime) -> None:
    try:
        issued = datetime.fromisoformat(instant if instant and _INSTANT.fullmatch(instant) else "")
    except ValueError:
        raise Refused("The IssueInstant of an assertion is a time.") from None
    issued = issued if issued.tzinfo else issued.replace(tzinfo=UTC)
    lifetime = _LIFETIME if professional else _VITALE_LIFETIME
    if issued > now + _SKEW:
        raise Refused("An assertion was issued in the future.")
    if issued < now - lifetime:
        minutes = round(lifetime.total_seconds() / 60)
        raise Refused(f"The {'AssertionPS' if professional else 'Vitale assertion'} is older than {minutes} minutes.")


def _hold_names(assertion: etree._Element, name_id: str, signer: x509.Certificate) -> None:
    """The Issuer is the subject, in one of many spellings of it: its CN decides."""
    names = [str(name.value) for name in signer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name_id]:
        raise Refused("The NameID of an AssertionPS is the CN of the certificate that signed it.")
    issuer = _RDN.split(assertion.findtext(f"{{{SAML}}}Issuer") or "")
    if f"CN={name_id}" not in map(str.strip, issuer):
        raise Refused("The Issuer of an AssertionPS is the subject of the certificate that signed it.")


def _unsigned(assertion: etree._Element) -> etree._Element:
    """What the enveloped-signature transform leaves; the text after the signature stays."""
    copy = deepcopy(assertion)
    signature = copy[1]
    before = copy[0]
    before.tail = (before.tail or "") + (signature.tail or "") or None
    copy.remove(signature)
    return copy


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _bytes(signature: etree._Element, path: str) -> bytes:
    elements = signature.findall(_ds(path))
    try:
        (element,) = elements
        return b64decode("".join((element.text or "").split()), validate=True)
    except ValueError:
        raise Refused(f"The signature of an assertion has one {path.rpartition('/')[2]}, in base64.") from None


def _certificate(content: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(content)
    except ValueError:
        raise Refused("The X509Certificate of an assertion is no certificate.") from None


def _ds(path: str) -> str:
    return "/".join(f"{{{_DS}}}{name}" for name in path.split("/"))
