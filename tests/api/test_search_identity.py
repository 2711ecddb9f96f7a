"""Search of Patients by what FR Core and the INS say of them. profiles/SearchParameter-*.json"""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from keyrings import encrypted
from people import ADRUN, NIR, claiming, document_checked, out, patient, reliability, traits
from servers import StartServer

from fhir_ins.ins.status import Status
from fhir_ins.settings import Settings

STATUSES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445"
OURS = "https://fhir-ins.example/fhir/CodeSystem/ins-identity-status"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture(params=[False, True], ids=["clear", "encrypted"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return encrypted(settings) if request.param else settings


async def fetched(fhir: httpx.AsyncClient, *asked: Any) -> dict[str, Any]:
    answer = await fhir.post("/Patient/$ins-fetch", json=traits(*asked, acceptTraits=True))
    return (await fhir.get("/" + out(answer.json(), "stored")[0]["valueReference"]["reference"])).json()


async def written(fhir: httpx.AsyncClient, resource: dict[str, Any]) -> dict[str, Any]:
    """An update of the version the resource was read at."""
    etag = f'W/"{resource["meta"]["versionId"]}"'
    answer = await fhir.put(f"/Patient/{resource['id']}", json=resource, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def people(fhir: httpx.AsyncClient) -> httpx.AsyncClient:
    """One of each status, told by the family name; the provisoire one says nothing of its reliability."""
    await fhir.post("/Patient", json=patient(name=[{"use": "official", "family": "Provisoire", "given": ["Zoé"]}]))
    await fetched(fhir, "CORSE", ["ANTHONY"], "male", "1980-03-02")
    made = await fhir.post("/Patient", json=patient(name=[{"use": "official", "family": "Valide", "given": ["A"]}]))
    await written(
        fhir, claiming(document_checked(made.json()), reliability("VALI", "2026-11-20", "CN"), reliability("HOMA"))
    )
    qualified = await fetched(fhir, "ECETINSI", ["PIERRE-ALAIN", "MURIEL"], "male", "2009-07-14")
    await written(fhir, document_checked(qualified))
    return fhir


async def found(fhir: httpx.AsyncClient, name: str, value: str) -> list[str]:
    answer = await fhir.get("/Patient", params={name: value})
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["name"][0]["family"] for entry in answer.json().get("entry", []))


FINDS = [
    ("identity-status", "provisoire", ["Provisoire"]),
    ("identity-status", "recuperee", ["CORSE"]),
    ("identity-status", "validee", ["Valide"]),
    ("identity-status", "qualifiee", ["ECETINSI"]),
    ("identity-status", f"{OURS}|recuperee", ["CORSE"]),
    ("identity-status", f"{OURS}|", ["CORSE", "ECETINSI", "Provisoire", "Valide"]),
    ("identity-status", "recuperee,provisoire", ["CORSE", "Provisoire"]),
    ("identity-status", "PROV", ["CORSE"]),
    ("identity-status", "VALI", ["ECETINSI", "Valide"]),
    ("identity-status", f"{STATUSES}|VALI", ["ECETINSI", "Valide"]),
    ("identity-status", f"{STATUSES}|recuperee", []),
    ("identity-status", f"{OURS}|VALI", []),
    ("identity-status", "HOMA", ["Valide"]),
    ("birth-place-cog", "2B020", ["CORSE"]),
    ("birth-place-cog", f"{COMMUNES}|63220", ["ECETINSI"]),
    ("birth-place-cog", f"{COMMUNES}|", ["CORSE", "ECETINSI"]),
    ("birth-place-cog", "urn:x|63220", []),
    ("birth-list-given-name", "pierre alain muriel flo", ["ECETINSI"]),
    ("birth-list-given-name", "Muriel", []),
    ("birth-list-given-name", "anthony", ["CORSE"]),
    ("ins-call-date", TODAY, ["CORSE", "ECETINSI"]),
    ("ins-call-date", f"lt{TODAY}", []),
    ("ins-call-date", f"le{TODAY}", ["CORSE", "ECETINSI"]),
]


async def test_parameters(people: httpx.AsyncClient) -> None:
    for name, value, expected in FINDS:
        assert await found(people, name, value) == expected, (name, value)


@pytest.mark.parametrize("system", [OURS, "urn:x"])
async def test_a_client_cannot_pass_an_identity_off_as_another_status(fhir: httpx.AsyncClient, system: str) -> None:
    said = reliability("qualifiee")
    said["extension"][0]["valueCoding"] = {"system": system, "code": "qualifiee"}
    assert (await fhir.post("/Patient", json=patient(extension=[said]))).status_code == 201
    for value in ("qualifiee", f"{OURS}|qualifiee", f"{system}|qualifiee"):
        assert await found(fhir, "identity-status", value) == []
    assert await found(fhir, "identity-status", "provisoire") == ["ADRUN"]


async def test_the_status_searched_by_follows_the_identity(fhir: httpx.AsyncClient) -> None:
    async def statuses() -> list[str]:
        return [status for status in Status if await found(fhir, "identity-status", status)]

    read = await fetched(fhir, "ADRUN", ["ZOE"], "female", "1975-12-31")
    assert await statuses() == [Status.RECUPEREE]
    qualified = await written(fhir, document_checked(read))
    assert await statuses() == [Status.QUALIFIEE]
    edited = await written(fhir, {**qualified, "birthDate": "1975-12-30"})
    assert await statuses() == [Status.PROVISOIRE]
    assert await found(fhir, "ins-call-date", TODAY) == []
    await fhir.delete(f"/Patient/{edited['id']}")
    assert await statuses() == []


@pytest.mark.parametrize("name", ["birth-place-cog", "birth-list-given-name", "identity-status"])
async def test_none_of_them_tells_a_matricule(fhir: httpx.AsyncClient, reference: httpx.AsyncClient, name: str) -> None:
    await fetched(fhir, "ADRUN", ["ZOE"], "female", "1975-12-31")
    for client in (fhir, reference):
        for value in (ADRUN, ADRUN[:5], f"r!{name}|code|{ADRUN}"):
            assert await found(client, name, value) == []


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", f"/Patient?identifier={NIR}|{ADRUN}"),
        ("GET", f"/Patient?identifier={ADRUN}"),
        ("GET", f"/Patient?identifier={NIR.replace(':', '%3A')}%7C{ADRUN}"),
        ("GET", f"/Patient?gender=female&identifier=1,{NIR}|"),
        ("GET", f"/Patient?identifier:of-type=urn:x|INS-NIR|{ADRUN}"),
        ("GET", f"/Patient?telecom={ADRUN}@patient.mssante.fr"),
        ("GET", f"/Patient?telecom=mailto%3A{ADRUN}%40patient.mssante.fr"),
        ("HEAD", f"/Observation?subject:Patient.identifier={ADRUN}"),
        ("POST", f"/Patient/_search?identifier={ADRUN}"),
        ("GET", f"?_type=Patient&_has:Patient:link:identifier={ADRUN}"),
        ("PUT", f"/Patient?identifier={ADRUN}"),
        ("DELETE", f"/Patient?identifier={ADRUN}"),
    ],
)
async def test_an_ins_is_kept_out_of_urls_where_the_server_is_set_to(
    start_server: StartServer, method: str, url: str
) -> None:
    fhir = await start_server(ins_search_by_post=True)
    refused = await fhir.request(method, url, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert refused.status_code == 403
    assert method == "HEAD" or "by POST only" in refused.json()["issue"][0]["details"]["text"]
    found = await fhir.post("/Patient/_search", data={"identifier": f"{NIR}|{ADRUN}"})
    assert (found.status_code, found.json()["total"]) == (200, 0)
    assert (await fhir.get("/Patient?identifier=urn:oid:1.2.250.1.999|42&birthdate=1975-12-31")).status_code == 200
    entry = {"request": {"method": "GET", "url": f"Patient?identifier={ADRUN}"}}
    batch = await fhir.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert batch.json()["entry"][0]["response"]["status"].startswith("200")
