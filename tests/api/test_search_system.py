"""Searches of several types at once, totals, and the links of pages. https://hl7.org/fhir/R4/http.html#vsearch"""

import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from people import patient
from servers import StartServer

from fhir_ins.api import paging

Json = dict[str, Any]

HERE = {"tag": [{"code": "here"}]}


async def tagged(fhir: httpx.AsyncClient, type_: str, number: int) -> list[str]:
    """So many resources of a type with one tag."""
    made = []
    for _ in range(number):
        sent = patient(meta=HERE) if type_ == "Patient" else {"resourceType": type_, "meta": HERE, "active": True}
        answer = await fhir.post(f"/{type_}", json=sent)
        assert answer.status_code == 201, answer.text
        made.append(f"{type_}/{answer.json()['id']}")
    return made


def shown(bundle: Json) -> list[str]:
    return ["/".join(entry["fullUrl"].split("/")[-2:]) for entry in bundle.get("entry", [])]


def links(bundle: Json) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


async def test_the_types_that_are_named_are_searched_together(fhir: httpx.AsyncClient) -> None:
    made = [*await tagged(fhir, "Patient", 2), *await tagged(fhir, "Practitioner", 2), *await tagged(fhir, "Person", 1)]
    bundle = (await fhir.get("?_type=Patient,Practitioner&_tag=here")).json()
    assert sorted(shown(bundle)) == sorted(one for one in made if not one.startswith("Person/"))
    assert bundle["total"] == 4
    posted = await fhir.post("/_search", data={"_type": "Patient,Practitioner", "_tag": "here"})
    assert posted.json() == bundle
    assert links(bundle)["self"] == f"{str(fhir.base_url).rstrip('/')}?_tag=here&_type=Patient%2CPractitioner"


async def test_all_that_are_stored_without_type(fhir: httpx.AsyncClient) -> None:
    made = [*await tagged(fhir, "Patient", 1), *await tagged(fhir, "Person", 1)]
    assert sorted(shown((await fhir.get("?_tag=here")).json())) == sorted(made)
    assert sorted(shown((await fhir.get("/")).json())) == sorted(made)


@pytest.mark.parametrize("sort", ["", "&_sort=-_lastUpdated", "&_sort=_tag,-_lastUpdated", "&_lastUpdated=ge2000"])
async def test_pages_hold_each_once_there_and_back(fhir: httpx.AsyncClient, sort: str) -> None:
    made = [*await tagged(fhir, "Patient", 3), *await tagged(fhir, "Practitioner", 2), *await tagged(fhir, "Person", 2)]
    bundle = (await fhir.get(f"?_type=Patient,Practitioner,Person&_tag=here&_count=2{sort}")).json()
    pages = [shown(bundle)]
    assert "previous" not in links(bundle)
    while following := links(bundle).get("next"):
        bundle = (await fhir.get(following)).json()
        pages.append(shown(bundle))
    assert shown((await fhir.get(links(bundle)["first"])).json()) == pages[0]
    assert sorted(one for page in pages for one in page) == sorted(made)
    back = []
    while before := links(bundle).get("previous"):
        bundle = (await fhir.get(before)).json()
        back.append(shown(bundle))
    assert back == pages[-2::-1]
    assert links(bundle)["self"] == links((await fhir.get(links(bundle)["first"])).json())["self"]


async def test_what_was_posted_comes_into_no_link_but_the_page_s_own(fhir: httpx.AsyncClient) -> None:
    await tagged(fhir, "Patient", 3)
    bundle = (await fhir.post("/Patient/_search", data={"family": "adrun", "_count": "1", "_sort": "family"})).json()
    while True:
        others = [url for relation, url in links(bundle).items() if relation != "self"]
        assert not any("adrun" in url for url in others)
        first = (await fhir.get(links(bundle)["first"])).json()
        assert "previous" not in links(first)
        assert [name for name, _ in parse_qsl(urlsplit(links(first)["first"]).query)] == ["_cursor"]
        if "next" not in links(bundle):
            break
        bundle = (await fhir.get(links(bundle)["next"])).json()
    assert others


LENIENT = {"Prefer": "handling=lenient"}


@pytest.mark.parametrize(
    ("query", "applied"),
    [
        ("_sort=birthdate", ""),
        ("_sort=-birthdate,_tag,date", "_sort=_tag&"),
        ("code=x", ""),
        ("birthdate=1975", ""),
        ("birthdate=1975&_tag=here&subject.family=adrun&status=final", "_tag=here&"),
        ("identifier:text=x", "identifier%3Atext=x&"),
        ("_has:Observation:subject:code=x", ""),
    ],
)
async def test_leniently_all_types_are_searched_by_what_all_know(
    fhir: httpx.AsyncClient, query: str, applied: str
) -> None:
    made = await tagged(fhir, "Patient", 2)
    for code in ("x", "y"):
        seen = {"resourceType": "Observation", "meta": HERE, "status": "final", "code": {"coding": [{"code": code}]}}
        made.append(f"Observation/{(await fhir.post('/Observation', json=seen)).json()['id']}")
    answer = await fhir.get(f"?_type=Patient,Observation&_count=1&{query}", headers=LENIENT)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert sorted(links(bundle)["self"].partition("?")[2].split("&")) == sorted(
        f"{applied}_count=1&_type=Patient%2CObservation".split("&")
    )
    pages = shown(bundle)
    while following := links(bundle).get("next"):
        bundle = (await fhir.get(following)).json()
        pages += shown(bundle)
    assert sorted(pages) == (sorted(made) if "identifier" not in query else [])


async def test_an_order_by_what_is_a_name_here_and_a_date_there(start_server: StartServer) -> None:
    fhir = await start_server(further_types=["GraphDefinition", "Slot"])
    graph = {"resourceType": "GraphDefinition", "name": "G", "status": "draft", "start": "Patient"}
    slot = {
        "resourceType": "Slot",
        "status": "free",
        "schedule": {"display": "s"},
        "start": "2026-01-01T08:00:00Z",
        "end": "2026-01-01T09:00:00Z",
    }
    for one in (graph, slot):
        assert (await fhir.post(f"/{one['resourceType']}", json=one)).status_code == 201
    bundle = (await fhir.get("?_type=GraphDefinition,Slot&_sort=start")).json()
    assert [one.partition("/")[0] for one in shown(bundle)] == ["Slot", "GraphDefinition"]


async def test_an_address_of_one_type_takes_no_other(fhir: httpx.AsyncClient) -> None:
    made = await tagged(fhir, "Patient", 1)
    assert shown((await fhir.get("/Patient?_type=Patient")).json()) == made
    for other in ("Observation", "Patient,Observation", ""):
        refused = await fhir.get(f"/Patient?_type={other}")
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "not-supported")
        left_out = (await fhir.get(f"/Patient?_type={other}", headers=LENIENT)).json()
        assert (shown(left_out), links(left_out)["self"]) == (made, f"{fhir.base_url}Patient")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("_type=Patient,Spaceship", "Spaceship of _type"),
        ("_type=CodeSystem", "CodeSystem of _type"),
        ("_type=", "of _type"),
        ("family=adrun", "Valid ones"),
        ("_type=Patient&_sort=shoe", "_sort takes"),
    ],
)
async def test_what_is_not_offered_is_refused(fhir: httpx.AsyncClient, query: str, told: str) -> None:
    answer = await fhir.get(f"?{query}")
    assert answer.status_code == 400
    assert told in answer.json()["issue"][0]["details"]["text"]


async def test_one_type_takes_its_own_parameters(fhir: httpx.AsyncClient) -> None:
    made = await tagged(fhir, "Patient", 1)
    assert shown((await fhir.get("?_type=Patient&family=adrun")).json()) == made


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("_count=2", None),
        ("_count=2&_total=none", None),
        ("_count=2&_total=estimate", 3),
        ("_count=2&_total=accurate", 3),
        ("_count=3", 3),
        ("_summary=count", 3),
        ("_count=0", 3),
    ],
)
async def test_a_total_is_told_where_it_is_known_or_asked_for(
    fhir: httpx.AsyncClient, query: str, total: int | None
) -> None:
    await tagged(fhir, "Patient", 3)
    bundle = (await fhir.get(f"/Patient?{query}")).json()
    assert bundle.get("total") == total
    if following := links(bundle).get("next"):
        assert (await fhir.get(following)).json().get("total") == total


async def test_a_cursor_lives_for_a_day(fhir: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await tagged(fhir, "Patient", 2)
    following = links((await fhir.get("/Patient?_count=1")).json())["next"]
    now = time.time()
    monkeypatch.setattr(paging.time, "time", lambda: now + paging.LIFETIME - 60)
    assert (await fhir.get(following)).status_code == 200
    monkeypatch.setattr(paging.time, "time", lambda: now + paging.LIFETIME + 60)
    expired = await fhir.get(following)
    assert (expired.status_code, expired.json()["issue"][0]["code"]) == (410, "expired")


async def test_a_cursor_tells_nothing(fhir: httpx.AsyncClient) -> None:
    await tagged(fhir, "Patient", 2)
    following = links((await fhir.get("/Patient?family=adrun&_sort=family&_count=1")).json())["next"]
    ((name, cursor),) = parse_qsl(urlsplit(following).query)
    assert name == "_cursor"
    assert "adrun" not in cursor.lower()
