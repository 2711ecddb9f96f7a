"""The one place where a failure becomes an OperationOutcome. https://hl7.org/fhir/R4/http.html#Status-Codes"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError, WaitQueueTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import REQUEST_ID
from fhir_ins.api.context import base_url
from fhir_ins.api.negotiation import answer_format
from fhir_ins.api.responses import FORMAT, in_language, rendered, resource_response
from fhir_ins.fhir.outcome import MESSAGES, FhirError, Issue, operation_outcome
from fhir_ins.log import places

Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]

_log = structlog.get_logger()
_AWAY = (ConnectionFailure, ExecutionTimeout, WaitQueueTimeoutError)
_CODES = {404: "not-found", 405: "not-supported"}
_MESSAGES = {404: "MSG_NO_MODULE", 405: "MSG_OP_NOT_ALLOWED"}


async def on_fhir_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FhirError)  # noqa: S101 - registered for this class
    return _outcome(request, error.issues, error.status, error.headers)


async def on_http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses: an address or a method this server does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    text = {
        404: f"This address is not one of this server: {base_url(request)}/metadata says what it serves.",
        405: f"This method is not offered here: {base_url(request)}/metadata says what is.",
    }.get(error.status_code, "The request cannot be answered.")
    message = _MESSAGES.get(error.status_code)
    codings = ({"system": MESSAGES, "code": message},) if message else ()
    issue = Issue(_CODES.get(error.status_code, "processing"), text, codings=codings)
    return _outcome(request, [issue], error.status_code, error.headers)


async def on_database_error(request: Request, error: Exception) -> Response:
    """MongoDB is away or too slow. Nothing is ever half-written, but whether a write was done may be unknown."""
    assert isinstance(error, PyMongoError)  # noqa: S101 - registered for this class
    if not (error.timeout or isinstance(error, _AWAY)):
        raise error
    _log.error("mongodb_unavailable", error=type(error).__name__)
    text = "MongoDB does not answer. Try again later."
    if request.method != "GET":
        text = (
            "MongoDB does not answer. Try again later."
            " Whether this request was carried out is not known: look before repeating it."
        )
    issue = Issue("transient", text)
    return _outcome(request, [issue], 503, {"Retry-After": "5"})


def on_unexpected_error(request: Request, error: Exception) -> Response:
    """A fault of ours: logged by where it arose, and answered without a word of it."""
    _log.error(
        "unexpected_error",
        request_id=request.scope.get(REQUEST_ID),
        error=type(error).__name__,
        at=places(error.__traceback__),
    )
    issue = Issue(
        "exception", "The server failed on this request. The fault is logged; please report its X-Request-Id."
    )
    return in_language(request, resource_response(operation_outcome([issue]), 500))


def _outcome(
    request: Request, issues: Iterable[Issue], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """The outcome in the format that was asked for; in JSON where none of ours was."""
    response = resource_response(operation_outcome(issues), status, headers)
    with suppress(FhirError):
        request.scope.setdefault(FORMAT, answer_format(request))
        return rendered(request, response)
    return response


HANDLERS: dict[int | type[Exception], Handler] = {
    FhirError: on_fhir_error,
    HTTPException: on_http_error,
    PyMongoError: on_database_error,
}
