"""FHIR search: GET [base]/[type]?… and POST [base]/[type]/_search, of a type or of what is in a compartment.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import bounded_body
from fhir_ins.api.chains import chained
from fhir_ins.api.context import base_url, caller_of, context_of, source_of, type_of
from fhir_ins.api.includes import INCLUDE, included, includes
from fhir_ins.api.negotiation import named_format
from fhir_ins.api.paging import Position, opened, sealed
from fhir_ins.api.patients import gone
from fhir_ins.api.prefer import preference
from fhir_ins.api.responses import FORMAT, json_response
from fhir_ins.api.view import PARAMETERS as OF_VIEW
from fhir_ins.api.view import view
from fhir_ins.fhir.compartments import compartment_criteria
from fhir_ins.fhir.outcome import BadRequest, NotFound, UnsupportedMediaType
from fhir_ins.fhir.search import Search, parse
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.versions import Version

_CURSOR = "_cursor"
_FORM = "application/x-www-form-urlencoded"
_OF_THE_ANSWER = frozenset({"_format", "_pretty"})
_BESIDE = OF_VIEW | {INCLUDE}  # what is shown of the matches, and along with them


async def search(request: Request) -> Response:
    caller = caller_of(request)
    caller.require(Right.READ)
    type_ = type_of(request)
    pairs = _pairs(request.scope["query_string"].decode("latin-1")) + (
        await _form(request) if request.method == "POST" else []
    )
    for name, value in pairs:
        if name == "_format":
            request.scope[FORMAT] = named_format(value)
    place = await _place(request, caller, type_)
    after, pairs = _position(request, caller, place, [pair for pair in pairs if pair[0] not in _OF_THE_ANSWER])
    shown = view(pairs, counts=True)
    lenient = preference(request, "handling") == "lenient"
    along = includes(pairs, type_)
    asked = [pair for pair in pairs if pair[0] not in _BESIDE]
    chains = await chained(request, caller, type_, asked, lenient=lenient)
    found = parse(asked, PARAMETERS[type_], lenient=lenient, base=base_url(request), chained=chains)
    found = within(found, place, type_)
    applied = (*found.applied, *(pair for pair in pairs if pair[0] in _BESIDE))
    source = source_of(request, type_)
    if found.count == 0 or shown.summary == "count":
        counted = await source.count(caller, type_, found)
        return json_response(searchset(request, place, applied, (), total=counted))
    page = await source.search(caller, type_, found, after)
    total = len(page.versions) if after is None and not page.more else None
    following = None
    if page.more:
        position = Position(applied, page.versions[-1].id)
        following = sealed(position, context_of(request).cursor_key, caller, place)
    entries = [Entry(shown.version(version)) for version in page.versions]
    entries += [Entry(version, "include") for version in await included(request, caller, page.versions, along)]
    return json_response(searchset(request, place, applied, entries, total=total, following=following))


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


def _position(
    request: Request, caller: Caller, place: str, pairs: list[tuple[str, str]]
) -> tuple[str | None, list[tuple[str, str]]]:
    cursors = [value for name, value in pairs if name == _CURSOR]
    if not cursors:
        return None, pairs
    if len(pairs) > 1:
        raise BadRequest("A _cursor holds the whole search: follow the next link as it is, without other parameters.")
    position = opened(cursors[0], context_of(request).cursor_key, caller, place)
    return position.after, list(position.applied)


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in a searchset; `mode` says why it is there (match, include)."""

    version: Version
    mode: str = "match"


def searchset(
    request: Request,
    place: str,
    applied: Sequence[tuple[str, str]],
    entries: Sequence[Entry],
    *,
    total: int | None,
    following: str | None = None,
) -> bytes:
    """The Bundle around the ready bytes, for `place` below the base; `total` where it is known without counting."""
    base = base_url(request)
    here = f"{base}/{place}"
    links = [{"relation": "self", "url": f"{here}?{urlencode(applied)}" if applied else here}]
    if following:
        links.append({"relation": "next", "url": f"{here}?{_CURSOR}={following}"})
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    opening = orjson.dumps({**head, "link": links})
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
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType(f"A search by POST sends its parameters as {_FORM}.")
    return _pairs(_text(await bounded_body(request)))


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs: Iterable[tuple[str, str]] = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError as error:
        raise BadRequest("The search parameters must be URL-encoded UTF-8, 20 at most.") from error
    return list(pairs)


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadRequest("The search parameters must be URL-encoded.") from error
