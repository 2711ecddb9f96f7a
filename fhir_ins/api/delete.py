"""FHIR delete: DELETE [base]/[type]/[id]. https://hl7.org/fhir/R4/http.html#delete

Deleting what does not exist, or no longer does, is no error.
"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.conditional import expected_version, require_version
from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.patients import over_current
from fhir_ins.api.responses import PRIVATE
from fhir_ins.security.caller import Caller, Right


async def delete(request: Request) -> Response:
    caller = caller_of(request)
    caller.require(Right.WRITE)
    expected = expected_version(request)
    number = await over_current(lambda: _deleted(request, caller, expected))
    return Response(status_code=204, headers={**PRIVATE, **({"ETag": f'W/"{number}"'} if number else {})})


async def _deleted(request: Request, caller: Caller, expected: int | None) -> int | None:
    """The number of the version that says it is deleted; None when there never was one."""
    resources = context_of(request).resources
    current = await resources.current(caller, "Patient", request.path_params["id"])
    if current is None:
        return None
    require_version(expected, current.number)
    if current.body is None:
        return current.number
    return (await resources.replace(caller, current, None)).number
