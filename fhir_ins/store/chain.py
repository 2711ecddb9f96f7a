"""The chain of audit batches of each tenant: every batch holds the hash of the one before it.

    _id       tenant/000000000042: the sequence is the place in the chain, and the database lets one batch have it
    first     when the earliest of its events was recorded, last the latest; milliseconds since 1970
    tokens    what finds it by patient and by agent (`security.audit.keys`)
    sealed    the events, compressed and sealed
    previous  the hash of the batch before; hash: SHA-256 over that and all else of this one

Source: RFC 6962 and ISO 27789 for what a trail must show; here a plain chain does, since it is always walked whole.
"""

import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
import pymongo
from bson import Binary
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from fhir_ins.security.audit.keys import AuditKeys, NotOpened
from fhir_ins.store.database import Database, Document

GENESIS = bytes(32)  # what the first batch has as the hash before it
_DIGITS = 12
_FIELDS = ("tenant", "sequence", "first", "last", "count", "key", "tokens", "sealed", "previous", "hash")


@dataclass(frozen=True, slots=True)
class Tail:
    """The last batch of a chain; of none yet: sequence 0."""

    sequence: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Contents:
    """What is to be appended: an encoded batch of `count` events, when they were, and what it is found by."""

    batch: bytes
    first: int
    last: int
    count: int
    tokens: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Link:
    """A batch as it is stored."""

    tenant: str
    sequence: int
    first: int
    last: int
    count: int
    key: str
    tokens: tuple[bytes, ...]
    sealed: bytes
    previous: bytes
    hash: bytes

    @property
    def expected_hash(self) -> bytes:
        """What its hash must be."""
        return _hash(self.previous, self._said, self.tokens, self.sealed)

    @property
    def _said(self) -> list[Any]:
        return [self.tenant, self.sequence, self.first, self.last, self.count, self.key]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in the place of a batch and is none."""

    sequence: int


class Chain:
    """The collection `audit`."""

    def __init__(self, database: Database, keys: AuditKeys | None) -> None:
        """Without keys batches are walked, not opened, and none is appended."""
        self._links: AsyncCollection[Document] = database.database["audit"]
        self._keys = keys

    async def tail(self, tenant: str) -> Tail:
        found = await self._links.find_one(
            _within(tenant), {"sequence": 1, "hash": 1}, sort=[("_id", pymongo.DESCENDING)]
        )
        return Tail(found["sequence"], bytes(found["hash"])) if found else Tail()

    async def append(self, tenant: str, contents: Contents, tail: Tail) -> Tail:
        """Put a batch after the tail, durably, or after what another process has appended since.

        Raises PyMongoError where that is impossible: then it may be there or not.
        """
        assert self._keys is not None  # noqa: S101 - a server has them
        packed = zlib.compress(contents.batch, 1)
        tokens = tuple(sorted(contents.tokens))
        while True:
            sequence = tail.sequence + 1
            said = [tenant, sequence, contents.first, contents.last, contents.count, self._keys.current]
            sealed = self._keys.seal(tenant, sequence, packed)
            hash_ = _hash(tail.hash, said, tokens, sealed)
            values = (*said, [Binary(token) for token in tokens], Binary(sealed), Binary(tail.hash), Binary(hash_))
            document = {"_id": _id(tenant, sequence), **dict(zip(_FIELDS, values, strict=True))}
            try:
                await self._links.insert_one(document)
            except DuplicateKeyError:
                tail = await self.tail(tenant)
                continue
            return Tail(sequence, hash_)

    @property
    def opens(self) -> bool:
        return self._keys is not None

    def opened(self, link: Link) -> bytes:
        """The encoded batch. Raises NotOpened."""
        if self._keys is None:
            raise NotOpened("there is no key")
        return zlib.decompress(self._keys.open(link.key, link.tenant, link.sequence, link.sealed))

    async def links(self, tenant: str, after: int = 0) -> AsyncIterator[Link | Unreadable]:
        """The batches after that one, in the order of the chain."""
        async for document in self._links.find(_within(tenant, after + 1)).sort("_id", pymongo.ASCENDING):
            yield _link(document)

    async def oldest_since(self, tenant: str, moment: int) -> int | None:
        """The sequence of the first batch with an event of that moment or later."""
        asked = {**_within(tenant), "last": {"$gte": moment}}
        found = await self._links.find_one(asked, {"sequence": 1}, sort=[("_id", pymongo.ASCENDING)])
        return int(found["sequence"]) if found else None

    async def found(self, tenant: str, query: Document, *, oldest_first: bool, most: int) -> AsyncIterator[Link]:
        """The batches of a tenant that match, in the order of the chain or against it, `most` at most."""
        order = pymongo.ASCENDING if oldest_first else pymongo.DESCENDING
        asked = {"tenant": tenant, **query}
        async for document in self._links.find(asked, sort=[("_id", order)], limit=most, batch_size=20):
            link = _link(document)
            if isinstance(link, Link):
                yield link

    async def at(self, tenant: str, sequence: int) -> Link | None:
        """The batch of that place."""
        document = await self._links.find_one({"_id": _id(tenant, sequence)})
        link = _link(document) if document else None
        return link if isinstance(link, Link) else None

    async def first_ending(self, tenant: str, moment: int) -> int | None:
        """The sequence of a batch that ends at that moment or, if none does, of the next to end after it."""
        asked: Document = {"tenant": tenant, "last": {"$gte": moment}}
        found = await self._links.find_one(asked, {"sequence": 1}, sort=[("last", pymongo.ASCENDING)])
        return int(found["sequence"]) if found else None

    async def tenants(self) -> list[str]:
        """Those that have batches."""
        return sorted(await self._links.distinct("tenant"))

    async def remove(self, tenant: str, through: int) -> int:
        """Take the batches up to that one away; answers how many they were."""
        return (await self._links.delete_many(_within(tenant, 0, through))).deleted_count


def _hash(previous: bytes, said: Sequence[Any], tokens: Iterable[bytes], sealed: bytes) -> bytes:
    joined = b"".join(tokens)
    head = orjson.dumps([*said, len(joined), len(sealed)])
    return sha256(b"".join((previous, head, joined, sealed))).digest()


def _id(tenant: str, sequence: int) -> str:
    return f"{tenant}/{sequence:0{_DIGITS}d}"


def _within(tenant: str, first: int = 0, last: int = 10**_DIGITS - 1) -> Document:
    return {"_id": {"$gte": _id(tenant, first), "$lte": _id(tenant, last)}}


def _link(document: Document) -> Link | Unreadable:
    """The batch, where the document is one and stands in its place."""
    tenant, _, place = str(document["_id"]).rpartition("/")
    try:
        values = {name: document[name] for name in _FIELDS}
        values |= {name: bytes(values[name]) for name in ("sealed", "previous", "hash")}
        link = Link(**{**values, "tokens": tuple(bytes(token) for token in values["tokens"])})
        numbers = (link.sequence, link.first, link.last, link.count)
        if not all(isinstance(number, int) for number in numbers) or not isinstance(link.key, str):
            return Unreadable(int(place))
        return link if (link.tenant, link.sequence) == (tenant, int(place)) else Unreadable(int(place))
    except (KeyError, TypeError, ValueError):
        return Unreadable(int(place) if place.isdigit() else 0)
