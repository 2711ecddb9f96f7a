"""Formats in and out, compression, OPTIONS, CORS. https://hl7.org/fhir/R4/http.html#mime-type"""

import gzip
from typing import Any

import httpx
import pytest
from people import patient
from servers import StartServer

from fhir_ins.fhir.xml import parse_xml, serialise_xml

JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"
NARRATIVE = '<div xmlns="http://www.w3.org/1999/xhtml"><p>ZOE  <b>ADRUN</b>\n</p></div>'
WRITTEN = patient(
    text={"status": "generated", "div": NARRATIVE},
    _birthDate={"extension": [{"url": "urn:of:somebody", "valueDecimal": 1}]},
)


async def made(fhir: httpx.AsyncClient) -> str:
    return f"/Patient/{(await fhir.post('/Patient', json=patient())).json()['id']}"


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/fhir+json", JSON),
        ("application/json", JSON),
        ("text/json", JSON),
        ("application/fhir+xml", XML),
        ("application/xml", XML),
        ("text/xml", XML),
        ("application/*", JSON),
        ("application/fhir+xml, */*;q=0.1", XML),
        ("application/fhir+xml;q=0.4, application/fhir+json;q=0.5", JSON),
        ("application/fhir+xml;q=0.5, application/fhir+json;q=0.4", XML),
        ("application/fhir+json;q=0, */*", XML),
        ("application/fhir+xml; fhirVersion=4.0", XML),
        ("application/fhir+xml; fhirVersion=5.0, application/fhir+json", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
        ("", JSON),
    ],
)
async def test_the_format_preferred_is_answered(fhir: httpx.AsyncClient, accept: str | None, answered: str) -> None:
    path = await made(fhir)
    request = fhir.build_request("GET", path)
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    answer = await fhir.send(request)
    assert (answer.status_code, answer.headers["content-type"]) == (200, answered)


@pytest.mark.parametrize(
    "accept",
    [
        "text/turtle",
        "application/pdf",
        "image/png",
        "application/fhir+json;q=0",
        "application/fhir+json; fhirVersion=3.0",
    ],
)
async def test_what_cannot_be_answered_is_406(fhir: httpx.AsyncClient, accept: str) -> None:
    refused = await fhir.get(await made(fhir), headers={"Accept": accept})
    assert (refused.status_code, refused.headers["content-type"]) == (406, JSON)


@pytest.mark.parametrize(
    ("named", "answered"),
    [("json", JSON), ("xml", XML), ("application/fhir+xml", XML), ("text/xml", XML), ("application/json", JSON)],
)
async def test_format_prevails_over_accept(fhir: httpx.AsyncClient, named: str, answered: str) -> None:
    path = await made(fhir)
    for accept in ("application/fhir+json", "application/fhir+xml", "application/pdf"):
        answer = await fhir.get(path, params={"_format": named}, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, answered)
    assert (await fhir.get(f"{path}?_format=ttl")).status_code == 406


async def test_xml_in_is_what_json_in_is(fhir: httpx.AsyncClient) -> None:
    by_json = (await fhir.post("/Patient", json=WRITTEN)).json()
    sent = await fhir.post("/Patient", content=serialise_xml(WRITTEN), headers={"Content-Type": "application/fhir+xml"})
    assert (sent.status_code, sent.headers["content-type"]) == (201, JSON)
    own = {"id", "meta"}
    assert without(sent.json(), own) == without(by_json, own)
    back = await fhir.get(f"/Patient/{sent.json()['id']}", headers={"Accept": "application/fhir+xml"})
    assert parse_xml(back.content) == sent.json()


def without(resource: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in names}


async def test_everything_is_answered_in_xml(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    for address in (path, f"{path}/_history", f"{path}/_history/1", "/Patient", "/metadata", "/Patient/nobody",
                    f"{path}/$meta", f"{path}/$validate", "/Spaceship/1", "/metadata?mode=terminology"):  # fmt: skip
        in_xml = await fhir.get(address, headers={"Accept": "application/fhir+xml"})
        in_json = await fhir.get(address)
        assert in_xml.headers["content-type"] == XML, address
        assert parse_xml(in_xml.content) == in_json.json(), address
        assert in_xml.headers.get("etag") == in_json.headers.get("etag")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json", 201),
        ("application/json", 201),
        ("application/fhir+json; charset=UTF-8", 201),
        ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/fhir+json; fhirVersion=5.0", 415),
        ("application/fhir+json; charset=latin-1", 415),
        ("application/fhir+xml", 400),
        ("text/plain", 415),
        ("json", 415),
        ("", 415),
    ],
)
async def test_the_body_is_what_it_is_said_to_be(fhir: httpx.AsyncClient, content_type: str, status: int) -> None:
    body = b'{"resourceType":"Patient"}'
    assert (await fhir.post("/Patient", content=body, headers={"Content-Type": content_type})).status_code == status


@pytest.mark.parametrize(
    "hostile",
    [
        b'<!DOCTYPE Patient [<!ENTITY a "aaaa">]><Patient xmlns="http://hl7.org/fhir"><id value="&a;"/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir"><?php x?></Patient>',
        b"<Patient/>",
        b'<Patient xmlns="http://hl7.org/fhir"><shoe value="43"/></Patient>',
        b"<Patient",
        b"",
    ],
)
async def test_xml_that_is_none_is_refused(fhir: httpx.AsyncClient, hostile: bytes) -> None:
    refused = await fhir.post("/Patient", content=hostile, headers={"Content-Type": "application/fhir+xml"})
    assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")


async def test_pretty_is_for_people(fhir: httpx.AsyncClient) -> None:
    sent = (await fhir.post("/Patient", json=WRITTEN)).json()
    path = f"/Patient/{sent['id']}"
    for format_, read in (("json", lambda answer: answer.json()), ("xml", lambda answer: parse_xml(answer.content))):
        plain = await fhir.get(path, params={"_format": format_})
        pretty = await fhir.get(path, params={"_format": format_, "_pretty": "true"})
        assert pretty.text.count("\n") > plain.text.count("\n") + 5
        assert read(pretty) == read(plain) == sent
    assert (await fhir.get(f"{path}?_pretty=maybe")).status_code == 400


class TestCompression:
    async def test_out(self, fhir: httpx.AsyncClient) -> None:
        for _ in range(10):
            await fhir.post("/Patient", json=patient())
        answer = await fhir.get("/Patient", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert len(answer.json()["entry"]) == 10
        plain = await fhir.get("/Patient", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content

    async def test_in(self, fhir: httpx.AsyncClient) -> None:
        headers = {"Content-Type": "application/fhir+json", "Content-Encoding": "gzip"}
        packed = gzip.compress(b'{"resourceType":"Patient","active":true}')
        assert (await fhir.post("/Patient", content=packed, headers=headers)).json()["active"] is True
        for broken in (packed[:-6], packed + packed, b"no gzip", packed[:3]):
            assert (await fhir.post("/Patient", content=broken, headers=headers)).status_code == 400
        other = headers | {"Content-Encoding": "br"}
        assert (await fhir.post("/Patient", content=packed, headers=other)).status_code == 415

    async def test_a_bomb_is_not_unpacked(self, start_server: StartServer) -> None:
        fhir = await start_server(max_body_bytes=10_000)
        bomb = gzip.compress(b" " * 50_000_000)
        headers = {"Content-Type": "application/fhir+json", "Content-Encoding": "gzip"}
        assert (await fhir.post("/Patient", content=bomb[:60_000], headers=headers)).status_code == 413


class TestOptions:
    async def test_what_an_address_takes(self, fhir: httpx.AsyncClient) -> None:
        for address, allowed in (
            ("/Patient", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
            ("/Patient/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
            ("/ValueSet", "GET, HEAD, OPTIONS"),
            ("/AuditEvent/x", "GET, HEAD, OPTIONS"),
            ("/metadata", "GET, HEAD, OPTIONS"),
        ):
            answer = await fhir.options(address)
            assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")

    async def test_pages_of_other_origins_call_where_the_server_is_set_so(
        self, fhir: httpx.AsyncClient, start_server: StartServer
    ) -> None:
        asks = {"Origin": "https://app.example.fr", "Access-Control-Request-Method": "PUT"}
        assert "access-control-allow-origin" not in (await fhir.options("/Patient", headers=asks)).headers
        open_ = await start_server(cors_origins="https://app.example.fr")
        allowed = await open_.options("/Patient", headers=asks)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.fr"
        read = await open_.get("/Patient", headers={"Origin": "https://app.example.fr"})
        assert read.headers["access-control-allow-origin"] == "https://app.example.fr"
        assert "ETag" in read.headers["access-control-expose-headers"]
        stranger = await open_.options("/Patient", headers=asks | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers
