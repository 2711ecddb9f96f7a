"""The SOAP frames of one call: what the request asks, and what the answer says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from fhir_ins.insi.contract import SOAP_NAMESPACE
from fhir_ins.insi.contract.documents import Unreadable, parse
from fhir_ins.insi.port import Call


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
        try:
            content = parse(self.request).find(f"{{{SOAP_NAMESPACE}}}Body/*")
        except Unreadable:
            content = None
        asked: dict[str, str] = {}
        for element in () if content is None else content:
            name, text = etree.QName(element).localname, " ".join(str(piece) for piece in element.itertext())
            asked[name] = f"{asked[name]} {text}" if name in asked else text
        return asked
