"""History of a resource, a type and everything. https://hl7.org/fhir/R4/http.html#history"""

from typing import Any

import httpx
import pytest
from people import ADRUN, ADRUN_TRAITS, patient
from qualifying import qualified
from servers import StartServer


async def written(fhir: httpx.AsyncClient, times: int = 3) -> str:
    """The address of a Patient with so many versions."""
    made = (await fhir.post("/Patient", json=patient())).json()
    path = f"/Patient/{made['id']}"
    for number in range(1, times):
        await fhir.put(path, json=made | {"multipleBirthInteger": number})
    return path


async def pages(fhir: httpx.AsyncClient, path: str) -> list[list[dict[str, Any]]]:
    found, url = [], path
    while url:
        page = (await fhir.get(url)).json()
        found.append(page.get("entry", []))
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


async def test_every_version_of_a_resource_the_latest_first(fhir: httpx.AsyncClient) -> None:
    path = await written(fhir)
    await fhir.delete(path)
    answer = (await fhir.get(f"{path}/_history")).json()
    assert (answer["resourceType"], answer["type"], answer["total"]) == ("Bundle", "history", 4)
    deletion, *versions = answer["entry"]
    assert "resource" not in deletion
    assert deletion["request"] == {"method": "DELETE", "url": path[1:]}
    assert deletion["response"]["status"] == "204 No Content"
    assert [entry["resource"]["meta"]["versionId"] for entry in versions] == ["3", "2", "1"]
    assert [entry["request"]["method"] for entry in versions] == ["PUT", "PUT", "POST"]
    assert [entry["response"]["status"] for entry in versions] == ["200 OK", "200 OK", "201 Created"]
    assert versions[-1]["request"]["url"] == "Patient"
    for entry in versions:
        meta = entry["resource"]["meta"]
        assert entry["fullUrl"] == f"{str(fhir.base_url).rstrip('/')}{path}"
        assert entry["response"]["etag"] == f'W/"{meta["versionId"]}"'
        assert entry["response"]["lastModified"] == meta["lastUpdated"]


async def test_of_a_type_and_of_everything(fhir: httpx.AsyncClient) -> None:
    path = await written(fhir, 2)
    basic = (await fhir.post("/Basic", json={"resourceType": "Basic", "code": {"text": "a note"}})).json()
    of_type = (await fhir.get("/Patient/_history")).json()
    assert [entry["fullUrl"].rpartition("/fhir")[2] for entry in of_type["entry"]] == [path, path]
    whole = (await fhir.get("/_history")).json()
    found = [entry["resource"]["resourceType"] for entry in whole["entry"]]
    assert found == ["Basic", "Patient", "Patient"]
    assert whole["entry"][0]["resource"]["id"] == basic["id"]


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_pages_are_the_whole_without_repeats(fhir: httpx.AsyncClient, size: int) -> None:
    paths = [await written(fhir, 3) for _ in range(2)]
    for path, count in ((f"{paths[0]}/_history", 3), ("/Patient/_history", 6), ("/_history", 6)):
        found = [entry for page in await pages(fhir, f"{path}?_count={size}") for entry in page]
        seen = [(entry["fullUrl"], entry["response"]["etag"]) for entry in found]
        assert len(seen) == len(set(seen)) == count
        updated = [entry["response"]["lastModified"] for entry in found]
        assert updated == sorted(updated, reverse=True)


async def test_a_page_goes_on_where_it_was_whatever_is_written_meanwhile(fhir: httpx.AsyncClient) -> None:
    path = await written(fhir, 4)
    first = (await fhir.get(f"{path}/_history?_count=2")).json()
    current = (await fhir.get(path)).json()
    await fhir.put(path, json=current)
    (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    rest = (await fhir.get(following)).json()
    assert [entry["resource"]["meta"]["versionId"] for entry in rest["entry"]] == ["2", "1"]


async def test_since_an_instant(fhir: httpx.AsyncClient) -> None:
    path = await written(fhir)
    moments = [entry["response"]["lastModified"] for entry in (await fhir.get(f"{path}/_history")).json()["entry"]]
    for since, count in (
        ("2000-01-01T00:00:00Z", 3),
        (moments[0], moments.count(moments[0])),
        ("2999-01-01T00:00:00Z", 0),
    ):
        found = (await fhir.get(f"{path}/_history", params={"_since": since})).json()
        assert found["total"] == len(found.get("entry", [])) == count


async def test_what_was_current_at_a_time(fhir: httpx.AsyncClient) -> None:
    path = await written(fhir)
    latest = (await fhir.get(path)).json()["meta"]["lastUpdated"]
    now = (await fhir.get(f"{path}/_history", params={"_at": "2999"})).json()
    assert [entry["resource"]["meta"]["versionId"] for entry in now["entry"]] == ["3"]
    day = (await fhir.get(f"{path}/_history", params={"_at": latest[:10]})).json()
    assert day["total"] == 3
    before = (await fhir.get(f"{path}/_history", params={"_at": "2000-01-01"})).json()
    assert before["total"] == 0


async def test_only_a_count(fhir: httpx.AsyncClient) -> None:
    path = await written(fhir)
    for address, total in ((f"{path}/_history", 3), ("/Patient/_history", 3), ("/_history", 3)):
        answer = (await fhir.get(f"{address}?_count=0")).json()
        assert (answer["total"], "entry" in answer) == (total, False)


async def test_what_never_was_has_none(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.get("/Patient/nobody/_history")).status_code == 404
    assert (await fhir.get("/Spaceship/_history")).status_code == 404
    assert (await fhir.get("/ValueSet/_history")).status_code == 405


@pytest.mark.parametrize(
    "query",
    [
        "_count=many",
        "_since=yesterday",
        "_since=2020-01-01",
        "_since=2020-02-30T00:00:00Z",
        "_since=2020-01-01T00:00:00Z&_at=2020",
        "_at=soon",
        "family=A",
        "_count=1&_count=2",
        "_cursor=abc",
        "_cursor=abc&_count=2",
        "_summary=count",
    ],
)
async def test_a_bad_parameter_is_refused(fhir: httpx.AsyncClient, query: str) -> None:
    refused = await fhir.get(f"{await written(fhir, 1)}/_history?{query}")
    assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")


async def test_a_cursor_is_of_its_address_and_caller(fhir: httpx.AsyncClient, start_server: StartServer) -> None:
    path = await written(fhir)
    first = (await fhir.get(f"{path}/_history?_count=1")).json()
    cursor = next(link["url"] for link in first["link"] if link["relation"] == "next").partition("?")[2]
    assert (await fhir.get(f"/Patient/_history?{cursor}")).status_code == 400
    other = await start_server(tenant="another")
    assert (await other.get(f"{path}/_history?{cursor}")).status_code in (400, 404)


class TestConcealment:
    """A past version shows a matricule only while the current one is qualified with it."""

    async def test_at_every_level(self, fhir: httpx.AsyncClient, reference: httpx.AsyncClient) -> None:
        path = await qualified(fhir)
        addresses = [f"{path}/_history", "/Patient/_history", "/_history"]
        for address in addresses:
            assert ADRUN in (await fhir.get(address)).text
        current = (await fhir.get(path)).json()
        changed = current | {"birthDate": "1975-12-30"}
        assert (
            await fhir.put(path, json=changed, headers={"If-Match": f'W/"{current["meta"]["versionId"]}"'})
        ).status_code == 200
        for address in addresses:
            assert ADRUN not in (await fhir.get(address)).text
            assert ADRUN in (await reference.get(address)).text

    async def test_before_it_is_qualified(self, fhir: httpx.AsyncClient) -> None:
        found = (await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json()
        stored = next(part for part in found["parameter"] if part["name"] == "stored")["valueReference"]["reference"]
        assert ADRUN not in (await fhir.get(f"/{stored}/_history")).text

    async def test_once_it_is_deleted(self, fhir: httpx.AsyncClient) -> None:
        path = await qualified(fhir)
        await fhir.delete(path)
        assert ADRUN not in (await fhir.get(f"{path}/_history")).text
