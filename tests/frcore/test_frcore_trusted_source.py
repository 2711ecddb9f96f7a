"""What a trusted source is believed about, and what it is not."""

from dataclasses import replace
from typing import Any

import pytest
from frcore.records import CHECK, FR_CORE, SOMEBODY_ELSE, TODAY, ZOE, known, matricules, number, writer
from people import ADRUN, INS_PROFILE, claiming, ins_identifier, patient, reliability

from fhir_ins.fhir.outcome import FhirError
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.traits import with_traits
from fhir_ins.frcore.writes import written
from fhir_ins.ins.identity import DocumentCheck, Identity, Obtained
from fhir_ins.ins.status import Status

Json = dict[str, Any]

GAM = writer(may_qualify=False, is_trusted=True, version_known=False)
TRAITS = with_traits(patient(), ZOE.traits)
UPDATED = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birthdate-update-indicator"


def fed(*repetitions: Json, **elements: Any) -> Json:
    """ADRUN ZOE as a GAM sends her, qualified: VALI, an INS, five traits."""
    body = {**TRAITS, "identifier": [ins_identifier()], **elements}
    return claiming(body, *(repetitions or (reliability("VALI", CHECK.on, "CN"),)))


def refusal(body: Json, before: Known | None = None) -> FhirError:
    with pytest.raises(FhirError) as caught:
        written(body, before, GAM)
    return caught.value


def test_vali_with_an_ins_and_five_traits_is_a_qualified_identity() -> None:
    identity = written(fed(), None, GAM).identity
    told = Obtained(number(ADRUN), (), ZOE.traits, None, None, source="alice")
    assert identity == Identity(obtained=told, check=replace(CHECK, actor="alice"))
    assert identity.conveys


def test_old_numbers_are_its_history_and_the_day_of_the_call_is_what_it_said() -> None:
    statement = reliability("VALI", CHECK.on, "CN")
    statement["extension"].append({"url": "dateCollection", "valueDate": "2026-11-01"})
    numbers = [ins_identifier(), {**ins_identifier(SOMEBODY_ELSE), "use": "old"}]
    obtained = written(fed(statement, identifier=numbers), None, GAM).identity.obtained
    assert obtained
    assert (obtained.history, obtained.on) == ((number(),), "2026-11-01")


@pytest.mark.parametrize(("date", "means"), [(CHECK.on, None), (None, "CN"), (None, None)])
def test_the_day_and_the_means_of_the_check_may_be_left_out(date: str | None, means: str | None) -> None:
    fed_once = written(fed(reliability("VALI", date, means)), None, GAM)
    assert fed_once.identity.check == DocumentCheck(date, means, "alice")
    shown = forms(fed_once.patient, fed_once.identity, FR_CORE).conveyed
    assert shown["meta"]["profile"] == [INS_PROFILE]
    assert written(shown, fed_once, writer(may_qualify=False)).identity == fed_once.identity


@pytest.mark.parametrize(
    "body",
    [
        fed(reliability("PROV")),  # a receiver takes an INS without VALI for none (PAM p. 41)
        {**fed(), "identifier": []},
        claiming(fed()),
    ],
    ids=["PROV", "no INS", "no statement"],
)
def test_without_vali_and_an_ins_it_is_a_client_like_others(body: Json) -> None:
    if "VALI" in str(body):
        assert refusal(body).status == 403  # ins.qualify is another right
    else:
        assert not written(body, None, GAM).identity.obtained


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (fed(extension=[]), "Patient.identifier"),  # no birth place
        (fed(gender="unknown"), "Patient.identifier"),
        (fed(name=[{"use": "official", "family": "ADRUN"}]), "Patient.identifier"),
        (fed(reliability("VALI", CHECK.on, "CN"), reliability("DOUT")), "Patient.identifier"),
        (fed(reliability("VALI", CHECK.on, "CN"), reliability("ANOM")), "Patient.identifier"),
        (fed(identifier=[ins_identifier(), ins_identifier(SOMEBODY_ELSE)]), "Patient.identifier"),
        (fed(identifier=[{**ins_identifier(), "use": "old"}]), "Patient.identifier"),
        (fed(reliability("VALI", "2026-11", "CN")), "validationDate"),
        (fed(reliability("VALI", "2030-01-01", "CN")), "validationDate"),
        (fed(reliability("VALI", CHECK.on, "TC")), "validationMode"),
        (
            {**fed(), "extension": [*fed()["extension"], {"url": UPDATED, "valueBoolean": True}]},
            "Patient.identifier",
        ),
    ],
)
def test_what_could_not_be_qualified_is_refused_with_the_place(body: Json, place: str) -> None:
    error = refusal(body)
    assert error.status == 422
    assert place in (error.issues[0].expression or "")
    assert ADRUN not in str(error.issues)


@pytest.mark.parametrize("status", Status)
def test_over_any_identity_its_own_or_another_s_number(status: Status) -> None:
    before = known(status)
    after = written(fed(), before, GAM).identity
    assert after.status is Status.QUALIFIEE
    told = Obtained(number(ADRUN), (), ZOE.traits, None, None, source="alice")
    assert after.obtained == (before.identity.obtained or told)  # our own answer of INSi stays
    other = written(fed(identifier=[ins_identifier(SOMEBODY_ELSE)]), before, GAM)
    assert other.identity.obtained
    assert other.identity.obtained.active == number()
    assert other.identity.withdrawn == (ZOE.numbers if before.identity.obtained else ())
    assert matricules(other.patient) == []


def test_what_the_source_reads_and_sends_back_changes_nothing() -> None:
    once = written(fed(), None, GAM)
    assert written(fed(), once, GAM) == once


def test_the_same_check_again_after_an_edit_counts_for_it_comes_with_its_traits() -> None:
    edited = written({**fed(), "gender": "male", "identifier": []} | {"extension": []}, written(fed(), None, GAM), GAM)
    assert edited.identity.status is Status.PROVISOIRE
    assert written(fed(), edited, GAM).identity.status is Status.QUALIFIEE


def test_an_ordinary_client_is_not_believed() -> None:
    identity = written(fed(), None, writer()).identity
    assert identity.obtained is None
    assert identity.supplied == (number(ADRUN),)


def test_today_is_the_latest_day() -> None:
    assert written(fed(reliability("VALI", TODAY, "CN")), None, GAM).identity.check
