"""Write a store anew: after a change of its FR Core release, or of the rules its search keys are made by.

A Patient whose forms change gets a new version, so that its history keeps what was said; else its search keys are made
again in place. Interrupted, it is run again; servers do not start on the store until it has ended.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pymongo

from fhir_ins.api.type_rules import redrafted
from fhir_ins.conformance import configured_fr_core
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.security.caller import Caller
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database
from fhir_ins.store.resources import Resources, VersionChanged
from fhir_ins.store.writing import Writing, WrittenOtherwise, begin_rewriting, end_rewriting, require_writing

_BATCH = 200


@dataclass(slots=True)
class Count:
    """How many resources were looked at, and how many of them got a new version."""

    seen: int = 0
    changed: int = 0


async def reindex(settings: Settings, *, only_if_needed: bool = False) -> Count:
    """Rewrite every current resource of every tenant for the release the settings name.

    `only_if_needed`: not where the store is written so already.
    """
    database = Database(
        settings.mongodb_uri.get_secret_value(), settings.mongodb_database, timeout=settings.mongodb_timeout
    )
    ours, edition, count = Writing(settings.fr_core), configured_fr_core(settings), Count()
    try:
        await database.prepare()
        if only_if_needed and await _is_written(database, ours):
            return count
        await begin_rewriting(database, ours)
        async for tenant, type_, id_ in _targets(database):
            count.seen += 1
            caller = Caller(tenant, "fhir-ins reindex", frozenset())
            count.changed += await _rewritten(Resources(database), caller, type_, id_, edition)
        await end_rewriting(database)
    finally:
        await database.close()
    return count


async def _is_written(database: Database, ours: Writing) -> bool:
    try:
        await require_writing(database, ours)
    except WrittenOtherwise:
        return False
    return True


async def _targets(database: Database) -> AsyncIterator[tuple[str, str, str]]:
    """Tenant, type and id of each live resource, in batches that no time-out cuts."""
    after = ""
    while True:
        batch = (
            await database.resources.find({"_id": {"$gt": after}, "live": True}, {"tenant": 1, "type": 1, "id": 1})
            .sort("_id", pymongo.ASCENDING)
            .limit(_BATCH)
            .to_list()
        )
        if not batch:
            return
        for found in batch:
            yield found["tenant"], found["type"], found["id"]
        after = batch[-1]["_id"]


async def _rewritten(resources: Resources, caller: Caller, type_: str, id_: str, edition: FrCore) -> bool:
    """Whether the resource got a new version. Another writer's version in between is taken up again."""
    while True:
        current = await resources.current(caller, type_, id_)
        anew = redrafted(current, edition) if current else None
        if current is None or anew is None:
            return False
        try:
            return await resources.rewrite(caller, current, anew)
        except VersionChanged:
            continue
