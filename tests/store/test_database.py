"""The database: migrations, the schema version, the secret, the indexes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from pymongo import WriteConcern

from fhir_ins.store.database import FIRST_SCHEMA, MIGRATIONS, Database, SchemaTooNew, migrate
from fhir_ins.store.mongod import Mongod

Open = Callable[[], Database]


@pytest.fixture
async def opened(mongod: Mongod) -> AsyncIterator[Open]:
    """Connections to one new database, as processes of their own would have."""
    name = f"database_{uuid4().hex}"
    async with AsyncExitStack() as stack:

        def open_one() -> Database:
            database = Database(mongod.uri, name)
            stack.push_async_callback(database.close)
            return database

        first = open_one()
        yield open_one
        await first.client.drop_database(name)


@pytest.fixture
async def old(opened: Open) -> Database:
    """A database of the first schema, with a resource in it."""
    database = opened()
    await database.prepare(())
    await database.resources.insert_one({"_id": "tenant/Patient/1"})
    return database


class Migrations:
    """Migrations that write down that they ran."""

    def __init__(self, count: int, failing: int | None = None) -> None:
        self.ran: list[int] = []
        self.failing = failing
        self.steps = [self._step(step) for step in range(count)]

    def _step(self, step: int) -> Callable[[Any], Awaitable[None]]:
        async def run(database: Any) -> None:
            self.ran.append(step)
            await database["traces"].insert_one({"step": step})
            if step == self.failing:
                raise RuntimeError("no space left")

        return run


async def schema(database: Database) -> int:
    found = await database.server.find_one({"_id": "schema"})
    assert found
    return int(found["version"])


async def is_locked(database: Database) -> bool:
    return await database.server.find_one({"_id": "migration-lock"}) is not None


async def test_a_new_database_starts_at_the_latest_schema(opened: Open) -> None:
    database, migrations = opened(), Migrations(3)
    await database.prepare(migrations.steps)
    assert (migrations.ran, await schema(database)) == ([], FIRST_SCHEMA + 3)


async def test_the_release_s_own_migrations_are_the_default(opened: Open) -> None:
    database = opened()
    await database.prepare()
    assert await schema(database) == FIRST_SCHEMA + len(MIGRATIONS)


async def test_migrations_run_once_and_in_order(old: Database) -> None:
    migrations = Migrations(3)
    await old.prepare(migrations.steps[:1])
    await old.prepare(migrations.steps)
    await old.prepare(migrations.steps)
    assert (migrations.ran, await schema(old)) == ([0, 1, 2], FIRST_SCHEMA + 3)
    assert not await is_locked(old)


async def test_two_at_the_same_time_run_each_once(old: Database, opened: Open) -> None:
    migrations = Migrations(3)
    await asyncio.gather(*(database.prepare(migrations.steps) for database in (old, opened(), opened())))
    assert (migrations.ran, await schema(old)) == ([0, 1, 2], FIRST_SCHEMA + 3)


async def test_who_waits_for_a_migration_finds_it_done(old: Database, opened: Open) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def long(_: Any) -> None:
        begun.set()
        await may_end.wait()

    first = asyncio.create_task(old.prepare([long]))
    await begun.wait()
    second = asyncio.create_task(opened().prepare([long]))
    await asyncio.wait([second], timeout=0.3)
    assert not second.done()
    may_end.set()
    await asyncio.gather(first, second)
    assert await schema(old) == FIRST_SCHEMA + 1


async def test_who_read_the_version_before_another_migrated_runs_nothing_again(old: Database, mongod: Mongod) -> None:
    migrations = Migrations(2)

    class Slow(Database):
        async def insert_once(self, document: dict[str, Any]) -> bool:
            if document["_id"] == "migration-lock":  # between reading the version and taking the lock
                await old.prepare(migrations.steps)
            return await super().insert_once(document)

    slow = Slow(mongod.uri, old.database.name)
    await slow.prepare(migrations.steps)
    await slow.close()
    assert migrations.ran == [0, 1]


async def test_a_failing_migration_stops_there_lets_go_and_runs_again_next_time(old: Database) -> None:
    migrations = Migrations(3, failing=1)
    with pytest.raises(RuntimeError, match="no space left"):
        await old.prepare(migrations.steps)
    assert (migrations.ran, await schema(old), await is_locked(old)) == ([0, 1], FIRST_SCHEMA + 1, False)
    migrations.failing = None
    await old.prepare(migrations.steps)
    assert (migrations.ran, await schema(old)) == ([0, 1, 1, 2], FIRST_SCHEMA + 3)


async def test_a_lock_left_behind_is_told_rather_than_waited_for_without_end(old: Database) -> None:
    await old.server.insert_one({"_id": "migration-lock"})
    with pytest.raises(TimeoutError):
        await migrate(old, Migrations(1).steps, patience=0.2)
    assert await schema(old) == FIRST_SCHEMA


async def test_a_database_ahead_of_the_release_is_refused(opened: Open) -> None:
    database, migrations = opened(), Migrations(2)
    await database.prepare(migrations.steps)
    with pytest.raises(SchemaTooNew, match="newer release"):
        await database.prepare(migrations.steps[:1])
    assert (migrations.ran, await schema(database)) == ([], FIRST_SCHEMA + 2)


async def test_the_secret_is_the_same_for_every_process(opened: Open) -> None:
    first, second = opened(), opened()
    secrets = set(await asyncio.gather(*(database.secret("cursor") for database in (first, second) * 4)))
    assert len(secrets) == 1
    (secret,) = secrets
    assert len(secret) == 32
    assert await opened().secret("cursor") == secret
    assert await first.secret("other") != secret


async def test_the_indexes_are_there_and_the_tenant_leads_each(opened: Open) -> None:
    database = opened()
    await database.prepare()
    await database.prepare()
    found = {
        collection.name: {name: index["key"] for name, index in (await collection.index_information()).items()}
        for collection in (database.resources, database.versions, database.keys)
    }
    assert {name: set(indexes) for name, indexes in found.items()} == {
        "resources": {"_id_", "list", "token", "string", "part", "range", "near", "ref", "latest", "latest-of-type"},
        "versions": {"_id_", "latest", "latest-of-type", "past"},
        "keys": {"_id_", "tenant"},
    }
    for indexes in found.values():
        assert all(key[0][0] == "tenant" for name, key in indexes.items() if name not in ("_id_", "token"))


async def test_every_write_waits_for_a_majority_and_the_journal(opened: Open) -> None:
    database = opened()
    durable = WriteConcern(w="majority", j=True)
    assert database.database.write_concern == durable
    for collection in (database.resources, database.versions, database.keys, database.server):
        assert collection.write_concern == durable


async def test_ping_answers(opened: Open) -> None:
    await opened().ping()


async def test_holders_of_an_ins_are_told_by_its_13_characters(opened: Open) -> None:
    database = opened()
    await database.prepare(MIGRATIONS[:1])
    for number, holder in (("275126322074974", "one"), ("275126322074960", "two"), ("160012b02077713", "three")):
        await database.keys.insert_one({"_id": f"t/ins/1.2.250.1.213.1.4.8/{number}", "tenant": "t", "holder": holder})
    await database.prepare()
    found = {document["_id"]: document["holder"] async for document in database.keys.find({})}
    assert found == {
        "t/ins/1.2.250.1.213.1.4.8/2751263220749": "two",
        "t/ins/1.2.250.1.213.1.4.8/160012B020777": "three",
    }
