"""$ins-verify by search and comparison."""

from typing import Any

import httpx
import pytest
from people import (
    ADRUN,
    claiming,
    code,
    document_checked,
    ins_identifier,
    out,
    parts,
    patient,
    reliability,
    stated_status,
)
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.api.ins_verify import Subject, _compared
from fhir_ins.api.insi_search import Asked
from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import Found
from fhir_ins.security.caller import Right

VERIFY = "/Patient/$ins-verify"
NOTHING = {"resourceType": "Parameters"}


def asking(resource: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": resource}]}


async def verified(fhir: httpx.AsyncClient, parameters: dict[str, Any], path: str = VERIFY) -> dict[str, Any]:
    answer = await fhir.post(path, json=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def qualified(fhir: httpx.AsyncClient) -> str:
    created = (await fhir.post("/Patient", json=document_checked(patient()))).json()
    await fhir.post(f"/Patient/{created['id']}/$ins-fetch")
    return str(created["id"])


async def test_the_same_matricule_and_traits_are_concordant(fhir: httpx.AsyncClient) -> None:
    answer = await verified(fhir, asking(patient(identifier=[ins_identifier()])))
    assert out(answer, "result")[0]["valueBoolean"] is True
    assert (code(answer, "outcome"), code(answer, "method")) == ("concordant", "insi-search-compare")
    assert {parts(trait)["name"] for trait in out(answer, "trait")} == {
        "matricule", "oid", "family", "given", "birthDate", "gender",
    }  # fmt: skip
    assert all(parts(trait)["result"] for trait in out(answer, "trait"))
    assert not out(answer, "status")
    assert [parts(call)["code"] for call in out(answer, "call")] == ["00"]


async def test_another_matricule_is_discordant_and_insi_s_own_is_not_told(fhir: httpx.AsyncClient) -> None:
    answer = await fhir.post(VERIFY, json=asking(patient(identifier=[ins_identifier("180032B02040123")])))
    assert answer.json()["parameter"][0]["valueBoolean"] is False
    assert code(answer.json(), "outcome") == "discordant"
    assert ADRUN not in answer.text


async def test_the_right_number_under_another_authority_is_discordant(fhir: httpx.AsyncClient) -> None:
    number = ins_identifier(system="urn:oid:1.2.250.1.213.1.4.10")
    answer = await verified(fhir, asking(patient(identifier=[number])))
    results = {parts(trait)["name"]: parts(trait)["result"] for trait in out(answer, "trait")}
    assert (results["matricule"], results["oid"]) == (True, False)
    assert code(answer, "outcome") == "discordant"


async def test_traits_nobody_has_are_not_found(fhir: httpx.AsyncClient) -> None:
    answer = await verified(fhir, asking(patient(identifier=[ins_identifier()], birthDate="1975-12-30")))
    assert code(answer, "outcome") == "not-found"
    assert out(answer, "result")[0]["valueBoolean"] is False
    assert not out(answer, "trait")


@pytest.mark.parametrize(
    "resource",
    [
        patient(),
        patient(identifier=[ins_identifier("275126322074975")]),
        patient(identifier=[ins_identifier("2751263220749")]),
        patient(identifier=[ins_identifier(), ins_identifier("180032B02040123")]),
        patient(identifier=[ins_identifier()], gender="unknown"),
        claiming(patient(identifier=[ins_identifier()]), reliability("DOUT")),
    ],
)
async def test_what_cannot_be_verified_is_422_before_any_call(
    fhir: httpx.AsyncClient, resource: dict[str, Any]
) -> None:
    answer = await fhir.post(VERIFY, json=asking(resource))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"][0].startswith("Parameters.parameter[0].resource")


async def test_a_patient_is_needed_at_type_level(fhir: httpx.AsyncClient) -> None:
    assert (await fhir.post(VERIFY, json=NOTHING)).status_code == 400


async def test_at_instance_level_a_supplied_number_that_agrees_becomes_insi_s(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=document_checked(patient(identifier=[ins_identifier()])))).json()
    assert "identifier" not in created
    answer = await verified(fhir, NOTHING, f"/Patient/{created['id']}/$ins-verify")
    assert (code(answer, "outcome"), code(answer, "status")) == ("concordant", "qualifiee")
    assert (await fhir.get(f"/Patient/{created['id']}")).json()["identifier"][0]["value"] == ADRUN


async def test_at_instance_level_a_concealed_number_stays_concealed(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient(identifier=[ins_identifier()]))).json()
    answer = await fhir.post(f"/Patient/{created['id']}/$ins-verify", json=NOTHING)
    assert code(answer.json(), "status") == "recuperee"
    assert ADRUN not in answer.text


async def test_a_wrong_supplied_number_changes_nothing(fhir: httpx.AsyncClient) -> None:
    number = ins_identifier("180032B02040123")
    created = (await fhir.post("/Patient", json=patient(identifier=[number]))).json()
    answer = await verified(fhir, NOTHING, f"/Patient/{created['id']}/$ins-verify")
    assert (code(answer, "outcome"), code(answer, "status")) == ("discordant", "provisoire")
    assert (await fhir.get(f"/Patient/{created['id']}")).headers["etag"] == 'W/"1"'


async def test_verifying_again_the_same_day_writes_nothing(fhir: httpx.AsyncClient) -> None:
    id_ = await qualified(fhir)
    before = (await fhir.get(f"/Patient/{id_}")).headers["etag"]
    await verified(fhir, NOTHING, f"/Patient/{id_}/$ins-verify")
    assert (await fhir.get(f"/Patient/{id_}")).headers["etag"] == before


async def test_a_caller_who_may_not_write_changes_nothing(start_server: StartServer) -> None:
    writer = await start_server()
    created = (await writer.post("/Patient", json=patient(identifier=[ins_identifier()]))).json()
    reader = await start_server(rights=SANDBOX_RIGHTS - {Right.WRITE})
    answer = await verified(reader, NOTHING, f"/Patient/{created['id']}/$ins-verify")
    assert (code(answer, "outcome"), code(answer, "status")) == ("concordant", "provisoire")
    assert stated_status((await writer.get(f"/Patient/{created['id']}")).json()) is None


async def test_without_a_number_there_is_nothing_to_verify(fhir: httpx.AsyncClient) -> None:
    created = (await fhir.post("/Patient", json=patient())).json()
    answer = await fhir.post(f"/Patient/{created['id']}/$ins-verify")
    assert answer.status_code == 422
    assert "$ins-fetch" in answer.text


async def test_what_is_stored_is_shown_to_a_reader_only(fhir: httpx.AsyncClient, start_server: StartServer) -> None:
    created = (await fhir.post("/Patient", json=patient(identifier=[ins_identifier()]))).json()
    blind = await start_server(rights={Right.VERIFY})
    assert (await blind.post(f"/Patient/{created['id']}/$ins-verify")).status_code == 403


async def test_the_right_is_needed(start_server: StartServer) -> None:
    fhir = await start_server(rights=SANDBOX_RIGHTS - {Right.VERIFY})
    assert (await fhir.post(VERIFY, json=asking(patient(identifier=[ins_identifier()])))).status_code == 403


def test_a_wrong_key_of_insi_makes_no_other_matricule() -> None:
    """CNDA 2.08-c2: INSi's key may be wrong; whose number it is, the 13 characters say."""

    def number(key: str) -> InsNumber:
        return InsNumber(Matricule("2751263220749", key), "1.2.250.1.213.1.4.8")

    asked = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", "63220")
    verified = _compared(Subject(number("74"), Asked(asked), shown=True), Found(number("60"), (), asked))
    assert (verified.outcome, verified.same_matricule) == ("concordant", True)
