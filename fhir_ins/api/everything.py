"""Patient/[id]/$everything: the Patient, what is in its compartment, and what that refers to.

https://hl7.org/fhir/R4/patient-operation-everything.html. Pages follow each other type by type.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.body import bounded_body, resource_in
from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.paging import Position, opened, sealed
from fhir_ins.api.patients import gone
from fhir_ins.api.responses import json_response
from fhir_ins.api.search import Entry, searchset, within
from fhir_ins.fhir.compartments import compartment_criteria
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.operations import Parameter, arguments
from fhir_ins.fhir.outcome import BadRequest, NotFound
from fhir_ins.fhir.references import local_references
from fhir_ins.fhir.search import GREATEST_COUNT
from fhir_ins.fhir.search import parse as search_in
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller
from fhir_ins.store.finding import Mark, Start
from fhir_ins.store.versions import Version

_IN = {
    "_since": Parameter("_since", "instant", 0, 1, {}),
    "_type": Parameter("_type", "code", 0, None, {}),
    "_count": Parameter("_count", "integer", 0, 1, {}),
}
_OF_THE_ANSWER = frozenset({"_format", "_pretty"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which of the types, since when, how many a page; after which resource (Type/id)."""

    types: tuple[str, ...]
    since: str | None
    count: int
    after: str | None
    applied: tuple[tuple[str, str], ...]


async def everything(request: Request) -> Response:
    caller, id_ = caller_of(request), request.path_params["id"]
    caller.require_on("r", "Patient")
    place = f"Patient/{id_}/$everything"
    asked = await _asked(request, caller, place)
    patient = await context_of(request).resources.read(caller, "Patient", id_)
    if patient.body is None:
        raise gone(patient.updated)
    page, more = await _page(request, caller, patient, asked)
    links = {}
    if more:
        last = Position(asked.applied, f"{page[-1].type}/{page[-1].id}")
        links["next"] = f"_cursor={sealed(last, context_of(request).cursor_key, caller, place)}"
    beside = await _referred_to(request, caller, page)
    entries = [*(Entry(version) for version in page), *(Entry(version, "include") for version in beside)]
    disclosed(patient, *page, *beside)
    total = len(page) if asked.after is None and not more else None
    return json_response(searchset(request, place, asked.applied, entries, total=total, links=links))


async def _asked(request: Request, caller: Caller, place: str) -> _Asked:
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] not in _OF_THE_ANSWER]
    after = None
    if any(name == "_cursor" for name, _ in pairs):
        if len(pairs) > 1:
            raise BadRequest("A _cursor holds the whole question: follow the next link as it is.")
        position = opened(pairs[0][1], context_of(request).cursor_key, caller, place)
        after, pairs = position.after, list(position.applied)
    body = await bounded_body(request) if request.method == "POST" else b""
    if body:
        given = arguments(resource_in(request, body, "Parameters"), _IN)
        pairs += [(name, str(found.value)) for name, values in given.items() for found in values]
    if unknown := {name for name, _ in pairs} - _IN.keys():
        shown = ", ".join(sorted(unknown & {"start", "end"})) or "A parameter"
        raise BadRequest(f"{shown} is not offered: $everything takes {', '.join(_IN)}.", code="not-supported")
    values = {name: ",".join(value for key, value in pairs if key == name) for name, _ in pairs}
    count = values.get("_count", str(GREATEST_COUNT))
    if not (count.isascii() and count.isdigit()) or not int(count):
        raise BadRequest("_count takes a whole number from 1.", code="value")
    types = _types(request, values.get("_type"))
    return _Asked(types, values.get("_since"), min(int(count), GREATEST_COUNT), after, tuple(pairs))


def _types(request: Request, named: str | None) -> tuple[str, ...]:
    """Patient first, then those of its compartment that are served."""
    caller, served = caller_of(request), context_of(request).served.stored
    held = ("Patient", *sorted(type_ for type_ in served if type_ != "Patient" and _held(type_)))
    if named is None:
        return caller.among("r", held)
    wanted = named.split(",")
    if wrong := [type_ for type_ in wanted if type_ not in held]:
        shown = wrong[0] if wrong[0].isalpha() else "A value"
        raise BadRequest(f"{shown} of _type is not one of {', '.join(held)}.", code="value")
    caller.require_on("r", *wanted)
    return tuple(type_ for type_ in held if type_ in wanted)


def _held(type_: str) -> bool:
    return compartment_criteria("Patient", "x", type_) is not None


async def _page(request: Request, caller: Caller, patient: Version, asked: _Asked) -> tuple[list[Version], bool]:
    """The versions of one page, and whether others follow."""
    page: list[Version] = []
    resources = context_of(request).resources
    for type_, after in _onwards(asked):
        given = [("_lastUpdated", f"ge{asked.since}")] if asked.since else []
        search = search_in([*given, ("_count", str(asked.count - len(page)))], PARAMETERS[type_], lenient=False)
        if type_ == "Patient":
            whole = search_in([("_id", patient.id)], PARAMETERS[type_], lenient=False)
            search = replace(search, criteria=(*search.criteria, *whole.criteria))
        else:
            search = within(search, f"Patient/{patient.id}/{type_}", type_)
        start = Start(Mark((), after)) if after else None
        found = await resources.search(caller, type_, replace(search, count=asked.count - len(page)), start)
        page += found.versions
        if found.after:
            return page, True
        if len(page) == asked.count:
            break
    return page, bool(page) and len(page) == asked.count and page[-1].type != asked.types[-1]


def _onwards(asked: _Asked) -> Iterator[tuple[str, str | None]]:
    """The types still to be searched, the first of them after an id."""
    last, _, id_ = (asked.after or "").partition("/")
    start = asked.types.index(last) if last in asked.types else 0
    yield from ((type_, id_ if type_ == last else None) for type_ in asked.types[start:])


async def _referred_to(request: Request, caller: Caller, page: Sequence[Version]) -> list[Version]:
    """What the page refers to that is in no patient's compartment: who treated, where, for whom."""
    here = {f"{version.type}/{version.id}" for version in page}
    wanted = {found for version in page if version.body for found in local_references(parse(version.body))} - here
    context = context_of(request)
    referred: list[Version] = []
    for type_, _, id_ in sorted(reference.partition("/") for reference in wanted):
        if type_ in context.served.stored and caller.may_on("r", type_) and type_ != "Patient" and not _held(type_):
            try:
                version = await context.resources.read(caller, type_, id_)
            except NotFound:
                continue
            if version.body is not None:
                referred.append(version)
    return referred
