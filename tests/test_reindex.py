"""fhir-ins reindex: a store in one FR Core release becomes one in another, old search keys ours; nothing is lost."""

import asyncio
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest
from people import ADRUN, ADRUN_TRAITS, NIR, document_checked, out, patient
from servers import StartServer

from fhir_ins.api.type_rules import redrafted
from fhir_ins.app import application, store_fault
from fhir_ins.conformance import configured_fr_core
from fhir_ins.reindex import Count, reindex
from fhir_ins.security.caller import Caller
from fhir_ins.settings import Settings
from fhir_ins.store import keys
from fhir_ins.store.database import Database
from fhir_ins.store.keys import INDEX
from fhir_ins.store.resources import Resources, VersionChanged
from fhir_ins.store.writing import WrittenOtherwise

CLAIM = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A store of its own: these tests rewrite all of it."""
    return settings.model_copy(update={"mongodb_database": f"reindex-{uuid4().hex}"})


async def qualified(fhir: httpx.AsyncClient) -> dict[str, Any]:
    fetched = (await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json()
    resource = out(fetched, "patient")[0]["resource"]
    checked = document_checked(resource)
    answer = await fhir.put(f"/Patient/{resource['id']}", json=checked, headers={"If-Match": 'W/"1"'})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def refused(settings: Settings) -> None:
    """The command says in plain words why it does not serve, and the application does not start either."""
    assert "run fhir-ins reindex" in (await store_fault(settings) or "")
    app = application(settings)
    with pytest.raises(WrittenOtherwise):
        async with app.router.lifespan_context(app):
            pytest.fail("it started")


async def test_a_release_is_changed_by_reindex_alone(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server()
    before, plain = await qualified(fhir), (await fhir.post("/Patient", json=patient())).json()
    assert before["meta"]["profile"] == [f"{CLAIM}-ins|2.2.0"]
    old = settings.model_copy(update={"fr_core": "2.1.0"})
    await refused(old)
    count = await reindex(old)
    assert (count.seen, count.changed) == (2, 1)
    again = await reindex(old)
    assert (again.seen, again.changed) == (2, 0)
    await refused(settings)
    changed = await start_server(fr_core="2.1.0")
    after = (await changed.get(f"/Patient/{before['id']}")).json()
    assert after["meta"]["profile"] == [f"{CLAIM}-ins"]
    assert int(after["meta"]["versionId"]) == int(before["meta"]["versionId"]) + 1
    assert after["identifier"] == before["identifier"]
    past = await changed.get(f"/Patient/{before['id']}/_history/{before['meta']['versionId']}")
    assert past.json() == before
    assert (await changed.get(f"/Patient/{plain['id']}")).json() == plain
    found = (await changed.get("/Patient", params={"identifier": f"{NIR}|{ADRUN}"})).json()
    assert found["total"] == 1


async def test_the_command_says_what_it_did(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server()
    await qualified(fhir)
    command = [sys.executable, "-m", "fhir_ins", "reindex", "--fr-core", "2.1.0"]
    command += ["--mongodb-uri", settings.mongodb_uri.get_secret_value()]
    command += ["--mongodb-database", settings.mongodb_database]
    process = await create_subprocess_exec(*command, stdout=PIPE)
    printed, _ = await process.communicate()
    assert printed.decode() == "1 resources read, 1 with a new version: FR Core 2.1.0.\n"


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    yield opened
    await opened.close()


OLD_KEYS = {"token": [], "string": [], "range": []}


async def test_the_keys_of_an_older_release_are_made_anew(
    start_server: StartServer, settings: Settings, database: Database
) -> None:
    fhir = await start_server()
    made = (await fhir.post("/Patient", json=patient())).json()
    await database.resources.update_many({}, {"$set": {"ix": OLD_KEYS}})
    assert (await fhir.get("/Patient?family=adrun")).json()["total"] == 0
    assert (await reindex(settings)).changed == 0
    found = (await fhir.get("/Patient?family=adrun")).json()
    assert [entry["resource"] for entry in found["entry"]] == [made]
    assert (await reindex(settings, only_if_needed=True)).seen == 0


async def test_a_store_of_older_keys_is_read_and_written_and_searched_once_they_are_made(
    start_server: StartServer, settings: Settings, database: Database
) -> None:
    former = await start_server()
    made = [(await former.post("/Patient", json=patient())).json()["id"] for _ in range(120)]
    await database.resources.update_many({}, {"$set": {"ix": OLD_KEYS}})
    await database.server.update_one({"_id": "writing"}, {"$set": {"index": INDEX - 1}})

    fhir = await start_server()
    await _not_searched(fhir, made[0])
    assert (await fhir.get(f"/Patient/{made[0]}")).status_code == 200
    reindexing = asyncio.create_task(reindex(settings))
    for id_ in made[::10]:
        body = {**patient(id=id_), "active": False}
        assert (await fhir.put(f"/Patient/{id_}", json=body, headers={"If-Match": 'W/"1"'})).status_code == 200
        made.append((await fhir.post("/Patient", json=patient())).json()["id"])
    deleted = made.pop()
    assert (await fhir.get(f"/Patient/{deleted}/_history")).status_code == 200
    await reindexing
    async with asyncio.timeout(20):
        while (found := await fhir.get("/Patient?family=adrun&_count=0")).status_code == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert found.json()["total"] == len(made) + 1
    assert (await fhir.get("/Patient?active=false&_summary=count")).json()["total"] == 12
    assert (await fhir.delete(f"/Patient/{deleted}")).status_code == 204


async def _not_searched(fhir: httpx.AsyncClient, id_: str) -> None:
    """Whatever needs search keys is refused, since what has none yet would be left out of the answer."""
    answers = [
        await fhir.get("/Patient?family=adrun"),
        await fhir.get("?_type=Patient&_id=1"),
        await fhir.get("/Observation?patient.family=adrun"),
        await fhir.post("/Patient", json=patient(), headers={"If-None-Exist": "identifier=urn:x|1"}),
        await fhir.get(f"/Patient/{id_}/$everything"),
        await fhir.get("/Patient/$meta"),
        await fhir.delete(f"/Patient/{id_}"),
    ]
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
        assert "fhir-ins reindex" in answer.json()["issue"][0]["details"]["text"]


async def test_what_a_server_of_an_earlier_release_writes_meanwhile_is_made_anew_too(
    start_server: StartServer, settings: Settings, database: Database
) -> None:
    fhir = await start_server()
    made = sorted([(await fhir.post("/Patient", json=patient())).json()["id"] for _ in range(60)])
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as earlier:
        documents = earlier[settings.mongodb_database]["resources"]

        def write_behind(count: Count) -> None:
            if count.seen == len(made) - 10:  # the first batch is done, the first resource of it is written again
                documents.update_one({"id": made[0]}, {"$set": {"ix": OLD_KEYS}})

        assert (await reindex(settings, tell=write_behind)).seen == len(made) + 1
    assert (await fhir.get("/Patient?family=adrun&_count=0")).json()["total"] == len(made)


async def test_what_was_accepted_is_made_anew_however_many_its_keys(
    start_server: StartServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fhir = await start_server()
    await qualified(fhir)
    await fhir.post("/Patient", json=patient())
    monkeypatch.setattr(keys, "MOST_KEYS", 3)
    assert (await fhir.post("/Patient", json=patient())).status_code == 422
    assert (await reindex(settings)).seen == 2
    count = await reindex(settings.model_copy(update={"fr_core": "2.1.0"}))
    assert (count.seen, count.changed) == (2, 1)


async def test_a_label_added_meanwhile_keeps_its_key(
    start_server: StartServer, settings: Settings, database: Database
) -> None:
    """$meta-add writes no new version, so that the version alone does not tell of it."""
    fhir = await start_server()
    id_ = (await fhir.post("/Patient", json=patient())).json()["id"]
    resources, caller = Resources(database), Caller(settings.tenant, "test", frozenset())
    before = await resources.current(caller, "Patient", id_)
    assert before
    anew = redrafted(before, configured_fr_core(settings))
    assert anew
    label = {"security": [{"system": "urn:confidentiality", "code": "R"}]}
    added = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": label}]}
    assert (await fhir.post(f"/Patient/{id_}/$meta-add", json=added)).status_code == 200
    for late in (resources.rewrite, resources.replace):
        with pytest.raises(VersionChanged):
            await late(caller, before, anew)
    assert (await fhir.get("/Patient?_security=R")).json()["total"] == 1
    assert (await fhir.get(f"/Patient/{id_}")).json()["meta"]["security"] == label["security"]
