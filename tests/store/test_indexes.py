"""The indexes of the database: made, mended, listed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from pymongo import ASCENDING
from pymongo.errors import OperationFailure
from structlog.testing import capture_logs

from fhir_ins.app import indexes_being_made
from fhir_ins.fhir.outcome import Unavailable
from fhir_ins.fhir.search import parse
from fhir_ins.fhir.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database
from fhir_ins.store.indexes import INDEXES, index_states, make_indexes
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import Resources


@pytest.fixture
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    opened = Database(mongod.uri, f"indexes_{uuid4().hex}")
    yield opened
    await opened.client.drop_database(opened.database.name)
    await opened.close()


def listed(mongod: Mongod, database: Database) -> subprocess.CompletedProcess[str]:
    """`fhir-ins indexes`"""
    settings = {"FHIR_INS_MONGODB_URI": mongod.uri, "FHIR_INS_MONGODB_DATABASE": database.database.name}
    command = [sys.executable, "-c", "from fhir_ins.cli import main; main()", "indexes"]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)


async def test_each_is_made_and_listed_with_its_state(mongod: Mongod, database: Database) -> None:
    assert {state.state for state in await index_states(database.database)} == {"missing"}
    assert listed(mongod, database).returncode == 1
    await make_indexes(database.database)
    states = await index_states(database.database)
    assert {state.state for state in states} == {"ready"}
    assert len(states) == sum(len(indexes) for indexes in INDEXES.values())
    done = listed(mongod, database)
    assert done.returncode == 0, done.stderr
    for state in states:
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"{state.collection}.{state.name} "))
        assert state.fields in line
        assert "ready" in line


async def test_one_of_an_earlier_release_is_made_anew_and_one_of_the_operator_left_alone(database: Database) -> None:
    resources = database.database["resources"]
    await resources.create_index([("tenant", ASCENDING), ("ix.token", ASCENDING)], name="token")
    await resources.create_index([("ix.date.p", ASCENDING)], name="date")
    await resources.create_index([("mine", ASCENDING)], name="mine")
    assert "different" in {state.state for state in await index_states(database.database)}
    await make_indexes(database.database)
    names = set(await resources.index_information())
    assert {"token", "mine"} <= names
    assert "date" not in names
    assert {state.state for state in await index_states(database.database)} == {"ready"}


async def test_a_search_whose_index_is_not_there_yet_is_put_off(database: Database) -> None:
    await database.resources.insert_one({"_id": "any"})
    caller = Caller("tenant", "ehr", frozenset({Right.READ}))
    search = parse([("family", "adrun")], PARAMETERS["Patient"], lenient=False)
    with pytest.raises(Unavailable) as refused:
        await Resources(database).search(caller, "Patient", search)
    assert refused.value.headers == {"Retry-After": "30"}


def test_they_are_within_what_mongodb_allows() -> None:
    for indexes in INDEXES.values():
        assert len(indexes) < 64
        names = [index.document["name"] for index in indexes]
        assert len(names) == len(set(names))


async def test_the_making_of_one_that_fails_is_told_and_tried_again(database: Database) -> None:
    await database.resources.insert_one({"_id": "any", "ix": {"near": "nowhere"}})
    with capture_logs() as logged:
        making = await indexes_being_made(database, patience=0, again=0.05)
        async with asyncio.timeout(60):
            while not any(line["event"] == "indexes_not_made" for line in logged):  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.05)
        assert not any("nowhere" in str(line) for line in logged)
        await database.resources.delete_one({"_id": "any"})
        await asyncio.wait_for(making, 60)
    assert {state.state for state in await index_states(database.database)} == {"ready"}


async def test_one_that_fails_at_once_stops_the_start(database: Database) -> None:
    await database.resources.insert_one({"_id": "any", "ix": {"near": "nowhere"}})
    with pytest.raises(OperationFailure):
        await indexes_being_made(database, patience=60)
