"""Every index of the database, by name: what `Database.prepare` makes, and `fhir-ins indexes` lists.

Those of search keys each have one array at most, as MongoDB asks, and serve all parameters of a kind: see `store.keys`.
The tenant leads each of them; in tokens it is part of the key, so that MongoDB may start from any one of several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING, GEOSPHERE, IndexModel
from pymongo.asynchronous.database import AsyncDatabase

Document = dict[str, Any]


def _index(name: str, *fields: str, **options: Any) -> IndexModel:
    """A field after a minus descends."""
    keys = [(field.removeprefix("-"), DESCENDING if field.startswith("-") else ASCENDING) for field in fields]
    return IndexModel(keys, name=name, **options)


_LOCK_SECONDS = 3600

# The history of everything and of a type, the latest first.
_LATEST = _index("latest", "tenant", "-updated", "type", "id", "-version")
_LATEST_OF_TYPE = _index("latest-of-type", "tenant", "type", "-updated", "id", "-version")

INDEXES: Mapping[str, Sequence[IndexModel]] = {
    "resources": [
        _index("list", "tenant", "type", "live", "id"),
        _index("token", "ix.token", "id"),
        _index("string", "tenant", "type", "ix.string", "id"),
        _index("part", "tenant", "type", "ix.part"),
        _index("range", "tenant", "type", "ix.range.p", "ix.range.low", "ix.range.high"),
        IndexModel([("tenant", ASCENDING), ("type", ASCENDING), ("ix.near", GEOSPHERE)], name="near"),
        _index("ref", "tenant", "ix.ref"),
        _LATEST,
        _LATEST_OF_TYPE,
    ],
    "versions": [
        _LATEST,
        _LATEST_OF_TYPE,
        _index("past", "tenant", "type", "id", "-updated", "-version"),
    ],
    "keys": [_index("tenant", "tenant")],
    "locks": [_index("locked", "at", expireAfterSeconds=_LOCK_SECONDS)],
    "audit": [
        _index("found", "tenant", "tokens", "_id"),
        _index("time", "tenant", "last"),
    ],
    "deferred": [_index("waiting", "tenant", "since", "_id"), _index("patient", "tenant", "patient")],
}
_FORMER = {"resources": {"date"}}


@dataclass(frozen=True, slots=True)
class IndexState:
    """One index that should be: `state` is ready, building, missing, or different from what this release needs."""

    collection: str
    name: str
    fields: str
    state: str
    bytes: int = 0
    used: int = 0


async def make_indexes(database: AsyncDatabase[Document]) -> None:
    """Make what is missing, and anew what an earlier release had otherwise; every other index is left alone."""
    for collection, wanted in INDEXES.items():
        found = await _indexes(database, collection)
        for index in wanted:
            name = index.document["name"]
            if name in found and found[name] != _fields(index.document["key"]):
                await database[collection].drop_index(name)
        for name in _FORMER.get(collection, set()) & found.keys():
            await database[collection].drop_index(name)
        await database[collection].create_indexes(list(wanted))


async def index_states(database: AsyncDatabase[Document]) -> list[IndexState]:
    """Each index of the table, as the database has it: its size, and how often it was used since MongoDB started."""
    states = []
    for collection, wanted in INDEXES.items():
        there = await _statistics(database, collection)
        for index in wanted:
            name, fields = index.document["name"], _fields(index.document["key"])
            statistics, size = there.get(name, (None, 0))
            if statistics is None:
                states.append(IndexState(collection, name, fields, "missing"))
                continue
            same = _fields(statistics["key"]) == fields
            state = "building" if statistics.get("building") else "ready" if same else "different"
            states.append(IndexState(collection, name, fields, state, size, int(statistics["accesses"]["ops"])))
    return states


async def _statistics(database: AsyncDatabase[Document], collection: str) -> dict[str, tuple[Document, int]]:
    if collection not in await database.list_collection_names():
        return {}
    cursor = await database[collection].aggregate([{"$indexStats": {}}])
    sizes = (await database.command("collStats", collection))["indexSizes"]
    return {found["name"]: (found, int(sizes.get(found["name"], 0))) async for found in cursor}


async def _indexes(database: AsyncDatabase[Document], collection: str) -> dict[str, str]:
    cursor = await database[collection].list_indexes()
    return {found["name"]: _fields(found["key"]) async for found in cursor}


def _fields(key: Mapping[str, Any]) -> str:
    """tenant, type, -updated"""
    signs = {DESCENDING: "-", GEOSPHERE: "near "}
    return ", ".join(f"{signs.get(way, '')}{field}" for field, way in key.items())
