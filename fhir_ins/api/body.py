"""The resource in a request's body: read within bounds, parsed strictly, judged against base R4."""

from typing import Any

from starlette.requests import Request

from fhir_ins.api.context import context_of
from fhir_ins.api.negotiation import require_json_body
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import BadRequest, TooLarge
from fhir_ins.fhir.structure import validate


async def resource_body(request: Request, *types: str) -> dict[str, Any]:
    """The body as a valid resource of one of `types`. Raises UnsupportedMediaType, TooLarge or BadRequest."""
    return resource_in(request, await bounded_body(request), *types)


def resource_in(request: Request, body: bytes, *types: str) -> dict[str, Any]:
    """The same, of a body already read."""
    require_json_body(request)
    resource = parse(body)
    if resource.get("resourceType") not in types:
        wanted = " or ".join(types)
        raise BadRequest(f"The body must be a {wanted}: set resourceType to it.", "resourceType", code="structure")
    if issues := validate(resource):
        raise BadRequest(issues)
    return resource


async def bounded_body(request: Request) -> bytes:
    """The whole body. Raises TooLarge as soon as it passes the limit."""
    limit = context_of(request).settings.max_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The body is larger than the {limit} bytes this server takes.")
    return bytes(body)
