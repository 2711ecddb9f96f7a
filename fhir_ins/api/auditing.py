"""Every access is put into the audit trail before it is answered: what was asked, by whom, what it showed, its end.

One place does so, around the endpoint of each address (see `addresses`); an endpoint only says which resources it has
shown or written, which Address cannot know. An entry of a Bundle is an access of its own, journalled with the Bundle's.
What is going on is known to all that a request calls, the witness of the calls to INSi included, which has no request.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urlencode

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import Context, caller_of, context_of
from fhir_ins.api.responses import ENTRY
from fhir_ins.fhir.outcome import FhirError, Unavailable
from fhir_ins.insi.port import Exchange
from fhir_ins.security.audit.event import Event, InsiCall
from fhir_ins.security.caller import Caller
from fhir_ins.store.trail import TrailUnavailable
from fhir_ins.store.versions import Current, Version

REQUEST_ID = "fhir_ins.request_id"  # the key of a request's scope under which the access log puts its id

_REFERENCE_TO_PATIENT = re.compile(rb'"reference":"Patient/([A-Za-z0-9\-.]{1,64})')
_MOST_QUERY = 16_000  # characters of a query that are kept
_CANNOT = "The audit trail cannot be written, so nothing is answered. Try again later."
_WRITTEN = (
    "The audit trail cannot be written, so nothing is answered; but the request was carried out. Look before repeating "
    "it."
)


@dataclass(slots=True)
class Access:
    """What one request, or one entry of a Bundle, has come to so far; of a Bundle, what its entries were."""

    interaction: str
    query: str
    resources: dict[str, None] = field(default_factory=dict)
    patients: dict[str, None] = field(default_factory=dict)
    calls: list[InsiCall] = field(default_factory=list)
    entries: list[Event] = field(default_factory=list)


_going_on: ContextVar[Access | None] = ContextVar("fhir_ins.access", default=None)


async def audited(request: Request, interaction: str, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """The answer, once its event is in the trail. Raises what `answer` does, and Unavailable where the trail is away.

    The caller is known: whoever is not has had access to nothing, and there is no event.
    """
    trail = context_of(request).trail
    if trail is None:
        return await answer(request)
    caller = caller_of(request)
    whole = _going_on.get() if ENTRY in request.scope else None
    access, before = Access(interaction, _query_of(request)), _going_on.get()
    _going_on.set(access)
    if whole is None:
        trail.entered(caller.tenant)
    status, away = 500, False
    try:
        response = await answer(request)
        status = response.status_code
        return response
    except FhirError as error:
        status = error.status
        raise
    except PyMongoError:
        status, away = 503, True
        raise
    finally:
        _going_on.set(before)
        event = _event(request, caller, access, status)
        if whole is not None:
            whole.entries += [*access.entries, event]
        else:
            await _journalled(request, caller, access, event, away=away)


async def _journalled(request: Request, caller: Caller, access: Access, event: Event, *, away: bool) -> None:
    """`away`: MongoDB did not answer the request either, which is said in its own words."""
    trail = context_of(request).trail
    assert trail is not None  # noqa: S101 - the only caller has one
    # of a Bundle that failed, what its entries did is undone, or was never said
    entries = access.entries if event.status < 400 else [entry for entry in access.entries if entry.status >= 400]
    try:
        await trail.journalled(caller.tenant, [event, *entries])
    except TrailUnavailable as error:
        if away:
            return
        wrote = event.status < 400 and request.method not in ("GET", "HEAD")
        raise Unavailable(_WRITTEN if wrote else _CANNOT, Retry_After="5") from error
    finally:
        trail.left(caller.tenant)


def interaction_is(code: str) -> None:
    """Say which one it is, where the address alone does not tell."""
    if access := _going_on.get():
        access.interaction = code


def queried(pairs: str) -> None:
    """Say what is asked beside what stands in the URL, or in place of a cursor there: URL-encoded."""
    if access := _going_on.get():
        kept = "" if access.query.startswith("_cursor=") else access.query
        access.query = "&".join(part for part in (kept, pairs) if part)[:_MOST_QUERY]


def disclosed(*versions: Version | Current) -> None:
    """Say which versions are shown or written, as wholes: with them, whose they are."""
    access = _going_on.get()
    if access is None:
        return
    for version in versions:
        tag = version.tag if isinstance(version, Version) else version.number
        access.resources[f"{version.type}/{version.id}/_history/{tag}"] = None
        concerned(version)


def concerned(version: Version | Current) -> None:
    """Say whose a version is that is written over, or would have been."""
    access = _going_on.get()
    if access is None:
        return
    if version.type == "Patient":
        access.patients[version.id] = None
    elif version.body:
        for id_ in _REFERENCE_TO_PATIENT.findall(version.body):
            access.patients[id_.decode()] = None


def disclosed_by_reference(*references: str) -> None:
    """The same of resources of which only Type/id is known."""
    if access := _going_on.get():
        for reference in references:
            access.resources[reference] = None
            type_, _, id_ = reference.partition("/")
            if type_ == "Patient":
                access.patients[id_] = None


def begun_again() -> None:
    """Say that what the entries did is undone: their transaction starts anew."""
    if access := _going_on.get():
        access.entries.clear()


async def witnessed(exchange: Exchange) -> None:
    """Note a call to INSi, as what is going on has made it."""
    if access := _going_on.get():
        call = exchange.call
        access.calls.append(InsiCall(call.message_id, call.operation.value, call.code))


@asynccontextmanager
async def without_request(context: Context, caller: Caller, interaction: str, patient: str) -> AsyncIterator[None]:
    """What is done inside for a caller who waits for no answer, as one access, if it asks INSi anything.

    Raises Unavailable on the way out where the trail is away.
    """
    access = Access(interaction, "")
    before = _going_on.get()
    _going_on.set(access)
    try:
        yield
    finally:
        _going_on.set(before)
        if context.trail is not None and access.calls:
            access.patients[patient] = None
            about = (None, "Patient", patient, "", [*access.resources], [*access.patients], access.calls)
            event = Event(_now(), interaction, 200, "deferred", caller.client, caller.user, *about)
            try:
                await context.trail.journalled(caller.tenant, [event])
            except TrailUnavailable as error:
                raise Unavailable(_CANNOT, Retry_After="5") from error


def _event(request: Request, caller: Caller, access: Access, status: int) -> Event:
    named = request.path_params
    if "compartment" in named:
        type_, id_ = named.get("type"), None
        if named["compartment"] == "Patient":
            access.patients[named["id"]] = None
    else:
        type_, id_ = named.get("type"), named.get("id")
    client = request.client
    return Event(
        _now(),
        access.interaction,
        status,
        request.scope.get(REQUEST_ID, ""),
        caller.client,
        caller.user,
        client.host if client else None,
        type_,
        id_,
        access.query,
        [*access.resources],
        [*access.patients],
        access.calls,
    )


def _query_of(request: Request) -> str:
    """That of the URL, and the condition of a create, which is one too."""
    query: str = request.scope["query_string"].decode("latin-1")
    if (condition := request.headers.get("if-none-exist")) is not None:
        query = "&".join(part for part in (query, urlencode([("if-none-exist", condition)])) if part)
    return query[:_MOST_QUERY]


def _now() -> int:
    return time.time_ns() // 1_000_000
