"""The forms of a Patient in each status: who sees which numbers, under which profile claim."""

from dataclasses import replace
from typing import Any

import pytest
from frcore.records import FR_CORE, SOMEBODY_ELSE, ZOE, known, matricules, number
from people import ADRUN, INS_PROFILE, PATIENT_PROFILE, ins_identifier, patient, reliability

from fhir_ins.frcore.canonical import PATIENT, PATIENT_INS
from fhir_ins.frcore.forms import Forms, bare, forms, with_claims
from fhir_ins.ins.status import Attribute, Status

Json = dict[str, Any]
View = tuple[list[str], list[str]] | None

IPP = {"use": "usual", "system": "urn:ipp", "value": "7"}
NOTHING = ([], [])
BASE = ([], [PATIENT_PROFILE])
FULL = ([ADRUN], [INS_PROFILE])


def forms_of(status: Status, body: Json | None = None, **identity: Any) -> Forms:
    found = known(status, body=body, **identity)
    return forms(found.patient, found.identity, FR_CORE)


def view(form: Json | None) -> View:
    """The INS numbers and the profile claims of a form."""
    return (matricules(form), form.get("meta", {}).get("profile", [])) if form else None


@pytest.mark.parametrize(
    ("status", "conveyed", "concealed", "reference"),
    [
        (Status.PROVISOIRE, NOTHING, None, None),
        (Status.RECUPEREE, BASE, None, FULL),
        (Status.VALIDEE, NOTHING, None, None),
        (Status.QUALIFIEE, FULL, BASE, None),
    ],
)
def test_who_sees_the_matricule(status: Status, conveyed: View, concealed: View, reference: View) -> None:
    found = forms_of(status)
    assert view(found.conveyed) == conveyed
    assert view(found.concealed) == concealed
    assert view(found.reference) == reference


@pytest.mark.parametrize(
    ("status", "conveyed", "concealed", "reference"),
    [
        (Status.PROVISOIRE, NOTHING, None, ([SOMEBODY_ELSE], [])),
        (Status.RECUPEREE, BASE, None, ([SOMEBODY_ELSE, ADRUN], [INS_PROFILE])),
        (Status.VALIDEE, NOTHING, None, ([SOMEBODY_ELSE], [])),
        (Status.QUALIFIEE, FULL, BASE, ([SOMEBODY_ELSE, ADRUN], [INS_PROFILE])),
    ],
)
def test_a_supplied_number_is_for_a_reference_only(
    status: Status, conveyed: View, concealed: View, reference: View
) -> None:
    found = forms_of(status, supplied=(number(),))
    assert view(found.conveyed) == conveyed
    assert view(found.concealed) == concealed
    assert view(found.reference) == reference


@pytest.mark.parametrize("status", Status)
def test_a_client_s_own_identifiers_are_in_every_form_after_the_ins(status: Status) -> None:
    found = forms_of(status, patient(identifier=[IPP]), supplied=(number(),))
    for form in (found.conveyed, found.concealed, found.reference):
        assert form is None or form["identifier"][-1] == IPP


@pytest.mark.parametrize("status", Status)
def test_the_forms_differ_in_numbers_claims_and_citizen_address_only(status: Status) -> None:
    address = {"system": "email", "value": f"{ADRUN}@patient.mssante.fr"}
    phone = {"system": "phone", "value": "0400000000"}
    found = forms_of(status, patient(telecom=[phone, address]), supplied=(number(),))
    shown = [form for form in (found.conveyed, found.concealed, found.reference) if form]
    rest = [
        {name: value for name, value in form.items() if name not in ("meta", "identifier", "telecom")} for form in shown
    ]
    assert all(one == rest[0] for one in rest)
    assert all(phone in form["telecom"] for form in shown)


@pytest.mark.parametrize(
    ("status", "conveyed", "concealed"),
    [
        (Status.PROVISOIRE, False, None),
        (Status.RECUPEREE, False, None),
        (Status.VALIDEE, False, None),
        (Status.QUALIFIEE, True, False),
    ],
)
def test_the_citizen_address_is_a_matricule(status: Status, conveyed: bool, concealed: bool | None) -> None:
    found = forms_of(status, patient(telecom=[{"system": "email", "value": f"{ADRUN}@Patient.MSSante.fr"}]))
    assert ("telecom" in found.conveyed) is conveyed
    assert ("telecom" in found.concealed if found.concealed else None) is concealed


NSS_NIR = {"use": "official", "system": "urn:oid:1.2.250.1.213.1.4.13", "value": ADRUN}


@pytest.mark.parametrize(
    ("identifiers", "claim"),
    [
        ([], INS_PROFILE),
        ([IPP], INS_PROFILE),
        ([NSS_NIR], INS_PROFILE),
        ([{**IPP, "use": "official"}], PATIENT_PROFILE),
        ([{**IPP, "use": "old"}, {"value": "without use"}], INS_PROFILE),
    ],
)
def test_a_second_official_identifier_takes_the_ins_claim_away_not_the_number(
    identifiers: list[Json], claim: str
) -> None:
    found = forms_of(Status.QUALIFIEE, patient(identifier=identifiers) if identifiers else None)
    assert found.conveyed["meta"]["profile"] == [claim]
    assert found.conveyed["identifier"][0]["value"] == ADRUN


@pytest.mark.parametrize(
    ("missing", "claim"),
    [
        ({}, INS_PROFILE),
        ({"birth_place": None}, PATIENT_PROFILE),
        ({"sex": None}, PATIENT_PROFILE),
        ({"given": ()}, None),
        ({"family": None}, None),
        ({"birth_date": None}, PATIENT_PROFILE),
        ({"birth_date": "1936-00-00"}, PATIENT_PROFILE),
        ({"birth_date": "1936-05-00"}, PATIENT_PROFILE),
    ],
)
def test_the_ins_claim_needs_the_five_traits_and_a_whole_date(missing: Json, claim: str | None) -> None:
    answer = replace(ZOE, traits=replace(ZOE.traits, **missing))
    found = known(Status.QUALIFIEE, answer)
    conveyed = forms(found.patient, found.identity, FR_CORE).conveyed
    assert conveyed.get("meta", {}).get("profile") == ([claim] if claim else None)
    assert matricules(conveyed) == ([ADRUN] if answer.traits.complete else [])


@pytest.mark.parametrize("profile", [PATIENT, PATIENT_INS, f"{PATIENT}|2.1.0", INS_PROFILE, "urn:other"])
def test_a_claim_stands_for_every_other_of_fr_core_and_others_stay(profile: str) -> None:
    claimed = with_claims(patient(meta={"tag": [{"code": "a"}], "profile": [profile, "urn:mine"]}), [INS_PROFILE])
    others = ["urn:other", "urn:mine"] if profile == "urn:other" else ["urn:mine"]
    assert claimed["meta"] == {"tag": [{"code": "a"}], "profile": [INS_PROFILE, *others]}


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [
        ([], None),
        (["urn:mine"], ["urn:mine"]),
        ([PATIENT], [PATIENT]),
        ([INS_PROFILE], [PATIENT]),
        ([PATIENT_INS, "urn:mine"], [PATIENT, "urn:mine"]),
    ],
)
def test_bare_keeps_of_the_claims_what_holds_without_ins(claimed: list[str], kept: list[str] | None) -> None:
    resource = patient(meta={"profile": claimed}) if claimed else patient()
    assert bare(resource).get("meta", {}).get("profile") == kept


def test_bare_takes_away_what_the_server_owns_and_nothing_else() -> None:
    body = patient(identifier=[ins_identifier(), IPP], extension=[{"url": "urn:x", "valueCode": "a"}])
    assert bare(body) == patient(identifier=[IPP], extension=[{"url": "urn:x", "valueCode": "a"}])
    assert bare(patient(identifier=[ins_identifier()])) == patient()


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("attributes", [frozenset(), frozenset({Attribute.HOMONYME})])
def test_a_form_stripped_and_formed_again_is_the_same(status: Status, attributes: frozenset[Attribute]) -> None:
    body = patient(identifier=[IPP], extension=[reliability("HOMD"), {"url": "urn:x", "valueCode": "a"}])
    found = known(status, body=body, attributes=attributes)
    once = forms(found.patient, found.identity, FR_CORE)
    for form in (once.conveyed, once.concealed, once.reference):
        if form:
            assert forms(bare(form), found.identity, FR_CORE) == once
