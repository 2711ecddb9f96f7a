"""An encrypted store: its keys, what cannot be opened, new keys while it is in use, and a clear store become one."""

import asyncio
import os
import re
import secrets
import time
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from keyrings import keyring, master_key
from people import ADRUN, ADRUN_TRAITS, NIR, document_checked, out, patient
from servers import StartServer

from fhir_ins.app import application, store_fault
from fhir_ins.at_rest import configured_keyring
from fhir_ins.encryption import encrypt, rewrap, rotate
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import Unavailable
from fhir_ins.fhir.search import parse as parse_search
from fhir_ins.fhir.search_parameters import PARAMETERS
from fhir_ins.ins.identity import Identity
from fhir_ins.reindex import reindex
from fhir_ins.security.caller import Caller, Right
from fhir_ins.security.keyring import KeyFault, Keyring, LocalMasterKey, Wrapped
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database
from fhir_ins.store.documents import Draft
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.query import compiled
from fhir_ins.store.resources import Resources
from fhir_ins.store.sealing import Altered
from fhir_ins.store.writing import WrittenOtherwise

Json = dict[str, Any]
CALLER = Caller("main", "ehr", frozenset({Right.READ, Right.WRITE}))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A store of its own, encrypted."""
    return settings.model_copy(
        update={"mongodb_database": f"encrypted-{uuid4().hex}", "master_key": _secret(master_key())}
    )


def _secret(text: str) -> Any:
    return type(Settings().master_key)(text)


def changed(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={name: _secret(text) for name, text in changes.items()})


def opened(settings: Settings) -> Database:
    uri, name = settings.mongodb_uri.get_secret_value(), settings.mongodb_database
    return Database(uri, name, keyring=configured_keyring(settings))


@pytest.fixture
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    database = Database(mongod.uri, f"sealed-{uuid4().hex}", keyring=keyring())
    await database.prepare()
    yield database
    await database.client.drop_database(database.database.name)
    await database.close()


async def created(database: Database, family: str) -> str:
    draft = Draft(patient(name=[{"family": family}]), None, None, Identity())
    return (await Resources(database).create(CALLER, "Patient", draft)).id


async def family(database: Database, id_: str) -> str:
    body = (await Resources(database).read(CALLER, "Patient", id_)).body
    assert body
    return str(parse(body)["name"][0]["family"])


# Master keys


async def test_what_a_master_key_wraps_no_other_opens_and_no_other_use() -> None:
    ring, key = keyring(), os.urandom(32)
    wrapped = await ring.wrap("data key 1 of a", key)
    assert key not in wrapped.wrapped
    assert await ring.unwrap("data key 1 of a", wrapped) == key
    with pytest.raises(KeyFault, match="not what was stored"):
        await ring.unwrap("data key 1 of b", wrapped)
    with pytest.raises(KeyFault, match="which is not configured"):
        await keyring().unwrap("data key 1 of a", wrapped)
    with pytest.raises(KeyFault, match="not what was stored"):
        await ring.unwrap("data key 1 of a", Wrapped(wrapped.master, wrapped.wrapped[:-1] + b"x"))


def test_a_master_key_comes_from_one_place_and_is_told_nowhere(settings: Settings, tmp_path: Path) -> None:
    text = settings.master_key.get_secret_value()
    ring = configured_keyring(settings)
    assert ring
    (tmp_path / "key").write_text(f"{text}\n")
    by_file = configured_keyring(
        settings.model_copy(update={"master_key": _secret(""), "master_key_file": tmp_path / "key"})
    )
    assert by_file
    assert by_file.current.name == ring.current.name
    assert text not in repr((ring, settings)) + str(ring.by_name)
    assert configured_keyring(changed(settings, master_key="")) is None
    for wrong in (
        changed(settings, master_key="short"),
        changed(settings, master_key="", former_master_keys=text),
        changed(settings, former_master_keys=f"{text},x"),
        settings.model_copy(update={"master_key_file": tmp_path / "key"}),
        settings.model_copy(update={"master_key": _secret(""), "kms": "nowhere"}),
        settings.model_copy(update={"master_key": _secret(""), "kms": "nowhere:x"}),
        settings.model_copy(update={"master_key": _secret(""), "kms": "keyrings:x"}),
        settings.model_copy(update={"master_key": _secret(""), "kms": "keyrings:master_key"}),
    ):
        with pytest.raises(ValueError, match=r"FHIR_INS|nowhere|keyrings") as fault:
            configured_keyring(wrong)
        assert text not in str(fault.value)


async def test_a_key_service_wraps_and_its_absence_is_told(mongod: Mongod) -> None:
    service = KeyService()
    database = Database(mongod.uri, f"kms-{uuid4().hex}", keyring=Keyring.of(service))
    await database.prepare()
    id_ = await created(database, "Un")
    service.away = True
    assert await family(database, id_) == "Un"  # its keys are known already
    restarted = Database(mongod.uri, database.database.name, keyring=Keyring.of(service))
    with pytest.raises(Unavailable, match="key service"):
        await family(restarted, id_)
    service.away = False
    assert await family(restarted, id_) == "Un"
    assert restarted.seals.keys
    assert database.seals.keys
    assert await restarted.seals.keys.rotate(CALLER.tenant) == 2
    service.away = True
    database.seals.keys._clock = lambda: time.monotonic() + 60  # it looks for new keys
    assert await family(database, await created(database, "Deux")) == "Deux"
    service.away = False
    sealed = [found["sealed"] async for found in database.resources.find().sort("updated")]
    database.seals.keys._clock = lambda: time.monotonic() + 120
    await created(database, "Trois")
    assert [*sealed, 2] == [found["sealed"] async for found in database.resources.find().sort("updated")] == [1, 1, 2]
    await database.client.drop_database(database.database.name)
    await database.close()
    await restarted.close()


class KeyService:
    """A key management service, as an operator connects one."""

    name = "kms/1"
    away = False

    def __init__(self) -> None:
        self._key = LocalMasterKey(os.urandom(32))

    async def wrap(self, key: bytes) -> bytes:
        return await self._key.wrap(key)

    async def unwrap(self, wrapped: bytes) -> bytes:
        if self.away:
            raise ConnectionError("no route")
        return await self._key.unwrap(wrapped)


# What cannot be opened


async def test_a_body_that_was_altered_or_passes_for_another_is_not_answered(database: Database) -> None:
    one, two = await created(database, "Un"), await created(database, "Deux")
    documents = {found["id"]: found async for found in database.resources.find()}
    sealed = documents[one]["conveyed"]
    for forged in (
        documents[two]["conveyed"],
        documents[one]["identity"],
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        sealed[:20],
        b"",
        b'{"resourceType":"Patient"}',
    ):
        await database.resources.update_one({"id": one}, {"$set": {"conveyed": forged}})
        with pytest.raises(Altered, match="not what was written"):
            await family(database, one)
    assert await family(database, two) == "Deux"


async def test_an_altered_body_is_a_plain_outcome(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server()
    id_ = (await fhir.post("/Patient", json=patient())).json()["id"]
    database = opened(settings)
    await database.resources.update_one({"id": id_}, {"$set": {"conveyed": b"\x01\x01" + b"x" * 40}})
    await database.close()
    answer = await fhir.get(f"/Patient/{id_}")
    assert (answer.status_code, answer.json()["resourceType"]) == (500, "OperationOutcome")
    assert "not what was written" in answer.text


async def test_lost_keys_are_told_and_never_made_anew(database: Database) -> None:
    id_ = await created(database, "Un")
    kept = await database.database["tenant_keys"].find_one({"_id": "main"})
    assert kept
    ring = database.seals.keys._keyring  # type: ignore[union-attr]
    await database.database["tenant_keys"].delete_one({"_id": "main"})
    restarted = Database(f"mongodb://{_address(database)}/?directConnection=true", database.database.name, keyring=ring)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be opened here"):
            await family(restarted, id_)
        assert await database.database["tenant_keys"].count_documents({}) == 0
    await database.database["tenant_keys"].insert_one(kept)
    assert await family(restarted, id_) == "Un"
    await database.resources.update_one({"id": id_}, [{"$set": {"conveyed": {"$literal": b"\x01\x09" + b"x" * 40}}}])
    with pytest.raises(Unavailable, match="missing in the store"):
        await family(restarted, id_)
    await restarted.close()


def _address(database: Database) -> str:
    ((host, port),) = database.client.nodes
    return f"{host}:{port}"


# Starting


async def test_a_store_is_served_with_its_own_key_only(start_server: StartServer, settings: Settings) -> None:
    await start_server()
    clear, other = changed(settings, master_key=""), changed(settings, master_key=master_key())
    assert "set FHIR_INS_MASTER_KEY" in (await store_fault(clear) or "")
    assert "which is not configured" in (await store_fault(other) or "")
    for wrong in (clear, other):
        app = application(wrong)
        with pytest.raises((WrittenOtherwise, KeyFault)):
            async with app.router.lifespan_context(app):
                pytest.fail("it started")
        with pytest.raises((WrittenOtherwise, KeyFault)):
            await reindex(wrong)
    assert await store_fault(settings) is None


async def test_a_clear_store_is_not_served_with_a_key(start_server: StartServer, settings: Settings) -> None:
    await start_server(master_key="")
    assert "fhir-ins keys encrypt" in (await store_fault(settings) or "")


# New keys


async def test_a_master_key_is_replaced_by_wrapping_alone(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server()
    id_ = (await fhir.post("/Patient", json=patient())).json()["id"]
    former = settings.master_key.get_secret_value()
    both = changed(settings, master_key=master_key(), former_master_keys=former)
    served = await start_server(master_key=both.master_key, former_master_keys=former)
    assert (await served.get(f"/Patient/{id_}")).status_code == 200
    assert await rewrap(both) == 4  # a data key, an index key, two secrets
    assert await rewrap(both) == 0
    only_new = changed(both, former_master_keys="")
    assert await store_fault(only_new) is None
    assert "which is not configured" in (await store_fault(settings) or "")
    newest = await start_server(master_key=only_new.master_key)
    for one in (fhir, served, newest):
        assert (await one.get("/Patient", params={"family": "adrun"})).json()["total"] == 1
        assert (await one.get(f"/Patient/{id_}")).status_code == 200


async def test_data_keys_rotate_while_servers_read_and_write(start_server: StartServer, settings: Settings) -> None:
    one, two = await start_server(), await start_server()
    ids = [(await one.post("/Patient", json=patient())).json()["id"] for _ in range(30)]
    stop = asyncio.Event()

    async def busy(fhir: httpx.AsyncClient) -> int:
        done = 0
        while not stop.is_set():
            id_ = secrets.choice(ids)
            read = await fhir.get(f"/Patient/{id_}")
            body = {**read.json(), "active": done % 2 == 0}
            put = await fhir.put(f"/Patient/{id_}", json=body)
            found = await fhir.get("/Patient", params={"family": "adrun", "_total": "accurate", "_count": "50"})
            past = await fhir.get(f"/Patient/{id_}/_history/1")
            assert (read.status_code, put.status_code, past.status_code) == (200, 200, 200)
            assert found.json()["total"] == len(ids)
            assert len(found.json()["entry"]) == len(ids)
            done += 1
        return done

    working = [asyncio.create_task(busy(fhir)) for fhir in (one, two)]
    try:
        for _ in range(2):
            assert await rotate(settings, patience=0) > 0
    finally:
        stop.set()
    assert min(await asyncio.gather(*working)) > 0
    assert await rotate(settings, patience=0) > len(ids)
    database = opened(settings)
    assert await database.resources.distinct("sealed") == [4]
    assert await database.versions.distinct("sealed") == [4]
    await database.close()
    fresh = await start_server()
    for fhir in (one, two, fresh):
        for id_ in ids:
            assert (await fhir.get(f"/Patient/{id_}")).status_code == 200
            assert len((await fhir.get(f"/Patient/{id_}/_history")).json()["entry"]) > 0


# A clear store becomes an encrypted one


async def test_a_clear_store_is_encrypted(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server(master_key="")
    fetched = (await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json()
    stored = out(fetched, "patient")[0]["resource"]
    checked = document_checked(stored)
    before = (await fhir.put(f"/Patient/{stored['id']}", json=checked, headers={"If-Match": 'W/"1"'})).json()
    gone = (await fhir.post("/Patient", json=patient())).json()["id"]
    await fhir.delete(f"/Patient/{gone}")
    history = (await fhir.get(f"/Patient/{before['id']}/_history")).json()["entry"]
    assert await encrypt(settings) == 4
    assert await encrypt(settings) == 0
    encrypted = await start_server()
    assert (await encrypted.get(f"/Patient/{before['id']}")).json() == before
    assert [one["resource"] for one in (await encrypted.get(f"/Patient/{before['id']}/_history")).json()["entry"]] == [
        one["resource"] for one in history
    ]
    for asked in ({"identifier": f"{NIR}|{ADRUN}"}, {"family": "adr"}, {"birthdate": "1975-12"}):
        assert [one["resource"]["id"] for one in (await encrypted.get("/Patient", params=asked)).json()["entry"]] == [
            before["id"]
        ]
    assert (await encrypted.get(f"/Patient/{gone}")).status_code == 410
    again = (await encrypted.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json()
    assert out(again, "stored")[0]["valueReference"]["reference"] == f"Patient/{before['id']}"  # the INS is held


async def test_an_interrupted_encryption_is_run_again(
    start_server: StartServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fhir = await start_server(master_key="")
    ids = [(await fhir.post("/Patient", json=patient())).json()["id"] for _ in range(3)]
    database = opened(settings)
    await database.server.update_one({"_id": "writing"}, {"$set": {"sealed": True, "sealing": True}})
    one = await database.resources.find_one({"id": ids[0]})
    assert one
    seal = await database.seals.of(one["tenant"])
    await database.resources.replace_one({"_id": one["_id"]}, seal.sealed(one))
    await database.close()
    assert "keys encrypt has begun" in (await store_fault(settings) or "")
    assert "keys encrypt has begun" in (await store_fault(changed(settings, master_key="")) or "")
    assert await encrypt(settings) == 2
    encrypted = await start_server()
    assert (await encrypted.get("/Patient", params={"family": "adrun"})).json()["total"] == 3


async def test_the_commands_say_what_they_did(start_server: StartServer, settings: Settings) -> None:
    fhir = await start_server(master_key="")
    await fhir.post("/Patient", json=patient())

    async def run(command: str, **environment: str) -> str:
        values = {
            "FHIR_INS_MONGODB_URI": settings.mongodb_uri.get_secret_value(),
            "FHIR_INS_MONGODB_DATABASE": settings.mongodb_database,
            **environment,
        }
        arguments = (".venv/bin/fhir-ins", "keys", command)
        process = await create_subprocess_exec(*arguments, stdout=PIPE, stderr=PIPE, env={**os.environ, **values})
        printed, complained = await process.communicate()
        return (printed + complained).decode()

    key = settings.master_key.get_secret_value()
    assert "A master key is needed" in await run("encrypt")
    assert "not encrypted" in await run("rotate", FHIR_INS_MASTER_KEY=key)
    assert (await run("encrypt", FHIR_INS_MASTER_KEY=key)).startswith("1 versions encrypted.")
    assert await run("rotate", FHIR_INS_MASTER_KEY=key) == "1 versions sealed anew.\n"
    said = await run("rewrap", FHIR_INS_MASTER_KEY=master_key(), FHIR_INS_FORMER_MASTER_KEYS=key)
    assert re.fullmatch(r"5 keys wrapped anew\.\n", said), said


# What is refused


async def test_what_an_encrypted_store_keeps_no_order_of_is_refused(start_server: StartServer) -> None:
    fhir = await start_server()
    await fhir.post("/Patient", json=patient(deceasedDateTime="2020-03-01T10:00:00Z"))
    for query in (
        *("birthdate=ge1975", "birthdate=ne1975-12-31", "birthdate=ap1975", "birthdate=1975-12-31T00:00:00Z"),
        *(
            "death-date=lt2021",
            "_sort=family",
            "_sort=-birthdate",
            "_sort=gender",
            "_sort=_lastUpdated,identifier",
            "_sort=_tag",
        ),
    ):
        answer = await fhir.get(f"/Patient?{query}")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "not-supported"), query
        assert "encrypts its store" in answer.text
    for query in ("birthdate=eq1975", "death-date=2020-03-01", "death-date=2020", "_sort=-_lastUpdated,_id"):
        assert (await fhir.get(f"/Patient?{query}")).json()["total"] == 1, query
    stated = (await fhir.get("/metadata")).text
    assert "encrypts its store" in stated


async def test_search_keys_cannot_be_told_without_the_key(database: Database) -> None:
    """Two tenants with the same Patient have no search key in common."""
    draft = Draft(patient(identifier=[{"value": "1"}]), None, None, Identity())
    other = Caller("other", "ehr", CALLER.rights)
    for caller in (CALLER, other):
        await Resources(database).create(caller, "Patient", draft)
    found = {document["tenant"]: document["ix"] async for document in database.resources.find()}
    for name in ("token", "string", "part", "has"):
        assert found["main"][name], name
        assert not set(found["main"][name]) & set(found["other"][name])
    search = parse_search([("family", "adrun")], PARAMETERS["Patient"], lenient=False)
    assert len((await Resources(database).search(other, "Patient", search)).found) == 1


LOOKED_FOR = [
    {"family": "zam012"},
    {"family": "zam0123azertyuiop"},
    {"family:exact": "Zam0123AzertyuiopQsdf"},
    {"family:contains": "m0123azer"},
    {"name": "zam012", "gender": "female"},
    {"identifier": "urn:ipp|123"},
    {"identifier": "123,124"},
    {"birthdate": "1912-05"},
]


@pytest.mark.parametrize("asked", LOOKED_FOR, ids=str)
async def test_a_search_of_an_encrypted_store_reads_little_more_than_it_finds(
    crowd: Database, asked: dict[str, str]
) -> None:
    search = parse_search(list(asked.items()), PARAMETERS["Patient"], lenient=False)
    found = (await Resources(crowd).search(CALLER, "Patient", search)).found
    place = (await crowd.seals.of(CALLER.tenant)).place("Patient", reference=False)
    query = compiled(search, place)
    hint = {"hint": query.index} if query.index else {}
    command = {"find": "resources", "filter": query.filter, **hint}
    seen = (await crowd.database.command("explain", command, verbosity="executionStats"))["executionStats"]
    assert 1 <= len(found) <= 20
    assert seen["nReturned"] >= len(found)
    assert seen["totalDocsExamined"] <= 2 * len(found) + 12  # three letters are shared by some
    assert seen["totalKeysExamined"] <= 3 * len(found) + 25


@pytest.fixture(scope="module")
async def crowd(mongod: Mongod) -> AsyncIterator[Database]:
    """Of whom no two have the same name, number or birth date."""
    database = Database(mongod.uri, f"crowd-{uuid4().hex}", keyring=keyring())
    await database.prepare()
    for number in range(400):
        elements = {
            "name": [{"family": f"Zam{number:04}AzertyuiopQsdf"}],
            "identifier": [{"system": "urn:ipp", "value": str(number)}],
            "birthDate": f"19{number % 100:02}-{number % 12 + 1:02}-{number % 28 + 1:02}",
        }
        await Resources(database).create(CALLER, "Patient", Draft(patient(**elements), None, None, Identity()))
    yield database
    await database.client.drop_database(database.database.name)
    await database.close()
