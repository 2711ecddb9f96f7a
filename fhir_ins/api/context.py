"""What every endpoint reaches for: who calls, the store, the téléservice, the base URL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from starlette.requests import Request

from fhir_ins.api.audit_events import AuditEvents
from fhir_ins.api.published import Published
from fhir_ins.api.rates import Rates
from fhir_ins.api.served import PUBLISHED, WRITTEN_HERE, Served
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.insi.port import Insi, Requester
from fhir_ins.security.authentication import Authentication
from fhir_ins.security.caller import Caller, Right
from fhir_ins.settings import Settings
from fhir_ins.store.database import Database
from fhir_ins.store.deferred import DeferredCalls
from fhir_ins.store.resources import Resources
from fhir_ins.store.trail import Trail
from fhir_ins.store.versions import Version

BASE = "/fhir"
# Keys of a request's scope:
TENANT = "fhir_ins.tenant"  # the structure that its address names, where addresses name one
CALLER = "fhir_ins.caller"  # who sends it


@dataclass(frozen=True, slots=True)
class Context:
    """What `app` composed at start-up; `insi` is None where the téléservice is not configured, `trail` without a key.

    `anonymous` are the rights of a caller of this machine who shows no token: none, unless the settings say otherwise.
    `capabilities` are ready to go out; `openapi` and `docs` are made when they are first asked for, the latter but for
    the base URL of each request.
    """

    settings: Settings
    authentication: Authentication
    anonymous: frozenset[Right]
    database: Database
    resources: Resources
    deferred: DeferredCalls
    fr_core: FrCore
    published: Published
    trail: Trail | None
    audit_events: AuditEvents
    served: Served
    insi: Insi | None
    cursor_key: bytes = field(repr=False)
    capabilities: Mapping[str, Version]
    openapi: Callable[[], bytes]
    docs: Callable[[], str]
    rates: Rates


_CONTEXT = "fhir_ins.context"


def context_of(request: Request) -> Context:
    return cast(Context, request.scope.get(_CONTEXT) or request.app.state.context)


def part_of(request: Request, resources: Resources) -> Request:
    """The same request, all it reads and writes being part of the transaction of these Resources."""
    return Request({**request.scope, _CONTEXT: replace(context_of(request), resources=resources)}, request.receive)


def caller_of(request: Request) -> Caller:
    """Who sends the request, as its address has found out."""
    return cast(Caller, request.scope[CALLER])


def tenant_of(request: Request) -> str:
    """The structure whose data are asked for."""
    return request.scope.get(TENANT) or context_of(request).settings.tenant


def requester_of(caller: Caller, assertion: bytes | None = None) -> Requester:
    """On whose behalf the caller has INSi asked; `assertion` is that of a professional's card, where one came."""
    return Requester(caller.tenant, caller.actor, assertion)


def type_of(request: Request) -> str:
    """The type of resource an address names; that of Patients is written out for their operations."""
    return str(request.path_params.get("type", "Patient"))


def source_of(request: Request, type_: str) -> Resources | Published | AuditEvents:
    """Where resources of this type are read and searched."""
    context = context_of(request)
    if type_ in WRITTEN_HERE:
        return context.audit_events
    return context.published if type_ in PUBLISHED else context.resources


def base_url(request: Request) -> str:
    """The base of the URLs we give out: the configured one, else the one this request came to."""
    configured = context_of(request).settings.base_url
    base = str(configured).rstrip("/") if configured else str(request.base_url).rstrip("/") + BASE
    return f"{base}/t/{tenant}" if (tenant := request.scope.get(TENANT)) else base


def latest_day() -> str:
    """The latest day it is anywhere, overseas France included: what is dated after it is in the future."""
    return (datetime.now(UTC) + timedelta(hours=14)).date().isoformat()


def today() -> str:
    """The day, as documents and INSi calls are dated: YYYY-MM-DD, in UTC."""
    return datetime.now(UTC).date().isoformat()
