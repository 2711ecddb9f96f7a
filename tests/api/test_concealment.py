"""The safety heart over HTTP: who sees a matricule, when, and by which path."""

from typing import Any

import httpx
import pytest
from keyrings import encrypted
from people import (
    ADRUN,
    ADRUN_TRAITS,
    INS_PROFILE,
    NIR,
    PATIENT_PROFILE,
    claiming,
    document_checked,
    ins_identifier,
    out,
    patient,
    reliability,
    stated_status,
)

from fhir_ins.settings import Settings

BY_MATRICULE = [f"{NIR}|{ADRUN}", ADRUN, f"{NIR}|"]
STRICT_EDITS: list[dict[str, Any]] = [
    {"name": [{"use": "official", "family": "ADRUNE", "given": ["ZOE"]}]},
    {"name": [{"use": "official", "family": "ADRUN", "given": ["CHLOE"]}]},
    {"gender": "male"},
    {"birthDate": "1975-12-30"},
    {"extension": []},  # the birth place goes
]


@pytest.fixture(params=[False, True], ids=["clear", "encrypted"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return encrypted(settings) if request.param else settings


async def obtained(fhir: httpx.AsyncClient) -> httpx.Response:
    """A Patient whose identity is récupérée, as read."""
    answer = await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    return await fhir.get("/" + out(answer.json(), "stored")[0]["valueReference"]["reference"])


async def qualified(fhir: httpx.AsyncClient) -> httpx.Response:
    """A Patient whose identity is qualified, as an update with the document check answers it."""
    read = await obtained(fhir)
    answer = await fhir.put(
        f"/Patient/{read.json()['id']}", json=document_checked(read.json()), headers={"If-Match": read.headers["etag"]}
    )
    assert answer.status_code == 200, answer.text
    return answer


async def searches(fhir: httpx.AsyncClient) -> list[int]:
    return [(await fhir.get("/Patient", params={"identifier": value})).json()["total"] for value in BY_MATRICULE]


async def test_a_recuperee_identity_shows_nothing_and_is_not_found_by_its_matricule(fhir: httpx.AsyncClient) -> None:
    read = await obtained(fhir)
    assert ADRUN not in read.text
    assert read.json()["meta"]["profile"] == [PATIENT_PROFILE]
    assert stated_status(read.json()) == "PROV"
    assert ADRUN not in (await fhir.get(f"/Patient/{read.json()['id']}/_history/1")).text
    assert ADRUN not in (await fhir.get("/Patient?family=adrun")).text
    assert await searches(fhir) == [0, 0, 0]


async def test_the_document_check_makes_it_qualified_shown_and_found(fhir: httpx.AsyncClient) -> None:
    answer = await qualified(fhir)
    read = await fhir.get(f"/Patient/{answer.json()['id']}")
    assert read.content == answer.content
    assert read.json()["meta"]["profile"] == [INS_PROFILE]
    assert read.json()["identifier"][0]["value"] == ADRUN
    assert stated_status(read.json()) == "VALI"
    assert await searches(fhir) == [1, 1, 1]


async def test_the_version_before_stays_without(fhir: httpx.AsyncClient) -> None:
    id_ = (await qualified(fhir)).json()["id"]
    assert ADRUN not in (await fhir.get(f"/Patient/{id_}/_history/1")).text


@pytest.mark.parametrize("edit", STRICT_EDITS)
async def test_editing_a_strict_trait_withdraws_the_matricule_everywhere(
    fhir: httpx.AsyncClient, edit: dict[str, Any]
) -> None:
    before = (await qualified(fhir)).json()
    changed = {**before, **edit}
    unclaimed = {key: value for key, value in changed.items() if value and key != "meta"}
    answer = await fhir.put(f"/Patient/{before['id']}", json=unclaimed)
    assert answer.status_code == 200
    assert ADRUN not in answer.text
    for version in (1, 2, 3):
        assert ADRUN not in (await fhir.get(f"/Patient/{before['id']}/_history/{version}")).text
    assert await searches(fhir) == [0, 0, 0]


@pytest.mark.parametrize("attribute", ["DOUT", "FICT"])
async def test_doubtful_or_fictitious_withdraws_it_too(fhir: httpx.AsyncClient, attribute: str) -> None:
    before = (await qualified(fhir)).json()
    marked = claiming(before, reliability("VALI", "2026-11-20", "CN"), reliability(attribute))
    answer = await fhir.put(f"/Patient/{before['id']}", json=marked)
    assert answer.status_code == 200
    assert ADRUN not in answer.text
    assert stated_status(answer.json()) == "PROV"
    assert await searches(fhir) == [0, 0, 0]


async def test_an_address_changes_and_the_qualification_stays(fhir: httpx.AsyncClient) -> None:
    before = (await qualified(fhir)).json()
    answer = await fhir.put(f"/Patient/{before['id']}", json={**before, "address": [{"city": "Lyon"}]})
    assert answer.json()["identifier"] == before["identifier"]
    assert stated_status(answer.json()) == "VALI"


async def test_who_sees_the_concealed_form_does_not_erase_what_is_concealed(fhir: httpx.AsyncClient) -> None:
    read = (await obtained(fhir)).json()
    await fhir.put(f"/Patient/{read['id']}", json={**read, "active": True})
    answer = await fhir.get(f"/Patient/{read['id']}")
    kept = await fhir.put(
        f"/Patient/{read['id']}", json=document_checked(answer.json()), headers={"If-Match": answer.headers["etag"]}
    )
    assert kept.json()["identifier"][0]["value"] == ADRUN


async def test_an_ehr_that_knows_no_french_extension_does_not_disqualify(fhir: httpx.AsyncClient) -> None:
    before = (await qualified(fhir)).json()
    extensions = [found for found in before["extension"] if not found["url"].endswith("identity-reliability")]
    answer = await fhir.put(f"/Patient/{before['id']}", json={**before, "extension": extensions})
    assert answer.json()["identifier"] == before["identifier"]


async def test_a_supplied_matricule_shows_to_nobody_but_a_reference(
    fhir: httpx.AsyncClient, reference: httpx.AsyncClient
) -> None:
    created = await fhir.post("/Patient", json=document_checked(patient(identifier=[ins_identifier()])))
    path = f"/Patient/{created.json()['id']}"
    assert ADRUN not in created.text + (await fhir.get(path)).text
    assert "location" in created.headers
    assert await searches(fhir) == [0, 0, 0]
    assert ADRUN in (await reference.get(path)).text
    assert await searches(reference) == [1, 1, 1]


async def test_a_reference_sees_and_finds_a_recuperee_identity(
    fhir: httpx.AsyncClient, reference: httpx.AsyncClient
) -> None:
    read = (await obtained(fhir)).json()
    seen = (await reference.get(f"/Patient/{read['id']}")).json()
    assert seen["identifier"][0]["value"] == ADRUN
    assert seen["meta"]["profile"] == [INS_PROFILE]
    assert stated_status(seen) == "PROV"
    assert await searches(reference) == [1, 1, 1]
    assert ADRUN in (await reference.get(f"/Patient/{read['id']}/_history/1")).text


async def test_a_supplied_number_answers_the_same_whether_it_is_the_concealed_one_or_not(
    fhir: httpx.AsyncClient,
) -> None:
    read = (await obtained(fhir)).json()
    answers = []
    for guess in (ADRUN, "180032B02040123"):
        sent = {**read, "identifier": [ins_identifier(guess)]}
        answer = await fhir.put(f"/Patient/{read['id']}", json=sent)
        body = answer.json()
        body["meta"].pop("versionId"), body["meta"].pop("lastUpdated")
        answers.append((answer.status_code, body))
    assert answers[0] == answers[1]


async def test_a_deleted_patient_shows_nothing_in_its_past(fhir: httpx.AsyncClient) -> None:
    id_ = (await qualified(fhir)).json()["id"]
    await fhir.delete(f"/Patient/{id_}")
    assert ADRUN not in (await fhir.get(f"/Patient/{id_}/_history/2")).text
    assert await searches(fhir) == [0, 0, 0]
    await fhir.put(f"/Patient/{id_}", json=patient(id=id_))
    assert ADRUN not in (await fhir.get(f"/Patient/{id_}")).text


async def test_a_narrative_that_spells_a_matricule_is_not_stored(fhir: httpx.AsyncClient) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>INS <b>{ADRUN[:13]}</b> {ADRUN[13:]}</p></div>'
    answer = await fhir.post("/Patient", json=patient(text={"status": "generated", "div": div}))
    assert answer.status_code == 201
    assert "text" not in answer.json()


async def test_how_many_keys_a_concealed_number_has_decides_no_answer(fhir: httpx.AsyncClient) -> None:
    """At the limit of keys, a right and a wrong guess of what is concealed are answered alike."""
    fetched = out((await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json(), "stored")[0]
    path = "/" + fetched["valueReference"]["reference"]
    read = (await fhir.get(path)).json()
    answers = set()
    for count in range(2440, 2496, 2):
        own = [{"system": "urn:a", "value": str(index)} for index in range(count)]
        for guess in (ADRUN, "260058815400233"):
            body = {**read, "identifier": [*own, ins_identifier(guess)]}
            answers.add((count, (await fhir.put(path, json=body)).status_code))
    assert len(answers) == 28
    assert {status for _, status in answers} == {200, 422}


@pytest.mark.parametrize("obstacle", ["ANOM", "CACH"])
async def test_a_hidden_record_is_not_opened_nor_named_by_its_person_s_traits(
    fhir: httpx.AsyncClient, obstacle: str
) -> None:
    shown = (await qualified(fhir)).json()
    hidden = claiming(shown, reliability("VALI", "2026-11-20", "CN"), reliability(obstacle))
    etag = {"If-Match": f'W/"{shown["meta"]["versionId"]}"'}
    assert (await fhir.put(f"/Patient/{shown['id']}", json=hidden, headers=etag)).status_code == 200
    answer = await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
    assert shown["id"] not in answer.text
    assert out(answer.json(), "stored") == []
    other = (await fhir.post("/Patient", json=patient())).json()
    for operation in ("$ins-fetch", "$ins-verify"):
        refused = await fhir.post(f"/Patient/{other['id']}/{operation}")
        assert refused.status_code in (409, 422)
        assert shown["id"] not in refused.text


@pytest.mark.parametrize("mark", ["ANOM", "CACH", "DOUT", "FICT"])
async def test_what_was_read_before_a_mark_does_not_take_it_away(fhir: httpx.AsyncClient, mark: str) -> None:
    before = (await qualified(fhir)).json()
    path = f"/Patient/{before['id']}"
    marked = claiming(before, reliability("VALI", "2026-11-20", "CN"), reliability(mark))
    assert (await fhir.put(path, json=marked)).status_code == 200
    stale = await fhir.put(path, json=before)
    assert stale.status_code == 412
    assert mark in stale.text
    assert ADRUN not in (await fhir.get(path)).text
