"""Conditions of create, update, patch and delete: a search whose matches decide what is done.

https://hl7.org/fhir/R4/http.html#cond-update. What decides is locked first, so that of concurrent requests with one
condition each sees what the one before it did: the identifiers it names, else the whole condition.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson
from starlette.requests import Request

from fhir_ins.api.context import base_url, context_of
from fhir_ins.fhir.outcome import BadRequest, PreconditionFailed
from fhir_ins.fhir.search import Search, pairs_of, parse
from fhir_ins.fhir.search_terms import TokenValue
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller
from fhir_ins.store.versions import Version

_NOT_CRITERIA = frozenset({"_format", "_pretty", "_summary", "_elements"})
_OF_PAGES = frozenset({"_count", "_sort", "_total"})


@dataclass(frozen=True, slots=True)
class Condition:
    """A search of one type, and what to lock for it."""

    type: str
    search: Search
    locks: tuple[bytes, ...]


def condition(request: Request, caller: Caller, type_: str, query: str) -> Condition:
    """The condition in a query string, of If-None-Exist or of a URL.

    Raises BadRequest where it is no search or has no criterion: such a condition would match everything.
    """
    given = pairs_of(query.removeprefix(f"{type_}?").removeprefix("?"))
    pairs = [(name, value) for name, value in given if name not in _NOT_CRITERIA]
    if any(name in _OF_PAGES for name, _ in pairs):
        raise BadRequest("A condition has no _count, _sort or _total: all its matches count.", code="not-supported")
    search = parse(pairs, PARAMETERS[type_], lenient=False, base=base_url(request))
    if not search.criteria:
        raise BadRequest(
            f"A condition is needed: search parameters that one {type_} matches, such as identifier=system|value.",
            code="required",
            message="SEARCH_NONE",
        )
    return Condition(type_, search, _locks(request, caller, type_, search))


async def matches(request: Request, caller: Caller, condition: Condition, most: int = 2) -> tuple[Version, ...]:
    """What matches, `most` at most, in the transaction that the request is part of; nobody else decides on it now."""
    resources = context_of(request).resources
    await resources.lock(condition.locks)
    found = await resources.search(caller, condition.type, replace(condition.search, count=most))
    return found.versions


def one_of(found: tuple[Version, ...]) -> Version | None:
    """The only match, or None without any. Raises PreconditionFailed for several."""
    if len(found) > 1:
        raise PreconditionFailed(
            "Several resources match the condition, so which one is meant is not known: nothing was done. Narrow the "
            "condition, or name the resource by its id.",
            code="multiple-matches",
            message="SEARCH_MULTIPLE",
        )
    return found[0] if found else None


def _locks(request: Request, caller: Caller, type_: str, search: Search) -> tuple[bytes, ...]:
    """Digests, since a condition may name a person."""
    identifiers = [
        value.code
        for criterion in search.criteria
        for value in criterion.values
        if isinstance(value, TokenValue) and any(found.name == "identifier" for found in criterion.parameters)
    ]
    decisive: list[Any] = [["identifier", code] for code in identifiers] or [sorted(search.applied)]
    key = context_of(request).cursor_key
    return tuple(
        blake2b(orjson.dumps([caller.tenant, type_, value]), key=key, digest_size=24).digest() for value in decisive
    )
