"""AuditEvents of the trail's events, in the shapes of IHE Basic Audit Log Patterns (BALP) 1.1.

https://profiles.ihe.net/ITI/BALP/, https://hl7.org/fhir/R4/auditevent.html. A BALP profile is claimed where all that it
requires is there: it is about what succeeded, by a client whose address is known. Ours beside it: operations, and the
calls to INSi that they made.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_ins.api.audit_query import concealed_query
from fhir_ins.frcore.canonical import OURS
from fhir_ins.security.audit.event import Event, InsiCall
from fhir_ins.security.audit.keys import AuditKeys

Json = dict[str, Any]

BALP = "https://profiles.ihe.net/ITI/BALP"
CODES = f"{OURS}/CodeSystem/ins-audit"

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
_APPLICATION = {"system": _DICOM, "code": "110150", "display": "Application"}
_DESTINATION = {"system": _DICOM, "code": "110152", "display": "Destination Role ID"}
_SOURCE = {"system": _DICOM, "code": "110153", "display": "Source Role ID"}
_CUSTODIAN = {"system": f"{_TERMINOLOGY}/provenance-participant-type", "code": "custodian", "display": "Custodian"}
_RECIPIENT = {"system": f"{_TERMINOLOGY}/v3-ParticipationType", "code": "IRCP", "display": "information recipient"}
_AUTHOR = {"system": f"{_TERMINOLOGY}/v3-ParticipationType", "code": "AUT", "display": "author (originator)"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN_ID = re.compile(r"\d{12}-\d{4,6}", re.ASCII)
_LIKE_A_MATRICULE = re.compile(r"\d{6}[\dAB]\d{6}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an interaction is to BALP: its action, the profile without and with a patient, the general subtype."""

    action: str
    profile: str | None = None
    subtype: str | None = None


_SHAPES = {
    "read": _Shape("R", "Read"),
    "vread": _Shape("R", "Read", "read"),
    "create": _Shape("C", "Create"),
    "update": _Shape("U", "Update"),
    "patch": _Shape("U", "Update", "update"),
    "delete": _Shape("D", "Delete"),
    "search-type": _Shape("E", "Query", "search"),
    "search-system": _Shape("E", "Query", "search"),
    "history-instance": _Shape("R", None, "history"),
    "history-type": _Shape("R", None, "history"),
    "history-system": _Shape("R", None, "history"),
    "batch": _Shape("E"),
    "transaction": _Shape("E"),
    "erase": _Shape("D", None, "operation"),
}
_OPERATION = _Shape("E", None, "operation")


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its place: which batch of which tenant, the how-manieth of it, recorded by which server."""

    tenant: str
    sequence: int
    number: int
    key: str
    server: str
    event: Event

    @property
    def id(self) -> str:
        """The id of its AuditEvent; later ones have greater ids."""
        return f"{self.sequence:012d}-{self.number:04d}"


def place_of_id(id_: str) -> tuple[int, int] | None:
    """The sequence and the number that an id of an AuditEvent names; None of what is none."""
    if not _OWN_ID.fullmatch(id_):
        return None
    sequence, _, number = id_.partition("-")
    return int(sequence), int(number)


def audit_event(recorded: Recorded, keys: AuditKeys) -> Json:
    """The AuditEvent; what may identify a person in an address or a query is sealed in it."""
    event = recorded.event
    moment = datetime.fromtimestamp(event.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shape = _shape(event)
    entities = list(_Entities(recorded, keys).of_all())
    profile = _profile(event, shape, entities)
    return {
        "resourceType": "AuditEvent",
        "id": recorded.id,
        "meta": {"lastUpdated": moment, **({"profile": [profile]} if profile else {})},
        "type": {"system": f"{_TERMINOLOGY}/audit-event-type", "code": "rest", "display": "Restful Operation"},
        **({"subtype": _subtypes(event, shape)} if event.interaction else {}),
        **({"action": shape.action} if event.interaction else {}),
        "recorded": moment,
        "outcome": _outcome(event.status),
        "outcomeDesc": f"HTTP {event.status}",
        "agent": _agents(recorded, shape),
        "source": {
            "observer": {"identifier": {"value": recorded.server}, "display": "fhir-ins"},
            "type": [
                {
                    "system": f"{_TERMINOLOGY}/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": entities,
    }


def patients_of(event: Event) -> list[str]:
    """The ids of the patients an event is about: those concerned, and the one asked for."""
    asked = [event.id] if event.type == "Patient" and event.id else []
    return [*dict.fromkeys([*asked, *event.patients])]


def _shape(event: Event) -> _Shape:
    return _SHAPES.get(event.interaction, _OPERATION)


def _subtypes(event: Event, shape: _Shape) -> list[Json]:
    """The general code, which BALP asks for, then the specific one."""
    codes = [{"system": _INTERACTIONS, "code": shape.subtype}] if shape.subtype else []
    system = CODES if shape.subtype == "operation" else _INTERACTIONS
    return [*codes, {"system": system, "code": event.interaction}]


def _outcome(status: int) -> str:
    """https://hl7.org/fhir/R4/valueset-audit-event-outcome.html"""
    return "0" if status < 400 else "4" if status < 500 else "8"


def _profile(event: Event, shape: _Shape, entities: list[Json]) -> str | None:
    if shape.profile is None or event.status >= 400 or not event.address:
        return None
    about = sum(entity["type"].get("code") == "2" for entity in entities)
    patients = sum(entity["type"].get("code") == "1" for entity in entities)
    if about != 1:
        return None
    return f"{BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if patients == 1 else ''}{shape.profile}"


def _agents(recorded: Recorded, shape: _Shape) -> list[Json]:
    event = recorded.event
    client_type, server_type = _SOURCE, _DESTINATION
    if shape.action == "R":
        client_type, server_type = _DESTINATION, _SOURCE
    elif shape.action == "D":
        client_type, server_type = _APPLICATION, _CUSTODIAN
    user_type = _RECIPIENT if shape.action in "RE" else _AUTHOR
    client = {
        "type": {"coding": [client_type]},
        "who": {"identifier": {"value": event.client}},
        "altId": event.client,
        "requestor": event.user is None,
        **({"network": {"address": event.address, "type": "2"}} if event.address else {}),
    }
    server = {
        "type": {"coding": [server_type]},
        "who": {"identifier": {"value": recorded.server}, "display": "fhir-ins"},
        "requestor": False,
        "network": {"address": recorded.server, "type": "5"},
    }
    if event.user is None:
        return [client, server]
    user = {
        "type": {"coding": [user_type]},
        "who": {"identifier": {"value": event.user}},
        "altId": event.user,
        "requestor": True,
    }
    return [client, server, user]


class _Entities:
    """The entities of one event; what is sealed in them is told apart by a count."""

    def __init__(self, recorded: Recorded, keys: AuditKeys) -> None:
        self._recorded = recorded
        self._keys = keys
        self._sealed = 0

    def of_all(self) -> Iterator[Json]:
        event = self._recorded.event
        is_search = _shape(event).profile == "Query"
        if is_search or event.query:
            yield self._query(is_search=is_search)
        yield from self._about(is_search=is_search)
        for id_ in patients_of(event):
            shown = self._is_shown(id_, stored=id_ in event.patients)
            yield {"what": self._what("Patient", id_, shown=shown), "type": _entity_type("1"), "role": _role("1")}
        yield from (_insi_call(call) for call in event.calls)
        yield {
            "what": {"identifier": {"value": event.request_id}},
            "type": {"system": f"{BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"},
        }

    def _about(self, *, is_search: bool) -> Iterator[Json]:
        """The resources that were shown or written; where there are none, the one that was asked for.

        A search has one entity of BALP's type for data, its query: what it found is told by the type of each.
        """
        event = self._recorded.event
        if not event.resources and event.type and event.id:
            shown = self._is_shown(event.id, stored=False)
            yield {
                "what": self._what(event.type, event.id, shown=shown),
                "type": _entity_type("2"),
                "role": _role("4"),
            }
        for reference in event.resources:
            type_, _, rest = reference.partition("/")
            id_ = rest.partition("/")[0]
            what = self._what(type_, rest, shown=type_ == "AuditEvent" or self._is_shown(id_, stored=True))
            kind = {"system": _RESOURCE_TYPES, "code": type_} if is_search else _entity_type("2")
            yield {"what": what, "type": kind, "role": _role("4")}

    def _query(self, *, is_search: bool) -> Json:
        event = self._recorded.event
        query = concealed_query(event.query, self._conceal)
        text = f"{event.type or ''}?{query}"
        kind = _entity_type("2") if is_search else _entity_type("4")
        return {"type": kind, "role": _role("24"), "query": b64encode(text.encode()).decode()}

    def _what(self, type_: str, id_: str, *, shown: bool) -> Json:
        if shown:
            return {"reference": f"{type_}/{id_}"}
        return {"type": type_, "identifier": {"value": self._conceal(id_)}}

    def _is_shown(self, id_: str, *, stored: bool) -> bool:
        """An id that the server gave; one that somebody else chose may be a name, or a matricule."""
        if _UUID.fullmatch(id_):
            return True
        return stored and not _LIKE_A_MATRICULE.search(re.sub(r"[-.]", "", id_))

    def _conceal(self, value: str) -> str:
        recorded = self._recorded
        place = b"".join(
            number.to_bytes(size) for number, size in ((recorded.sequence, 8), (recorded.number, 4), (self._sealed, 4))
        )
        self._sealed += 1
        return self._keys.concealed(recorded.key, recorded.tenant, place, value)


def _insi_call(call: InsiCall) -> Json:
    """A call to INSi: its message, its operation, its code. Nothing that was sent or came back."""
    return {
        "what": {"identifier": {"value": call.message_id}},
        "type": {"system": CODES, "code": "insi-call"},
        "role": _role("20"),
        "detail": [
            {"type": "operation", "valueString": call.operation},
            {"type": "code", "valueString": call.code or "none"},
        ],
    }


def _entity_type(code: str) -> Json:
    """https://hl7.org/fhir/R4/valueset-audit-entity-type.html"""
    return {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": code}


def _role(code: str) -> Json:
    """https://hl7.org/fhir/R4/valueset-object-role.html"""
    return {"system": f"{_TERMINOLOGY}/object-role", "code": code}
