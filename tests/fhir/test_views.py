"""`_summary` and `_elements`. https://hl7.org/fhir/R4/search.html#summary, #elements"""

import copy
import json
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.places import Place, children_of, property_of
from fhir_ins.fhir.structure import choice_property, resource_types, validate
from fhir_ins.fhir.views import SUBSETTED, summarised, with_elements

EXAMPLES = sorted((Path(__file__).parents[2] / "profiles" / "examples").glob("*.json"))
MODES = ("true", "text", "data")
TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
META = {"tag": [TAG]}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Marie</div>'}
EXTENSION = {"url": "http://example.org/e", "valueCode": "x"}
FRENCH = {"language": {"text": "français"}}

# Every element of Patient with a value, and whether it is in the summary: the Σ of
# https://hl7.org/fhir/R4/patient.html and of its bases. A modifier is kept without one.
SUMMARY_OF_PATIENT = [
    ("id", "pat-1", True),
    ("implicitRules", "http://example.org/rules", True),
    ("language", "fr", False),
    ("text", NARRATIVE, False),
    ("contained", [{"resourceType": "Organization", "id": "org", "name": "Clinique"}], False),
    ("extension", [EXTENSION], False),
    ("modifierExtension", [EXTENSION], True),
    ("identifier", [{"system": "urn:oid:1.2.3", "value": "42"}], True),
    ("active", False, True),
    ("name", [{"family": "DURAND", "_family": {"extension": [EXTENSION]}, "given": ["Marie"]}], True),
    ("telecom", [{"system": "phone", "value": "1"}], True),
    ("gender", "female", True),
    ("birthDate", "1985-02", True),
    ("_birthDate", {"extension": [EXTENSION]}, True),
    ("deceasedBoolean", False, True),
    ("address", [{"city": "Lyon"}], True),
    ("maritalStatus", {"text": "x"}, False),
    ("multipleBirthInteger", 2, False),
    ("photo", [{"contentType": "image/png", "data": "AAAA"}], False),
    ("contact", [{"gender": "male", "organization": {"reference": "#org"}}], False),
    ("communication", [FRENCH], False),
    ("generalPractitioner", [{"display": "x"}], False),
    ("managingOrganization", {"display": "x"}, True),
    ("link", [{"other": {"reference": "Patient/2"}, "type": "replaced-by"}], True),
]
PATIENT = {"resourceType": "Patient", **{name: value for name, value, _ in SUMMARY_OF_PATIENT}}

ATTACHED = {
    "resourceType": "DocumentReference",
    "status": "current",
    "content": [{"attachment": {"contentType": "image/png", "data": "AAAA", "size": 3}}],
}
PROVENANCE = {
    "resourceType": "Provenance",
    "contained": [
        {"resourceType": "PractitionerRole", "id": "role", "organization": {"reference": "#org"}},
        {"resourceType": "Organization", "id": "org", "name": "Clinique", "text": NARRATIVE},
        {"resourceType": "Location", "id": "place", "name": "x"},
    ],
    "target": [{"reference": "Patient/1"}],
    "recorded": "2026-11-01T09:30:10.123+01:00",
    "location": {"reference": "#place"},
    "agent": [{"who": {"reference": "#role"}, "role": [{"text": "x"}]}],
}  # fmt: skip
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"fullUrl": "http://example.org/fhir/Patient/pat-1", "resource": PATIENT}],
}
WHOLES = {
    "a Patient": PATIENT,
    "attached data": ATTACHED,
    "a Provenance": PROVENANCE,
    "a Bundle": BUNDLE,
    "Parameters": {
        "resourceType": "Parameters",
        "parameter": [{"name": "p", "part": [{"name": "q", "resource": PATIENT}]}],
    },
} | {path.stem: parse(path.read_bytes()) for path in EXAMPLES}

views = pytest.mark.parametrize("view", [lambda r, mode=mode: summarised(r, mode) for mode in MODES], ids=MODES)
wholes = pytest.mark.parametrize("whole", WHOLES.values(), ids=WHOLES)


def patient(**elements):
    return {"resourceType": "Patient", **elements}


def part_of(part, whole):
    """Whether `part` holds nothing that `whole` does not, in the same order, but for the tag SUBSETTED."""
    if isinstance(part, dict):
        if "resourceType" in part and "meta" in part:
            part = part | {"meta": untagged(part["meta"])}
            whole = {"meta": {}} | whole
        return all(name in whole and part_of(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        rest = iter(whole)
        return all(any(part_of(item, other) for other in rest) for item in part)
    return part == whole and type(part) is type(whole)


def untagged(meta):
    tags = [tag for tag in meta.get("tag", ()) if tag != TAG]
    return {name: value for name, value in meta.items() if name != "tag"} | ({"tag": tags} if tags else {})


def test_the_patients_are_whole():
    stems = {name.removesuffix("[x]") for name in children_of(Place("Patient"))} - {"meta"}
    place = Place("Patient")
    shown = {property_of(place, name.removeprefix("_")).element for name in PATIENT if name != "resourceType"}
    assert {name.removesuffix("[x]") for name in shown} == stems
    assert validate(PATIENT) == []


@pytest.mark.parametrize(("name", "value", "kept"), SUMMARY_OF_PATIENT, ids=[row[0] for row in SUMMARY_OF_PATIENT])
def test_a_summary_holds_the_summary_elements(name, value, kept):
    summary = summarised(patient(**{name: value}), "true")
    assert summary == patient(**({name: value} if kept else {}), meta=META)


def test_a_text_summary_holds_the_narrative_and_what_is_mandatory_or_modifies():
    shown = {"implicitRules", "modifierExtension", "active", "deceasedBoolean", "link"}
    always = {"resourceType", "id", "meta", "text"}
    assert summarised(PATIENT, "text").keys() == always | shown
    assert summarised(ATTACHED | {"description": "x"}, "text") == ATTACHED | {"meta": META}


def test_a_data_summary_lacks_the_narrative_only():
    expected = {name: value for name, value in PATIENT.items() if name != "text"}
    assert summarised(PATIENT, "data") == expected | {"meta": META}


def test_no_narrative_of_a_contained_resource_is_data():
    assert "text" not in json.dumps(summarised(PROVENANCE, "data")["contained"][1])
    assert len(summarised(PROVENANCE, "data")["contained"]) == 3


@pytest.mark.parametrize("mode", ["false", "count", "", "TRUE"])
def test_another_mode_is_refused(mode):
    with pytest.raises(BadRequest, match="true, text and data"):
        summarised(PATIENT, mode)


def test_a_datatype_is_whole_but_for_its_elements_outside_the_summary():
    attachment = summarised(ATTACHED, "true")["content"][0]["attachment"]
    assert attachment == {"contentType": "image/png", "size": 3}


def test_a_backbone_element_keeps_its_summary_elements_only():
    encounter = {
        "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "participant": [{"type": [{"text": "x"}], "individual": {"display": "y"}, "extension": [EXTENSION],
                         "modifierExtension": [EXTENSION]}],
        "diagnosis": [{"condition": {"display": "c"}, "rank": 1}],
        "location": [{"location": {"display": "l"}}],
    }  # fmt: skip
    summary = summarised(encounter, "true")
    participant = {"type": [{"text": "x"}], "individual": {"display": "y"}, "modifierExtension": [EXTENSION]}
    assert summary["participant"] == [participant]
    assert summary["diagnosis"] == [{"condition": {"display": "c"}}]
    assert "location" not in summary


def test_mandatory_elements_are_in_a_summary_even_without_their_flag():
    assert summarised(PROVENANCE, "true")["agent"] == [{"who": {"reference": "#role"}}]


def test_an_element_whose_summary_is_empty_is_left_out():
    synthesis = {"resourceType": "EffectEvidenceSynthesis", "effectEstimate": [{"description": "x"}]}
    assert "effectEstimate" not in summarised(synthesis, "true")


def test_a_mandatory_element_whose_summary_is_empty_is_whole():
    unknown = {"_data": {"extension": [EXTENSION]}}
    document = {"resourceType": "DocumentReference", "content": [{"attachment": unknown}]}
    assert summarised(document, "true")["content"] == [{"attachment": unknown}]


@pytest.mark.parametrize(
    ("view", "kept"),
    [
        (lambda: summarised(PROVENANCE, "true"), ["role", "org"]),
        (lambda: with_elements(PROVENANCE, ["location"]), ["role", "org", "place"]),
        (lambda: with_elements(PATIENT, ["contact"]), ["org"]),
        (lambda: with_elements(PATIENT, ["contained"]), ["org"]),
        (lambda: with_elements(PATIENT, ["name"]), []),
    ],
)
def test_contained_resources_are_those_that_the_view_refers_to(view, kept):
    assert [contained["id"] for contained in view().get("contained", ())] == kept


def test_resources_in_a_bundle_are_seen_in_their_own_summary():
    for mode in ("true", "data"):
        assert summarised(BUNDLE, mode)["entry"][0]["resource"] == summarised(PATIENT, mode)
    assert with_elements(BUNDLE, ["entry"]) == BUNDLE | {"meta": META}
    assert "entry" not in summarised(BUNDLE, "text")


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["birthDate"], {"birthDate", "_birthDate"}),
        (["name", "photo", "name"], {"name", "photo"}),
        (["multipleBirth"], {"multipleBirthInteger"}),
        (["multipleBirth[x]"], {"multipleBirthInteger"}),
        (["text", "language"], {"text", "language"}),
        (["id", "meta"], set()),
        ([], set()),
    ],
)
def test_the_elements_asked_for_are_shown_besides_mandatory_and_modifier_elements(names, shown):
    always = {"resourceType", "id", "meta", "implicitRules", "modifierExtension", "active", "deceasedBoolean", "link"}
    assert with_elements(PATIENT, names).keys() == always | shown


def test_mandatory_elements_are_shown_unasked():
    assert with_elements(ATTACHED | {"description": "x"}, []) == ATTACHED | {"meta": META}


@pytest.mark.parametrize(
    "name",
    ["brithDate", "name.family", "Patient.name", "multipleBirthInteger", "_birthDate", "name[x]", ""],
)
def test_an_unknown_element_is_refused_with_those_there_are(name):
    with pytest.raises(BadRequest, match=r"Name 2 of _elements .* Use active, address, birthDate, ") as refusal:
        with_elements(PATIENT, ["gender", name])
    assert refusal.value.issues[0].code == "value"


def test_a_refusal_does_not_quote_what_was_sent():
    with pytest.raises(BadRequest) as refusal:
        with_elements(PATIENT, ["DURAND"])
    assert "DURAND" not in str(refusal.value)


def test_the_tag_joins_those_there_are_and_comes_once():
    other = {"system": "http://example.org", "code": "SUBSETTED"}
    meta = {"versionId": "3", "tag": [other]}
    once = with_elements(patient(meta=meta), [])
    assert once["meta"] == {"versionId": "3", "tag": [other, TAG]}
    assert with_elements(once, []) == once
    shown = {"tag": [TAG | {"display": "subsetted"}]}
    assert with_elements(patient(meta=shown), [])["meta"] == shown


def test_a_new_meta_stands_after_the_id():
    assert list(summarised(patient(id="a", gender="male"), "true")) == ["resourceType", "id", "meta", "gender"]


@wholes
@views
def test_a_summary_is_a_part_well_formed_tagged_and_settled(view, whole):
    given_ = copy.deepcopy(whole)
    seen = view(whole)
    assert whole == given_
    assert part_of(seen, whole)
    assert SUBSETTED in seen["meta"]["tag"]
    assert view(seen) == seen


@views
@pytest.mark.parametrize("whole", [PATIENT, ATTACHED, PROVENANCE, BUNDLE], ids=lambda whole: whole["resourceType"])
def test_a_view_of_a_well_formed_resource_is_well_formed(view, whole):
    assert validate(whole) == []
    assert validate(view(whole)) == []
    get_fhir_model_class(whole["resourceType"]).model_validate_json(json.dumps(view(whole)))


@settings(deadline=None, max_examples=150)
@given(
    st.sets(st.sampled_from([row[0] for row in SUMMARY_OF_PATIENT])),
    st.lists(st.sampled_from(sorted(children_of(Place("Patient"))))),
)
def test_any_view_of_any_patient_is_a_part_well_formed_and_settled(present, names):
    whole = patient(**{name: value for name, value, _ in SUMMARY_OF_PATIENT if name in present})
    if "contained" in present or "contact" in present:
        whole |= {name: PATIENT[name] for name in ("contained", "contact")}
    seen = with_elements(whole, names)
    assert part_of(seen, whole)
    assert with_elements(seen, names) == seen
    assert seen.keys() >= {"meta"} | whole.keys() & {"id", "active", "link"}
    if "contained" not in names:
        assert validate(seen) == []
    for mode in MODES:
        assert part_of(summarised(whole, mode), whole)
        assert validate(summarised(whole, mode)) == []


@pytest.mark.parametrize("type_", sorted(resource_types()))
def test_what_is_mandatory_or_modifies_is_in_every_view(type_):
    whole = {"resourceType": type_}
    for name, element in children_of(Place(type_)).items():
        if {"min", "modifier"} & element.keys():
            stem = name.removesuffix("[x]")
            whole["_" + (name if stem == name else choice_property(stem, element["types"][0]))] = {"id": "a"}
    assert all(summarised(whole, mode) == whole | {"meta": META} for mode in MODES)
    assert with_elements(whole, []) == whole | {"meta": META}
