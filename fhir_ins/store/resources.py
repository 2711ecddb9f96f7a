"""Resources in MongoDB: reads that never parse, writes that are atomic with their history and their keys.

A document holds the bytes of each form of the resource (see `Draft`), its search keys `ix` and, for a Patient, the
server-owned identity record. The current version is in `resources`; a write moves the one before to `versions`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import uuid4

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from fhir_ins.fhir.outcome import NotFound
from fhir_ins.fhir.search import Search
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.ins.identity import InsNumber
from fhir_ins.security.caller import Caller
from fhir_ins.store.database import Database, Document
from fhir_ins.store.documents import Draft, bodies, resource_key, search_keys, version_document
from fhir_ins.store.finding import Finding, Page, Start
from fhir_ins.store.history import History
from fhir_ins.store.identities import identity_of
from fhir_ins.store.keys import coding_of, place_of, system_key
from fhir_ins.store.sealing import Seal
from fhir_ins.store.versions import IDENTITY, Current, Version, current_of, projection, readable, readable_past

T = TypeVar("T")

MOST_LABELS = 1000


class VersionChanged(Exception):
    """Somebody else wrote the resource since the version this write is based on."""


class AlreadyHeld(Exception):
    """Another resource (`holder`, its id, where it may be named) has the confirmed INS this write would give."""

    def __init__(self, holder: str | None) -> None:
        super().__init__(holder)
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Write:
    """One write among others: what to store (None: a deletion) after the version `over`, or as a first version.

    `method` is the HTTP verb of the interaction, as the history tells it; None: the one that such a write mostly has.
    """

    type: str
    id: str
    draft: Draft | None
    over: Current | None = None
    method: str | None = None


# What else is to be done in the transaction of some writes; it may be called again, when MongoDB asks to repeat.
Along = Callable[[AsyncClientSession], Awaitable[None]]


def new_id() -> str:
    """A logical id for a first version."""
    return str(uuid4())


class Resources:
    """All access to stored resources; the caller's tenant leads every query."""

    def __init__(self, database: Database, session: AsyncClientSession | None = None) -> None:
        """`session`: the transaction that everything is part of, if any; see `atomically`."""
        self._database = database
        self._session = session

    @property
    def history(self) -> History:
        """The versions, as this transaction sees them if there is one."""
        return History(self._database, self._session)

    async def atomically(self, work: Callable[["Resources"], Awaitable[T]]) -> T:
        """What `work` does with the Resources it is given is done all together, or not at all.

        It is called again when MongoDB asks to repeat: another transaction wrote what it writes. Within such work, work
        is part of the same transaction.
        """
        if self._session is not None:
            return await work(self)
        async with self._database.client.start_session() as session:
            return await session.with_transaction(
                lambda begun: work(Resources(self._database, begun)),
                write_concern=self._database.database.write_concern,
            )

    async def lock(self, keys: Iterable[bytes]) -> None:
        """Keep other transactions from what these keys stand for, until this one ends."""
        for key in sorted(set(keys)):
            turn: Document = {"$inc": {"turn": 1}, "$currentDate": {"at": True}}
            await self._database.locks.update_one({"_id": key}, turn, upsert=True, session=self._session)

    async def read(self, caller: Caller, type_: str, id_: str) -> Version:
        """The current version. Raises NotFound; the body of what was deleted is None."""
        key = resource_key(caller, type_, id_)
        document = await self._database.resources.find_one({"_id": key}, projection(caller), session=self._session)
        return readable(await self._opened(caller, _existing(document, type_)), caller)

    async def read_version(self, caller: Caller, type_: str, id_: str, number: int) -> Version:
        """Version `number`, in the form that the current version lets the caller read."""
        key = resource_key(caller, type_, id_)
        found = _existing(await self._database.resources.find_one({"_id": key}, session=self._session), type_)
        current = await self._opened(caller, found)
        if current["version"] == number:
            return readable(current, caller)
        past = await self._database.versions.find_one({"_id": f"{key}/{number}"}, session=self._session)
        return readable_past(await self._opened(caller, _existing(past, type_)), current, caller)

    async def current(self, caller: Caller, type_: str, id_: str) -> Current | None:
        """The current version for a write, deleted or not; None when there never was one."""
        key = resource_key(caller, type_, id_)
        document = await self._database.resources.find_one({"_id": key}, session=self._session)
        return current_of(await self._opened(caller, document), document["conveyed"]) if document else None

    async def _opened(self, caller: Caller, document: Document) -> Document:
        (opened,) = await self._database.seals.opened(caller.tenant, [document])
        return opened

    async def holder(self, caller: Caller, numbers: Sequence[InsNumber]) -> str | None:
        """The id of the Patient whose confirmed, active INS is one of these in the caller's tenant, the first first."""
        seal = await self._database.seals.of(caller.tenant)
        keys = [_ins_key(seal, number) for number in numbers]
        found = await self._database.keys.find({"_id": {"$in": keys}}, session=self._session).to_list()
        holders = {document["_id"]: str(document["holder"]) for document in found}
        return next((holders[key] for key in keys if key in holders), None)

    async def search(self, caller: Caller, type_: str, search: Search, start: Start | None = None) -> Page:
        """The matches before or after `start`, `search.count` of them at most. Raises BadRequest if it is too broad."""
        return await (await self._finding(caller, type_)).page(search, start)

    async def ids(self, caller: Caller, type_: str, search: Search, most: int) -> list[str]:
        """The ids of what matches, `most` at most."""
        return await (await self._finding(caller, type_)).ids(search, most)

    async def count(self, caller: Caller, type_: str, search: Search, most: int = 0) -> int:
        """How many match; `most` at most, where it is given."""
        return await (await self._finding(caller, type_)).count(search, most)

    async def referred(
        self, caller: Caller, type_: str, search: Search, parameter: SearchParameter, target: str, most: int
    ) -> list[str]:
        """The ids of resources of type `target` that the matches refer to under a parameter, `most` at most."""
        return await (await self._finding(caller, type_)).referred(search, parameter, target, most)

    async def _finding(self, caller: Caller, type_: str) -> Finding:
        return Finding(self._database, self._session, caller, type_, await self._database.seals.of(caller.tenant))

    async def create(self, caller: Caller, type_: str, draft: Draft, id_: str | None = None) -> Version:
        """Store a first version, under a new id or this one. Raises AlreadyHeld."""
        return await self.write(caller, Write(type_, id_ or new_id(), draft))

    async def replace(self, caller: Caller, current: Current, draft: Draft) -> Version:
        """Write the version after `current`. Raises VersionChanged or AlreadyHeld."""
        return await self.write(caller, Write(current.type, current.id, draft, current))

    async def write(self, caller: Caller, write: Write) -> Version:
        """One write; see `together`. One document needs no transaction."""
        seal = await self._database.seals.of(caller.tenant)
        plan = _planned(seal, caller, write)
        if plan.over is None and not plan.holds:
            await self._insert(seal.sealed(plan.document))
            return readable(plan.document, caller)
        (version,) = await self.together(caller, [write])
        return version

    async def together(self, caller: Caller, writes: Sequence[Write], *along: Along) -> tuple[Version, ...]:
        """All these writes, each with its history and its keys, and what goes along with them; or nothing at all.

        A confirmed INS that one of them gives up may be taken by another. Raises VersionChanged or AlreadyHeld.
        """
        seal = await self._database.seals.of(caller.tenant)
        planned = [_planned(seal, caller, write) for write in writes]

        async def work(resources: Resources) -> None:
            session = resources._session
            assert session is not None  # noqa: S101 - `atomically` gives one
            for plan in planned:
                await resources._put(seal, plan.document, plan.over)
                await resources._release(plan.document, plan.held - plan.holds)
            for plan in planned:
                await resources._hold(plan.document, plan.holds - plan.held)
            for also in along:
                await also(session)

        await self.atomically(work)
        return tuple(readable(plan.document, caller) for plan in planned)

    async def amend(self, caller: Caller, current: Current, draft: Draft) -> Version:
        """Write the current version otherwise, without a new one. Raises VersionChanged or AlreadyHeld."""
        before = current.document
        now = bodies(draft, current.id, current.number, current.updated)
        document = {**before, **now, "ix": search_keys(place_of(caller.tenant, current.type), draft)}
        seal = await self._database.seals.of(caller.tenant)
        result = await self._database.resources.replace_one(
            _still(current), seal.sealed(document), session=self._session
        )
        if not result.matched_count:
            raise VersionChanged
        return readable(document, caller)

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
        before, draft = current.document, replace(draft, accepted=True)
        now = bodies(draft, current.id, current.number, current.updated)
        if any(before[form] != body for form, body in now.items()):
            await self.replace(caller, current, draft)
            return True
        seal = await self._database.seals.of(caller.tenant)
        keys = {"$set": {"ix": seal.index(current.type, search_keys(place_of(caller.tenant, current.type), draft))}}
        if not (await self._database.resources.update_one(_still(current), keys, session=self._session)).matched_count:
            raise VersionChanged
        return False

    async def referrers(self, caller: Caller, reference: str, *, but_tasks_of: str, most: int = 3) -> list[str]:
        """Some of the live resources that refer to this one (Type/id), but for Tasks with a code of that system."""
        self._database.require_keys()
        seal = await self._database.seals.of(caller.tenant)
        (key,) = seal.place("Task", reference=False).tokens([system_key("code", but_tasks_of)])
        ours: Document = {"type": "Task", "ix.token": key}
        found = self._database.resources.find(
            {"tenant": caller.tenant, "ix.ref": seal.reference(reference), "live": True, "$nor": [ours]},
            {"type": 1, "id": 1},
            session=self._session,
        )
        return [f"{other['type']}/{other['id']}" for other in await found.limit(most).to_list()]

    async def labels(self, caller: Caller, types: Sequence[str]) -> dict[str, list[Any]]:
        """The profiles, security labels and tags that the live resources of these types carry, as their meta does."""
        self._database.require_keys()
        found: dict[str, list[Any]] = {}
        for name in ("profile", "security", "tag"):
            form = f"|_{name}|{'uri' if name == 'profile' else 'both'}|"
            keys: set[str] = set()
            for type_ in types:
                keys |= {key async for key in self._in_use(place_of(caller.tenant, type_) + form)}
            used = sorted(keys)[:MOST_LABELS]
            found[name] = [*used] if name == "profile" else [coding_of(key) for key in used]
        return found

    async def _in_use(self, start: str) -> AsyncIterator[str]:
        """What follows `start` in the tokens of live resources that begin so, each once."""
        between: Document = {"$gte": start, "$lt": start + "\uffff"}
        stages: list[Document] = [
            {"$match": {"ix.token": between}},
            {"$project": {"key": "$ix.token"}},
            {"$unwind": "$key"},
            {"$match": {"key": between}},
            {"$group": {"_id": "$key"}},
            {"$sort": {"_id": pymongo.ASCENDING}},
            {"$limit": MOST_LABELS},
        ]
        async for document in await self._database.resources.aggregate(stages, session=self._session, hint="token"):
            yield document["_id"].removeprefix(start)

    async def _insert(self, document: Document) -> None:
        try:
            await self._database.resources.insert_one(document, session=self._session)
        except DuplicateKeyError as error:  # somebody else has made a resource of this id
            raise VersionChanged from error

    async def _put(self, seal: Seal, document: Document, over: Current | None) -> None:
        if over is None:
            await self._insert(seal.sealed(document))
            return
        result = await self._database.resources.replace_one(_still(over), seal.sealed(document), session=self._session)
        if not result.matched_count:
            raise VersionChanged
        past = {key: value for key, value in over.document.items() if key != "ix"}
        past |= {"_id": f"{past['_id']}/{past['version']}", "until": document["updated"]}
        await self._database.versions.insert_one(seal.sealed(past), session=self._session)

    async def _hold(self, document: Document, keys: set[str]) -> None:
        """Take a confirmed INS for this resource: its key's `_id` lets one only have it."""
        for key in keys:
            try:
                await self._database.keys.insert_one(
                    {"_id": key, "tenant": document["tenant"], "holder": document["id"]}, session=self._session
                )
            except DuplicateKeyError as error:
                raise AlreadyHeld(await self._holder_to_name(key)) from error

    async def _holder_to_name(self, key: str) -> str | None:
        """The id of the Patient that has a confirmed INS; None for one that is anonymous or hidden."""
        found = await self._database.keys.find_one({"_id": key})
        known: Document = {"_id": f"{found['tenant']}/Patient/{found['holder']}"} if found else {}
        document = await self._database.resources.find_one(known, IDENTITY) if found else None
        if found is None or document is None:
            return None
        (holder,) = await self._database.seals.opened(found["tenant"], [document])
        return None if holder["identity"]["obstacles"] else str(holder["id"])

    async def _release(self, document: Document, keys: set[str]) -> None:
        for key in keys:
            await self._database.keys.delete_one({"_id": key, "holder": document["id"]}, session=self._session)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The document of a write, the version before it, and the keys of the confirmed INS that each of them has."""

    document: Document
    over: Current | None
    held: set[str]
    holds: set[str]


def _planned(seal: Seal, caller: Caller, write: Write) -> _Plan:
    before = write.over.document if write.over else None
    usual = "DELETE" if write.draft is None else "PUT" if before else "POST"
    document = version_document(caller, write.type, write.id, write.draft, before, write.method or usual)
    return _Plan(document, write.over, _held(seal, before), _held(seal, document))


def _still(current: Current) -> Document:
    """The filter of a document that nobody has written since, as another version or by `amend`."""
    return {"_id": current.document["_id"], "version": current.number, "conveyed": current.stored}


def _ins_key(seal: Seal, number: InsNumber) -> str:
    return seal.held(f"ins/{number.oid}/{number.matricule.bare}")


def _existing(document: Document | None, type_: str) -> Document:
    if document is None:
        raise NotFound(f"There is no such {type_}: check its id, or search for it.")
    return document


def _held(seal: Seal, document: Document | None) -> set[str]:
    """The key of the confirmed, active INS of a version, if it has one."""
    obtained = identity_of(document["identity"]).obtained if document else None
    return {_ins_key(seal, obtained.active)} if obtained else set()
