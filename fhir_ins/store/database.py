"""The database: its connection, collections, indexes, schema version and migrations.

Every write is acknowledged by a majority and journalled: an acknowledged write survives a crash.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any

import pymongo
from bson import Binary
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from fhir_ins.fhir.outcome import Unavailable
from fhir_ins.security.keyring import Keyring
from fhir_ins.store.indexes import make_indexes
from fhir_ins.store.sealing import Seals
from fhir_ins.store.tenant_keys import TenantKeyStore

Document = dict[str, Any]
Migration = Callable[[AsyncDatabase[Document]], Awaitable[None]]


async def _identities_with_obstacles(database: AsyncDatabase[Document]) -> None:
    """Schema 2: identity records know obstacles, withdrawn numbers, and who told of an INS."""
    for collection in (database["resources"], database["versions"]):
        missing: Document = {"identity.obstacles": [], "identity.withdrawn": []}
        await collection.update_many({"identity": {"$ne": None}, "identity.obstacles": None}, {"$set": missing})
        obtained = {"identity.obtained": {"$ne": None}, "identity.obtained.source": {"$exists": False}}
        await collection.update_many(obtained, {"$set": {"identity.obtained.source": None}})


async def _keys_without_key(database: AsyncDatabase[Document]) -> None:
    """Schema 3: who has an INS is told by its 13 characters. Of two Patients with one number, one stays."""
    async for held in database["keys"].find({"_id": {"$regex": r"/ins/[0-9.]+/[0-9A-Za-z]{13}\d\d$"}}):
        rest, _, number = held["_id"].rpartition("/")
        shorter = {**held, "_id": f"{rest}/{number[:13].upper()}"}
        with suppress(DuplicateKeyError):
            await database["keys"].insert_one(shorter)
        await database["keys"].delete_one({"_id": held["_id"]})


async def _history_of_everything(database: AsyncDatabase[Document]) -> None:
    """Schema 4: versions know the verb that wrote them, past ones also until when they were current."""
    for collection in (database["resources"], database["versions"]):
        for verb, which in (("DELETE", {"live": False}), ("POST", {"version": 1}), ("PUT", {})):
            await collection.update_many({"method": {"$exists": False}, **which}, {"$set": {"method": verb}})
    async for past in database["versions"].find({"until": {"$exists": False}}, {"version": 1}):
        key, number = past["_id"].rpartition("/")[0], past["version"] + 1
        after = await database["versions"].find_one({"_id": f"{key}/{number}"}, {"updated": 1})
        after = after or await database["resources"].find_one({"_id": key}, {"updated": 1})
        await database["versions"].update_one({"_id": past["_id"]}, {"$set": {"until": after and after["updated"]}})


# Migrations bring a database one schema version further each; each one may be run again after a crash.
MIGRATIONS: Sequence[Migration] = (_identities_with_obstacles, _keys_without_key, _history_of_everything)
FIRST_SCHEMA = 1

# The server's own secrets, by their `_id` in the collection `server`.
CURSOR_KEY, DEFERRED_KEY = "cursor-key", "deferred-key"
SECRETS = (CURSOR_KEY, DEFERRED_KEY)


class SchemaTooNew(Exception):
    """The database was written by a later release than this one."""


class Database:
    """The collections: `resources` (current versions), `versions` (past ones), and what the server itself needs."""

    def __init__(
        self,
        uri: str,
        name: str,
        *,
        timeout: float = 10.0,
        search_timeout: float = 5.0,
        most_unbounded: int = 10_000,
        keyring: Keyring | None = None,
    ) -> None:
        """`timeout`: the seconds any one operation may take; `search_timeout`: a search.

        `most_unbounded`: the resources of a type up to which a search may look at them all. `keyring`: the store is
        encrypted, by keys that it wraps.
        """
        self.search_timeout = search_timeout
        self.most_unbounded = most_unbounded
        self.keys_are_ours = True
        self.client: AsyncMongoClient[Document] = AsyncMongoClient(
            uri,
            timeoutMS=int(timeout * 1000),
            serverSelectionTimeoutMS=int(min(timeout, 3.0) * 1000),
            appname="fhir-ins",
            tz_aware=True,
            tzinfo=UTC,
        )
        self.database = self.client.get_database(name, write_concern=WriteConcern(w="majority", j=True))
        self.resources: AsyncCollection[Document] = self.database["resources"]
        self.versions: AsyncCollection[Document] = self.database["versions"]
        self.keys: AsyncCollection[Document] = self.database["keys"]
        self.locks: AsyncCollection[Document] = self.database["locks"]
        self.deferred: AsyncCollection[Document] = self.database["deferred"]
        self.server: AsyncCollection[Document] = self.database["server"]
        self.seals = Seals(TenantKeyStore(self.database, keyring) if keyring else None)

    async def prepare(self, migrations: Sequence[Migration] = MIGRATIONS, *, indexes: bool = True) -> None:
        """Bring the schema up to date, then make the `indexes` that are missing, however long it takes."""
        with pymongo.timeout(None):
            await migrate(self, migrations)
            if indexes:
                await make_indexes(self.database)

    async def secret(self, name: str) -> bytes:
        """32 random bytes kept in the database, the same for every process that serves it; wrapped in a sealed one."""
        value, keys = os.urandom(32), self.seals.keys
        if await self.server.find_one({"_id": name}) is None:
            made = {"wrapped": await keys.wrapped_secret(name, value)} if keys else {"value": Binary(value)}
            await self.insert_once({"_id": name, **made})
        found = await self.server.find_one({"_id": name})
        assert found is not None  # noqa: S101 - inserted above and never removed
        return await keys.opened_secret(name, found["wrapped"]) if keys else bytes(found["value"])

    def require_keys(self) -> None:
        """Raises Unavailable for a store whose search keys are not all by our rules: a search would miss some."""
        if not self.keys_are_ours:
            raise Unavailable(
                "The store was written by another release, and cannot be searched before fhir-ins reindex has made its "
                "search keys anew; it is read and written meanwhile.",
                Retry_After="30",
            )

    async def ping(self) -> None:
        """Raise PyMongoError unless a primary answers at once."""
        with pymongo.timeout(2):
            await self.client.admin.command("ping")

    async def close(self) -> None:
        await self.client.close()

    async def insert_once(self, document: Document) -> bool:
        """Put a document of the server's own, unless there is one of that `_id`; answers whether it was put."""
        try:
            await self.server.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def is_new(self) -> bool:
        """Whether nothing was ever stored."""
        return await self.resources.find_one({}, {"_id": 1}) is None


async def migrate(database: Database, migrations: Sequence[Migration], *, patience: float = 60.0) -> None:
    """Run the migrations the database has not had, in order; one process does, the others wait for it.

    Raises SchemaTooNew when the database is ahead of this release, and TimeoutError when another process has
    held the migration lock for longer than `patience` seconds (remove `server/migration-lock` if it died).
    """
    server = database.server
    latest = FIRST_SCHEMA + len(migrations)
    await database.insert_once({"_id": "schema", "version": latest if await database.is_new() else FIRST_SCHEMA})
    async with asyncio.timeout(patience):
        while (at := await _schema_version(database)) < latest:
            if not await database.insert_once({"_id": "migration-lock"}):
                await asyncio.sleep(0.1)
                continue
            try:
                for version in range(await _schema_version(database), latest):
                    await migrations[version - FIRST_SCHEMA](database.database)
                    await server.update_one({"_id": "schema"}, {"$set": {"version": version + 1}})
            finally:
                await server.delete_one({"_id": "migration-lock"})
    if at > latest:
        raise SchemaTooNew(f"The database has schema {at}, this release knows {latest}: run a newer release.")


async def _schema_version(database: Database) -> int:
    found = await database.server.find_one({"_id": "schema"})
    return int(found["version"]) if found else FIRST_SCHEMA
