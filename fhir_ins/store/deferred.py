"""Calls to INSi that wait until it can be asked: what waits, and whose turn it is to ask.

A call's key is the `_id` of its document, so that the database lets it wait once only. Turns are leases by MongoDB's
own clock ($$NOW): the clocks of the servers need not agree, and a process that dies leaves its turn to another.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.ins.traits import Traits
from fhir_ins.security.caller import Caller
from fhir_ins.store.database import Database, Document
from fhir_ins.store.resources import Along, VersionChanged

LEASE_SECONDS = 6.0
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # due by every clock


class AlreadyWaiting(Exception):
    """A call of the same key waits already."""


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call of $ins-fetch for `patient` that `task` tells about (their ids), and who asked for it.

    `key` says what makes it the same as another; `failures` is how often INSi itself has failed on it.
    """

    tenant: str
    key: str
    task: str
    patient: str
    client: str
    user: str | None
    accept_traits: bool
    force: bool
    since: datetime
    failures: int = 0

    @property
    def caller(self) -> Caller:
        """Who has INSi asked; what is done for them needs no right that was not looked at when they asked."""
        return Caller(self.tenant, self.client, frozenset(), self.user)


@dataclass(frozen=True, slots=True)
class Turn:
    """The lease under which one process asks INSi what waits in a tenant; `failures` in a row came before it."""

    tenant: str
    holder: str
    failures: int


class DeferredCalls:
    """What waits, of every tenant; one for a process.

    `stirred` is set when this process has deferred a call, or has heard of INSi again in a tenant it had left alone.
    """

    def __init__(self, database: Database, secret: bytes) -> None:
        """`secret`: 32 bytes, the same for every process; no key can be computed without it."""
        self._database = database
        self._waiting = database.deferred
        self._secret = secret
        self._with_turns: set[str] = set()
        self._left_alone: set[str] = set()
        self._resumed: set[str] = set()
        self.stirred = asyncio.Event()

    # Calls

    def key_of_traits(self, tenant: str, traits: Traits) -> str | None:
        """The key of a call for somebody with these traits, which tells nothing of them; None where INSi takes none."""
        wire = traits_for_insi(traits)
        if isinstance(wire, dict):
            return None
        told = [tenant, wire.family, wire.given, wire.sex, wire.birth_date, wire.birth_place]
        return "traits/" + hmac.new(self._secret, orjson.dumps(told), hashlib.sha256).hexdigest()

    @staticmethod
    def key_of_patient(id_: str) -> str:
        """The key of a call for a stored Patient."""
        return f"Patient/{id_}"

    async def waiting(self, caller: Caller, key: str) -> WaitingCall | None:
        """The call that waits under this key in the caller's tenant."""
        return _call(await self._waiting.find_one({"_id": f"{caller.tenant}/{key}"}))

    async def waiting_for(self, caller: Caller, patient: str) -> WaitingCall | None:
        """The call that waits for this Patient, whatever its key."""
        return _call(await self._waiting.find_one({"tenant": caller.tenant, "patient": patient}))

    async def tenants(self, among: Collection[str]) -> list[str]:
        """Those of these tenants in which something waits."""
        return list(await self._waiting.distinct("tenant", {"tenant": {"$in": list(among)}}))

    async def oldest(self, tenant: str) -> WaitingCall | None:
        """The call that has waited longest in a tenant, of those that are due."""
        due: Document = {"tenant": tenant, "$expr": {"$lte": ["$due", "$$NOW"]}}
        return _call(await self._waiting.find_one(due, sort=[("since", pymongo.ASCENDING), ("_id", pymongo.ASCENDING)]))

    async def postpone(self, call: WaitingCall, seconds: float, *, failures: int) -> None:
        """Let the others pass for so long."""
        changed: Document = {"due": _from_now(seconds), "failures": failures}
        await self._waiting.update_one(_one(call), [{"$set": changed}])

    def put(self, call: WaitingCall) -> Along:
        """Have it wait. Raises AlreadyWaiting, in the transaction it goes along with."""
        document = {"_id": _key(call), **asdict(call), "due": _LONG_AGO}

        async def along(session: AsyncClientSession) -> None:
            try:
                await self._waiting.insert_one(document, session=session)
            except DuplicateKeyError as error:
                raise AlreadyWaiting from error

        return along

    def moved(self, call: WaitingCall) -> Along:
        """Have it wait under the key of its Patient: calls with the traits it was deferred by are not the same now."""
        put = self.put(replace(call, key=self.key_of_patient(call.patient)))

        async def along(session: AsyncClientSession) -> None:
            if not (await self._waiting.delete_one(_one(call), session=session)).deleted_count:
                raise VersionChanged  # it has ended meanwhile, and is not to begin again
            await put(session)

        return along

    def removed(self, tenant: str, task: str) -> Along:
        """Have nothing wait any more that this Task tells about."""

        async def along(session: AsyncClientSession) -> None:
            await self._waiting.delete_many({"tenant": tenant, "task": task}, session=session)

        return along

    # Turns

    async def take_turn(self, tenant: str, *, pace: float, lease: float = LEASE_SECONDS) -> Turn | None:
        """Take the turn of a tenant, for `lease` seconds and not twice in `pace` seconds; None while it is not free."""
        key, holder = _turn_key(tenant), uuid4().hex
        if tenant not in self._with_turns:
            await self._database.insert_once({"_id": key, "until": _EPOCH, "due": _EPOCH, "failures": 0})
            self._with_turns.add(tenant)
        free: Document = {"_id": key, "$expr": {"$and": [{"$lte": [name, "$$NOW"]} for name in ("$until", "$due")]}}
        taken = {"holder": holder, "until": _from_now(lease), "due": _from_now(pace)}
        found = await self._database.server.find_one_and_update(free, [{"$set": taken}])
        return Turn(tenant, holder, int(found["failures"])) if found else None

    async def keep_turn(self, turn: Turn, *, lease: float = LEASE_SECONDS) -> None:
        """Hold it for so long from now."""
        await self._database.server.update_one(_held(turn), [{"$set": {"until": _from_now(lease)}}])

    async def leave_turn(self, turn: Turn, *, pause: float, failures: int) -> None:
        """Give it back; nobody takes it for `pause` seconds."""
        due = {"$max": ["$due", _from_now(pause)]}
        left = {"until": "$$NOW", "due": due, "failures": failures}
        await self._database.server.update_one(_held(turn), [{"$set": left}])
        if failures:
            self._left_alone.add(turn.tenant)

    def insi_answers(self, tenant: str) -> None:
        """INSi has answered somebody in this tenant: what waits there need not wait for the end of a pause."""
        if tenant in self._left_alone:
            self._left_alone.discard(tenant)
            self._resumed.add(tenant)
            self.stirred.set()

    async def end_pauses(self) -> None:
        """Where INSi answers again, make the turn free at once."""
        while self._resumed:
            key = _turn_key(self._resumed.pop())
            await self._database.server.update_one({"_id": key}, [{"$set": {"due": "$$NOW", "failures": 0}}])


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _call(document: Document | None) -> WaitingCall | None:
    if document is None:
        return None
    return WaitingCall(**{name: value for name, value in document.items() if name not in ("_id", "due")})


def _one(call: WaitingCall) -> Document:
    return {"_id": _key(call), "task": call.task}


def _key(call: WaitingCall) -> str:
    return f"{call.tenant}/{call.key}"


def _turn_key(tenant: str) -> str:
    return f"deferred-turn/{tenant}"


def _held(turn: Turn) -> Document:
    return {"_id": _turn_key(turn.tenant), "holder": turn.holder}


def _from_now(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * 1000)]}
