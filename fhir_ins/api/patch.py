"""FHIR patch: PATCH [base]/[type]/[id], and PATCH [base]/[type]?[condition]. https://hl7.org/fhir/R4/http.html#patch

A patch applies to the form its caller reads; what it makes is written as an update of it is.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import bounded_body, parsed
from fhir_ins.api.conditional import expected_version
from fhir_ins.api.conditions import condition, matches, one_of
from fhir_ins.api.context import caller_of, context_of, part_of, type_of
from fhir_ins.api.negotiation import PATCHES, media_type
from fhir_ins.api.patients import gone, without_server_elements
from fhir_ins.api.prefer import written_response
from fhir_ins.api.writing import Wrote, written_over
from fhir_ins.fhir.fhirpath_patch import fhirpath_patched
from fhir_ins.fhir.json import parse, parse_array, serialise
from fhir_ins.fhir.json_patch import json_patched
from fhir_ins.fhir.merge_patch import merge_patched
from fhir_ins.fhir.outcome import NotFound, Unprocessable, UnsupportedMediaType
from fhir_ins.fhir.patching import without_stale_narrative
from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.elements import Json
from fhir_ins.security.caller import Caller
from fhir_ins.store.resources import Resources
from fhir_ins.store.versions import Current, readable

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"

Patch = Callable[[Json], Json]


async def patch(request: Request) -> Response:
    caller, target = caller_of(request), (type_of(request), request.path_params["id"])
    caller.require_on("r", target[0])  # a patch tells by its success what a resource holds
    wrote = await _patched(request, caller, target, await _patch_in(request))
    return written_response(request, wrote.version, wrote.status)


async def conditional_patch(request: Request) -> Response:
    caller, type_ = caller_of(request), type_of(request)
    caller.require_on("rs", type_)
    asked = condition(request, caller, type_, request.url.query)
    change = await _patch_in(request)

    async def work(resources: Resources) -> Wrote:
        inside = part_of(request, resources)
        found = one_of(await matches(inside, caller, asked))
        if found is None:
            raise NotFound(f"No {type_} matches the condition: there is nothing to patch.", message="MSG_NO_MATCH")
        return await _patched(inside, caller, (type_, found.id), change)

    wrote = await context_of(request).resources.atomically(work)
    return written_response(request, wrote.version, wrote.status)


async def _patched(request: Request, caller: Caller, target: tuple[str, str], change: Patch) -> Wrote:
    def over(current: Current | None) -> Json:
        if current is None:
            raise NotFound(f"There is no such {target[0]}: check its id, or search for it.")
        shown = readable(current.document, caller)
        if shown.body is None:
            raise gone(shown.updated)
        return _changed(parse(shown.body), change, context_of(request).settings.max_body_bytes)

    return await written_over(request, caller, target, expected_version(request), over, "PATCH")


def _changed(resource: Json, change: Patch, most_bytes: int) -> Json:
    """The resource after the patch, without its server elements. Raises Unprocessable for one that is none."""
    after = without_stale_narrative(resource, change(resource))
    if issues := validate(after):
        raise Unprocessable(issues)
    if len(serialise(after)) > most_bytes:
        text = f"The patch makes a resource larger than the {most_bytes} bytes this server takes."
        raise Unprocessable(text, code="too-long")
    return without_server_elements(after)


async def _patch_in(request: Request) -> Patch:
    """The patch in the body, by its media type. Raises UnsupportedMediaType or BadRequest.

    An object that is no resource, sent as plain application/json, is a merge patch: so fhirpy sends its patches.
    """
    name, _ = media_type(request.headers.get("content-type", ""))
    body = await bounded_body(request)
    if name == _JSON_PATCH:
        operations = parse_array(body)
        return lambda resource: json_patched(resource, operations)
    try:
        sent: dict[str, Any] = parse(body) if name == _MERGE_PATCH else parsed(request, body)
    except UnsupportedMediaType as error:
        text = (
            f"A patch is sent as {_JSON_PATCH}, as {_MERGE_PATCH}, or as Parameters in application/fhir+json or "
            "application/fhir+xml."
        )
        raise UnsupportedMediaType(text, Accept_Patch=", ".join(PATCHES)) from error
    if name == _MERGE_PATCH or (name == "application/json" and "resourceType" not in sent):
        return lambda resource: merge_patched(resource, sent)
    return lambda resource: fhirpath_patched(resource, sent)
