"""What a connection is answered when there is no request to speak of: an OperationOutcome, like everything else.

It is sent before any header can have been read, so in JSON and in English, and ends the connection.
"""

from collections.abc import Mapping

from fhir_ins.api.negotiation import Format
from fhir_ins.api.security_headers import SECURITY_HEADERS
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.outcome import Issue, operation_outcome

_ISSUES = {
    400: Issue("structure", "This is no HTTP/1.1 request: look at what sends it, and at the proxies between."),
    408: Issue("timeout", "The head of the request did not come in time: send it at once."),
    414: Issue("too-long", "The URL is longer than this server takes: search by POST to [base]/[type]/_search."),
    431: Issue("too-long", "The headers are more, or longer, than this server takes: leave out what it does not need."),
    503: Issue("transient", "More connections are open than this server takes: use those you have, or come again."),
}


def refusals() -> Mapping[int, bytes]:
    """By status, all that follows the status line and the date."""
    return {status: _answer(status, issue) for status, issue in _ISSUES.items()}


def _answer(status: int, issue: Issue) -> bytes:
    body = serialise(operation_outcome([issue]))
    headers = [
        (b"content-type", f"{Format.JSON}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *([(b"retry-after", b"5")] if status == 503 else []),
        *SECURITY_HEADERS,
    ]
    return b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + body
