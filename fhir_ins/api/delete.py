"""FHIR delete: DELETE [base]/[type]/[id]. https://hl7.org/fhir/R4/http.html#delete

Deleting what does not exist, or no longer does, is no error.
"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.conditional import expected_version, require_version
from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.patients import changed_meanwhile
from fhir_ins.security.caller import Right
from fhir_ins.store.resources import VersionChanged

_ATTEMPTS = 5


async def delete(request: Request) -> Response:
    caller = caller_of(request)
    caller.require(Right.WRITE)
    expected = expected_version(request)
    resources = context_of(request).resources
    for _ in range(_ATTEMPTS):
        current = await resources.current(caller, "Patient", request.path_params["id"])
        if current is None:
            return Response(status_code=204)
        require_version(expected, current.number)
        if current.body is None:
            return Response(status_code=204, headers={"ETag": f'W/"{current.number}"'})
        try:
            version = await resources.replace(caller, current, None)
        except VersionChanged:
            continue
        return Response(status_code=204, headers={"ETag": f'W/"{version.number}"'})
    raise changed_meanwhile()
