"""The evidence: sealed for whoever holds the key, bound to who asked and when, gone after its days."""

import base64
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import bson
import pytest

from fhir_ins.store.database import Database
from fhir_ins.store.evidence import Entry, Evidence, EvidenceKeys, Unopened
from fhir_ins.store.mongod import Mongod

AT = datetime(2026, 3, 14, 15, 9, 26, 535897, UTC)


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def keys(current: str, former: str = "") -> EvidenceKeys:
    found = EvidenceKeys.parse(current, former)
    assert found
    return found


def entry(**changes: Any) -> Entry:
    """A call about ADRUN ZOE, with an id of its own."""
    whole: dict[str, Any] = {
        "message_id": f"uuid:{uuid4()}",
        "tenant": "hospital",
        "operator": "dr-who",
        "operation": "rechercherInsAvecTraitsIdentite",
        "code": "00",
        "at": AT,
        "request": b"<NomNaissance>ADRUN</NomNaissance><Prenom>ZOE</Prenom>",
        "answer": b"<NumIdentifiant>2751263220749</NumIdentifiant>",
    }
    return Entry(**{**whole, **changes})


def at_most_milliseconds(kept: Entry) -> Entry:
    return replace(kept, at=kept.at.replace(microsecond=kept.at.microsecond // 1000 * 1000))


@pytest.fixture
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    database = Database(mongod.uri, f"evidence_{uuid4().hex}")
    yield database
    await database.client.drop_database(database.database)
    await database.close()


async def opened(evidence: Evidence, *bounds: Any, **more: Any) -> list[Entry | Unopened]:
    return [found async for found in evidence.exchanges("hospital", *bounds, **more)]


async def test_what_is_kept_is_read_again_byte_for_byte(database: Database) -> None:
    evidence = Evidence(database, keys(new_key()), days=90)
    answered, unanswered = entry(), entry(at=AT + timedelta(seconds=1), answer=None, code="unreachable")
    for each in (unanswered, answered):
        await evidence.keep(each)
    assert await opened(evidence) == [at_most_milliseconds(answered), at_most_milliseconds(unanswered)]


async def test_nothing_of_a_person_is_readable_in_the_database(database: Database) -> None:
    await Evidence(database, keys(new_key()), days=90).keep(entry(request=b"ADRUN ZOE" * 100))
    stored = bson.encode(await database.database["evidence"].find_one({}) or {})
    for secret in (b"ADRUN", b"ZOE", b"2751263220749", b"NomNaissance"):
        assert secret not in stored
    assert b"dr-who" in stored  # the search sees what it should


@pytest.mark.parametrize("field", ["_id", "tenant", "operator", "operation", "code"])
async def test_an_entry_changed_in_clear_is_told(database: Database, field: str) -> None:
    evidence, kept = Evidence(database, keys(new_key()), days=90), entry()
    await evidence.keep(kept)
    collection = database.database["evidence"]
    document = await collection.find_one_and_delete({})
    assert document
    await collection.insert_one({**document, field: "other"})
    (found,) = [each async for each in evidence.exchanges("other" if field == "tenant" else "hospital")]
    assert found == Unopened("other" if field == "_id" else kept.message_id, "it is not what was stored")


async def test_an_entry_dated_otherwise_is_told(database: Database) -> None:
    evidence, kept = Evidence(database, keys(new_key()), days=90), entry()
    await evidence.keep(kept)
    await database.database["evidence"].update_one({}, {"$set": {"at": AT + timedelta(days=1)}})
    assert await opened(evidence) == [Unopened(kept.message_id, "it is not what was stored")]


@pytest.mark.parametrize("sealed", [b"", b"short", None, "text"], ids=repr)
async def test_frames_replaced_by_something_else_are_told(database: Database, sealed: object) -> None:
    evidence, kept = Evidence(database, keys(new_key()), days=90), entry()
    await evidence.keep(kept)
    await database.database["evidence"].update_one({}, {"$set": {"sealed": sealed}})
    assert await opened(evidence) == [Unopened(kept.message_id, "it is not what was stored")]


async def test_frames_swapped_between_entries_are_told(database: Database) -> None:
    evidence, first, second = Evidence(database, keys(new_key()), days=90), entry(), entry()
    for each in (first, second):
        await evidence.keep(each)
    collection = database.database["evidence"]
    sealed = {found["_id"]: found["sealed"] async for found in collection.find({})}
    for mine, others in ((first, second), (second, first)):
        await collection.update_one({"_id": mine.message_id}, {"$set": {"sealed": sealed[others.message_id]}})
    assert all(isinstance(found, Unopened) for found in await opened(evidence))


async def test_a_key_is_changed_by_naming_the_former_one(database: Database) -> None:
    old, new = new_key(), new_key()
    before = entry()
    await Evidence(database, keys(old), days=90).keep(before)
    changed, after = Evidence(database, keys(new, f" {old} ,"), days=90), entry(at=AT + timedelta(minutes=1))
    await changed.keep(after)
    assert await opened(changed) == [at_most_milliseconds(before), at_most_milliseconds(after)]
    foreign, own = await opened(Evidence(database, keys(new), days=90))
    assert own == at_most_milliseconds(after)
    assert isinstance(foreign, Unopened)
    assert foreign.message_id == before.message_id
    assert "FHIR_INS_INSI_EVIDENCE_FORMER_KEYS" in foreign.reason


async def test_reading_is_bounded_by_tenant_time_and_code(database: Database) -> None:
    evidence = Evidence(database, keys(new_key()), days=90)
    days = [AT + timedelta(days=day) for day in range(3)]
    kept = [entry(at=day, code=code) for day, code in zip(days, ("00", "01", "02"), strict=True)]
    for each in (*kept, entry(tenant="clinic")):
        await evidence.keep(each)

    async def codes(*bounds: Any, **more: Any) -> list[str]:
        return [found.code for found in await opened(evidence, *bounds, **more) if isinstance(found, Entry)]

    assert await codes() == ["00", "01", "02"]
    assert await codes(days[1]) == ["01", "02"]
    assert await codes(None, days[2]) == ["00", "01"]
    assert await codes(days[1], days[2]) == ["01"]
    assert await codes(codes=["00", "02"]) == ["00", "02"]


async def test_one_call_is_kept_once(database: Database) -> None:
    evidence, kept = Evidence(database, keys(new_key()), days=90), entry()
    await evidence.keep(kept)
    with pytest.raises(Exception, match="duplicate key"):
        await evidence.keep(replace(kept, answer=b"another"))


async def test_retention_is_the_databases_own_and_follows_the_setting(database: Database) -> None:
    async def seconds() -> int:
        return int((await database.database["evidence"].index_information())["expiry"]["expireAfterSeconds"])

    for days in (90, 90, 30):
        await Evidence(database, keys(new_key()), days=days).prepare()
        assert await seconds() == days * 86400
    expiry = (await database.database["evidence"].index_information())["expiry"]
    assert expiry["key"] == [("at", 1)]


def test_without_a_key_there_is_no_evidence() -> None:
    assert EvidenceKeys.parse(" ", "") is None


@pytest.mark.parametrize("text", ["c2hvcnQ=", "not base64!", base64.b64encode(bytes(31)).decode()])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    for current, former in ((text, ""), (new_key(), text)):
        with pytest.raises(ValueError, match="32 random bytes in base64") as refused:
            EvidenceKeys.parse(current, former)
        assert text not in str(refused.value)


def test_keys_and_frames_stay_out_of_what_is_printed() -> None:
    key = new_key()
    assert key not in repr(keys(key))
    assert "ADRUN" not in repr(entry())
