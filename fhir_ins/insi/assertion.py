"""A signed SAML 2.0 assertion as it is given to us: what it says of itself, how long it may be sent, and its bytes.

Source: SAML 2.0 core §2.3.3 and §5.4; the AssertionPS of a test card (exclusive canonicalisation, so the signature
holds inside the envelope). That INSi takes an AssertionPS for an hour and a Vitale assertion for twenty minutes
(CNDA test 1.02) is what integrators tell. Whether the signature is right is for INSi to judge.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lxml import etree

from fhir_ins.insi.contract.documents import Unreadable, sole_element

SAML_NAMESPACE = "urn:oasis:names:tc:SAML:2.0:assertion"
SIGNATURE_NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"

PS_LIFETIME = timedelta(hours=1)
VITALE_LIFETIME = timedelta(minutes=20)

_MARGIN = timedelta(seconds=10)
"""What the way to INSi may take: an assertion is not sent in its last seconds."""
_CLOCKS_DIFFER = timedelta(minutes=5)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?", re.ASCII)


class Malformed(Exception):
    """Why some bytes are not a signed SAML assertion that can be sent, as a sentence's end: "it …"."""


@dataclass(frozen=True, slots=True, repr=False)
class Assertion:
    """What an assertion says of itself. `xml` is its one element as it was signed: bytes in UTF-8, nothing around."""

    xml: bytes
    id: str
    issued: datetime
    issuer: str
    name_id: str

    def expired(self, lifetime: timedelta, now: datetime) -> bool:
        """Whether it is too old to be sent, a small margin before its time is over."""
        return now > self.issued + lifetime - _MARGIN

    def from_the_future(self, now: datetime) -> bool:
        """Whether it was issued later than two clocks can differ."""
        return self.issued > now + _CLOCKS_DIFFER


def read_assertion(content: bytes) -> Assertion:
    """Read `content`; raises `Malformed` for anything but one signed SAML 2.0 assertion in UTF-8.

    Refused as well: an encrypted one, one with a DTD or a processing instruction (a SOAP message holds none), and one
    whose canonicalisation takes in what surrounds it, since its signature would break in the envelope.
    """
    try:
        xml, root = sole_element(content)
    except Unreadable as instead:
        raise Malformed(f"it is {instead}") from None
    if root.tag != f"{{{SAML_NAMESPACE}}}Assertion" or root.get("Version") != "2.0":
        raise Malformed("it is not a SAML 2.0 Assertion")
    own_id = root.get("ID") or ""
    _signature_of(root, own_id)
    issuer, name_id = (_text(root, path) for path in ("Issuer", "Subject/NameID"))
    return Assertion(xml, own_id, _instant(root.get("IssueInstant")), issuer, name_id)


def _signature_of(root: etree._Element, own_id: str) -> None:
    """Hold the signature to what INSi needs to check it: that it covers this assertion, and survives the envelope."""
    signatures = root.findall(f"{{{SIGNATURE_NAMESPACE}}}Signature")
    if len(signatures) != 1:
        raise Malformed("it is not signed" if not signatures else "it is signed more than once")
    signed = signatures[0].findall(_signature_path("SignedInfo", "Reference"))
    if not own_id or [reference.get("URI") for reference in signed] != [f"#{own_id}"]:
        raise Malformed("its signature does not refer to its ID")
    value = signatures[0].findtext(_signature_path("SignatureValue")) or ""
    if not value.strip():
        raise Malformed("its signature has no value")
    method = signatures[0].find(_signature_path("SignedInfo", "CanonicalizationMethod"))
    transforms = signed[0].findall(_signature_path("Transforms", "Transform"))
    algorithms = [transform.get("Algorithm") for transform in transforms]
    if method is None or method.get("Algorithm") != EXCLUSIVE_C14N or EXCLUSIVE_C14N not in algorithms:
        raise Malformed("its signature is not over the exclusive canonical form, so it would break in the envelope")


def _signature_path(*names: str) -> str:
    return "/".join(f"{{{SIGNATURE_NAMESPACE}}}{name}" for name in names)


def _text(root: etree._Element, path: str) -> str:
    elements = root.findall("/".join(f"{{{SAML_NAMESPACE}}}{name}" for name in path.split("/")))
    text = (elements[0].text or "").strip() if len(elements) == 1 else ""
    if not text:
        raise Malformed(f"it has no one {path}")
    return text


def _instant(text: str | None) -> datetime:
    """SAML core §1.3.3: a time is in UTC, said or not."""
    if text is None or not _INSTANT.fullmatch(text):
        raise Malformed("its IssueInstant is missing or not a time")
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("its IssueInstant is not a time of the calendar") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
