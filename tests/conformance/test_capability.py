"""What the CapabilityStatement lists is served as promised; `test_capability_limits` proves that nothing else is.

https://hl7.org/fhir/R4/capabilitystatement.html. The tests are generated from the statement: what it says more, they
try more. An operation needs a call (`statement.CALLS`), a search parameter of Patient a value (`FOUND`).
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from audit_trails import AUDITOR, audit_events, trail_settings
from conformance.statement import (
    CALLS,
    LEAST,
    RESOURCES,
    REST,
    STATEMENT,
    UNWRITTEN,
    WRITTEN,
    interactions,
    least,
    one_of,
    parameters,
)
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from people import ADRUN, INS_PROFILE, NIR, PATIENT_PROFILE, document_checked, out, patient, traits
from servers import StartServer

from fhir_ins.api.capabilities import capability_statement
from fhir_ins.api.served import PUBLISHED, WRITTEN_HERE, served
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.search_values import Amount, Position, Token
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.canonical import OURS
from fhir_ins.frcore.search_parameters import PARAMETERS
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
    answer = await fhir.post(f"/{type_}", json=least(type_))
    assert answer.status_code == 201
    assert (await fhir.get(answer.headers["location"])).json() == answer.json()


async def update(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    answer = await fhir.put(f"/{type_}/{resource['id']}", json={**resource, "language": "fr"})
    assert (answer.status_code, answer.json()["language"]) == (200, "fr")


async def patch(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    change = [{"op": "add", "path": "/language", "value": "fr"}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = await fhir.patch(f"/{type_}/{resource['id']}", json=change, headers=headers)
    assert (answer.status_code, answer.json()["language"]) == (200, "fr")


async def history_instance(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    answer = await fhir.get(f"/{type_}/{resource['id']}/_history")
    assert (answer.status_code, answer.json()["entry"][0]["resource"]) == (200, resource)


async def history_type(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    answer = await fhir.get(f"/{type_}/_history")
    assert (answer.status_code, answer.json()["entry"][0]["resource"]) == (200, resource)


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
    "patch": patch,
    "history-instance": history_instance,
    "history-type": history_type,
    "delete": delete,
    "search-type": search_type,
}


@pytest.mark.parametrize("type_", WRITTEN)
async def test_an_interaction_it_lists_is_performed(fhir: httpx.AsyncClient, type_: str) -> None:
    for code in interactions(type_):
        await PERFORMED[code](fhir, type_)


# Conditions and versions


@pytest.mark.parametrize("type_", UNWRITTEN)
async def test_what_clients_do_not_write_is_read_and_searched_by_auditors(
    start_server: StartServer, fhir: httpx.AsyncClient, tmp_path: Path, type_: str
) -> None:
    auditor = await start_server(rights=AUDITOR, **trail_settings(tmp_path))
    await auditor.get("/Patient/nobody")
    (written,) = [entry["resource"] for entry in (await auditor.get(f"/{type_}")).json()["entry"]]
    assert (await auditor.get(f"/{type_}/{written['id']}")).json() == written
    for parameter in parameters(type_):
        for value in asked_for(type_, parameter["name"], written):
            found = await audit_events(auditor, urlencode({parameter["name"]: value}))
            assert written["id"] in {event["id"] for event in found}, parameter
    for path in (f"/{type_}", f"/{type_}/{written['id']}"):
        assert (await fhir.get(path)).status_code == 403


async def test_an_interaction_of_the_system_is_performed(fhir: httpx.AsyncClient) -> None:
    assert {found["code"] for found in REST["interaction"]} == {
        "transaction",
        "batch",
        "search-system",
        "history-system",
    }
    for kind in ("transaction", "batch"):
        answer = await fhir.post("", json={"resourceType": "Bundle", "type": kind})
        assert (answer.status_code, answer.json()["type"]) == (200, f"{kind}-response")
    assert (await fhir.get("/_history")).json()["type"] == "history"
    assert (await fhir.get("?_type=Patient")).json()["type"] == "searchset"


@pytest.mark.parametrize("type_", WRITTEN)
async def test_a_conditional_read_is_what_it_says(fhir: httpx.AsyncClient, type_: str) -> None:
    assert RESOURCES[type_]["conditionalRead"] == "full-support"
    path = f"/{type_}/{(await one_of(fhir, type_))['id']}"
    first = await fhir.get(path)
    assert (await fhir.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
    since = {"If-Modified-Since": first.headers["last-modified"]}
    assert (await fhir.get(path, headers=since)).status_code == 304


@pytest.mark.parametrize("type_", LEAST)
async def test_the_conditions_of_writes_are_what_it_says(fhir: httpx.AsyncClient, type_: str) -> None:
    said = RESOURCES[type_]
    assert (said["conditionalCreate"], said["conditionalUpdate"], said["updateCreate"]) == (True, True, False)
    assert said["conditionalDelete"] == "single"
    by_tag = "_tag=urn:example:tag|x"
    tagged = least(type_) | {"meta": {"tag": [{"system": "urn:example:tag", "code": "x"}]}}
    statuses = [
        (await fhir.post(f"/{type_}", json=tagged, headers={"If-None-Exist": by_tag})).status_code for _ in range(2)
    ]
    assert statuses == [201, 200]
    assert (await fhir.put(f"/{type_}?{by_tag}", json=tagged)).status_code == 200
    assert (await fhir.delete(f"/{type_}?{by_tag}")).status_code == 204
    assert (await fhir.put(f"/{type_}?{by_tag}", json=tagged)).status_code == 201
    assert (await fhir.put(f"/{type_}/new", json=tagged | {"id": "new"})).status_code == 405


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"update_create": True}, {"updateCreate": True}),
        ({"delete_several": True}, {"conditionalDelete": "multiple"}),
        ({"delete_referenced": True}, {"referencePolicy": ["literal", "logical", "local"]}),
        ({"further_types": "MedicationRequest"}, {"versioning": "versioned"}),
    ],
)
async def test_it_follows_the_settings(start_server: StartServer, setting: Json, said: Json) -> None:
    fhir = await start_server(**setting)
    resources = (await fhir.get("/metadata")).json()["rest"][0]["resource"]
    (found,) = [found for found in resources if found["type"] == setting.get("further_types", "Basic")]
    assert {name: found[name] for name in said} == said


async def test_a_further_type_needs_a_setting_alone(start_server: StartServer) -> None:
    fhir = await start_server(further_types="MedicationRequest,Appointment")
    order = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": {"text": "paracétamol"},
        "subject": {"reference": "Patient/somebody"},
    }
    made = await fhir.post("/MedicationRequest", json=order)
    assert made.status_code == 201
    assert (await fhir.get("/MedicationRequest?subject=Patient/somebody")).json()["total"] == 1
    wrong = await fhir.post("/MedicationRequest", json=order | {"status": "unheard-of"})
    assert wrong.status_code == 400


@pytest.mark.parametrize("type_", WRITTEN)
async def test_versions_are_kept_where_it_says(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    kept = RESOURCES[type_]["versioning"]
    assert kept in ("versioned", "no-version")
    assert ("versionId" in resource.get("meta", {})) is (kept == "versioned")
    if "delete" in interactions(type_):
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
async def fhir(start_server: StartServer) -> httpx.AsyncClient:
    """A client that asks for FHIR, as those of FHIR do: a Binary is its content to others."""
    client = await start_server()
    client.headers["Accept"] = "application/fhir+json"
    return client


@pytest.fixture
async def patients(fhir: httpx.AsyncClient) -> Patients:
    answer = await fhir.post("/Patient/$ins-fetch", json=traits("ADRUN", ["ZOE"], "female", "1975-12-31"))
    path = "/" + out(answer.json(), "stored")[0]["valueReference"]["reference"]
    read = await fhir.get(path)
    told = {**document_checked(read.json()), **TOLD}
    told["meta"] = {**told["meta"], **TOLD["meta"]}
    told["extension"] = [*told["extension"], {"url": MAIDEN_NAME, "valueString": "Corse"}]
    checked = await fhir.put(path, json=told, headers={"If-Match": read.headers["etag"]})
    assert checked.status_code == 200, checked.text
    other = patient(name=[{"family": "Autre", "given": ["Paul"]}], gender="male", birthDate="1980-01-01")
    assert (await fhir.post("/Patient", json=other)).status_code == 201
    return Patients(fhir, checked.json())


TOLD: Json = {
    "meta": {
        "source": "urn:site:1",
        "tag": [{"system": "urn:tag", "code": "t"}],
        "security": [{"system": "urn:label", "code": "R"}],
    },
    "active": True,
    "telecom": [{"system": "phone", "value": "+33 1"}, {"system": "email", "value": "zoe@example.fr"}],
    "deceasedDateTime": "2026-01-02",
    "address": [
        {"use": "home", "city": "Ambert", "state": "Puy-de-Dôme", "postalCode": "63600", "country": "FRA"},
    ],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fr"}]}}],
    "generalPractitioner": [{"reference": "Practitioner/gp"}],
    "managingOrganization": {"reference": "Organization/org"},
    "link": [{"other": {"reference": "Patient/linked"}, "type": "seealso"}],
}
MAIDEN_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
COG = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
FOUND: dict[str, str] = {
    "_profile": INS_PROFILE,
    "_security": "urn:label|R",
    "_source": "urn:site:1",
    "_tag": "urn:tag|t",
    "active": "true",
    "address": "puy de",
    "address-city": "amb",
    "address-country": "fra",
    "address-postalcode": "63",
    "address-state": "puy-de-dome",
    "address-use": "home",
    "death-date": "2026-01-02",
    "deceased": "true",
    "email": "zoe@example.fr",
    "general-practitioner": "Practitioner/gp",
    "language": "urn:ietf:bcp:47|fr",
    "link": "Patient/linked",
    "name": "adrun",
    "organization": "org",
    "phone": "+33 1",
    "telecom": "zoe@example.fr",
    "identifier": f"{NIR}|{ADRUN}",
    "family": "adrun",
    "given": "zo",
    "birthdate": "1975-12",
    "gender": "female",
    "birth-place-cog": f"{COG}|63220",
    "birth-list-given-name": "zoe",
    "identity-status": "qualifiee",
    "ins-call-date": "ge2026",
    "mothersMaidenName": "corse",
}
NOT_FOUND = {
    "token": "urn:x|y",
    "string": "Nobody",
    "date": "1700",
    "uri": "urn:x",
    "reference": "nobody",
    "number": "gt1e30",
    "quantity": "gt1e30",
    "special": "-80|0|1|km",
}


def not_found(type_: str, parameter: Json) -> str:
    """What nothing is found by."""
    of = PARAMETERS[type_][parameter["name"]].components
    return "$".join(NOT_FOUND[kind] for kind in of) if of else NOT_FOUND[parameter["type"]]


def asked_for(type_: str, name: str, resource: Json) -> list[str]:
    """What a Task or a published artifact is to be found by: its first value of each parameter that it has any of."""
    parameter = PARAMETERS[type_][name]
    for value in parameter.values(resource):
        if isinstance(value, Token):
            return [value.code, f"{value.system or ''}|{value.code}"]
        return ["$".join(map(plainly, value)) if parameter.components else plainly(value)]
    return []


def plainly(value: Any) -> str:
    """One value as a search writes it."""
    match value:
        case Token():
            return value.code
        case str():
            return re.sub(r"([,|$\\])", r"\\\1", value[:100])
        case Amount():
            return str(value.low)
        case Position():
            return f"{value.latitude}|{value.longitude}|1|m"
    return f"le{datetime.fromtimestamp(value.high / 1000, UTC).isoformat().replace('+00:00', 'Z')}"


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
        known = {"_id": patients.known["id"], "_lastUpdated": patients.known["meta"]["lastUpdated"]}
        value = known.get(name) or FOUND[name]
        assert await ids(patients.fhir, "Patient", name, value) == [patients.known["id"]], parameter
        assert await ids(patients.fhir, "Patient", name, not_found("Patient", parameter)) == [], parameter


@pytest.mark.parametrize("type_", [type_ for type_ in WRITTEN if type_ != "Patient"])
async def test_each_parameter_of_another_type_filters(fhir: httpx.AsyncClient, type_: str) -> None:
    resource = await one_of(fhir, type_)
    for parameter in parameters(type_):
        for value in asked_for(type_, parameter["name"], resource):
            assert resource["id"] in await ids(fhir, type_, parameter["name"], value), parameter
        assert await ids(fhir, type_, parameter["name"], not_found(type_, parameter)) == [], parameter


@pytest.mark.parametrize("type_", RESOURCES)
async def test_each_include_it_lists_is_answered(fhir: httpx.AsyncClient, type_: str) -> None:
    included = RESOURCES[type_].get("searchInclude", [])
    references = [found["name"] for found in parameters(type_) if found["type"] == "reference"]
    of_type = [f"{type_}:{name}" for name in references] if type_ not in {*PUBLISHED, *WRITTEN_HERE} else []
    assert included == (["*", *of_type] if of_type else [])
    for include in included:
        assert (await fhir.get(f"/{type_}", params={"_include": include})).status_code == 200, include


@pytest.mark.parametrize("type_", RESOURCES)
async def test_each_reverse_include_it_lists_is_answered(fhir: httpx.AsyncClient, type_: str) -> None:
    for include in RESOURCES[type_].get("searchRevInclude", []):
        assert (await fhir.get(f"/{type_}", params={"_revinclude": include})).status_code == 200, include


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
            assert code[1].endswith(parameter["name"].removeprefix("_"))


async def test_the_profiles_it_supports_are_those_the_server_claims(patients: Patients) -> None:
    known = await patients.fhir.post("/Patient", json=patient(meta={"profile": [PATIENT_PROFILE]}))
    claimed = {*patients.known["meta"]["profile"], *known.json()["meta"]["profile"]}
    assert set(RESOURCES["Patient"]["supportedProfile"]) == claimed == {INS_PROFILE, PATIENT_PROFILE}


def test_the_profiles_it_supports_are_of_the_configured_release() -> None:
    statement = parse(capability_statement(Settings(fr_core="2.1.0"), served()))
    (found,) = [found for found in statement["rest"][0]["resource"] if "supportedProfile" in found]
    assert {profile.rpartition("|")[2] for profile in found["supportedProfile"]} == {"2.1.0"}


# Operations


@pytest.mark.parametrize("type_", WRITTEN)
async def test_the_operations_it_lists_on_a_type_are_performed(patients: Patients, type_: str) -> None:
    await performs(patients, type_, RESOURCES[type_].get("operation", []))


async def test_the_operations_it_lists_for_all_are_performed(patients: Patients) -> None:
    await performs(patients, "Basic", REST["operation"])


async def performs(patients: Patients, type_: str, operations: list[Json]) -> None:
    one = patients.known if type_ == "Patient" else await one_of(patients.fhir, type_)
    owners = {"system": "", "type": f"/{type_}", "instance": f"/{type_}/{one['id']}"}
    for operation in operations:
        for call in CALLS[operation["name"]]:
            path = f"{owners[call.level]}/${operation['name']}"
            answer = await patients.fhir.request(call.method, path, json=one if call.sends_one else call.body)
            assert answer.status_code == call.status, answer.text
            assert validate(answer.json()) == []
