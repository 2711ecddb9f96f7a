"""A Binary as the content it holds. https://hl7.org/fhir/R4/binary.html#rest

It is read as such unless FHIR's JSON or XML is asked for, and written as such in any other media type.
"""

import re
from base64 import b64decode, b64encode
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.negotiation import FHIR, accepts, named
from fhir_ins.api.responses import ENTRY, PRIVATE, version_headers
from fhir_ins.fhir.json import parse
from fhir_ins.store.versions import Version

# The key of a request's scope that marks it as asking for content, not for a resource.
CONTENT = "fhir_ins.content"

_SECURITY_CONTEXT = "X-Security-Context"
_READS = frozenset({"read", "vread"})
_MEDIA_TYPE = re.compile(r"[\w.+!#$&^-]{1,100}/[\w.+!#$&^-]{1,100}( ?; ?[\w.+-]{1,50}=[\w.+-]{1,50})*", re.ASCII)
# What a browser opens of it can reach nothing, whatever somebody has stored.
_HARMLESS = {"Content-Security-Policy": "sandbox; default-src 'none'"}


def asks_for_content(request: Request, interaction: str | None) -> bool:
    """Whether a read of a Binary is one of its content: neither `_format` nor Accept names FHIR's JSON or XML."""
    if interaction not in _READS or request.path_params.get("type") != "Binary" or ENTRY in request.scope:
        return False
    return "_format" not in request.query_params and not accepts(request, FHIR)


def content_response(version: Version) -> Response:
    """The content, in its own media type."""
    binary = parse(version.body or b"{}")
    type_ = str(binary.get("contentType", ""))
    context = binary.get("securityContext", {}).get("reference")
    headers = {
        **PRIVATE,
        **version_headers(version),
        **_HARMLESS,
        "Content-Type": type_ if _MEDIA_TYPE.fullmatch(type_) else "application/octet-stream",
        **({_SECURITY_CONTEXT: context} if context and context.isascii() and context.isprintable() else {}),
    }
    return Response(b64decode(binary.get("data", "")), headers=headers)


def is_content(request: Request) -> bool:
    """Whether the body is content to keep as a Binary: a media type that is none of FHIR's."""
    type_ = request.headers.get("content-type", "").strip()
    return bool(_MEDIA_TYPE.fullmatch(type_)) and named(type_) not in FHIR


def binary_of(request: Request, content: bytes) -> dict[str, Any]:
    """The Binary that holds this content; of the address's id, where it has one."""
    context = request.headers.get(_SECURITY_CONTEXT)
    return {
        "resourceType": "Binary",
        **({"id": request.path_params["id"]} if "id" in request.path_params else {}),
        "contentType": request.headers["content-type"].strip(),
        **({"securityContext": {"reference": context}} if context else {}),
        "data": b64encode(content).decode(),
    }
