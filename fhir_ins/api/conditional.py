"""Version-aware requests: If-Match and If-None-Match. https://hl7.org/fhir/R4/http.html#concurrency"""

import re

from starlette.requests import Request

from fhir_ins.fhir.outcome import BadRequest, PreconditionFailed

_ETAG = re.compile(r'(?:W/)?"(\d{1,15})"', re.ASCII)
_TAGS = re.compile(r'(?:W/)?"([^"]*)"')


def expected_version(request: Request) -> int | None:
    """The version If-Match names, or None without the header. Raises BadRequest when it is not an ETag of ours."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    match = _ETAG.fullmatch(header.strip())
    if not match:
        raise BadRequest('If-Match takes one ETag of this server, such as W/"3".', code="value")
    return int(match[1])


def require_version(expected: int | None, number: int) -> None:
    """Raise PreconditionFailed when the current version is not the expected one."""
    if expected is not None and expected != number:
        raise PreconditionFailed(
            f'The resource is at version {number}, not {expected}: read it again and send If-Match: W/"{number}".'
        )


def not_modified(request: Request, tag: str) -> bool:
    """Whether If-None-Match names the version of this tag (or any)."""
    header = request.headers.get("if-none-match")
    return header is not None and (header.strip() == "*" or tag in _TAGS.findall(header))
