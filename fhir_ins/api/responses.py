"""Responses that carry resources: their format, version headers and caching rules.

https://hl7.org/fhir/R4/http.html#versions. Bodies hold health data: no cache may keep them, and they vary by caller.
Endpoints answer in JSON; what goes out in another way is made of that at the very end.
"""

from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import base_url
from fhir_ins.api.language import FRENCH, in_french, language_of
from fhir_ins.api.negotiation import Format
from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.xml import serialise_xml
from fhir_ins.store.versions import Version

PRIVATE = {"Cache-Control": "no-store", "Vary": "Authorization, Accept, Accept-Language"}
FORMAT = "fhir_ins.format"  # the key of a request's scope under which the format of its answer stands
ENTRY = "fhir_ins.entry"  # the key of a request's scope that marks it as an entry of a Bundle, which is JSON
OUTCOME = b'{"resourceType":"OperationOutcome"'  # how our outcomes start

_JSON = f"{Format.JSON}; charset=utf-8"
_XML = f"{Format.XML}; charset=utf-8"


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of ready-made FHIR JSON."""
    return Response(body, status, {**PRIVATE, **(headers or {})}, _JSON)


def resource_response(
    resource: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response(serialise(resource), status, headers)


def version_response(version: Version, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The version's bytes as stored, with its ETag and Last-Modified."""
    return json_response(version.body or b"", status, {**version_headers(version), **(headers or {})})


def version_headers(version: Version) -> dict[str, str]:
    return {"ETag": f'W/"{version.tag}"', "Last-Modified": format_datetime(version.updated, usegmt=True)}


def location(request: Request, version: Version) -> str:
    """The absolute URL of a version, for Location."""
    return f"{base_url(request)}/{version.type}/{version.id}/_history/{version.tag}"


def rendered(request: Request, response: Response) -> Response:
    """The response in the language and format that was asked for. Raises BadRequest for a `_pretty` that is none."""
    if response.headers.get("content-type") != _JSON or not response.body:
        return response
    response = in_language(request, response)
    if ENTRY in request.scope:
        return response
    pretty = _is_pretty(request)
    format_ = request.scope.get(FORMAT, Format.JSON)
    if format_ is not Format.XML and not pretty:
        return response
    resource = parse(bytes(response.body))
    body = serialise_xml(resource, pretty=pretty) if format_ is Format.XML else serialise(resource, pretty=pretty)
    return Response(body, response.status_code, _kept_headers(response), _XML if format_ is Format.XML else _JSON)


def in_language(request: Request, response: Response) -> Response:
    """An OperationOutcome in French, where Accept-Language prefers it; anything else as it is."""
    body = bytes(response.body)
    if not body.startswith(OUTCOME) or language_of(request) != FRENCH:
        return response
    headers = {**_kept_headers(response), "Content-Language": FRENCH}
    return resource_response(in_french(parse(body)), response.status_code, headers)


def _kept_headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("content-type", "content-length")}


def _is_pretty(request: Request) -> bool:
    """https://hl7.org/fhir/R4/http.html#pretty"""
    wanted = request.query_params.get("_pretty", "false")
    if wanted not in ("true", "false"):
        raise BadRequest("_pretty is true or false.", code="value")
    return wanted == "true"
