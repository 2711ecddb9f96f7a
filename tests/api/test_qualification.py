"""Nobody becomes qualified but by both facts on the very traits shown: the ways around, each tried over HTTP."""

from typing import Any

import httpx
import pytest
from people import (
    ADRUN,
    ADRUN_TRAITS,
    INS_PROFILE,
    PATIENT_PROFILE,
    RELIABILITY,
    STATUSES,
    claiming,
    document_checked,
    ins_identifier,
    out,
    patient,
    reliability,
    stated_status,
    traits,
)

BIRTH_LIST = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name"
LUNAR = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-lunar-date"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
INSEE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"


def named(given: list[str], listed: str) -> list[dict[str, Any]]:
    extension = [{"url": BIRTH_LIST, "valueString": listed}]
    return [{"use": "official", "family": "ADRUN", "given": given, "extension": extension}]


async def put(fhir: httpx.AsyncClient, resource: dict[str, Any]) -> httpx.Response:
    headers = {"If-Match": f'W/"{resource["meta"]["versionId"]}"'}
    return await fhir.put(f"/Patient/{resource['id']}", json=resource, headers=headers)


def unclaimed(resource: dict[str, Any]) -> dict[str, Any]:
    """As a client writes that claims no profile."""
    return {**resource, "meta": {"versionId": resource["meta"]["versionId"]}}


async def qualified(fhir: httpx.AsyncClient) -> dict[str, Any]:
    created = (await fhir.post("/Patient", json=document_checked(patient()))).json()
    await fhir.post(f"/Patient/{created['id']}/$ins-fetch")
    return (await fhir.get(f"/Patient/{created['id']}")).json()


@pytest.mark.parametrize(
    ("elements", "place"),
    [
        ({"name": named(["MARTINE"], "ZOE")}, "Patient.name[0].given"),
        ({"name": named(["ZO"], "ZOE")}, "Patient.name[0].given"),
        (
            {"birthDate": "1980-01-01", "extension": [{"url": LUNAR, "valueString": "1975-12-31"}]},
            "Patient.birthDate",
        ),
        ({"birthDate": "1936-01", "extension": [{"url": LUNAR, "valueString": "1936-00-00"}]}, "Patient.birthDate"),
    ],
)
async def test_a_trait_said_twice_differently_is_refused(
    fhir: httpx.AsyncClient, elements: dict[str, Any], place: str
) -> None:
    answer = await fhir.post("/Patient", json=patient(**elements))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [place]
    asked = {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": patient(**elements)}]}
    fetched = await fhir.post("/Patient/$ins-fetch", json=asked)
    assert fetched.status_code == 422
    at = place.replace("Patient", "Parameters.parameter[0].resource")
    assert fetched.json()["issue"][0]["expression"] == [at]


@pytest.mark.parametrize("missing", ["name", "gender", "birthDate"])
async def test_a_document_is_not_checked_against_missing_traits(fhir: httpx.AsyncClient, missing: str) -> None:
    resource = {name: value for name, value in document_checked(patient()).items() if name != missing}
    assert (await fhir.post("/Patient", json=resource)).status_code == 422


async def test_a_check_sent_again_after_an_edit_is_not_a_new_one(fhir: httpx.AsyncClient) -> None:
    before = await qualified(fhir)
    edited = await put(fhir, {**before, "birthDate": "1975-12-30"})
    assert stated_status(edited.json()) == "PROV"
    again = {**document_checked(edited.json()), "birthDate": "1975-12-30"}
    refused = await put(fhir, again)
    assert refused.status_code == 422
    assert "PROV first" in refused.text
    stored = await put(fhir, edited.json())  # says PROV
    anew = await put(fhir, document_checked(stored.json()))
    assert stated_status(anew.json()) == "VALI"
    assert ADRUN not in anew.text


async def test_a_check_on_a_patient_brought_back_needs_if_match_too(fhir: httpx.AsyncClient) -> None:
    before = await qualified(fhir)
    await fhir.delete(f"/Patient/{before['id']}")
    back = claiming(patient(id=before["id"]), reliability("VALI", "2026-11-21", "PA"))
    assert (await fhir.put(f"/Patient/{before['id']}", json=back)).status_code == 412


@pytest.mark.parametrize(
    "system",
    [
        "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-v2-0445",
        "urn:oid:2.16.840.1.113883.12.445",
    ],
)
@pytest.mark.parametrize("code", ["VALI", "QUAL"])
async def test_a_status_of_another_code_system_is_refused_not_guessed(
    fhir: httpx.AsyncClient, system: str, code: str
) -> None:
    statement = reliability(code, "2026-11-20", "CN")
    statement["extension"][0]["valueCoding"]["system"] = system
    answer = await fhir.post("/Patient", json=patient(extension=[statement]))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Patient.extension[0]"]


@pytest.mark.parametrize(
    ("system", "code", "status"),
    [
        ("fr-core-cs-fiabilite-identite", "VALI", "VALI"),
        ("fr-core-cs-identity-status", "PROV", "PROV"),
        ("fr-core-cs-identity-status", "RECUP", "PROV"),
        ("fr-core-cs-identity-status", "VALI", "VALI"),
        ("fr-core-cs-identity-status", "QUAL", "VALI"),
    ],
)
async def test_a_status_of_fr_core_not_yet_published_is_read_and_answered_as_published(
    fhir: httpx.AsyncClient, system: str, code: str, status: str
) -> None:
    statement = reliability(code, "2026-11-20", "CN")
    statement["extension"][0]["valueCoding"]["system"] = f"https://hl7.fr/ig/fhir/core/CodeSystem/{system}"
    created = (await fhir.post("/Patient", json=patient(extension=[statement]))).json()
    assert stated_status(created) == status
    (stated,) = [found for found in created["extension"] if found["url"] == RELIABILITY]
    assert {part["valueCoding"]["system"] for part in stated["extension"] if part["url"] == "identityStatus"} == {
        STATUSES
    }


async def test_two_statuses_in_one_repetition_are_refused(fhir: httpx.AsyncClient) -> None:
    both = reliability("HOMD")
    both["extension"] += reliability("VALI")["extension"]
    assert (await fhir.post("/Patient", json=patient(extension=[both]))).status_code == 422


async def test_what_insi_gave_with_a_wrong_key_comes_back_without_complaint(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post("/Patient/$ins-fetch", json=traits("HERMANN", ["GATIEN"], "male", "1981-03-24"))
    id_ = out(answer.json(), "patient")[0]["resource"]["id"]
    read = (await fhir.get(f"/Patient/{id_}")).json()
    shown = await put(fhir, document_checked(read))
    assert [number["value"] for number in shown.json()["identifier"]] == ["181036322045676", "281036322045610"]
    assert (await put(fhir, {**shown.json(), "active": True})).status_code == 200


@pytest.mark.parametrize(
    "place",
    [
        [{"url": BIRTH_PLACE, "valueAddress": {"district": "63220"}}],
        [
            {
                "url": BIRTH_PLACE,
                "valueAddress": {"city": "PARIS", "extension": [{"url": INSEE, "valueCoding": {"code": "63220"}}]},
            }
        ],
    ],
)
async def test_a_birth_place_written_otherwise_is_insi_s_again(
    fhir: httpx.AsyncClient, place: list[dict[str, Any]]
) -> None:
    before = await qualified(fhir)
    others = [found for found in before["extension"] if found["url"] != BIRTH_PLACE]
    answer = await put(fhir, unclaimed({**before, "extension": [*others, *place]}))
    kept = [found for found in answer.json()["extension"] if found["url"] == BIRTH_PLACE]
    assert kept == [found for found in before["extension"] if found["url"] == BIRTH_PLACE]


MISSPELT = "https://mos.esante.gouv.fr/NOS/TRE_R13-Commune/FHIR/TRE-R13-Commune"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
COUNTRIES = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"


@pytest.mark.parametrize(
    ("coding", "stored"),
    [
        ({"code": "63220"}, COMMUNES),
        ({"code": "99255"}, COUNTRIES),
        ({"system": MISSPELT, "code": "2A020"}, COMMUNES),
        ({"system": COMMUNES, "code": "63220"}, COMMUNES),
        ({"system": COUNTRIES, "code": "99255"}, COUNTRIES),
        ({"system": "urn:x", "code": "63220"}, None),
        ({"system": MISSPELT, "code": "Lyon"}, None),
    ],
)
async def test_the_system_of_a_birth_place_is_known_when_left_out_or_misspelt_and_not_guessed_else(
    fhir: httpx.AsyncClient, coding: dict[str, str], stored: str | None
) -> None:
    place = {"url": BIRTH_PLACE, "valueAddress": {"extension": [{"url": INSEE, "valueCoding": coding}], "city": "X"}}
    answer = await fhir.post("/Patient", json=patient(extension=[place]))
    assert answer.status_code == (201 if stored else 422), answer.text
    if stored:
        address = answer.json()["extension"][0]["valueAddress"]
        assert address == {
            "extension": [{"url": INSEE, "valueCoding": {"system": stored, "code": coding["code"]}}],
            "city": "X",
        }


async def test_a_past_version_of_another_identity_stays_concealed(fhir: httpx.AsyncClient) -> None:
    """ZOE's record rewritten into ANTHONY's: being qualified again does not show ZOE's matricule in the past."""
    before = await qualified(fhir)
    anthony = {
        "name": [{"use": "official", "family": "CORSE", "given": ["ANTHONY"]}],
        "gender": "male",
        "birthDate": "1980-03-02",
        "extension": [],
    }
    body = {key: value for key, value in unclaimed({**before, **anthony}).items() if value and key != "identifier"}
    await put(fhir, claiming(body, reliability("PROV")))
    await fhir.post(f"/Patient/{before['id']}/$ins-fetch")
    read = (await fhir.get(f"/Patient/{before['id']}")).json()
    shown = await put(fhir, document_checked(read))
    assert shown.json()["identifier"][0]["value"] == "180032B02040123"
    for version in range(1, int(shown.json()["meta"]["versionId"])):
        assert ADRUN not in (await fhir.get(f"/Patient/{before['id']}/_history/{version}")).text


async def test_a_concealed_number_decides_no_error(fhir: httpx.AsyncClient) -> None:
    """With VALI, a guessed number and a citizen address: right or wrong, the answer is the same."""
    created = out((await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json(), "patient")[0]["resource"]
    read = (await fhir.get(f"/Patient/{created['id']}")).json()
    answers = []
    for guess in (ADRUN, "180032B02040123"):
        address = [{"system": "email", "value": f"{guess}@patient.mssante.fr"}]
        sent = document_checked({**read, "identifier": [ins_identifier(guess)], "telecom": address})
        answer = await put(fhir, sent)
        answers.append((answer.status_code, answer.text))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422


@pytest.mark.parametrize("system", ["URN:OID:1.2.250.1.213.1.4.8", "urn:OID:1.2.250.1.213.1.4.8"])
async def test_the_authority_is_known_in_any_case(fhir: httpx.AsyncClient, system: str) -> None:
    created = await fhir.post("/Patient", json=patient(identifier=[ins_identifier(system=system)]))
    assert created.status_code == 201
    assert ADRUN not in created.text


@pytest.mark.parametrize(
    "text", [f"{ADRUN[:13]} / {ADRUN[13:]}", "2751263220749  74", "2751263220749 clé 74", "275.126.322.074.974"]
)
async def test_separators_hide_nothing(fhir: httpx.AsyncClient, text: str) -> None:
    assert (await fhir.post("/Patient", json=patient(address=[{"text": text}]))).status_code == 422


async def test_a_social_security_number_is_kept_but_carries_nothing_else(fhir: httpx.AsyncClient) -> None:
    nss_type = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NH"}]}
    nss = {"use": "official", "type": nss_type, "system": "urn:oid:1.2.250.1.213.1.4.13", "value": ADRUN}
    created = await fhir.post("/Patient", json=patient(identifier=[nss]))
    assert created.json()["identifier"] == [nss]
    hiding = {**nss, "assigner": {"identifier": ins_identifier()}}
    assert (await fhir.post("/Patient", json=patient(identifier=[hiding]))).status_code == 422


async def test_profiles_of_a_patient_created_by_a_client_are_not_raised(fhir: httpx.AsyncClient) -> None:
    shown = await qualified(fhir)
    await fhir.delete(f"/Patient/{shown['id']}")
    claimed = {key: value for key, value in shown.items() if key != "id"}
    assert claimed["meta"]["profile"] == [INS_PROFILE]
    assert (await fhir.post("/Patient", json=document_checked(claimed))).json()["meta"]["profile"] == [PATIENT_PROFILE]


async def test_a_check_that_ended_does_not_come_back_through_a_deletion_or_another_check(
    fhir: httpx.AsyncClient,
) -> None:
    first = (await fhir.post("/Patient", json=document_checked(patient(birthDate="1975-12-30")))).json()
    edited = (await put(fhir, {**first, "birthDate": "1975-12-31"})).json()
    other = claiming(edited, reliability("VALI", "2026-11-21", "PA"))
    assert stated_status((await put(fhir, other)).json()) == "VALI"
    gone = await fhir.delete(f"/Patient/{first['id']}")
    for status in (reliability("VALI", "2026-11-20", "CN"), reliability("VALI", "2026-11-21", "PA")):
        back = claiming(patient(id=first["id"]), status)
        answer = await fhir.put(f"/Patient/{first['id']}", json=back, headers={"If-Match": gone.headers["etag"]})
        assert answer.status_code == 422


async def test_a_guess_is_not_told_by_what_comes_after(fhir: httpx.AsyncClient) -> None:
    """A guessed number, then an edit that withdraws INSi's, then a verification: right or wrong, the same."""
    answers = []
    for guess in (ADRUN, "180032B02040123"):
        answer = await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)
        read = (await fhir.get("/" + out(answer.json(), "stored")[0]["valueReference"]["reference"])).json()
        await put(fhir, {**read, "identifier": [ins_identifier(guess)]})
        current = (await fhir.get(f"/Patient/{read['id']}")).json()
        await put(fhir, {**current, "birthDate": "1975-12-30"})
        verified = await fhir.post(f"/Patient/{read['id']}/$ins-verify")
        answers.append(
            (verified.status_code, [found for found in verified.json()["parameter"] if found["name"] != "call"])
        )
        await fhir.delete(f"/Patient/{read['id']}")
    assert answers[0] == answers[1]


async def test_the_number_given_last_is_the_one_verified(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient(identifier=[ins_identifier("180032B02040123")]))).json()
    await put(fhir, {**created, "identifier": [ins_identifier()]})
    answer = await fhir.post(f"/Patient/{created['id']}/$ins-verify")
    assert out(answer.json(), "result")[0]["valueBoolean"] is True


@pytest.mark.parametrize(
    "extension",
    [
        {"url": "validationDate", "valueDate": "2026-11-21"},
        {"url": "validationMode", "valueCoding": {"code": "PA"}},
    ],
)
async def test_a_part_of_the_check_said_twice_is_refused(fhir: httpx.AsyncClient, extension: dict[str, Any]) -> None:
    twice = reliability("VALI", "2026-11-20", "CN")
    twice["extension"].append(extension)
    assert (await fhir.post("/Patient", json=patient(extension=[twice]))).status_code == 422


async def test_a_means_of_another_code_system_is_refused(fhir: httpx.AsyncClient) -> None:
    foreign = reliability("VALI", "2026-11-20", "CN")
    foreign["extension"][2]["valueCoding"]["system"] = "urn:animals"
    assert (await fhir.post("/Patient", json=patient(extension=[foreign]))).status_code == 422


async def test_a_check_before_the_birth_is_refused(fhir: httpx.AsyncClient) -> None:
    early = patient(extension=[reliability("VALI", "1975-12-30", "CN")])
    assert (await fhir.post("/Patient", json=early)).status_code == 422


async def test_two_official_names_are_refused_unless_one_has_ended(fhir: httpx.AsyncClient) -> None:
    names = [{"use": "official", "family": "ADRUN", "given": ["ZOE"]}, {"use": "official", "family": "B"}]
    assert (await fhir.post("/Patient", json=patient(name=names))).status_code == 422
    names[1]["period"] = {"end": "2001-01-01"}
    assert (await fhir.post("/Patient", json=patient(name=names))).status_code == 201
