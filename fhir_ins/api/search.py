"""FHIR search: GET [base]/[type]?… and POST [base]/[type]/_search. https://hl7.org/fhir/R4/http.html#search"""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.body import bounded_body
from fhir_ins.api.context import base_url, caller_of, context_of, source_of, type_of
from fhir_ins.api.negotiation import require_json_answer, require_json_format
from fhir_ins.api.paging import Position, opened, sealed
from fhir_ins.api.responses import json_response
from fhir_ins.fhir.outcome import BadRequest, UnsupportedMediaType
from fhir_ins.fhir.search import Search, parse
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.resources import Version

_CURSOR = "_cursor"
_FORM = "application/x-www-form-urlencoded"


async def search(request: Request) -> Response:
    require_json_answer(request)
    caller = caller_of(request)
    caller.require(Right.READ)
    type_ = type_of(request)
    pairs = _pairs(request.scope["query_string"].decode("latin-1")) + (
        await _form(request) if request.method == "POST" else []
    )
    for name, value in pairs:
        if name == "_format":
            require_json_format(value)
    after, pairs = _position(request, caller, type_, pairs)
    lenient = "handling=lenient" in request.headers.get("prefer", "").replace(" ", "").lower()
    found = parse(pairs, PARAMETERS[type_], lenient=lenient)
    source = source_of(request, type_)
    if found.count == 0:
        return json_response(_bundle(request, type_, found, (), total=await source.count(caller, type_, found)))
    page = await source.search(caller, type_, found, after)
    total = len(page.versions) if after is None and not page.more else None
    following = None
    if page.more:
        position = Position(found.applied, page.versions[-1].id)
        following = sealed(position, context_of(request).cursor_key, caller, type_)
    return json_response(_bundle(request, type_, found, page.versions, total=total, following=following))


def _position(
    request: Request, caller: Caller, type_: str, pairs: list[tuple[str, str]]
) -> tuple[str | None, list[tuple[str, str]]]:
    cursors = [value for name, value in pairs if name == _CURSOR]
    if not cursors:
        return None, pairs
    if any(name not in (_CURSOR, "_format") for name, _ in pairs) or len(cursors) > 1:
        raise BadRequest("A _cursor holds the whole search: follow the next link as it is, without other parameters.")
    position = opened(cursors[0], context_of(request).cursor_key, caller, type_)
    return position.after, list(position.applied)


def _bundle(
    request: Request,
    type_: str,
    found: Search,
    versions: Sequence[Version],
    *,
    total: int | None,
    following: str | None = None,
) -> bytes:
    """The searchset around the ready bytes; `total` is given where it is known without counting."""
    base = f"{base_url(request)}/{type_}"
    links = [{"relation": "self", "url": f"{base}?{urlencode(found.applied)}" if found.applied else base}]
    if following:
        links.append({"relation": "next", "url": f"{base}?{_CURSOR}={following}"})
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    opening = orjson.dumps({**head, "link": links})
    if not versions:
        return opening
    entries = (
        b'{"fullUrl":%b,"resource":%b,"search":{"mode":"match"}}'
        % (orjson.dumps(f"{base}/{found.id}"), found.body or b"null")
        for found in versions
    )
    return opening[:-1] + b',"entry":[' + b",".join(entries) + b"]}"


async def _form(request: Request) -> list[tuple[str, str]]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType(f"A search by POST sends its parameters as {_FORM}.")
    return _pairs(_text(await bounded_body(request)))


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        pairs: Iterable[tuple[str, str]] = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError as error:
        raise BadRequest("The search parameters must be URL-encoded UTF-8, 20 at most.") from error
    return list(pairs)


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadRequest("The search parameters must be URL-encoded.") from error
