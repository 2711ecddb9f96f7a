"""GET /openapi.json says what the server serves, as it is configured, and nothing else."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest
from servers import StartServer

from fhir_ins.api.interactions import HEADERS, INTERACTIONS, QUERY
from fhir_ins.api.openapi import described, path_of
from fhir_ins.api.routes import ROUTES
from fhir_ins.api.served import served
from fhir_ins.frcore.search_parameters import PARAMETERS
from fhir_ins.settings import Settings

Json = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
SETTINGS: list[Json] = [{}, {"further_types": ["MedicationRequest", "Account"]}]


def description(**changes: Any) -> Json:
    settings = Settings(**changes)
    return described(ROUTES, settings, served(settings.further_types))


def operations(of: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in of["paths"].items():
        yield from ((path, method, item[method]) for method in METHODS if method in item)


def named(of: Json, operation: Json, place: str) -> set[str]:
    """The names of its parameters in this place, whether they stand there or are referred to."""
    found = [
        of["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in operation["parameters"]
    ]
    return {one["name"] for one in found if one["in"] == place}


def choices(operation: Json) -> Iterator[dict[str, str]]:
    """The values its path may have: every one of those that are listed, an id for the others."""
    inside = [one for one in operation["parameters"] if one.get("in") == "path"]
    listed = [one["schema"].get("enum", ["1"]) for one in inside]
    yield from (dict(zip([one["name"] for one in inside], chosen, strict=True)) for chosen in product(*listed))


async def test_it_is_answered(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.get(str(fhir.base_url).replace("/fhir/", "/openapi.json"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == description()


@pytest.mark.parametrize("changes", SETTINGS)
async def test_every_path_of_it_is_served_for_every_type_it_names(start_server: StartServer, changes: Json) -> None:
    fhir = await start_server(**changes)
    of, root = description(**changes), str(fhir.base_url).removesuffix("/fhir/")
    allowed: dict[str, str] = {}
    for path, method, operation in operations(of):
        base = root if "servers" in of["paths"][path] else f"{root}/fhir"
        for chosen in choices(operation):
            url = base + path.format(**chosen)
            if url not in allowed:
                allowed[url] = (await fhir.options(url)).headers.get("allow", "")
            assert method.upper() in allowed[url].split(", "), (method, url)
    assert len(allowed) > 400


@pytest.mark.parametrize("changes", SETTINGS)
def test_every_address_of_the_server_is_in_it(changes: Json) -> None:
    of = description(**changes)
    there = {(path, method) for path, method, _ in operations(of)}
    for route in ROUTES:
        path = path_of(route)
        paths = [f"/{type_}" for type_ in served(changes.get("further_types", ())).stored if type_ != "AuditEvent"]
        for here, method in product(paths if path == "/{type}" else [path], route.offers):
            assert (here, method.lower()) in there


def test_each_type_has_its_search_parameters() -> None:
    of = description(further_types=["MedicationRequest"])
    for type_ in served(["MedicationRequest"]).interactions:
        assert named(of, of["paths"][f"/{type_}"]["get"], "query") >= PARAMETERS[type_].keys()
    assert "/Account" not in of["paths"]
    assert "/MedicationRequest" not in description()["paths"]


def test_it_is_whole() -> None:
    """Every reference leads somewhere, every name is used once, every part of a path is explained."""
    of = description()
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(of)):
        found: Any = of
        for step in reference.split("/"):
            found = found[step]
    identifiers = [operation["operationId"] for _, _, operation in operations(of)]
    assert len(identifiers) == len(set(identifiers))
    for path, _, operation in operations(of):
        assert set(re.findall(r"\{(\w+)\}", path)) == named(of, operation, "path")
        assert operation["responses"]
    assert set(of["components"]) == {"schemas", "parameters", "responses", "securitySchemes"}


def test_what_is_said_of_endpoints_is_of_endpoints_that_are_there() -> None:
    assert {offer.endpoint.__name__ for route in ROUTES for offer in route.offers.values()} == INTERACTIONS.keys()
    said = {name for about in INTERACTIONS.values() for name in (*about.query, *about.headers)}
    assert said | {"_format", "_pretty"} == QUERY.keys() | HEADERS.keys()


def test_the_base_is_the_configured_one() -> None:
    assert description()["servers"] == [{"url": "/fhir"}]
    assert description(base_url="https://fhir.example.fr/fhir")["servers"] == [{"url": "https://fhir.example.fr/fhir"}]
