"""The téléservice as callers meet it: cards, assertions, INSi's own verification, and an INSi in difficulty."""

import asyncio
from base64 import b64encode
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from insi_assertions import signed
from people import ADRUN, ADRUN_TRAITS, code, ins_identifier, out, parts, patient, traits

from fhir_ins.api.insi_search import refuse_another
from fhir_ins.fhir.outcome import Conflict
from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import VERIFICATION_WSDL
from fhir_ins.insi.port import ByVitale, Found

Json = dict[str, Any]

RUTH = {"matriculeIndividu": "276076322083553", "family": "DE VINCI", "birthDate": "1976-07-14"}


def vitale(**said: str | bytes) -> Json:
    """The Parameters of $ins-fetch with what a card says; bytes are base64Binary."""
    told = [
        {"name": name, "valueBase64Binary": b64encode(value).decode()}
        if isinstance(value, bytes)
        else {"name": name, "valueString": value}
        for name, value in said.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "vitale", "part": told}]}


def with_assertion(parameters: Json, assertion: bytes) -> Json:
    given = {"name": "assertion", "valueBase64Binary": b64encode(assertion).decode()}
    return {**parameters, "parameter": [*parameters["parameter"], given]}


async def fetched(fhir, parameters: Json, path: str = "Patient") -> Json:
    answer = await fhir.post(f"{path}/$ins-fetch", json=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestACarteVitale:
    async def test_whoever_it_names_is_found_and_stored_without_traits(self, fhir) -> None:
        said = await fetched(fhir, vitale(**RUTH))
        assert code(said, "result") == "found"
        (found,) = out(said, "patient")
        assert found["resource"]["name"][0]["family"] == "DE VINCI"
        (call,) = out(said, "call")
        assert parts(call).keys() == {"messageId", "code"}
        again = await fetched(fhir, vitale(**RUTH))
        assert out(again, "stored") == out(said, "stored")

    async def test_a_stored_patient_of_other_traits_does_not_get_its_ins(self, fhir) -> None:
        created = (await fhir.post("Patient", json=patient())).json()
        said = await fetched(fhir, vitale(**RUTH), f"Patient/{created['id']}")
        assert {parts(found)["trait"] for found in out(said, "discrepancy")} >= {"family", "given", "birthDate"}
        assert not out(said, "stored")
        assert (await fhir.get(f"Patient/{created['id']}")).json() == created

    async def test_a_card_nobody_has_is_not_found(self, fhir) -> None:
        assert code(await fetched(fhir, vitale(matriculeIndividu="184127645108946")), "result") == "not-found"

    @pytest.mark.parametrize(
        ("said", "status", "told"),
        [
            (vitale(family="DE VINCI"), 422, "matriculeIndividu or matriculeOD"),
            (vitale(matriculeIndividu="276076322083554"), 422, "The key of …83554 is wrong"),
            (vitale(matriculeIndividu="12"), 422, "15 characters"),
            (vitale(**{**RUTH, "birthDate": "14/07/1976"}), 422, "date"),
            (vitale(**RUTH, birthRank="12"), 422, "one digit"),
            (vitale(**RUTH, given="RUTH"), 400, "not one of the operation"),
            (vitale(**RUTH, assertion=b"<x/>"), 422, "INSi not asked"),
            ({**(card := vitale(**RUTH)), "parameter": [*card["parameter"], *card["parameter"]]}, 400, "at most 1"),
            ({**card, "parameter": [*card["parameter"], *ADRUN_TRAITS["parameter"]]}, 400, "one of the three"),
        ],
    )
    async def test_a_mistake_is_told_before_any_call(self, fhir, said, status, told) -> None:
        answer = await fhir.post("Patient/$ins-fetch", json=said)
        assert (answer.status_code, told in answer.text) == (status, True), answer.text

    async def test_an_assertion_past_its_time_is_never_sent(self, fhir) -> None:
        old = await signed("2760763220835", age=timedelta(minutes=21))
        answer = await fhir.post("Patient/$ins-fetch", json=vitale(**RUTH, assertion=old))
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "expired")


class TestTheAssertionOfAProfessional:
    async def test_a_structure_that_speaks_by_its_certificate_refuses_one(self, fhir) -> None:
        answer = await fhir.post("Patient/$ins-fetch", json=with_assertion(ADRUN_TRAITS, await signed()))
        assert (answer.status_code, "leave the AssertionPS out" in answer.text) == (422, True)

    async def test_in_cpx_mode_it_is_needed_and_must_be_fresh(self, start_server) -> None:
        fhir = await start_server(insi_mode="cpx", insi_pkcs12=None)
        answer = await fhir.post("Patient/$ins-fetch", json=ADRUN_TRAITS)
        assert (answer.status_code, "give the AssertionPS" in answer.text) == (422, True)
        old = await signed(age=timedelta(minutes=61))
        answer = await fhir.post("Patient/$ins-fetch", json=with_assertion(ADRUN_TRAITS, old))
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "expired")

    async def test_a_deferred_call_takes_none(self, fhir) -> None:
        deferred = {**ADRUN_TRAITS, "parameter": [*ADRUN_TRAITS["parameter"], {"name": "defer", "valueBoolean": True}]}
        answer = await fhir.post("Patient/$ins-fetch", json=with_assertion(deferred, await signed()))
        assert (answer.status_code, "past their time" in answer.text) == (422, True)


class TestInsisOwnVerification:
    @pytest.fixture
    async def verifying(self, start_server):
        return await start_server(insi_verification_wsdl=VERIFICATION_WSDL)

    @staticmethod
    def about(**parameters: str) -> Json:
        person = patient(identifier=[ins_identifier()])
        asked = [{"name": name, "valueCode": value} for name, value in parameters.items()]
        return {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": person}, *asked]}

    async def test_it_is_used_where_it_is_configured_and_said_so(self, verifying) -> None:
        said = (await verifying.post("Patient/$ins-verify", json=self.about())).json()
        assert (code(said, "method"), code(said, "outcome")) == ("insi-verification", "concordant")
        told = {parts(found)["name"]: parts(found)["result"] for found in out(said, "trait")}
        assert told == dict.fromkeys(("matricule", "oid", "family", "given", "birthDate", "gender"), True)

    async def test_another_s_traits_are_discordant_by_the_element(self, verifying) -> None:
        asked = self.about()
        asked["parameter"][0]["resource"]["birthDate"] = "1975-12-30"
        said = (await verifying.post("Patient/$ins-verify", json=asked)).json()
        assert code(said, "outcome") == "discordant"
        assert [parts(found)["name"] for found in out(said, "trait") if not parts(found)["result"]] == ["birthDate"]

    async def test_the_comparison_can_be_asked_for_instead(self, verifying) -> None:
        said = (await verifying.post("Patient/$ins-verify", json=self.about(method="insi-search-compare"))).json()
        assert (code(said, "method"), code(said, "outcome")) == ("insi-search-compare", "concordant")

    @pytest.mark.parametrize(("method", "status"), [("insi-verification", 422), ("verification", 400)])
    async def test_a_method_there_is_not_is_refused(self, fhir, method, status) -> None:
        answer = await fhir.post("Patient/$ins-verify", json=self.about(method=method))
        assert (answer.status_code, "insi-search-compare" in answer.text) == (status, True)

    async def test_a_discordant_answer_withdraws_what_was_obtained_and_a_concordant_one_changes_nothing(
        self, fhir, verifying
    ) -> None:
        stored = out(await fetched(fhir, ADRUN_TRAITS), "stored")[0]["valueReference"]["reference"]
        before = (await fhir.get(stored)).json()
        said = (await verifying.post(f"{stored}/$ins-verify")).json()
        assert (code(said, "outcome"), code(said, "status")) == ("concordant", "recuperee")
        assert (await fhir.get(stored)).json() == before


class TestAnInsiInDifficulty:
    async def test_beyond_the_queue_the_answer_is_429_at_once(self, settings, start_server) -> None:
        slow = f"{settings.insi_endpoint}?delay=0.5"
        fhir = await start_server(insi_endpoint=slow, insi_concurrency=1, insi_queue=1)
        asked = [traits("DE VINCI", ["LEONARDO"], "male", f"2014-02-0{day}") for day in range(1, 5)]
        answers = await asyncio.gather(*(fhir.post("Patient/$ins-fetch", json=one) for one in asked))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
        (busy, _) = (answer for answer in answers if answer.status_code == 429)
        assert (busy.headers["retry-after"], busy.json()["issue"][0]["code"]) == ("1", "throttled")

    @pytest.mark.parametrize(
        ("behaviour", "status", "calls"),
        [
            ("fault=insi_111", 503, 3),
            ("wire=html-503", 503, 3),
            ("wire=reset", 503, 3),
            ("wire=truncated", 503, 3),
            ("wire=empty", 503, 3),
            ("fault=desir_560", 502, 1),
            ("fault=insi_24", 422, 1),
            ("fault=insi_102", 503, 1),  # the test environment: the person is not in its base
        ],
    )
    async def test_each_fault_has_its_answer_and_is_repeated_only_when_that_may_help(
        self, settings, start_server, tenant, behaviour, status, calls
    ) -> None:
        fhir = await start_server(insi_endpoint=f"{settings.insi_endpoint}?{behaviour}")
        answer = await fhir.post("Patient/$ins-fetch", json=ADRUN_TRAITS)
        assert (answer.status_code, "retry-after" in answer.headers) == (status, status == 503), answer.text
        assert await made(fhir, tenant) == calls
        assert (await fhir.get("Patient")).status_code == 200

    @pytest.mark.parametrize("fault", ["wire=reset", "wire=html-503", "fault=insi_111"])
    async def test_what_passes_is_not_seen_but_in_the_calls(self, settings, start_server, tenant, fault) -> None:
        endpoint = f"{settings.insi_endpoint}?{fault}&times=2&key={tenant}"
        said = await fetched(await start_server(insi_endpoint=endpoint), ADRUN_TRAITS)
        codes = [parts(call)["code"] for call in out(said, "call")]
        assert (len(codes), codes[-1], code(said, "result")) == (3, "00", "found")

    async def test_a_valid_answer_of_the_wrong_media_type_loses_no_matricule(self, settings, start_server) -> None:
        fhir = await start_server(insi_endpoint=f"{settings.insi_endpoint}?wire=wrong-content-type")
        said = await fetched(fhir, ADRUN_TRAITS)
        assert out(said, "patient")[0]["resource"]["identifier"][0]["value"] == ADRUN

    async def test_readiness_shows_the_breaker_and_stays_ready(self, settings, start_server, tenant) -> None:
        fhir = await start_server(insi_endpoint=f"{settings.insi_endpoint}?wire=reset", insi_breaker_failures=2)
        assert (await fhir.post("Patient/$ins-fetch", json=ADRUN_TRAITS)).status_code == 503
        ready = await fhir.get(str(fhir.base_url).replace("/fhir/", "/health/ready"))
        insi = ready.json()["components"]["insi"]
        assert (ready.status_code, insi["status"]) == (200, "down")
        (ours,) = insi["tenants"]
        assert (ours["tenant"], ours["breaker"], ours["failedInARow"]) == (tenant, "open", 2)
        assert ours["certificate"]["daysLeft"] > 300
        again = await fhir.post("Patient/$ins-fetch", json=ADRUN_TRAITS)
        assert (again.status_code, "left alone" in again.text) == (503, True)
        assert await made(fhir, tenant) == 2
        assert f'fhir_ins_insi_breaker_open{{tenant="{tenant}"}} 1.0' in await counted(fhir)

    async def test_while_insi_hangs_everything_else_is_answered(self, settings, start_server) -> None:
        fhir = await start_server(insi_endpoint=f"{settings.insi_endpoint}?wire=hang", insi_total_timeout=1)
        hanging = asyncio.create_task(fhir.post("Patient/$ins-fetch", json=ADRUN_TRAITS))
        await asyncio.sleep(0.1)
        assert (await fhir.post("Patient", json=patient())).status_code == 201
        assert not hanging.done()
        assert (await hanging).status_code == 503


async def counted(fhir) -> str:
    return (await fhir.get(str(fhir.base_url).replace("/fhir/", "/metrics"))).text


async def made(fhir, tenant: str) -> int:
    """How many calls to INSi /metrics has counted in this tenant."""
    lines = (await counted(fhir)).splitlines()
    ours = [line for line in lines if line.startswith('fhir_ins_insi_calls_total{code="') and tenant in line]
    ours += [line for line in lines if line.startswith(f'fhir_ins_insi_calls_total{{tenant="{tenant}"')]
    return round(sum(float(line.split()[-1]) for line in set(ours)))


@pytest.mark.parametrize(
    ("individual", "refused"),
    [("276076322083553", True), (ADRUN, False), ("209076322083439", False), (None, False)],
)
def test_an_answer_about_another_number_than_the_cards_is_refused(individual: str | None, refused: bool) -> None:
    def number(text: str) -> InsNumber:
        return InsNumber(Matricule(text[:13], text[13:]), "1.2.250.1.213.1.4.8")

    found = Found(number(ADRUN), (number("209076322083439"),), Traits("ADRUN", ("ZOE",), "F", "1975-12-31", "63220"))
    matricule = Matricule(individual[:13], individual[13:]) if individual else None
    with pytest.raises(Conflict) if refused else nullcontext():
        refuse_another(ByVitale(matricule, None, None, None, None), found)
