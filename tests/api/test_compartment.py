"""What belongs to a Patient: compartment searches and $everything.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html, https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from typing import Any

import httpx
import pytest
from people import ADRUN, ADRUN_TRAITS, out, patient

Json = dict[str, Any]


async def made(fhir: httpx.AsyncClient, resource: Json) -> str:
    answer = await fhir.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def observation(subject: str, **changes: Any) -> Json:
    coded = {"status": "final", "code": {"text": "weight"}, "subject": {"reference": subject}}
    return {"resourceType": "Observation", **coded, **changes}


def found(answer: httpx.Response, mode: str = "match") -> set[str]:
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in entries
        if entry["search"]["mode"] == mode
    }


class TestCompartment:
    async def test_what_is_in_it_and_nothing_else(self, fhir: httpx.AsyncClient) -> None:
        one, other = [await made(fhir, patient()) for _ in range(2)]
        own = {await made(fhir, observation(one)), await made(fhir, observation(other, performer=[{"reference": one}]))}
        await made(fhir, observation(other))
        assert found(await fhir.get(f"/{one}/Observation")) == own
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert found(await fhir.post(f"/{one}/Observation/_search", content="", headers=form)) == own

    async def test_with_further_criteria_and_pages(self, fhir: httpx.AsyncClient) -> None:
        one = await made(fhir, patient())
        final = {await made(fhir, observation(one)) for _ in range(3)}
        await made(fhir, observation(one, status="amended"))
        first = await fhir.get(f"/{one}/Observation?status=final&_count=2")
        assert first.json()["link"][0]["url"].endswith(f"/{one}/Observation?status=final&_count=2")
        links = {link["relation"]: link["url"] for link in first.json()["link"]}
        second = await fhir.get(links["next"])
        assert found(first) | found(second) == final

    @pytest.mark.parametrize(
        ("path", "status"), [("Organization", 404), ("Spaceship", 404), ("Observation?shoe-size=43", 400)]
    )
    async def test_what_it_never_holds(self, fhir: httpx.AsyncClient, path: str, status: int) -> None:
        assert (await fhir.get(f"/{await made(fhir, patient())}/{path}")).status_code == status

    async def test_of_nobody(self, fhir: httpx.AsyncClient) -> None:
        assert (await fhir.get("/Patient/nobody/Observation")).status_code == 404
        one = await made(fhir, patient())
        await fhir.delete(f"/{one}")
        assert (await fhir.get(f"/{one}/Observation")).status_code == 410


class TestEverything:
    async def test_the_patient_its_compartment_and_what_that_refers_to(self, fhir: httpx.AsyncClient) -> None:
        one, other = [await made(fhir, patient()) for _ in range(2)]
        doctor = await made(fhir, {"resourceType": "Practitioner", "active": True})
        own = {one, await made(fhir, observation(one, performer=[{"reference": doctor}]))}
        flag = {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": {"reference": one}}
        own.add(await made(fhir, flag))
        await made(fhir, observation(other))
        answer = await fhir.get(f"/{one}/$everything")
        assert found(answer) == own
        assert found(answer, "include") == {doctor}
        assert found(await fhir.post(f"/{one}/$everything")) == own

    async def test_some_types_only(self, fhir: httpx.AsyncClient) -> None:
        one = await made(fhir, patient())
        weight = await made(fhir, observation(one))
        assert found(await fhir.get(f"/{one}/$everything?_type=Observation")) == {weight}
        assert (await fhir.get(f"/{one}/$everything?_type=Organization")).status_code == 400

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    async def test_pages_are_the_whole_without_repeats(self, fhir: httpx.AsyncClient, size: int) -> None:
        one = await made(fhir, patient())
        own = [one, *[await made(fhir, observation(one)) for _ in range(4)]]
        seen: list[str] = []
        url = f"/{one}/$everything?_count={size}"
        while url:
            answer = await fhir.get(url)
            seen += sorted(found(answer))
            url = next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), "")
        assert sorted(seen) == sorted(own)

    async def test_since(self, fhir: httpx.AsyncClient) -> None:
        one = await made(fhir, patient())
        assert found(await fhir.get(f"/{one}/$everything?_since=2999-01-01T00:00:00Z")) == set()
        assert found(await fhir.get(f"/{one}/$everything?_since=2000-01-01T00:00:00Z")) == {one}

    @pytest.mark.parametrize("query", ["start=2020-01-01", "_count=0", "_count=x", "_since=soon", "_cursor=x"])
    async def test_what_is_not_offered(self, fhir: httpx.AsyncClient, query: str) -> None:
        assert (await fhir.get(f"/{await made(fhir, patient())}/$everything?{query}")).status_code == 400

    async def test_a_concealed_matricule_stays_so(self, fhir: httpx.AsyncClient) -> None:
        fetched = (await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json()
        stored = out(fetched, "stored")[0]["valueReference"]["reference"]
        assert ADRUN not in (await fhir.get(f"/{stored}/$everything")).text


async def test_what_is_referred_to_stays_unless_the_server_is_set_so(
    fhir: httpx.AsyncClient, start_server: Any
) -> None:
    one = await made(fhir, patient())
    weight = await made(fhir, observation(one))
    refused = await fhir.delete(f"/{one}")
    assert (refused.status_code, weight in refused.text) == (409, True)
    assert (await fhir.get(f"/{one}")).status_code == 200
    both = [{"request": {"method": "DELETE", "url": url}} for url in (one, weight)]
    other = await made(fhir, patient())
    await made(fhir, observation(other))
    assert (
        await fhir.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": both})
    ).status_code == 200
    lets = await start_server(delete_referenced=True)
    assert (await lets.delete(f"/{other}")).status_code == 204
