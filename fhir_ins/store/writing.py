"""How a store is written: in one FR Core release, clear or encrypted, and with search keys by one set of rules.

A store in another release, or encrypted otherwise, is not served. One whose search keys were made by other rules is
read and written, and searched as soon as `fhir-ins reindex` has made them all anew.
"""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass

from pymongo.errors import PyMongoError

from fhir_ins.store.database import Database, Document
from fhir_ins.store.keys import INDEX

_KEY = {"_id": "writing"}


class WrittenOtherwise(Exception):
    """The store is not written as this server would write it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Writing:
    """The FR Core release of the Patients, and the rules (`keys.INDEX`) their search keys were made by.

    `sealed`: bodies and search keys are encrypted, see `store.sealing`.
    """

    fr_core: str
    index: int = INDEX
    sealed: bool = False


# What the keys of a store are made by that is being rewritten by other rules: nobody's, so that nobody searches it.
_HALF_MADE = 0
# What stores without a mark were written as, before there was one.
_UNMARKED = Writing("2.2.0", 1)


async def require_writing(database: Database, ours: Writing) -> bool:
    """Mark a new store as ours; answers whether its search keys are.

    Raises WrittenOtherwise for one in another release, encrypted otherwise, or half rewritten.
    """
    found = await require_sealing(database, ours)
    if found["unfinished"]:
        raise WrittenOtherwise("fhir-ins reindex has begun on this store and not ended: run it again.")
    if found["fr_core"] != ours.fr_core:
        raise WrittenOtherwise(
            f"This store is written in FR Core {found['fr_core']}, this server writes FR Core {ours.fr_core}: stop the "
            "servers and run fhir-ins reindex, or set FHIR_INS_FR_CORE back."
        )
    return bool(found["index"] == ours.index)


async def require_sealing(database: Database, ours: Writing) -> Document:
    """The mark of the store, a new one being marked as ours. Raises WrittenOtherwise where one is clear, one is not."""
    first = ours if await database.is_new() else _UNMARKED
    await database.insert_once({**_KEY, **asdict(first), "unfinished": False})
    found = await database.server.find_one(_KEY)
    assert found is not None  # noqa: S101 - inserted above and never removed
    if found.get("sealing"):
        raise WrittenOtherwise("fhir-ins keys encrypt has begun on this store and not ended: run it again.")
    sealed = found.get("sealed", False)
    if sealed and not ours.sealed:
        raise WrittenOtherwise(
            "This store is encrypted: set FHIR_INS_MASTER_KEY (or _FILE, or FHIR_INS_KMS) to its key."
        )
    if ours.sealed and not sealed:
        raise WrittenOtherwise(
            "This store is not encrypted, and a master key is set: stop the servers and run fhir-ins keys encrypt, or "
            "take FHIR_INS_MASTER_KEY away."
        )
    return found


async def begin_sealing(database: Database) -> bool:
    """From here on no server starts, until `end_sealing`; answers False where all is encrypted already.

    Raises WrittenOtherwise for a store whose search keys are of other rules: they are made anew first.
    """
    await database.insert_once({**_KEY, **asdict(_UNMARKED), "unfinished": False})
    found = await database.server.find_one(_KEY)
    assert found is not None  # noqa: S101 - inserted above and never removed
    if found.get("sealed", False):
        return bool(found.get("sealing"))
    if found["unfinished"] or found["index"] != INDEX:
        raise WrittenOtherwise("The search keys of this store are of another release: run fhir-ins reindex before.")
    await database.server.update_one(_KEY, {"$set": {"sealed": True, "sealing": True}})
    return True


async def end_sealing(database: Database) -> None:
    """All is encrypted."""
    await database.server.update_one(_KEY, {"$unset": {"sealing": ""}})


async def begin_rewriting(database: Database, ours: Writing) -> None:
    """From here on no server starts on a store in another release, nor searches one of other keys, until
    `end_rewriting`. Raises WrittenOtherwise.
    """
    await require_sealing(database, ours)
    other = {**_KEY, "fr_core": {"$ne": ours.fr_core}}
    await database.server.update_one(other, {"$set": {"fr_core": ours.fr_core, "unfinished": True}})
    await database.server.update_one({**_KEY, "index": {"$ne": ours.index}}, {"$set": {"index": _HALF_MADE}})


async def end_rewriting(database: Database, ours: Writing) -> None:
    """All is written as ours."""
    await database.server.update_one(_KEY, {"$set": {"index": ours.index, "unfinished": False}})


async def keys_watched(database: Database, ours: Writing, every: float = 2.0) -> None:
    """Let the store be searched while its search keys are ours, and not while they are made by a release of other
    rules; looks every so many seconds, until it is cancelled.
    """
    while True:
        await asyncio.sleep(every)
        with suppress(PyMongoError):  # it is away: looked at again
            database.keys_are_ours = await database.server.find_one({**_KEY, "index": ours.index}) is not None
