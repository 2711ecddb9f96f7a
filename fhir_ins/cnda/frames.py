"""The SOAP frames of one call: what the request asks, and what the answer says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from fhir_ins.insi.contract import SOAP_NAMESPACE
from fhir_ins.insi.contract.documents import Unreadable, parse
from fhir_ins.insi.port import Call

_SAML_NAMESPACE = "urn:oasis:names:tc:SAML:2.0:assertion"


@dataclass(frozen=True, slots=True)
class Frames:
    """One call with the bytes that went over the wire; `answer` is None when none came."""

    call: Call
    operator: str
    at: datetime
    request: bytes
    answer: bytes | None

    @property
    def asked(self) -> Mapping[str, str]:
        """What the request's body asks, by the names of the wire; several Prenom and nested elements are joined."""
        content = self._find(f"{{{SOAP_NAMESPACE}}}Body/*/*")
        asked: dict[str, str] = {}
        for element in content:
            name, text = etree.QName(element).localname, " ".join(str(piece) for piece in element.itertext())
            asked[name] = f"{asked[name]} {text}" if name in asked else text
        return asked

    @property
    def assertions(self) -> int:
        """How many SAML assertions the request's header carries."""
        return len(self._find(f"{{{SOAP_NAMESPACE}}}Header//{{{_SAML_NAMESPACE}}}Assertion"))

    def _find(self, path: str) -> list[etree._Element]:
        try:
            return parse(self.request).findall(path)
        except Unreadable:
            return []
