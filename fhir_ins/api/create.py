"""FHIR create: POST [base]/[type]. https://hl7.org/fhir/R4/http.html#create"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import resource_body
from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.negotiation import require_json_answer
from fhir_ins.api.patients import already_held, draft, without_server_elements, writer
from fhir_ins.api.responses import location, version_response
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.frcore.writes import written
from fhir_ins.security.caller import Right
from fhir_ins.store.resources import AlreadyHeld


async def create(request: Request) -> Response:
    require_json_answer(request)
    caller = caller_of(request)
    caller.require(Right.WRITE)
    if "if-none-exist" in request.headers:
        raise BadRequest("Conditional create is not offered: leave If-None-Exist out.", code="not-supported")
    if request.query_params.keys() - {"_format"}:
        text = "A create takes no parameters in its URL: to search, use GET or POST [base]/Patient/_search."
        raise BadRequest(text, code="not-supported")
    body = without_server_elements(await resource_body(request, "Patient"))
    known = written(body, None, writer(request, caller))
    context = context_of(request)
    try:
        version = await context.resources.create(caller, "Patient", draft(known, context.fr_core))
    except AlreadyHeld as error:
        raise already_held(error) from error
    return version_response(version, 201, {"Location": location(request, "Patient", version)})
