"""A store is written in one release, another is not served; by other search keys it is served, and not searched."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from fhir_ins.fhir.outcome import Unavailable
from fhir_ins.store.database import Database
from fhir_ins.store.keys import INDEX
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.writing import (
    Writing,
    WrittenOtherwise,
    begin_rewriting,
    end_rewriting,
    require_writing,
    until_keys_are_ours,
)

NEWEST = Writing("2.2.0")


@pytest.fixture
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    opened = Database(mongod.uri, f"writing-{uuid4().hex}")
    await opened.prepare()
    yield opened
    await opened.client.drop_database(opened.database.name)
    await opened.close()


async def test_a_new_store_is_what_its_first_server_writes(database: Database) -> None:
    await require_writing(database, Writing("2.1.0"))
    await require_writing(database, Writing("2.1.0"))
    with pytest.raises(WrittenOtherwise, match=r"FR Core 2\.1\.0.*fhir-ins reindex"):
        await require_writing(database, NEWEST)


async def test_a_store_without_mark_is_of_the_first_release_with_the_first_keys(database: Database) -> None:
    await database.resources.insert_one({"_id": "a/Patient/1"})
    assert not await require_writing(database, Writing("2.2.0", INDEX))
    assert await require_writing(database, Writing("2.2.0", 1))


async def test_a_store_half_rewritten_is_served_by_nobody(database: Database) -> None:
    await require_writing(database, NEWEST)
    await begin_rewriting(database, Writing("2.1.0"))
    for writing in (NEWEST, Writing("2.1.0")):
        with pytest.raises(WrittenOtherwise, match="run it again"):
            await require_writing(database, writing)
    await end_rewriting(database, Writing("2.1.0"))
    assert await require_writing(database, Writing("2.1.0"))


async def test_a_store_whose_keys_are_half_made_is_served_and_not_searched(database: Database) -> None:
    await database.resources.insert_one({"_id": "a/Patient/1"})
    await begin_rewriting(database, NEWEST)
    assert not await require_writing(database, NEWEST)
    database.keys_are_ours = False
    watch = asyncio.create_task(until_keys_are_ours(database, NEWEST, every=0.01))
    await asyncio.sleep(0.1)
    assert not database.keys_are_ours
    with pytest.raises(Unavailable, match="fhir-ins reindex"):
        database.require_keys()
    await end_rewriting(database, NEWEST)
    await asyncio.wait_for(watch, 10)
    database.require_keys()
