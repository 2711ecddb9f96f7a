"""FHIR search: GET [base]/[type]?… and POST [base]/[type]/_search, of a type, of a compartment, of several types.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed, queried
from fhir_ins.api.body import bounded_body
from fhir_ins.api.chains import chained
from fhir_ins.api.context import base_url, caller_of, context_of, source_of, type_of
from fhir_ins.api.includes import INCLUDES, included, includes
from fhir_ins.api.negotiation import named_format
from fhir_ins.api.paging import Position, opened, sealed
from fhir_ins.api.patients import gone
from fhir_ins.api.prefer import preference
from fhir_ins.api.responses import FORMAT, json_response
from fhir_ins.api.view import PARAMETERS as OF_VIEW
from fhir_ins.api.view import view
from fhir_ins.fhir.compartments import compartment_criteria
from fhir_ins.fhir.outcome import BadRequest, NotFound, UnsupportedMediaType
from fhir_ins.fhir.search import Search, pairs_of, parse
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller
from fhir_ins.store.finding import Found, Mark, Page, Start, in_time
from fhir_ins.store.merging import merged, start_of
from fhir_ins.store.versions import Version

ESTIMATED = 10_000  # the total that is counted up to for _total=estimate
_CURSOR = "_cursor"
_SORT = "_sort"
_TYPE = "_type"
_FORM = "application/x-www-form-urlencoded"
_OF_THE_ANSWER = frozenset({"_format", "_pretty"})
_BESIDE = OF_VIEW | INCLUDES | {_TYPE}  # what is shown of the matches, what comes along, where they are sought

Pair = tuple[str, str]


async def search(request: Request) -> Response:
    caller = caller_of(request)
    type_ = type_of(request)
    pairs = await _asked_pairs(request)
    place = await _place(request, caller, type_)
    return await _answer(request, caller, place, pairs, type_)


async def search_system(request: Request) -> Response:
    """GET [base]?_type=… and POST [base]/_search: of several types, or of all that are stored."""
    caller = caller_of(request)
    return await _answer(request, caller, "", await _asked_pairs(request), None)


async def _asked_pairs(request: Request) -> list[Pair]:
    """All parameters, of the URL and of the form, but those of the answer's format, which is set."""
    pairs = pairs_of(request.scope["query_string"].decode("latin-1")) + (
        await _form(request) if request.method == "POST" else []
    )
    for name, value in pairs:
        if name == "_format":
            request.scope[FORMAT] = named_format(value)
    return [pair for pair in pairs if pair[0] not in _OF_THE_ANSWER]


async def _answer(request: Request, caller: Caller, place: str, pairs: list[Pair], type_: str | None) -> Response:
    async with in_time(context_of(request).database):
        return json_response(await _bundle(request, caller, place, pairs, type_))


async def _bundle(request: Request, caller: Caller, place: str, pairs: list[Pair], type_: str | None) -> bytes:
    start, pairs = _position(request, caller, place, pairs)
    if type_:
        pairs = _of_one_type(request, pairs, type_)
    types = (type_,) if type_ else _types(request, pairs)
    shown = view(pairs, counts=True)
    stored = context_of(request).served.stored
    along = includes(caller, pairs, types, stored)
    searches = await _searches(request, caller, types, place, pairs)
    search = searches[types[0]]
    applied = (*search.applied, *(pair for pair in pairs if pair[0] in _BESIDE))
    if search.count == 0 or shown.summary == "count":
        counted = await _count(request, caller, searches)
        return searchset(request, place, applied, (), total=counted)
    page = await _page(request, caller, searches, start)
    total = len(page.found) if start is None and not page.after else await _total(request, caller, searches)
    entries = [Entry(shown.version(version)) for version in page.versions]
    beside = await included(request, caller, page.versions, along)
    entries += [Entry(version, "include") for version in beside]
    disclosed(*page.versions, *beside)
    links = _links(request, caller, place, applied, page)
    return searchset(request, place, applied, entries, total=total, links=links)


async def _searches(
    request: Request, caller: Caller, types: Sequence[str], place: str, pairs: Sequence[Pair]
) -> dict[str, Search]:
    """The criteria as they are of each type, its chains searched for.

    Leniently, what one of the types does not know is left out of all: each is searched by the same.
    """
    lenient, base = _is_lenient(request), base_url(request)
    asked = [pair for pair in pairs if pair[0] not in _BESIDE]
    chains = {type_: await chained(request, caller, type_, asked, lenient=lenient) for type_ in types}
    if lenient:
        read = (parse(asked, PARAMETERS[one], lenient=True, base=base, chained=chains[one]) for one in types)
        asked = _in_common([search.applied for search in read])
    return {
        type_: within(parse(asked, PARAMETERS[type_], lenient=False, base=base, chained=chains[type_]), place, type_)
        for type_ in types
    }


def _in_common(applied: Sequence[Sequence[Pair]]) -> list[Pair]:
    """The parameters that are applied to all types, and of the order the keys that are."""
    common: list[Pair] = []
    for name, value in applied[0]:
        if name == _SORT:
            orders = [{key for other, keys in pairs if other == _SORT for key in keys.split(",")} for pairs in applied]
            value = ",".join(key for key in value.split(",") if all(key in order for order in orders))
        if value if name == _SORT else all((name, value) in pairs for pairs in applied):
            common.append((name, value))
    return common


def _is_lenient(request: Request) -> bool:
    return preference(request, "handling") == "lenient"


def _of_one_type(request: Request, pairs: list[Pair], type_: str) -> list[Pair]:
    """The parameters of a search of one type. Raises BadRequest for a `_type` that names another; leniently it goes."""
    others = [(name, value) for name, value in pairs if name == _TYPE and value != type_]
    if others and not _is_lenient(request):
        text = f"This address searches {type_}: leave _type out, or search several types by [base]?_type=."
        raise BadRequest(text, code="not-supported")
    return [pair for pair in pairs if pair not in others]


def _types(request: Request, pairs: Iterable[Pair]) -> tuple[str, ...]:
    """The types that `_type` names, in their order; without it all that are stored and that the caller may search."""
    caller, stored = caller_of(request), context_of(request).served.stored
    named = [type_ for name, value in pairs if name == _TYPE for type_ in value.split(",")]
    if wrong := [type_ for type_ in named if type_ not in stored]:
        shown = wrong[0] if wrong[0].isalpha() and wrong[0].isascii() else "A value"
        raise BadRequest(f"{shown} of _type is no type of resource that is stored here: {', '.join(stored)}.")
    if not named:
        return caller.among("s", stored)
    caller.require_on("s", *named)
    return tuple(type_ for type_ in stored if type_ in named)


async def _page(request: Request, caller: Caller, searches: Mapping[str, Search], start: "_Start | None") -> Page:
    """The page of all types together: each searched for a page of its own from the same mark on."""
    types = sorted(searches)
    pages = {
        type_: await source_of(request, type_).search(
            caller, type_, searches[type_], start_of(type_, start.type, start.start) if start else None
        )
        for type_ in types
    }
    if len(types) == 1:
        return pages[types[0]]
    return merged(pages, searches[types[0]], start.start if start else None)


async def _count(request: Request, caller: Caller, searches: Mapping[str, Search], most: int = 0) -> int:
    return sum(
        [await source_of(request, type_).count(caller, type_, search, most) for type_, search in searches.items()]
    )


async def _total(request: Request, caller: Caller, searches: Mapping[str, Search]) -> int | None:
    """https://hl7.org/fhir/R4/search.html#total: an estimate is right as far as is counted, and no less beyond."""
    asked = next(iter(searches.values())).total
    if asked == "none":
        return None
    return await _count(request, caller, searches, ESTIMATED if asked == "estimate" else 0)


async def _place(request: Request, caller: Caller, type_: str) -> str:
    """What is searched, as the address says it: a type, or what of it is in a compartment (Patient/123/Observation).

    Raises NotFound or Gone where the compartment's own resource is not there, and NotFound for a type that it never
    holds.
    """
    if "compartment" not in request.path_params:
        return type_
    compartment, id_ = request.path_params["compartment"], request.path_params["id"]
    if not compartment_criteria(compartment, id_, type_):
        text = f"The compartment of a {compartment} holds no {type_}: search for them by type, [base]/{type_}."
        raise NotFound(text, code="not-supported")
    owner = await source_of(request, compartment).read(caller, compartment, id_)
    if owner.body is None:
        raise gone(owner.updated)
    return f"{compartment}/{id_}/{type_}"


def within(search: Search, place: str, type_: str) -> Search:
    """The search, of what is in the compartment that the place names, if it names one."""
    compartment, _, rest = place.partition("/")
    criterion = compartment_criteria(compartment, rest.partition("/")[0], type_) if rest else None
    return replace(search, criteria=(criterion, *search.criteria)) if criterion else search


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a page starts, and the type of the resource that stands there."""

    start: Start
    type: str


def _position(request: Request, caller: Caller, place: str, pairs: list[Pair]) -> tuple[_Start | None, list[Pair]]:
    cursors = [value for name, value in pairs if name == _CURSOR]
    if not cursors:
        return None, pairs
    if len(pairs) > 1:
        raise BadRequest("A _cursor holds the whole search: follow the next link as it is, without other parameters.")
    position = opened(cursors[0], context_of(request).cursor_key, caller, place)
    queried(urlencode(position.applied))
    if position.after is None:
        return None, list(position.applied)
    values, id_, type_, back = position.after
    return _Start(Start(Mark(tuple(values), id_), back=back), type_), list(position.applied)


def _links(request: Request, caller: Caller, place: str, applied: Sequence[Pair], page: Page) -> dict[str, str]:
    """The queries of the pages around this one, by relation: what was searched for by POST stays out of them all."""

    def cursor(at: Found | None, *, back: bool = False) -> str:
        after = [list(at.mark.values), at.mark.id, at.version.type, back] if at else None
        position = Position(tuple(applied), after)
        return f"{_CURSOR}={sealed(position, context_of(request).cursor_key, caller, place)}"

    links = {"first": cursor(None)} if page.before or page.after else {}
    if page.before and page.found:
        links["previous"] = cursor(page.found[0], back=True)
    if page.after and page.found:
        links["next"] = cursor(page.found[-1])
    return links


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in a searchset; `mode` says why it is there (match, include)."""

    version: Version
    mode: str = "match"


NO_LINKS: Mapping[str, str] = {}


def searchset(
    request: Request,
    place: str,
    applied: Sequence[Pair],
    entries: Sequence[Entry],
    *,
    total: int | None,
    links: Mapping[str, str] = NO_LINKS,
) -> bytes:
    """The Bundle around the ready bytes, for `place` below the base; `total` where it is known, or asked for.

    `links` are queries beside that of the page itself.
    """
    base = base_url(request)
    here = f"{base}/{place}".rstrip("/")
    queries = {"self": urlencode(applied), **links}
    relations = [
        {"relation": relation, "url": f"{here}?{query}" if query else here} for relation, query in queries.items()
    ]
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    opening = orjson.dumps({**head, "link": relations})
    if not entries:
        return opening
    written = (
        b'{"fullUrl":%b,"resource":%b,"search":{"mode":"%b"}}'
        % (
            orjson.dumps(f"{base}/{entry.version.type}/{entry.version.id}"),
            entry.version.body or b"null",
            entry.mode.encode(),
        )
        for entry in entries
    )
    return opening[:-1] + b',"entry":[' + b",".join(written) + b"]}"


async def _form(request: Request) -> list[tuple[str, str]]:
    """The parameters in the body; all may be in the URL instead, and the body be empty."""
    body = await bounded_body(request)
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType(f"A search by POST sends its parameters as {_FORM}.")
    text = _text(body)
    queried(text)
    return pairs_of(text)


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadRequest("The search parameters must be URL-encoded.") from error
