"""The CapabilityStatement under test, and what its tests share: resources of each type, a call of each operation."""

from dataclasses import dataclass
from typing import Any

import httpx
from deferrals import BROKEN
from people import patient

from fhir_ins.api.capabilities import capability_statement
from fhir_ins.api.served import served
from fhir_ins.artifacts import artifact
from fhir_ins.fhir.json import parse
from fhir_ins.settings import Settings

Json = dict[str, Any]

STATEMENT = parse(capability_statement(Settings(), served()))
(REST,) = STATEMENT["rest"]
RESOURCES = {found["type"]: found for found in REST["resource"]}


def example(name: str) -> Json:
    """A published example."""
    return artifact(f"profiles/examples/{name}.json")


def interactions(type_: str) -> list[str]:
    return [found["code"] for found in RESOURCES[type_]["interaction"]]


def parameters(type_: str) -> list[Json]:
    return RESOURCES[type_]["searchParam"]  # type: ignore[no-any-return]


_CODE: Json = {"text": "a code"}
_SUBJECT: Json = {"reference": "Patient/somebody"}
# A least resource of each type that clients write.
LEAST: dict[str, Json] = {
    "Patient": patient(),
    "RelatedPerson": {"patient": _SUBJECT},
    "Person": {"active": True},
    "Practitioner": {"active": True},
    "PractitionerRole": {"active": True},
    "Organization": {"name": "CHU"},
    "Location": {"name": "Urgences"},
    "Endpoint": {
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "payloadType": [_CODE],
        "address": "https://fhir.example.fr",
    },
    "Encounter": {"status": "planned", "class": {"code": "AMB"}},
    "EpisodeOfCare": {"status": "active", "patient": _SUBJECT},
    "Coverage": {"status": "active", "beneficiary": _SUBJECT, "payor": [{"reference": "Organization/cpam"}]},
    "Consent": {"status": "active", "scope": _CODE, "category": [_CODE], "policyRule": _CODE},
    "Observation": {"status": "final", "code": _CODE},
    "Condition": {
        "subject": _SUBJECT,
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
    },
    "DocumentReference": {"status": "current", "content": [{"attachment": {"contentType": "application/pdf"}}]},
    "DocumentManifest": {"status": "current", "content": [{"reference": "DocumentReference/one"}]},
    "List": {"status": "current", "mode": "working"},
    "Flag": {"status": "active", "code": _CODE, "subject": _SUBJECT},
    "Task": {"status": "draft", "intent": "order", "code": _CODE},
    "Basic": {"code": _CODE},
    "Binary": {"contentType": "text/plain", "data": "SU5T"},
    "Provenance": {
        "target": [_SUBJECT],
        "recorded": "2026-01-31T09:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/one"}}],
    },
}
# What only the server writes, and auditors alone read.
UNWRITTEN = {"AuditEvent"}
WRITTEN = sorted(RESOURCES.keys() - UNWRITTEN)


def least(type_: str) -> Json:
    """A resource of this type as a client writes it."""
    return {"resourceType": type_, **LEAST[type_]}


async def one_of(fhir: httpx.AsyncClient, type_: str) -> Json:
    """A resource of this type: a new one, or the first of those published."""
    if type_ in LEAST:
        return (await fhir.post(f"/{type_}", json=least(type_))).json()
    return (await fhir.get(f"/{type_}")).json()["entry"][0]["resource"]


def refused(answer: httpx.Response) -> bool:
    return answer.status_code in range(400, 500) and answer.json()["resourceType"] == "OperationOutcome"


@dataclass(frozen=True, slots=True)
class Call:
    """A least call of an operation; `level`: at which of its addresses, system, type or instance.

    `sends_one`: its body is a resource of the type. `status` is what it is answered by.
    """

    level: str
    method: str = "POST"
    body: Json | None = None
    sends_one: bool = False
    status: int = 200


_LABEL = f"IS01{'0' * 22}S1275126322074974S21.2.250.1.213.1.4.8<GS>S3ZOE<GS>S4ADRUN<GS>S5FS631-12-1975S763220"
_SCANNED: Json = {"resourceType": "Parameters", "parameter": [{"name": "payload", "valueString": _LABEL}]}

_TAG: Json = {"tag": [{"system": "urn:example:tag", "code": "x"}]}
_META: Json = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": _TAG}]}

# The one table to add to with an operation: a call at each of its levels, by each method it is served by there.
CALLS: dict[str, list[Call]] = {
    "ins-fetch": [
        Call("type", body=example("Parameters-ins-fetch-in")),
        Call("type", body=BROKEN, status=202),
        Call("instance"),
    ],
    "ins-verify": [Call("type", body=example("Parameters-ins-verify-in")), Call("instance")],
    "ins-identity": [Call("instance", "GET"), Call("instance")],
    "ins-scan": [Call("type", body=_SCANNED)],
    "everything": [Call("instance", "GET"), Call("instance")],
    "meta": [Call(level, method) for level in ("system", "type", "instance") for method in ("GET", "POST")],
    "meta-add": [Call("instance", body=_META)],
    "meta-delete": [Call("instance", body=_META)],
    "validate": [
        Call("type", sends_one=True),
        Call("type", "GET", status=400),  # there is nothing to validate
        Call("instance", "GET"),
        Call("instance", sends_one=True),
    ],
}
