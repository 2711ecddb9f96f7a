"""What a client's write of a Patient does to its identity."""

from copy import deepcopy
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from frcore.records import CHECK, FR_CORE, SOMEBODY_ELSE, TODAY, ZOE, about, known, matricules, number, writer
from people import (
    ADRUN,
    NIR,
    PATIENT_PROFILE,
    claiming,
    ins_identifier,
    patient,
    reliability,
    stated_status,
)

from fhir_ins.fhir.outcome import FhirError, Forbidden, PreconditionFailed, Unprocessable
from fhir_ins.frcore.canonical import (
    BIRTH_LIST_GIVEN_NAME,
    BIRTH_PLACE,
    COLLECTION_METHODS,
    COMMUNES,
    INSEE_CODE,
    LUNAR_DATE,
)
from fhir_ins.frcore.forms import forms, with_claims
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.writes import attached, supplied_numbers, written
from fhir_ins.ins.identity import DocumentCheck, Identity
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.status import Attribute, Status
from fhir_ins.simulator.identities import PEOPLE, Person

Json = dict[str, Any]

REFERENCE = writer(is_reference=True)
CHECKED_TODAY = reliability("VALI", TODAY, "PA")


def read(known_patient: Known, *, reference: bool = False) -> Json:
    """What a client reads of it, free to be changed."""
    found = forms(known_patient.patient, known_patient.identity, FR_CORE)
    return deepcopy((found.reference if reference else None) or found.conveyed)


def refusal(body: Json, before: Known | None = None, by: Any = None) -> FhirError:
    with pytest.raises(FhirError) as caught:
        written(body, before, by or writer())
    return caught.value


def coded(method: str, system: str = COLLECTION_METHODS) -> Json:
    return {"url": "methodCollection", "valueCoding": {"system": system, "code": method}}


def name(family: str, *given: str) -> list[Json]:
    listed = {"url": BIRTH_LIST_GIVEN_NAME, "valueString": " ".join(given)}
    return [{"use": "official", "family": family, "given": [given[0]], "extension": [listed]}]


def lunar(date: str) -> Json:
    return {"url": LUNAR_DATE, "valueString": date}


def born_at(body: Json, cog: str) -> Json:
    others = [extension for extension in body["extension"] if extension["url"] != BIRTH_PLACE]
    code = {"url": INSEE_CODE, "valueCoding": {"system": COMMUNES, "code": cog}}
    return {**body, "extension": [*others, {"url": BIRTH_PLACE, "valueAddress": {"extension": [code]}}]}


def family_edited(body: Json) -> Json:
    return {**body, "name": name("ADRUN-MARTIN", "ZOE")}


def given_edited(body: Json) -> Json:
    return {**body, "name": name("ADRUN", "ZOE", "LOU")}


def gender_edited(body: Json) -> Json:
    return {**body, "gender": "male"}


def birth_date_edited(body: Json) -> Json:
    return {**body, "birthDate": "1975-12-30"}


def birth_place_edited(body: Json) -> Json:
    return born_at(body, "2A020")


def plain(body: Json) -> Json:
    """The body without its claim of the INS profile, which it would break."""
    return with_claims(body, [PATIENT_PROFILE]) if "meta" in body else body


def birth_place_removed(body: Json) -> Json:
    return plain({**body, "extension": [found for found in body["extension"] if found["url"] != BIRTH_PLACE]})


def birth_date_cut(body: Json) -> Json:
    return {**body, "birthDate": "1975"}


EDITS = [
    family_edited,
    given_edited,
    gender_edited,
    birth_date_edited,
    birth_place_edited,
    birth_place_removed,
    birth_date_cut,
]


class TestStrictTraits:
    @pytest.mark.parametrize("edit", EDITS)
    @pytest.mark.parametrize("status", [Status.RECUPEREE, Status.VALIDEE, Status.QUALIFIEE])
    def test_editing_one_drops_both_facts(self, status: Status, edit: Any) -> None:
        before = known(status)
        after = written(edit(read(before)), before, writer())
        assert (after.identity.obtained, after.identity.check) == (None, None)
        assert matricules(read(after)) == []
        assert matricules(read(after, reference=True)) == [str(found.matricule) for found in after.identity.withdrawn]
        for reference in (False, True):
            shown = read(after, reference=reference)
            assert shown.get("meta", {}).get("profile", [PATIENT_PROFILE]) == [PATIENT_PROFILE]
            assert stated_status(shown) == "PROV"

    @pytest.mark.parametrize("edit", EDITS)
    def test_the_check_sent_back_with_an_edit_does_not_count(self, edit: Any) -> None:
        before = known(Status.VALIDEE)
        body = edit(read(before))
        assert stated_status(body) == "VALI"
        assert written(body, before, writer()).identity.status is Status.PROVISOIRE

    @pytest.mark.parametrize("edit", EDITS)
    def test_a_new_check_with_the_edit_counts(self, edit: Any) -> None:
        before = known(Status.QUALIFIEE)
        after = written(claiming(edit(read(before)), CHECKED_TODAY), before, writer())
        check = DocumentCheck(TODAY, "PA", "alice")
        assert after.identity == Identity(check=check, ended=(CHECK,), withdrawn=ZOE.numbers)

    @pytest.mark.parametrize(
        ("answer", "rewritten"),
        [
            (ZOE, {"name": name("Adrun", "Zoé")}),
            (ZOE, {"name": name("  ÀDRÜN ", "zoë")}),
            (ZOE, {"name": [{"use": "official", "family": "adrun", "given": ["zoe"]}]}),
            (
                about("D'ARTAGNAN DE L'HERAULT", "PIERRE-ALAIN GUNTHER"),
                {"name": name("d’Artagnan de l’Hérault", "Pierre‐Alain", "Günther")},
            ),
        ],
    )
    @pytest.mark.parametrize("status", [Status.RECUPEREE, Status.QUALIFIEE])
    def test_another_writing_of_the_same_keeps_insi_s(self, status: Status, answer: Any, rewritten: Json) -> None:
        before = known(status, answer)
        after = written(plain({**read(before), **rewritten}), before, writer())
        assert after.identity == before.identity
        assert read(after) == read(before)

    def test_the_birth_place_of_corsica_may_be_written_small(self) -> None:
        before = known(Status.QUALIFIEE, about("ADRTROIS", "DOMINIQUE"))
        after = written(born_at(read(before), "2a020"), before, writer())
        assert after.identity == before.identity
        assert read(after) == read(before)

    @pytest.mark.parametrize("status", Status)
    @pytest.mark.parametrize(
        "elements",
        [
            {"address": [{"city": "Lyon"}]},
            {"telecom": [{"system": "phone", "value": "0400000000"}]},
            {"maritalStatus": {"text": "M"}},
            {"deceasedBoolean": True},
            {"identifier": [{"system": "urn:ipp", "value": "7"}]},
        ],
    )
    def test_the_rest_may_be_edited_freely(self, status: Status, elements: Json) -> None:
        before = known(status)
        after = written(plain({**read(before), **elements}), before, writer())
        assert after.identity == before.identity
        assert after.patient.items() >= elements.items()

    def test_a_usual_name_is_no_strict_trait(self) -> None:
        before = known(Status.QUALIFIEE)
        body = read(before)
        usual = {"use": "usual", "family": "Martin", "given": ["Zozo"]}
        after = written({**body, "name": [usual, *body["name"]]}, before, writer())
        assert after.identity == before.identity
        assert usual in after.patient["name"]

    def test_a_provisional_identity_is_written_as_it_comes(self) -> None:
        after = written(patient(gender="male"), Known(patient(), Identity()), writer())
        assert after == Known(patient(gender="male"), Identity())


# HERMANN's history has a number with a wrong key, which may come back only once the identity is conveyed.
READ_AND_WRITTEN = [
    pytest.param(person, status, id=f"{person.family} {person.given} {status}")
    for person, status in product(PEOPLE, Status)
    if (person.family, status) != ("HERMANN", Status.RECUPEREE)
]


@pytest.mark.parametrize(("person", "status"), READ_AND_WRITTEN)
def test_writing_back_what_one_reads_changes_nothing(person: Person, status: Status) -> None:
    before = known(status, about(person.family, person.given), attributes=frozenset({Attribute.HOMONYME}))
    for reference, by in ((False, writer(may_qualify=False, version_known=False)), (True, REFERENCE)):
        after = written(read(before, reference=reference), before, by)
        assert after.identity == before.identity
        assert forms(after.patient, after.identity, FR_CORE) == forms(before.patient, before.identity, FR_CORE)


class TestTheDocumentCheck:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (Status.PROVISOIRE, Status.VALIDEE),
            (Status.RECUPEREE, Status.QUALIFIEE),
            (Status.VALIDEE, Status.VALIDEE),
            (Status.QUALIFIEE, Status.QUALIFIEE),
        ],
    )
    def test_recording_it(self, before: Status, after: Status) -> None:
        found = known(before)
        identity = written(claiming(read(found), CHECKED_TODAY), found, writer()).identity
        assert identity.status is after
        assert identity.check == DocumentCheck(TODAY, "PA", "alice")
        assert identity.obtained == found.identity.obtained

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (Status.PROVISOIRE, Status.PROVISOIRE),
            (Status.RECUPEREE, Status.RECUPEREE),
            (Status.VALIDEE, Status.PROVISOIRE),
            (Status.QUALIFIEE, Status.RECUPEREE),
        ],
    )
    def test_prov_withdraws_it(self, before: Status, after: Status) -> None:
        found = known(before)
        by = writer(may_qualify=False, version_known=False)
        identity = written(claiming(read(found), reliability("PROV")), found, by).identity
        assert identity.status is after
        assert identity.obtained == found.identity.obtained

    def test_a_body_without_the_extension_says_nothing(self) -> None:
        before = known(Status.QUALIFIEE)
        assert written(claiming(read(before)), before, writer()).identity == before.identity

    @pytest.mark.parametrize(
        "repeated",
        [reliability("VALI", CHECK.on, CHECK.means), reliability("VALI", CHECK.on), reliability("VALI")],
    )
    def test_the_server_s_own_statement_sent_back_needs_no_right(self, repeated: Json) -> None:
        before = known(Status.QUALIFIEE)
        by = writer(may_qualify=False, version_known=False)
        assert written(claiming(read(before), repeated), before, by).identity == before.identity

    @pytest.mark.parametrize("before", [None, known(Status.PROVISOIRE), known(Status.QUALIFIEE)])
    def test_without_the_right_it_is_forbidden(self, before: Known | None) -> None:
        assert isinstance(refusal(claiming(patient(), CHECKED_TODAY), before, writer(may_qualify=False)), Forbidden)

    @pytest.mark.parametrize("before", [known(Status.PROVISOIRE), known(Status.QUALIFIEE)])
    def test_it_is_recorded_on_a_version_that_was_seen(self, before: Known) -> None:
        body = claiming(patient(), CHECKED_TODAY)
        assert isinstance(refusal(body, before, writer(version_known=False)), PreconditionFailed)

    @pytest.mark.parametrize("missing", ["name", "gender", "birthDate"])
    def test_it_needs_traits_to_be_checked_against(self, missing: str) -> None:
        body = claiming(patient(), CHECKED_TODAY)
        del body[missing]
        assert isinstance(refusal(body), Unprocessable)

    @pytest.mark.parametrize("status", [Status.VALIDEE, Status.QUALIFIEE])
    def test_one_that_an_edit_ended_is_no_new_one(self, status: Status) -> None:
        before = known(status)
        sent = reliability("VALI", CHECK.on, CHECK.means)
        edited = written(gender_edited(read(before)), before, writer())
        assert isinstance(refusal(claiming(read(edited), sent), edited), Unprocessable)
        other = written(claiming(read(edited), CHECKED_TODAY), edited, writer())
        assert other.identity.check == DocumentCheck(TODAY, "PA", "alice")
        withdrawn = written(claiming(read(edited), reliability("PROV")), edited, writer())
        again = written(claiming(read(withdrawn), sent), withdrawn, writer())
        assert again.identity.check == DocumentCheck(CHECK.on, CHECK.means, "alice")

    @pytest.mark.parametrize(
        ("date", "accepted"),
        [
            (TODAY, True),
            ("2019-02-28", True),
            ("2026-11-23", False),
            ("2027-01-01", False),
            ("2026-11", False),
            ("2026", False),
            (None, False),
        ],
    )
    def test_its_date_is_whole_and_not_after_today(self, date: str | None, accepted: bool) -> None:
        body = claiming(patient(), reliability("VALI", date, "CN"))
        if accepted:
            assert written(body, None, writer()).identity.check == DocumentCheck(str(date), "CN", "alice")
        else:
            assert "validationDate" in str(refusal(body).issues[0].expression)

    @pytest.mark.parametrize(
        ("means", "accepted"),
        [
            ("PA", True),  # passport
            ("CN", True),  # national identity card
            ("CE", True),  # European identity card
            ("CS", True),  # residence permit
            ("AN", True),  # birth certificate
            ("LE", True),  # family booklet
            ("DC", True),  # foreign minor's travel document
            ("AC", True),  # birth certificate and carte Vitale with photo
            ("IE", True),  # eIDAS
            ("CC", False),  # carnet de circulation
            ("CM", False),  # military card
            ("PC", False),  # driving licence
            ("TC", False),  # somebody else's word
            (None, False),
        ],
    )
    def test_its_means_is_a_document_of_high_confidence(self, means: str | None, accepted: bool) -> None:
        body = claiming(patient(), reliability("VALI", TODAY, means))
        if accepted:
            assert written(body, None, writer()).identity.check == DocumentCheck(TODAY, str(means), "alice")
        else:
            error = refusal(body)
            assert isinstance(error, Unprocessable)
            assert "validationMode" in str(error.issues[0].expression)

    def test_a_claim_of_vali_never_qualifies_by_itself(self) -> None:
        body = claiming(patient(identifier=[ins_identifier()], meta={"profile": [PATIENT_PROFILE]}), CHECKED_TODAY)
        after = written(body, None, writer())
        assert after.identity.status is Status.VALIDEE
        assert matricules(read(after)) == []
        assert read(after)["meta"]["profile"] == [PATIENT_PROFILE]


class TestAttributes:
    @pytest.mark.parametrize("status", Status)
    @pytest.mark.parametrize("code", ["DOUT", "FICT"])
    def test_a_doubtful_or_fictitious_identity_loses_both_facts(self, status: Status, code: str) -> None:
        before = known(status)
        after = written(claiming(read(before), reliability(code)), before, writer())
        ended = (before.identity.check,) if before.identity.check else ()
        withdrawn = before.identity.obtained.numbers if before.identity.obtained else ()
        marks = frozenset({Attribute(code)})
        assert after.identity == Identity(attributes=marks, ended=ended, withdrawn=withdrawn)
        assert matricules(read(after)) == []

    @pytest.mark.parametrize("before", [None, known(Status.QUALIFIEE)])
    def test_never_both(self, before: Known | None) -> None:
        assert isinstance(refusal(claiming(patient(), reliability("DOUT"), reliability("FICT")), before), Unprocessable)

    @pytest.mark.parametrize("code", ["DOUT", "FICT"])
    def test_no_check_is_recorded_beside_them(self, code: str) -> None:
        after = written(claiming(patient(), CHECKED_TODAY, reliability(code)), None, writer())
        assert after.identity.status is Status.PROVISOIRE

    @pytest.mark.parametrize("status", Status)
    def test_homonyme_combines_with_every_status(self, status: Status) -> None:
        before = known(status)
        body = read(before)
        after = written({**body, "extension": [*body.get("extension", []), reliability("HOMA")]}, before, writer())
        assert after.identity == replace(before.identity, attributes=frozenset({Attribute.HOMONYME}))

    def test_they_stay_with_a_body_that_does_not_use_the_extension(self) -> None:
        before = Known(patient(), Identity(attributes=frozenset({Attribute.DOUTEUX})))
        assert written(patient(), before, writer()).identity == before.identity

    def test_they_go_with_a_body_that_uses_it_without_them(self) -> None:
        before = Known(patient(), Identity(attributes=frozenset({Attribute.DOUTEUX})))
        assert written(claiming(patient(), reliability("PROV")), before, writer()).identity == Identity()


def supplying(*numbers: str, body: Json | None = None) -> Json:
    return {**(body or patient()), "identifier": [ins_identifier(found) for found in numbers]}


class TestSuppliedNumbers:
    @pytest.mark.parametrize("oid", InsOid)
    def test_one_is_kept_and_not_conveyed(self, oid: InsOid) -> None:
        after = written(patient(identifier=[ins_identifier(system=f"urn:oid:{oid}")]), None, writer())
        assert after == Known(patient(), Identity(supplied=(number(ADRUN, oid),)))
        assert matricules(read(after)) == []
        assert matricules(read(after, reference=True)) == [ADRUN]

    @pytest.mark.parametrize(
        ("sent", "by", "kept"),
        [
            ([], writer(), [SOMEBODY_ELSE]),  # who does not see it does not erase it
            ([], REFERENCE, []),
            ([SOMEBODY_ELSE], REFERENCE, [SOMEBODY_ELSE]),
            ([ADRUN], writer(), [SOMEBODY_ELSE, ADRUN]),
            ([ADRUN], REFERENCE, [ADRUN]),
            ([ADRUN, SOMEBODY_ELSE, ADRUN], writer(), [SOMEBODY_ELSE, ADRUN]),
        ],
    )
    def test_an_update_replaces_what_its_writer_sees(self, sent: list[str], by: Any, kept: list[str]) -> None:
        before = Known(patient(), Identity(supplied=(number(),)))
        after = written(supplying(*sent) if sent else patient(), before, by)
        assert [str(found.matricule) for found in after.identity.supplied] == kept

    def test_another_one_beside_a_qualified_ins_is_refused(self) -> None:
        before = known(Status.QUALIFIEE)
        error = refusal(supplying(ADRUN, SOMEBODY_ELSE, body=read(before)), before)
        assert isinstance(error, Unprocessable)
        assert SOMEBODY_ELSE not in str(error)

    @pytest.mark.parametrize("status", [Status.RECUPEREE, Status.QUALIFIEE])
    def test_insi_s_own_sent_back_is_nothing_new(self, status: Status) -> None:
        before = known(status, about("ECETINSI", "PIERRE-ALAIN MURIEL FLORIANT"))
        body = supplying("109076322083489", "209076322083439", "209066322012355", body=plain(read(before)))
        kept = written(body, before, writer()).identity.supplied
        assert len(kept) == (0 if status is Status.QUALIFIEE else 3)  # who cannot see them is not told they are known
        assert written(body, before, REFERENCE).identity == before.identity

    @pytest.mark.parametrize("edit", EDITS)
    def test_insi_s_own_sent_back_with_an_edit_is_not_kept_either(self, edit: Any) -> None:
        before = known(Status.QUALIFIEE)
        assert written(edit(read(before)), before, writer()).identity == Identity(ended=(CHECK,), withdrawn=ZOE.numbers)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("275126322074975", "key"),
            ("2751263220749", "15 characters"),
            ("2 75 12 63 220 749 74", "15 characters"),
            ("27512632207497X", "digits"),
            ("975126322074974", "digits"),
            (None, "15 characters"),
        ],
    )
    def test_a_bad_one_is_refused_with_its_place_and_without_its_value(self, value: str | None, reason: str) -> None:
        bad = {"system": NIR, "value": value} if value else {"system": NIR}
        (issue,) = refusal(patient(identifier=[{"value": "7"}, bad])).issues
        assert (issue.code, issue.expression) == ("value", "Patient.identifier[1].value")
        assert reason in issue.text
        assert value is None or value not in issue.text

    def test_every_bad_one_is_told(self) -> None:
        issues = refusal(supplying("275126322074975", ADRUN, "1")).issues
        assert [issue.expression for issue in issues] == ["Patient.identifier[0].value", "Patient.identifier[2].value"]

    def test_a_wrong_key_may_be_let_through_by_configuration_and_a_bad_form_never(self) -> None:
        lax = writer(wrong_key_is_error=False)
        assert written(supplying("275126322074975"), None, lax).identity.supplied == (number("275126322074975"),)
        assert isinstance(refusal(supplying("2751263220749"), None, lax), Unprocessable)
        assert supplied_numbers(supplying("275126322074975"), wrong_key_is_error=False) == (number("275126322074975"),)

    @pytest.mark.parametrize("system", ["urn:oid:1.2.250.1.213.1.4.13", "urn:oid:1.2.250.1.213.1.4.14"])
    @pytest.mark.parametrize("value", [ADRUN, "275126322074975"])
    def test_a_social_security_number_is_an_identifier_like_others(self, system: str, value: str) -> None:
        body = patient(identifier=[{"use": "official", "system": system, "value": value}])
        assert written(body, None, writer()) == Known(body, Identity())


def addressed(body: Json, *values: str) -> Json:
    return {**body, "telecom": [{"system": "email", "value": value} for value in values]}


OWN = f"{ADRUN}@patient.mssante.fr"


class TestTheCitizenAddress:
    @pytest.mark.parametrize("value", [OWN, OWN.upper(), f"mailto:{OWN}"])
    def test_its_own_is_accepted_for_a_qualified_identity(self, value: str) -> None:
        before = known(Status.QUALIFIEE)
        after = written(addressed(read(before), value), before, writer())
        shown = forms(after.patient, after.identity, FR_CORE)
        assert shown.conveyed["telecom"] == [{"system": "email", "value": value}]
        assert shown.concealed is not None
        assert "telecom" not in shown.concealed

    @pytest.mark.parametrize("status", [Status.PROVISOIRE, Status.RECUPEREE, Status.VALIDEE])
    def test_none_is_for_any_other(self, status: Status) -> None:
        before = known(status)
        (issue,) = refusal(addressed(read(before), "zoe@example.org", OWN), before).issues
        assert issue.expression == "Patient.telecom[1].value"
        assert ADRUN not in issue.text

    @pytest.mark.parametrize("value", [f"{SOMEBODY_ELSE}@patient.mssante.fr", "zoe@patient.mssante.fr", f"2{OWN}"])
    def test_somebody_else_s_is_refused(self, value: str) -> None:
        before = known(Status.QUALIFIEE)
        assert isinstance(refusal(addressed(read(before), value), before), Unprocessable)

    @pytest.mark.parametrize("edit", EDITS)
    def test_it_goes_with_the_qualification(self, edit: Any) -> None:
        before = known(Status.QUALIFIEE)
        after = written(edit(addressed(read(before), OWN)), before, writer())
        assert "telecom" not in read(after)

    def test_a_create_has_none(self) -> None:
        assert isinstance(refusal(addressed(patient(), OWN)), Unprocessable)


class TestContradictions:
    @pytest.mark.parametrize(
        ("elements", "place"),
        [
            ({"name": [{**name("ADRUN", "ZOE")[0], "given": ["LEA"]}]}, "Patient.name[0].given"),
            ({"name": [{**name("ADRUN", "ZOE", "LOU")[0], "given": ["LOU"]}]}, "Patient.name[0].given"),
            ({"birthDate": "1950-02-03", "extension": [lunar("1936-00-00")]}, "Patient.birthDate"),
            ({"birthDate": "1936-05", "extension": [lunar("1936-00-00")]}, "Patient.birthDate"),
        ],
    )
    @pytest.mark.parametrize("before", [None, *map(known, Status)])
    def test_a_trait_said_twice_and_not_the_same_is_refused(
        self, before: Known | None, elements: Json, place: str
    ) -> None:
        (issue,) = refusal(patient(**elements), before).issues
        assert (issue.code, issue.expression) == ("business-rule", place)

    @pytest.mark.parametrize(
        "elements",
        [
            {"name": [{**name("ADRUN", "ZOE", "LOU")[0], "given": ["Zoé"]}]},
            {"name": [{**name("ADRUN", "ZOE", "LOU")[0], "given": ["ZOE", "LOU"]}]},
            {"name": [{**name("ADRUN", "ANNE LISE", "LOU")[0], "given": ["Anne-Lise"]}]},
            {"birthDate": "1936", "extension": [lunar("1936-00-00")]},
            {"birthDate": "1936-05", "extension": [lunar("1936-05-00")]},
        ],
    )
    def test_a_trait_said_twice_alike_is_accepted(self, elements: Json) -> None:
        assert written(patient(**elements), None, writer()).patient == patient(**elements)

    @pytest.mark.parametrize("code", ["PROV", "RECUP", "VALI", "QUAL"])
    def test_a_status_of_another_code_system_is_refused_rather_than_guessed(self, code: str) -> None:
        foreign = reliability(code)
        foreign["extension"][0]["valueCoding"]["system"] = "https://example.fr/statuses"
        (issue,) = refusal(patient(extension=[foreign])).issues
        assert issue.expression == "Patient.extension[0]"

    @pytest.mark.parametrize("code", ["RECUP", "QUAL"])
    def test_a_status_of_the_next_release_in_the_published_system_is_refused(self, code: str) -> None:
        (issue,) = refusal(patient(extension=[reliability(code)])).issues
        assert "fr-core-cs-identity-status" in issue.text

    def test_two_statuses_in_one_repetition_are_refused(self) -> None:
        twice = reliability("PROV")
        twice["extension"] += reliability("VALI")["extension"]
        assert isinstance(refusal(patient(extension=[twice])), Unprocessable)

    @pytest.mark.parametrize(
        "parts",
        [
            [coded("CV"), coded("INSI")],
            [coded("INSI", "urn:animals")],
            [{"url": "dateCollection", "valueDate": "2026-11-20"}] * 2,
        ],
    )
    def test_nor_is_it_guessed_whether_insi_was_asked(self, parts: list[Json]) -> None:
        said = reliability("PROV")
        said["extension"] += parts
        (issue,) = refusal(patient(extension=[said])).issues
        assert issue.expression == "Patient.extension[0]"


class TestWhereAMatriculeMayStand:
    @pytest.mark.parametrize("status", Status)
    @pytest.mark.parametrize("text", [ADRUN, SOMEBODY_ELSE, "2 75 12 63 220 749 74"])
    @pytest.mark.parametrize("by", [writer(), REFERENCE])
    def test_elsewhere_it_is_refused_whosever_it_is(self, by: Any, text: str, status: Status) -> None:
        before = known(status)
        (issue,) = refusal({**read(before), "address": [{"text": text}]}, before, by).issues
        assert issue.expression == "Patient.address[0].text"
        assert text not in issue.text

    def test_a_narrative_with_one_is_dropped(self) -> None:
        div = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
        spelling = {"status": "generated", "div": div.format(f"INS <b>{ADRUN}</b>")}
        silent = {"status": "generated", "div": div.format("Zoé")}
        assert written(patient(text=spelling), None, writer()).patient == patient()
        assert written(patient(text=silent), None, writer()).patient == patient(text=silent)


class TestAnAnswerOfInsi:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (Status.PROVISOIRE, Status.RECUPEREE),
            (Status.RECUPEREE, Status.RECUPEREE),
            (Status.VALIDEE, Status.QUALIFIEE),
            (Status.QUALIFIEE, Status.QUALIFIEE),
        ],
    )
    def test_of_the_same_traits_keeps_the_check(self, before: Status, after: Status) -> None:
        attached_to = attached(known(before), ZOE)
        assert attached_to.identity.status is after
        assert attached_to.identity.obtained == ZOE

    @pytest.mark.parametrize("edit", EDITS[:5])
    def test_of_other_traits_is_not_what_was_checked(self, edit: Any) -> None:
        checked = known(Status.VALIDEE)
        other = Known(edit(checked.patient), checked.identity)
        assert attached(other, ZOE).identity == Identity(obtained=ZOE, ended=(CHECK,))
        assert read(attached(other, ZOE))["name"] == name("ADRUN", "ZOE")

    def test_that_only_completes_the_given_names_keeps_the_check(self) -> None:
        answer = about("NESSI", "MICHELANGELO ANTHONY")
        checked = patient(
            name=[{"use": "official", "family": "Nessi", "given": ["Michelangelo"]}],
            gender="male",
            birthDate="2010-08-07",
        )
        after = attached(Known(checked, Identity(check=CHECK)), answer)
        assert after.identity.status is Status.QUALIFIEE
        assert after.patient["name"] == name("NESSI", "MICHELANGELO", "ANTHONY")

    def test_shows_a_supplied_number_it_confirms_once(self) -> None:
        before = Known(patient(), Identity(supplied=(number(ADRUN), number())))
        after = attached(before, ZOE)
        reference = forms(after.patient, after.identity, FR_CORE).reference
        assert reference
        assert sorted(matricules(reference)) == sorted([ADRUN, SOMEBODY_ELSE])


@pytest.mark.parametrize("status", Status)
def test_a_refused_write_changes_nothing_that_was_known(status: Status) -> None:
    before = known(status)
    copy = deepcopy(before)
    body = claiming(gender_edited(read(before)), reliability("DOUT"), reliability("FICT"))
    sent = deepcopy(body)
    refusal(body, before)
    assert (before, body) == (copy, sent)
