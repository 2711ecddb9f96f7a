"""Searching along references: chained parameters and _include. https://hl7.org/fhir/R4/search.html#chaining"""

from typing import Any

import httpx
import pytest
from keyrings import encrypted
from people import ADRUN, NIR, patient
from qualifying import qualified
from servers import StartServer

from fhir_ins.settings import Settings

Json = dict[str, Any]


@pytest.fixture(params=[False, True], ids=["clear", "encrypted"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return encrypted(settings) if request.param else settings


async def made(fhir: httpx.AsyncClient, type_: str, **elements: Any) -> str:
    """The reference to a new resource."""
    sent = patient(**elements) if type_ == "Patient" else {"resourceType": type_, **elements}
    answer = await fhir.post(f"/{type_}", json=sent)
    assert answer.status_code == 201, answer.text
    return f"{type_}/{answer.json()['id']}"


async def weighed(fhir: httpx.AsyncClient, subject: str, **elements: Any) -> str:
    return await made(
        fhir, "Observation", status="final", code={"text": "Poids"}, subject={"reference": subject}, **elements
    )


async def stay(fhir: httpx.AsyncClient, subject: str, **elements: Any) -> str:
    return await made(
        fhir, "Encounter", status="planned", **{"class": {"code": "AMB"}}, subject={"reference": subject}, **elements
    )


async def searched(fhir: httpx.AsyncClient, query: str) -> dict[str, list[str]]:
    """What a search answers, by mode."""
    answer = await fhir.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, list[str]] = {"match": [], "include": []}
    for entry in answer.json().get("entry", []):
        found[entry["search"]["mode"]].append(entry["fullUrl"].rpartition("/fhir/")[2])
    return found


class TestChains:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("subject:Patient.family=adrun", {"hers"}),
            ("subject.family=adrun", {"hers"}),
            ("patient.family=adrun,corse", {"hers", "his"}),
            ("subject:Patient.family=adrun&subject:Patient.gender=male", set()),
            ("patient._id=nobody", set()),
            ("patient.family=nobody&status=final", set()),
            ("encounter.subject:Patient.family=corse", {"his"}),
            ("encounter.service-provider.name=chu", {"his"}),
            ("encounter.service-provider:Organization.partof.name=ght", {"his"}),
            ("subject:Location.name=adrun", set()),
        ],
    )
    async def test_what_a_reference_leads_to_is_searched_for(
        self, fhir: httpx.AsyncClient, query: str, names: set[str]
    ) -> None:
        group = await made(fhir, "Organization", name="GHT")
        hospital = await made(fhir, "Organization", name="CHU", partOf={"reference": group})
        her, him = await made(fhir, "Patient"), await made(fhir, "Patient", name=[{"family": "CORSE"}])
        visit = await stay(fhir, him, serviceProvider={"reference": hospital})
        observations = {
            await weighed(fhir, her): "hers",
            await weighed(fhir, him, encounter={"reference": visit}): "his",
        }
        found = await searched(fhir, f"Observation?{query}")
        assert {observations[reference] for reference in found["match"]} == names

    async def test_the_self_link_keeps_the_chain_and_pages_follow(self, fhir: httpx.AsyncClient) -> None:
        her = await made(fhir, "Patient")
        for _ in range(3):
            await weighed(fhir, her)
        first = (await fhir.get("/Observation?subject:Patient.family=adrun&_count=2")).json()
        links = {link["relation"]: link["url"] for link in first["link"]}
        assert links["self"].endswith("/Observation?subject%3APatient.family=adrun&_count=2")
        rest = (await fhir.get(links["next"])).json()["entry"]
        assert len({entry["fullUrl"] for entry in [*first["entry"], *rest]}) == 3

    @pytest.mark.parametrize(
        "query",
        [
            "subject:Patient.shoe-size=43",
            "subject:Spaceship.name=x",
            "status.name=x",
            "subject.=x",
            "subject:Patient.family:not=x",
            "subject:Patient.birthdate=yesterday",
            "encounter.subject:Patient.general-practitioner:Organization.partof.partof.name=x",
        ],
    )
    async def test_a_chain_that_leads_nowhere_is_refused(self, fhir: httpx.AsyncClient, query: str) -> None:
        refused = await fhir.get(f"/Observation?{query}")
        assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")

    async def test_or_left_out_where_the_client_is_lenient(self, fhir: httpx.AsyncClient) -> None:
        answer = await fhir.get("/Observation?subject.shoe-size=43", headers={"Prefer": "handling=lenient"})
        assert answer.json()["link"][0]["url"].endswith("/Observation")

    async def test_one_that_leads_along_too_many_ways_is_refused(self, fhir: httpx.AsyncClient) -> None:
        refused = await fhir.get("/Provenance?target.item.subject._id=x")
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")
        assert "name the types" in refused.json()["issue"][0]["details"]["text"]
        assert (await fhir.get("/Provenance?target:Observation.subject:Patient._id=x")).status_code == 200

    async def test_all_searches_of_one_request_take_no_longer_than_one_may(self, start_server: StartServer) -> None:
        """Each of these is far quicker than that, and all of them are not: there are sixty round trips."""
        hurried = await start_server(search_timeout=0.005)
        query = "&".join(["target.subject.family=x"] * 3)
        refused = await hurried.get(f"/Provenance?{query}")
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")
        assert "too long" in refused.json()["issue"][0]["details"]["text"]

    async def test_a_link_that_matches_too_many_is_refused(self, fhir: httpx.AsyncClient) -> None:
        many = [
            {
                "resource": {"resourceType": "Basic", "code": {"text": "x"}},
                "request": {"method": "POST", "url": "Basic"},
            }
        ]
        sent = {"resourceType": "Bundle", "type": "batch", "entry": many * 501}
        for _ in range(2):
            assert (await fhir.post("", json=sent)).status_code == 200
        refused = await fhir.get("/List?item:Basic._lastUpdated=ge2000")
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")

    async def test_nobody_is_found_by_a_matricule_that_is_not_shown(
        self, fhir: httpx.AsyncClient, start_server: StartServer
    ) -> None:
        path = await qualified(fhir)
        await weighed(fhir, path[1:])
        chain = f"Observation?subject:Patient.identifier={NIR}|{ADRUN}"
        assert len((await searched(fhir, chain))["match"]) == 1
        read = (await fhir.get(path)).json()
        await fhir.put(path, json=read | {"birthDate": "1975-12-30"})
        assert (await searched(fhir, chain))["match"] == []


class TestIncludes:
    async def test_what_matches_refer_to_comes_along(self, fhir: httpx.AsyncClient) -> None:
        her = await made(fhir, "Patient")
        visit = await stay(fhir, her)
        weights = [await weighed(fhir, her, encounter={"reference": visit}) for _ in range(2)]
        answer = await searched(fhir, "Observation?_include=Observation:subject&_include=Observation:encounter")
        assert answer == {"match": sorted(weights), "include": [her, visit]}
        assert (await searched(fhir, "Observation?_include=Observation:subject:Location"))["include"] == []
        assert (await searched(fhir, "Observation?_include=Observation:subject:Patient&_count=1"))["include"] == [her]
        bundle = (await fhir.get("/Observation?_include=Observation:subject")).json()
        assert bundle["total"] == 2
        assert bundle["link"][0]["url"].endswith("/Observation?_include=Observation%3Asubject")

    async def test_each_comes_once_and_no_match_again(self, fhir: httpx.AsyncClient) -> None:
        mother = await made(fhir, "Patient")
        child = await made(fhir, "Patient", link=[{"other": {"reference": mother}, "type": "seealso"}])
        found = await searched(fhir, "Patient?_include=Patient:link")
        assert found == {"match": sorted([mother, child]), "include": []}
        only = await searched(fhir, f"Patient?_id={child.partition('/')[2]}&_include=Patient:link")
        assert only == {"match": [child], "include": [mother]}

    async def test_what_is_gone_or_elsewhere_does_not(self, start_server: StartServer) -> None:
        fhir = await start_server(delete_referenced=True)
        her = await made(fhir, "Patient")
        await weighed(fhir, her)
        await weighed(fhir, "https://elsewhere.example/fhir/Patient/1")
        await fhir.delete(f"/{her}")
        assert (await searched(fhir, "Observation?_include=Observation:subject"))["include"] == []

    async def test_pages_go_on_with_it(self, fhir: httpx.AsyncClient) -> None:
        her = await made(fhir, "Patient")
        for _ in range(2):
            await weighed(fhir, her)
        first = (await fhir.get("/Observation?_include=Observation:subject&_count=1")).json()
        (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
        second = (await fhir.get(following)).json()
        assert [entry["search"]["mode"] for entry in second["entry"]] == ["match", "include"]

    async def test_what_is_concealed_stays_so(self, fhir: httpx.AsyncClient) -> None:
        path = await qualified(fhir)
        await weighed(fhir, path[1:])
        assert ADRUN in (await fhir.get("/Observation?_include=Observation:subject")).text
        read = (await fhir.get(path)).json()
        await fhir.put(path, json=read | {"birthDate": "1975-12-30"})
        assert ADRUN not in (await fhir.get("/Observation?_include=Observation:subject")).text

    @pytest.mark.parametrize(
        "query",
        [
            "_include=Observation:code",
            "_include=Patient:link",
            "_include=Observation:shoe-size",
            "_include=Observation:subject:Spaceship",
            "_include=",
            "_include:iterate=Spaceship:subject",
            "_revinclude=Observation:subject",
            "_revinclude=Patient:link",
            "_revinclude=Spaceship:subject",
        ],
    )
    async def test_what_is_not_offered_is_refused(self, fhir: httpx.AsyncClient, query: str) -> None:
        refused = await fhir.get(f"/Observation?{query}")
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "not-supported")

    async def test_what_refers_to_matches_comes_along(self, fhir: httpx.AsyncClient) -> None:
        her, him = await made(fhir, "Patient"), await made(fhir, "Patient", name=[{"family": "CORSE"}])
        weights = [await weighed(fhir, her) for _ in range(2)]
        await weighed(fhir, him)
        assert await searched(fhir, "Patient?family=adrun&_revinclude=Observation:subject") == {
            "match": [her],
            "include": sorted(weights),
        }
        assert (await searched(fhir, "Patient?family=adrun&_revinclude=Observation:subject:Group"))["include"] == []
        assert (await searched(fhir, "Patient?family=adrun&_revinclude=*"))["include"] == sorted(weights)
        assert (await searched(fhir, "Patient?family=adrun&_revinclude=Observation:*"))["include"] == sorted(weights)

    async def test_a_star_is_every_reference(self, fhir: httpx.AsyncClient) -> None:
        her = await made(fhir, "Patient")
        visit = await stay(fhir, her)
        await weighed(fhir, her, encounter={"reference": visit})
        assert set((await searched(fhir, "Observation?_include=*"))["include"]) == {her, visit}
        assert set((await searched(fhir, "Observation?_include=Observation:*"))["include"]) == {her, visit}

    async def test_what_came_along_is_looked_at_again(self, fhir: httpx.AsyncClient) -> None:
        group = await made(fhir, "Organization", name="GHT")
        hospital = await made(fhir, "Organization", name="CHU", partOf={"reference": group})
        ward = await made(fhir, "Organization", name="Urgences", partOf={"reference": hospital})
        her = await made(fhir, "Patient", managingOrganization={"reference": ward})
        once = await searched(fhir, "Patient?_include=Patient:organization")
        assert once["include"] == [ward]
        found = await searched(fhir, "Patient?_include=Patient:organization&_include:iterate=Organization:partof")
        assert set(found["include"]) == {ward, hospital, group}
        back = await searched(
            fhir,
            "Organization?name=ght&_revinclude:iterate=Organization:partof&_revinclude:iterate=Patient:organization",
        )
        assert set(back["include"]) == {hospital, ward, her}


class TestReverseChains:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("_has:Observation:patient:status=final", {"her", "him"}),
            ("_has:Observation:subject:encounter.class=AMB", {"him"}),
            ("_has:Observation:patient:status=amended", set()),
            ("_has:Observation:patient:status=final&family=corse", {"him"}),
            ("_has:Encounter:subject:_has:Observation:encounter:status=final", {"him"}),
            ("_has:Encounter:subject:service-provider.partof.name=ght", {"him"}),
            ("link:Patient._has:Observation:patient:status=final", {"child"}),
            ("_has:Patient:link:family=enfant", {"her"}),
        ],
    )
    async def test_what_refers_to_a_match_is_searched_for(
        self, fhir: httpx.AsyncClient, query: str, names: set[str]
    ) -> None:
        group = await made(fhir, "Organization", name="GHT")
        hospital = await made(fhir, "Organization", name="CHU", partOf={"reference": group})
        her, him = await made(fhir, "Patient"), await made(fhir, "Patient", name=[{"family": "CORSE"}])
        mother = [{"other": {"reference": her}, "type": "seealso"}]
        child = await made(fhir, "Patient", name=[{"family": "ENFANT"}], link=mother)
        visit = await stay(fhir, him, serviceProvider={"reference": hospital})
        await weighed(fhir, her)
        await weighed(fhir, him, encounter={"reference": visit})
        patients = {her: "her", him: "him", child: "child"}
        assert {patients[found] for found in (await searched(fhir, f"Patient?{query}"))["match"]} == names

    @pytest.mark.parametrize(
        "query",
        [
            "_has=x",
            "_has:Observation=x",
            "_has:Observation:patient=x",
            "_has:Spaceship:patient:code=x",
            "_has:Observation:shoe:code=x",
            "_has:Observation:code:code=x",
            "_has:Observation:patient:shoe=x",
            "_has:Observation:encounter:code=x",
            "_has:Observation:patient:date=yesterday",
        ],
    )
    async def test_one_that_leads_nowhere_is_refused(self, fhir: httpx.AsyncClient, query: str) -> None:
        refused = await fhir.get(f"/Patient?{query}")
        assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")
