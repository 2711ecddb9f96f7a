"""$ins-fetch, through HTTP, SOAP over mTLS and MongoDB."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from people import (
    ADRUN,
    ADRUN_TRAITS,
    INS_PROFILE,
    NIR,
    claiming,
    code,
    document_checked,
    ins_identifier,
    out,
    parts,
    patient,
    reliability,
    stated_status,
    traits,
)
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.security.caller import Right

FETCH = "/Patient/$ins-fetch"
TCHITCHI = ("TCHITCHI", ["OLA", "CATARINA", "BELLA"], "female", "1936-06-21")


async def fetched(fhir: httpx.AsyncClient, parameters: dict[str, Any], path: str = FETCH) -> dict[str, Any]:
    answer = await fhir.post(path, json=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stored_id(fhir: httpx.AsyncClient, parameters: dict[str, Any] = ADRUN_TRAITS) -> str:
    return out(await fetched(fhir, parameters), "stored")[0]["valueReference"]["reference"].removeprefix("Patient/")


async def patients(fhir: httpx.AsyncClient) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in (await fhir.get("/Patient")).json().get("entry", [])]


@pytest.mark.parametrize(
    ("asked", "matricule"),
    [
        (traits("ADRUN", ["ZOE"], "female", "1975-12-31"), ADRUN),
        (traits("DE VINCI", ["LEONARDO"], "male", "2014-02-01", "63220"), "114026322083356"),
        (traits("d’Artagnan de l’Hérault", ["Pierre-Alain"], "male", "2001-06-17"), "101066322075460"),
        (traits("CORSE", ["ANTHONY"], "male", "1980-03-02"), "180032B02040123"),
        (traits("adrun", ["zoé"], "female", "1975-12-31"), ADRUN),
    ],
)
async def test_a_person_is_found_and_stored(fhir: httpx.AsyncClient, asked: dict[str, Any], matricule: str) -> None:
    answer = await fetched(fhir, asked)
    assert code(answer, "result") == "found"
    found = out(answer, "patient")[0]["resource"]
    assert found["meta"]["profile"] == [INS_PROFILE]
    assert found["identifier"] == [
        {
            "use": "official",
            "type": {
                "coding": [{"system": "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203", "code": "INS-NIR"}]
            },
            "system": NIR,
            "value": matricule,
        }
    ]
    assert stated_status(found) == "PROV"
    assert not out(answer, "discrepancy")
    assert [parts(call)["code"] for call in out(answer, "call")] == ["00"]
    assert out(answer, "stored")[0]["valueReference"] == {"reference": f"Patient/{found['id']}"}
    assert [kept["id"] for kept in await patients(fhir)] == [found["id"]]


async def test_homonyms_are_ambiguous_until_the_birth_place_is_given(fhir: httpx.AsyncClient) -> None:
    answer = await fetched(fhir, traits("DE VINCI", ["LEONARDO"], "male", "2014-02-01"))
    assert code(answer, "result") == "ambiguous"
    assert [parts(call)["code"] for call in out(answer, "call")] == ["02"]
    assert not out(answer, "patient")
    assert await patients(fhir) == []


async def test_nobody_is_an_answer(fhir: httpx.AsyncClient) -> None:
    answer = await fetched(fhir, traits("HOUILLES", ["PIERRE", "PAUL", "JACQUES"], "male", "1993-01-27"))
    assert code(answer, "result") == "not-found"
    assert [parts(call)["given"] for call in out(answer, "call")] == [
        "PIERRE",
        "PAUL",
        "JACQUES",
        "PIERRE PAUL JACQUES",
    ]


async def test_other_traits_than_asked_are_stored_only_once_accepted(fhir: httpx.AsyncClient) -> None:
    answer = await fetched(fhir, traits(*TCHITCHI))
    assert code(answer, "result") == "found"
    assert [(parts(call)["given"], parts(call)["code"]) for call in out(answer, "call")] == [
        ("OLA", "01"),
        ("CATARINA", "00"),
    ]
    assert [parts(found) for found in out(answer, "discrepancy")] == [
        {"trait": "given", "local": "OLA CATARINA BELLA", "ins": "CATARINA BELLA"}
    ]
    assert not out(answer, "stored")
    assert await patients(fhir) == []
    accepted = await fetched(fhir, traits(*TCHITCHI, acceptTraits=True))
    assert out(accepted, "stored")
    (kept,) = await patients(fhir)
    assert kept["name"][0]["given"] == ["CATARINA"]
    assert kept["name"][0]["extension"][0]["valueString"] == "CATARINA BELLA"


async def test_the_history_of_numbers_comes_as_old_identifiers(fhir: httpx.AsyncClient) -> None:
    answer = await fetched(fhir, traits("ECETINSI", ["PIERRE-ALAIN"], "male", "2009-07-14"))
    active, old = out(answer, "patient")[0]["resource"]["identifier"][:2]
    assert (active["value"], active["use"]) == ("109076322083489", "official")
    assert (old["value"], old["use"]) == ("209076322083439", "old")
    assert "period" not in old  # INSi gives its dates reversed


async def test_a_nia_is_in_its_own_slice(fhir: httpx.AsyncClient) -> None:
    answer = await fetched(fhir, traits("PROVISOIRE", ["MATRICULE"], "male", "2009-07-01"))
    (found,) = out(answer, "patient")[0]["resource"]["identifier"]
    assert found["system"] == "urn:oid:1.2.250.1.213.1.4.9"
    assert found["type"]["coding"][0]["code"] == "INS-NIA"


async def test_repeating_a_call_stores_nothing_twice(fhir: httpx.AsyncClient) -> None:
    first, second = await stored_id(fhir), await stored_id(fhir)
    assert first == second
    assert (await fhir.get(f"/Patient/{first}")).headers["etag"] == 'W/"1"'


async def test_eight_at_once_make_one_patient(fhir: httpx.AsyncClient) -> None:
    found = await asyncio.gather(*(stored_id(fhir) for _ in range(8)))
    assert len(set(found)) == 1
    assert len(await patients(fhir)) == 1


async def test_without_persist_nothing_is_stored(start_server: StartServer) -> None:
    fhir = await start_server(rights=SANDBOX_RIGHTS - {Right.WRITE})
    answer = await fetched(fhir, traits("ADRUN", ["ZOE"], "female", "1975-12-31", persist=False))
    assert out(answer, "patient")[0]["resource"]["identifier"][0]["value"] == ADRUN
    assert not out(answer, "stored")
    assert "id" not in out(answer, "patient")[0]["resource"]
    assert await patients(fhir) == []


@pytest.mark.parametrize("missing", [Right.FETCH, Right.WRITE, Right.READ])
async def test_the_rights_are_needed_before_any_call(start_server: StartServer, missing: Right) -> None:
    fhir = await start_server(rights=SANDBOX_RIGHTS - {missing})
    answer = await fhir.post(FETCH, json=ADRUN_TRAITS)
    assert answer.status_code == 403
    assert answer.json()["issue"][0]["code"] == "forbidden"
    assert (await fhir.get(str(fhir.base_url).replace("/fhir/", "/health/ready"))).json()["components"]["insi"][
        "status"
    ] == "unknown"


async def test_a_patient_gives_the_traits_and_keeps_the_rest_of_itself(fhir: httpx.AsyncClient) -> None:
    given = patient(
        telecom=[{"system": "phone", "value": "0123456789"}], identifier=[{"system": "urn:ipp", "value": "7"}]
    )
    answer = await fetched(fhir, {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": given}]})
    kept = (await fhir.get("/" + out(answer, "stored")[0]["valueReference"]["reference"])).json()
    assert kept["telecom"] == given["telecom"]
    assert kept["identifier"] == given["identifier"]


async def test_at_instance_level_the_ins_is_attached_to_that_patient(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient(active=True))).json()
    answer = await fetched(fhir, {"resourceType": "Parameters"}, f"/Patient/{created['id']}/$ins-fetch")
    assert out(answer, "stored")[0]["valueReference"] == {"reference": f"Patient/{created['id']}"}
    kept = await fhir.get(f"/Patient/{created['id']}")
    assert kept.headers["etag"] == 'W/"2"'
    assert kept.json()["active"] is True
    assert "identifier" not in kept.json()
    assert stated_status(kept.json()) == "PROV"


async def test_at_instance_level_no_body_is_needed(fhir: httpx.AsyncClient) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    created = (await fhir.post("/Patient", json=patient())).json()
    assert (await fhir.post(f"/Patient/{created['id']}/$ins-fetch")).status_code == 200
    assert (await fhir.post(f"/Patient/{created['id']}/$ins-fetch", content=nothing())).status_code == 200  # chunked


async def test_a_second_patient_of_the_same_person_is_a_conflict_that_names_the_first(fhir: httpx.AsyncClient) -> None:
    first = await stored_id(fhir)
    second = (await fhir.post("/Patient", json=patient())).json()["id"]
    answer = await fhir.post(f"/Patient/{second}/$ins-fetch")
    assert answer.status_code == 409
    assert answer.json()["issue"][0]["code"] == "duplicate"
    assert f"Patient/{first}" in answer.text
    assert ADRUN not in answer.text


async def test_a_deleted_patient_lets_go_of_its_ins(fhir: httpx.AsyncClient) -> None:
    first = await stored_id(fhir)
    await fhir.delete(f"/Patient/{first}")
    assert await stored_id(fhir) != first


async def test_a_document_checked_before_makes_the_identity_qualified(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=document_checked(patient()))).json()
    assert stated_status(created) == "VALI"
    await fetched(fhir, {"resourceType": "Parameters"}, f"/Patient/{created['id']}/$ins-fetch")
    kept = (await fhir.get(f"/Patient/{created['id']}")).json()
    assert kept["identifier"][0]["value"] == ADRUN
    assert kept["meta"]["profile"] == [INS_PROFILE]


async def test_a_document_checked_against_other_traits_does_not_count(fhir: httpx.AsyncClient) -> None:
    start = patient(name=[{"use": "official", "family": "TCHITCHI", "given": TCHITCHI[1]}], birthDate=TCHITCHI[3])
    created = (await fhir.post("/Patient", json=document_checked(start))).json()
    accept = {"resourceType": "Parameters", "parameter": [{"name": "acceptTraits", "valueBoolean": True}]}
    await fetched(fhir, accept, f"/Patient/{created['id']}/$ins-fetch")
    kept = (await fhir.get(f"/Patient/{created['id']}")).json()
    assert stated_status(kept) == "PROV"
    assert "identifier" not in kept


async def test_a_qualified_identity_is_not_asked_again_unless_forced(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=document_checked(patient()))).json()
    path = f"/Patient/{created['id']}/$ins-fetch"
    await fetched(fhir, {"resourceType": "Parameters"}, path)
    assert not out(await fetched(fhir, {"resourceType": "Parameters"}, path), "call")
    force = {"resourceType": "Parameters", "parameter": [{"name": "force", "valueBoolean": True}]}
    assert len(out(await fetched(fhir, force, path), "call")) == 1


@pytest.mark.parametrize("attribute", ["DOUT", "FICT"])
async def test_insi_is_never_asked_about_a_doubtful_or_fictitious_identity(
    fhir: httpx.AsyncClient, attribute: str
) -> None:
    created = (await fhir.post("/Patient", json=claiming(patient(), reliability(attribute)))).json()
    answer = await fhir.post(f"/Patient/{created['id']}/$ins-fetch")
    assert answer.status_code == 422
    assert attribute in answer.text


async def test_a_change_during_the_call_is_a_conflict(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient())).json()
    edit = {**created, "birthDate": "1975-12-30"}
    call = asyncio.create_task(fhir.post(f"/Patient/{created['id']}/$ins-fetch"))
    edits = []
    while not call.done():
        edits.append((await fhir.put(f"/Patient/{created['id']}", json=edit)).status_code)
    answer = await call
    kept = (await fhir.get(f"/Patient/{created['id']}")).json()
    # either the attach came between two edits, and the next edit dropped it, or it met a change and was refused
    assert answer.status_code in (200, 409)
    assert set(edits) <= {200}
    assert stated_status(kept) in (None, "PROV")


@pytest.mark.parametrize(
    ("name", "given", "gender", "date", "place", "expression"),
    [
        ("ADRUN 2", ["ZOE"], "female", "1975-12-31", None, "Parameters.parameter[0].valueString"),
        ("ADRUN", ["ZOE!"], "female", "1975-12-31", None, "Parameters.parameter[1].valueString"),
        ("ADRUN", ["ZOE"], "M", "1975-12-31", None, "Parameters.parameter[2].valueCode"),
        ("ADRUN", ["ZOE"], "female", "1975-12", None, "Parameters.parameter[3].valueDate"),
        ("ADRUN", ["ZOE"], "female", "1975-12-31", "Paris", "Parameters.parameter[4].valueString"),
    ],
)
async def test_bad_traits_are_refused_before_any_call_with_their_place(
    fhir: httpx.AsyncClient, name: str, given: list[str], gender: str, date: str, place: str | None, expression: str
) -> None:
    answer = await fhir.post(FETCH, json=traits(name, given, gender, date, place))
    assert answer.status_code == 422
    assert [found["expression"] for found in answer.json()["issue"]] == [[expression]]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"name": "familly", "valueString": "ADRUN"}, "family"),
        ({"name": "family", "valueCode": "ADRUN"}, "valueString"),
        ({"name": "birthDate", "valueDate": "1975-02-30"}, "day"),
        ({"name": "patient", "resource": {"resourceType": "Patient", "gender": "M"}}, "male"),
    ],
)
async def test_what_breaks_the_operation_or_r4_is_400(
    fhir: httpx.AsyncClient, parameter: dict[str, Any], expected: str
) -> None:
    answer = await fhir.post(FETCH, json={"resourceType": "Parameters", "parameter": [parameter]})
    assert answer.status_code == 400
    assert expected in answer.json()["issue"][0]["details"]["text"]
    assert answer.json()["issue"][0]["expression"][0].startswith("Parameters.parameter[0]")


@pytest.mark.parametrize("type_", ["Practitioner", "Person", "Bundle", "Organization", "Parameters"])
async def test_another_resource_than_a_patient_is_400(fhir: httpx.AsyncClient, type_: str) -> None:
    extra = {"Bundle": {"type": "collection"}, "Organization": {"name": "X"}}.get(type_, {})
    asked = {"name": "patient", "resource": {"resourceType": type_, "id": "x", **extra}}
    answer = await fhir.post(FETCH, json={"resourceType": "Parameters", "parameter": [asked]})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Parameters.parameter[0].resource"]


async def test_a_parameter_without_a_name_is_400(fhir: httpx.AsyncClient) -> None:
    nameless = {"_name": {"extension": [{"url": "urn:x", "valueString": "y"}]}, "valueString": "A"}
    assert (await fhir.post(FETCH, json={"resourceType": "Parameters", "parameter": [nameless]})).status_code == 400


async def test_the_calls_of_one_request_are_bounded(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post(FETCH, json=traits("ADRUN", ["ZOE"] * 11, "female", "1975-12-31"))
    assert answer.status_code == 422
    assert "10 given names" in answer.text


@pytest.mark.parametrize(
    "parameters",
    [
        [{"name": "patient", "resource": patient()}, {"name": "family", "valueString": "ADRUN"}],
        [{"name": "birthDate", "valueDate": "1975-12-31"}, {"name": "birthDateIns", "valueString": "1975-12-00"}],
        [{"name": "family", "valueString": "A"}, {"name": "family", "valueString": "B"}],
    ],
)
async def test_what_is_given_twice_is_400(fhir: httpx.AsyncClient, parameters: list[dict[str, Any]]) -> None:
    answer = await fhir.post(FETCH, json={"resourceType": "Parameters", "parameter": parameters})
    assert answer.status_code == 400


async def test_traits_at_instance_level_are_400(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient())).json()
    assert (await fhir.post(f"/Patient/{created['id']}/$ins-fetch", json=ADRUN_TRAITS)).status_code == 400


async def test_a_fault_of_insi_is_503_with_its_codes_and_its_words(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post(FETCH, json=traits("VANDERMONDE", ["ARIANA"], "female", "1995-06-17"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    (issue,) = answer.json()["issue"]
    assert issue["code"] == "transient"
    assert {found["code"] for found in issue["details"]["coding"]} == {"siram_40", "insi_102"}
    assert "uuid:" in issue["details"]["text"]


async def test_an_unknown_idam_is_our_configuration(start_server: StartServer) -> None:
    fhir = await start_server(insi_idam="UNKNOWN")
    answer = await fhir.post(FETCH, json=ADRUN_TRAITS)
    assert answer.status_code == 502
    assert "retry-after" not in answer.headers
    assert "erver configuration" in answer.text
    assert "desir_550" in answer.text


async def test_an_unreachable_insi_is_503_and_the_rest_goes_on(start_server: StartServer) -> None:
    fhir = await start_server(insi_endpoint="https://localhost:9/lps")
    answer = await fhir.post(FETCH, json=ADRUN_TRAITS)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert (await fhir.post("/Patient", json=patient())).status_code == 201


async def test_without_a_configured_teleservice_it_is_502(start_server: StartServer) -> None:
    fhir = await start_server(insi_endpoint=None)
    answer = await fhir.post(FETCH, json=ADRUN_TRAITS)
    assert answer.status_code == 502
    assert "FHIR_INS_INSI_ENDPOINT" in answer.text


async def test_a_supplied_number_that_insi_confirms_is_not_told_before(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient(identifier=[ins_identifier()]))).json()
    assert "identifier" not in created
    await fetched(fhir, {"resourceType": "Parameters"}, f"/Patient/{created['id']}/$ins-fetch")
    assert "identifier" not in (await fhir.get(f"/Patient/{created['id']}")).json()
