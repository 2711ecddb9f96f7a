"""The CapabilityStatement under test, and what its tests share: resources of each type, a call of each operation."""

from dataclasses import dataclass
from typing import Any

import httpx
from deferrals import BROKEN, deferred, until
from people import patient

from fhir_ins.api.capabilities import capability_statement
from fhir_ins.artifacts import artifact
from fhir_ins.fhir.json import parse
from fhir_ins.settings import Settings

Json = dict[str, Any]

STATEMENT = parse(capability_statement(Settings()))
(REST,) = STATEMENT["rest"]
RESOURCES = {found["type"]: found for found in REST["resource"]}


def example(name: str) -> Json:
    """A published example."""
    return artifact(f"profiles/examples/{name}.json")


def interactions(type_: str) -> list[str]:
    return [found["code"] for found in RESOURCES[type_]["interaction"]]


def parameters(type_: str) -> list[Json]:
    return RESOURCES[type_]["searchParam"]  # type: ignore[no-any-return]


async def one_of(fhir: httpx.AsyncClient, type_: str) -> Json:
    """A resource of this type: a new Patient, a Task that waits for INSi, or the first of those published."""
    if type_ == "Patient":
        return (await fhir.post("/Patient", json=patient())).json()
    if type_ == "Task":
        return await _task(fhir)
    return (await fhir.get(f"/{type_}")).json()["entry"][0]["resource"]


async def _task(fhir: httpx.AsyncClient) -> Json:
    """The Task of a call on which INSi fails, once it has said so: it stays as it is."""
    path = await deferred(fhir, BROKEN)
    return await until(fhir, path, lambda task: "statusReason" in task)


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
    "validate": [
        Call("type", sends_one=True),
        Call("type", "GET", status=400),  # there is nothing to validate
        Call("instance", "GET"),
        Call("instance", sends_one=True),
    ],
}
