"""The addresses of the server, the hottest first: a router tries them in this order."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_ins.api.bundle import bundle
from fhir_ins.api.capabilities import capabilities
from fhir_ins.api.context import BASE, context_of
from fhir_ins.api.create import create
from fhir_ins.api.delete import conditional_delete, delete
from fhir_ins.api.everything import everything
from fhir_ins.api.health import live, ready
from fhir_ins.api.history import history_instance, history_system, history_type
from fhir_ins.api.ins_fetch import ins_fetch, ins_fetch_instance
from fhir_ins.api.ins_identity import ins_identity
from fhir_ins.api.ins_scan import ins_scan
from fhir_ins.api.ins_verify import ins_verify, ins_verify_instance
from fhir_ins.api.meta import meta, meta_add, meta_delete, meta_of_system, meta_of_type
from fhir_ins.api.metrics import metrics
from fhir_ins.api.negotiation import FHIR, Format, answer_format
from fhir_ins.api.patch import conditional_patch, patch
from fhir_ins.api.read import read
from fhir_ins.api.responses import FORMAT, PRIVATE, rendered
from fhir_ins.api.search import search
from fhir_ins.api.update import conditional_update, update
from fhir_ins.api.validate import validate, validate_instance
from fhir_ins.api.vread import vread
from fhir_ins.fhir.outcome import MethodNotAllowed, NotFound

_ID = "{id:fhir_id}"
_ANY = f"{BASE}/{{type:fhir_type}}"
_PATIENT = f"{BASE}/{{type:patient}}"
_COMPARTMENT = f"{BASE}/{{compartment:fhir_type}}"

Endpoint = Callable[[Request], Awaitable[Response]]


class _FhirId(StringConvertor):
    """A logical id, so that an operation's name is never taken for one. https://hl7.org/fhir/R4/datatypes.html#id"""

    regex = r"[A-Za-z0-9\-.]{1,64}"


class _FhirType(StringConvertor):
    """The name of a resource type. https://hl7.org/fhir/R4/resourcelist.html"""

    regex = r"[A-Z][A-Za-z]{1,63}"


class _PatientType(StringConvertor):
    """Patient, as an address names it."""

    regex = "Patient"


register_url_convertor("fhir_id", _FhirId())
register_url_convertor("fhir_type", _FhirType())
register_url_convertor("patient", _PatientType())


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a method does at an address; `interaction` is its code, which the type must have."""

    endpoint: Endpoint
    interaction: str | None = None


def _route(path: str, *, formats: tuple[Format, ...] = FHIR, **offers: Endpoint | _Offer) -> Route:
    """One route an address, its methods given as GET=…, POST=…; any other is answered 405 with Allow, and a remedy.

    What the endpoint answers goes out in the format that was asked for, one of `formats`; none: it is not FHIR.
    """
    offered = {method: offer if isinstance(offer, _Offer) else _Offer(offer) for method, offer in offers.items()}

    async def dispatch(request: Request) -> Response:
        here = _offered_here(request, offered)
        # what the access log may say of the address
        request.scope["route"] = _NAMED.sub(lambda found: request.path_params.get(found[1], ""), path)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**PRIVATE, "Allow": _allowed(here)})
        offer = here.get("GET" if request.method == "HEAD" else request.method)
        if offer is None:
            allowed = _allowed(here)
            raise MethodNotAllowed(f"This address takes {allowed}: see [base]/metadata.", Allow=allowed)
        if not formats:
            return await offer.endpoint(request)
        request.scope[FORMAT] = answer_format(request, formats)
        return rendered(request, await offer.endpoint(request))

    return Route(path, dispatch, methods=_METHODS)


def _offered_here(request: Request, offered: dict[str, _Offer]) -> dict[str, _Offer]:
    """What of an address the type it names has. Raises NotFound for a type that is not served."""
    if "type" not in request.path_params:
        return offered
    served = context_of(request).served
    interactions = served.of(request.path_params["type"])
    if not interactions or not served.of(request.path_params.get("compartment", "Patient")):
        raise NotFound(
            "This server has no resources of this type: see [base]/metadata.",
            code="not-supported",
            message="MSG_UNKNOWN_TYPE",
        )
    return {
        method: offer
        for method, offer in offered.items()
        if offer.interaction is None or offer.interaction in interactions
    }


def _allowed(offers: dict[str, _Offer]) -> str:
    return ", ".join(sorted({*offers, "OPTIONS", *(["HEAD"] if "GET" in offers else [])}))


_NAMED = re.compile(r"\{(type|compartment):\w+\}")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

ROUTES: list[BaseRoute] = [
    _route(
        f"{_ANY}/{_ID}",
        GET=_Offer(read, "read"),
        PUT=_Offer(update, "update"),
        PATCH=_Offer(patch, "patch"),
        DELETE=_Offer(delete, "delete"),
    ),
    _route(
        _ANY,
        GET=_Offer(search, "search-type"),
        POST=_Offer(create, "create"),
        PUT=_Offer(conditional_update, "update"),
        PATCH=_Offer(conditional_patch, "patch"),
        DELETE=_Offer(conditional_delete, "delete"),
    ),
    _route(f"{_ANY}/_search", POST=_Offer(search, "search-type")),
    _route(f"{_PATIENT}/$ins-fetch", POST=ins_fetch),
    _route(f"{_PATIENT}/$ins-verify", POST=ins_verify),
    _route(f"{_PATIENT}/$ins-scan", POST=ins_scan),
    _route(f"{_PATIENT}/{_ID}/$ins-identity", formats=tuple(Format), GET=ins_identity, POST=ins_identity),
    _route(f"{_PATIENT}/{_ID}/$ins-fetch", POST=ins_fetch_instance),
    _route(f"{_PATIENT}/{_ID}/$ins-verify", POST=ins_verify_instance),
    _route(f"{_PATIENT}/{_ID}/$everything", GET=everything, POST=everything),
    _route(f"{_ANY}/{_ID}/_history/{{vid}}", GET=_Offer(vread, "vread")),
    _route(f"{_ANY}/{_ID}/_history", GET=_Offer(history_instance, "history-instance")),
    _route(f"{_ANY}/_history", GET=_Offer(history_type, "history-type")),
    _route(f"{_ANY}/$validate", GET=validate, POST=validate),
    _route(f"{_ANY}/{_ID}/$validate", GET=validate_instance, POST=validate_instance),
    _route(f"{_ANY}/$meta", GET=_Offer(meta_of_type, "history-type"), POST=_Offer(meta_of_type, "history-type")),
    _route(f"{_ANY}/{_ID}/$meta", GET=_Offer(meta, "vread"), POST=_Offer(meta, "vread")),
    _route(f"{_ANY}/{_ID}/$meta-add", POST=_Offer(meta_add, "update")),
    _route(f"{_ANY}/{_ID}/$meta-delete", POST=_Offer(meta_delete, "update")),
    _route(f"{_COMPARTMENT}/{_ID}/{{type:fhir_type}}", GET=_Offer(search, "search-type")),
    _route(f"{_COMPARTMENT}/{_ID}/{{type:fhir_type}}/_search", POST=_Offer(search, "search-type")),
    _route(f"{BASE}/metadata", GET=capabilities),
    _route(f"{BASE}/_history", GET=history_system),
    _route(f"{BASE}/$meta", GET=meta_of_system, POST=meta_of_system),
    _route(BASE, POST=bundle),
    _route(f"{BASE}/", POST=bundle),
    _route("/health/live", formats=(), GET=live),
    _route("/health/ready", formats=(), GET=ready),
    _route("/metrics", formats=(), GET=metrics),
]
