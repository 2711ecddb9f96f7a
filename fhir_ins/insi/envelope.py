"""Building the SOAP request of each question, from the WSDL.

Source: contract DESIR_ICIR_EXP 1.5.0; header values as accepted live (ContexteBAM 01_02, ContexteLPS 01_00,
IDAM R="4", no Security header over mTLS). Ids and times are fresh in every request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

from lxml import etree

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import (
    ADDRESSING_NAMESPACE,
    BAM_NAMESPACE,
    BINDING,
    LPS_NAMESPACE,
    SECURITY_NAMESPACE,
    TRAITS_NAMESPACE,
    VITALE_NAMESPACE,
    WSDL,
)
from fhir_ins.insi.port import ByTraits, ByVitale, InsNumber, Operation, Question, Verify
from fhir_ins.insi.template import Leaves, Template, nested
from fhir_ins.insi.verification import Verification
from fhir_ins.insi.wsdl import Contract

_PREFIXES = {
    "ctxbam": BAM_NAMESPACE,
    "ctxlps": LPS_NAMESPACE,
    "wsa": ADDRESSING_NAMESPACE,
    "insi": TRAITS_NAMESPACE,
    "vitale": VITALE_NAMESPACE,
}
# Where the assertions go: a processing instruction, because no text of a request can come out as these bytes
_ASSERTIONS = b"<?assertions ?>"
_HEADER_TEXTS = 5
_MOST_TEMPLATES = 64

# Questions that say all that can be said: what the WSDLs are held to at start
_ANYBODY = Traits("", ("",), "", "", "")
_BY_TRAITS = ByTraits(_ANYBODY, ("",))
_BY_VITALE = ByVitale(Matricule("", ""), Matricule("", ""), "", "", "")
_VERIFY = Verify(InsNumber(Matricule("", ""), ""), _ANYBODY)


@dataclass(frozen=True, slots=True)
class CallingSoftware:
    """What ContexteLPS says of the software that calls."""

    idam: str
    name: str
    version: str
    instance: str


@dataclass(frozen=True, slots=True)
class RequestIds:
    """The three identifiers of one request, and its time (UTC)."""

    message: UUID
    bam: UUID
    lps: UUID
    time: datetime


@dataclass(frozen=True, slots=True)
class _Shape:
    """What makes two requests differ in more than their texts."""

    operation: Operation
    paths: tuple[tuple[str, ...], ...]
    signed: bool


@cache
def _contract(wsdl: Path) -> Contract:
    """Read once for all the structures of a process, which share it."""
    return Contract(wsdl, BINDING, _PREFIXES)


class RequestBuilder:
    """Builds requests from one WSDL, our own contract's or the operator's, and from that of the verification."""

    def __init__(
        self,
        software: CallingSoftware,
        wsdl: Path | None = None,
        verification: Verification | None = None,
        *,
        given_names_joined: bool = True,
    ) -> None:
        """Read the WSDL; raises ValueError or OSError when it has not the operations and elements to ask with.

        `given_names_joined`: a search with several given names sends them in one Prenom, else in several.
        """
        self._software = software
        self._contract = _contract(wsdl or WSDL)
        self._verification = verification
        self._joined = given_names_joined
        self._templates: dict[_Shape, Template] = {}
        for question in (_BY_TRAITS, _BY_VITALE, *((_VERIFY,) if verification else ())):
            self._template(self._leaves(question), question.operation, signed=False)

    def action(self, operation: Operation) -> str:
        """The soapAction of an operation, for the content type of the request."""
        return self._contract_of(operation).action(self._name(operation))

    def envelope(
        self, question: Question, ids: RequestIds, *, emetteur: str, assertions: Sequence[bytes] = ()
    ) -> bytes:
        """The envelope that asks `question`, with `assertions` in wsse:Security byte for byte; without any, without it.

        An assertion is one element in UTF-8 (`assertion.Assertion.xml`). Raises ValueError for text that XML cannot
        carry, or a verification where none is configured.
        """
        leaves = self._leaves(question)
        template = self._template(leaves, question.operation, signed=bool(assertions))
        envelope = template.filled([*_header_texts(ids, emetteur), *(text for _, text in leaves)])
        message = etree.tostring(envelope, encoding="utf-8", xml_declaration=True)
        return message.replace(_ASSERTIONS, b"".join(assertions), 1)

    def _leaves(self, question: Question) -> Leaves:
        match question:
            case ByTraits():
                return list(_search_by_traits(question, joined=self._joined))
            case ByVitale():
                return list(_search_by_vitale(question))
            case Verify():
                return self._configured().leaves(question)

    def _template(self, leaves: Leaves, operation: Operation, *, signed: bool) -> Template:
        """The template for requests of this shape, made on its first use; a few shapes serve nearly all requests."""
        shape = _Shape(operation, tuple(path for path, _ in leaves), signed)
        if (known := self._templates.get(shape)) is not None:
            return known

        def build(marks: Sequence[str]) -> etree._Element:
            headers = self._headers(operation, marks[:_HEADER_TEXTS], signed=signed)
            body = nested(list(zip(shape.paths, marks[_HEADER_TEXTS:], strict=True)))
            return self._contract_of(operation).message(self._name(operation), body, headers)

        if len(self._templates) >= _MOST_TEMPLATES:
            self._templates.clear()
        return self._templates.setdefault(shape, Template(build, _HEADER_TEXTS + len(leaves)))

    def _headers(self, operation: Operation, texts: Sequence[str], *, signed: bool) -> list[object]:
        """Both contexts, wsa:Action, wsa:MessageID, and wsse:Security where there are assertions.

        COUVERTURE stays empty for a carte Vitale too: RECVITALE itself names the person, and what more the service
        would want of it there is not public.
        """
        message, bam_id, lps_id, time, emetteur = texts
        software, common = self._software, {"Temps": time, "Emetteur": emetteur}
        lps = {
            "IDAM": {"_value_1": software.idam, "R": "4"},
            "Version": software.version,
            "Instance": software.instance,
            "Nom": f"urn:lps:{software.name}:{software.version}",
        }
        element = self._contract.element
        return [
            element(f"{{{BAM_NAMESPACE}}}ContexteBAM")(
                Id=bam_id, COUVERTURE={}, Nature="CTXBAM", Version="01_02", **common
            ),
            element(f"{{{LPS_NAMESPACE}}}ContexteLPS")(Id=lps_id, LPS=lps, Nature="CTXLPS", Version="01_00", **common),
            _addressing("Action", self.action(operation)),
            _addressing("MessageID", message),
            *([_security()] if signed else []),
        ]

    def _contract_of(self, operation: Operation) -> Contract:
        return self._configured().contract if operation is Operation.VERIFY else self._contract

    def _name(self, operation: Operation) -> str:
        return self._configured().operation if operation is Operation.VERIFY else operation.value

    def _configured(self) -> Verification:
        if self._verification is None:
            raise ValueError("The unitary verification of INSi is not configured.")
        return self._verification


def _header_texts(ids: RequestIds, emetteur: str) -> list[str]:
    time = ids.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [f"uuid:{ids.message}", str(ids.bam), str(ids.lps), time, emetteur]


def _search_by_traits(question: ByTraits, *, joined: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """RECSANSVITALE; what is not known is left out."""
    traits = question.traits
    prenoms = (question.sent,) if joined and question.given else question.given
    for name, texts in (
        ("NomNaissance", (traits.family,)),
        ("Prenom", prenoms),
        ("Sexe", (traits.sex,)),
        ("DateNaissance", (traits.birth_date,)),
        ("LieuNaissance", (traits.birth_place,)),
    ):
        yield from (((name,), text) for text in texts if text is not None)


def _search_by_vitale(card: ByVitale) -> Iterator[tuple[tuple[str, ...], str]]:
    """RECVITALE; a number of a carte Vitale is a NIR, which is what TypeMatricule says where INSi itself sends it."""
    yield from _card_matricule("MatriculeIndividu", card.individual)
    yield from _card_matricule("MatriculeOD", card.holder)
    for name, text in (
        ("NomNaissance", card.family),
        ("DateNaissance", card.birth_date),
        ("RangNaissance", card.birth_rank),
    ):
        if text is not None:
            yield (name,), text


def _card_matricule(name: str, matricule: Matricule | None) -> Iterator[tuple[tuple[str, ...], str]]:
    if matricule is not None:
        yield (name, "NumIdentifiant"), matricule.number
        yield (name, "Cle"), matricule.key
        yield (name, "TypeMatricule"), "NIR"


def _addressing(name: str, value: str) -> etree._Element:
    """An element made by hand: zeep's list of headers takes no simple values."""
    element = etree.Element(f"{{{ADDRESSING_NAMESPACE}}}{name}", nsmap={"wsa": ADDRESSING_NAMESPACE})
    element.text = value
    return element


def _security() -> etree._Element:
    """The header that carries assertions, with the place for them; the WSDL's own type would have them taken apart."""
    element = etree.Element(f"{{{SECURITY_NAMESPACE}}}Security", nsmap={"wsse": SECURITY_NAMESPACE})
    element.append(etree.ProcessingInstruction("assertions"))
    return element
