"""fhir-ins erase: nothing of the person is left anywhere in the database, and nothing of anybody else is lost."""

import base64
import os
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from audit_trails import AUDITOR, audit_events, trail_settings, verification
from bson import encode
from people import ADRUN, traits
from qualifying import qualified
from servers import StartServer

from fhir_ins.erase import NothingErased, erase
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database

KEY = base64.b64encode(os.urandom(32)).decode()
ECETINSI = traits("ECETINSI", ["PIERRE-ALAIN"], "male", "2009-07-14")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """A database of its own, all of which is looked at, with evidence of the calls to INSi and an audit trail."""
    changes = {"mongodb_database": f"erase-{uuid4().hex}", "insi_evidence_key": KEY, **trail_settings(tmp_path)}
    return Settings(**{**settings.model_dump(), **changes})


@pytest.fixture
async def fhir(start_server: StartServer, settings: Settings) -> httpx.AsyncClient:
    return await start_server(**{**settings.model_dump(), "rights": AUDITOR})


async def created(fhir: httpx.AsyncClient, resource: dict[str, Any]) -> str:
    answer = await fhir.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def observation(patient: str, text: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": text},
        "subject": {"reference": patient},
    }


async def command(settings: Settings, *options: str, key: str = KEY) -> tuple[int | None, str]:
    """The command as an operator runs it: how it ended, and what it said."""
    environment = {
        **os.environ,
        "FHIR_INS_MONGODB_URI": settings.mongodb_uri.get_secret_value(),
        "FHIR_INS_MONGODB_DATABASE": settings.mongodb_database,
        "FHIR_INS_TENANT": settings.tenant,
        "FHIR_INS_INSI_EVIDENCE_KEY": key,
        "FHIR_INS_AUDIT_KEY": settings.audit_key.get_secret_value(),
        "FHIR_INS_AUDIT_CHECKPOINTS": str(settings.audit_checkpoints),
        "FHIR_INS_AUDIT_SIGNING_KEY": str(settings.audit_signing_key),
    }
    process = await create_subprocess_exec(
        sys.executable, "-m", "fhir_ins", "erase", *options, env=environment, stdout=PIPE, stderr=PIPE, stdin=PIPE
    )
    said, wrong = await process.communicate(b"n\n")
    return process.returncode, (said + wrong).decode()


async def everything(settings: Settings) -> dict[str, list[bytes]]:
    """Every document of the database, by collection."""
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    try:
        names = await database.database.list_collection_names()
        return {name: [encode(found) async for found in database.database[name].find()] for name in names}
    finally:
        await database.close()


async def test_nothing_of_the_person_is_left_and_nothing_of_others_is_lost(
    fhir: httpx.AsyncClient, settings: Settings
) -> None:
    person = (await qualified(fhir)).removeprefix("/")
    other = (await fhir.post("/Patient/$ins-fetch", json=ECETINSI)).json()
    neighbour = next(found for found in other["parameter"] if found["name"] == "stored")["valueReference"]["reference"]
    await created(fhir, observation(person, "of the person: phlebitis"))
    gone = await created(fhir, observation(person, "deleted: phlebotomy"))
    assert (await fhir.delete(f"/{gone}")).status_code == 204
    moved = await created(fhir, observation(person, "on the wrong record: phlegmon"))
    corrected = {**observation(neighbour, "corrected"), "id": moved.partition("/")[2]}
    assert (await fhir.put(f"/{moved}", json=corrected)).status_code == 200
    theirs = await created(fhir, observation(neighbour, "of somebody else"))
    both = await created(fhir, {**observation(neighbour, "of both"), "focus": [{"reference": person}]})

    ended, said = await command(settings, person, "--yes")
    assert (ended, "Kept, since it refers to another Patient too: " + both in said) == (1, True), said
    assert (await fhir.delete(f"/{both}")).status_code == 204
    left = await everything(settings)
    traces = [person, person.partition("/")[2], ADRUN, ADRUN[:13], "ADRUN", "adrun", "phleb", "phleg"]
    for name, documents in left.items():
        for document in documents:
            if name in ("resources", "versions") and both.partition("/")[2].encode() in document:
                continue
            assert not [trace for trace in traces if trace.encode() in document], name
    assert len(left["evidence"]) == 1, "the call about somebody else"
    for reference in (neighbour, theirs, moved):
        assert (await fhir.get(f"/{reference}")).status_code == 200
    assert (await fhir.get(f"/{neighbour}/_history")).json()["total"] == 1
    assert (await fhir.get(f"/{person}")).status_code == 404
    assert (await qualified(fhir)).removeprefix("/") != person, "the INS is free again"


async def test_the_audit_trail_keeps_that_it_was_done(fhir: httpx.AsyncClient, settings: Settings) -> None:
    person = (await qualified(fhir)).removeprefix("/")
    about = await created(fhir, observation(person, "phlebitis"))
    ended, said = await command(settings, person, "--yes")
    assert ended == 0, said
    events = await audit_events(fhir, f"patient={person}&subtype=erase")
    assert [event["outcomeDesc"] for event in sorted(events, key=lambda one: str(one["id"]))] == [
        "HTTP 202",
        "HTTP 200",
    ]
    assert {event["action"] for event in events} == {"D"}
    assert {event["agent"][0]["altId"] for event in events} == {"fhir-ins erase"}
    assert person in str(events)
    assert about in str(events)
    trail = {name: getattr(settings, name) for name in ("audit_checkpoints", "audit_signing_key")}
    trail["audit_key"] = settings.audit_key.get_secret_value()
    found = await verification(settings, trail)
    assert found.faults == [], found


async def test_where_a_trail_is_kept_nothing_is_erased_without_it(fhir: httpx.AsyncClient, settings: Settings) -> None:
    person = (await qualified(fhir)).removeprefix("/")
    blind = Settings(**{**settings.model_dump(), "audit_key": ""})
    with pytest.raises(NothingErased, match="set FHIR_INS_AUDIT_KEY"):
        await erase(blind, person.partition("/")[2])
    assert (await fhir.get(f"/{person}")).status_code == 200


async def test_what_is_not_there_or_not_confirmed_is_not_erased(fhir: httpx.AsyncClient, settings: Settings) -> None:
    person = (await qualified(fhir)).removeprefix("/")
    before = await everything(settings)
    ended, said = await command(settings, person)
    assert ended == 1
    assert f"Erase {person} of the structure {settings.tenant} for ever?" in said
    ended, said = await command(settings, "Patient/unknown", "--yes")
    assert (ended, said) == (1, f"fhir-ins: The structure {settings.tenant} has no Patient/unknown.\n")
    assert await everything(settings) == before


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "set FHIR_INS_INSI_EVIDENCE_KEY"),
        (base64.b64encode(bytes(32)).decode(), "cannot be opened: it was sealed with the key"),
        ("abc", "FHIR_INS_INSI_EVIDENCE_KEY: a key of the evidence is 32 random bytes"),
    ],
)
async def test_evidence_that_cannot_be_read_keeps_everything(
    fhir: httpx.AsyncClient, settings: Settings, key: str, said: str
) -> None:
    person = (await qualified(fhir)).removeprefix("/")
    before = await everything(settings)
    locked = Settings(**{**settings.model_dump(), "insi_evidence_key": key})
    with pytest.raises((NothingErased, ValueError), match=said):
        await erase(locked, person.partition("/")[2])
    after = await everything(settings)  # the trail shows that it was tried
    assert {**after, "audit": []} == {**before, "audit": []}


async def test_a_deleted_patient_can_be_erased(fhir: httpx.AsyncClient, settings: Settings) -> None:
    person = (await qualified(fhir)).removeprefix("/")
    assert (await fhir.delete(f"/{person}")).status_code == 204
    erased = await erase(settings, person.partition("/")[2])
    assert (erased.resources, erased.versions, erased.evidence, erased.kept) == ([person], 3, 1, [])
    assert not [document for document in (await everything(settings))["versions"] if b"ADRUN" in document]
