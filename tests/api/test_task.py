"""Tasks as resources: read, searched, withdrawn, never written by a client. https://hl7.org/fhir/R4/task.html"""

from typing import Any

import httpx
import pytest
from deferrals import AWAY, DEFER, DEFERRED, PEOPLE, QUICK, deferred, ended, patients, read, tasks
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.canonical import OURS
from fhir_ins.reindex import reindex
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings

Json = dict[str, Any]


@pytest.fixture
async def away(start_server: StartServer) -> httpx.AsyncClient:
    """A server whose INSi is away, and that carries nothing out."""
    return await start_server(**AWAY)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("_id={task}", 1),
        ("status=requested", 2),
        ("status=http://hl7.org/fhir/task-status|requested", 2),
        ("status=completed,failed,cancelled", 0),
        ("code=ins-fetch", 2),
        (f"code={OURS}/CodeSystem/ins-task|ins-fetch", 2),
        ("code=urn:x|ins-fetch", 0),
        ("patient={patient}", 1),
        ("patient=Patient/{patient}", 1),
        ("subject=Patient/{patient}", 1),
        ("subject=Group/{patient}", 0),
        ("patient={patient},nobody", 1),
        ("patient=nobody", 0),
        ("subject:Patient={patient}", 1),
        ("patient={base}Patient/{patient}", 1),
        ("patient=http://elsewhere/fhir/Patient/{patient}", 0),
        ("patient={patient}&status=completed", 0),
        ("authored-on=ge2026", 2),
        ("authored-on=lt2026", 0),
        ("authored-on={authored}", 1),
        ("_lastUpdated={updated}", 1),
        ("_lastUpdated=gt{updated}", 1),
        ("_lastUpdated=lt2026", 0),
    ],
)
async def test_a_search_finds(away: httpx.AsyncClient, query: str, found: int) -> None:
    task = await read(away, await deferred(away))
    await deferred(away, PEOPLE[1])
    asked = query.format(
        task=task["id"],
        patient=task["for"]["reference"].removeprefix("Patient/"),
        base=away.base_url,
        authored=task["authoredOn"],
        updated=task["meta"]["lastUpdated"],
    )
    answer = await away.get(f"/Task?{asked}")
    assert answer.status_code == 200, answer.text
    assert validate(answer.json()) == []
    assert answer.json()["total"] == found
    posted = await away.post(
        "/Task/_search", content=asked, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert posted.json()["total"] == found


@pytest.mark.parametrize(
    "query",
    ["shoe=x", "status:in=requested", "patient=Group/1", "patient=Patient/1/2", "patient=|x"],
)
async def test_what_is_not_offered_is_refused(away: httpx.AsyncClient, query: str) -> None:
    answer = await away.get(f"/Task?{query}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["details"]["text"]


async def test_pages_follow_each_other(away: httpx.AsyncClient) -> None:
    made = [await deferred(away, asked) for asked in PEOPLE[:3]]
    first = (await away.get("/Task?_count=2&status=requested")).json()
    (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    second = (await away.get(following)).json()
    ids = [entry["resource"]["id"] for entry in first["entry"] + second["entry"]]
    assert sorted(f"/Task/{id_}" for id_ in ids) == sorted(made)


async def test_a_client_writes_none_of_the_servers(away: httpx.AsyncClient) -> None:
    path = await deferred(away)
    task = await read(away, path)
    patch = {"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Task.status"},
        {"name": "value", "valueCode": "cancelled"},
    ]}  # fmt: skip
    stolen = {**task, "code": {"text": "mine"}}
    for method, address, body in (
        ("POST", "/Task", task),
        ("PUT", path, {**task, "status": "cancelled"}),
        ("PUT", path, stolen),
        ("PATCH", path, {"resourceType": "Parameters", "parameter": [patch]}),
    ):
        answer = await away.request(method, address, json=body)
        assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Task.code"])
    assert await read(away, path) == task


async def test_a_client_writes_its_own(away: httpx.AsyncClient) -> None:
    own = {"resourceType": "Task", "status": "draft", "intent": "order", "code": {"text": "call the patient"}}
    made = await away.post("/Task", json=own)
    assert made.status_code == 201
    changed = await away.put(f"/Task/{made.json()['id']}", json=made.json() | {"status": "completed"})
    assert (changed.status_code, changed.json()["status"]) == (200, "completed")


async def test_reading_needs_the_right_to_read_and_withdrawing_the_right_to_write(
    start_server: StartServer, away: httpx.AsyncClient
) -> None:
    path = await deferred(away)
    writer = await start_server(rights=SANDBOX_RIGHTS - {Right.READ}, insi_deferred_per_minute=0)
    for address in (path, "/Task", f"{path}/_history/1"):
        assert (await writer.get(address)).status_code == 403
    reader = await start_server(rights=frozenset({Right.READ}), insi_deferred_per_minute=0)
    assert (await reader.delete(path)).status_code == 403
    assert (await read(reader, path))["status"] == "requested"


async def test_what_is_withdrawn_is_not_carried_out(away: httpx.AsyncClient, start_server: StartServer) -> None:
    path = await deferred(away)
    stale = {"If-Match": 'W/"2"'}
    assert (await away.delete(path, headers=stale)).status_code == 412
    assert (await away.delete(path)).status_code == 204
    assert (await away.delete(path)).status_code == 204
    assert (await away.get(path)).status_code == 410
    assert (await read(away, f"{path}/_history/1"))["status"] == "requested"
    assert await tasks(away) == []
    other = await deferred(away)  # nothing waits for these traits any more
    assert other != path
    (first, second) = await patients(away)
    done = await ended(await start_server(insi_deferred_per_minute=QUICK), other)
    changed = {found["id"]: found["meta"]["versionId"] for found in await patients(away)}
    assert done["for"]["reference"].removeprefix("Patient/") in changed
    assert sorted(changed.values()) == ["1", "2"]
    assert set(changed) == {first["id"], second["id"]}


async def test_a_task_that_has_ended_can_be_deleted(away: httpx.AsyncClient, start_server: StartServer) -> None:
    created = (await away.post("/Patient", json={"resourceType": "Patient"})).json()
    refused = await away.post(f"/Patient/{created['id']}/$ins-fetch", json=DEFER)
    assert refused.status_code == 422  # without traits there is nothing to wait for
    path = await deferred(away)
    await ended(await start_server(insi_deferred_per_minute=QUICK), path)
    assert (await away.delete(path)).status_code == 204
    assert len(await patients(away)) == 2


async def test_reindexing_keeps_tasks_as_they_are(settings: Settings, start_server: StartServer) -> None:
    own = {"mongodb_database": f"reindex-{settings.tenant[:8]}"}
    away = await start_server(**{**AWAY, **own})
    task = await read(away, await deferred(away, DEFERRED))
    assert (await reindex(Settings(**{**settings.model_dump(), **own}))).changed == 0
    assert await tasks(away, patient=task["for"]["reference"]) == [task]
    assert await tasks(away, _lastUpdated=task["meta"]["lastUpdated"]) == [task]
