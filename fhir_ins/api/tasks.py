"""The Task of a deferred call: what waits, what became of it. https://hl7.org/fhir/R4/task.html

It is open to everyone who may read: no trait and no matricule is in it, but for the name of a trait that differs.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fhir_ins.fhir.json import parse
from fhir_ins.frcore.canonical import OURS
from fhir_ins.ins.comparison import Comparison
from fhir_ins.ins.identity import Identity
from fhir_ins.insi.port import Call, Fault
from fhir_ins.store.deferred import WaitingCall
from fhir_ins.store.documents import Draft
from fhir_ins.store.versions import Current

Json = dict[str, Any]

CODES = f"{OURS}/CodeSystem/ins-task"

_INSI_CODES = "urn:siram"


def requested(call: WaitingCall) -> Json:
    """The Task of a call that has just been deferred."""
    since = _instant(call.since)
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": _concept("ins-fetch"),
        "for": {"reference": f"Patient/{call.patient}"},
        "authoredOn": since,
        "lastModified": since,
        "input": [
            {"type": _concept("acceptTraits"), "valueBoolean": call.accept_traits},
            {"type": _concept("force"), "valueBoolean": call.force},
        ],
    }


def in_progress(task: Json, reason: Json | None = None) -> Json:
    """The Task once INSi is being asked; with the reason why it must be asked again."""
    return _modified(task, status="in-progress", statusReason=reason)


def completed(
    task: Json, result: str, calls: Iterable[Call], text: str, discrepancies: Iterable[Comparison] = ()
) -> Json:
    """The Task once INSi has answered; `text` says what that means, or what is left to do."""
    output = [
        {"type": _concept("result"), "valueCode": result},
        *({"type": _concept("discrepancy"), "valueCode": found.trait.value} for found in discrepancies),
        *_message_ids(calls),
    ]
    return _modified(task, status="completed", statusReason=None, businessStatus={"text": text}, output=output)


def failed(task: Json, reason: Json, calls: Iterable[Call] = ()) -> Json:
    """The Task of a call that cannot succeed as it is."""
    return _modified(task, status="failed", statusReason=reason, output=_message_ids(calls) or None)


def cancelled(task: Json, reason: Json) -> Json:
    """The Task of a call that need not, or must not, be made any more."""
    return _modified(task, status="cancelled", statusReason=reason)


def because(text: str, fault: Fault | None = None) -> Json:
    """A reason in plain words, with the codes of INSi's fault; its own words stay out, since a Task lasts."""
    codes = (fault.siram, fault.code) if fault else ()
    coding = [{"system": _INSI_CODES, "code": code.lower()} for code in codes if code]
    return {**({"coding": coding} if coding else {}), "text": text}


def task_of(current: Current) -> Json | None:
    """The stored Task, its server elements left out; None once it is deleted."""
    if current.body is None:
        return None
    return {name: value for name, value in parse(current.body).items() if name not in ("id", "meta")}


def task_draft(task: Json) -> Draft:
    """The Task, ready to be stored: everyone reads the same."""
    return Draft(task, None, None, Identity())


def is_ours(task: Json) -> bool:
    """Whether a Task is of the kind that only this server writes."""
    codings = task.get("code", {}).get("coding", ()) if task.get("resourceType") == "Task" else ()
    return any(coding.get("system") == CODES for coding in codings)


def _modified(task: Json, **elements: Any) -> Json:
    """The Task with these elements, those that are None taken away."""
    changed = {**task, **elements, "lastModified": _instant(datetime.now(UTC))}
    return {name: value for name, value in changed.items() if value is not None}


def _message_ids(calls: Iterable[Call]) -> list[Json]:
    return [{"type": _concept("messageId"), "valueString": call.message_id} for call in calls]


def _concept(code: str) -> Json:
    return {"coding": [{"system": CODES, "code": code}]}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
