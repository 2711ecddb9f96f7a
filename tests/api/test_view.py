"""How much of a resource is shown: _summary and _elements. https://hl7.org/fhir/R4/search.html#summary"""

import httpx
import pytest
from people import ADRUN, patient
from qualifying import qualified

TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">ZOE ADRUN</div>'}


async def made(fhir: httpx.AsyncClient) -> str:
    body = patient(text=NARRATIVE, maritalStatus={"text": "mariée"}, active=True)
    return f"/Patient/{(await fhir.post('/Patient', json=body)).json()['id']}"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("_summary=true", {"active", "name", "gender", "birthDate"}),
        ("_summary=text", {"active", "text"}),  # what changes the meaning of the rest is never left out
        ("_summary=data", {"active", "name", "gender", "birthDate", "maritalStatus"}),
        ("_elements=gender,birthDate", {"active", "gender", "birthDate"}),
        ("_elements=maritalStatus", {"active", "maritalStatus"}),
    ],
)
async def test_a_part_is_shown_and_says_so(fhir: httpx.AsyncClient, query: str, names: set[str]) -> None:
    path = await made(fhir)
    whole = (await fhir.get(path)).json()
    read = (await fhir.get(f"{path}?{query}")).json()
    (found,) = (entry["resource"] for entry in (await fhir.get(f"/Patient?{query}")).json()["entry"])
    (latest,) = (entry["resource"] for entry in (await fhir.get(f"{path}/_history?{query}")).json()["entry"])
    assert read == found == latest
    assert read.keys() - {"resourceType", "id", "meta"} == names
    assert {name: read[name] for name in names} == {name: whole[name] for name in names}
    assert {name: read["meta"]["tag"][-1].get(name) for name in TAG} == TAG
    assert "tag" not in (await fhir.get(path)).json()["meta"]


async def test_the_whole_is_the_whole(fhir: httpx.AsyncClient) -> None:
    path = await made(fhir)
    assert (await fhir.get(f"{path}?_summary=false")).content == (await fhir.get(path)).content


async def test_a_count_of_a_search(fhir: httpx.AsyncClient) -> None:
    await made(fhir)
    counted = (await fhir.get("/Patient?_summary=count&family=adrun")).json()
    assert (counted["total"], "entry" in counted) == (1, False)
    assert counted["link"][0]["url"].endswith("?family=adrun&_summary=count")


async def test_pages_go_on_as_they_began(fhir: httpx.AsyncClient) -> None:
    for _ in range(3):
        await made(fhir)
    url, seen = "/Patient?_elements=gender&_count=1", []
    while url:
        page = (await fhir.get(url)).json()
        seen += [entry["resource"] for entry in page["entry"]]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert len({found["id"] for found in seen}) == 3
    assert all("name" not in found for found in seen)


@pytest.mark.parametrize(
    "query", ["_summary=some", "_summary=count", "_summary=true&_elements=gender", "_elements=shoe"]
)
async def test_what_is_none_is_refused(fhir: httpx.AsyncClient, query: str) -> None:
    assert (await fhir.get(f"{await made(fhir)}?{query}")).status_code == 400


async def test_no_view_shows_what_is_concealed(fhir: httpx.AsyncClient) -> None:
    path = await qualified(fhir)
    assert ADRUN in (await fhir.get(f"{path}?_elements=identifier")).text
    read = (await fhir.get(path)).json()
    await fhir.put(path, json=read | {"gender": "male"}, headers={"If-Match": f'W/"{read["meta"]["versionId"]}"'})
    for query in ("_elements=identifier,telecom", "_summary=true", "_summary=data", "_summary=text"):
        assert ADRUN not in (await fhir.get(f"{path}?{query}")).text


async def test_a_part_of_a_resource_is_not_written_as_the_whole(fhir: httpx.AsyncClient) -> None:
    id_ = (await fhir.post("/Patient", json=patient())).json()["id"]
    part = (await fhir.get(f"/Patient/{id_}?_elements=gender")).json()
    for answer in (await fhir.put(f"/Patient/{id_}", json=part), await fhir.post("/Patient", json=part)):
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["expression"] == ["Patient.meta.tag"]
    assert (await fhir.get(f"/Patient/{id_}")).json()["meta"]["versionId"] == "1"
