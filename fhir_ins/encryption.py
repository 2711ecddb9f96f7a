"""What is done to a whole store for its encryption: encrypt a clear one, seal it by new keys, wrap its keys anew.

Each may be interrupted and run again. All but the first leave servers reading and writing.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pymongo
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from fhir_ins.at_rest import configured_keyring
from fhir_ins.settings import Settings
from fhir_ins.store.database import SECRETS, Database, Document
from fhir_ins.store.sealing import SEALED
from fhir_ins.store.tenant_keys import FRESH_SECONDS, TenantKeyStore
from fhir_ins.store.writing import Writing, begin_sealing, end_sealing, require_sealing

_BATCH = 100  # documents at a time


async def encrypt(settings: Settings) -> int:
    """Encrypt a clear store, which no server serves meanwhile; answers how many versions were.

    Raises WrittenOtherwise, ValueError without a master key, KeyFault.
    """
    async with _opened(settings) as (database, keys):
        await database.prepare()
        if not await begin_sealing(database):
            await keys.check()
            return 0
        count = 0
        for collection in (database.resources, database.versions):
            async for batch in _batches(collection, {"sealed": {"$exists": False}}):
                for document in batch:
                    seal = await database.seals.of(document["tenant"])
                    here = {"_id": document["_id"], "sealed": {"$exists": False}}
                    await collection.replace_one(here, seal.sealed(document))
                count += len(batch)
        await _encrypt_holders(database)
        await _encrypt_secrets(database, keys)
        await database.locks.delete_many({})
        await end_sealing(database)
    return count


async def rotate(settings: Settings, *, patience: float = FRESH_SECONDS) -> int:
    """Give each tenant its next data key and seal its versions by it; answers how many. Raises as `encrypt` does.

    `patience`: the seconds in which each server looks for new keys, after which none seals by a former one.
    """
    async with _opened(settings) as (database, keys):
        await require_sealing(database, Writing(settings.fr_core, sealed=True))
        generations = {tenant: await keys.rotate(tenant) for tenant in await keys.tenants()}
        await asyncio.sleep(patience)
        return sum([await _sealed_anew(database, tenant, number) for tenant, number in generations.items()])


async def _sealed_anew(database: Database, tenant: str, generation: int) -> int:
    """Seal all that is sealed by former generations, until there is none."""
    count = 0
    for collection in (database.resources, database.versions):
        former: Document = {"tenant": tenant, "sealed": {"$lt": generation}}
        while await collection.find_one(former, {"_id": 1}):
            async for batch in _batches(collection, former):
                count += await _seal_anew(database, collection, tenant, batch)
    return count


async def rewrap(settings: Settings) -> int:
    """Wrap all keys by the current master key; answers how many were wrapped by another. Raises as `encrypt` does."""
    async with _opened(settings) as (database, keys):
        await require_sealing(database, Writing(settings.fr_core, sealed=True))
        wrapped = [await keys.rewrap(tenant) for tenant in await keys.tenants()]
        return sum(wrapped) + await keys.rewrap_secrets()


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database, TenantKeyStore]]:
    keyring = configured_keyring(settings)
    if keyring is None:
        raise ValueError("A master key is needed: set FHIR_INS_MASTER_KEY, FHIR_INS_MASTER_KEY_FILE or FHIR_INS_KMS.")
    uri, timeout = settings.mongodb_uri.get_secret_value(), settings.mongodb_timeout
    database = Database(uri, settings.mongodb_database, timeout=timeout, keyring=keyring)
    assert database.seals.keys is not None  # noqa: S101 - made of the keyring
    try:
        with pymongo.timeout(None):  # a store is looked through, however long it takes
            yield database, database.seals.keys
    finally:
        await database.close()


async def _batches(collection: AsyncCollection[Document], which: Document) -> AsyncIterator[Sequence[Document]]:
    """The documents, in batches that no time-out cuts."""
    after: Any = ""
    while True:
        here = {**which, "_id": {"$gt": after}}
        batch = await collection.find(here).sort("_id", pymongo.ASCENDING).limit(_BATCH).to_list()
        if not batch:
            return
        yield batch
        after = batch[-1]["_id"]


async def _seal_anew(
    database: Database, collection: AsyncCollection[Document], tenant: str, batch: Sequence[Document]
) -> int:
    """Seal by the newest key what nobody has written meanwhile; answers how many were."""
    seal, count = await database.seals.of(tenant), 0
    for stored, opened in zip(batch, await database.seals.opened(tenant, batch), strict=True):
        anew = seal.sealed({name: value for name, value in opened.items() if name != "ix"})
        here = {name: stored[name] for name in ("_id", "version", "identity", "conveyed")}
        fields = {name: anew[name] for name in (*SEALED, "sealed")}
        count += (await collection.update_one(here, {"$set": fields})).modified_count
    return count


async def _encrypt_holders(database: Database) -> None:
    """Who has an INS is told by its HMAC."""
    async for held in database.keys.find({"_id": {"$regex": r"^[^/]+/ins/"}}):
        tenant, _, key = held["_id"].partition("/")
        seal = await database.seals.of(tenant)
        with suppress(DuplicateKeyError):  # put before an interruption
            await database.keys.insert_one({**held, "_id": seal.held(key)})
        await database.keys.delete_one({"_id": held["_id"]})


async def _encrypt_secrets(database: Database, keys: TenantKeyStore) -> None:
    for name in SECRETS:
        found = await database.server.find_one({"_id": name, "value": {"$exists": True}})
        if found:
            wrapped = await keys.wrapped_secret(name, found["value"])
            await database.server.replace_one({"_id": name}, {"wrapped": wrapped})
