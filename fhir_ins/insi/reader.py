"""Reading what INSi answered: bytes and an HTTP status in, an `Outcome` out.

Source: contract DESIR_ICIR_EXP 1.5.0; live and CNDA answers, which take liberties with it (prefixes, order,
missing elements, wrong keys): elements are found by namespace and name, and the contract only gives warnings.
The media type of an answer is not looked at.
"""

import re
from dataclasses import replace

from lxml import etree

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import ins_oid
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import RESULT_NAMESPACE, SIRAM_NAMESPACE, SOAP_NAMESPACE
from fhir_ins.insi.contract.documents import Unreadable, parse
from fhir_ins.insi.contract.violations import violations
from fhir_ins.insi.faults import kind_of
from fhir_ins.insi.port import Fault, FaultKind, Found, InsNumber, NoIdentity, Outcome, SeveralIdentities
from fhir_ins.insi.verification import Misfit, Verification

_LONGEST_TEXT = 500
_SUCCESS = 200


def read(body: bytes, status: int, verification: Verification | None = None) -> Outcome:
    """The outcome of a call, from its answer: of a `verification` where one was asked, else of a search; never raises.

    Anything but one legible compte rendu or SOAP fault is a TRANSIENT fault without codes, whose text says
    what came. An answer that names a person in two ways at once is unusable: nobody is picked from it.
    """
    try:
        outcome = _outcome(parse(body), verification)
    except Unreadable as instead:
        return Fault(FaultKind.TRANSIENT, f"INSi answered HTTP {status} with {instead}.", retryable=True)
    except Misfit as why:
        return Fault(
            FaultKind.TRANSIENT,
            f"INSi answered a verification as the configured mapping does not foresee: {why}. Check the mapping.",
        )
    if isinstance(outcome, Found) and status != _SUCCESS:
        return replace(outcome, warnings=(*outcome.warnings, f"The identity came with HTTP {status}."))
    return outcome


def _outcome(root: etree._Element, verification: Verification | None) -> Outcome:
    body = _only(root, SOAP_NAMESPACE, "Body") if root.tag == f"{{{SOAP_NAMESPACE}}}Envelope" else None
    if body is None:
        raise Unreadable("an XML document that is not a SOAP 1.2 envelope")
    fault = _only(body, SOAP_NAMESPACE, "Fault")
    if fault is not None:
        return _fault(fault)
    if verification:
        return verification.read(body)
    result = _only(body, RESULT_NAMESPACE, "RESULTAT")
    if result is None:
        raise Unreadable("an envelope that holds neither RESULTAT nor a fault")
    match _code(_part(result, "CR"), "CodeCR"):
        case "00":
            return _found(result)
        case "01":
            return NoIdentity()
        case "02":
            return SeveralIdentities()
    raise Unreadable("a RESULTAT whose CodeCR is unknown or missing")


def _found(result: etree._Element) -> Found:
    person = _part(result, "INDIVIDU")
    active = _number(_part(person, "INSACTIF"))
    if not active.oid:
        raise Unreadable("an unusable answer: the OID of INSACTIF is missing")
    history = []
    warnings = list(violations(result))
    for former in person.iterchildren(f"{{{RESULT_NAMESPACE}}}INSHISTO"):
        try:
            history.append(_number(former))
        except Unreadable:
            warnings.append("An INSHISTO without a matricule was left out.")
    for number in (active, *history):
        warnings += _doubts(number)
    return Found(active, tuple(history), _traits(_part(person, "TIQ")), tuple(dict.fromkeys(warnings)))


def _number(ins: etree._Element) -> InsNumber:
    identity = _part(ins, "IdIndividu")
    number = _code(identity, "NumIdentifiant")
    if number is None:
        raise Unreadable("an unusable answer: NumIdentifiant is missing")
    # Cle is optional on the wire and follows from the number
    key = _code(identity, "Cle") or Matricule(number, "").expected_key or ""
    return InsNumber(Matricule(number, key), _code(ins, "OID") or "", _code(ins, "DateDeb"), _code(ins, "DateFin"))


def _doubts(number: InsNumber) -> list[str]:
    """What INSi would not have sent if all were well; the matricule is kept, and shown masked only."""
    doubts = []
    expected = number.matricule.expected_key
    if expected is None:
        doubts.append(f"Matricule {number.matricule.masked} has not the form of a NIR or NIA.")
    elif not number.matricule.key_is_right:
        doubts.append(f"The key of matricule {number.matricule.masked} is wrong: {expected} was expected.")
    if ins_oid(number.oid) is None:
        doubts.append(f"The OID of matricule {number.matricule.masked} is not an authority of the INS.")
    return doubts


def _traits(tiq: etree._Element) -> Traits:
    family = _text(tiq, "NomNaissance")
    if family is None:
        raise Unreadable("an unusable answer: NomNaissance is missing")
    # Prenom has not come since October 2022; ListePrenom holds them all, separated by spaces
    given = _text(tiq, "ListePrenom") or _text(tiq, "Prenom") or ""
    return Traits(
        family=family,
        given=tuple(given.split()),
        sex=_text(tiq, "Sexe"),
        birth_date=_text(tiq, "DateNaissance"),
        birth_place=_text(tiq, "LieuNaissance"),
    )


def _fault(fault: etree._Element) -> Fault:
    role = _unprefixed(fault.findtext("{*}Code/{*}Value"))
    siram = _plain(_unprefixed(fault.findtext("{*}Code/{*}Subcode/{*}Value")), _FAULT_CODE)
    erreur = fault.find(f".//{{{SIRAM_NAMESPACE}}}Erreur")
    code = severity = message_id = None
    label = ""
    if erreur is not None:
        message_id = _plain(erreur.get("messageID"), _MESSAGE_ID)
        code, severity = _plain(erreur.get("code"), _FAULT_CODE), _plain(erreur.get("severite"), _SEVERITY)
        label = _all_text(erreur)
    label = label.strip() or fault.findtext("{*}Reason/{*}Text") or "INSi answered a fault without a text."
    text = " ".join(label.split())[:_LONGEST_TEXT]
    kind = kind_of(role, siram, code, severity)
    return Fault(kind, text, siram, code, severity, message_id, retryable=kind is FaultKind.TRANSIENT)


# What goes into logs, metrics and Tasks: of the form that INSi's codes have, or not at all.
_FAULT_CODE = re.compile(r"[A-Za-z]{1,20}_\d{1,5}", re.ASCII)
_SEVERITY = re.compile(r"[A-Za-z]{1,20}", re.ASCII)
_MESSAGE_ID = re.compile(r"[\w:.-]{1,100}", re.ASCII)


def _plain(text: str | None, form: re.Pattern[str]) -> str | None:
    """The text, white space around it left out; None where it is not of that form."""
    stripped = (text or "").strip()
    return stripped if form.fullmatch(stripped) else None


def _unprefixed(qualified: str | None) -> str | None:
    return (qualified or "").strip().rpartition(":")[2] or None


def _only(parent: etree._Element, namespace: str, name: str) -> etree._Element | None:
    """The one child of that name, or None; two of them make the answer ambiguous, hence unusable."""
    children = list(parent.iterchildren(f"{{{namespace}}}{name}"))
    if len(children) > 1:
        raise Unreadable(f"an unusable answer: {name} is there more than once")
    return children[0] if children else None


def _part(parent: etree._Element, name: str) -> etree._Element:
    child = _only(parent, RESULT_NAMESPACE, name)
    if child is None:
        raise Unreadable(f"an unusable answer: {name} is missing")
    return child


def _text(parent: etree._Element, name: str) -> str | None:
    """The text exactly as received; None when the element is missing or blank."""
    child = _only(parent, RESULT_NAMESPACE, name)
    text = "" if child is None else _all_text(child)
    return text if text.strip() else None


def _all_text(element: etree._Element) -> str:
    return "".join(str(piece) for piece in element.itertext())


def _code(parent: etree._Element, name: str) -> str | None:
    """A code, around which white space means nothing."""
    text = _text(parent, name)
    return text.strip() if text else None
