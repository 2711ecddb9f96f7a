"""What was written, the latest first: of one resource, of a type, of everything. https://hl7.org/fhir/R4/http.html#history

A version stands in one of two collections at any moment; the current ones are read first, so that a version that is
superseded in between is met in both and told once, never missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_ins.security.caller import Caller
from fhir_ins.store.database import Database, Document
from fhir_ins.store.versions import IDENTITY, Version, readable, readable_past


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a history ended: its last version."""

    updated: datetime
    type: str
    id: str
    number: int


@dataclass(frozen=True, slots=True)
class Past:
    """Which versions are asked for: of one resource (`type` and `id`), of a type, or of these `types`.

    `since`: not written before it. `current_in`: those that were current at some moment from the first to the second
    (excluded).
    """

    types: Sequence[str]
    id: str | None = None
    since: datetime | None = None
    current_in: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """One page; `more` says that others follow its last."""

    versions: tuple[Version, ...]
    more: bool


class History:
    """The versions of all resources; the caller's tenant leads every query."""

    def __init__(self, database: Database, session: AsyncClientSession | None = None) -> None:
        """`session`: the transaction that the reading is part of, if any."""
        self._database = database
        self._session = session

    async def page(self, caller: Caller, past: Past, after: Place | None, count: int) -> Versions:
        """At most `count` versions after that place, the latest first."""
        order = [("updated", pymongo.DESCENDING), *_TIES]
        current = self._database.resources.find(_filter(caller, past, after), session=self._session)
        documents = [(found, True) for found in await current.sort(order).limit(count + 1).to_list()]
        superseded = self._database.versions.find(_filter(caller, past, after, superseded=True), session=self._session)
        documents += [(found, False) for found in await superseded.sort(order).limit(count + 1).to_list()]
        told = {_order(found): (found, live) for found, live in reversed(documents)}
        first = [told[key] for key in sorted(told)][: count + 1]
        opened = await self._database.seals.opened(caller.tenant, [found for found, _ in first])
        first = [(found, live) for found, (_, live) in zip(opened, first, strict=True)]
        now = await self._current(caller, [found for found, live in first if not live and found["concealed"]])
        versions = tuple(
            readable(found, caller) if live else readable_past(found, now.get(_key(found, caller), _GONE), caller)
            for found, live in first[:count]
        )
        return Versions(versions, len(first) > count)

    async def total(self, caller: Caller, past: Past) -> int:
        """How many versions there are."""
        resources, versions = self._database.resources, self._database.versions
        current = await resources.count_documents(_filter(caller, past, None), session=self._session)
        superseded = _filter(caller, past, None, superseded=True)
        return current + await versions.count_documents(superseded, session=self._session)

    async def _current(self, caller: Caller, superseded: Sequence[Document]) -> Mapping[str, Document]:
        """The current versions that decide what these show."""
        keys = list({_key(found, caller) for found in superseded})
        if not keys:
            return {}
        found = self._database.resources.find({"_id": {"$in": keys}}, IDENTITY, session=self._session)
        opened = await self._database.seals.opened(caller.tenant, await found.to_list())
        return {document["_id"]: document for document in opened}


_GONE: Document = {"identity": None}
_TIES = (("type", pymongo.ASCENDING), ("id", pymongo.ASCENDING), ("version", pymongo.DESCENDING))


def _filter(caller: Caller, past: Past, after: Place | None, *, superseded: bool = False) -> Document:
    conditions: list[Document] = [{"tenant": caller.tenant}]
    types = list(past.types)
    conditions.append({"type": types[0] if len(types) == 1 else {"$in": types}})
    if past.id is not None:
        conditions.append({"id": past.id})
    if past.since is not None:
        conditions.append({"updated": {"$gte": past.since}})
    if past.current_in is not None:
        begin, end = past.current_in
        conditions.append({"updated": {"$lt": end}})
        if superseded:
            conditions.append({"until": {"$gt": begin}})
    if after is not None:
        conditions.append(_after(after))
    return {"$and": conditions}


def _after(place: Place) -> Document:
    """What comes after a place, in the order of `_order`."""
    same: Document = {"updated": place.updated}
    return {
        "$or": [
            {"updated": {"$lt": place.updated}},
            {**same, "type": {"$gt": place.type}},
            {**same, "type": place.type, "id": {"$gt": place.id}},
            {**same, "type": place.type, "id": place.id, "version": {"$lt": place.number}},
        ]
    }


def _order(document: Document) -> tuple[Any, ...]:
    """The latest first; versions of one moment by type, id and number."""
    return (-document["updated"].timestamp(), document["type"], document["id"], -document["version"])


def _key(document: Document, caller: Caller) -> str:
    return f"{caller.tenant}/{document['type']}/{document['id']}"
