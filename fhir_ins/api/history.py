"""FHIR history: GET [base]/[type]/[id]/_history, [base]/[type]/_history and [base]/_history.

https://hl7.org/fhir/R4/http.html#history. The latest version comes first; a page's `next` link goes on from its last.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed, queried
from fhir_ins.api.context import base_url, caller_of, context_of
from fhir_ins.api.paging import Position, opened, sealed
from fhir_ins.api.responses import json_response
from fhir_ins.api.view import PARAMETERS as OF_VIEW
from fhir_ins.api.view import View, view
from fhir_ins.fhir.dates import span_of
from fhir_ins.fhir.outcome import BadRequest, NotFound
from fhir_ins.fhir.search import DEFAULT_COUNT, GREATEST_COUNT
from fhir_ins.security.caller import Caller
from fhir_ins.store.history import Past, Place
from fhir_ins.store.versions import Version

_PARAMETERS = ("_count", "_since", "_at")
_PASSED_OVER = frozenset({"_format", "_pretty"})
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})")
_STATUS = {"POST": "201 Created", "DELETE": "204 No Content"}


async def history_instance(request: Request) -> Response:
    type_, id_ = request.path_params["type"], request.path_params["id"]
    return await _answer(request, [type_], f"{type_}/{id_}", id_)


async def history_type(request: Request) -> Response:
    type_ = request.path_params["type"]
    return await _answer(request, [type_], type_)


async def history_system(request: Request) -> Response:
    return await _answer(request, caller_of(request).among("s", context_of(request).served.stored), "")


async def _answer(request: Request, types: Iterable[str], path: str, id_: str | None = None) -> Response:
    caller, context = caller_of(request), context_of(request)
    after, pairs = _position(request, caller, path)
    shown = view([pair for pair in pairs if pair[0] in OF_VIEW])
    past, count = _past(pairs, list(types), id_)
    total = await context.resources.history.total(caller, past) if id_ or count == 0 else None
    if id_ and not total and not await context.resources.history.total(caller, Past(past.types, id_)):
        raise NotFound(f"There is no such {past.types[0]}: check its id, or search for it.")
    links, entries, more = [("self", _self(request, path, pairs))], b"", False
    if count:
        page = await context.resources.history.page(caller, past, after, count)
        disclosed(*page.versions)
        entries, more = _entries(request, page.versions, shown), page.more
        if more:
            position = Position(tuple(pairs), _written(page.versions[-1]))
            cursor = sealed(position, context.cursor_key, caller, f"{path}/_history")
            links.append(("next", f"{_history(request, path)}?_cursor={cursor}"))
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "history"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    opening = orjson.dumps(head)
    return json_response(opening[:-1] + b',"entry":[' + entries + b"]}" if entries else opening)


def _past(pairs: Iterable[tuple[str, str]], types: list[str], id_: str | None) -> tuple[Past, int]:
    """What is asked for, and how much of it a page."""
    count, since, at = DEFAULT_COUNT, None, None
    for name, value in pairs:
        if name == "_count":
            if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
                raise BadRequest(f"_count takes a whole number from 0 to {GREATEST_COUNT}.", code="value")
            count = min(int(value), GREATEST_COUNT)
        elif name == "_since":
            since = _instant(value)
        elif name == "_at":
            at = _period(value)
    return Past(types, id_, since, at), count


def _instant(text: str) -> datetime:
    """https://hl7.org/fhir/R4/http.html#history: _since is an instant."""
    if not _INSTANT.fullmatch(text.replace(" ", "+")):
        raise BadRequest("_since takes an instant with its time zone, such as 2026-01-31T09:00:00Z.", code="value")
    try:
        return datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest("_since takes an instant of the calendar.", code="value") from error


def _period(text: str) -> tuple[datetime, datetime]:
    span = span_of(text.replace(" ", "+"))
    if span is None:
        raise BadRequest("_at takes a date or an instant, such as 2026-01-31.", code="value")
    return _moment(span.low), _moment(span.high)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _position(request: Request, caller: Caller, path: str) -> tuple[Place | None, list[tuple[str, str]]]:
    """Where the page begins, and the parameters of the whole. Raises BadRequest for what is none of them."""
    given = [pair for pair in request.query_params.multi_items() if pair[0] not in _PASSED_OVER]
    names = [name for name, _ in given]
    if names == ["_cursor"]:
        position = opened(given[0][1], context_of(request).cursor_key, caller, f"{path}/_history")
        queried(urlencode(position.applied))
        updated, type_, id_, number = orjson.loads(position.after)
        return Place(datetime.fromisoformat(updated), type_, id_, number), list(position.applied)
    if wrong := [name for name in names if name not in _PARAMETERS and name not in OF_VIEW]:
        shown = wrong[0] if re.fullmatch(r"[A-Za-z_:.-]{1,40}", wrong[0]) else "given"
        offered = ", ".join([*_PARAMETERS, *sorted(OF_VIEW)])
        raise BadRequest(f"The parameter {shown} is not one of a history: {offered}.", code="not-supported")
    if len(set(names)) < len(names):
        raise BadRequest("Each parameter of a history is given once.", code="value")
    if {"_since", "_at"} <= set(names):
        raise BadRequest("Give _since or _at, not both.", code="value")
    return None, given


def _written(version: Version) -> str:
    """The place of a version, for a cursor."""
    return orjson.dumps([version.updated.isoformat(), version.type, version.id, version.number]).decode()


def _history(request: Request, path: str) -> str:
    return "/".join(part for part in (base_url(request), path, "_history") if part)


def _self(request: Request, path: str, pairs: list[tuple[str, str]]) -> str:
    return _history(request, path) + (f"?{urlencode(pairs)}" if pairs else "")


def _entries(request: Request, versions: Iterable[Version], shown: View) -> bytes:
    base = base_url(request)
    return b",".join(_entry(base, shown.version(version)) for version in versions)


def _entry(base: str, version: Version) -> bytes:
    """The version around its ready bytes, with the request that wrote it as far as it is known."""
    here = f"{version.type}/{version.id}"
    interaction = {"method": version.method, "url": version.type if version.method == "POST" else here}
    said = {
        "status": _STATUS.get(version.method, "200 OK"),
        "etag": f'W/"{version.tag}"',
        "lastModified": version.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    resource = b'"resource":%b,' % version.body if version.body is not None else b""
    return b'{"fullUrl":%b,%b"request":%b,"response":%b}' % (
        orjson.dumps(f"{base}/{here}"),
        resource,
        orjson.dumps(interaction),
        orjson.dumps(said),
    )
