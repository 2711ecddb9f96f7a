"""The téléservice itself: POST /lps, a SOAP 1.2 request in, an answer out.

Source: contract DESIR_ICIR_EXP 1.5.0, operation rechercherInsAvecTraitsIdentite. Requests are held to the
contract more strictly than the live service holds them, so that a mistake of ours shows here first.
"""

import re
from dataclasses import dataclass

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_ins.insi.contract import (
    ADDRESSING_NAMESPACE,
    BAM_NAMESPACE,
    LPS_NAMESPACE,
    SEARCH_BY_TRAITS_ACTION,
    SOAP_NAMESPACE,
    TRAITS_NAMESPACE,
    schema,
)
from fhir_ins.insi.contract.documents import LARGEST, Unreadable, parse
from fhir_ins.simulator import answers
from fhir_ins.simulator.answers import Answer
from fhir_ins.simulator.identities import Asked, is_broken, matches

DEFAULT_IDAM = "SIMULATEUR01"

_MESSAGE_ID = re.compile(r"uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HEADERS = (
    (ADDRESSING_NAMESPACE, "Action"),
    (ADDRESSING_NAMESPACE, "MessageID"),
    (BAM_NAMESPACE, "ContexteBAM"),
    (LPS_NAMESPACE, "ContexteLPS"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a request that keeps the contract asks."""

    message_id: str
    idam: str
    traits: etree._Element


def application(idam: str = DEFAULT_IDAM) -> Starlette:
    """The ASGI application; it knows one calling software, by its `idam`."""

    async def lps(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                break
        answer = answer_to(bytes(body), request.headers.get("content-type", ""), idam)
        return Response(answer.body, answer.status, media_type="application/soap+xml; charset=utf-8")

    return Starlette(routes=[Route("/lps", lps, methods=["POST"])])


def answer_to(body: bytes, content_type: str, idam: str = DEFAULT_IDAM) -> Answer:
    """The answer to the bytes of a request; never raises."""
    if not content_type.startswith("application/soap+xml"):
        return answers.refusal("A SOAP 1.2 request has the content type application/soap+xml.")
    try:
        question = _question(parse(body))
    except Unreadable as instead:
        return answers.refusal(f"The simulator received {instead}.")
    if question.idam != idam:
        return answers.fault(answers.UNKNOWN_SOFTWARE, question.message_id)
    return _search(question)


def _question(root: etree._Element) -> Question:
    header = root.find(f"{{{SOAP_NAMESPACE}}}Header")
    body = root.find(f"{{{SOAP_NAMESPACE}}}Body")
    if root.tag != f"{{{SOAP_NAMESPACE}}}Envelope" or header is None or body is None:
        raise Unreadable("something other than a SOAP 1.2 envelope with header and body")
    action, message, _, lps = (_header(header, namespace, name) for namespace, name in _HEADERS)
    if action.text != SEARCH_BY_TRAITS_ACTION:
        raise Unreadable("a wsa:Action it does not know")
    if not _MESSAGE_ID.fullmatch(message.text or ""):
        raise Unreadable("a wsa:MessageID that is not uuid: and a UUID")
    if len(body) != 1 or not schema(TRAITS_NAMESPACE).validate(body[0]):
        raise Unreadable("a body that is not a valid RECSANSVITALE")
    idam = lps.findtext(f"{{{LPS_NAMESPACE}}}LPS/{{{LPS_NAMESPACE}}}IDAM") or ""
    return Question(str(message.text), idam, body[0])


def _header(header: etree._Element, namespace: str, name: str) -> etree._Element:
    elements = header.findall(f"{{{namespace}}}{name}")
    if len(elements) != 1 or not schema(namespace).validate(elements[0]):
        raise Unreadable(f"a header without one valid {name}")
    return elements[0]


def _search(question: Question) -> Answer:
    family, sex = _text(question, "NomNaissance"), _text(question, "Sexe")
    prenoms = question.traits.iterfind(f"{{{TRAITS_NAMESPACE}}}Prenom")
    given = tuple(name for prenom in prenoms for name in (prenom.text or "").split())
    birth_date = _text(question, "DateNaissance")
    if not family:
        return answers.fault(answers.NAME_MISSING, question.message_id)
    if sex not in ("F", "M"):
        return answers.fault(answers.SEX_WRONG, question.message_id)
    if not given or not birth_date:
        return answers.refusal("The simulator received traits without a given name or a birth date.")
    asked = Asked(family, given, sex, birth_date, _text(question, "LieuNaissance"))
    if is_broken(asked):
        return answers.fault(answers.SEARCH_FAILED, question.message_id)
    return _report(asked)


def _report(asked: Asked) -> Answer:
    people = matches(asked)
    if not people:
        return answers.nobody()
    if len(people) > 1 or (people[0].common and asked.birth_place is None):
        return answers.several()
    return answers.found(people[0])


def _text(question: Question, name: str) -> str | None:
    return question.traits.findtext(f"{{{TRAITS_NAMESPACE}}}{name}") or None
