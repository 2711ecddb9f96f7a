"""FHIR update: PUT [base]/[type]/[id]. https://hl7.org/fhir/R4/http.html#update

An update applies to the form its caller reads: what is concealed from it stays. A deleted resource may be brought
back; ids are ours to give.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import resource_body
from fhir_ins.api.conditional import expected_version, require_version
from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.negotiation import require_json_answer
from fhir_ins.api.patients import (
    already_held,
    draft,
    known_patient,
    over_current,
    without_server_elements,
    writer,
)
from fhir_ins.api.responses import location, version_response
from fhir_ins.fhir.outcome import BadRequest, MethodNotAllowed
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.writes import written
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.resources import AlreadyHeld, Version


async def update(request: Request) -> Response:
    require_json_answer(request)
    caller = caller_of(request)
    caller.require(Right.WRITE)
    expected = expected_version(request)
    resource = await resource_body(request, "Patient")
    if resource.get("id") != request.path_params["id"]:
        raise BadRequest("The body's id must be the one of the URL: set id to it.", "Patient.id", code="value")
    body = without_server_elements(resource)
    version, created = await over_current(lambda: _updated(request, caller, body, expected))
    headers = {"Location": location(request, "Patient", version)}
    return version_response(version, 201 if created else 200, headers)


async def _updated(
    request: Request, caller: Caller, body: dict[str, Any], expected: int | None
) -> tuple[Version, bool]:
    """Write over the version that is current. Raises VersionChanged when another request came first."""
    context = context_of(request)
    current = await context.resources.current(caller, "Patient", request.path_params["id"])
    if current is None:
        raise MethodNotAllowed("Ids are given by this server: create the resource with POST [base]/Patient.")
    require_version(expected, current.number)
    before = known_patient(current)
    if before is None:  # brought back: nothing of it but the checks that have ended
        before = Known({"resourceType": "Patient"}, current.identity)
    after = written(body, before, writer(request, caller, version_known=expected is not None))
    try:
        version = await context.resources.replace(caller, current, draft(after, context.fr_core))
    except AlreadyHeld as error:
        raise already_held(error) from error
    return version, current.body is None
