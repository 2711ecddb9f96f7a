"""The AuditEvents of the trail, read and searched as stored resources are, by holders of ins.audit alone.

What a batch is found by in the database is its tenant, its place (an id, and roughly when it was), and keyed tokens of
the patients and agents it names. The batches so found are opened, and their events judged in memory by the ordinary
grammar, the newest first. A search that would open too many is refused, with the remedy.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_ins.api.audit_event import Recorded, audit_event, place_of_id
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.matching import matches, value_of_sort, values_under
from fhir_ins.fhir.outcome import BadRequest, NotFound, Unavailable
from fhir_ins.fhir.search import Criterion, Search, SortKey
from fhir_ins.fhir.search_parameters import Keys, keys_of
from fhir_ins.fhir.search_terms import DateValue, TokenValue, UriValue
from fhir_ins.security.audit.event import events_in
from fhir_ins.security.audit.keys import AuditKeys, NotOpened
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.chain import Chain, Link
from fhir_ins.store.finding import Found, Mark, Page, Start, page_of
from fhir_ins.store.trail import AGENT, PATIENT
from fhir_ins.store.versions import Version

MOST_OPENED = 500  # batches that one search may open

# What processes that append to one chain may differ in their clocks, so that its times are in order but for that.
_SLACK = 300_000  # milliseconds
_AGENTS = frozenset({"altid", "agent:identifier"})


@dataclass(frozen=True, slots=True)
class _One:
    """An AuditEvent as it is searched for."""

    version: Version
    keys: Keys


class AuditEvents:
    """It reads and searches as `Resources` does; without a trail there are none."""

    def __init__(self, chain: Chain | None, keys: AuditKeys | None) -> None:
        self._chain = chain
        self._keys = keys

    async def read(self, caller: Caller, _type: str, id_: str) -> Version:
        """Raises NotFound, Forbidden, and Unavailable for one whose key is not known."""
        caller.require(Right.AUDIT)
        place = place_of_id(id_)
        link = await self._chain.at(caller.tenant, place[0]) if self._chain and place else None
        found = [one for one in self._events(link) if one.id == id_] if link else []
        if not found or link is None:
            raise NotFound("There is no such AuditEvent: search for it by date, patient or altid.")
        return self._version(found[0], link)

    async def search(self, caller: Caller, _type: str, search: Search, start: Start | None = None) -> Page:
        """The matches before or after `start`, `search.count` of them at most. Raises BadRequest if it is too broad."""
        caller.require(Right.AUDIT)
        if search.sort:
            return await self._sorted_page(caller, search, start)
        found: list[Found] = []
        async for one in self._matching(caller, search, start):
            found.append(Found(Mark((), one.version.id), one.version))
            if len(found) > search.count:
                break
        return page_of(found, search.count, start)

    async def count(self, caller: Caller, _type: str, search: Search, most: int = 0) -> int:
        """How many match; `most` at most, where it is given."""
        caller.require(Right.AUDIT)
        counted = 0
        async for _ in self._matching(caller, search, None):
            counted += 1
            if counted == most:
                break
        return counted

    async def _sorted_page(self, caller: Caller, search: Search, start: Start | None) -> Page:
        """All that match, by the keys they are sorted by, the last key first: sorting leaves equals as they stand."""
        ones = [one async for one in self._matching(caller, search, None)]
        for key in reversed(search.sort):
            ones.sort(key=_sort_value(key), reverse=key.descending)
        found = [Found(Mark((), one.version.id), one.version) for one in ones]
        if start is None:
            return page_of(found, search.count, None)
        at = next((place for place, one in enumerate(found) if one.mark.id == start.mark.id), -1)
        return page_of(found[: max(at, 0)][::-1] if start.back else found[at + 1 :], search.count, start)

    async def _matching(self, caller: Caller, search: Search, start: Start | None) -> AsyncIterator[_One]:
        """What matches after the start, the newest first, or before it, going back."""
        if self._chain is None or self._keys is None:
            return
        oldest_first = bool(start and start.back)
        query = await self._narrowed(caller, search, start)
        opened = 0
        found = self._chain.found(caller.tenant, query, oldest_first=oldest_first, most=MOST_OPENED + 1)
        async for link in found:
            opened += 1
            if opened > MOST_OPENED:
                raise BadRequest(
                    f"This search would open more than {MOST_OPENED} batches of the audit trail: narrow it by date, "
                    "patient, altid (who acted) or _id.",
                    code="too-costly",
                )
            await asyncio.sleep(0)  # others go on meanwhile
            for recorded in sorted(self._events(link), key=lambda one: one.number, reverse=not oldest_first):
                if start is None or ((recorded.id > start.mark.id) is start.back and recorded.id != start.mark.id):
                    resource = audit_event(recorded, self._keys)
                    one = _One(self._version(recorded, link, resource), keys_of(resource))
                    if matches(one.keys, search):
                        yield one

    async def _narrowed(self, caller: Caller, search: Search, start: Start | None) -> dict[str, Any]:
        """What MongoDB may know of what is asked for."""
        assert self._chain is not None and self._keys is not None  # noqa: S101, PT018 - the only caller has both
        conditions: list[dict[str, Any]] = []
        for criterion in search.criteria:
            if tokens := _tokens(self._keys, caller.tenant, criterion):
                conditions.append({"tokens": {"$in": tokens}})
            elif (places := _places(criterion)) is not None:
                conditions.append({"sequence": {"$in": places}})
            else:
                conditions += [await self._around(caller.tenant, value) for value in _moments(criterion)]
        if start and (place := place_of_id(start.mark.id)):
            conditions.append({"sequence": {"$gte" if start.back else "$lte": place[0]}})
        return {"$and": conditions} if conditions else {}

    async def _around(self, tenant: str, asked: DateValue) -> dict[str, Any]:
        """The part of the chain in which events of that time are."""
        assert self._chain is not None  # noqa: S101 - the only caller has one
        bounds: dict[str, int] = {}
        if asked.prefix in ("eq", "gt", "ge", "sa"):
            low = await self._chain.first_ending(tenant, int(asked.span.low) - _SLACK)
            bounds["$gte"] = 10**12 if low is None else low
        if asked.prefix in ("eq", "lt", "le", "eb"):
            high = await self._chain.first_ending(tenant, int(asked.span.high) + _SLACK)
            bounds |= {} if high is None else {"$lte": high}
        return {"sequence": bounds} if bounds else {}

    def _events(self, link: Link) -> list[Recorded]:
        """The events of a batch. Raises Unavailable where it cannot be opened: `fhir-ins audit verify` says why."""
        assert self._chain is not None  # noqa: S101 - a link comes from one
        try:
            server, events = events_in(self._chain.opened(link))
        except (NotOpened, ValueError) as error:
            text = "A part of the audit trail cannot be opened: its operator must see to it (fhir-ins audit verify)."
            raise Unavailable(text) from error
        return [
            Recorded(link.tenant, link.sequence, number, link.key, server, event)
            for number, event in enumerate(events, start=1)
        ]

    def _version(self, recorded: Recorded, link: Link, resource: dict[str, Any] | None = None) -> Version:
        assert self._keys is not None  # noqa: S101 - with a chain there are keys
        body = serialise(resource or audit_event(recorded, self._keys))
        moment = datetime.fromtimestamp(recorded.event.at / 1000, UTC)
        return Version("AuditEvent", recorded.id, link.hash.hex()[:16], moment, body)


def _tokens(keys: AuditKeys, tenant: str, criterion: Criterion) -> list[bytes]:
    """What the batches with a match are found by, where the criterion asks for patients or agents and nothing else."""
    if criterion.modifier:
        return []
    names = {parameter.name for parameter in criterion.parameters}
    found: list[bytes] = []
    for value in criterion.values:
        if names <= {"patient", "entity"} and isinstance(value, UriValue) and value.text.startswith("Patient/"):
            found += keys.tokens(tenant, PATIENT, value.text.removeprefix("Patient/"))
        elif names <= _AGENTS and isinstance(value, TokenValue) and value.code:
            found += keys.tokens(tenant, AGENT, value.code)
        else:
            return []
    return found


def _places(criterion: Criterion) -> list[int] | None:
    """The sequences of the ids asked for; None where it asks for something else."""
    if criterion.modifier or any(parameter.name != "_id" for parameter in criterion.parameters):
        return None
    ids = [value.code or "" for value in criterion.values if isinstance(value, TokenValue)]
    return [place[0] for place in map(place_of_id, ids) if place]


def _moments(criterion: Criterion) -> Iterable[DateValue]:
    """The moment asked for, where it is one: of several, any may match."""
    dated = all(parameter.name in ("date", "_lastUpdated") for parameter in criterion.parameters)
    value = criterion.values[0] if dated and not criterion.modifier and len(criterion.values) == 1 else None
    return [value] if isinstance(value, DateValue) else []


def _sort_value(key: SortKey) -> Callable[[_One], Any]:
    """The least value under the parameter, or the greatest; what has none stands before all else."""

    def value(one: _One) -> Any:
        if key.parameter.name == "_id":
            return one.version.id
        values = sorted(value_of_sort(found) for found in values_under(one.keys, set(key.parameter.names)))
        return (bool(values), values[-1 if key.descending else 0] if values else 0)

    return value
