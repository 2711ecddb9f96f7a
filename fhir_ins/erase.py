"""Erasing a person on the operator's word: `fhir-ins erase Patient/ID --reason …`. See `store.erasing`.

Servers may go on meanwhile. Copies of the database are the operator's: backups, and MongoDB's own log of operations.
"""

import time
from collections.abc import Sequence
from http import HTTPStatus

import pymongo
from pymongo.errors import PyMongoError

from fhir_ins.at_rest import configured_keyring
from fhir_ins.audit import Auditing, chain_of, configured_audit, trail_of
from fhir_ins.evidence import evidence_keys
from fhir_ins.frcore.traits import traits_of
from fhir_ins.security.audit.event import Event
from fhir_ins.security.caller import Caller
from fhir_ins.security.keyring import KeyFault
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database
from fhir_ins.store.erasing import Erased, Erasing
from fhir_ins.store.evidence import Evidence, StillSealed
from fhir_ins.store.trail import Trail, TrailUnavailable
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
            evidence, proof = await _evidence(settings, database), await _proof(settings, database)
            erasing = Erasing(database, caller, patient, evidence=evidence, traits_of=traits_of)
            known = await erasing.known()
            if known is None:
                raise NothingErased(f"The structure {settings.tenant} has no Patient/{patient}.")
            await proof.begun(patient)
            erased = await erasing.erase(known)
            await proof.done(patient, erased)
            return erased
    except (StillSealed, WrittenOtherwise, KeyFault) as error:
        raise NothingErased(str(error)) from error
    finally:
        await database.close()


class _Proof:
    """The trail of what was done: that it was begun, and what was erased; of no trail, nothing."""

    def __init__(self, settings: Settings, auditing: Auditing | None, trail: Trail | None) -> None:
        self._tenant = settings.tenant
        self._auditing = auditing
        self._trail = trail

    async def begun(self, patient: str) -> None:
        """Raises NothingErased where the trail cannot be written."""
        try:
            await self._journalled(patient, HTTPStatus.ACCEPTED, [])
        except TrailUnavailable:
            raise NothingErased("The audit trail cannot be written, so nothing was erased: run it again.") from None

    async def done(self, patient: str, erased: Erased) -> None:
        """Raises PyMongoError where the trail cannot be written: run again, it says that nothing is left."""
        try:
            await self._journalled(patient, HTTPStatus.OK, erased.resources)
        except TrailUnavailable as error:
            raise PyMongoError("the audit trail") from error

    async def _journalled(self, patient: str, status: HTTPStatus, resources: Sequence[str]) -> None:
        if self._auditing is None or self._trail is None:
            return
        now = time.time_ns() // 1_000_000
        who, what = (OPERATOR, None, None), ("Patient", patient, "")
        event = Event(now, "erase", status, "", *who, *what, resources, [patient], [])
        await self._trail.journalled(self._tenant, [event])
        tail = self._trail.tails()[self._tenant]
        self._auditing.checkpoints.append(self._auditing.signing, self._tenant, tail.sequence, tail.hash, cut=False)


async def _proof(settings: Settings, database: Database) -> _Proof:
    """The audit trail of the structure. What is erased must show there."""
    auditing = configured_audit(settings)
    if auditing is None and await database.database["audit"].find_one({"tenant": settings.tenant}, {"_id": 1}):
        raise NothingErased("There is an audit trail, which has to show this: set FHIR_INS_AUDIT_KEY and its like.")
    return _Proof(settings, auditing, trail_of(settings, auditing, chain_of(database, auditing)))


async def _evidence(settings: Settings, database: Database) -> Evidence | None:
    """The evidence of the structure, open; None where there is none. What is sealed may be of the person."""
    keys = evidence_keys(settings)
    if keys:
        return Evidence(database, keys, days=settings.insi_evidence_days)
    if await database.database["evidence"].find_one({"tenant": settings.tenant}, {"_id": 1}):
        raise NothingErased("There is evidence of calls to INSi: set FHIR_INS_INSI_EVIDENCE_KEY, which opens it.")
    return None
