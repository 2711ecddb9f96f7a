"""What a write answers, as its client prefers. https://hl7.org/fhir/R4/http.html#ops"""

import re

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed
from fhir_ins.api.context import caller_of
from fhir_ins.api.responses import PRIVATE, location, resource_response, version_headers, version_response
from fhir_ins.fhir.outcome import Issue, operation_outcome
from fhir_ins.store.versions import Version

_PREFERENCE = re.compile(r"""(?:^|[,;\s])(?P<name>return|handling)\s*=\s*"?(?P<value>[A-Za-z]+)""")


def preference(request: Request, name: str) -> str | None:
    """The value that the Prefer headers give this preference first; None without one. RFC 7240"""
    stated = _PREFERENCE.finditer(",".join(request.headers.getlist("prefer")))
    return next((found["value"] for found in stated if found["name"] == name), None)


def written_response(request: Request, version: Version, status: int) -> Response:
    """The resource as stored, nothing, or an OperationOutcome, with the headers of the version.

    A caller who may write but not read is shown nothing: what is stored may say more than what it sent.
    """
    disclosed(version)
    headers = {"Location": location(request, version)}
    wanted = preference(request, "return")
    if wanted == "minimal" or (wanted != "OperationOutcome" and not caller_of(request).may_on("r", version.type)):
        return Response(status_code=status, headers={**PRIVATE, **version_headers(version), **headers})
    if wanted == "OperationOutcome":
        done = {200: "updated", 201: "created"}[status]
        text = f"{version.type}/{version.id} was {done} as version {version.tag}."
        outcome = operation_outcome([Issue("informational", text, severity="information")])
        return resource_response(outcome, status, {**version_headers(version), **headers})
    return version_response(version, status, headers)
