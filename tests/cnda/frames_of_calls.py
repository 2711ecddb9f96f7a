"""Frames as a play of a case leaves them, made by hand."""

from datetime import UTC, datetime
from uuid import uuid4

from fhir_ins.cnda.case import Case
from fhir_ins.cnda.frames import Frames
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import (
    Call,
    Fault,
    FaultKind,
    Found,
    InsNumber,
    NoIdentity,
    Operation,
    Outcome,
    SeveralIdentities,
)

TRANSIENT = Fault(FaultKind.TRANSIENT, "Le service est temporairement inaccessible.", "siram_40", "insi_102")
OUTCOMES: dict[str, Outcome] = {"01": NoIdentity(), "02": SeveralIdentities(), "insi_102": TRANSIENT}


def found(ins: str, oid: str, history: tuple[str, ...] = (), given: str = "", place: str | None = "63220") -> Found:
    former = tuple(InsNumber(Matricule(*number.split()), oid) for number in history)
    traits = Traits("X", tuple(given.split()), "M", "2000-01-01", place)
    return Found(InsNumber(Matricule(*ins.split()), oid), former, traits)


def frames(case: Case, given: str, outcome: Outcome, message_id: str = "", **elements: str) -> Frames:
    """One call of a case, which sends what it must, changed by `elements`."""
    sent = {**case.elements, "Prenom": given, **elements}
    body = "".join(f'<{name} xmlns="urn:x">{text}</{name}>' for name, text in sent.items() if text)
    signed = case.operation is Operation.SEARCH_BY_VITALE
    assertion = '<Security xmlns="urn:s"><Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/></Security>'
    envelope = (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope">'
        f"<soap:Header>{assertion if signed else ''}</soap:Header>"
        f"<soap:Body><R>{body}</R></soap:Body></soap:Envelope>"
    )
    call = Call(message_id or f"uuid:{uuid4()}", given, outcome, case.operation)
    return Frames(call, "tester", datetime(2026, 1, 2, tzinfo=UTC), envelope.encode(), b"<answer/>")
