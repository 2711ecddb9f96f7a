"""FHIR capabilities: GET [base]/metadata. https://hl7.org/fhir/R4/http.html#capabilities

`capability/` states what the server does; at start-up it is completed with what is configured and with the tables the
server itself works by (search parameters, operations).
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins import __version__
from fhir_ins.api.context import context_of
from fhir_ins.api.negotiation import require_json_answer
from fhir_ins.api.operation_input import OPERATIONS, operation_definition
from fhir_ins.api.responses import json_response
from fhir_ins.artifacts import artifact
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.settings import Settings

_MODES = ("full", "normative")
_STATEMENT = "capability/capability-statement.json"
_VALIDATE = {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"}


async def capabilities(request: Request) -> Response:
    require_json_answer(request)
    if request.query_params.get("mode", "full") not in _MODES:
        raise BadRequest("This server offers mode=full and mode=normative.", code="not-supported")
    return json_response(context_of(request).capability)


@cache
def interactions_of(type_: str) -> frozenset[str]:
    """The codes of what is offered on a type (read, create…); none of a type that is not served."""
    (rest,) = artifact(_STATEMENT)["rest"]
    offered = (resource["interaction"] for resource in rest["resource"] if resource["type"] == type_)
    return frozenset(interaction["code"] for interactions in offered for interaction in interactions)


def capability_statement(settings: Settings) -> bytes:
    """The CapabilityStatement of this server, as bytes."""
    stated = artifact(_STATEMENT)
    configured = settings.base_url or f"http://{settings.host}:{settings.port}/fhir"
    (rest,) = stated["rest"]
    return serialise(
        {
            **stated,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": {**stated["software"], "version": __version__},
            "implementation": {**stated["implementation"], "url": str(configured).rstrip("/")},
            "rest": [{**rest, "resource": [_completed(resource, settings.fr_core) for resource in rest["resource"]]}],
        }
    )


def _completed(resource: dict[str, Any], fr_core: str) -> dict[str, Any]:
    parameters = PARAMETERS[resource["type"]].values()
    definitions = (operation_definition(name) for name in OPERATIONS)
    operations = [
        {"name": found["code"], "definition": found["url"]}
        for found in definitions
        if resource["type"] in found["resource"]
    ]
    supported = [f"{profile}|{fr_core}" for profile in resource.get("supportedProfile", ())]
    return {
        **resource,
        **({"supportedProfile": supported} if supported else {}),
        "searchParam": [
            {
                "name": parameter.name,
                "definition": parameter.definition,
                "type": parameter.kind.value,
                "documentation": parameter.documentation,
            }
            for parameter in parameters
        ],
        "operation": [*operations, _VALIDATE],
    }
