"""Conditional create, update, patch, delete and read. https://hl7.org/fhir/R4/http.html#cond-update"""

import asyncio
from typing import Any

import httpx
import pytest
from keyrings import encrypted
from people import patient
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings

IPP = {"system": "urn:oid:1.2.250.1.999.1", "value": "IPP-1"}
BY_IPP = f"identifier={IPP['system']}|{IPP['value']}"


@pytest.fixture(params=[False, True], ids=["clear", "encrypted"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return encrypted(settings) if request.param else settings


def somebody(**changes: Any) -> dict[str, Any]:
    return patient() | {"identifier": [IPP]} | changes


async def how_many(fhir: httpx.AsyncClient) -> int:
    return (await fhir.get("/Patient", params={"identifier": IPP["value"], "_count": 0})).json()["total"]


class TestCreate:
    async def test_where_nothing_matches_it_is_made(self, fhir: httpx.AsyncClient) -> None:
        made = await fhir.post("/Patient", json=somebody(), headers={"If-None-Exist": BY_IPP})
        assert (made.status_code, await how_many(fhir)) == (201, 1)

    async def test_where_one_matches_it_is_answered(self, fhir: httpx.AsyncClient) -> None:
        first = await fhir.post("/Patient", json=somebody())
        again = await fhir.post("/Patient", json=somebody(gender="other"), headers={"If-None-Exist": BY_IPP})
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["Location"] == first.headers["Location"]
        assert again.headers["ETag"] == first.headers["ETag"]

    async def test_where_several_match_nothing_is_done(self, fhir: httpx.AsyncClient) -> None:
        for _ in range(2):
            await fhir.post("/Patient", json=somebody())
        refused = await fhir.post("/Patient", json=somebody(), headers={"If-None-Exist": BY_IPP})
        assert (refused.status_code, await how_many(fhir)) == (412, 2)
        assert refused.json()["issue"][0]["code"] == "multiple-matches"

    @pytest.mark.parametrize(
        "condition",
        ["", "_count=1", "_format=json", "shoe-size=43", "birthdate=yesterday", "&".join(["family=adrun"] * 21)],
    )
    async def test_a_condition_that_is_none_is_refused(self, fhir: httpx.AsyncClient, condition: str) -> None:
        refused = await fhir.post("/Patient", json=somebody(), headers={"If-None-Exist": condition})
        assert (refused.status_code, await how_many(fhir)) == (400, 0)

    async def test_of_concurrent_ones_one_is_made(self, fhir: httpx.AsyncClient) -> None:
        posts = [fhir.post("/Patient", json=somebody(), headers={"If-None-Exist": BY_IPP}) for _ in range(8)]
        answers = await asyncio.gather(*posts)
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert await how_many(fhir) == 1

    async def test_conditions_that_share_an_identifier_wait_for_each_other(self, fhir: httpx.AsyncClient) -> None:
        conditions = [BY_IPP, f"identifier={IPP['value']}", f"{BY_IPP}&family={patient()['name'][0]['family']}"] * 3
        posts = [fhir.post("/Patient", json=somebody(), headers={"If-None-Exist": asked}) for asked in conditions]
        assert sorted(answer.status_code for answer in await asyncio.gather(*posts)) == [200] * 8 + [201]

    async def test_it_needs_the_right_to_read_what_it_matches(self, start_server: StartServer) -> None:
        blind = await start_server(rights=SANDBOX_RIGHTS - {Right.READ})
        assert (await blind.post("/Patient", json=somebody(), headers={"If-None-Exist": BY_IPP})).status_code == 403


class TestUpdate:
    async def test_where_nothing_matches_it_is_made(self, fhir: httpx.AsyncClient) -> None:
        made = await fhir.put(f"/Patient?{BY_IPP}", json=somebody())
        assert (made.status_code, await how_many(fhir)) == (201, 1)

    async def test_what_matches_is_updated(self, fhir: httpx.AsyncClient) -> None:
        first = (await fhir.post("/Patient", json=somebody())).json()
        updated = await fhir.put(f"/Patient?{BY_IPP}", json=somebody(active=True))
        assert updated.status_code == 200
        assert (updated.json()["id"], updated.json()["meta"]["versionId"]) == (first["id"], "2")

    async def test_an_id_in_the_body_must_be_the_match(self, fhir: httpx.AsyncClient) -> None:
        first = (await fhir.post("/Patient", json=somebody())).json()
        assert (await fhir.put(f"/Patient?{BY_IPP}", json=somebody(id="other"))).status_code == 400
        assert (await fhir.put(f"/Patient?{BY_IPP}", json=somebody(id=first["id"]))).status_code == 200

    async def test_where_several_match_nothing_is_done(self, fhir: httpx.AsyncClient) -> None:
        for _ in range(2):
            await fhir.post("/Patient", json=somebody())
        assert (await fhir.put(f"/Patient?{BY_IPP}", json=somebody())).status_code == 412

    async def test_if_match_holds_for_what_matches(self, fhir: httpx.AsyncClient) -> None:
        await fhir.post("/Patient", json=somebody())
        for tag, status in (('W/"7"', 412), ('W/"1"', 200)):
            sent = await fhir.put(f"/Patient?{BY_IPP}", json=somebody(), headers={"If-Match": tag})
            assert sent.status_code == status

    async def test_without_a_condition_it_is_none(self, fhir: httpx.AsyncClient) -> None:
        assert (await fhir.put("/Patient", json=somebody())).status_code == 400

    async def test_of_concurrent_ones_one_makes_it(self, fhir: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(fhir.put(f"/Patient?{BY_IPP}", json=somebody()) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert await how_many(fhir) == 1


class TestDelete:
    async def test_nothing_is_no_error(self, fhir: httpx.AsyncClient) -> None:
        assert (await fhir.delete(f"/Patient?{BY_IPP}")).status_code == 204

    async def test_what_matches_is_deleted(self, fhir: httpx.AsyncClient) -> None:
        first = (await fhir.post("/Patient", json=somebody())).json()
        assert (await fhir.delete(f"/Patient?{BY_IPP}")).status_code == 204
        assert (await fhir.get(f"/Patient/{first['id']}")).status_code == 410

    async def test_several_are_left_unless_the_server_is_set_so(
        self, fhir: httpx.AsyncClient, start_server: StartServer
    ) -> None:
        for _ in range(3):
            await fhir.post("/Patient", json=somebody())
        assert (await fhir.delete(f"/Patient?{BY_IPP}")).status_code == 412
        assert await how_many(fhir) == 3
        sweeping = await start_server(delete_several=True)
        told = await sweeping.delete(f"/Patient?{BY_IPP}", headers={"Prefer": "return=OperationOutcome"})
        assert told.json()["issue"][0]["details"]["text"] == "3 resources deleted."
        assert await how_many(fhir) == 0

    async def test_everything_is_never_meant(self, fhir: httpx.AsyncClient) -> None:
        await fhir.post("/Patient", json=somebody())
        assert (await fhir.delete("/Patient")).status_code == 400
        assert await how_many(fhir) == 1


class TestRead:
    async def test_what_was_not_modified_since(self, fhir: httpx.AsyncClient) -> None:
        made = await fhir.post("/Patient", json=somebody())
        path = f"/Patient/{made.json()['id']}"
        same = await fhir.get(path, headers={"If-Modified-Since": made.headers["Last-Modified"]})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", 'W/"1"')
        for past in ("Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", ""):
            assert (await fhir.get(path, headers={"If-Modified-Since": past})).status_code == 200

    async def test_an_etag_prevails_over_a_date(self, fhir: httpx.AsyncClient) -> None:
        made = await fhir.post("/Patient", json=somebody())
        headers = {"If-None-Match": 'W/"9"', "If-Modified-Since": made.headers["Last-Modified"]}
        assert (await fhir.get(f"/Patient/{made.json()['id']}", headers=headers)).status_code == 200


class TestUpdateAsCreate:
    async def test_ids_are_the_servers_unless_it_is_set_so(
        self, fhir: httpx.AsyncClient, start_server: StartServer
    ) -> None:
        refused = await fhir.put("/Patient/mine", json=somebody(id="mine"))
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, DELETE")
        lets = await start_server(update_create=True)
        made = await lets.put("/Patient/mine", json=somebody(id="mine"))
        assert (made.status_code, made.json()["id"]) == (201, "mine")
        assert (await lets.put("/Patient/mine", json=somebody(id="mine"))).status_code == 200

    async def test_of_concurrent_ones_one_makes_it(self, start_server: StartServer) -> None:
        lets = await start_server(update_create=True)
        answers = await asyncio.gather(*(lets.put("/Patient/mine", json=somebody(id="mine")) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        history = (await lets.get("/Patient/mine/_history")).json()
        assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT"] * 8

    async def test_a_condition_without_match_takes_the_bodys_id(self, start_server: StartServer) -> None:
        lets = await start_server(update_create=True)
        made = await lets.put(f"/Patient?{BY_IPP}", json=somebody(id="mine"))
        assert (made.status_code, made.json()["id"]) == (201, "mine")


class TestPrefer:
    @pytest.mark.parametrize(
        ("preference", "shown"), [("return=minimal", None), ("return=representation", "Patient"), ("", "Patient")]
    )
    async def test_how_much_a_write_answers(self, fhir: httpx.AsyncClient, preference: str, shown: str | None) -> None:
        made = await fhir.post("/Patient", json=somebody(), headers={"Prefer": preference})
        assert made.status_code == 201
        assert (made.json()["resourceType"] if made.content else None) == shown
        assert {"Location", "ETag", "Last-Modified"} <= {name.title().replace("Etag", "ETag") for name in made.headers}

    async def test_an_outcome_in_place_of_the_resource(self, fhir: httpx.AsyncClient) -> None:
        made = await fhir.post("/Patient", json=somebody(), headers={"Prefer": "return=OperationOutcome"})
        assert made.json()["resourceType"] == "OperationOutcome"
        assert "was created as version 1" in made.json()["issue"][0]["details"]["text"]


async def test_of_a_hundred_updates_of_one_version_one_wins(fhir: httpx.AsyncClient) -> None:
    made = (await fhir.post("/Patient", json=somebody())).json()
    path = f"/Patient/{made['id']}"
    puts = [fhir.put(path, json=somebody(id=made["id"]), headers={"If-Match": 'W/"1"'}) for _ in range(100)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*puts))
    assert statuses == [200] + [412] * 99
    assert (await fhir.get(path)).json()["meta"]["versionId"] == "2"
