"""Evidence of the calls to INSi: the frames as they went over the wire, sealed, for as long as a structure decides.

Opt-in, by a key. A frame names a person, so that nothing of it is readable without the key: AES-256-GCM over the
compressed frames, bound to everything that stands in clear beside it. Source: CNDA conformity tests, which ask for the
SOAP frames of each case; NIST SP 800-38D (a nonce of 96 random bits for each message).
"""

import os
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import bson
import orjson
from bson import Binary
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from fhir_ins.security.sealing_keys import keys_in, name_of
from fhir_ins.store.database import Database, Document

_NONCE_BYTES = 12
_KEY_NAME_CONTEXT = b"fhir-ins evidence"
_EXPIRY = "expiry"
_BY_TENANT = IndexModel([("tenant", ASCENDING), ("at", ASCENDING)], name="tenant")
_INDEX_DIFFERS = 85  # IndexOptionsConflict


@dataclass(frozen=True, slots=True)
class Entry:
    """One call to INSi: who asked for whom, when, what came of it, and the frames; no `answer`: none came."""

    message_id: str
    tenant: str
    operator: str
    operation: str
    code: str
    at: datetime
    request: bytes
    answer: bytes | None

    def __repr__(self) -> str:  # frames name a person: they stay out of tracebacks and logs
        return f"Entry({self.message_id})"


@dataclass(frozen=True, slots=True)
class Unopened:
    """An entry that cannot be opened, and why: its key is not known, or it is not what was stored."""

    message_id: str
    reason: str


class StillSealed(Exception):
    """Evidence that must be read cannot be opened; the text says which, and why."""


@dataclass(frozen=True, slots=True, repr=False)
class EvidenceKeys:
    """The key that seals, and those that sealed earlier, each by a name derived from it."""

    current: str
    by_name: Mapping[str, AESGCM]

    @classmethod
    def parse(cls, current: str, former: str = "") -> Self | None:
        """Keys written as base64 of 32 bytes, the former ones comma-separated; None without a current one.

        Raises ValueError, which does not quote them.
        """
        keys = keys_in(
            current,
            former,
            setting="FHIR_INS_INSI_EVIDENCE_KEY",
            former_setting="FHIR_INS_INSI_EVIDENCE_FORMER_KEYS",
            of="the evidence",
        )
        if not keys:
            return None
        names = [name_of(key, _KEY_NAME_CONTEXT) for key in keys]
        return cls(names[0], {name: AESGCM(key) for name, key in zip(names, keys, strict=True)})

    def __repr__(self) -> str:
        return f"EvidenceKeys({self.current})"


class Evidence:
    """The collection `evidence`; entries leave it by themselves after the days of retention."""

    def __init__(self, database: Database, keys: EvidenceKeys, *, days: int) -> None:
        self._database = database.database
        self._entries: AsyncCollection[Document] = self._database["evidence"]
        self._keys = keys
        self._seconds = int(timedelta(days=days).total_seconds())

    async def prepare(self) -> None:
        """Make the collection and its indexes, or bring the retention of an existing one up to date."""
        expiry = IndexModel([("at", ASCENDING)], name=_EXPIRY, expireAfterSeconds=self._seconds)
        await self._entries.create_indexes([_BY_TENANT])
        try:
            await self._entries.create_indexes([expiry])
        except OperationFailure as error:
            if error.code != _INDEX_DIFFERS:
                raise
            changed = {"name": _EXPIRY, "expireAfterSeconds": self._seconds}
            await self._database.command("collMod", self._entries.name, index=changed)

    async def keep(self, entry: Entry) -> None:
        """Seal and store one call, durably. Raises PyMongoError where that is impossible."""
        at = entry.at.astimezone(UTC)
        document: Document = {
            "_id": entry.message_id,
            "tenant": entry.tenant,
            "operator": entry.operator,
            "operation": entry.operation,
            "code": entry.code,
            "at": at.replace(microsecond=at.microsecond // 1000 * 1000),  # as exact as a BSON date is
            "key": self._keys.current,
        }
        frames = zlib.compress(bson.encode({"request": entry.request, "answer": entry.answer}))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys.by_name[self._keys.current].encrypt(nonce, frames, _bound(document))
        await self._entries.insert_one({**document, "sealed": Binary(nonce + sealed)})

    async def exchanges(
        self,
        tenant: str,
        since: datetime | None = None,
        until: datetime | None = None,
        codes: Collection[str] = (),
    ) -> AsyncIterator[Entry | Unopened]:
        """The calls of a tenant from `since` to before `until`, in the order made; no `codes`: whatever came of them.

        What cannot be opened is in its place, as `Unopened`.
        """
        asked: Document = {"tenant": tenant}
        if bounds := {name: moment for name, moment in (("$gte", since), ("$lt", until)) if moment}:
            asked["at"] = bounds
        if codes:
            asked["code"] = {"$in": list(codes)}
        async for document in self._entries.find(asked).sort([("at", ASCENDING), ("_id", ASCENDING)]):
            yield self._opened(document)

    async def forget(self, tenant: str, concerns: Callable[[Entry], bool]) -> int:
        """Delete the calls of a tenant that `concerns` is true of; answers how many.

        Raises StillSealed, and deletes nothing, where one of them cannot be opened: it may concern the same person.
        """
        found: list[str] = []
        async for entry in self.exchanges(tenant):
            if isinstance(entry, Unopened):
                raise StillSealed(f"The evidence of {entry.message_id} cannot be opened: {entry.reason}.")
            if concerns(entry):
                found.append(entry.message_id)
        for message_id in found:
            await self._entries.delete_one({"_id": message_id, "tenant": tenant})
        return len(found)

    def _opened(self, document: Document) -> Entry | Unopened:
        message_id = str(document["_id"])
        key = self._keys.by_name.get(str(document.get("key")))
        if key is None:
            reason = f"it was sealed with the key {document.get('key')}, which is not configured"
            return Unopened(message_id, f"{reason} (FHIR_INS_INSI_EVIDENCE_FORMER_KEYS)")
        try:
            sealed = bytes(document["sealed"])
            frames = key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(document))
            clear = {name: document[name] for name in ("tenant", "operator", "operation", "code", "at")}
        except (InvalidTag, KeyError, TypeError, ValueError, AttributeError):
            return Unopened(message_id, "it is not what was stored")
        return Entry(message_id, **clear, **bson.decode(zlib.decompress(frames)))


def _bound(document: Mapping[str, Any]) -> bytes:
    """What stands in clear beside the frames, as the seal covers it: no entry passes for another."""
    clear = ("_id", "tenant", "operator", "operation", "code", "key")
    at = document["at"].astimezone(UTC).isoformat(timespec="milliseconds")
    return orjson.dumps([*(document[name] for name in clear), at])
