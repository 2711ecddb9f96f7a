"""How the resources of a store are written: one FR Core release, one set of rules for search keys, never a mixture."""

from dataclasses import asdict, dataclass

from fhir_ins.store.database import Database
from fhir_ins.store.keys import INDEX

_KEY = {"_id": "writing"}


class WrittenOtherwise(Exception):
    """The store is not written as this server would write it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Writing:
    """The FR Core release of the Patients, and the rules (`keys.INDEX`) their search keys were made by."""

    fr_core: str
    index: int = INDEX


# What stores without a mark were written as, before there was one.
_UNMARKED = Writing("2.2.0", 1)


async def require_writing(database: Database, ours: Writing) -> None:
    """Mark a new store as ours. Raises WrittenOtherwise for one that was written otherwise, or is half rewritten."""
    first = ours if await database.is_new() else _UNMARKED
    await database.insert_once({**_KEY, **asdict(first), "unfinished": False})
    found = await database.server.find_one(_KEY)
    assert found is not None  # noqa: S101 - inserted above and never removed
    if found["unfinished"]:
        raise WrittenOtherwise("fhir-ins reindex has begun on this store and not ended: run it again.")
    if (found["fr_core"], found["index"]) != (ours.fr_core, ours.index):
        raise WrittenOtherwise(
            f"This store is written in FR Core {found['fr_core']} (search keys {found['index']}), this server writes "
            f"FR Core {ours.fr_core} (search keys {ours.index}): stop the servers and run fhir-ins reindex, or set "
            "FHIR_INS_FR_CORE back."
        )


async def begin_rewriting(database: Database, ours: Writing) -> None:
    """From here on no server starts on this store until `end_rewriting`."""
    await database.server.update_one(_KEY, {"$set": {**asdict(ours), "unfinished": True}}, upsert=True)


async def end_rewriting(database: Database) -> None:
    await database.server.update_one(_KEY, {"$set": {"unfinished": False}})
