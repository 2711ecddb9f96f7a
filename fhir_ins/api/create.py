"""FHIR create: POST [base]/[type], and with If-None-Exist. https://hl7.org/fhir/R4/http.html#create"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import resource_body
from fhir_ins.api.conditions import condition, matches, one_of
from fhir_ins.api.context import caller_of, context_of, part_of, type_of
from fhir_ins.api.patients import without_server_elements
from fhir_ins.api.prefer import written_response
from fhir_ins.api.writing import Wrote, created
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.frcore.elements import Json
from fhir_ins.security.caller import Caller
from fhir_ins.store.resources import Resources

_PARAMETERS = frozenset({"_format", "_pretty"})


async def create(request: Request) -> Response:
    caller, type_ = caller_of(request), type_of(request)
    if request.query_params.keys() - _PARAMETERS:
        text = f"A create takes no parameters in its URL: to search, use GET or POST [base]/{type_}/_search."
        raise BadRequest(text, code="not-supported")
    body = without_server_elements(await resource_body(request, type_))
    query = request.headers.get("if-none-exist")
    if query is None:
        return written_response(request, await created(request, caller, body), 201)
    caller.require_on("s", type_)  # the answer tells what matches
    wrote = await _unless_one_matches(request, caller, body, query)
    return written_response(request, wrote.version, wrote.status)


async def _unless_one_matches(request: Request, caller: Caller, body: Json, query: str) -> Wrote:
    asked = condition(request, caller, body["resourceType"], query)

    async def work(resources: Resources) -> Wrote:
        inside = part_of(request, resources)
        found = one_of(await matches(inside, caller, asked))
        return Wrote(found, 200) if found else Wrote(await created(inside, caller, body), 201)

    return await context_of(request).resources.atomically(work)
