"""Create, read, vread, update, delete. https://hl7.org/fhir/R4/http.html"""

from email.utils import parsedate_to_datetime

import httpx
import pytest
from people import patient
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.security.caller import Right

JSON = {"Content-Type": "application/fhir+json"}


async def created(fhir: httpx.AsyncClient) -> str:
    return str((await fhir.post("/Patient", json=patient())).json()["id"])


async def test_create_answers_201_with_location_etag_and_the_resource(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient", json=patient(id="mine", meta={"versionId": "9", "tag": [{"code": "t"}]}))
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{fhir.base_url}Patient/{body['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert body["id"] != "mine"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["tag"] == [{"code": "t"}]
    assert parsedate_to_datetime(answer.headers["last-modified"])


async def test_read_answers_the_same_bytes_without_cache(fhir: httpx.AsyncClient) -> None:
    made = await fhir.post("/Patient", json=patient())
    read = await fhir.get(f"/Patient/{made.json()['id']}")
    assert read.content == made.content
    assert read.headers["etag"] == 'W/"1"'
    assert read.headers["cache-control"] == "no-store"
    assert "Authorization" in read.headers["vary"]


async def test_number_literals_come_back_as_written(fhir: httpx.AsyncClient) -> None:
    literal = b'{"url":"latitude","valueDecimal":45.7770},{"url":"longitude","valueDecimal":3.0}'
    place = b'{"url":"http://hl7.org/fhir/StructureDefinition/geolocation","extension":[' + literal + b"]}"
    body = b'{"resourceType":"Patient","address":[{"extension":[' + place + b"]}]}"
    made = await fhir.post("/Patient", content=body, headers=JSON)
    assert b'"valueDecimal":45.7770' in (await fhir.get(f"/Patient/{made.json()['id']}")).content


async def test_head_is_read_without_body(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.head(f"/Patient/{await created(fhir)}")
    assert (answer.status_code, answer.headers["etag"], answer.content) == (200, 'W/"1"', b"")


async def test_if_none_match_answers_304(fhir: httpx.AsyncClient) -> None:
    id_ = await created(fhir)
    assert (await fhir.get(f"/Patient/{id_}", headers={"If-None-Match": 'W/"1"'})).status_code == 304
    assert (await fhir.get(f"/Patient/{id_}", headers={"If-None-Match": 'W/"2"'})).status_code == 200


async def test_unknown_is_404_and_deleted_is_410(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.get("/Patient/unknown")).status_code == 404
    id_ = await created(fhir)
    assert (await fhir.delete(f"/Patient/{id_}")).status_code == 204
    gone = await fhir.get(f"/Patient/{id_}")
    assert (gone.status_code, gone.json()["issue"][0]["code"]) == (410, "deleted")
    assert (await fhir.get(f"/Patient/{id_}/_history/1")).status_code == 200
    assert (await fhir.get(f"/Patient/{id_}/_history/2")).status_code == 410


async def test_update_makes_a_version_and_the_former_stays(fhir: httpx.AsyncClient) -> None:
    id_ = await created(fhir)
    answer = await fhir.put(f"/Patient/{id_}", json=patient(id=id_, active=True))
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.headers["location"].endswith(f"/Patient/{id_}/_history/2")
    assert "active" not in (await fhir.get(f"/Patient/{id_}/_history/1")).json()
    assert (await fhir.get(f"/Patient/{id_}/_history/2")).json()["active"] is True
    assert (await fhir.get(f"/Patient/{id_}/_history/3")).status_code == 404
    assert (await fhir.get(f"/Patient/{id_}/_history/x")).status_code == 404


async def test_if_match_guards_update_and_delete(fhir: httpx.AsyncClient) -> None:
    id_ = await created(fhir)
    body = patient(id=id_)
    assert (await fhir.put(f"/Patient/{id_}", json=body, headers={"If-Match": 'W/"1"'})).status_code == 200
    assert (await fhir.put(f"/Patient/{id_}", json=body, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await fhir.put(f"/Patient/{id_}", json=body, headers={"If-Match": "2"})).status_code == 400
    assert (await fhir.delete(f"/Patient/{id_}", headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await fhir.delete(f"/Patient/{id_}", headers={"If-Match": 'W/"2"'})).status_code == 204


async def test_update_asks_for_the_same_id_and_an_id_of_ours(fhir: httpx.AsyncClient) -> None:
    id_ = await created(fhir)
    assert (await fhir.put(f"/Patient/{id_}", json=patient())).status_code == 400
    assert (await fhir.put(f"/Patient/{id_}", json=patient(id="other"))).status_code == 400
    assert (await fhir.put("/Patient/mine", json=patient(id="mine"))).status_code == 405


async def test_a_deleted_patient_is_brought_back_by_an_update(fhir: httpx.AsyncClient) -> None:
    id_ = await created(fhir)
    await fhir.delete(f"/Patient/{id_}")
    answer = await fhir.put(f"/Patient/{id_}", json=patient(id=id_))
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"3"')
    assert (await fhir.get(f"/Patient/{id_}")).status_code == 200


async def test_delete_may_be_repeated(fhir: httpx.AsyncClient) -> None:
    id_ = await created(fhir)
    first, second = await fhir.delete(f"/Patient/{id_}"), await fhir.delete(f"/Patient/{id_}")
    assert (first.status_code, second.status_code) == (204, 204)
    assert second.headers["etag"] == 'W/"2"'
    assert (await fhir.delete("/Patient/never-there")).status_code == 204


async def test_another_tenant_has_none_of_it(fhir: httpx.AsyncClient, start_server: StartServer) -> None:
    id_ = await created(fhir)
    other = await start_server(tenant="another")
    assert (await other.get(f"/Patient/{id_}")).status_code == 404
    assert (await other.get(f"/Patient/{id_}/_history/1")).status_code == 404
    assert (await other.put(f"/Patient/{id_}", json=patient(id=id_))).status_code == 405
    assert (await other.get("/Patient", params={"_id": id_})).json()["total"] == 0


@pytest.mark.parametrize(
    ("right", "method", "path"),
    [
        (Right.READ, "GET", "/Patient/x"),
        (Right.READ, "GET", "/Patient/x/_history/1"),
        (Right.READ, "GET", "/Patient"),
        (Right.WRITE, "POST", "/Patient"),
        (Right.WRITE, "PUT", "/Patient/x"),
        (Right.WRITE, "DELETE", "/Patient/x"),
    ],
)
async def test_rights(start_server: StartServer, right: Right, method: str, path: str) -> None:
    fhir = await start_server(rights=SANDBOX_RIGHTS - {right})
    assert (await fhir.request(method, path, json=patient(id="x"))).status_code == 403
