"""Searches in MongoDB, page by page: each page goes on from a mark, the sort values and the id of a resource.

So pages neither repeat nor leave out what is there all the while, whatever else comes and goes. The matches come in
order of id, or as `_sort` asks: https://hl7.org/fhir/R4/search.html#sort
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import ExecutionTimeout, NetworkTimeout, OperationFailure

from fhir_ins.fhir.json import parse
from fhir_ins.fhir.matching import is_met
from fhir_ins.fhir.outcome import BadRequest, Unavailable
from fhir_ins.fhir.references import local_reference
from fhir_ins.fhir.search import Search, SortKey
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_values import Kind
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database, Document
from fhir_ins.store.keys import place_of, uri_key
from fhir_ins.store.places import Place, date_keys, number_keys
from fhir_ins.store.query import Compiled, compiled
from fhir_ins.store.sealing import Seal
from fhir_ins.store.versions import Version, projection, readable

Order = list[tuple[str, int]]

_WHILE_MADE = "30"  # seconds
_BATCH = 100  # of what may match, judged at a time
_UPDATED = "_lastUpdated"
_STORED = {"_id": "id", _UPDATED: "updated"}  # sorted by without looking at keys


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a resource stands in an order: its sort values, as MongoDB compares them, and its id."""

    values: tuple[Any, ...]
    id: str


@dataclass(frozen=True, slots=True)
class Start:
    """From which mark a page goes on, or back; `inclusive`: what stands at the mark itself is part of it."""

    mark: Mark
    back: bool = False
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A match, and where it stands."""

    mark: Mark
    version: Version


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search, in its order; `before` and `after` say that others stand before it, or after."""

    found: tuple[Found, ...]
    before: bool = False
    after: bool = False

    @property
    def versions(self) -> tuple[Version, ...]:
        return tuple(found.version for found in self.found)


def page_of(found: Sequence[Found], count: int, start: Start | None) -> Page:
    """The page that `found` is, read from `start` on in its direction, more than `count` when there are others."""
    shown, more = tuple(found[:count]), len(found) > count
    if start and start.back:
        return Page(shown[::-1], before=more, after=True)
    return Page(shown, before=start is not None, after=more)


def order_of(search: Search) -> tuple[SortKey, ...]:
    """What it is sorted by before the id: what was written in a while comes in the order it was written in."""
    names = {parameter.name for criterion in search.criteria for parameter in criterion.parameters}
    if not search.sort and names == {_UPDATED}:
        return (SortKey(search.criteria[0].parameters[0]),)
    return search.sort


def last_key(order: Sequence[SortKey]) -> tuple[str, bool]:
    """The id, which tells apart what is alike in all else; whether it descends, as the index of `updated` has it."""
    latest = bool(order) and order[0].parameter.name == _UPDATED
    return "id", latest and not order[0].descending


@asynccontextmanager
async def in_time(database: Database) -> AsyncIterator[None]:
    """What one search may take, all its queries together. Raises BadRequest when they take longer."""
    try:
        with pymongo.timeout(database.search_timeout):
            yield
    except (ExecutionTimeout, NetworkTimeout) as error:
        await database.ping()  # or it is MongoDB that does not answer
        text = "The search takes too long: narrow it, by identifier, family and birthdate for instance."
        raise BadRequest(text, code="too-costly") from error


@dataclass(frozen=True, slots=True)
class Finding:
    """The resources of one type that a caller may find, within a transaction or not."""

    database: Database
    session: AsyncClientSession | None
    caller: Caller
    type: str
    seal: Seal

    async def page(self, search: Search, start: Start | None) -> Page:
        """See `Resources.search`."""
        query, order = self._compiled(search), order_of(search)
        stored = [key.parameter.name in _STORED for key in order]
        async with self._bounded(query, sorted_by_keys=not all(stored)):
            found = await self._read(query, order, start, search.count + 1)
        return page_of(found, search.count, start)

    async def ids(self, search: Search, most: int) -> list[str]:
        """See `Resources.ids`."""
        query = self._compiled(search)
        async with self._bounded(query):
            if query.judged:
                return [found.version.id for found in await self._read(query, (), None, most)]
            cursor = self.database.resources.find(
                query.filter, {"_id": 0, "id": 1}, session=self.session, hint=query.index, limit=most
            )
            return [str(document["id"]) async for document in cursor]

    async def count(self, search: Search, most: int) -> int:
        """See `Resources.count`."""
        query = self._compiled(search)
        options: dict[str, Any] = {"hint": query.index} if query.index else {}
        if most:
            options["limit"] = most
        async with self._bounded(query):
            if query.judged:
                return len(await self._read(query, (), None, most))
            return await self.database.resources.count_documents(query.filter, session=self.session, **options)

    async def referred(self, search: Search, parameter: SearchParameter, target: str, most: int) -> list[str]:
        """See `Resources.referred`."""
        query, place = self._compiled(search), place_of(self.caller.tenant, self.type)
        if self.seal.keyed:
            return await self._referred_by_bodies(query, parameter, target, most)
        starts = [f"{place}|{uri_key(name, target)}/" for name in parameter.names]
        options: dict[str, Any] = {"hint": query.index} if query.index else {}
        stages: list[Document] = [
            {"$match": query.filter},
            {"$project": {"id": {"$concatArrays": [_texts("$ix.token", start) for start in starts]}}},
            {"$unwind": "$id"},
            {"$group": {"_id": "$id"}},
            {"$limit": most},
        ]
        async with self._bounded(query):
            cursor = await self.database.resources.aggregate(stages, session=self.session, **options)
            return [str(document["_id"]) for document in await cursor.to_list()]

    async def _referred_by_bodies(
        self, query: Compiled, parameter: SearchParameter, target: str, most: int
    ) -> list[str]:
        """The same of an encrypted store, whose search keys cannot be read back."""
        ids: dict[str, None] = {}
        async with self._bounded(query):
            async for found in self._all(query, (), None):
                values = parameter.values(parse(found.version.body)) if found.version.body else ()
                locals_ = [local_reference(value) for value in values if isinstance(value, str)]
                ids |= dict.fromkeys(
                    local.partition("/")[2] for local in locals_ if local and local.startswith(f"{target}/")
                )
                if len(ids) >= most:
                    break
        return list(ids)[:most]

    @property
    def _place(self) -> Place:
        return self.seal.place(self.type, reference=self.caller.may(Right.REFERENCE))

    def _compiled(self, search: Search) -> Compiled:
        return compiled(search, self._place)

    async def _read(self, query: Compiled, order: Sequence[SortKey], start: Start | None, most: int) -> list[Found]:
        """The matches from `start` on, `most` at most; 0: all."""
        if not query.judged:
            return await self._candidates(query, order, start, most)
        found = []
        async for one in self._all(query, order, start):
            found.append(one)
            if len(found) == most:
                break
        return found

    async def _all(self, query: Compiled, order: Sequence[SortKey], start: Start | None) -> AsyncIterator[Found]:
        """The matches from `start` on, one batch of what may match after the other."""
        while True:
            batch = await self._candidates(query, order, start, _BATCH)
            for found in batch:
                if all(is_met(criterion, parse(found.version.body or b"{}")) for criterion in query.judged):
                    yield found
            if len(batch) < _BATCH:
                return
            start = Start(batch[-1].mark, back=bool(start and start.back))

    async def _candidates(
        self, query: Compiled, order: Sequence[SortKey], start: Start | None, most: int
    ) -> list[Found]:
        if all(key.parameter.name in _STORED for key in order):
            return await self._in_stored_order(query, order, start, most)
        return await self._in_order_of_keys(query, order, start, most)

    async def _opened(self, documents: Sequence[Document]) -> Sequence[Document]:
        return await self.database.seals.opened(self.caller.tenant, documents)

    @asynccontextmanager
    async def _bounded(self, query: Compiled, *, sorted_by_keys: bool = False) -> AsyncIterator[None]:
        """Raises BadRequest when all of a large collection would be looked at, or it takes too long."""
        self.database.require_keys()
        if not query.bounded and (query.unbounded or sorted_by_keys):
            await self._require_few(query)
        try:
            async with in_time(self.database):
                yield
        except OperationFailure as error:
            if "hint" not in str(error):
                raise
            text = "The indexes of searches are being made: try again later."
            raise Unavailable(text, Retry_After=_WHILE_MADE) from error

    async def _require_few(self, query: Compiled) -> None:
        most = self.database.most_unbounded
        here: Document = {"tenant": self.caller.tenant, "type": self.type, "live": True}
        counted = await self.database.resources.count_documents(here, session=self.session, hint="list", limit=most + 1)
        if counted > most:
            names = ", ".join(query.unbounded) or "_sort"
            raise BadRequest(
                f"{names} alone would look at every {self.type}, more than {most}: add a parameter that narrows the "
                "search, such as identifier, family or birthdate.",
                code="too-costly",
            )

    async def _in_stored_order(
        self, query: Compiled, order: Sequence[SortKey], start: Start | None, most: int
    ) -> list[Found]:
        """By what a document holds as such: its id, and when it was written."""
        fields = [(_STORED[key.parameter.name], key.descending) for key in order]
        latest = bool(fields) and fields[0][0] == "updated"
        sort = _directions([*fields, last_key(order)], start)
        filters = [query.filter, *_beyond(sort, start)]
        cursor = self.database.resources.find(
            {"$and": filters} if start else query.filter,
            projection(self.caller),
            session=self.session,
            sort=sort,
            limit=most,
            hint="latest-of-type" if latest and not query.bounded else query.index,
        )
        return [
            Found(Mark(tuple(document[field] for field, _ in fields), document["id"]), readable(document, self.caller))
            for document in await self._opened(await cursor.to_list())
        ]

    async def _in_order_of_keys(
        self, query: Compiled, order: Sequence[SortKey], start: Start | None, most: int
    ) -> list[Found]:
        """By search keys; in the place of what is deleted before its body is read comes what follows it."""
        found: list[Found] = []
        while len(found) < most:
            wanted = most - len(found)
            marks = await self._marked(query, order, start, wanted)
            bodies = self.database.resources.find(
                {"_id": {"$in": [key for key, _ in marks]}, "live": True}, projection(self.caller), session=self.session
            )
            there = {document["_id"]: document for document in await self._opened(await bodies.to_list())}
            found += [Found(mark, readable(there[key], self.caller)) for key, mark in marks if key in there]
            if len(marks) < wanted:
                break
            start = Start(marks[-1][1], back=bool(start and start.back))
        return found

    async def _marked(
        self, query: Compiled, order: Sequence[SortKey], start: Start | None, most: int
    ) -> list[tuple[str, Mark]]:
        """The `_id` of documents and where they stand, looked up in every match before the first can be told."""
        values = {f"k{number}": _sort_value(key, self._place) for number, key in enumerate(order)}
        directed = [(f"k{number}", key.descending) for number, key in enumerate(order)]
        sort = _directions([*directed, last_key(order)], start)
        stages: list[Document] = [{"$match": query.filter}, {"$project": {"id": 1, **values}}]
        if start:
            stages.append({"$match": {"$expr": _expression_beyond(sort, start)}})
        stages += [{"$sort": dict(sort)}, {"$limit": most}]
        options: dict[str, Any] = {"hint": query.index} if query.index else {}
        cursor = await self.database.resources.aggregate(stages, session=self.session, **options)
        return [
            (document["_id"], Mark(tuple(document[name] for name in values), document["id"]))
            for document in await cursor.to_list()
        ]


# Orders


def _directions(fields: Sequence[tuple[str, bool]], start: Start | None) -> Order:
    """Each field once, the other way round when going back."""
    back = bool(start and start.back)
    once = dict(reversed(fields))
    names = dict.fromkeys(field for field, _ in fields)
    return [(name, DESCENDING if once[name] is not back else ASCENDING) for name in names]


def _beyond(sort: Order, start: Start | None) -> list[Document]:
    """What stands after the mark: by the first field and, where that is the same, by the second."""
    if start is None:
        return []
    (first, direction), *rest = sort
    values = {**dict(zip((name for name, _ in sort), start.mark.values, strict=False)), "id": start.mark.id}
    after = {ASCENDING: "$gt", DESCENDING: "$lt"}
    last = "e" if start.inclusive else ""
    if not rest or first == "id":
        return [{first: {after[direction] + last: values[first]}}]
    ((second, way),) = rest
    here = {first: {after[direction] + "e": values[first]}}
    strictly = [{first: {after[direction]: values[first]}}, {second: {after[way] + last: values[second]}}]
    return [here, {"$or": strictly}]


def _expression_beyond(sort: Order, start: Start) -> Document:
    """The same of computed fields, of any types: what is missing stands before all else."""
    either: list[Document] = []
    same: list[Document] = []
    for (name, direction), value in zip(sort, [*start.mark.values, start.mark.id], strict=True):
        literal = {"$literal": value}
        last = "e" if start.inclusive and name == "id" else ""
        after = ("$gt" if direction == ASCENDING else "$lt") + last
        either.append({"$and": [*same, {after: [f"${name}", literal]}]})
        same.append({"$eq": [f"${name}", literal]})
    return {"$or": either}


def _sort_value(key: SortKey, place: Place) -> Document:
    """The least value under the parameter, or the greatest; null where there is none."""
    parameter = key.parameter
    place.require_order(parameter.name, parameter.kind)
    if parameter.name in _STORED:
        return {"$ifNull": [f"${_STORED[parameter.name]}", None]}
    lists = [_listed(parameter, name, place) for name in parameter.names]
    values = lists[0] if len(lists) == 1 else {"$concatArrays": lists}
    return {"$ifNull": [{"$max" if key.descending else "$min": values}, None]}


def _listed(parameter: SearchParameter, name: str, place: Place) -> Document:
    """The values under one name, as an array of what MongoDB compares."""
    if parameter.kind is Kind.STRING:
        return _texts("$ix.string", f"{name}|")
    if parameter.kind is Kind.TOKEN:
        return _texts("$ix.token", f"{place.start}{name}|code|")
    if parameter.kind in (Kind.URI, Kind.REFERENCE):
        return _texts("$ix.token", f"{place.start}{name}|uri|")
    keys = place.ranges(date_keys(name) if parameter.kind is Kind.DATE else number_keys(name))
    of = {"$filter": {"input": {"$ifNull": ["$ix.range", []]}, "cond": {"$in": ["$$this.p", keys]}}}
    return {"$map": {"input": of, "in": "$$this.low"}}


def _texts(array: str, start: str) -> Document:
    of = {
        "$filter": {
            "input": {"$ifNull": [array, []]},
            "cond": {"$eq": [{"$indexOfBytes": ["$$this", {"$literal": start}]}, 0]},
        }
    }
    return {"$map": {"input": of, "in": {"$substrBytes": ["$$this", len(start.encode()), -1]}}}
