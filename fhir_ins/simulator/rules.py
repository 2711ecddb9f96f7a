"""The rules of a request, each with its sentence: the simulator holds them more strictly than the live service does.

Source: contract DESIR_ICIR_EXP 1.5.0; header values accepted live (ContexteBAM 01_02, ContexteLPS 01_00, IDAM R="4",
LPS/Nom urn:lps:<name>:<version>, MessageID uuid:<uuid>); SOAP 1.2 part 2 §6.5 for the media type's action. How far
Temps may be from now is ours, and so is the action of the verification.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message

from lxml import etree

from fhir_ins.insi.contract import (
    ADDRESSING_NAMESPACE,
    BAM_NAMESPACE,
    LPS_NAMESPACE,
    SECURITY_NAMESPACE,
    SOAP_NAMESPACE,
    TRAITS_NAMESPACE,
    VERIFICATION_NAMESPACE,
    VITALE_NAMESPACE,
    schema,
)
from fhir_ins.simulator.refusal import Refused

_ACTION = "urn:ServiceIdentiteCertifiee:1.0.0:"
SEARCH_BY_TRAITS = f"{_ACTION}rechercherInsAvecTraitsIdentite"
SEARCH_BY_VITALE = f"{_ACTION}rechercherInsAvecCarteVitale"
VERIFY = f"{_ACTION}verifierInsAvecTraitsIdentite"

_BODIES = {
    SEARCH_BY_TRAITS: (TRAITS_NAMESPACE, "RECSANSVITALE"),
    SEARCH_BY_VITALE: (VITALE_NAMESPACE, "RECVITALE"),
    VERIFY: (VERIFICATION_NAMESPACE, "RequeteUnitaire"),
}
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IS_UUID = re.compile(_UUID, re.ASCII | re.IGNORECASE)
_MESSAGE_ID = re.compile(f"uuid:{_UUID}", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"urn:lps:[^:\s]+:[^:\s]+")
_DRIFT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A SOAP 1.2 envelope: its header, and what its body holds."""

    header: etree._Element
    content: etree._Element


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that keeps the rules."""

    action: str
    message_id: str
    identifiers: tuple[tuple[str, str], ...]
    idam: str
    emetteurs: tuple[str, str]
    content: etree._Element


def opened(root: etree._Element) -> Envelope:
    """The envelope of a document; raises `Refused` when it is none with one header and one element in its body."""
    header, body = f"{{{SOAP_NAMESPACE}}}Header", f"{{{SOAP_NAMESPACE}}}Body"
    if root.tag != f"{{{SOAP_NAMESPACE}}}Envelope" or [child.tag for child in root] != [header, body]:
        raise Refused("A request is a SOAP 1.2 envelope with one Header and one Body.")
    if len(root[1]) != 1:
        raise Refused("The SOAP body holds one element.")
    return Envelope(root[0], root[1][0])


def held(envelope: Envelope, content_type: str, now: datetime) -> Sent:
    """Hold an envelope to the rules; raises `Refused` with the first it breaks."""
    action = _header(envelope, ADDRESSING_NAMESPACE, "Action").text or ""
    _hold_media_type(content_type, action)
    message_id = _header(envelope, ADDRESSING_NAMESPACE, "MessageID").text or ""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Refused("wsa:MessageID is uuid: and a UUID.")
    bam = _context(envelope, BAM_NAMESPACE, "ContexteBAM", "01_02", now)
    lps = _context(envelope, LPS_NAMESPACE, "ContexteLPS", "01_00", now)
    security = envelope.header.findall(f"{{{SECURITY_NAMESPACE}}}Security")
    if len(security) > 1 or not all(map(schema(SECURITY_NAMESPACE).validate, security)):
        raise Refused("There is one wsse:Security at most, and it holds SAML assertions only.")
    _hold_body(envelope, action)
    return Sent(
        action,
        message_id,
        (("MessageID", message_id), *_ids(bam, lps)),
        _idam(lps),
        (_text(bam, "Emetteur"), _text(lps, "Emetteur")),
        envelope.content,
    )


def _hold_media_type(content_type: str, action: str) -> None:
    said = Message()
    said["Content-Type"] = content_type
    if said.get_content_type() != "application/soap+xml":
        raise Refused("A SOAP 1.2 request has the content type application/soap+xml.")
    if said.get_param("action") != action:
        raise Refused("The content type has an action parameter equal to wsa:Action.")


def _header(envelope: Envelope, namespace: str, name: str) -> etree._Element:
    elements = envelope.header.findall(f"{{{namespace}}}{name}")
    if len(elements) != 1 or not schema(namespace).validate(elements[0]):
        raise Refused(f"The SOAP header holds one valid {name} of the namespace {namespace}.")
    return elements[0]


def _context(envelope: Envelope, namespace: str, name: str, version: str, now: datetime) -> etree._Element:
    context = _header(envelope, namespace, name)
    if context.get("Version") != version:
        raise Refused(f"{name} has Version {version}.")
    if not _IS_UUID.fullmatch(_text(context, "Id")):
        raise Refused(f"{name}/Id is a UUID.")
    try:
        distance = abs(datetime.fromisoformat(_text(context, "Temps").strip()) - now)
    except (ValueError, TypeError, OverflowError):  # of a year that Python has not, or without a time zone
        raise Refused(f"{name}/Temps is a time of today with its time zone.") from None
    if distance > _DRIFT:
        raise Refused(f"{name}/Temps is more than 10 minutes from now.")
    if not _text(context, "Emetteur"):
        raise Refused(f"{name} has an Emetteur.")
    return context


def _idam(lps: etree._Element) -> str:
    """The authorisation number, when all that ContexteLPS says of the software is right."""
    software = lps.find(f"{{{LPS_NAMESPACE}}}LPS")
    idam = None if software is None else software.find(f"{{{LPS_NAMESPACE}}}IDAM")
    if lps.get("Nature") != "CTXLPS":
        raise Refused("ContexteLPS has Nature CTXLPS.")
    if software is None or idam is None or not idam.text or idam.get("R") != "4":
        raise Refused('ContexteLPS has an LPS with an IDAM, whose R is "4".')
    if not _text(software, "Version"):
        raise Refused("LPS has a Version.")
    if not _IS_UUID.fullmatch(_text(software, "Instance")):
        raise Refused("LPS/Instance is a UUID.")
    if not _NAME.fullmatch(_text(software, "Nom")):
        raise Refused("LPS/Nom has the form urn:lps:<name>:<version>.")
    return idam.text


def _hold_body(envelope: Envelope, action: str) -> None:
    if action not in _BODIES:
        raise Refused("The simulator does not know this wsa:Action.")
    namespace, name = _BODIES[action]
    if envelope.content.tag != f"{{{namespace}}}{name}" or not schema(namespace).validate(envelope.content):
        raise Refused(f"The body of this action is a valid {name} of the namespace {namespace}.")


def _ids(*contexts: etree._Element) -> tuple[tuple[str, str], ...]:
    return tuple((f"Id of {etree.QName(each).localname}", _text(each, "Id")) for each in contexts)


def _text(parent: etree._Element, name: str) -> str:
    return parent.findtext(f"{{{etree.QName(parent).namespace}}}{name}") or ""
