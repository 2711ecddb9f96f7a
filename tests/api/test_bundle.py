"""Batch and transaction. https://hl7.org/fhir/R4/http.html#transaction"""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest
from people import ADRUN, patient
from processes import answering, process
from qualifying import qualified
from servers import StartServer

from fhir_ins.settings import Settings
from fhir_ins.store.mongod import Mongod

Json = dict[str, Any]

IPP = {"system": "urn:oid:1.2.250.1.999.1", "value": "IPP-1"}
BY_IPP = f"identifier={IPP['system']}|{IPP['value']}"


def entry(method: str, url: str, resource: Json | None = None, full_url: str | None = None, **request: str) -> Json:
    return {
        **({"fullUrl": full_url} if full_url else {}),
        **({"resource": resource} if resource else {}),
        "request": {"method": method, "url": url, **request},
    }


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def statuses(answer: httpx.Response) -> list[str]:
    return [found["response"]["status"] for found in answer.json()["entry"]]


def somebody(**changes: Any) -> Json:
    return patient() | {"identifier": [IPP]} | changes


def observation(subject: str, **changes: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": subject},
    } | changes


async def how_many(fhir: httpx.AsyncClient, type_: str = "Patient") -> int:
    return (await fhir.get(f"/{type_}/_history?_count=0")).json()["total"]


MALFORMED = patient(identifier=[{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "1"}])


class TestBatch:
    async def test_each_entry_stands_for_itself(self, fhir: httpx.AsyncClient) -> None:
        made = (await fhir.post("/Patient", json=patient())).json()
        answer = await fhir.post(
            "",
            json=bundle(
                "batch",
                entry("GET", f"Patient/{made['id']}"),
                entry("POST", "Patient", patient()),
                entry("PUT", f"Patient/{made['id']}", made | {"active": True}, ifMatch='W/"1"'),
                entry("POST", "Patient", patient(gender="unheard-of")),
                entry("GET", "Patient/nobody"),
                entry("GET", f"Patient/{made['id']}", ifNoneMatch='W/"2"'),
                entry("GET", "Patient?family=adrun&_count=1"),
                entry("DELETE", "Patient/nobody"),
                entry("GET", "Spaceship/1"),
            ),
        )
        assert (answer.status_code, answer.json()["type"]) == (200, "batch-response")
        assert statuses(answer) == ["200", "201", "200", "400", "404", "304", "200", "204", "404"]
        read, created, updated, refused, *_ = answer.json()["entry"]
        assert read["resource"] == made
        assert created["response"]["location"].endswith(f"/Patient/{created['resource']['id']}/_history/1")
        assert (updated["response"]["etag"], updated["resource"]["active"]) == ('W/"2"', True)
        assert refused["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[3].resource.gender"]
        assert answer.json()["entry"][6]["resource"]["type"] == "searchset"

    async def test_operations_may_be_part_of_it(self, fhir: httpx.AsyncClient) -> None:
        answer = await fhir.post(
            "", json=bundle("batch", entry("POST", "Patient/$validate", patient()), entry("GET", "metadata"))
        )
        assert statuses(answer) == ["200", "200"]
        assert answer.json()["entry"][1]["resource"]["resourceType"] == "CapabilityStatement"

    async def test_what_each_answers_is_as_preferred(self, fhir: httpx.AsyncClient) -> None:
        sent = bundle("batch", entry("POST", "Patient", patient()))
        (answered,) = (await fhir.post("", json=sent, headers={"Prefer": "return=minimal"})).json()["entry"]
        assert answered["response"]["status"] == "201"
        assert "resource" not in answered

    async def test_nothing_but_addresses_of_this_server(self, fhir: httpx.AsyncClient) -> None:
        for url in ("http://elsewhere.example/fhir/Patient/1", "", "/", "file:///etc/passwd"):
            refused = await fhir.post("", json=bundle("batch", entry("GET", url)))
            assert refused.status_code == 400, url
        for url in ("../health/live", "_history/../../metrics"):
            assert statuses(await fhir.post("", json=bundle("batch", entry("GET", url)))) == ["404"]
        whole = f"{str(fhir.base_url).rstrip('/')}/metadata"
        assert statuses(await fhir.post("", json=bundle("batch", entry("GET", whole)))) == ["200"]

    async def test_a_concealed_matricule_stays_so(self, fhir: httpx.AsyncClient, start_server: StartServer) -> None:
        path = await qualified(fhir)
        sent = bundle("batch", entry("GET", path[1:]), entry("GET", f"Patient?identifier={ADRUN}"))
        assert (await fhir.post("", json=sent)).text.count(ADRUN) >= 2
        read = (await fhir.get(path)).json()
        await fhir.put(path, json=read | {"gender": "male"}, headers={"If-Match": f'W/"{read["meta"]["versionId"]}"'})
        assert ADRUN not in (await fhir.post("", json=bundle("batch", entry("GET", path[1:])))).text


class TestTransaction:
    async def test_references_between_entries_become_addresses(self, fhir: httpx.AsyncClient) -> None:
        who = f"urn:uuid:{uuid4()}"
        narrative = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{who}">the patient</a></div>'
        weighed = observation(
            who,
            text={"status": "generated", "div": narrative},
            note=[{"text": f"a text that says {who} keeps it"}],
            identifier=[{"system": "urn:ietf:rfc:3986", "value": who}],
        )
        entries = entry("POST", "Observation", weighed), entry("POST", "Patient", patient(), who)
        answer = await fhir.post("", json=bundle("transaction", *entries))
        assert answer.status_code == 200, answer.text
        assert (answer.json()["type"], statuses(answer)) == ("transaction-response", ["201", "201"])
        written, made = (found["resource"] for found in answer.json()["entry"])
        assert written["subject"]["reference"] == f"Patient/{made['id']}"
        assert f'href="Patient/{made["id"]}"' in written["text"]["div"]
        assert who in written["note"][0]["text"]
        assert written["identifier"][0]["value"] == who

    async def test_circles_of_references(self, fhir: httpx.AsyncClient) -> None:
        one, two = (f"urn:uuid:{uuid4()}" for _ in range(2))
        linked = [
            entry("POST", "Patient", patient(link=[{"other": {"reference": other}, "type": "seealso"}]), own)
            for own, other in ((one, two), (two, one))
        ]
        first, second = (await fhir.post("", json=bundle("transaction", *linked))).json()["entry"]
        assert first["resource"]["link"][0]["other"]["reference"] == f"Patient/{second['resource']['id']}"
        assert second["resource"]["link"][0]["other"]["reference"] == f"Patient/{first['resource']['id']}"

    async def test_the_addresses_of_another_server_become_ours(self, fhir: httpx.AsyncClient) -> None:
        base = "https://ehr.example/fhir"
        answer = await fhir.post(
            "",
            json=bundle(
                "transaction",
                entry("POST", "Patient", patient(id="7"), f"{base}/Patient/7"),
                entry("POST", "Observation", observation("Patient/7"), f"{base}/Observation/1"),
                entry("POST", "Observation", observation(f"{base}/Patient/7"), f"urn:uuid:{uuid4()}"),
            ),
        )
        made, *others = (found["resource"] for found in answer.json()["entry"])
        assert [found["subject"]["reference"] for found in others] == [f"Patient/{made['id']}"] * 2

    async def test_references_by_a_condition(self, fhir: httpx.AsyncClient) -> None:
        made = (await fhir.post("/Patient", json=somebody())).json()
        sent = bundle("transaction", entry("POST", "Observation", observation(f"Patient?{BY_IPP}")))
        (written,) = (await fhir.post("", json=sent)).json()["entry"]
        assert written["resource"]["subject"]["reference"] == f"Patient/{made['id']}"
        await fhir.post("/Patient", json=somebody())
        several = await fhir.post("", json=sent)
        assert (several.status_code, several.json()["issue"][0]["expression"]) == (412, ["Bundle.entry[0].resource"])
        none = bundle("transaction", entry("POST", "Observation", observation("Patient?identifier=nobody")))
        assert (await fhir.post("", json=none)).status_code == 412
        assert await how_many(fhir, "Observation") == 1

    async def test_conditions_of_entries(self, fhir: httpx.AsyncClient) -> None:
        who = f"urn:uuid:{uuid4()}"
        sent = [
            entry("POST", "Patient", somebody(), who, ifNoneExist=BY_IPP),
            entry("POST", "Observation", observation(who)),
        ]
        first = await fhir.post("", json=bundle("transaction", *sent))
        assert statuses(first) == ["201", "201"]
        again = await fhir.post("", json=bundle("transaction", *sent))
        assert statuses(again) == ["200", "201"]
        subjects = {answer.json()["entry"][1]["resource"]["subject"]["reference"] for answer in (first, again)}
        assert len(subjects) == 1
        updated = await fhir.post(
            "",
            json=bundle(
                "transaction",
                entry("PUT", f"Patient?{BY_IPP}", somebody(active=True), who),
                entry("POST", "Observation", observation(who)),
            ),
        )
        assert statuses(updated) == ["200", "201"]
        assert updated.json()["entry"][1]["resource"]["subject"]["reference"] in subjects

    async def test_the_order_is_the_specifications(self, fhir: httpx.AsyncClient) -> None:
        old = (await fhir.post("/Patient", json=somebody())).json()
        kept = (await fhir.post("/Patient", json=patient())).json()
        answer = await fhir.post(
            "",
            json=bundle(
                "transaction",
                entry("GET", f"Patient?{BY_IPP}"),
                entry("PUT", f"Patient/{kept['id']}", kept | {"active": True}),
                entry("POST", "Patient", somebody()),
                entry("DELETE", f"Patient/{old['id']}"),
                entry("GET", f"Patient/{kept['id']}"),
            ),
        )
        assert statuses(answer) == ["200", "200", "201", "204", "200"]
        searched, *_, created, _, read = (found.get("resource") for found in answer.json()["entry"])
        assert [found["resource"]["id"] for found in searched["entry"]] == [created["id"]]
        assert read["active"] is True

    @pytest.mark.parametrize(
        ("spoiler", "status", "place"),
        [
            (entry("POST", "Patient", patient(gender="unheard-of")), 400, "Bundle.entry[1].resource.gender"),
            (entry("POST", "Patient", MALFORMED), 422, "Bundle.entry[1].resource.identifier[0].value"),
            (entry("PUT", "Patient/nobody", patient(id="nobody")), 405, "Bundle.entry[1].resource"),
            (entry("GET", "Patient/nobody"), 404, "Bundle.entry[1]"),
            (entry("GET", "Patient?shoe-size=43"), 400, "Bundle.entry[1]"),
            (entry("POST", "Spaceship", patient()), 404, "Bundle.entry[1].resource"),
            (entry("POST", "Patient/$validate", patient()), 400, "Bundle.entry[1].request.url"),
            (entry("POST", "Patient"), 400, "Bundle.entry[1].resource"),
            (entry("GET", "Patient", patient()), 400, "Bundle.entry[1].resource"),
        ],
    )
    async def test_what_one_entry_is_refused_for_refuses_all(
        self, fhir: httpx.AsyncClient, spoiler: Json, status: int, place: str
    ) -> None:
        refused = await fhir.post("", json=bundle("transaction", entry("POST", "Patient", patient()), spoiler))
        assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (status, [place]), refused.text
        assert await how_many(fhir) == 0

    async def test_a_history_in_it_sees_what_it_writes(self, fhir: httpx.AsyncClient) -> None:
        made = (await fhir.post("/Patient", json=somebody())).json()
        path = f"Patient/{made['id']}"
        sent = bundle("transaction", entry("GET", f"{path}/_history"), entry("PUT", path, made | {"active": True}))
        history, _ = (await fhir.post("", json=sent)).json()["entry"]
        assert [found["response"]["etag"] for found in history["resource"]["entry"]] == ['W/"2"', 'W/"1"']

    async def test_a_resource_is_written_once(self, fhir: httpx.AsyncClient) -> None:
        made = (await fhir.post("/Patient", json=somebody())).json()
        path = f"Patient/{made['id']}"
        for other in (entry("DELETE", path), entry("PUT", f"Patient?{BY_IPP}", somebody())):
            refused = await fhir.post("", json=bundle("transaction", entry("PUT", path, made), other))
            assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[1]"])

    async def test_of_concurrent_ones_with_one_condition_one_makes_it(self, fhir: httpx.AsyncClient) -> None:
        sent = bundle("transaction", entry("POST", "Patient", somebody(), ifNoneExist=BY_IPP))
        answers = await asyncio.gather(*(fhir.post("", json=sent) for _ in range(8)))
        assert sorted(statuses(answer)[0] for answer in answers) == ["200"] * 7 + ["201"]
        assert await how_many(fhir) == 1

    async def test_a_confirmed_ins_may_change_hands(self, fhir: httpx.AsyncClient) -> None:
        path = await qualified(fhir)
        answer = await fhir.post("", json=bundle("transaction", entry("DELETE", path[1:]), entry("GET", "Patient")))
        assert statuses(answer) == ["204", "200"]
        assert (await qualified(fhir)) != path


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.type"),
        ({"resourceType": "Bundle"}, None),
        ({"resourceType": "Patient"}, "resourceType"),
        (bundle("batch", {"resource": patient()}), None),
        (bundle("batch", {"request": {"method": "FETCH", "url": "Patient"}}), "Bundle.entry[0].request.method"),
        (bundle("batch", {"request": {"method": "GET"}}), None),
    ],
)
async def test_what_is_no_batch_or_transaction_is_refused(
    fhir: httpx.AsyncClient, sent: Json, place: str | None
) -> None:
    refused = await fhir.post("", json=sent)
    assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")
    if place:
        assert refused.json()["issue"][0]["expression"] == [place]


async def test_too_many_entries_are_refused(start_server: StartServer) -> None:
    fhir = await start_server(max_bundle_entries=3)
    sent = bundle("batch", *(entry("GET", "Patient") for _ in range(4)))
    assert (await fhir.post("", json=sent)).status_code == 413


async def test_an_empty_one_is_answered_empty(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("", json={"resourceType": "Bundle", "type": "transaction"})
    assert (answer.status_code, answer.json()) == (200, {"resourceType": "Bundle", "type": "transaction-response"})


async def test_a_transaction_whose_server_is_killed_half_way_leaves_nothing(
    settings: Settings, mongod: Mongod, start_server: StartServer, tmp_path: Path
) -> None:
    """DESIGN §4.8 and 4.9: what was not acknowledged is not there, and the same Bundle can be sent again."""
    many = bundle("transaction", *(entry("POST", "Patient", patient()) for _ in range(800)))
    with process(settings, tmp_path / "log") as (running, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as fhir:
            await answering(fhir)
            sent = asyncio.create_task(fhir.post("", json=many))
            while not await asyncio.to_thread(in_a_transaction, mongod):
                assert not sent.done()
            running.kill()
            with pytest.raises(httpx.TransportError):
                await sent
    with pymongo.MongoClient[Json](mongod.uri) as client:
        stored = {name: client["tests"][name].count_documents({"tenant": settings.tenant}) for name in KEPT}
    assert stored == dict.fromkeys(KEPT, 0)
    again = await start_server()
    assert set(statuses(await again.post("", json=many))) == {"201"}
    assert await how_many(again) == 800


KEPT = ("resources", "versions", "keys")


def in_a_transaction(mongod: Mongod) -> bool:
    """Whether some transaction has been going on for a while."""
    stages: list[Json] = [{"$currentOp": {"idleSessions": True}}, {"$match": {"transaction": {"$exists": True}}}]
    with pymongo.MongoClient[Json](mongod.uri) as client, client.admin.aggregate(stages) as found:
        return any(session["transaction"].get("timeOpenMicros", 0) > 200_000 for session in found)


async def test_a_fault_of_ours_is_of_its_entry_alone(fhir: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before it was written, and what comes after it is answered."""
    monkeypatch.setattr("fhir_ins.api.history.view", None)  # something that no client can do
    entries = [entry("POST", "Patient", patient()), entry("GET", "Patient/_history"), entry("GET", "Patient/unknown")]
    answer = await fhir.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer.status_code == 200
    assert [found["response"]["status"] for found in answer.json()["entry"]] == ["201", "500", "404"]
    outcome = answer.json()["entry"][1]["response"]["outcome"]
    assert "please report its X-Request-Id" in outcome["issue"][0]["details"]["text"]
