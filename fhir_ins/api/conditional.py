"""Version-aware requests: If-Match, If-None-Match, If-Modified-Since.

https://hl7.org/fhir/R4/http.html#concurrency, https://hl7.org/fhir/R4/http.html#cread
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from starlette.requests import Request

from fhir_ins.fhir.outcome import BadRequest, PreconditionFailed
from fhir_ins.store.versions import Version

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
            f'The resource is at version {number}, not {expected}: read it again and send If-Match: W/"{number}".',
            message="MSG_VERSION_AWARE_CONFLICT",
        )


def not_modified(request: Request, version: Version) -> bool:
    """Whether the caller has this version: If-None-Match names it, or it is not newer than If-Modified-Since.

    If-None-Match prevails; a date that is none is passed over (RFC 9110, 13.1.3).
    """
    header = request.headers.get("if-none-match")
    if header is not None:
        return header.strip() == "*" or version.tag in _TAGS.findall(header)
    since = _moment(request.headers.get("if-modified-since", ""))
    return since is not None and version.updated.replace(microsecond=0) <= since


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
