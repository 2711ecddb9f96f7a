"""The API as OpenAPI 3.1: GET /openapi.json. https://spec.openapis.org/oas/v3.1.1

Made of the tables the server itself works by: the addresses, the types that are served, their search
parameters, our OperationDefinitions, and what `interactions` says of each endpoint. The address of a type is written
out for each, since its search parameters are its own; the others name the types they are for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins import __version__
from fhir_ins.api.addresses import Address, Offer
from fhir_ins.api.context import BASE, context_of
from fhir_ins.api.examples import EXAMPLES
from fhir_ins.api.interactions import HEADERS, INTERACTIONS, OF_EVERY_ANSWER, QUERY, STATUSES, Interaction, Takes
from fhir_ins.api.negotiation import FHIR, PATCHES, Format
from fhir_ins.api.operation_input import OPERATIONS, operation_definition
from fhir_ins.api.served import Served
from fhir_ins.fhir.compartments import COMPARTMENTS
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.settings import Settings

Json = dict[str, Any]

_CONVERTOR = re.compile(r"\{(\w+):\w+\}")
_OF_TYPE = "/{type}"
_FORM = "application/x-www-form-urlencoded"
_PATCH_SCHEMAS: Mapping[str, Json] = {
    "application/json-patch+json": {"type": "array"},
    "application/merge-patch+json": {"type": "object"},
}
_SCHEMAS: Json = {
    "Resource": {
        "type": "object",
        "description": "A FHIR R4 resource.",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}, "id": {"type": "string"}, "meta": {"type": "object"}},
        "externalDocs": {"url": "https://hl7.org/fhir/R4/resourcelist.html"},
    },
    "OperationOutcome": {
        "type": "object",
        "description": "What is wrong, where (FHIRPath), and what to do.",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["severity", "code"],
                    "properties": {
                        "severity": {"enum": ["fatal", "error", "warning", "information"]},
                        "code": {"type": "string"},
                        "details": {"type": "object", "properties": {"text": {"type": "string"}}},
                        "expression": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
        "externalDocs": {"url": "https://hl7.org/fhir/R4/operationoutcome.html"},
    },
}


async def openapi(request: Request) -> Response:
    return Response(context_of(request).openapi(), media_type="application/json")


def described(routes: Iterable[Address], settings: Settings, served: Served) -> Json:
    """The description of these addresses, as this server is configured."""
    paths: dict[str, Json] = {}
    for route in routes:
        for path, method, offer, type_ in _operations(route, served):
            item = paths.setdefault(path, {} if route.formats else {"servers": [{"url": "/"}]})
            item[method.lower()] = _operation(route, method, offer, type_, served)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "fhir-ins",
            "version": __version__,
            "summary": "HL7 FHIR R4 and France's national health identity (INS)",
            "description": "A server of FHIR R4 (4.0.1). What it does is stated by its CapabilityStatement, "
            "[base]/metadata; the page at /docs leads through it with examples.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "externalDocs": {"description": "FHIR R4, RESTful API", "url": "https://hl7.org/fhir/R4/http.html"},
        "servers": [{"url": str(settings.base_url or BASE).rstrip("/")}],
        **({"security": [{"token": []}]} if settings.access else {}),
        "tags": [{"name": name} for name in dict.fromkeys(_tags(paths.values()))],
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "parameters": {name: _query_parameter(name, text) for name, text in QUERY.items()}
            | {name: _parameter(name, "header", text) for name, text in HEADERS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {
                str(status): {"description": text, "content": _contents(FHIR, "OperationOutcome")}
                for status, text in STATUSES.items()
                if status >= 400
            },
        },
    }


def path_of(route: Address) -> str:
    """The path template of an address: below the base where it is FHIR, else of the whole server."""
    path = _CONVERTOR.sub(lambda found: f"{{{found[1]}}}", route.path.replace("{type:patient}", "Patient"))
    return path.removeprefix(BASE).rstrip("/") or "/" if route.formats else path


def _types_of(offer: Offer, served: Served) -> list[str]:
    """The types that have what is offered."""
    return [type_ for type_, codes in served.interactions.items() if offer.interaction in (None, *codes)]


def _operations(route: Address, served: Served) -> Iterator[tuple[str, str, Offer, str | None]]:
    """Path, method and what they offer, and for which type where the path is that of one."""
    path = path_of(route)
    for method, offer in route.offers.items():
        if path == _OF_TYPE:
            yield from ((f"/{type_}", method, offer, type_) for type_ in _types_of(offer, served))
        else:
            yield path, method, offer, None


def _operation(route: Address, method: str, offer: Offer, type_: str | None, served: Served) -> Json:
    name, path = offer.endpoint.__name__, path_of(route)
    about = INTERACTIONS[name]
    body = _body(about, method, name)
    return {
        "operationId": _id(route, method, offer, type_),
        "tags": [_tag(path, type_)],
        "summary": about.title,
        "description": "\n\n".join([about.text, *_definition_text(path)]),
        **({"externalDocs": {"url": about.source}} if about.source else {}),
        "parameters": [
            *([] if type_ else _path_parameters(path, offer, served)),
            *(_reference(name) for name in (*about.query, *(OF_EVERY_ANSWER if route.formats else ()))),
            *(_searched(type_) if type_ and method == "GET" else ()),
            *map(_reference, about.headers),
        ],
        **({"requestBody": body} if body else {}),
        "responses": {str(status): _response(status, route, about) for status in about.ends_in(method)},
    }


def _id(route: Address, method: str, offer: Offer, type_: str | None) -> str:
    """A name that no other operation has."""
    path = path_of(route)
    words = [offer.endpoint.__name__.replace("_", "-")]
    if type_:
        words.append(type_)
    if "{compartment}" in path:
        words.append("compartment")
    if method == "POST" and (path.endswith("/_search") or ("GET" in route.offers and not type_)):
        words.append("post")
    return "-".join(words)


def _tag(path: str, type_: str | None) -> str:
    if "$ins-" in path:
        return "INS"
    if "{compartment}" in path:
        return "Compartments"
    if "$" in path:
        return "Operations of FHIR"
    if type_:
        return type_
    return "Any type" if "{type}" in path else "Server"


def _tags(items: Iterable[Json]) -> list[str]:
    return sorted(
        (operation["tags"][0] for item in items for method, operation in item.items() if method != "servers"),
        key=lambda tag: (tag not in ("INS", "Patient"), tag),
    )


def _path_parameters(path: str, offer: Offer, served: Served) -> Iterator[Json]:
    schemas: dict[str, Json] = {
        "type": {"enum": _types_of(offer, served)},
        "compartment": {"enum": [type_ for type_ in COMPARTMENTS if served.of(type_)]},
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
        "vid": {"type": "string"},
    }
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": schemas[name]}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _searched(type_: str) -> Iterator[Json]:
    """The search parameters of a type."""
    for parameter in PARAMETERS[type_].values():
        yield _parameter(parameter.name, "query", f"{parameter.documentation} ({parameter.kind.value})")


def _query_parameter(name: str, text: str) -> Json:
    """`condition` stands for any search parameters: a free-form object, spread over the query."""
    if name == "condition":
        schema = {"type": "object", "additionalProperties": {"type": "string"}}
        return {"name": name, "in": "query", "required": True, "description": text, "schema": schema, "explode": True}
    return _parameter(name, "query", text)


def _parameter(name: str, place: str, text: str) -> Json:
    return {"name": name, "in": place, "description": text, "schema": {"type": "string"}}


def _body(about: Interaction, method: str, name: str) -> Json:
    if method in ("GET", "DELETE") or about.takes is Takes.NOTHING:
        return {}
    if about.takes is Takes.FORM:
        return {"content": {_FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}}
    media_types = PATCHES if about.takes is Takes.PATCH else FHIR
    content: dict[str, Json] = {
        str(media): {"schema": _PATCH_SCHEMAS.get(media, _schema("Resource"))} for media in media_types
    }
    for example in EXAMPLES:
        if example.endpoint == name and example.body is not None:
            shown = content[example.media].setdefault("examples", {})
            shown[example.name] = {"summary": example.title, "value": example.body}
    return {"required": about.takes is not Takes.PARAMETERS_OR_NOTHING, "content": content}


def _response(status: int, route: Address, about: Interaction) -> Json:
    if status >= 400 and route.formats:
        return {"$ref": f"#/components/responses/{status}"}
    answer: Json = {"description": STATUSES[status]}
    if status in (204, 304) or not route.formats:
        return answer
    answer["content"] = _contents(route.formats, "Resource")
    if about.versioned:
        headers = ("ETag", "Last-Modified", *(["Location"] if status == 201 else []))
        answer["headers"] = {header: {"schema": {"type": "string"}} for header in headers}
    return answer


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _contents(formats: Iterable[Format], schema: str) -> Json:
    return {str(media): {"schema": _schema(schema) if media in FHIR else {"type": "string"}} for media in formats}


def _definition_text(path: str) -> Iterator[str]:
    """What an OperationDefinition of ours says: its description, and its parameters as a list."""
    name = path.rpartition("$")[2]
    if name not in OPERATIONS:
        return
    definition = operation_definition(name)
    yield f"{definition['description']} {definition['comment']}"
    for use in ("in", "out"):
        lines = [_line(parameter) for parameter in definition["parameter"] if parameter["use"] == use]
        if lines:
            yield "\n".join([f"Parameters {use}:", "", *lines])


def _line(parameter: Mapping[str, Any]) -> str:
    cardinality = f"{parameter['min']}..{parameter['max']}"
    return f"- `{parameter['name']}` {parameter.get('type', 'parts')} {cardinality}: {parameter['documentation']}"
