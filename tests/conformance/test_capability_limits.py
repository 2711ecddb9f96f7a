"""Nothing is served that the CapabilityStatement does not list, and what it does not list is refused.

https://hl7.org/fhir/R4/capabilitystatement.html. Generated from the statement and from the router's own addresses.
"""

import re
from collections.abc import Iterator
from itertools import chain, product

import httpx
import pytest
from conformance.statement import CALLS, RESOURCES, REST, UNWRITTEN, interactions, one_of, parameters, refused

from fhir_ins.api.routes import ROUTES
from fhir_ins.fhir.structure import definitions, resource_types


def codes(value_set: str) -> list[str]:
    return list(chain(*definitions()["valuesets"][value_set].values()))


# The requests of each interaction; {path} is that of an existing resource
REQUESTS: dict[str, list[tuple[str, str]]] = {
    "read": [("GET", "{path}")],
    "vread": [("GET", "{path}/_history/1")],
    "update": [("PUT", "{path}"), ("PUT", "{type}?_id=x")],
    "patch": [("PATCH", "{path}"), ("PATCH", "{type}?_id=x")],
    "delete": [("DELETE", "{path}"), ("DELETE", "{type}?_id=x")],
    "history-instance": [("GET", "{path}/_history")],
    "history-type": [("GET", "{type}/_history")],
    "create": [("POST", "{type}")],
    "search-type": [("GET", "{type}"), ("POST", "{type}/_search")],
}
SYSTEM_REQUESTS: dict[str, list[tuple[str, str]]] = {
    "transaction": [("POST", ""), ("POST", "/")],
    "batch": [("POST", ""), ("POST", "/")],
    "search-system": [("GET", "?_type=Patient"), ("GET", "/?_type=Patient"), ("POST", "/_search")],
    "history-system": [("GET", "/_history")],
}


def test_every_interaction_of_fhir_is_known_to_these_tests() -> None:
    assert set(REQUESTS) == set(codes("type-restful-interaction"))
    assert set(SYSTEM_REQUESTS) == set(codes("system-restful-interaction"))


@pytest.mark.parametrize("type_", RESOURCES)
async def test_an_interaction_it_does_not_list_is_refused(fhir: httpx.AsyncClient, type_: str) -> None:
    path = f"/{type_}/{'one' if type_ in UNWRITTEN else (await one_of(fhir, type_))['id']}"
    for code in REQUESTS.keys() - set(interactions(type_)):
        for method, address in REQUESTS[code]:
            url = address.format(path=path, type=f"/{type_}")
            assert refused(await fhir.request(method, url, json={"resourceType": type_})), (method, url)


async def test_so_is_one_of_the_whole_system(fhir: httpx.AsyncClient) -> None:
    base = str(fhir.base_url).rstrip("/")
    for code in SYSTEM_REQUESTS.keys() - {found["code"] for found in REST.get("interaction", [])}:
        bundle = {"resourceType": "Bundle", "type": code if code in ("batch", "transaction") else "collection"}
        for method, address in SYSTEM_REQUESTS[code]:
            assert refused(await fhir.request(method, base + address, json=bundle)), (method, address)


async def test_a_type_it_does_not_list_is_not_there(fhir: httpx.AsyncClient) -> None:
    for type_ in resource_types() - RESOURCES.keys():
        for method, address in (("GET", type_), ("GET", f"{type_}/x"), ("POST", type_), ("PUT", f"{type_}/x")):
            assert (await fhir.request(method, f"/{address}", json={})).status_code == 404, address


@pytest.mark.parametrize("type_", RESOURCES)
async def test_a_parameter_it_does_not_list_is_refused(fhir: httpx.AsyncClient, type_: str) -> None:
    listed = {found["name"] for found in parameters(type_)}
    unlisted = {"address", "description", "_lastUpdated", "_text", "_include", "_revinclude", "_has:Flag:code:_id"}
    for name in [*unlisted - listed, *(f"{name}:shoe" for name in listed)]:
        assert refused(await fhir.get(f"/{type_}", params={name: "true"})), name
    includable = set(RESOURCES[type_].get("searchInclude", []))
    for include in {f"{type_}:{name}" for name in listed | {"shoe-size"}} - includable:
        assert refused(await fhir.get(f"/{type_}", params={"_include": include})), include


async def test_an_operation_it_does_not_list_is_not_there(fhir: httpx.AsyncClient) -> None:
    id_ = (await one_of(fhir, "Patient"))["id"]
    for path in ("/Patient/$everything", f"/Patient/{id_}/$merge", "/CodeSystem/$lookup"):
        assert (await fhir.post(path, json={"resourceType": "Parameters"})).status_code == 404


# Nothing is served that the statement does not list

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
NOT_FHIR = {route.path for route in ROUTES if not route.formats}
SHAPES: list[tuple[str, str, str]] = [
    ("GET", r"/(\w+)/[A-Za-z0-9.-]+", "read"),
    ("PUT", r"/(\w+)/[A-Za-z0-9.-]+", "update"),
    ("PATCH", r"/(\w+)/[A-Za-z0-9.-]+", "patch"),
    ("DELETE", r"/(\w+)/[A-Za-z0-9.-]+", "delete"),
    ("GET", r"/(\w+)", "search-type"),
    ("POST", r"/(\w+)", "create"),
    ("PUT", r"/(\w+)", "update"),
    ("PATCH", r"/(\w+)", "patch"),
    ("DELETE", r"/(\w+)", "delete"),
    ("POST", r"/(\w+)/_search", "search-type"),
    ("GET", r"/(\w+)/[A-Za-z0-9.-]+/_history/\w+", "vread"),
    ("GET", r"/(\w+)/[A-Za-z0-9.-]+/_history", "history-instance"),
    ("GET", r"/(\w+)/_history", "history-type"),
]


WHOLE = {found["code"] for found in REST["interaction"]}


def addresses() -> Iterator[str]:
    """Each address the router knows, its parameters filled in, once for each type they may name."""
    for route in ROUTES:
        filled = re.sub(r"\{(id|vid)(:\w+)?\}", "1", route.path).replace("{compartment:fhir_type}", "Patient")
        typed = [filled] if "{" not in filled else [re.sub(r"\{type(:\w+)?\}", type_, filled) for type_ in RESOURCES]
        yield from (path for path in typed if route.path_regex.match(path))


def listed(method: str, path: str) -> bool:
    """Whether the statement has this method at this address."""
    if path == "/metadata":
        return method == "GET"  # https://hl7.org/fhir/R4/http.html#capabilities: every server has it
    if operation := re.fullmatch(r"(?:/(\w+))?(/[A-Za-z0-9.-]+)?/\$([A-Za-z0-9.-]+)", path):
        type_, id_, name = operation.groups()
        level = "instance" if id_ else "type" if type_ else "system"
        named = {found["name"] for found in RESOURCES.get(type_, REST).get("operation", [])}
        return name in named and method in {call.method for call in CALLS[name] if call.level == level}
    if path in ("", "/"):
        searched = method == "GET" and "search-system" in WHOLE
        return searched or (method == "POST" and {"batch", "transaction"} <= WHOLE)
    if path == "/_search":
        return method == "POST" and "search-system" in WHOLE
    if path == "/_history":
        return method == "GET" and "history-system" in WHOLE
    if within := re.fullmatch(r"/(\w+)/[A-Za-z0-9.-]+/([A-Z]\w+)(/_search)?", path):
        compartments = {found.rpartition("/")[2] for found in REST["compartment"]}
        offered = within[1].lower() in compartments and "search-type" in interactions(within[2])
        return offered and method == ("POST" if within[3] else "GET")
    return any(
        method == of and (match := re.fullmatch(shape, path)) and code in interactions(match[1])
        for of, shape, code in SHAPES
    )


async def test_each_address_takes_what_the_statement_lists_and_no_other_method(fhir: httpx.AsyncClient) -> None:
    for path, method in product(set(addresses()) - NOT_FHIR, METHODS):
        answer = await fhir.request(method, str(fhir.base_url).replace("/fhir/", path))
        served = answer.status_code != 405
        assert served is listed(method, path.removeprefix("/fhir")), (method, path)
        assert served or (refused(answer) and method not in answer.headers["allow"].split(", ")), (method, path)
