"""FHIR vread: GET [base]/[type]/[id]/_history/[vid]. https://hl7.org/fhir/R4/http.html#vread"""

import re

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.binary import CONTENT, content_response
from fhir_ins.api.context import caller_of, context_of, type_of
from fhir_ins.api.patients import gone
from fhir_ins.api.responses import version_response
from fhir_ins.api.view import view_of
from fhir_ins.fhir.outcome import NotFound

_NUMBER = re.compile(r"[1-9]\d{0,14}", re.ASCII)


async def vread(request: Request) -> Response:
    caller = caller_of(request)
    view = view_of(request)
    number = request.path_params["vid"]
    if not _NUMBER.fullmatch(number):
        raise NotFound("There is no such version: versions of this server are numbered from 1.")
    version = await context_of(request).resources.read_version(
        caller, type_of(request), request.path_params["id"], int(number)
    )
    if version.body is None:
        raise gone(version.updated)
    disclosed(version)
    if CONTENT in request.scope:
        return content_response(version)
    return version_response(view.version(version))
