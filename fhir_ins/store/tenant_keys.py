"""The keys of each tenant, wrapped by a master key, in the collection `tenant_keys`: envelope encryption.

A tenant has generations of a data key, the last of which seals what is written, and one index key for as long as it
lives, since a search finds only what was keyed alike. A process keeps them unwrapped in memory; it looks for newer
generations every so often, and whenever it meets one that it does not know.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from bson import Binary
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from fhir_ins.fhir.outcome import Unavailable
from fhir_ins.security.keyring import KEY_BYTES, KeyFault, Keyring, Wrapped

Document = dict[str, Any]
FRESH_SECONDS = 5.0
MOST_GENERATIONS = 255  # a byte says which
_KEYED_BYTES = 16  # of an HMAC-SHA256: no two keys of a store are the same by chance
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, repr=False)
class TenantKeys:
    """Those of one tenant, unwrapped: the ciphers of its data keys by generation, and what keys its search keys."""

    ciphers: Mapping[int, AESGCM]
    generation: int
    keyed: Callable[[str], bytes]

    def __repr__(self) -> str:
        return f"TenantKeys(generation {self.generation})"


class TenantKeyStore:
    """All tenants' keys; one for a process and event loop. `clock` counts seconds."""

    def __init__(
        self, database: AsyncDatabase[Document], keyring: Keyring, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = database["tenant_keys"]
        self._resources = database["resources"]
        self._server = database["server"]
        self._keyring = keyring
        self._clock = clock
        self._known: dict[str, tuple[TenantKeys, float]] = {}
        self._loading: dict[str, asyncio.Lock] = {}

    async def of(self, tenant: str) -> TenantKeys:
        """The keys of a tenant, made when it has none. Raises Unavailable where they cannot be had.

        A newer one that cannot be opened here yet leaves those that are known.
        """
        known = self._known.get(tenant)
        if known is None:
            return await self.refreshed(tenant, None)
        keys, looked = known
        if self._clock() - looked < FRESH_SECONDS:
            return keys
        try:
            return await self.refreshed(tenant, keys)
        except Unavailable:
            self._known[tenant] = (keys, self._clock())
            return keys

    async def refreshed(self, tenant: str, stale: TenantKeys | None) -> TenantKeys:
        """Those that are stored now, unless others than `stale` are known already."""
        async with self._loading.setdefault(tenant, asyncio.Lock()):
            known = self._known.get(tenant)
            if known and known[0] is not stale:
                return known[0]
            try:
                keys = await self._loaded(tenant, stale)
            except KeyFault as error:
                _log.error("tenant_keys_unavailable", tenant=tenant, fault=str(error))
                text = "The keys of this structure cannot be opened here: tell whoever runs this server."
                raise Unavailable(text, code="exception") from error
            self._known[tenant] = (keys, self._clock())
            return keys

    async def rotate(self, tenant: str) -> int:
        """Make the next generation of a tenant's data key; answers its number, which seals what is written next."""
        found = await self._keys.find_one({"_id": tenant})
        if found is None:
            return (await self.of(tenant)).generation
        generation = max(map(int, found["data"])) + 1
        if generation > MOST_GENERATIONS:
            raise KeyFault(f"The tenant {tenant} has had {MOST_GENERATIONS} data keys, more than can be told apart.")
        made = await self._new(_data_use(tenant, generation))
        field = f"data.{generation}"
        await self._keys.update_one({"_id": tenant, field: {"$exists": False}}, {"$set": {field: made}})
        return generation

    async def rewrap(self, tenant: str) -> int:
        """Wrap a tenant's keys by the current master key; answers how many were wrapped by another."""
        found = await self._keys.find_one({"_id": tenant}) or {"data": {}, "index": {"master": self.master}}
        uses = {f"data.{number}": _data_use(tenant, int(number)) for number in found["data"]}
        stored = {f"data.{number}": key for number, key in found["data"].items()} | {"index": found["index"]}
        uses["index"] = _index_use(tenant)
        other = [field for field, key in stored.items() if key["master"] != self.master]
        for field in other:
            key = await self._keyring.unwrap(uses[field], _wrapped(stored[field]))
            anew = _stored(await self._keyring.wrap(uses[field], key))
            await self._keys.update_one({"_id": tenant, field: stored[field]}, {"$set": {field: anew}})
        return len(other)

    async def rewrap_secrets(self) -> int:
        """Wrap the server's own secrets by the current master key; answers how many were wrapped by another."""
        other = await self._server.find({"wrapped.master": {"$exists": True, "$ne": self.master}}).to_list()
        for secret in other:
            value = await self.opened_secret(secret["_id"], secret["wrapped"])
            anew = await self.wrapped_secret(secret["_id"], value)
            here = {"_id": secret["_id"], "wrapped": secret["wrapped"]}
            await self._server.update_one(here, {"$set": {"wrapped": anew}})
        return len(other)

    @property
    def master(self) -> str:
        """The name of the current master key."""
        return self._keyring.current.name

    async def tenants(self) -> list[str]:
        return [str(found["_id"]) async for found in self._keys.find({}, {"_id": 1}).sort("_id")]

    async def check(self) -> None:
        """Open a key by each of the master keys that wrap some. Raises KeyFault or Unavailable."""
        tried: set[str] = set()
        async for found in self._keys.find({}):
            uses = [(_index_use(found["_id"]), found["index"])]
            uses += [(_data_use(found["_id"], int(number)), key) for number, key in found["data"].items()]
            for use, key in uses:
                if key["master"] not in tried:
                    await self._keyring.unwrap(use, _wrapped(key))
                    tried.add(key["master"])
        async for secret in self._server.find({"wrapped": {"$exists": True}}):
            await self.opened_secret(secret["_id"], secret["wrapped"])

    # Secrets of the server

    async def wrapped_secret(self, name: str, value: bytes) -> Document:
        """A secret of the server's own, as it is stored."""
        return _stored(await self._keyring.wrap(f"secret {name}", value))

    async def opened_secret(self, name: str, stored: Document) -> bytes:
        """The secret again. Raises KeyFault or Unavailable."""
        return await self._keyring.unwrap(f"secret {name}", _wrapped(stored))

    async def _loaded(self, tenant: str, stale: TenantKeys | None) -> TenantKeys:
        found = await self._keys.find_one({"_id": tenant}) or await self._first(tenant)
        ciphers = dict(stale.ciphers) if stale else {}
        for number, key in found["data"].items():
            if int(number) not in ciphers:
                ciphers[int(number)] = AESGCM(await self._keyring.unwrap(_data_use(tenant, int(number)), _wrapped(key)))
        keyed = stale.keyed if stale else None
        if keyed is None:
            keyed = _keyed_by(await self._keyring.unwrap(_index_use(tenant), _wrapped(found["index"])))
        return TenantKeys(ciphers, max(ciphers), keyed)

    async def _first(self, tenant: str) -> Document:
        """Make a tenant's keys; of two processes that do, one wins."""
        if await self._resources.find_one({"tenant": tenant, "sealed": {"$exists": True}}, {"_id": 1}):
            raise KeyFault(f"The keys of the tenant {tenant} are lost: restore tenant_keys from a backup.")
        data, index = await self._new(_data_use(tenant, 1)), await self._new(_index_use(tenant))
        made: Document = {"_id": tenant, "index": index, "data": {"1": data}}
        try:
            await self._keys.insert_one(made)
        except DuplicateKeyError:
            made = await self._keys.find_one({"_id": tenant}) or made
        return made

    async def _new(self, use: str) -> Document:
        return _stored(await self._keyring.wrap(use, os.urandom(KEY_BYTES)))


def _data_use(tenant: str, generation: int) -> str:
    return f"data key {generation} of {tenant}"


def _index_use(tenant: str) -> str:
    return f"index key of {tenant}"


def _stored(key: Wrapped) -> Document:
    return {"master": key.master, "wrapped": Binary(key.wrapped)}


def _wrapped(stored: Document) -> Wrapped:
    return Wrapped(str(stored["master"]), bytes(stored["wrapped"]))


def _keyed_by(key: bytes) -> Callable[[str], bytes]:
    """HMAC-SHA256 of a text by this key, cut to 128 bits; a copy of a begun one costs a quarter of a new one."""
    begun = HMAC(key, SHA256())

    def keyed(text: str) -> bytes:
        one = begun.copy()
        one.update(text.encode("utf-8", "surrogatepass"))
        return one.finalize()[:_KEYED_BYTES]

    return keyed
