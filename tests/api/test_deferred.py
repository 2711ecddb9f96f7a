"""$ins-fetch with `defer`: what is stored while INSi is away, and what becomes of it once it answers.

INSi away is an endpoint where nothing listens; it is back when a server with the real one runs on the same tenant.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx
import pymongo
import pytest
from deferrals import (
    AWAY,
    BROKEN,
    DEFER,
    DEFERRED,
    FETCH,
    PEOPLE,
    QUICK,
    Json,
    deferred,
    ended,
    outputs,
    patients,
    read,
    tasks,
    told,
    with_flags,
)
from people import (
    ADRUN,
    ADRUN_TRAITS,
    claiming,
    code,
    document_checked,
    out,
    patient,
    reliability,
    stated_status,
    traits,
)
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.security.caller import Right
from fhir_ins.store.mongod import Mongod

Back = Callable[[], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def away(start_server: StartServer) -> httpx.AsyncClient:
    """A server whose INSi is away, and that carries nothing out."""
    return await start_server(**AWAY)


@pytest.fixture
def back(start_server: StartServer) -> Back:
    """INSi is back: a server on the same tenant."""
    return lambda: start_server(insi_deferred_per_minute=QUICK)


# Deferring


async def test_the_patient_is_stored_as_provisoire_with_a_task(away: httpx.AsyncClient) -> None:
    task = await read(away, await deferred(away, with_flags(DEFERRED, acceptTraits=True)))
    assert (task["status"], task["intent"]) == ("requested", "order")
    assert [(found["type"]["coding"][0]["code"], found["valueBoolean"]) for found in task["input"]] == [
        ("acceptTraits", True),
        ("force", False),
    ]
    assert task["authoredOn"] == task["lastModified"]
    stored = await read(away, "/" + task["for"]["reference"])
    assert (stored["name"][0]["family"], stored["gender"], stored["birthDate"]) == ("ADRUN", "female", "1975-12-31")
    assert stated_status(stored) in (None, "PROV")
    assert [found["id"] for found in await patients(away)] == [stored["id"]]


async def test_a_given_patient_is_stored_as_it_is(away: httpx.AsyncClient) -> None:
    given = patient(telecom=[{"system": "phone", "value": "0123456789"}])
    asked = with_flags(
        {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": given}]}, defer=True
    )
    task = await read(away, await deferred(away, asked))
    stored = await read(away, "/" + task["for"]["reference"])
    assert {name: stored[name] for name in given} == given


async def test_the_answer_says_what_insi_said(away: httpx.AsyncClient) -> None:
    answer = await away.post(FETCH, json=DEFERRED)
    first, second = answer.json()["issue"]
    assert (first["severity"], first["code"]) == ("information", "informational")
    assert re.search(r"Patient/\S+ is stored", first["details"]["text"])
    assert (second["severity"], second["code"]) == ("information", "transient")
    assert "cannot be reached" in second["details"]["text"]


async def test_a_stored_patient_is_kept_and_waited_for(away: httpx.AsyncClient, back: Back) -> None:
    created = (await away.post("/Patient", json=patient(active=True))).json()
    path = await deferred(away, DEFER, f"/Patient/{created['id']}/$ins-fetch")
    assert (await read(away, path))["for"] == {"reference": f"Patient/{created['id']}"}
    assert await patients(away) == [created]
    done = await ended(await back(), path)
    assert (done["status"], outputs(done, "result")) == ("completed", ["found"])
    (kept,) = await patients(away)
    assert (kept["id"], kept["meta"]["versionId"], kept["active"]) == (created["id"], "2", True)


async def test_where_insi_answers_it_changes_nothing(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post(FETCH, json=DEFERRED)
    assert answer.status_code == 200
    assert code(answer.json(), "result") == "found"
    assert await tasks(fhir) == []
    nobody = traits("HOUILLES", ["PIERRE"], "male", "1993-01-27", defer=True)
    assert code((await fhir.post(FETCH, json=nobody)).json(), "result") == "not-found"
    (kept,) = await patients(fhir)
    again = await fhir.post(f"/Patient/{kept['id']}/$ins-fetch", json=DEFER)
    assert code(again.json(), "result") == "found"


async def test_without_defer_insi_away_is_still_503(away: httpx.AsyncClient) -> None:
    for parameters in (ADRUN_TRAITS, with_flags(ADRUN_TRAITS, defer=False)):
        assert (await away.post(FETCH, json=parameters)).status_code == 503
    assert (await patients(away), await tasks(away)) == ([], [])


async def test_a_contradiction_is_400(away: httpx.AsyncClient) -> None:
    created = (await away.post("/Patient", json=patient())).json()
    for path, asked in ((FETCH, DEFERRED), (f"/Patient/{created['id']}/$ins-fetch", DEFER)):
        assert (await away.post(path, json=with_flags(asked, persist=False))).status_code == 400
    assert await tasks(away) == []


@pytest.mark.parametrize("missing", [Right.WRITE, Right.READ, Right.FETCH])
async def test_it_needs_the_right_to_write(start_server: StartServer, away: httpx.AsyncClient, missing: Right) -> None:
    created = (await away.post("/Patient", json=patient())).json()
    fhir = await start_server(**AWAY, rights=SANDBOX_RIGHTS - {missing})
    assert (await fhir.post(FETCH, json=DEFERRED)).status_code == 403
    assert (await fhir.post(f"/Patient/{created['id']}/$ins-fetch", json=DEFER)).status_code == 403


async def test_what_is_not_insi_being_away_is_not_deferred(start_server: StartServer) -> None:
    for changes, status in (({"insi_idam": "UNKNOWN"}, 502), ({"insi_endpoint": None}, 502)):
        fhir = await start_server(**changes)
        assert (await fhir.post(FETCH, json=DEFERRED)).status_code == status
    fhir = await start_server(**AWAY)
    bad = traits("ADRUN", ["ZOE!"], "female", "1975-12-31", defer=True)
    assert (await fhir.post(FETCH, json=bad)).status_code == 422
    doubtful = claiming(patient(), reliability("DOUT"))
    asked = with_flags(
        {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": doubtful}]}, defer=True
    )
    assert (await fhir.post(FETCH, json=asked)).status_code == 422
    assert (await patients(fhir), await tasks(fhir)) == ([], [])


async def test_an_identity_already_qualified_waits_for_nothing(
    away: httpx.AsyncClient, fhir: httpx.AsyncClient, back: Back
) -> None:
    created = (await fhir.post("/Patient", json=document_checked(patient()))).json()
    path = f"/Patient/{created['id']}/$ins-fetch"
    assert (await fhir.post(path)).status_code == 200
    assert (await away.post(path, json=DEFER)).status_code == 200
    forced = await deferred(away, with_flags(DEFER, force=True), path)
    assert (await ended(await back(), forced))["status"] == "completed"


# Once only


async def test_the_same_call_waits_once(away: httpx.AsyncClient) -> None:
    first = await deferred(away)
    again = traits("adrun", ["zoé"], "female", "1975-12-31", defer=True)
    assert await deferred(away, again) == first
    id_ = (await read(away, first))["for"]["reference"].removeprefix("Patient/")
    assert await deferred(away, DEFER, f"/Patient/{id_}/$ins-fetch") == first
    assert len(await patients(away)) == 1
    assert await deferred(away, PEOPLE[1]) != first


async def test_homonyms_wait_each_for_themselves(away: httpx.AsyncClient, back: Back) -> None:
    """INSi has not said that two records with the same traits are one person; their identifiers say they are two."""

    def of(ipp: str) -> Json:
        sent = patient(identifier=[{"system": "urn:oid:1.2.250.1.999.1", "value": ipp}])
        flag = {"name": "defer", "valueBoolean": True}
        return {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": sent}, flag]}

    first, second = await deferred(away, of("IPP-111")), await deferred(away, of("IPP-222"))
    assert first != second
    assert await deferred(away, of("IPP-111")) == first
    numbers = [found["identifier"][0]["value"] for found in await patients(away)]
    assert sorted(numbers) == ["IPP-111", "IPP-222"]
    fhir = await back()
    results = [outputs(await ended(fhir, path), "result") for path in (first, second)]
    assert results[0] == ["found"]


@pytest.mark.parametrize("become", ["another person", "deleted", "doubtful"])
async def test_a_call_is_not_the_same_once_its_patient_is_another(
    away: httpx.AsyncClient, back: Back, become: str
) -> None:
    first = await deferred(away)
    reference = "/" + (await read(away, first))["for"]["reference"]
    stored = await read(away, reference)
    if become == "deleted":
        await away.delete(reference)
    elif become == "doubtful":
        await away.put(reference, json=claiming(stored, reliability("DOUT")))
    else:
        await away.put(reference, json={**stored, "birthDate": "1975-12-30"})
    second, again = await deferred(away), await deferred(away)
    assert second == again != first
    assert (await read(away, second))["for"]["reference"] != reference.removeprefix("/")
    fhir = await back()
    result = ("completed", ["not-found"]) if become == "another person" else ("cancelled", [])
    done = await ended(fhir, first)
    assert (done["status"], outputs(done, "result")) == result
    assert outputs(await ended(fhir, second), "result") == ["found"]


async def test_an_answer_is_not_given_to_a_patient_that_has_become_another(
    away: httpx.AsyncClient, start_server: StartServer
) -> None:
    reference = "/" + (await read(away, await deferred(away)))["for"]["reference"]
    other = {**await read(away, reference), "birthDate": "1975-12-30"}
    assert (await away.put(reference, json=other)).status_code == 200
    idle = await start_server(insi_deferred_per_minute=0)
    answer = await idle.post(FETCH, json=with_flags(ADRUN_TRAITS, acceptTraits=True))
    assert out(answer.json(), "stored")[0]["valueReference"]["reference"] != reference.removeprefix("/")
    assert (await read(away, reference))["birthDate"] == "1975-12-30"


async def test_of_many_at_once_one_waits(start_server: StartServer) -> None:
    servers = [await start_server(**AWAY) for _ in range(2)]
    found = await asyncio.gather(*(deferred(servers[number % 2]) for number in range(10)))
    assert len(set(found)) == 1
    assert (len(await patients(servers[0])), len(await tasks(servers[0]))) == (1, 1)
    path = f"/Patient/{(await patients(servers[0]))[0]['id']}/$ins-fetch"
    assert set(await asyncio.gather(*(deferred(servers[number % 2], DEFER, path) for number in range(10)))) == set(
        found
    )


async def test_of_many_at_once_for_a_stored_patient_one_waits(away: httpx.AsyncClient) -> None:
    created = (await away.post("/Patient", json=patient())).json()
    path = f"/Patient/{created['id']}/$ins-fetch"
    assert len(set(await asyncio.gather(*(deferred(away, DEFER, path) for _ in range(8))))) == 1
    assert len(await tasks(away)) == 1


async def test_the_key_of_what_waits_tells_no_traits(away: httpx.AsyncClient, mongod: Mongod, tenant: str) -> None:
    await deferred(away)
    with pymongo.MongoClient[Json](mongod.uri) as client:
        (waiting,) = client["tests"]["deferred"].find({"tenant": tenant})
    assert re.fullmatch(rf"{tenant}/traits/[0-9a-f]{{64}}", waiting["_id"])
    assert not re.search("ADRUN|ZOE|1975", str(waiting))


async def test_somebody_else_who_asks_in_time_is_given_the_patient_that_waits(
    away: httpx.AsyncClient, start_server: StartServer
) -> None:
    path = await deferred(away)
    idle = await start_server(insi_deferred_per_minute=0)
    answers = await asyncio.gather(*(idle.post(FETCH, json=ADRUN_TRAITS) for _ in range(4)))
    stored = {out(answer.json(), "stored")[0]["valueReference"]["reference"] for answer in answers}
    assert stored == {(await read(away, path))["for"]["reference"]}
    done = await ended(await start_server(insi_deferred_per_minute=QUICK), path)
    assert (done["status"], outputs(done, "result")) == ("completed", ["found"])
    assert len(await patients(away)) == 1


# Carrying out


async def test_when_insi_is_back_the_ins_is_attached(
    away: httpx.AsyncClient, back: Back, reference: httpx.AsyncClient
) -> None:
    path = await deferred(away)
    fhir = await back()
    done = await ended(fhir, path)
    assert (done["status"], outputs(done, "result")) == ("completed", ["found"])
    (message,) = outputs(done, "messageId")
    assert message.startswith("uuid:")
    assert done["lastModified"] > done["authoredOn"]
    (kept,) = await patients(fhir)
    assert "identifier" not in kept
    assert (await read(reference, f"/Patient/{kept['id']}"))["identifier"][0]["value"] == ADRUN
    assert [found["id"] for found in await tasks(fhir, status="completed")] == [done["id"]]
    assert (await deferred(away)) != path  # it waits no more


async def test_every_version_of_a_task_can_be_read(away: httpx.AsyncClient, back: Back) -> None:
    path = await deferred(away)
    await ended(await back(), path)
    statuses = [(await read(away, f"{path}/_history/{number}"))["status"] for number in (1, 2, 3)]
    assert statuses == ["requested", "in-progress", "completed"]


@pytest.mark.parametrize(
    ("asked", "result"),
    [
        (traits("HOUILLES", ["PIERRE", "PAUL"], "male", "1993-01-27", defer=True), "not-found"),
        (traits("DE VINCI", ["LEONARDO"], "male", "2014-02-01", defer=True), "ambiguous"),
    ],
)
async def test_what_insi_answers_is_the_result(away: httpx.AsyncClient, back: Back, asked: Json, result: str) -> None:
    path = await deferred(away, asked)
    done = await ended(await back(), path)
    assert (done["status"], outputs(done, "result")) == ("completed", [result])
    assert len(outputs(done, "messageId")) == (3 if result == "not-found" else 1)


async def test_other_traits_are_stored_only_once_accepted(away: httpx.AsyncClient, back: Back) -> None:
    tchitchi = traits("TCHITCHI", ["OLA", "CATARINA", "BELLA"], "female", "1936-06-21", defer=True)
    refused = await deferred(away, tchitchi)
    fhir = await back()
    done = await ended(fhir, refused)
    assert (done["status"], outputs(done, "result"), outputs(done, "discrepancy")) == (
        "completed",
        ["found"],
        ["given"],
    )
    assert "acceptTraits" in told(done)
    (kept,) = await patients(fhir)
    assert (kept["meta"]["versionId"], kept["name"][0]["given"]) == ("1", ["OLA"])
    accepting = await deferred(away, with_flags(DEFER, acceptTraits=True), f"/Patient/{kept['id']}/$ins-fetch")
    done = await ended(await back(), accepting)
    assert outputs(done, "discrepancy") == ["given"]
    assert (await patients(fhir))[0]["name"][0]["given"] == ["CATARINA"]


async def test_a_document_checked_meanwhile_counts(away: httpx.AsyncClient, back: Back) -> None:
    path = await deferred(away)
    stored = await away.get("/" + (await read(away, path))["for"]["reference"])
    checked = document_checked(stored.json())
    await away.put(f"/Patient/{checked['id']}", json=checked, headers={"If-Match": stored.headers["etag"]})
    fhir = await back()
    assert (await ended(fhir, path))["status"] == "completed"
    assert (await patients(fhir))[0]["identifier"][0]["value"] == ADRUN


async def test_an_ins_that_another_patient_has_fails_and_names_it(away: httpx.AsyncClient, back: Back) -> None:
    path = await deferred(away)
    second = (await away.post("/Patient", json=patient())).json()["id"]
    other = await deferred(away, DEFER, f"/Patient/{second}/$ins-fetch")
    fhir = await back()
    first = (await ended(fhir, path))["for"]["reference"]
    done = await ended(fhir, other)
    assert done["status"] == "failed"
    assert f"{first} already has the INS" in told(done)
    assert (await read(away, f"/Patient/{second}"))["meta"]["versionId"] == "1"


async def test_a_patient_that_is_anonymous_is_not_named(
    away: httpx.AsyncClient, fhir: httpx.AsyncClient, back: Back
) -> None:
    created = (await fhir.post(FETCH, json=ADRUN_TRAITS)).json()
    first = out(created, "stored")[0]["valueReference"]["reference"]
    await fhir.put(f"/{first}", json=claiming(await read(fhir, f"/{first}"), reliability("ANOM")))
    path = await deferred(away)
    done = await ended(await back(), path)
    assert done["status"] == "failed"
    assert first.removeprefix("Patient/") not in told(done)


@pytest.mark.parametrize("mark", ["deleted", "DOUT", "FICT", "ANOM", "CACH"])
async def test_insi_is_not_asked_about_a_patient_that_must_not_be(
    away: httpx.AsyncClient, back: Back, mark: str
) -> None:
    path = await deferred(away)
    reference = "/" + (await read(away, path))["for"]["reference"]
    if mark == "deleted":
        await away.delete(reference)
    else:
        await away.put(reference, json=claiming(await read(away, reference), reliability(mark)))
    done = await ended(await back(), path)
    assert done["status"] == "cancelled"
    assert mark in told(done)
    assert "output" not in done


async def test_an_identity_qualified_meanwhile_is_not_asked_about(
    away: httpx.AsyncClient, start_server: StartServer
) -> None:
    created = (await away.post("/Patient", json=document_checked(patient()))).json()
    path = await deferred(away, DEFER, f"/Patient/{created['id']}/$ins-fetch")
    idle = await start_server(insi_deferred_per_minute=0)
    assert (await idle.post(f"/Patient/{created['id']}/$ins-fetch")).status_code == 200
    done = await ended(await start_server(insi_deferred_per_minute=QUICK), path)
    assert done["status"] == "cancelled"
    assert "qualified" in told(done)


async def test_traits_that_insi_does_not_take_any_more_fail(away: httpx.AsyncClient, back: Back) -> None:
    path = await deferred(away)
    reference = "/" + (await read(away, path))["for"]["reference"]
    await away.put(reference, json={**await read(away, reference), "birthDate": "1975"})
    done = await ended(await back(), path)
    assert done["status"] == "failed"
    assert "birth date" in told(done)


async def test_a_call_that_waits_is_not_taken_for_one_that_does_more(away: httpx.AsyncClient) -> None:
    task = await deferred(away)
    more = await away.post("/Patient/$ins-fetch", json=with_flags(DEFERRED, acceptTraits=True))
    assert (more.status_code, task.rpartition("/")[2] in more.text) == (409, True)
    assert await deferred(away) == task


async def test_a_person_whom_the_test_environment_does_not_know_is_not_deferred(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient/$ins-fetch", json=BROKEN)
    assert (answer.status_code, "test environment" in answer.text) == (503, True)
    assert (await fhir.get("/Task")).json()["total"] == 0
