"""Resources in MongoDB: reads that never parse, writes that are atomic with their history and their keys.

A document holds the bytes of each form of the resource (see `Draft`), its search keys `ix` and, for a Patient, the
server-owned identity record. The current version is in `resources`; a write moves the one before to `versions`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from fhir_ins.fhir.outcome import NotFound
from fhir_ins.fhir.search import Search
from fhir_ins.ins.identity import Identity, InsNumber
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database, Document
from fhir_ins.store.documents import Draft, bodies, resource_key, search_keys, version_document
from fhir_ins.store.identities import identity_of
from fhir_ins.store.query import compiled


class VersionChanged(Exception):
    """Somebody else wrote the resource since the version this write is based on."""


class AlreadyHeld(Exception):
    """Another resource (`holder`, its id, where it may be named) has the confirmed INS this write would give."""

    def __init__(self, holder: str | None) -> None:
        super().__init__(holder)
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Version:
    """One version as a caller may read it; `body` is None when the version is a deletion.

    `tag` is what its ETag says of it; those of stored resources are numbers, counted from 1.
    """

    id: str
    tag: str
    updated: datetime
    body: bytes | None

    @property
    def number(self) -> int:
        return int(self.tag)


@dataclass(frozen=True, slots=True)
class Current:
    """A current version as a write starts from it: the fullest of its forms, and the identity record."""

    type: str
    id: str
    number: int
    updated: datetime
    body: bytes | None
    identity: Identity
    document: Document


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search in order of id; `more` says that others follow its last."""

    versions: tuple[Version, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Write:
    """One write among others: what to store (None: a deletion) after the version `over`, or as a first version."""

    type: str
    id: str
    draft: Draft | None
    over: Current | None = None


# What else is to be done in the transaction of some writes; it may be called again, when MongoDB asks to repeat.
Along = Callable[[AsyncClientSession], Awaitable[None]]


def new_id() -> str:
    """A logical id for a first version."""
    return str(uuid4())


class Resources:
    """All access to stored resources; the caller's tenant leads every query."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, caller: Caller, type_: str, id_: str) -> Version:
        """The current version. Raises NotFound, or Gone when it was deleted."""
        document = await self._database.resources.find_one(
            {"_id": resource_key(caller, type_, id_)}, _projection(caller)
        )
        return _readable(_existing(document, type_), caller)

    async def read_version(self, caller: Caller, type_: str, id_: str, number: int) -> Version:
        """Version `number`. A past one shows a matricule only if both it and the current one are qualified,
        and the current identity has that matricule, as its own or in its history.
        """
        key = resource_key(caller, type_, id_)
        current = _existing(await self._database.resources.find_one({"_id": key}), type_)
        if current["version"] == number:
            return _readable(current, caller)
        past = _existing(await self._database.versions.find_one({"_id": f"{key}/{number}"}), type_)
        if past["concealed"] and not caller.may(Right.REFERENCE) and not _still_holds(current, past):
            past["conveyed"] = past["concealed"]
        return _readable(past, caller)

    async def current(self, caller: Caller, type_: str, id_: str) -> Current | None:
        """The current version for a write, deleted or not; None when there never was one."""
        document = await self._database.resources.find_one({"_id": resource_key(caller, type_, id_)})
        if document is None:
            return None
        body = document["reference"] or document["conveyed"]
        identity = identity_of(document["identity"])
        return Current(type_, id_, document["version"], document["updated"], body, identity, document)

    async def holder(self, caller: Caller, numbers: Sequence[InsNumber]) -> str | None:
        """The id of the Patient whose confirmed, active INS is one of these in the caller's tenant, the first first."""
        keys = [_ins_key(caller, number) for number in numbers]
        found = await self._database.keys.find({"_id": {"$in": keys}}).to_list()
        holders = {document["_id"]: str(document["holder"]) for document in found}
        return next((holders[key] for key in keys if key in holders), None)

    async def search(self, caller: Caller, type_: str, search: Search, after: str | None) -> Page:
        """The matches after id `after`, at most `search.count` of them."""
        filters = self._filters(caller, type_, search)
        if after is not None:
            filters.append({"id": {"$gt": after}})
        cursor = (
            self._database.resources.find({"$and": filters}, _projection(caller))
            .sort("id", pymongo.ASCENDING)
            .limit(search.count + 1)
        )
        found = [_readable(document, caller) for document in await cursor.to_list()]
        return Page(tuple(found[: search.count]), len(found) > search.count)

    async def count(self, caller: Caller, type_: str, search: Search) -> int:
        """How many match."""
        filters = self._filters(caller, type_, search)
        return await self._database.resources.count_documents({"$and": filters})

    async def create(self, caller: Caller, type_: str, draft: Draft) -> Version:
        """Store a first version under a new id. Raises AlreadyHeld."""
        return await self._write(caller, Write(type_, new_id(), draft))

    async def replace(self, caller: Caller, current: Current, draft: Draft | None) -> Version:
        """Write the version after `current`; without draft, delete. Raises VersionChanged or AlreadyHeld."""
        return await self._write(caller, Write(current.type, current.id, draft, current))

    async def together(self, caller: Caller, writes: Sequence[Write], *along: Along) -> tuple[Version, ...]:
        """All these writes, each with its history and its keys, and what goes along with them; or nothing at all.

        A confirmed INS that one of them gives up may be taken by another. Raises VersionChanged or AlreadyHeld.
        """
        planned = [_planned(caller, write) for write in writes]

        async def work(session: AsyncClientSession) -> None:
            for plan in planned:
                await self._put(session, plan.document, plan.before)
                await self._release(session, plan.document, plan.held - plan.holds)
            for plan in planned:
                await self._hold(session, plan.document, plan.holds - plan.held)
            for also in along:
                await also(session)

        async with self._database.client.start_session() as session:
            await session.with_transaction(work, write_concern=self._database.database.write_concern)
        return tuple(_readable(plan.document, caller) for plan in planned)

    def unchanged(self, current: Current) -> Along:
        """Hold in a transaction that this is still the current version. Raises VersionChanged there."""

        async def along(session: AsyncClientSession) -> None:
            here = {"_id": current.document["_id"], "version": current.number}
            if await self._database.resources.find_one(here, {"_id": 1}, session=session) is None:
                raise VersionChanged

        return along

    async def rewrite(self, caller: Caller, current: Current, draft: Draft) -> bool:
        """Bring a version to today's rules; answers whether it took a new version, else only its keys are made again.

        Raises VersionChanged.
        """
        before = current.document
        now = bodies(draft, current.id, current.number, current.updated)
        if any(before[form] != body for form, body in now.items()):
            await self.replace(caller, current, draft)
            return True
        here = {"_id": before["_id"], "version": before["version"]}
        keys = {"$set": {"ix": search_keys(draft, current.updated)}}
        if not (await self._database.resources.update_one(here, keys)).matched_count:
            raise VersionChanged
        return False

    def _filters(self, caller: Caller, type_: str, search: Search) -> list[Document]:
        here: Document = {"tenant": caller.tenant, "type": type_, "live": True}
        return [here, *compiled(search, reference=caller.may(Right.REFERENCE))]

    async def _write(self, caller: Caller, write: Write) -> Version:
        """One document needs no transaction; a former version or a confirmed INS goes with it in one."""
        plan = _planned(caller, write)
        if plan.before is None and not plan.holds:
            await self._database.resources.insert_one(plan.document)
            return _readable(plan.document, caller)
        (version,) = await self.together(caller, [write])
        return version

    async def _put(self, session: AsyncClientSession, document: Document, before: Document | None) -> None:
        if before is None:
            await self._database.resources.insert_one(document, session=session)
            return
        here = {"_id": before["_id"], "version": before["version"]}
        result = await self._database.resources.replace_one(here, document, session=session)
        if not result.matched_count:
            raise VersionChanged
        past = {key: value for key, value in before.items() if key != "ix"}
        past["_id"] = f"{before['_id']}/{before['version']}"
        await self._database.versions.insert_one(past, session=session)

    async def _hold(self, session: AsyncClientSession, document: Document, keys: set[str]) -> None:
        """Take a confirmed INS for this resource: its key's `_id` lets one only have it."""
        for key in keys:
            try:
                await self._database.keys.insert_one(
                    {"_id": key, "tenant": document["tenant"], "holder": document["id"]}, session=session
                )
            except DuplicateKeyError as error:
                raise AlreadyHeld(await self._holder_to_name(key)) from error

    async def _holder_to_name(self, key: str) -> str | None:
        """The id of the Patient that has a confirmed INS; None for one that is anonymous or hidden."""
        found = await self._database.keys.find_one({"_id": key})
        known: Document = {"_id": f"{found['tenant']}/Patient/{found['holder']}"} if found else {}
        holder = await self._database.resources.find_one(known, {"id": 1, "identity.obstacles": 1}) if found else None
        return str(holder["id"]) if holder and not holder["identity"]["obstacles"] else None

    async def _release(self, session: AsyncClientSession, document: Document, keys: set[str]) -> None:
        for key in keys:
            await self._database.keys.delete_one({"_id": key, "holder": document["id"]}, session=session)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The document of a write, the one before it, and the keys of the confirmed INS that each of them has."""

    document: Document
    before: Document | None
    held: set[str]
    holds: set[str]


def _planned(caller: Caller, write: Write) -> _Plan:
    before = write.over.document if write.over else None
    document = version_document(caller, write.type, write.id, write.draft, before)
    return _Plan(document, before, _held(caller, before), _held(caller, document))


_READ = {"id": 1, "version": 1, "updated": 1, "conveyed": 1, "live": 1}
_READ_REFERENCE = {**_READ, "reference": 1}


def _projection(caller: Caller) -> Document:
    return _READ_REFERENCE if caller.may(Right.REFERENCE) else _READ


def _ins_key(caller: Caller, number: InsNumber) -> str:
    return f"{caller.tenant}/ins/{number.oid}/{number.matricule.bare}"


def _existing(document: Document | None, type_: str) -> Document:
    if document is None:
        raise NotFound(f"There is no such {type_}: check its id, or search for it.")
    return document


def _readable(document: Document, caller: Caller) -> Version:
    body = document["conveyed"]
    if caller.may(Right.REFERENCE) and document.get("reference"):
        body = document["reference"]
    return Version(document["id"], str(document["version"]), document["updated"], body)


def _still_holds(current: Document, past: Document) -> bool:
    now, then = identity_of(current["identity"]), identity_of(past["identity"])
    if not (now.conveys and now.obtained and then.obtained):
        return False
    return then.obtained.active.matricule in {number.matricule for number in now.obtained.numbers}


def _held(caller: Caller, document: Document | None) -> set[str]:
    """The key of the confirmed, active INS of a version, if it has one."""
    obtained = identity_of(document["identity"]).obtained if document else None
    return {_ins_key(caller, obtained.active)} if obtained else set()
