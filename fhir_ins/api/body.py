"""The resource in a request's body: read within bounds, parsed strictly, judged against base R4."""

import asyncio
import zlib
from typing import Any

from starlette.requests import Request

from fhir_ins.api.binary import binary_of, is_content
from fhir_ins.api.context import context_of
from fhir_ins.api.negotiation import Format, body_format
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import BadRequest, RequestTimeout, TooLarge, UnsupportedMediaType
from fhir_ins.fhir.structure import validate
from fhir_ins.fhir.xml import parse_xml

# The key of a request's scope under which a resource stands that came in a Bundle.
SENT = "fhir_ins.resource"

_PLAIN = frozenset({"", "identity"})
_GZIP = 16 + zlib.MAX_WBITS


async def resource_body(request: Request, *types: str) -> dict[str, Any]:
    """The body as a valid resource of one of `types`. Raises UnsupportedMediaType, TooLarge or BadRequest."""
    if SENT in request.scope:
        return _judged(of_type(request.scope[SENT], *types))
    body = await bounded_body(request)
    if types == ("Binary",) and is_content(request):
        return _judged(binary_of(request, body))
    return resource_in(request, body, *types)


def resource_in(request: Request, body: bytes, *types: str) -> dict[str, Any]:
    """The same, of a body already read."""
    return _judged(of_type(parsed(request, body), *types))


def _judged(resource: dict[str, Any]) -> dict[str, Any]:
    if issues := validate(resource):
        raise BadRequest(issues)
    return resource


def parsed(request: Request, body: bytes) -> dict[str, Any]:
    """The JSON or XML of a body, not yet judged."""
    return parse_xml(body) if body_format(request) is Format.XML else parse(body)


def of_type(resource: dict[str, Any], *types: str) -> dict[str, Any]:
    """The resource, of one of these types. Raises BadRequest."""
    if resource.get("resourceType") not in types:
        wanted = " or ".join(types)
        raise BadRequest(
            f"The body must be a {wanted}: set resourceType to it.",
            "resourceType",
            code="structure",
            message="MSG_RESOURCE_TYPE_MISMATCH",
        )
    return resource


async def bounded_body(request: Request) -> bytes:
    """The whole body, unpacked. Raises TooLarge as soon as it passes the limit, UnsupportedMediaType for a coding.

    Raises RequestTimeout for a client that takes longer to send it than the settings allow.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in _PLAIN and coding != "gzip":
        raise UnsupportedMediaType("The body may be compressed by gzip only: send Content-Encoding: gzip, or none.")
    settings = context_of(request).settings
    limit = settings.max_body_bytes
    unpacked = zlib.decompressobj(_GZIP) if coding == "gzip" else None
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout):
            async for chunk in request.stream():
                body += unpacked.decompress(chunk, limit + 1 - len(body)) if unpacked else chunk
                if len(body) > limit:
                    raise TooLarge(f"The body is larger than the {limit} bytes this server takes.")
    except TimeoutError as error:
        text = f"The body did not come within {settings.body_timeout:g} seconds: send it faster, or less at a time."
        raise RequestTimeout(text, Connection="close") from error
    except zlib.error as error:
        raise BadRequest("The body is no gzip: compress it again, or leave Content-Encoding out.") from error
    if unpacked and (unpacked.unused_data or not unpacked.eof) and body:
        raise BadRequest("The body is not one whole gzip: send it again.")
    return bytes(body)
