"""How a store is written: in one FR Core release, never a mixture, and with search keys by one set of rules.

A store in another release is not served. One whose search keys were made by other rules is read and written, and
searched as soon as `fhir-ins reindex` has made them all anew.
"""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass

from pymongo.errors import PyMongoError

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


async def require_writing(database: Database, ours: Writing) -> bool:
    """Mark a new store as ours; answers whether its search keys are.

    Raises WrittenOtherwise for one in another release, or half rewritten.
    """
    first = ours if await database.is_new() else _UNMARKED
    await database.insert_once({**_KEY, **asdict(first), "unfinished": False})
    found = await database.server.find_one(_KEY)
    assert found is not None  # noqa: S101 - inserted above and never removed
    if found["unfinished"]:
        raise WrittenOtherwise("fhir-ins reindex has begun on this store and not ended: run it again.")
    if found["fr_core"] != ours.fr_core:
        raise WrittenOtherwise(
            f"This store is written in FR Core {found['fr_core']}, this server writes FR Core {ours.fr_core}: stop the "
            "servers and run fhir-ins reindex, or set FHIR_INS_FR_CORE back."
        )
    return bool(found["index"] == ours.index)


async def begin_rewriting(database: Database, ours: Writing) -> None:
    """From here on no server starts on a store in another release, until `end_rewriting`."""
    await database.insert_once({**_KEY, **asdict(_UNMARKED), "unfinished": False})
    other = {**_KEY, "fr_core": {"$ne": ours.fr_core}}
    await database.server.update_one(other, {"$set": {"fr_core": ours.fr_core, "unfinished": True}})


async def end_rewriting(database: Database, ours: Writing) -> None:
    """All is written as ours."""
    await database.server.update_one(_KEY, {"$set": {"index": ours.index, "unfinished": False}})


async def until_keys_are_ours(database: Database, ours: Writing, every: float = 2.0) -> None:
    """Let the store be searched from the moment its search keys have been made anew; looks every so many seconds."""
    while not database.keys_are_ours:
        await asyncio.sleep(every)
        with suppress(PyMongoError):  # it is away: looked at again
            database.keys_are_ours = await database.server.find_one({**_KEY, "index": ours.index}) is not None
