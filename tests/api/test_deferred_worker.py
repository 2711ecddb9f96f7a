"""How what was deferred is carried out: in order, at a bounded pace, by one process at a time, and never lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import httpx
import pymongo
import pytest
from deferrals import (
    AWAY,
    BROKEN,
    DEFER,
    FETCH,
    ONE_TRY,
    PEOPLE,
    QUICK,
    Gate,
    Json,
    deferred,
    ended,
    outputs,
    patients,
    read,
    tasks,
    told,
    until,
)
from people import patient, traits
from processes import answering, process
from servers import StartServer, serving

from fhir_ins.settings import Settings
from fhir_ins.simulator.pki import ensure_pki, issue_client
from fhir_ins.store.mongod import Mongod, free_port


@pytest.fixture
async def away(start_server: StartServer) -> httpx.AsyncClient:
    """A server whose INSi is away, and that carries nothing out."""
    return await start_server(**AWAY)


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[Gate]:
    """INSi, behind a gate."""
    async with Gate(str(settings.insi_endpoint)).standing() as closed:
        yield closed


def modified(task: Json) -> datetime:
    return datetime.fromisoformat(task["lastModified"])


async def test_the_oldest_goes_first_whoever_carries_it_out(start_server: StartServer, away: httpx.AsyncClient) -> None:
    paths = [await deferred(away, asked) for asked in PEOPLE]
    for _ in range(3):
        fhir = await start_server(insi_deferred_per_minute=QUICK)
    done = [await ended(fhir, path) for path in paths]
    assert [outputs(task, "result") for task in done] == [["found"]] * 4 + [["not-found"]] * 2
    assert [len(outputs(task, "messageId")) for task in done] == [1] * len(PEOPLE)  # each was carried out once
    assert sorted(done, key=modified) == done


async def test_no_more_calls_are_made_a_minute_than_the_setting_says(
    start_server: StartServer, away: httpx.AsyncClient
) -> None:
    paths = [await deferred(away, asked) for asked in PEOPLE]
    for _ in range(2):
        fhir = await start_server(insi_deferred_per_minute=300)
    moments = [modified(await ended(fhir, path)) for path in paths]
    assert (moments[-1] - moments[0]).total_seconds() > 0.2 * (len(PEOPLE) - 1) * 0.9


async def test_while_insi_is_away_the_task_says_so_and_an_answer_to_anybody_ends_the_pause(
    settings: Settings, start_server: StartServer, mongod: Mongod
) -> None:
    port = free_port()
    here = {"insi_endpoint": f"https://localhost:{port}/lps", "insi_deferred_per_minute": QUICK}
    fhir = await start_server(**{**here, **ONE_TRY})
    path = await deferred(fhir)
    waiting = await until(fhir, path, lambda task: "statusReason" in task)
    assert (waiting["status"], waiting["meta"]["versionId"]) == ("in-progress", "3")
    assert told(waiting) == "INSi does not answer: it will be asked again."
    with pymongo.MongoClient[Json](mongod.uri) as client:
        turn, longer = {"_id": f"deferred-turn/{settings.tenant}"}, {"$set": {"due": datetime(2999, 1, 1)}}
        while not client["tests"]["server"].update_one({**turn, "failures": 2}, longer).matched_count:
            assert await read(fhir, path) == waiting  # though it was asked again in vain
    back = Gate(str(settings.insi_endpoint))
    back.opened.set()
    async with back.standing(port):
        asked = traits("HOUILLES", ["PIERRE"], "male", "1993-01-27")
        assert (await fhir.post(FETCH, json=asked)).status_code == 200
        done = await ended(fhir, path)
    assert (done["status"], outputs(done, "result")) == ("completed", ["found"])
    assert "statusReason" not in done


async def test_a_server_configured_wrongly_loses_nothing(
    settings: Settings, start_server: StartServer, away: httpx.AsyncClient
) -> None:
    path = await deferred(away)
    changes = {"insi_idam": "UNKNOWN", "insi_deferred_per_minute": QUICK}
    async with serving(Settings(**{**settings.model_dump(), **changes})):
        waiting = await until(away, path, lambda task: "statusReason" in task)
    assert waiting["status"] == "in-progress"
    assert "operator must act" in told(waiting)
    assert {found["code"] for found in waiting["statusReason"]["coding"]} == {"siram_100", "desir_550"}
    fhir = await start_server(insi_deferred_per_minute=QUICK)
    assert (await ended(fhir, path))["status"] == "completed"


async def test_one_on_whom_insi_itself_fails_lets_the_others_pass(
    settings: Settings, start_server: StartServer, away: httpx.AsyncClient, tmp_path: Path
) -> None:
    broken, other = await deferred(away, BROKEN), await deferred(away)
    pki = ensure_pki(Path(str(settings.insi_pkcs12)).parent)
    production = issue_client(pki, tmp_path / "client.p12", production=True)  # where insi_102 is INSi's own failure
    fhir = await start_server(insi_deferred_per_minute=QUICK, insi_pkcs12=production)
    asked = traits("HOUILLES", ["PIERRE"], "male", "1993-01-27")
    async with asyncio.timeout(60):
        while (await read(fhir, other))["status"] != "completed":
            assert (await fhir.post(FETCH, json=asked)).status_code == 200
    waiting = await read(fhir, broken)
    assert waiting["status"] == "in-progress"
    assert {found["code"] for found in waiting["statusReason"]["coding"]} == {"siram_40", "insi_102"}


async def test_in_the_test_environment_one_whom_insi_does_not_know_ends_its_task(
    start_server: StartServer, away: httpx.AsyncClient
) -> None:
    path = await deferred(away, BROKEN)
    task = await ended(await start_server(insi_deferred_per_minute=QUICK), path)
    assert (task["status"], "test environment" in told(task)) == ("failed", True)


async def test_people_who_wait_for_an_answer_go_first(
    settings: Settings, start_server: StartServer, away: httpx.AsyncClient, held: Gate, mongod: Mongod
) -> None:
    def due_on(day: datetime) -> None:
        with pymongo.MongoClient[Json](mongod.uri) as client:
            client["tests"]["deferred"].update_one({"tenant": settings.tenant}, {"$set": {"due": day}})

    path = await deferred(away)
    due_on(datetime(2999, 1, 1))
    one_at_once = {"insi_concurrency": 1, "insi_queue": 0, "insi_deferred_per_minute": QUICK}
    fhir = await start_server(insi_endpoint=held.url, **one_at_once)
    waits = asyncio.create_task(fhir.post(FETCH, json=PEOPLE[1]))
    await held.reached()
    due_on(datetime(2000, 1, 1))
    busy = await fhir.post(FETCH, json=PEOPLE[2])  # with defer, but INSi is not away
    assert busy.status_code == 429
    task = await until(fhir, path, lambda found: found["status"] == "in-progress")
    await asyncio.sleep(0.2)
    assert "statusReason" not in await read(fhir, path)
    held.opened.set()
    assert (await waits).status_code == 200
    assert (await ended(fhir, path))["id"] == task["id"]


# What happens under a call


async def test_a_patient_changed_under_the_call_is_asked_about_again(
    start_server: StartServer, away: httpx.AsyncClient, held: Gate
) -> None:
    created = (await away.post("/Patient", json=patient())).json()
    path = await deferred(away, DEFER, f"/Patient/{created['id']}/$ins-fetch")
    fhir = await start_server(insi_endpoint=held.url, insi_deferred_per_minute=QUICK)
    await held.reached()
    ecetinsi = patient(
        id=created["id"],
        name=[{"use": "official", "family": "ECETINSI", "given": ["PIERRE-ALAIN"]}],
        gender="male",
        birthDate="2009-07-14",
    )
    assert (await away.put(f"/Patient/{created['id']}", json=ecetinsi)).status_code == 200
    held.opened.set()
    assert outputs(await ended(fhir, path), "result") == ["found"]
    assert (await read(fhir, f"/Patient/{created['id']}"))["name"][0]["family"] == "ECETINSI"


async def test_a_patient_corrected_under_a_call_that_finds_nobody_is_asked_about_again(
    start_server: StartServer, away: httpx.AsyncClient, held: Gate
) -> None:
    misspelt = patient(name=[{"use": "official", "family": "ADRUNN", "given": ["ZOE"]}])
    created = (await away.post("/Patient", json=misspelt)).json()
    path = await deferred(away, DEFER, f"/Patient/{created['id']}/$ins-fetch")
    fhir = await start_server(insi_endpoint=held.url, insi_deferred_per_minute=QUICK)
    await held.reached()
    assert (await away.put(f"/Patient/{created['id']}", json=patient(id=created["id"]))).status_code == 200
    held.opened.set()
    assert outputs(await ended(fhir, path), "result") == ["found"]


async def test_what_is_withdrawn_under_the_call_is_written_nowhere(
    start_server: StartServer, away: httpx.AsyncClient, held: Gate
) -> None:
    path, other = await deferred(away), await deferred(away, PEOPLE[4])
    fhir = await start_server(insi_endpoint=held.url, insi_deferred_per_minute=QUICK)
    await held.reached()
    assert (await away.delete(path)).status_code == 204
    held.opened.set()
    await ended(fhir, other)
    assert (await fhir.get(path)).status_code == 410
    assert {found["meta"]["versionId"] for found in await patients(fhir)} == {"1"}


async def test_a_server_that_stops_ends_the_call_it_has_begun(
    settings: Settings, away: httpx.AsyncClient, held: Gate
) -> None:
    first, second = await deferred(away), await deferred(away, PEOPLE[1])
    changed = {"insi_endpoint": held.url, "insi_deferred_per_minute": 1}
    async with asyncio.timeout(30), serving(Settings(**{**settings.model_dump(), **changed})):
        await held.reached()
        asyncio.get_running_loop().call_later(0.2, held.opened.set)
    assert (await read(away, first))["status"] == "completed"
    assert (await read(away, second))["status"] == "requested"


# Processes that are killed


async def test_another_takes_over_from_a_process_that_is_killed_in_the_middle(
    settings: Settings, start_server: StartServer, away: httpx.AsyncClient, held: Gate, tmp_path: Path
) -> None:
    paths = [await deferred(away, asked) for asked in PEOPLE[:2]]
    with process(settings, tmp_path / "log", insi_endpoint=held.url) as (running, _):
        await held.reached()
        assert [(await read(away, path))["status"] for path in paths] == ["in-progress", "requested"]
        running.kill()
    fhir = await start_server(insi_deferred_per_minute=QUICK)
    done = [await ended(fhir, path) for path in paths]
    assert [outputs(task, "result") for task in done] == [["found"], ["found"]]
    assert len(await patients(fhir)) == 2


async def test_nothing_is_half_written_by_a_process_that_is_killed(
    settings: Settings, mongod: Mongod, tmp_path: Path
) -> None:
    def asked(number: int) -> Json:
        return traits("HOUILLES", ["PIERRE"], "male", f"19{number // 12:02}-{number % 12 + 1:02}-01", defer=True)

    with process(settings, tmp_path / "log", **{name: str(value) for name, value in AWAY.items()}) as (running, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as fhir:
            await answering(fhir)
            sent = [asyncio.create_task(fhir.post(FETCH, json=asked(number))) for number in range(100)]
            for first in islice(asyncio.as_completed(sent), 10):
                assert (await first).status_code == 202
            running.kill()
            answers = await asyncio.gather(*sent, return_exceptions=True)
    acknowledged = {
        answer.headers["content-location"].rpartition("/")[2]
        for answer in answers
        if isinstance(answer, httpx.Response)
    }
    with pymongo.MongoClient[Json](mongod.uri) as client:
        database, here = client["tests"], {"tenant": settings.tenant}
        waiting = list(database["deferred"].find(here))
        stored = list(database["resources"].find(here))
    assert 10 <= len(acknowledged) <= len(waiting) < 100
    assert acknowledged <= {found["task"] for found in waiting}
    for type_, name in (("Patient", "patient"), ("Task", "task")):
        ids = sorted(found["id"] for found in stored if found["type"] == type_)
        assert ids == sorted(found[name] for found in waiting)


async def test_another_tenant_has_other_tasks(start_server: StartServer, away: httpx.AsyncClient) -> None:
    path = await deferred(away)
    stranger = await start_server(tenant="stranger", insi_deferred_per_minute=QUICK)
    assert (await stranger.get(path)).status_code == 404
    assert await tasks(stranger, _id=path.removeprefix("/Task/")) == []
    assert (await stranger.delete(path)).status_code == 204
    assert (await read(away, path))["status"] == "requested"
