"""Erasing a person on the operator's word: `fhir-ins erase Patient/ID --reason …`. See `store.erasing`.

Servers may go on meanwhile. Copies of the database are the operator's: backups, and MongoDB's own log of operations.
"""

import pymongo

from fhir_ins.at_rest import configured_keyring
from fhir_ins.evidence import evidence_keys
from fhir_ins.frcore.traits import traits_of
from fhir_ins.security.caller import Caller
from fhir_ins.security.keyring import KeyFault
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database
from fhir_ins.store.erasing import Erased, Erasing
from fhir_ins.store.evidence import Evidence, StillSealed
from fhir_ins.store.writing import Writing, WrittenOtherwise, require_sealing

OPERATOR = "fhir-ins erase"


class NothingErased(Exception):
    """Why nothing was erased, in plain words."""


async def erase(settings: Settings, patient: str) -> Erased:
    """Erase the Patient of this id, and what is about it alone, in the structure of the settings.

    Raises NothingErased, ValueError for a key that is none, and PyMongoError.
    """
    keyring = configured_keyring(settings)
    uri, timeout = settings.mongodb_uri.get_secret_value(), settings.mongodb_timeout
    database = Database(uri, settings.mongodb_database, timeout=timeout, keyring=keyring)
    caller = Caller(settings.tenant, OPERATOR)
    try:
        with pymongo.timeout(None):
            await require_sealing(database, Writing(settings.fr_core, sealed=keyring is not None))
            await database.seals.check()
            evidence = await _evidence(settings, database)
            erasing = Erasing(database, caller, patient, evidence=evidence, traits_of=traits_of)
            known = await erasing.known()
            if known is None:
                raise NothingErased(f"The structure {settings.tenant} has no Patient/{patient}.")
            return await erasing.erase(known)
    except (StillSealed, WrittenOtherwise, KeyFault) as error:
        raise NothingErased(str(error)) from error
    finally:
        await database.close()


async def _evidence(settings: Settings, database: Database) -> Evidence | None:
    """The evidence of the structure, open; None where there is none. What is sealed may be of the person."""
    keys = evidence_keys(settings)
    if keys:
        return Evidence(database, keys, days=settings.insi_evidence_days)
    if await database.database["evidence"].find_one({"tenant": settings.tenant}, {"_id": 1}):
        raise NothingErased("There is evidence of calls to INSi: set FHIR_INS_INSI_EVIDENCE_KEY, which opens it.")
    return None
