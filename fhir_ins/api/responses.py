"""Responses that carry resources: their media type, version headers and caching rules.

https://hl7.org/fhir/R4/http.html#versions. Bodies hold health data: no cache may keep them, and they vary by caller.
"""

from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import base_url
from fhir_ins.api.negotiation import JSON
from fhir_ins.fhir.json import serialise
from fhir_ins.store.resources import Version

PRIVATE = {"Cache-Control": "no-store", "Vary": "Authorization, Accept"}


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of ready-made FHIR JSON."""
    return Response(body, status, {**PRIVATE, **(headers or {})}, JSON)


def resource_response(
    resource: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response(serialise(resource), status, headers)


def version_response(version: Version, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The version's bytes as stored, with its ETag and Last-Modified."""
    return json_response(version.body or b"", status, {**version_headers(version), **(headers or {})})


def version_headers(version: Version) -> dict[str, str]:
    return {"ETag": f'W/"{version.tag}"', "Last-Modified": format_datetime(version.updated, usegmt=True)}


def location(request: Request, type_: str, version: Version) -> str:
    """The absolute URL of a version, for Location."""
    return f"{base_url(request)}/{type_}/{version.id}/_history/{version.number}"
