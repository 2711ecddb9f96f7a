"""What the CapabilityStatement lists is served as promised; `test_capability_limits` proves that nothing else is.

https://hl7.org/fhir/R4/capabilitystatement.html. The tests are generated from the statement: what it says more, they
try more. An operation needs a call (`statement.CALLS`), a search parameter of Patient a value (`FOUND`).
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from conformance.statement import CALLS, RESOURCES, STATEMENT, interactions, one_of, parameters, refused
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from people import ADRUN, INS_PROFILE, NIR, PATIENT_PROFILE, document_checked, out, patient, traits

from fhir_ins.api.capabilities import capability_statement
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.canonical import OURS
from fhir_ins.settings import Settings

Json = dict[str, Any]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ETAG = re.compile(r'W/"[0-9a-f]+"')


async def test_it_is_what_the_server_answers(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.get("/metadata")
    assert answer.status_code == 200
    served = answer.json()
    assert validate(served) == []
    CapabilityStatement.model_validate(served)
    assert served["implementation"]["url"].endswith("/fhir")
    here = {"date": served["date"], "implementation": served["implementation"]}
    assert {**STATEMENT, **here} == served


# Interactions


async def read(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    answer = await fhir.get(f"/{type_}/{resource['id']}")
    assert (answer.status_code, answer.json()) == (200, resource)
    assert ETAG.fullmatch(answer.headers["etag"])


async def vread(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    answer = await fhir.get(f"/{type_}/{resource['id']}/_history/{resource['meta']['versionId']}")
    assert (answer.status_code, answer.json()) == (200, resource)


async def create(fhir: httpx.AsyncClient, type_: str) -> None:
    answer = await fhir.post(f"/{type_}", json=patient())
    assert answer.status_code == 201
    assert (await fhir.get(answer.headers["location"])).json() == answer.json()


async def update(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    answer = await fhir.put(f"/{type_}/{resource['id']}", json={**resource, "active": True})
    assert (answer.status_code, answer.json()["active"]) == (200, True)


async def delete(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    assert (await fhir.delete(f"/{type_}/{resource['id']}")).status_code == 204
    assert (await fhir.get(f"/{type_}/{resource['id']}")).status_code == 410


async def search_type(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    for answer in (await fhir.get(f"/{type_}"), await fhir.post(f"/{type_}/_search", headers=FORM)):
        bundle = answer.json()
        assert (answer.status_code, bundle["type"]) == (200, "searchset")
        assert bundle["link"][0] == {"relation": "self", "url": f"{fhir.base_url}{type_}"}
        assert resource in [entry["resource"] for entry in bundle["entry"]]


Interaction = Callable[[httpx.AsyncClient, str], Awaitable[None]]
PERFORMED: dict[str, Interaction] = {
    "read": read,
    "vread": vread,
    "create": create,
    "update": update,
    "delete": delete,
    "search-type": search_type,
}


@pytest.mark.parametrize("type_", RESOURCES)
async def test_an_interaction_it_lists_is_performed(fhir: httpx.AsyncClient, type_: str) -> None:
    for code in interactions(type_):
        await PERFORMED[code](fhir, type_)


# Conditions and versions


@pytest.mark.parametrize("type_", RESOURCES)
async def test_a_conditional_read_is_what_it_says(fhir: httpx.AsyncClient, type_: str) -> None:
    assert RESOURCES[type_]["conditionalRead"] == "not-match"
    path = f"/{type_}/{(await one_of(fhir, type_))['id']}"
    first = await fhir.get(path)
    assert (await fhir.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
    since = {"If-Modified-Since": first.headers["last-modified"]}
    assert (await fhir.get(path, headers=since)).status_code == 200


async def test_the_conditions_of_writes_are_what_it_says(fhir: httpx.AsyncClient) -> None:
    said = RESOURCES["Patient"]
    assert (said["conditionalCreate"], said["conditionalUpdate"], said["updateCreate"]) == (False, False, False)
    assert said["conditionalDelete"] == "not-supported"
    created = await fhir.post("/Patient", json=patient(), headers={"If-None-Exist": "identifier=7"})
    assert refused(created)
    assert refused(await fhir.put("/Patient?identifier=7", json=patient()))
    assert refused(await fhir.delete("/Patient?identifier=7"))
    assert (await fhir.put("/Patient/new", json=patient(id="new"))).status_code == 405


@pytest.mark.parametrize("type_", RESOURCES)
async def test_versions_are_kept_where_it_says(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    kept = RESOURCES[type_]["versioning"]
    assert kept in ("versioned", "no-version")
    assert ("versionId" in resource.get("meta", {})) is (kept == "versioned")
    if RESOURCES[type_].get("readHistory"):
        path = f"/{type_}/{resource['id']}"
        assert (await fhir.delete(path)).status_code == 204
        assert (await fhir.get(f"{path}/_history/{resource['meta']['versionId']}")).json() == resource


# Search parameters


@dataclass(frozen=True, slots=True)
class Patients:
    """A server with a qualified Patient, whom every search of `FOUND` means, and another whom none does."""

    fhir: httpx.AsyncClient
    known: Json


@pytest.fixture
async def patients(fhir: httpx.AsyncClient) -> Patients:
    answer = await fhir.post("/Patient/$ins-fetch", json=traits("ADRUN", ["ZOE"], "female", "1975-12-31"))
    path = "/" + out(answer.json(), "stored")[0]["valueReference"]["reference"]
    read = await fhir.get(path)
    checked = await fhir.put(path, json=document_checked(read.json()), headers={"If-Match": read.headers["etag"]})
    other = patient(name=[{"family": "Autre", "given": ["Paul"]}], gender="male", birthDate="1980-01-01")
    assert (await fhir.post("/Patient", json=other)).status_code == 201
    return Patients(fhir, checked.json())


COG = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
FOUND: dict[str, str] = {
    "identifier": f"{NIR}|{ADRUN}",
    "family": "adrun",
    "given": "zo",
    "birthdate": "1975-12",
    "gender": "female",
    "birth-place-cog": f"{COG}|63220",
    "birth-list-given-name": "zoe",
    "identity-status": "qualifiee",
    "ins-call-date": "ge2026",
}
NOT_FOUND = {"token": "urn:x|y", "string": "Nobody", "date": "1700", "uri": "urn:x", "reference": "Group/x"}


def value_of(resource: Json, name: str) -> str:
    """What a Task or a published artifact is found by."""
    unique = resource.get("uniqueId", [{}])[0]
    values = {
        "_id": resource["id"],
        "_lastUpdated": resource.get("meta", {}).get("lastUpdated"),
        "value": unique.get("value"),
        "id-type": unique.get("type"),
        "patient": resource.get("for", {}).get("reference"),
        "subject": resource.get("for", {}).get("reference"),
        "authored-on": resource.get("authoredOn"),
        "code": resource["code"]["coding"][0]["code"] if resource["resourceType"] == "Task" else None,
    }
    return values.get(name) or str(resource[name])


async def ids(fhir: httpx.AsyncClient, type_: str, name: str, value: str) -> list[str]:
    got = await fhir.get(f"/{type_}", params={name: value})
    posted = await fhir.post(f"/{type_}/_search", data={name: value})
    assert (got.status_code, posted.status_code) == (200, 200), got.text
    assert got.json() == posted.json()
    assert name in got.json()["link"][0]["url"]
    return [entry["resource"]["id"] for entry in got.json().get("entry", [])]


async def test_each_parameter_of_patient_filters(patients: Patients) -> None:
    for parameter in parameters("Patient"):
        name = parameter["name"]
        value = patients.known["id"] if name == "_id" else FOUND[name]
        assert await ids(patients.fhir, "Patient", name, value) == [patients.known["id"]], parameter
        assert await ids(patients.fhir, "Patient", name, NOT_FOUND[parameter["type"]]) == [], parameter


@pytest.mark.parametrize("type_", [type_ for type_ in RESOURCES if type_ != "Patient"])
async def test_each_parameter_of_another_type_filters(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    for parameter in parameters(type_):
        found = await ids(fhir, type_, parameter["name"], value_of(resource, parameter["name"]))
        assert resource["id"] in found, parameter
        assert await ids(fhir, type_, parameter["name"], NOT_FOUND[parameter["type"]]) == [], parameter


async def test_a_canonical_of_ours_is_found_and_is_what_it_is_given_for(fhir: httpx.AsyncClient) -> None:
    async def found(type_: str, url: str) -> Json:
        (entry,) = (await fhir.get(f"/{type_}", params={"url": url})).json()["entry"]
        return entry["resource"]  # type: ignore[no-any-return]

    for type_, stated in RESOURCES.items():
        if stated["profile"].startswith(OURS):
            assert (await found("StructureDefinition", stated["profile"]))["type"] == type_
        for parameter in parameters(type_):
            if parameter["definition"].startswith(OURS):
                defined = await found("SearchParameter", parameter["definition"])
                assert (defined["code"], defined["type"]) == (parameter["name"], parameter["type"])
                assert defined["base"] == [type_]
        for operation in stated.get("operation", []):
            if operation["definition"].startswith(OURS):
                defined = await found("OperationDefinition", operation["definition"])
                assert defined["code"] == operation["name"]
                assert type_ in defined["resource"]
                levels = {level for level in ("system", "type", "instance") if defined[level]}
                assert {call.level for call in CALLS[operation["name"]]} == levels


@pytest.mark.parametrize("type_", RESOURCES)
def test_every_other_parameter_is_one_of_fhir(type_: str) -> None:
    for parameter in parameters(type_):
        if not parameter["definition"].startswith(OURS):
            code = re.fullmatch(r"http://hl7\.org/fhir/SearchParameter/\w+-([A-Za-z-]+)", parameter["definition"])
            assert code
            assert code[1] == parameter["name"].removeprefix("_")


async def test_the_profiles_it_supports_are_those_the_server_claims(patients: Patients) -> None:
    known = await patients.fhir.post("/Patient", json=patient(meta={"profile": [PATIENT_PROFILE]}))
    claimed = {*patients.known["meta"]["profile"], *known.json()["meta"]["profile"]}
    assert set(RESOURCES["Patient"]["supportedProfile"]) == claimed == {INS_PROFILE, PATIENT_PROFILE}


def test_the_profiles_it_supports_are_of_the_configured_release() -> None:
    statement = parse(capability_statement(Settings(fr_core="2.1.0")))
    (found,) = [found for found in statement["rest"][0]["resource"] if "supportedProfile" in found]
    assert {profile.rpartition("|")[2] for profile in found["supportedProfile"]} == {"2.1.0"}


# Operations


def operations() -> list[tuple[str, Json]]:
    return [(type_, found) for type_ in RESOURCES for found in RESOURCES[type_].get("operation", [])]


@pytest.mark.parametrize(
    ("type_", "operation"), operations(), ids=lambda found: found if isinstance(found, str) else found["name"]
)
async def test_an_operation_it_lists_is_performed(patients: Patients, type_: str, operation: Json) -> None:
    one = patients.known if type_ == "Patient" else await one_of(patients.fhir, type_)
    owners = {"system": "", "type": f"/{type_}", "instance": f"/{type_}/{one['id']}"}
    for call in CALLS[operation["name"]]:
        path = f"{owners[call.level]}/${operation['name']}"
        answer = await patients.fhir.request(call.method, path, json=one if call.sends_one else call.body)
        assert answer.status_code == call.status, answer.text
        assert validate(answer.json()) == []
