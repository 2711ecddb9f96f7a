"""Cases in which two rules meet: what one writes must pass the other, and nothing shows through between them."""

from dataclasses import replace
from typing import Any

import pytest
from frcore.records import FR_CORE, SOMEBODY_ELSE, ZOE, about, known, number, writer
from people import ADRUN, ins_identifier, patient

from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.frcore.carriers import carries_matricule
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.reliability import claim_of
from fhir_ins.frcore.writes import attached, written
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import Attribute, Status

HERMANN = about("HERMANN", "GATIEN")
OWN_ADDRESS = {"system": "email", "value": f"{ADRUN}@patient.mssante.fr"}
REFERENCE = writer(is_reference=True)


@pytest.mark.parametrize("before", ["1975-12-31 ", "31/12/1975 ", "12 ", "1 2 3 ", "2 75 12 63 220 749 75, "])
def test_a_number_before_a_matricule_does_not_hide_it(before: str) -> None:
    assert carries_matricule(before + "2 75 12 63 220 749 74")


@pytest.mark.parametrize(
    "elements",
    [
        {"text": {"status": "generated", "div": "x", "extension": [{"url": "urn:x", "valueString": ADRUN}]}},
        {"telecom": [{**OWN_ADDRESS, "extension": [{"url": "urn:x", "valueString": SOMEBODY_ELSE}]}]},
    ],
)
def test_what_stands_beside_an_accepted_carrier_is_judged(elements: dict[str, Any]) -> None:
    before = known(Status.QUALIFIEE)
    with pytest.raises(Unprocessable):
        written({**before.patient, **elements}, before, writer())


def test_sending_back_what_was_read_erases_no_supplied_number() -> None:
    before = known(Status.QUALIFIEE, supplied=(number(),))
    assert (
        written(forms(before.patient, before.identity, FR_CORE).conveyed, before, writer()).identity == before.identity
    )


@pytest.mark.parametrize("answer", [ZOE, HERMANN])
@pytest.mark.parametrize("status", [Status.RECUPEREE, Status.QUALIFIEE])
def test_a_reference_may_send_back_what_it_reads(answer: Any, status: Status) -> None:
    before = known(status, answer, supplied=(number(),))
    read = forms(before.patient, before.identity, FR_CORE).reference
    assert read
    assert written(read, before, REFERENCE).identity == before.identity


def test_a_number_under_another_authority_in_insi_s_history_is_not_shown() -> None:
    odd = replace(ZOE, history=(number(SOMEBODY_ELSE, "1.2.250.1.213.1.4.13"),))
    before = known(Status.QUALIFIEE, odd)
    read = forms(before.patient, before.identity, FR_CORE).conveyed
    assert [found["value"] for found in read["identifier"]] == [ADRUN]
    assert written(read, before, writer()).identity == before.identity


def test_a_new_answer_keeps_the_citizen_address() -> None:
    before = known(Status.QUALIFIEE, body=patient(telecom=[OWN_ADDRESS]))
    after = attached(before, replace(ZOE, on="2026-11-22"))
    assert forms(after.patient, after.identity, FR_CORE).conveyed["telecom"] == [OWN_ADDRESS]


def test_a_withdrawn_matricule_is_history_for_a_reference_and_in_no_other_form() -> None:
    before = known(Status.QUALIFIEE, body=patient(telecom=[OWN_ADDRESS]), supplied=(number(),))
    after = written({**before.patient, "gender": "male"}, before, writer())
    shown = forms(after.patient, after.identity, FR_CORE)
    assert after.identity.status is Status.PROVISOIRE
    assert ADRUN not in str((shown.conveyed, shown.concealed))
    assert shown.reference is not None
    assert [found["use"] for found in shown.reference["identifier"]] == ["old", "old"]
    assert str(shown.reference).count(ADRUN) == 1


@pytest.mark.parametrize(("gender", "other"), [("other", "unknown"), ("unknown", "other"), ("other", "male")])
def test_every_change_of_gender_is_an_edit(gender: str, other: str) -> None:
    before = replace(known(Status.VALIDEE), patient={**known(Status.VALIDEE).patient, "gender": gender})
    assert written({**before.patient, "gender": other}, before, writer()).identity.check is None


def test_an_attribute_that_says_more_comes_back_once() -> None:
    part = {"url": "identityStatus", "valueCoding": {"code": "DOUT"}}
    more = {"url": "urn:more", "valueString": "why"}
    url = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability"
    sent = patient(extension=[{"url": url, "extension": [part, more]}])
    after = written(sent, None, writer())
    shown = forms(after.patient, after.identity, FR_CORE).conveyed
    assert claim_of(shown).attributes == {Attribute.DOUTEUX}
    assert str(shown).count("DOUT") == 1


def test_supplied_numbers_are_bounded() -> None:
    before = Known(patient(), Identity(supplied=tuple(number(f"2751263220{index:03d}00") for index in range(20))))
    after = written(patient(identifier=[ins_identifier()]), before, writer())
    assert len(after.identity.supplied) == 20
    assert str(after.identity.supplied[-1].matricule) == ADRUN
