"""FHIR update: PUT [base]/[type]/[id], and PUT [base]/[type]?[condition]. https://hl7.org/fhir/R4/http.html#update

An update applies to the form its caller reads: what is concealed from it stays. A deleted resource may be brought
back; ids are ours to give, unless the server is set to let updates create.
"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import resource_body
from fhir_ins.api.conditional import expected_version
from fhir_ins.api.conditions import condition, matches, one_of
from fhir_ins.api.context import caller_of, context_of, part_of, type_of
from fhir_ins.api.patients import without_server_elements
from fhir_ins.api.prefer import written_response
from fhir_ins.api.writing import Wrote, created, written_over
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.store.resources import Resources


async def update(request: Request) -> Response:
    caller, type_, id_ = caller_of(request), type_of(request), request.path_params["id"]
    expected = expected_version(request)
    resource = await resource_body(request, type_)
    if resource.get("id") != id_:
        raise BadRequest(
            "The body's id must be the one of the URL: set id to it.",
            f"{type_}.id",
            code="value",
            message="MSG_RESOURCE_ID_MISMATCH",
        )
    body = without_server_elements(resource)
    wrote = await written_over(request, caller, (type_, id_), expected, lambda _: body)
    return written_response(request, wrote.version, wrote.status)


async def conditional_update(request: Request) -> Response:
    """https://hl7.org/fhir/R4/http.html#cond-update"""
    caller, type_ = caller_of(request), type_of(request)
    caller.require_on("s", type_)  # the answer tells what matches
    expected = expected_version(request)
    asked = condition(request, caller, type_, request.url.query)
    resource = await resource_body(request, type_)
    body = without_server_elements(resource)

    async def work(resources: Resources) -> Wrote:
        inside = part_of(request, resources)
        found = one_of(await matches(inside, caller, asked))
        named = resource.get("id")
        if found is None and named is None:
            return Wrote(await created(inside, caller, body), 201)
        if found is not None and named not in (None, found.id):
            text = f"The condition matches {type_}/{found.id}, the body is another: leave its id out, or set it so."
            raise BadRequest(text, f"{type_}.id", code="value", message="MSG_RESOURCE_ID_MISMATCH")
        target = (type_, found.id if found else str(named))
        return await written_over(inside, caller, target, expected, lambda _: body)

    wrote = await context_of(request).resources.atomically(work)
    return written_response(request, wrote.version, wrote.status)
