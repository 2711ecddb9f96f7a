"""`:above` and `:below` of references. https://hl7.org/fhir/R4/search.html#reference"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from people import patient
from servers import StartServer

from fhir_ins.api import hierarchies


@dataclass(frozen=True)
class Hospitals:
    """A group, its hospital, a ward of it, and another hospital: their ids; each has one patient, told by the id."""

    units: Mapping[str, str]
    patients: Mapping[str, str]

    def asked(self, query: str) -> str:
        """The query, its units by their ids."""
        return re.sub(r"<(\w+)>", lambda named: self.units[named[1]], query)

    async def searched(self, fhir: httpx.AsyncClient, query: str) -> set[str]:
        """Whose patients are found."""
        answer = await fhir.get(f"/Patient?{self.asked(query)}")
        assert answer.status_code == 200, answer.text
        return {self.patients[entry["resource"]["id"]] for entry in answer.json().get("entry", ())}


@pytest.fixture
async def hospitals(fhir: httpx.AsyncClient) -> Hospitals:
    units: dict[str, str] = {}
    for name, whole in (("ght", None), ("chu", "ght"), ("ward", "chu"), ("other", None)):
        of = {"partOf": {"reference": f"Organization/{units[whole]}"}} if whole else {}
        body = {"resourceType": "Organization", "name": name, **of}
        units[name] = (await fhir.post("/Organization", json=body)).json()["id"]
    told = {name: f"Organization/{id_}" for name, id_ in units.items()}
    told["elsewhere"] = f"https://a.example/fhir/Organization/{units['chu']}"
    patients = {}
    for name, reference in told.items():
        body = patient(managingOrganization={"reference": reference})
        patients[(await fhir.post("/Patient", json=body)).json()["id"]] = name
    return Hospitals(units, patients)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("organization:below=Organization/<ght>", {"ght", "chu", "ward"}),
        ("organization:below=<chu>", {"chu", "ward"}),
        ("organization:below=Organization/<chu>", {"chu", "ward"}),
        ("organization:below=Organization/<ward>,<other>", {"ward", "other"}),
        ("organization:below=nobody", set()),
        ("organization:above=Organization/<ward>", {"ght", "chu", "ward"}),
        ("organization:above=<ght>", {"ght"}),
        ("organization:below=https://a.example/fhir/Organization/<chu>", {"elsewhere"}),
        ("organization:below=<ght>&organization=Organization/<chu>", {"chu"}),
        ("organization:below=BASE/Organization/<chu>", {"chu", "ward"}),
    ],
)
async def test_what_is_part_of_another_is_found_with_it(
    fhir: httpx.AsyncClient, hospitals: Hospitals, query: str, found: set[str]
) -> None:
    assert await hospitals.searched(fhir, query.replace("BASE", str(fhir.base_url).rstrip("/"))) == found


async def test_a_chain_goes_on_along_the_hierarchy(fhir: httpx.AsyncClient, hospitals: Hospitals) -> None:
    his = {unit: id_ for id_, unit in hospitals.patients.items()}["ward"]
    weight = {"resourceType": "Observation", "status": "final", "code": {"text": "Poids"}}
    await fhir.post("/Observation", json={**weight, "subject": {"reference": f"Patient/{his}"}})
    for query in ("patient.organization:below=<ght>", "patient.organization.partof:above=<chu>"):
        assert (await fhir.get(f"/Observation?{hospitals.asked(query)}")).json()["total"] == 1


async def test_a_circle_ends(fhir: httpx.AsyncClient, hospitals: Hospitals) -> None:
    ght, ward = hospitals.units["ght"], hospitals.units["ward"]
    body = {"resourceType": "Organization", "id": ght, "partOf": {"reference": f"Organization/{ward}"}, "name": "ght"}
    assert (await fhir.put(f"/Organization/{ght}", json=body, headers={"If-Match": 'W/"1"'})).status_code == 200
    for query in ("organization:below=Organization/<chu>", "organization:above=Organization/<chu>"):
        assert await hospitals.searched(fhir, query) == {"ght", "chu", "ward"}


@pytest.mark.parametrize("bound", ["MOST_LEVELS", "MOST_MATCHES"])
async def test_a_hierarchy_too_large_is_refused(
    fhir: httpx.AsyncClient, hospitals: Hospitals, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hierarchies, bound, {"MOST_LEVELS": 1, "MOST_MATCHES": 2}[bound])
    refused = await fhir.get(f"/Patient?{hospitals.asked('organization:below=<ght>')}")
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")
    assert await hospitals.searched(fhir, "organization:below=<ward>") == {"ward"}


async def test_a_hierarchy_of_as_many_levels_as_there_may_be(
    fhir: httpx.AsyncClient, hospitals: Hospitals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hierarchies, "MOST_LEVELS", 2)
    assert await hospitals.searched(fhir, "organization:below=<ght>") == {"ght", "chu", "ward"}
    assert await hospitals.searched(fhir, "organization:above=<ward>") == {"ght", "chu", "ward"}


@pytest.mark.parametrize("query", ["Observation?patient:below=a", "Patient?organization:below=", "Task?owner:under=a"])
async def test_what_has_no_hierarchy_is_refused(fhir: httpx.AsyncClient, query: str) -> None:
    assert (await fhir.get(f"/{query}")).status_code == 400


async def test_a_condition_does_not_look_along_it(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.delete("/Patient?organization:below=ght")
    assert answer.status_code == 400, answer.text


async def test_another_tenant_s_hierarchy_is_its_own(hospitals: Hospitals, start_server: StartServer) -> None:
    other = await start_server(tenant=f"another-{uuid4().hex}")
    reference = f"Organization/{hospitals.units['ward']}"
    assert (
        await other.post("/Patient", json=patient(managingOrganization={"reference": reference}))
    ).status_code == 201
    assert await hospitals.searched(other, "organization:below=<ght>") == set()
