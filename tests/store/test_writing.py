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
    keys_watched,
    require_writing,
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
    watch = asyncio.create_task(keys_watched(database, NEWEST, every=0.01))
    await asyncio.sleep(0.1)
    assert not database.keys_are_ours
    with pytest.raises(Unavailable, match="fhir-ins reindex"):
        database.require_keys()
    await end_rewriting(database, NEWEST)
    await until(database, keys_are_ours=True)
    database.require_keys()
    watch.cancel()


@pytest.mark.parametrize("ended", [False, True])
async def test_a_store_whose_keys_another_release_makes_is_searched_no_more(database: Database, ended: bool) -> None:
    await require_writing(database, NEWEST)
    watch = asyncio.create_task(keys_watched(database, NEWEST, every=0.01))
    await asyncio.sleep(0.1)
    assert database.keys_are_ours
    other = Writing("2.2.0", INDEX + 1)
    await begin_rewriting(database, other)
    if ended:
        await end_rewriting(database, other)
    await until(database, keys_are_ours=False)
    assert await require_writing(database, other) is ended
    await begin_rewriting(database, NEWEST)
    await end_rewriting(database, NEWEST)
    await until(database, keys_are_ours=True)
    watch.cancel()


async def test_to_make_the_same_keys_again_stops_no_search(database: Database) -> None:
    await require_writing(database, NEWEST)
    await begin_rewriting(database, NEWEST)
    assert await require_writing(database, NEWEST)


async def until(database: Database, *, keys_are_ours: bool) -> None:
    async with asyncio.timeout(10):
        while database.keys_are_ours is not keys_are_ours:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
