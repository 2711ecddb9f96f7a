"""A transaction: everything its entries ask for, or nothing. https://hl7.org/fhir/R4/http.html#trules

First it is settled which resource each entry is about, so that references can say it; then the entries are carried out
in the specification's order (DELETE, POST, PUT and PATCH, GET), in one transaction of MongoDB.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import begun_again
from fhir_ins.api.conditions import condition, matches, one_of
from fhir_ins.api.context import caller_of, context_of, part_of
from fhir_ins.api.entries import Entry
from fhir_ins.api.entry_requests import asked
from fhir_ins.api.prefer import written_response
from fhir_ins.api.references import DEFERRED_CHECK, refuse_referenced
from fhir_ins.api.transaction_links import with_links
from fhir_ins.api.writing import ASSIGNED
from fhir_ins.fhir.outcome import BadRequest, FhirError, placed
from fhir_ins.security.caller import Caller
from fhir_ins.store.resources import Resources, new_id
from fhir_ins.store.versions import Version

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


@dataclass(frozen=True, slots=True)
class Settled:
    """An entry of which it is known what it is about: `target` is Type/id.

    `found` is what a conditional create has matched: there is nothing to do. `assigned` is the id of a new resource.
    """

    entry: Entry
    target: str | None = None
    found: Version | None = None
    assigned: str | None = None


async def carried_out(request: Request, entries: Sequence[Entry]) -> list[Response]:
    """The answer to each entry, in their order. Raises the first refusal, with its place in the Bundle."""
    caller = caller_of(request)
    for entry in entries:
        _refuse_operations(entry)

    async def work(resources: Resources) -> list[Response]:
        begun_again()
        inside = part_of(request, resources)
        settled = [await _settled(inside, caller, entry) for entry in entries]
        _refuse_overlaps(settled)
        targets = [found.target for found in settled]
        linked = await with_links(inside, caller, entries, targets)
        settled = [replace(found, entry=entry) for found, entry in zip(settled, linked, strict=True)]
        deleted: list[tuple[str, str]] = []
        answers: dict[int, Response] = {}
        for index in sorted(range(len(settled)), key=lambda index: _ORDER[settled[index].entry.method]):
            answers[index] = await _done(inside, settled[index], {DEFERRED_CHECK: deleted})
        await refuse_referenced(inside, caller, deleted)
        return [answers[index] for index in range(len(settled))]

    return await context_of(request).resources.atomically(work)


async def _done(request: Request, settled: Settled, more: Mapping[str, Any]) -> Response:
    if settled.found:
        return written_response(request, settled.found, 200)
    assigned = {ASSIGNED: settled.assigned} if settled.assigned else {}
    return await asked(request, settled.entry, {**more, **assigned})


async def _settled(request: Request, caller: Caller, entry: Entry) -> Settled:
    """What the entry is about. Raises what its condition does, in its place."""
    if entry.type is None or entry.method in ("GET", "HEAD"):
        return Settled(entry)
    if entry.id is not None:
        return Settled(entry, f"{entry.type}/{entry.id}")
    query = entry.headers.get("if-none-exist") if entry.method == "POST" else entry.query
    if query is None:
        id_ = new_id()
        return Settled(entry, f"{entry.type}/{id_}", assigned=id_)
    try:
        type_ = _served(request, entry)
        caller.require_on("s", type_)
        asked_for = condition(request, caller, type_, query)
        found = one_of(await matches(request, caller, asked_for))
    except FhirError as error:
        error.issues = tuple(placed(issue, f"{entry.place}.request", "") for issue in error.issues)
        raise
    return _by_condition(entry, found)


def _by_condition(entry: Entry, found: Version | None) -> Settled:
    """A conditional entry as the plain one that its condition makes of it."""
    target = f"{entry.type}/{found.id}" if found else None
    headers = {name: value for name, value in entry.headers.items() if name != "if-none-exist"}
    if entry.method == "POST":
        id_ = None if found else new_id()
        return Settled(replace(entry, headers=headers), target or f"{entry.type}/{id_}", found, id_)
    if found:
        resource = entry.resource
        if entry.method == "PUT" and resource is not None:
            if resource.get("id", found.id) != found.id:
                text = f"The condition matches {target}, the resource is another: leave its id out, or set it so."
                raise BadRequest(text, f"{entry.place}.resource.id", code="value")
            resource = {**resource, "id": found.id}
        return Settled(replace(entry, path=str(target), query="", resource=resource), target)
    named = (entry.resource or {}).get("id")
    if entry.method == "PUT" and named is None:
        id_ = new_id()
        return Settled(replace(entry, method="POST", query=""), f"{entry.type}/{id_}", assigned=id_)
    if entry.method == "PUT":
        return Settled(replace(entry, path=f"{entry.type}/{named}", query=""), f"{entry.type}/{named}")
    return Settled(entry)  # what deletes nothing, or is told that there is nothing to patch


def _served(request: Request, entry: Entry) -> str:
    if not context_of(request).served.of(entry.type or ""):
        raise BadRequest(
            "This server has no resources of this type: see [base]/metadata.",
            code="not-supported",
            message="MSG_UNKNOWN_TYPE",
        )
    return str(entry.type)


def _refuse_operations(entry: Entry) -> None:
    if "$" in entry.path:
        raise BadRequest(
            "An operation cannot be part of a transaction: call it by itself, or send a batch.",
            f"{entry.place}.request.url",
            code="not-supported",
        )


def _refuse_overlaps(settled: Sequence[Settled]) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: a resource is written by one entry at most."""
    seen: dict[str, Entry] = {}
    for one in settled:
        if one.target is None:
            continue
        if one.target in seen:
            raise BadRequest(
                f"{one.target} is written by {seen[one.target].place} already: a transaction writes a resource once.",
                one.entry.place,
                code="invalid",
                message="MSG_TRANSACTION_DUPLICATE_ID",
            )
        seen[one.target] = one.entry
