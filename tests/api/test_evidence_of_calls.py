"""Evidence of what a server asks INSi: opt-in, of every call, by whom and with what came of it."""

import base64
import os
from uuid import uuid4

import pytest
from people import ADRUN_TRAITS, code, out, parts, traits
from servers import StartServer

from fhir_ins.app import application
from fhir_ins.evidence import evidence_keys
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database
from fhir_ins.store.evidence import Entry, Evidence

KEY = base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A database of its own: what collections there are is looked at."""
    return settings.model_copy(update={"mongodb_database": f"evidence-{uuid4().hex}"})


async def kept(settings: Settings) -> list[Entry]:
    keys = evidence_keys(settings)
    assert keys
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    try:
        found = [entry async for entry in Evidence(database, keys, days=1).exchanges(settings.tenant)]
    finally:
        await database.close()
    assert all(isinstance(entry, Entry) for entry in found)
    return found  # type: ignore[return-value]


async def test_every_call_is_kept_with_its_frames(start_server: StartServer, settings: Settings) -> None:
    settings = Settings(**{**settings.model_dump(), "insi_evidence_key": KEY})
    fhir = await start_server(**settings.model_dump())
    asked = traits("TCHITCHI", ["OLA", "CATARINA", "BELLA"], "female", "1936-06-21")
    answer = (await fhir.post("/Patient/$ins-fetch", json=asked)).json()
    found = await kept(settings)
    assert [(entry.message_id, entry.code) for entry in found] == [
        (call["messageId"], call["code"]) for call in map(parts, out(answer, "call"))
    ]
    assert {(entry.tenant, entry.operator) for entry in found} == {(settings.tenant, "anonymous")}
    for entry, given in zip(found, ("OLA", "CATARINA"), strict=True):
        assert f">{given}<" in entry.request.decode()
        assert entry.message_id in entry.request.decode()
        assert entry.answer is not None
        assert f"<CodeCR>{entry.code}</CodeCR>" in entry.answer.decode()


async def test_an_answer_is_not_lost_because_its_evidence_cannot_be_kept(
    start_server: StartServer, settings: Settings
) -> None:
    fhir = await start_server(**{**settings.model_dump(), "insi_evidence_key": KEY})
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    await database.database.command("collMod", "evidence", validator={"never": True})
    answer = await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    assert code(answer.json(), "result") == "found"
    assert await database.database["evidence"].count_documents({}) == 0
    await database.close()


async def test_without_the_key_nothing_is_kept(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server()
    await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    database = Database(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    assert "evidence" not in await database.database.list_collection_names()
    await database.close()


def test_a_bad_key_keeps_the_server_from_starting(settings: Settings) -> None:
    bad = Settings(**{**settings.model_dump(), "insi_evidence_key": "c2hvcnQ="})
    with pytest.raises(ValueError, match="FHIR_INS_INSI_EVIDENCE_KEY"):
        application(bad)
