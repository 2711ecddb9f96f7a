"""Erasing a person: the Patient, what is about it alone, their history and search keys, and what was asked of INSi.

RGPD, article 17, where the law lets a structure erase; the audit trail keeps that it was done. What refers to this
Patient and to no other is about it alone. Each resource goes with all its versions in one transaction, the Patient
last: interrupted, it is done again.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_ins.fhir.json import parse
from fhir_ins.fhir.references import local_references
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.ins.traits import Traits
from fhir_ins.security.caller import Caller
from fhir_ins.store.database import Database, Document
from fhir_ins.store.documents import resource_key
from fhir_ins.store.evidence import Entry, Evidence
from fhir_ins.store.versions import Current, current_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What the evidence of calls about a person may be told by: numbers, the ids of calls, and traits as INSi takes
    them (birth name and date).
    """

    numbers: frozenset[str]
    calls: frozenset[str]
    traits: frozenset[tuple[str, str]]

    def is_asked_about_in(self, entry: Entry) -> bool:
        frames = entry.request + (entry.answer or b"")
        return (
            entry.message_id in self.calls
            or any(number.encode() in frames for number in self.numbers)
            or any(family.encode() in frames and born.encode() in frames for family, born in self.traits)
        )


@dataclass(slots=True)
class Erased:
    """The resources (Type/id) that were erased, how many versions and calls to INSi; `kept` are resources that refer to
    another Patient too.
    """

    resources: list[str] = field(default_factory=list)
    versions: int = 0
    evidence: int = 0
    kept: list[str] = field(default_factory=list)


class Erasing:
    """Erasing one Patient of a structure; `traits_of` reads the traits of a Patient resource."""

    def __init__(
        self,
        database: Database,
        caller: Caller,
        patient: str,
        *,
        evidence: Evidence | None,
        traits_of: Callable[[Json], Traits],
    ) -> None:
        self._database = database
        self._caller = caller
        self._patient = patient
        self._evidence = evidence
        self._traits_of = traits_of
        self._reference = f"Patient/{patient}"

    async def known(self) -> Known | None:
        """What is known of the person, in every version; None where there never was such a Patient."""
        versions = [version async for version in self._versions("Patient", self._patient)]
        if not versions:
            return None
        identities = [version.identity for version in versions]
        told = [identity.obtained.traits for identity in identities if identity.obtained]
        told += [self._traits_of(parse(version.body)) for version in versions if version.body]
        return Known(
            frozenset(number for identity in identities for number in _numbers(identity)),
            frozenset(
                identity.obtained.message_id
                for identity in identities
                if identity.obtained and identity.obtained.message_id
            ),
            frozenset(_as_sent(told)),
        )

    async def erase(self, known: Known) -> Erased:
        """Erase everything; may be called again. Raises StillSealed before anything is erased, and PyMongoError."""
        erased = Erased()
        if self._evidence:
            erased.evidence = await self._evidence.forget(self._caller.tenant, known.is_asked_about_in)
        for type_, id_ in await self._about():
            if await self._is_of_others(type_, id_):
                erased.kept.append(f"{type_}/{id_}")
            else:
                erased.versions += await self._remove(type_, id_)
                erased.resources.append(f"{type_}/{id_}")
        erased.versions += await self._remove_past_versions()
        erased.versions += await self._remove("Patient", self._patient)
        erased.resources.append(self._reference)
        return erased

    async def _about(self) -> list[tuple[str, str]]:
        """The live resources that refer to the Patient, and the deleted ones that did last."""
        seal = await self._database.seals.of(self._caller.tenant)
        asked = {"tenant": self._caller.tenant, "ix.ref": seal.reference(self._reference)}
        live = [
            (found["type"], found["id"]) async for found in self._database.resources.find(asked, {"type": 1, "id": 1})
        ]
        return [*live, *await self._deleted()]

    async def _deleted(self) -> list[tuple[str, str]]:
        """The deleted resources whose last version was about the Patient."""
        found = []
        dead: Document = {"tenant": self._caller.tenant, "live": False, "type": {"$ne": "Patient"}}
        async for document in self._database.resources.find(dead, {"type": 1, "id": 1, "version": 1}):
            last = {"_id": f"{document['_id']}/{document['version'] - 1}"}
            before = await self._database.versions.find_one(last)
            if before and self._reference in await self._patients(before):
                found.append((document["type"], document["id"]))
        return found

    async def _is_of_others(self, type_: str, id_: str) -> bool:
        """Whether a resource refers to another Patient now; a Patient always is somebody else's."""
        if type_ == "Patient":
            return True
        document = await self._database.resources.find_one({"_id": resource_key(self._caller, type_, id_)})
        return document is not None and bool(await self._patients(document) - {self._reference})

    async def _remove_past_versions(self) -> int:
        """Of resources that are about somebody else now, the versions that were about the Patient alone."""
        removed = 0
        others: Document = {"tenant": self._caller.tenant, "type": {"$ne": "Patient"}}
        async for document in self._database.versions.find(others):
            if await self._patients(document) == {self._reference}:
                await self._database.versions.delete_one({"_id": document["_id"]})
                removed += 1
        return removed

    async def _remove(self, type_: str, id_: str) -> int:
        """Remove a resource with its versions, and the calls that wait for it; answers how many versions it had."""
        tenant = self._caller.tenant
        key = resource_key(self._caller, type_, id_)

        async def work(session: AsyncClientSession) -> int:
            past = await self._database.versions.delete_many(
                {"tenant": tenant, "type": type_, "id": id_}, session=session
            )
            last = await self._database.resources.delete_one({"_id": key}, session=session)
            if type_ == "Patient":
                await self._database.keys.delete_many({"tenant": tenant, "holder": id_}, session=session)
                await self._database.deferred.delete_many({"tenant": tenant, "patient": id_}, session=session)
            if type_ == "Task":
                await self._database.deferred.delete_many({"tenant": tenant, "task": id_}, session=session)
            return past.deleted_count + last.deleted_count

        async with self._database.client.start_session() as session:
            return int(await session.with_transaction(work))

    async def _versions(self, type_: str, id_: str) -> AsyncIterator[Current]:
        asked = {"tenant": self._caller.tenant, "type": type_, "id": id_}
        for collection in (self._database.resources, self._database.versions):
            async for document in collection.find(asked):
                yield await self._opened(document)

    async def _opened(self, document: Document) -> Current:
        (opened,) = await self._database.seals.opened(self._caller.tenant, [document])
        return current_of(opened, None)

    async def _patients(self, document: Document) -> set[str]:
        """The Patients that a version refers to, as Type/id."""
        body = (await self._opened(document)).body
        if body is None or b"Patient/" not in body:
            return set()
        return {found for found in local_references(parse(body)) if found.startswith("Patient/")}


def _numbers(identity: Identity) -> Iterable[str]:
    obtained = identity.obtained.numbers if identity.obtained else ()
    return (number.matricule.bare for number in (*obtained, *identity.supplied, *identity.withdrawn))


def _as_sent(told: Iterable[Traits]) -> Iterable[tuple[str, str]]:
    for traits in told:
        wire = traits_for_insi(traits)
        if isinstance(wire, Traits) and wire.family and wire.birth_date:
            yield wire.family, wire.birth_date
