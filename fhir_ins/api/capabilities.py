"""FHIR capabilities: GET [base]/metadata. https://hl7.org/fhir/R4/http.html#capabilities

`capability/` states what the server does; at start-up it is completed with what is configured and with the tables the
server itself works by (what is served, search parameters, operations).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins import __version__
from fhir_ins.api.context import base_url, context_of
from fhir_ins.api.includes import includable, reverse_includable
from fhir_ins.api.operation_input import OPERATIONS, operation_definition
from fhir_ins.api.read import read_response
from fhir_ins.api.served import Served
from fhir_ins.artifacts import artifact
from fhir_ins.fhir.compartments import COMPARTMENTS
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.settings import Settings
from fhir_ins.store.keyed_places import LIMITS
from fhir_ins.store.versions import Version

Json = dict[str, Any]

_BASE = b"{base}"  # stands for the base URL until a request says what it is
_STATEMENT = "capability/capability-statement.json"
_TERMINOLOGY = "capability/terminology-capabilities.json"
_R4 = "http://hl7.org/fhir/OperationDefinition"
_VALIDATE = {"name": "validate", "definition": f"{_R4}/Resource-validate"}
_META = {"name": "meta", "definition": f"{_R4}/Resource-meta"}
_META_ADD = {"name": "meta-add", "definition": f"{_R4}/Resource-meta-add"}
_META_DELETE = {"name": "meta-delete", "definition": f"{_R4}/Resource-meta-delete"}
_EVERYTHING = {"name": "everything", "definition": f"{_R4}/Patient-everything"}
_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OF_SYSTEM = ("transaction", "batch", "search-system", "history-system")
_ORDER = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)


async def capabilities(request: Request) -> Response:
    """The statement of this `mode`: what is normative is all of it; of terminology there are no operations."""
    offered = context_of(request).capabilities
    version = offered.get(request.query_params.get("mode", "full"))
    if version is None:
        raise BadRequest("This server offers mode=full, mode=normative and mode=terminology.", code="not-supported")
    assert version.body is not None  # noqa: S101 - a statement is never deleted
    here = serialise(base_url(request))[1:-1]
    return read_response(request, replace(version, body=version.body.replace(_BASE, here, 1)))


def capabilities_by_mode(settings: Settings, served: Served) -> dict[str, Version]:
    """What is answered in each mode, from the start of this server on; the ETag is its digest."""
    full = _version("CapabilityStatement", capability_statement(settings, served))
    terminology = _version("TerminologyCapabilities", serialise(_dated(artifact(_TERMINOLOGY))))
    return {"full": full, "normative": full, "terminology": terminology}


def _version(type_: str, body: bytes) -> Version:
    return Version(type_, "metadata", sha256(body).hexdigest()[:16], datetime.now(UTC), body)


def capability_statement(settings: Settings, served: Served) -> bytes:
    """The CapabilityStatement of this server, as bytes; `_BASE` in it stands for the base URL."""
    stated = _dated(artifact(_STATEMENT))
    (rest,) = stated["rest"]
    said = {resource["type"]: resource for resource in rest["resource"]}
    resources = [_resource(type_, said, settings, served) for type_ in served.interactions]
    whole = {
        "interaction": [{"code": code} for code in _OF_SYSTEM],
        "operation": [_META],
        "compartment": [
            f"http://hl7.org/fhir/CompartmentDefinition/{type_.lower()}" for type_ in COMPARTMENTS if served.of(type_)
        ],
    }
    said_of_all = {
        "documentation": rest["documentation"] + (f" {LIMITS}" if settings.encrypted else ""),
        "security": _security(settings),
    }
    return serialise({**stated, "rest": [{**rest, **said_of_all, "resource": resources, **whole}]})


def _security(settings: Settings) -> Json:
    """https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.security"""
    by_token = {
        "service": [{"coding": [{"system": _SERVICES, "code": "SMART-on-FHIR"}]}],
        "description": "OAuth 2.0 bearer tokens with SMART App Launch 2 scopes (system/, user/) and ins.fetch, "
        "ins.verify, ins.qualify, ins.reference, ins.trusted-source, ins.audit: see "
        "[base]/.well-known/smart-configuration",
    }
    by_nothing = {"description": "Callers are of the machine of the server itself, and show no token"}
    return {"cors": bool(settings.cors_origins), **(by_token if settings.access else by_nothing)}


def _dated(stated: Json) -> Json:
    return {
        **stated,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {**stated["software"], "version": __version__},
        "implementation": {**stated["implementation"], "url": _BASE.decode()},
    }


def _resource(type_: str, said: Mapping[str, Json], settings: Settings, served: Served) -> Json:
    """What is said of one type, after its interactions."""
    of_r4 = {"type": type_, "profile": f"http://hl7.org/fhir/StructureDefinition/{type_}"}
    stated = said.get(type_, of_r4)
    interactions = served.of(type_)
    supported = [f"{profile}|{settings.fr_core}" for profile in stated.get("supportedProfile", ())]
    return {
        **stated,
        **({"supportedProfile": supported} if supported else {}),
        "interaction": [{"code": code} for code in _ORDER if code in interactions],
        **_conditions(interactions, settings),
        **({"searchInclude": ["*", *included]} if (included := includable(type_)) else {}),
        **({"searchRevInclude": ["*", *referring]} if (referring := reverse_includable(type_, served.stored)) else {}),
        "searchParam": [
            {
                "name": parameter.name,
                "definition": parameter.definition,
                "type": parameter.kind.value,
                "documentation": parameter.documentation,
            }
            for parameter in PARAMETERS[type_].values()
        ],
        "operation": _operations(type_, interactions),
    }


def _conditions(interactions: frozenset[str], settings: Settings) -> Json:
    """https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.resource.versioning"""
    if "vread" not in interactions:
        return {"versioning": "no-version", "conditionalRead": "full-support"}
    return {
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": settings.update_create,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple" if settings.delete_several else "single",
        "referencePolicy": ["literal", "logical", "local"]
        if settings.delete_referenced
        else ["literal", "logical", "local", "enforced"],
    }


def _operations(type_: str, interactions: frozenset[str]) -> list[Json]:
    ours = [
        {"name": found["code"], "definition": found["url"]}
        for found in (operation_definition(name) for name in OPERATIONS)
        if type_ in found["resource"]
    ]
    meta = [*([_EVERYTHING] if type_ == "Patient" else []), *([_META] if "vread" in interactions else [])]
    return [*ours, _VALIDATE, *meta, *([_META_ADD, _META_DELETE] if "update" in interactions else [])]
