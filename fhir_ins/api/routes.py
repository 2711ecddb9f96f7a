"""The addresses of the server, the hottest first: a router tries them in this order."""

from collections.abc import Awaitable, Callable

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_ins.api.capabilities import capabilities
from fhir_ins.api.context import BASE
from fhir_ins.api.create import create
from fhir_ins.api.delete import delete
from fhir_ins.api.health import live, ready
from fhir_ins.api.ins_fetch import ins_fetch, ins_fetch_instance
from fhir_ins.api.ins_identity import ins_identity
from fhir_ins.api.ins_scan import ins_scan
from fhir_ins.api.ins_verify import ins_verify, ins_verify_instance
from fhir_ins.api.metrics import metrics
from fhir_ins.api.published import PUBLISHED
from fhir_ins.api.read import read
from fhir_ins.api.search import search
from fhir_ins.api.update import update
from fhir_ins.api.validate import validate, validate_instance
from fhir_ins.api.vread import vread
from fhir_ins.fhir.outcome import MethodNotAllowed

_PATIENT = f"{BASE}/Patient"
_TASK = f"{BASE}/{{type:task}}"
_ID = "{id:fhir_id}"
_ANY = f"{BASE}/{{type:fhir_type}}"
_PUBLISHED = f"{BASE}/{{type:published}}"

Endpoint = Callable[[Request], Awaitable[Response]]


class _FhirId(StringConvertor):
    """A logical id, so that an operation's name is never taken for one. https://hl7.org/fhir/R4/datatypes.html#id"""

    regex = r"[A-Za-z0-9\-.]{1,64}"


class _FhirType(StringConvertor):
    """The name of a resource type. https://hl7.org/fhir/R4/resourcelist.html"""

    regex = r"[A-Z][A-Za-z]{1,63}"


class _TaskType(StringConvertor):
    """Task, as an address names it."""

    regex = "Task"


class _PublishedType(StringConvertor):
    """A type of resource of which this server has its own artifacts only."""

    regex = "|".join(PUBLISHED)


register_url_convertor("fhir_id", _FhirId())
register_url_convertor("fhir_type", _FhirType())
register_url_convertor("task", _TaskType())
register_url_convertor("published", _PublishedType())


def _route(path: str, *, otherwise: str = "see [base]/metadata.", **endpoints: Endpoint) -> Route:
    """One route an address, its methods given as GET=…, POST=…; any other is answered 405 with Allow, and a remedy."""
    allowed = ", ".join(sorted({*endpoints, *(["HEAD"] if "GET" in endpoints else [])}))

    async def dispatch(request: Request) -> Response:
        request.scope["route"] = path  # what the access log may say of the address
        endpoint = endpoints.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            raise MethodNotAllowed(f"This address takes {allowed}: {otherwise}", Allow=allowed)
        return await endpoint(request)

    return Route(path, dispatch, methods=_METHODS)


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

_TASKS = "the server writes Tasks itself, when $ins-fetch is called with defer; delete one to withdraw the call."

ROUTES: list[BaseRoute] = [
    _route(f"{_PATIENT}/{_ID}", GET=read, PUT=update, DELETE=delete),
    _route(_PATIENT, GET=search, POST=create),
    _route(f"{_PATIENT}/_search", POST=search),
    _route(f"{_PATIENT}/$ins-fetch", POST=ins_fetch),
    _route(f"{_PATIENT}/$ins-verify", POST=ins_verify),
    _route(f"{_PATIENT}/$ins-scan", POST=ins_scan),
    _route(f"{_PATIENT}/{_ID}/$ins-identity", GET=ins_identity, POST=ins_identity),
    _route(f"{_PATIENT}/{_ID}/$ins-fetch", POST=ins_fetch_instance),
    _route(f"{_PATIENT}/{_ID}/$ins-verify", POST=ins_verify_instance),
    _route(f"{_PATIENT}/{_ID}/_history/{{vid}}", GET=vread),
    _route(f"{_TASK}/{_ID}", otherwise=_TASKS, GET=read, DELETE=delete),
    _route(_TASK, otherwise=_TASKS, GET=search),
    _route(f"{_TASK}/_search", POST=search),
    _route(f"{_TASK}/{_ID}/_history/{{vid}}", GET=vread),
    _route(f"{_ANY}/$validate", GET=validate, POST=validate),
    _route(f"{_ANY}/{_ID}/$validate", GET=validate_instance, POST=validate_instance),
    _route(f"{_PUBLISHED}/{_ID}", GET=read),
    _route(_PUBLISHED, GET=search),
    _route(f"{_PUBLISHED}/_search", POST=search),
    _route(f"{BASE}/metadata", GET=capabilities),
    _route("/health/live", GET=live),
    _route("/health/ready", GET=ready),
    _route("/metrics", GET=metrics),
]
