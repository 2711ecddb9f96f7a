"""FHIR delete: DELETE [base]/[type]/[id]. https://hl7.org/fhir/R4/http.html#delete

Deleting what does not exist, or no longer does, is no error. With the Task of a deferred call goes the call, at any
time: what INSi then answers is written nowhere.
"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.conditional import expected_version, require_version
from fhir_ins.api.context import caller_of, context_of, type_of
from fhir_ins.api.patients import over_current
from fhir_ins.api.responses import PRIVATE
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.resources import Write


async def delete(request: Request) -> Response:
    caller = caller_of(request)
    caller.require(Right.WRITE)
    expected = expected_version(request)
    number = await over_current(lambda: _deleted(request, caller, expected))
    return Response(status_code=204, headers={**PRIVATE, **({"ETag": f'W/"{number}"'} if number else {})})


async def _deleted(request: Request, caller: Caller, expected: int | None) -> int | None:
    """The number of the version that says it is deleted; None when there never was one."""
    context, type_ = context_of(request), type_of(request)
    current = await context.resources.current(caller, type_, request.path_params["id"])
    if current is None:
        return None
    require_version(expected, current.number)
    if current.body is None:
        return current.number
    with_it = [context.deferred.removed(caller.tenant, current.id)] if type_ == "Task" else []
    (version,) = await context.resources.together(caller, [Write(type_, current.id, None, over=current)], *with_it)
    return version.number
