"""Every access is in the audit trail before it is answered: who, what, whose, how it ended."""

import asyncio
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from audit_trails import AUDITOR, Json, audit_events, trail_in, trail_settings, verification
from deferrals import AWAY, DEFERRED
from people import ADRUN, ADRUN_TRAITS, patient
from qualifying import qualified
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.api.audit_event import BALP, CODES
from fhir_ins.api.routes import ROUTES
from fhir_ins.fhir.structure import validate
from fhir_ins.security.audit.keys import CONCEALED
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings

_LABEL = f"IS01{'0' * 22}S1275126322074974S21.2.250.1.213.1.4.8<GS>S3ZOE<GS>S4ADRUN<GS>S5FS631-12-1975S763220"
_META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
_TYPE, _ONE = "/fhir/{type:fhir_type}", "/fhir/{type:fhir_type}/{id:fhir_id}"
_PATIENT, _ONE_PATIENT = "/fhir/{type:patient}", "/fhir/{type:patient}/{id:fhir_id}"
_IN = "/fhir/{compartment:fhir_type}/{id:fhir_id}/{type:fhir_type}"


def observation(id_: str, **elements: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{id_}"},
        **elements,
    }


# A request to every address by every method: what it asks, where {p} is a Patient and {o} an Observation of it; what it
# sends; the interaction its event is of; whether it is about the Patient.
CALLS: dict[tuple[str, str], tuple[str, Json | None, str, bool]] = {
    (_ONE, "GET"): ("/Observation/{o}", None, "read", True),
    (_ONE, "PUT"): ("/Observation/{o}", {"id": "{o}"}, "update", True),
    (_ONE, "PATCH"): (
        "/Observation/{o}",
        {"resourceType": "Parameters", "parameter": []},
        "patch",
        True,
    ),
    (_ONE, "DELETE"): ("/Observation/{o}", None, "delete", True),
    (_TYPE, "GET"): ("/Observation?patient={p}", None, "search-type", True),
    (_TYPE, "POST"): ("/Observation", {}, "create", True),
    (_TYPE, "PUT"): ("/Observation?patient={p}", {}, "update", True),
    (_TYPE, "PATCH"): (
        "/Observation?patient={p}",
        {"resourceType": "Parameters", "parameter": []},
        "patch",
        True,
    ),
    (_TYPE, "DELETE"): ("/Observation?patient={p}", None, "delete", True),
    (f"{_TYPE}/_search", "POST"): ("/Observation/_search", None, "search-type", True),
    (f"{_PATIENT}/$ins-fetch", "POST"): ("/Patient/$ins-fetch", ADRUN_TRAITS, "ins-fetch", False),
    (f"{_PATIENT}/$ins-verify", "POST"): ("/Patient/$ins-verify", ADRUN_TRAITS, "ins-verify", False),
    (f"{_PATIENT}/$ins-scan", "POST"): (
        "/Patient/$ins-scan",
        {"resourceType": "Parameters", "parameter": [{"name": "payload", "valueString": _LABEL}]},
        "ins-scan",
        False,
    ),
    (f"{_ONE_PATIENT}/$ins-identity", "GET"): ("/Patient/{p}/$ins-identity", None, "ins-identity", True),
    (f"{_ONE_PATIENT}/$ins-identity", "POST"): ("/Patient/{p}/$ins-identity", None, "ins-identity", True),
    (f"{_ONE_PATIENT}/$ins-fetch", "POST"): ("/Patient/{p}/$ins-fetch", None, "ins-fetch", True),
    (f"{_ONE_PATIENT}/$ins-verify", "POST"): ("/Patient/{p}/$ins-verify", None, "ins-verify", True),
    (f"{_ONE_PATIENT}/$everything", "GET"): ("/Patient/{p}/$everything", None, "everything", True),
    (f"{_ONE_PATIENT}/$everything", "POST"): ("/Patient/{p}/$everything", None, "everything", True),
    (f"{_ONE}/_history/{{vid}}", "GET"): ("/Observation/{o}/_history/1", None, "vread", True),
    (f"{_ONE}/_history", "GET"): ("/Observation/{o}/_history", None, "history-instance", True),
    (f"{_TYPE}/_history", "GET"): ("/Observation/_history", None, "history-type", True),
    (f"{_TYPE}/$validate", "GET"): ("/Observation/$validate", None, "validate", False),
    (f"{_TYPE}/$validate", "POST"): ("/Observation/$validate", {}, "validate", False),
    (f"{_ONE}/$validate", "GET"): ("/Observation/{o}/$validate", None, "validate", True),
    (f"{_ONE}/$validate", "POST"): ("/Observation/{o}/$validate", {}, "validate", True),
    (f"{_TYPE}/$meta", "GET"): ("/Observation/$meta", None, "meta", False),
    (f"{_TYPE}/$meta", "POST"): ("/Observation/$meta", None, "meta", False),
    (f"{_ONE}/$meta", "GET"): ("/Observation/{o}/$meta", None, "meta", True),
    (f"{_ONE}/$meta", "POST"): ("/Observation/{o}/$meta", None, "meta", True),
    (f"{_ONE}/$meta-add", "POST"): ("/Observation/{o}/$meta-add", _META, "meta-add", True),
    (f"{_ONE}/$meta-delete", "POST"): ("/Observation/{o}/$meta-delete", _META, "meta-delete", True),
    (_IN, "GET"): ("/Patient/{p}/Observation", None, "search-type", True),
    (f"{_IN}/_search", "POST"): ("/Patient/{p}/Observation/_search", None, "search-type", True),
    ("/fhir/_history", "GET"): ("/_history", None, "history-system", True),
    ("/fhir/$meta", "GET"): ("/$meta", None, "meta", False),
    ("/fhir/$meta", "POST"): ("/$meta", None, "meta", False),
    ("/fhir/_search", "POST"): ("/_search", None, "search-system", True),
    ("/fhir", "GET"): ("?_type=Observation", None, "search-system", True),
    ("/fhir", "POST"): ("/", {"resourceType": "Bundle", "type": "batch"}, "batch", False),
}


def every_call() -> Iterator[tuple[str, str]]:
    return ((route.path, method) for route in ROUTES if not route.public for method in route.offers)


@pytest.fixture
def trail(tmp_path: Path) -> Json:
    return trail_settings(tmp_path)


@pytest.fixture
async def auditor(start_server: StartServer, trail: Json) -> httpx.AsyncClient:
    """An ordinary client that also holds ins.audit, of a server with a trail."""
    return await start_server(rights=AUDITOR, **trail)


def entities(event: Json, code: str) -> list[Json]:
    """Those whose type has this code."""
    return [found for found in event["entity"] if found["type"]["code"] == code]


def patients(event: Json) -> set[str]:
    return {found["what"].get("reference", "").removeprefix("Patient/") for found in entities(event, "1")}


def query_of(event: Json) -> str:
    (found,) = [found for found in event["entity"] if "query" in found]
    return b64decode(found["query"]).decode()


def subtypes(event: Json) -> set[str]:
    return {coding["code"] for coding in event["subtype"]}


async def event_of(auditor: httpx.AsyncClient, answer: httpx.Response) -> Json:
    """The one AuditEvent of what was answered so."""
    (found,) = await events_of(auditor, answer)
    return found


async def events_of(auditor: httpx.AsyncClient, answer: httpx.Response) -> list[Json]:
    """All of them: of a Bundle, its own and those of its entries."""
    asked = answer.headers["x-request-id"]
    return [
        event
        for event in await audit_events(auditor)
        if [found["what"]["identifier"]["value"] for found in entities(event, "XrequestId")] == [asked]
    ]


async def patient_and_observation(fhir: httpx.AsyncClient) -> tuple[str, str]:
    id_ = (await fhir.post("/Patient", json=patient())).json()["id"]
    return id_, (await fhir.post("/Observation", json=observation(id_))).json()["id"]


def test_every_address_is_tried() -> None:
    assert set(CALLS) == set(every_call())
    quiet = {route.path for route in ROUTES if route.public}
    assert quiet == {
        "/fhir/metadata",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/fhir/.well-known/smart-configuration",
    }


@pytest.mark.parametrize(("path", "method"), sorted(CALLS), ids=lambda value: str(value))
async def test_every_address_leaves_an_event(auditor: httpx.AsyncClient, path: str, method: str) -> None:
    id_, of_it = await patient_and_observation(auditor)
    address, body, interaction, about_patient = CALLS[path, method]
    asked: Json = {}
    if method in ("PUT", "POST") and body is not None and "resourceType" not in body:
        asked["json"] = observation(id_, **({"id": of_it} if body else {}))
    elif body is not None:
        asked = {"content": orjson.dumps(body), "headers": {"Content-Type": "application/fhir+json"}}
    elif address.endswith("_search"):
        of_type = {"_type": "Observation"} if address == "/_search" else {"patient": id_}
        asked["data"] = of_type
    answer = await auditor.request(method, address.format(p=id_, o=of_it), **asked)
    assert answer.status_code < 500, answer.text
    event = await event_of(auditor, answer)
    assert validate(event) == []
    assert event["outcome"] == ("0" if answer.status_code < 400 else "4")
    assert event["outcomeDesc"] == f"HTTP {answer.status_code}"
    assert interaction in subtypes(event)
    assert event["agent"][0]["altId"] == "anonymous"
    assert (id_ in patients(event)) is about_patient
    of_ours = {coding["code"] for coding in event["subtype"] if coding["system"] == CODES}
    assert of_ours <= {concept["code"] for concept in (await auditor.get("/CodeSystem/ins-audit")).json()["concept"]}


# The required elements of BALP's profiles, as its definitions have them.
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_ROLES = {
    "Read": ("R", "read", "110152", "110153"),
    "Create": ("C", "create", "110153", "110152"),
    "Update": ("U", "update", "110153", "110152"),
    "Delete": ("D", "delete", "110150", "custodian"),
    "Query": ("E", "search", "110153", "110152"),
}


def assert_conforms_to_balp(event: Json) -> None:
    """https://profiles.ihe.net/ITI/BALP/: what each of its profiles fixes, requires and forbids."""
    (profile,) = event["meta"]["profile"]
    name = profile.removeprefix(f"{BALP}/StructureDefinition/IHE.BasicAudit.")
    action, subtype, client_type, server_type = _ROLES[name.removeprefix("Patient")]
    assert event["type"]["code"] == "rest"
    assert event["type"]["system"] == "http://terminology.hl7.org/CodeSystem/audit-event-type"
    assert {"system": "http://hl7.org/fhir/restful-interaction", "code": subtype} in event["subtype"]
    assert (event["action"], event["outcome"]) == (action, "0")
    assert event["recorded"].endswith("Z")
    client, server = event["agent"][:2]
    for agent, code in ((client, client_type), (server, server_type)):
        assert [coding["code"] for coding in agent["type"]["coding"]] == [code]
        assert agent["who"]
        assert agent["network"]["address"]
    data = [found for found in entities(event, "2") if found["type"]["system"].endswith("/audit-entity-type")]
    assert len(data) == 1
    if subtype == "search":
        assert data[0]["role"]["code"] == "24"
        assert data[0]["query"]
        assert not data[0].keys() & {"what", "lifecycle", "detail"}
    else:
        assert data[0]["role"]["code"] == "4"
        assert data[0]["what"]
    assert (len(entities(event, "1")) == 1) is name.startswith("Patient")
    for found in entities(event, "1"):
        assert found["role"]["code"] == "1"
        assert found["what"]["reference"].startswith("Patient/")
    assert len(entities(event, "XrequestId")) == 1


async def test_successes_have_the_shapes_of_balp(auditor: httpx.AsyncClient) -> None:
    id_, of_it = await patient_and_observation(auditor)
    organization = (await auditor.post("/Organization", json={"resourceType": "Organization", "name": "CHU"})).json()
    await auditor.get(f"/Patient/{id_}")
    await auditor.get(f"/Patient/{id_}/_history/1")
    await auditor.put(f"/Organization/{organization['id']}", json=organization)
    await auditor.get("/Organization?name=chu")
    await auditor.get("/Observation?code:text=weight")
    await auditor.delete(f"/Observation/{of_it}")
    await auditor.delete(f"/Organization/{organization['id']}")
    events = await audit_events(auditor)
    claimed = {event["meta"]["profile"][0].rpartition(".")[2] for event in events}
    assert claimed == {
        *("PatientCreate", "Create", "PatientRead", "Update", "Query", "PatientQuery", "PatientDelete", "Delete"),
    }
    for event in events:
        assert validate(event) == []
        assert_conforms_to_balp(event)


async def test_failures_are_there_too_and_claim_nothing(start_server: StartServer, trail: Json) -> None:
    auditor = await start_server(rights=AUDITOR, **trail)
    reader = await start_server(rights={Right.READ}, **trail)
    id_, _ = await patient_and_observation(auditor)
    answers = [
        await reader.post("/Patient", json=patient()),
        await auditor.get("/Patient/00000000-0000-4000-8000-000000000000"),
        await auditor.get("/Spaceship/1"),
        await auditor.put(f"/Patient/{id_}", json=patient(id=id_), headers={"If-Match": 'W/"9"'}),
        await auditor.post("/Patient", json={"resourceType": "Patient", "nickname": "Z"}),
        await auditor.post("/Patient/$ins-fetch", json={"resourceType": "Parameters"}),
        await auditor.request("PUT", "/_history"),
        await auditor.get("/Patient?shoe-size=42"),
        await auditor.get(f"/Patient/{id_}", headers={"Accept": "image/png"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 404, 404, 412, 400, 422, 405, 400, 406]
    for answer in answers:
        event = await event_of(auditor, answer)
        assert validate(event) == []
        assert (event["outcome"], event["outcomeDesc"]) == ("4", f"HTTP {answer.status_code}")
        assert "profile" not in event["meta"]
    missing = await event_of(auditor, answers[1])
    assert patients(missing) == {"00000000-0000-4000-8000-000000000000"}
    assert patients(await event_of(auditor, answers[3])) == {id_}


async def test_calls_to_insi_are_told_with_the_access_that_made_them(auditor: httpx.AsyncClient) -> None:
    fetched = await auditor.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    stored = next(part for part in fetched.json()["parameter"] if part["name"] == "stored")
    told = [
        next(part["valueString"] for part in found["part"] if part["name"] == "messageId")
        for found in fetched.json()["parameter"]
        if found["name"] == "call"
    ]
    event = await event_of(auditor, fetched)
    calls = entities(event, "insi-call")
    assert [found["what"]["identifier"]["value"] for found in calls] == told
    assert calls[-1]["detail"][0]["valueString"] == "rechercherInsAvecTraitsIdentite"
    assert calls[-1]["detail"][1]["valueString"] == "00"
    assert patients(event) == {stored["valueReference"]["reference"].removeprefix("Patient/")}
    assert ADRUN[:13] not in orjson.dumps(event).decode()


async def test_a_deferred_call_is_told_when_it_is_made(start_server: StartServer, trail: Json) -> None:
    away = await start_server(rights=AUDITOR, **AWAY, **trail)
    accepted = await away.post("/Patient/$ins-fetch", json=DEFERRED)
    assert accepted.status_code == 202
    asked = await event_of(away, accepted)
    (id_,) = patients(asked)
    assert len(entities(asked, "insi-call")) == 1
    answering = await start_server(rights=AUDITOR, insi_deferred_per_minute=6000, **trail)
    for _ in range(200):
        done = [one for one in await audit_events(answering, f"patient={id_}&_count=50") if is_deferred(one)]
        if done:
            break
        await asyncio.sleep(0.05)
    assert {coding["code"] for coding in done[0]["subtype"]} == {"operation", "ins-fetch"}
    assert entities(done[0], "insi-call")[-1]["detail"][1]["valueString"] == "00"
    assert validate(done[0]) == []


def is_deferred(event: Json) -> bool:
    return entities(event, "XrequestId")[0]["what"]["identifier"]["value"] == "deferred"


async def test_each_entry_of_a_bundle_has_its_event(auditor: httpx.AsyncClient) -> None:
    id_, of_it = await patient_and_observation(auditor)
    entries = [
        {"request": {"method": "GET", "url": f"Patient/{id_}"}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
        {"request": {"method": "GET", "url": f"Observation?patient={id_}"}},
    ]
    batch = await auditor.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    events = await events_of(auditor, batch)
    assert sorted(subtype for event in events for subtype in subtypes(event)) == [
        *("batch", "read", "read", "search", "search-type"),
    ]
    assert sorted(event["outcome"] for event in events) == ["0", "0", "0", "4"]
    writes = [
        {"request": {"method": "POST", "url": "Observation"}, "resource": observation(id_)},
        {"request": {"method": "DELETE", "url": f"Observation/{of_it}"}},
    ]
    transaction = await auditor.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": writes})
    events = await events_of(auditor, transaction)
    assert {subtype for event in events for subtype in subtypes(event)} == {"transaction", "create", "delete"}
    assert len(events) == 3


async def test_of_a_transaction_that_is_refused_nothing_is_told_that_was_not_done(auditor: httpx.AsyncClient) -> None:
    id_, _ = await patient_and_observation(auditor)
    writes = [
        {"request": {"method": "POST", "url": "Observation"}, "resource": observation(id_)},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
    ]
    refused = await auditor.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": writes})
    assert refused.status_code == 404
    events = await events_of(auditor, refused)
    assert {subtype for event in events for subtype in subtypes(event)} == {"transaction", "read"}
    assert {event["outcome"] for event in events} == {"4"}


async def test_what_names_a_person_is_sealed_in_the_event(
    auditor: httpx.AsyncClient, settings: Settings, trail: Json, capfd: pytest.CaptureFixture[str]
) -> None:
    path = await qualified(auditor)
    matricule = f"urn:oid:1.2.250.1.213.1.4.8|{ADRUN}"
    secrets = (ADRUN, ADRUN[:13], "Adrun", "ADRUN", "1975-12-31", "zoe", "ZOE", "Dupont")
    answers = [
        await auditor.get("/Patient", params={"identifier": matricule, "_count": "7"}),
        await auditor.post("/Patient/_search", data={"family": "Adrun", "birthdate": "1975-12-31"}),
        await auditor.get(f"/Patient/{ADRUN}"),
        await auditor.get(f"/Patient/{'-'.join(ADRUN)}"),
        await auditor.get("/Patient/Dupont.Zoe"),
        await auditor.get(f"/Patient?{ADRUN}=x&Dupont=zoe"),
        await auditor.get(f"/Patient?_sort={ADRUN}"),
        await auditor.get("/Patient?_has:Observation:patient:value-string=Adrun"),
        await auditor.post("/Patient", json=patient(), headers={"If-None-Exist": "family=Adrun&given=zoe"}),
        await auditor.get(f"/Patient/{ADRUN}/Observation"),
        await auditor.get(f"{path}/$ins-identity"),
    ]
    for answer in answers:
        shown = orjson.dumps(event := await event_of(auditor, answer)).decode()
        shown += query_of(event) if any("query" in found for found in event["entity"]) else ""
        assert not [secret for secret in secrets if secret in shown], shown
        assert validate(event) == []
    first = query_of(await event_of(auditor, answers[0]))
    assert first.startswith(f"Patient?identifier={CONCEALED}")
    assert first.endswith("&_count=7")
    logged = "".join(capfd.readouterr())
    async with trail_in(settings, trail) as (database, _, auditing):
        sealed = first.removeprefix("Patient?identifier=").partition("&")[0]
        assert auditing.keys.revealed(settings.tenant, sealed) == matricule
        stored = b"".join([raw.raw async for raw in raw_batches(database, settings.tenant)])
        assert settings.tenant.encode() in stored
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret not in logged


async def raw_batches(database: Any, tenant: str) -> Any:
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument

    raw = database.database["audit"].with_options(CodecOptions(document_class=RawBSONDocument))
    async for document in raw.find({"tenant": tenant}):
        yield document


async def test_a_next_link_is_told_by_what_it_asks(auditor: httpx.AsyncClient) -> None:
    for _ in range(2):
        await auditor.post("/Patient", json=patient())
    first = await auditor.get("/Patient?family=adrun&_count=1")
    link = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    query = query_of(await event_of(auditor, await auditor.get(link)))
    assert query.startswith(f"Patient?family={CONCEALED}")
    assert query.endswith("&_count=1")


async def test_an_event_is_the_same_each_time_it_is_read(auditor: httpx.AsyncClient) -> None:
    answer = await auditor.get("/Patient?family=adrun")
    event = await event_of(auditor, answer)
    read = await auditor.get(f"/AuditEvent/{event['id']}")
    assert read.status_code == 200
    assert read.json() == event
    again = await auditor.get(f"/AuditEvent/{event['id']}", headers={"If-None-Match": read.headers["etag"]})
    assert again.status_code == 304


async def test_only_auditors_see_the_trail(start_server: StartServer, trail: Json) -> None:
    auditor = await start_server(rights=AUDITOR, **trail)
    ordinary = await start_server(rights=SANDBOX_RIGHTS | {Right.REFERENCE, Right.TRUSTED_SOURCE}, **trail)
    id_, _ = await patient_and_observation(ordinary)
    (newest, *_) = await audit_events(auditor)
    for path in (
        "/AuditEvent",
        f"/AuditEvent/{newest['id']}",
        "/AuditEvent?_summary=count",
        f"/Patient/{id_}/AuditEvent",
        f"/AuditEvent/{newest['id']}/$validate",
    ):
        answer = await ordinary.get(path)
        assert answer.status_code == 403, path
        assert (await event_of(auditor, answer))["outcome"] == "4"
    for fhir in (ordinary, auditor):
        for path in ("", "/_history", f"/Patient/{id_}/$everything", f"/Patient?_id={id_}&_revinclude=*"):
            answer = await fhir.get(path)
            assert answer.status_code == 200
            assert "AuditEvent" not in answer.text
        for path in (
            "?_type=AuditEvent",
            "/Patient?_revinclude=AuditEvent:patient",
            "/Patient?_has:AuditEvent:patient:outcome=0",
            "/AuditEvent?_include=AuditEvent:patient",
        ):
            assert (await fhir.get(path)).status_code in (400, 403), path


async def test_reading_the_trail_is_in_it(auditor: httpx.AsyncClient) -> None:
    id_, _ = await patient_and_observation(auditor)
    looked = await auditor.get(f"/AuditEvent?patient={id_}")
    event = await event_of(auditor, looked)
    assert query_of(event).startswith(f"AuditEvent?patient={CONCEALED}")
    assert patients(event) == {id_}


async def test_the_trail_is_found_by_patient_by_agent_and_by_date(auditor: httpx.AsyncClient) -> None:
    id_, of_it = await patient_and_observation(auditor)
    other, _ = await patient_and_observation(auditor)
    about = [await auditor.get(f"/Patient/{id_}"), await auditor.get(f"/Observation/{of_it}")]
    asked = {answer.headers["x-request-id"] for answer in about}

    async def found(query: str) -> set[str]:
        return {
            entities(one, "XrequestId")[0]["what"]["identifier"]["value"] for one in await audit_events(auditor, query)
        }

    assert asked <= await found(f"patient={id_}")
    assert asked <= await found(f"entity=Patient/{id_}&action=R")
    assert not asked & await found(f"patient={other}")
    assert asked <= await found("altid=anonymous")
    assert asked <= await found("agent:identifier=anonymous")
    assert await found("altid=somebody") == set()
    assert asked <= await found("date=ge2026-01-01")
    assert await found("date=lt2026-01-01") == set()
    assert await found("date=gt2999-01-01") == set()
    assert asked <= await found("outcome=0&subtype=read&type=rest")
    assert await found("outcome=8") == set()
    count = (await auditor.get(f"/AuditEvent?patient={other}&subtype=create&_summary=count")).json()["total"]
    assert count == len(await audit_events(auditor, f"patient={other}&_count=1&subtype=create"))


async def test_pages_of_the_trail_come_newest_first_without_gaps(auditor: httpx.AsyncClient) -> None:
    async def read() -> str:
        return (await auditor.get("/Patient/00000000-0000-4000-8000-000000000000")).headers["x-request-id"]

    await asyncio.gather(*(read() for _ in range(25)))
    asked = "subtype=read&outcome=4"
    ids = [event["id"] for event in await audit_events(auditor, f"{asked}&_count=4")]
    assert len(ids) == len(set(ids)) == 25
    assert ids == sorted(ids, reverse=True)
    by_date = await audit_events(auditor, f"{asked}&_count=10&_sort=date")
    assert {event["id"] for event in by_date} == set(ids)
    moments = [event["recorded"] for event in by_date]
    assert moments == sorted(moments)
    first = (await auditor.get(f"/AuditEvent?{asked}&_count=4")).json()
    second = (await auditor.get(link_of(first, "next"))).json()
    assert (await auditor.get(link_of(second, "previous"))).json()["entry"] == first["entry"]


def link_of(bundle: Json, relation: str) -> str:
    return next(str(link["url"]) for link in bundle["link"] if link["relation"] == relation)


async def test_events_of_requests_at_once_share_batches(
    auditor: httpx.AsyncClient, settings: Settings, trail: Json
) -> None:
    id_, _ = await patient_and_observation(auditor)
    before = await verification(settings, trail)
    answers = await asyncio.gather(*(auditor.get(f"/Patient/{id_}") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    after = await verification(settings, trail)
    assert after.faults == []
    assert after.events - before.events == 100
    assert after.batches - before.batches < 60


async def test_nothing_is_answered_that_is_not_in_the_trail(
    settings: Settings, start_server: StartServer, trail: Json
) -> None:
    """MongoDB answers, but takes no more batches."""
    own = {"mongodb_database": f"audit_{settings.tenant}"}
    auditor = await start_server(rights=AUDITOR, **own, **trail)
    id_, _ = await patient_and_observation(auditor)
    mine = Settings(**{**settings.model_dump(), **own})
    async with trail_in(mine, trail) as (database, _, _):
        await database.database.command("collMod", "audit", validator={"never": {"$exists": True}})
        read = await auditor.get(f"/Patient/{id_}")
        refused = await auditor.get("/Patient/nobody")
        wrote = await auditor.put(f"/Patient/{id_}", json=patient(id=id_, active=True))
        for answer in (read, refused, wrote):
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert answer.json()["resourceType"] == "OperationOutcome"
            assert "ADRUN" not in answer.text
        assert "but the request was carried out" in wrote.text
        assert "carried out" not in read.text + refused.text
        assert (await auditor.get("/metadata")).status_code == 200
        await database.database.command("collMod", "audit", validator={})
        after = await auditor.get(f"/Patient/{id_}")
        assert (after.status_code, after.json()["active"]) == (200, True)
        await database.client.drop_database(database.database)


async def test_without_a_key_there_is_no_trail(start_server: StartServer) -> None:
    server = await start_server(rights=AUDITOR)
    assert (await server.post("/Patient", json=patient())).status_code == 201
    assert (await server.get("/AuditEvent")).json()["total"] == 0
    assert (await server.get("/AuditEvent/000000000001-0001")).status_code == 404
