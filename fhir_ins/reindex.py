"""Write a store anew: after a change of its FR Core release, or of the rules its search keys are made by.

A Patient whose forms change gets a new version, so that its history keeps what was said; else its search keys are made
again in place, while servers read and write. Interrupted, it is run again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pymongo

from fhir_ins.api.type_rules import redrafted
from fhir_ins.at_rest import configured_keyring
from fhir_ins.conformance import configured_fr_core
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.security.caller import Caller
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database, Document
from fhir_ins.store.keys import INDEX
from fhir_ins.store.resources import Resources, VersionChanged
from fhir_ins.store.writing import Writing, WrittenOtherwise, begin_rewriting, end_rewriting, require_writing

_BATCH = 50  # resources rewritten at a time
# What a server of an earlier release writes, behind where the rewriting is.
_OTHERWISE: Document = {"ix.index": {"$ne": INDEX}}


@dataclass(slots=True)
class Count:
    """How many resources were looked at, and how many of them got a new version."""

    seen: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A resource to rewrite."""

    tenant: str
    type: str
    id: str


async def reindex(
    settings: Settings, *, only_if_needed: bool = False, tell: Callable[[Count], None] = lambda _: None
) -> Count:
    """Rewrite every current resource of every tenant for the release the settings name.

    `only_if_needed`: not where the store is written so already. `tell` is called now and then with how far it is.
    Raises WrittenOtherwise for a store that is encrypted where the settings have no master key, or is not where they
    have one; KeyFault for one that was encrypted with another.
    """
    keyring = configured_keyring(settings)
    uri, timeout = settings.mongodb_uri.get_secret_value(), settings.mongodb_timeout
    database = Database(uri, settings.mongodb_database, timeout=timeout, keyring=keyring)
    ours = Writing(settings.fr_core, sealed=keyring is not None)
    edition, count = configured_fr_core(settings), Count()
    try:
        await database.prepare()
        if only_if_needed and await _is_written(database, ours):
            return count
        await begin_rewriting(database, ours)
        await database.seals.check()
        async for batch in _batches(database):
            changed = await asyncio.gather(*(_rewritten(Resources(database), target, edition) for target in batch))
            count.seen += len(batch)
            count.changed += sum(changed)
            tell(count)
        await end_rewriting(database, ours)
    finally:
        await database.close()
    return count


async def _is_written(database: Database, ours: Writing) -> bool:
    try:
        return await require_writing(database, ours)
    except WrittenOtherwise:
        return False


async def _batches(database: Database) -> AsyncIterator[Sequence[Target]]:
    """Each live resource; then, as long as there is any, what has been written otherwise meanwhile."""
    among: Document = {}
    while True:
        after = ""
        while batch := await _batch(database, {**among, "_id": {"$gt": after}, "live": True}):
            yield [Target(found["tenant"], found["type"], found["id"]) for found in batch]
            after = batch[-1]["_id"]
        if among and not after:
            return
        among = _OTHERWISE


async def _batch(database: Database, among: Document) -> Sequence[Document]:
    with pymongo.timeout(None):  # no index serves what is written otherwise
        found = database.resources.find(among, {"tenant": 1, "type": 1, "id": 1}).sort("_id", pymongo.ASCENDING)
        return await found.limit(_BATCH).to_list()


async def _rewritten(resources: Resources, target: Target, edition: FrCore) -> bool:
    """Whether the resource got a new version. Another writer's version in between is taken up again."""
    caller = Caller(target.tenant, "fhir-ins reindex", frozenset())
    while True:
        current = await resources.current(caller, target.type, target.id)
        anew = redrafted(current, edition) if current else None
        if current is None or anew is None:
            return False
        try:
            return await resources.rewrite(caller, current, anew)
        except VersionChanged:
            continue
