"""FHIR read: GET [base]/[type]/[id]. https://hl7.org/fhir/R4/http.html#read"""

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.binary import CONTENT, content_response
from fhir_ins.api.conditional import not_modified
from fhir_ins.api.context import caller_of, source_of, type_of
from fhir_ins.api.patients import gone
from fhir_ins.api.responses import PRIVATE, version_headers, version_response
from fhir_ins.api.view import view_of
from fhir_ins.store.versions import Version


async def read(request: Request) -> Response:
    caller = caller_of(request)
    type_ = type_of(request)
    version = await source_of(request, type_).read(caller, type_, request.path_params["id"])
    if version.body is None:
        raise gone(version.updated)
    return read_response(request, version)


def read_response(request: Request, version: Version) -> Response:
    """As much of the version as is asked for; 304 where the caller has it."""
    view = view_of(request)
    disclosed(version)
    if not_modified(request, version):
        return Response(status_code=304, headers={**PRIVATE, **version_headers(version)})
    if CONTENT in request.scope:
        return content_response(version)
    return version_response(view.version(version))
