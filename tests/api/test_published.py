"""Our artifacts over HTTP: read and searched as anything else, never written."""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from servers import StartServer, serving

from fhir_ins import __version__
from fhir_ins.api.published import PUBLISHED
from fhir_ins.artifacts import profiles
from fhir_ins.fhir.json import serialise
from fhir_ins.fhir.search_parameters import PARAMETERS
from fhir_ins.fhir.structure import validate
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

Json = dict[str, Any]

ARTIFACTS = [(found["resourceType"], found["id"]) for found in profiles()]
STATUSES = "https://fhir-ins.example/fhir/CodeSystem/ins-identity-status"


@pytest.fixture(scope="module")
async def fhir(mongod: Mongod) -> AsyncIterator[httpx.AsyncClient]:
    """One server for all: nothing here is written, and nothing is of a tenant."""
    settings = Settings(mongodb_uri=mongod.uri, mongodb_database="tests", rights=frozenset({Right.READ}))
    async with serving(settings) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def ids(fhir: httpx.AsyncClient, type_: str, **parameters: str) -> list[str]:
    answer = await fhir.get(f"/{type_}", params=parameters)
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


def of_type(type_: str) -> list[str]:
    return sorted(id_ for found, id_ in ARTIFACTS if found == type_)


async def test_every_artifact_is_read_as_it_stands_in_its_file(fhir: httpx.AsyncClient) -> None:
    for artifact in profiles():
        answer = await fhir.get(f"/{artifact['resourceType']}/{artifact['id']}")
        assert answer.content == serialise(artifact)
        assert answer.headers["content-type"].startswith("application/fhir+json")
        assert answer.headers["cache-control"] == "no-store"


async def test_an_etag_spares_the_text_until_it_changes(fhir: httpx.AsyncClient) -> None:
    read = await fhir.get("/CodeSystem/ins-identity-status")
    etag = read.headers["etag"]
    for header in (etag, f'W/"other", {etag}', etag.removeprefix("W/"), "*"):
        again = await fhir.get("/CodeSystem/ins-identity-status", headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    changed = await fhir.get("/CodeSystem/ins-identity-status", headers={"If-None-Match": 'W/"other"'})
    assert changed.status_code == 200
    assert parsedate_to_datetime(read.headers["last-modified"]).date().isoformat() == read.json()["date"]
    assert (await fhir.get("/CodeSystem/ins-trait")).headers["etag"] != etag


@pytest.mark.parametrize("type_", PUBLISHED)
async def test_without_parameters_all_are_found(fhir: httpx.AsyncClient, type_: str) -> None:
    assert await ids(fhir, type_) == of_type(type_) != []
    bundle = (await fhir.get(f"/{type_}")).json()
    assert validate(bundle) == []
    assert bundle["total"] == len(of_type(type_))
    for entry in bundle["entry"]:
        assert entry["fullUrl"] == f"{fhir.base_url}{type_}/{entry['resource']['id']}"


async def test_a_canonical_url_finds_its_artifact_alone(fhir: httpx.AsyncClient) -> None:
    for artifact in profiles():
        if "url" in artifact:
            assert await ids(fhir, artifact["resourceType"], url=artifact["url"]) == [artifact["id"]]


@pytest.mark.parametrize(
    ("type_", "name", "value", "expected"),
    [
        ("CodeSystem", "_id", "ins-trait,ins-verify-method", ["ins-trait", "ins-verify-method"]),
        ("CodeSystem", "_id", "ins", []),
        ("CodeSystem", "url", STATUSES.removesuffix("s"), []),
        ("CodeSystem", "url", STATUSES.upper(), []),
        ("CodeSystem", "url", f"{STATUSES},{STATUSES}-x", ["ins-identity-status"]),
        ("CodeSystem", "url", f"{STATUSES}|{__version__}", []),
        ("CodeSystem", "name", "insidentity", ["ins-identity-status"]),
        ("CodeSystem", "name", "identity", []),
        ("CodeSystem", "version", __version__, of_type("CodeSystem")),
        ("CodeSystem", "version", "0.0.1", []),
        ("CodeSystem", "status", "draft", []),
        ("CodeSystem", "status", "http://hl7.org/fhir/publication-status|active", of_type("CodeSystem")),
        ("CodeSystem", "status", "urn:x|active", []),
        ("CodeSystem", "date", "2026", of_type("CodeSystem")),
        ("CodeSystem", "date", "lt2026", []),
        ("CodeSystem", "_lastUpdated", "2026", of_type("CodeSystem")),
        ("CodeSystem", "_lastUpdated", "ge2026-11-22T00:00:00Z", of_type("CodeSystem")),
        ("CodeSystem", "_lastUpdated", "lt2026", []),
        ("NamingSystem", "value", "urn:oid:1.2.250.1.213.1.4.8", ["ins-nir"]),
        ("NamingSystem", "value", "1.2.250.1.213.1.4.1", ["ins-nir-demo", "ins-nir-test", "nss-nia", "nss-nir"]),
        ("NamingSystem", "id-type", "oid", of_type("NamingSystem")),
        ("NamingSystem", "id-type", "uuid", []),
        ("NamingSystem", "kind", "identifier", of_type("NamingSystem")),
        ("NamingSystem", "kind", "codesystem", []),
    ],
)
async def test_parameters(fhir: httpx.AsyncClient, type_: str, name: str, value: str, expected: list[str]) -> None:
    assert await ids(fhir, type_, **{name: value}) == expected


async def test_a_search_by_post_and_all_criteria_together(fhir: httpx.AsyncClient) -> None:
    asked = {"name": "ins", "version": __version__, "_id": "ins-trait,ins-gender"}
    answer = await fhir.post("/ValueSet/_search", data=asked)
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == ["ins-gender", "ins-trait"]
    assert await ids(fhir, "ValueSet", name="insgender", _id="ins-trait") == []


async def test_pages(fhir: httpx.AsyncClient) -> None:
    seen: list[str] = []
    url = "/NamingSystem?_count=3"
    while url:
        bundle = (await fhir.get(url)).json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert seen == of_type("NamingSystem")
    count = (await fhir.get("/NamingSystem?_count=0")).json()
    assert (count["total"], "entry" in count) == (len(seen), False)
    links = (await fhir.get("/NamingSystem?_count=3")).json()["link"]
    (cursor,) = (link["url"] for link in links if link["relation"] == "next")
    assert (await fhir.get(f"/ValueSet?{urlsplit(cursor).query}")).status_code == 400


@pytest.mark.parametrize("type_", PUBLISHED)
async def test_what_is_not_offered_is_refused(fhir: httpx.AsyncClient, type_: str) -> None:
    answer = await fhir.get(f"/{type_}?shoe=42")
    assert answer.status_code == 400
    assert all(name in answer.text for name in PARAMETERS[type_])
    lenient = await fhir.get(f"/{type_}?shoe=42", headers={"Prefer": "handling=lenient"})
    assert lenient.json()["link"][0]["url"] == f"{fhir.base_url}{type_}"
    assert (await fhir.get(f"/{type_}", headers={"Accept": "text/html"})).status_code == 406
    assert (await fhir.get(f"/{type_}/nothing")).status_code == 404
    assert (await fhir.get(f"/{type_}?url:below=x")).status_code == 400


@pytest.mark.parametrize("type_", PUBLISHED)
async def test_nothing_is_written(fhir: httpx.AsyncClient, type_: str) -> None:
    path = f"/{type_}/{of_type(type_)[0]}"
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        answer = await fhir.request(method, path, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert (await fhir.post(f"/{type_}", json={})).headers["allow"] == "GET, HEAD, OPTIONS"


async def test_reading_needs_the_right_to_read(start_server: StartServer) -> None:
    fhir = await start_server(rights=frozenset())
    assert (await fhir.get("/CodeSystem/ins-trait")).status_code == 401
    assert (await fhir.get("/CodeSystem")).status_code == 401
    fhir = await start_server(rights=frozenset({Right.WRITE}))
    assert (await fhir.get("/CodeSystem/ins-trait")).status_code == 403
    assert (await fhir.get("/CodeSystem")).status_code == 403
