"""A Binary as the content it holds. https://hl7.org/fhir/R4/binary.html#rest"""

from base64 import b64decode, b64encode
from typing import Any

import httpx
import pytest

Json = dict[str, Any]

FHIR = {"Accept": "application/fhir+json"}
PDF = b"%PDF-1.7\n\xe2\xe3"


async def stored(fhir: httpx.AsyncClient, content: bytes = PDF, media: str = "application/pdf", **headers: str) -> str:
    answer = await fhir.post("/Binary", content=content, headers={"Content-Type": media, **headers})
    assert answer.status_code == 201, answer.text
    return f"/Binary/{answer.json()['id']}"


@pytest.mark.parametrize("accept", [None, "*/*", "application/pdf", "text/html,application/xhtml+xml,*/*;q=0.8"])
async def test_it_is_read_as_its_content_unless_fhir_is_asked_for(fhir: httpx.AsyncClient, accept: str | None) -> None:
    path = await stored(fhir)
    request = fhir.build_request("GET", path, headers={"Accept": accept} if accept else {})
    if accept is None:
        del request.headers["accept"]
    for answer in (await fhir.send(request), await fhir.get(f"{path}/_history/1", headers=request.headers)):
        assert (answer.status_code, answer.content) == (200, PDF)
        assert (answer.headers["content-type"], answer.headers["etag"]) == ("application/pdf", 'W/"1"')
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "asked", ["application/fhir+json", "application/json", "application/pdf, application/fhir+json;q=0.1"]
)
async def test_it_is_read_as_a_resource_where_fhir_is_asked_for(fhir: httpx.AsyncClient, asked: str) -> None:
    path = await stored(fhir)
    for answer in (await fhir.get(path, headers={"Accept": asked}), await fhir.get(f"{path}?_format=json")):
        assert answer.json()["contentType"] == "application/pdf"
        assert b64decode(answer.json()["data"]) == PDF
    in_xml = await fhir.get(path, headers={"Accept": "application/fhir+xml"})
    assert in_xml.headers["content-type"].startswith("application/fhir+xml")


async def test_a_resource_is_written_as_a_resource(fhir: httpx.AsyncClient) -> None:
    sent = {"resourceType": "Binary", "contentType": "text/plain; charset=utf-8", "data": b64encode(b"INS").decode()}
    path = f"/Binary/{(await fhir.post('/Binary', json=sent)).json()['id']}"
    answer = await fhir.get(path)
    assert (answer.content, answer.headers["content-type"]) == (b"INS", "text/plain; charset=utf-8")


async def test_an_update_of_content(fhir: httpx.AsyncClient) -> None:
    path = await stored(fhir)
    headers = {"Content-Type": "text/csv", "If-Match": 'W/"1"'}
    assert (await fhir.put(path, content=b"a;b", headers=headers)).status_code == 200
    assert (await fhir.put(path, content=b"c;d", headers=headers)).status_code == 412
    assert (await fhir.get(path)).content == b"a;b"
    assert (await fhir.get(path, headers={"If-None-Match": 'W/"2"'})).status_code == 304
    assert (await fhir.head(path)).headers["content-type"] == "text/csv"


async def test_whom_it_is_about_goes_with_it(fhir: httpx.AsyncClient) -> None:
    path = await stored(fhir, **{"X-Security-Context": "Patient/1"})
    assert (await fhir.get(path, headers=FHIR)).json()["securityContext"] == {"reference": "Patient/1"}
    assert (await fhir.get(path)).headers["x-security-context"] == "Patient/1"


async def test_what_is_not_there_is_told_as_ever(fhir: httpx.AsyncClient) -> None:
    path = await stored(fhir)
    await fhir.delete(path)
    for address, status in ((path, 410), ("/Binary/nobody", 404)):
        answer = await fhir.get(address, headers={"Accept": "application/pdf"})
        assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


@pytest.mark.parametrize("media", ["", "pdf", "image/", "a b/c", "application/fhir+turtle\u00e9"])
async def test_what_is_no_media_type_is_refused(fhir: httpx.AsyncClient, media: str) -> None:
    headers = [(b"content-type", media.encode("latin-1"))]
    assert (await fhir.post("/Binary", content=b"x", headers=headers)).status_code == 415


async def test_a_media_type_that_is_none_is_answered_as_bytes(fhir: httpx.AsyncClient) -> None:
    sent = {"resourceType": "Binary", "contentType": "é:\u2028", "data": "SU5T"}
    made = await fhir.post("/Binary", json=sent)
    if made.status_code == 201:
        answer = await fhir.get(f"/Binary/{made.json()['id']}")
        assert answer.headers["content-type"] == "application/octet-stream"


async def test_nothing_else_is_read_or_written_so(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.post("/Basic", content=b"x", headers={"Content-Type": "text/plain"})).status_code == 415
    assert (await fhir.get("/Basic", headers={"Accept": "text/plain"})).status_code == 406
    assert (await fhir.get("/Binary", headers={"Accept": "text/plain"})).status_code == 406
    path = await stored(fhir)
    entry: Json = {"request": {"method": "GET", "url": path[1:]}}
    answer = await fhir.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert answer.json()["entry"][0]["resource"]["contentType"] == "application/pdf"
