"""An entry of a Bundle, answered by the address it names as any request is. https://hl7.org/fhir/R4/http.html#batch"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Message

from fhir_ins.api.body import SENT
from fhir_ins.api.context import BASE
from fhir_ins.api.entries import Entry
from fhir_ins.api.errors import on_database_error, on_fhir_error, on_unexpected_error
from fhir_ins.api.responses import ENTRY
from fhir_ins.fhir.outcome import FhirError, Issue, NotFound, placed

_PASSED_ON = (b"authorization", b"prefer", b"accept-language")


async def answered(request: Request, entry: Entry) -> Response:
    """The answer to one entry of a batch, a failure included: one of ours, too, is of this entry alone."""
    part = Request({**request.scope, ENTRY: True}, request.receive)
    try:
        try:
            return await asked(part, entry)
        except FhirError as error:
            return await on_fhir_error(part, error)
        except PyMongoError as error:
            return await on_database_error(part, error)
    except Exception as error:
        return on_unexpected_error(part, error)


async def asked(request: Request, entry: Entry, more: Mapping[str, Any] | None = None) -> Response:
    """The answer to one entry, `more` being what its request's scope holds beside. Raises FhirError, in its place."""
    try:
        route, scope = _matched(request.app.routes, _scope(request, entry))
        inside = Request({**scope, **(more or {})}, _receive(entry))
        return cast(Response, await route.endpoint(inside))
    except FhirError as error:
        root = entry.resource.get("resourceType", "") if entry.resource else ""
        error.issues = tuple(_at(entry, root, issue) for issue in error.issues)
        raise


def _at(entry: Entry, root: str, issue: Issue) -> Issue:
    return placed(issue, f"{entry.place}.resource", root) if root else placed(issue, entry.place, "")


def _matched(routes: Iterable[BaseRoute], scope: dict[str, Any]) -> tuple[Route, dict[str, Any]]:
    for route in routes:
        match, found = route.matches(scope)
        if match is Match.FULL and isinstance(route, Route):
            return route, {**scope, **found}
    raise NotFound(
        "This address is not one of this server: [base]/metadata says what it serves.", message="MSG_NO_MODULE"
    )


def _scope(request: Request, entry: Entry) -> dict[str, Any]:
    content_type = entry.body()[1] if entry.method == "PATCH" else "application/fhir+json"
    headers = [pair for pair in request.scope["headers"] if pair[0] in _PASSED_ON]
    headers += [(name.encode(), value.encode()) for name, value in entry.headers.items()]
    headers.append((b"content-type", content_type.encode()))
    headers += [pair for pair in request.scope["headers"] if pair[0] == b"host"]
    path = f"{BASE}/{entry.path}"
    return {
        **request.scope,
        ENTRY: True,
        "method": entry.method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": entry.query.encode(),
        "headers": headers,
        "path_params": {},
        **({SENT: entry.resource} if entry.resource and entry.method != "PATCH" else {}),
    }


def _receive(entry: Entry) -> Any:
    async def receive() -> Message:
        return {"type": "http.request", "body": entry.body()[0], "more_body": False}

    return receive
