"""FHIRPath Patch: https://hl7.org/fhir/R4/fhirpatch.html on resources, each rule and each error."""

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from fhirpathpy import evaluate
from fhirpathpy.models import models
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir import patch_location
from fhir_ins.fhir.element_tree import tree_of
from fhir_ins.fhir.fhirpath_patch import PARTS, fhirpath_patched
from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.outcome import FhirError
from fhir_ins.fhir.patch_location import Location
from fhir_ins.fhir.patch_path import parse_path
from fhir_ins.fhir.patching import MOST_OPERATIONS
from fhir_ins.fhir.structure import validate

Json = dict[str, Any]

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}],
    "active": True,
    "name": [
        {"use": "official", "family": "DURAND", "given": ["Marie", "Anne"], "_given": [None, {"id": "second"}]},
        {"use": "usual", "family": "MARTIN"},
    ],
    "birthDate": "1975-12-31",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1975-12-31T10:00:00+01:00"}]},
    "deceasedBoolean": False,
    "contact": [{"gender": "male", "name": {"text": "X"}, "period": {"start": "2012"}}],
    "extension": [{"url": "urn:e", "valueString": "one"}, {"url": "urn:f", "valueString": "two"}],
}


def part(name: str, **value: Any) -> Json:
    return {"name": name, **value}


def operation(type_: str, path: str | None = None, *parts: Json, **value: Any) -> Json:
    """One operation; `value` becomes its last part."""
    sent = [part("type", valueCode=type_)]
    sent += [part("path", valueString=path)] if path else []
    return part("operation", part=[*sent, *parts, *([part("value", **value)] if value else [])])


def add(path: str, name: str, **value: Any) -> Json:
    return operation("add", path, part("name", valueString=name), **value)


def insert(path: str, index: int, **value: Any) -> Json:
    return operation("insert", path, part("index", valueInteger=index), **value)


def delete(path: str) -> Json:
    return operation("delete", path)


def replace(path: str, **value: Any) -> Json:
    return operation("replace", path, **value)


def move(path: str, source: int, destination: int) -> Json:
    return operation("move", path, part("source", valueInteger=source), part("destination", valueInteger=destination))


def patched(resource: Json, *operations: Json) -> Json:
    return fhirpath_patched(resource, {"resourceType": "Parameters", "parameter": list(operations)})


def refused(resource: Json, *operations: Json) -> FhirError:
    with pytest.raises(FhirError) as error:
        patched(resource, *operations)
    assert not {"DURAND", "MARTIN", "1975"} & set(str(error.value).replace("'", " ").split())
    assert len(error.value.issues) == 1
    return error.value


# What an operation does to the members of the patient it names
TYPE = {"coding": [{"code": "x"}]}
APPLIED = [
    ("a list begins", add("Patient", "photo", valueAttachment={"title": "x"}), {"photo": [{"title": "x"}]}),
    (
        "a list grows",
        add("Patient", "extension", part=[part("url", valueUri="urn:g"), part("value", valueString="three")]),
        {"extension": [*PATIENT["extension"], {"url": "urn:g", "valueString": "three"}]},
    ),
    ("a primitive", add("Patient", "gender", valueCode="female"), {"gender": "female"}),
    (
        "a primitive with an extension",
        add(
            "Patient",
            "gender",
            valueCode="female",
            _valueCode={"extension": [{"url": "urn:x", "valueBoolean": True}]},
        ),
        {"gender": "female", "_gender": {"extension": [{"url": "urn:x", "valueBoolean": True}]}},
    ),
    (
        "only the extension of a primitive",
        add(
            "Patient",
            "gender",
            part=[part("extension", part=[part("url", valueUri="urn:x"), part("value", valueCode="masked")])],
        ),
        {"_gender": {"extension": [{"url": "urn:x", "valueCode": "masked"}]}},
    ),
    (
        "an extension of a primitive",
        add("Patient.active", "extension", part=[part("url", valueUri="urn:x"), part("value", valueCode="c")]),
        {"_active": {"extension": [{"url": "urn:x", "valueCode": "c"}]}},
    ),
    (
        "an item of a repeating primitive",
        add("Patient.name[1]", "given", valueString="Zoé"),
        {"name": [PATIENT["name"][0], {"use": "usual", "family": "MARTIN", "given": ["Zoé"]}]},
    ),
    (
        "an anonymous type",
        add(
            "Patient",
            "contact",
            part=[
                part("relationship", valueCodeableConcept=TYPE),
                part("relationship", valueCodeableConcept={"text": "y"}),
                part("name", part=[part("family", valueString="F"), part("given", valueString="G")]),
            ],
        ),
        {
            "contact": [
                *PATIENT["contact"],
                {"relationship": [TYPE, {"text": "y"}], "name": {"family": "F", "given": ["G"]}},
            ]
        },
    ),
    (
        "extensions in an extension",
        add(
            "Patient",
            "extension",
            part=[
                part("extension", part=[part("url", valueUri="a"), part("value", valueCode="1")]),
                part("extension", part=[part("url", valueUri="b"), part("value", valueReference={"display": "2"})]),
                part("url", valueUri="urn:g"),
            ],
        ),
        {
            "extension": [
                *PATIENT["extension"],
                {
                    "extension": [{"url": "a", "valueCode": "1"}, {"url": "b", "valueReference": {"display": "2"}}],
                    "url": "urn:g",
                },
            ]
        },
    ),
    ("a choice", add("Patient", "multipleBirth", valueInteger=2), {"multipleBirthInteger": 2}),
    ("a choice by its type", add("Patient", "multipleBirthBoolean", valueBoolean=True), {"multipleBirthBoolean": True}),
    (
        "a date where a dateTime may be",
        add("Patient.contact[0].period", "end", valueDate="2020-01-01"),
        {"contact": [{**PATIENT["contact"][0], "period": {"start": "2012", "end": "2020-01-01"}}]},
    ),
    (
        "the first place of a list",
        insert("Patient.identifier", 0, valueIdentifier={"value": "0"}),
        {"identifier": [{"value": "0"}, *PATIENT["identifier"]]},
    ),
    (
        "the end of a list",
        insert("Patient.identifier", 2, valueIdentifier={"value": "3"}),
        {"identifier": [*PATIENT["identifier"], {"value": "3"}]},
    ),
    (
        "into a repeating primitive",
        insert("Patient.name[0].given", 1, valueString="Zoé"),
        {
            "name": [
                {
                    **PATIENT["name"][0],
                    "given": ["Marie", "Zoé", "Anne"],
                    "_given": [None, None, {"id": "second"}],
                },
                PATIENT["name"][1],
            ]
        },
    ),
    ("an element", delete("Patient.active"), {"active": None}),
    ("a primitive with its extensions", delete("Patient.birthDate"), {"birthDate": None, "_birthDate": None}),
    ("the extension of a primitive", delete("Patient.birthDate.extension('urn:time')"), {"_birthDate": None}),
    ("what is not there", delete("Patient.maritalStatus.coding[3]"), {}),
    (
        "an item of a repeating primitive, with its sibling",
        delete("Patient.name[0].given[1]"),
        {"name": [{"use": "official", "family": "DURAND", "given": ["Marie"]}, PATIENT["name"][1]]},
    ),
    (
        "and the sibling stays with its primitive",
        delete("Patient.name[0].given[0]"),
        {"name": [{**PATIENT["name"][0], "given": ["Anne"], "_given": [{"id": "second"}]}, PATIENT["name"][1]]},
    ),
    ("a choice, deleted", delete("Patient.deceased"), {"deceasedBoolean": None}),
    ("a choice, deleted by its type", delete("Patient.deceasedBoolean"), {"deceasedBoolean": None}),
    (
        "a value and its extensions",
        replace("Patient.birthDate", valueDate="1980"),
        {"birthDate": "1980", "_birthDate": None},
    ),
    (
        "a choice by another type",
        replace("Patient.deceased", valueDateTime="2020"),
        {"deceasedBoolean": None, "deceasedDateTime": "2020"},
    ),
    (
        "an item of a list",
        replace("Patient.name[1].family", valueString="N"),
        {"name": [PATIENT["name"][0], {"use": "usual", "family": "N"}]},
    ),
    (
        "the value of an extension",
        replace("Patient.extension('urn:f').value", valueInteger=2),
        {"extension": [PATIENT["extension"][0], {"url": "urn:f", "valueInteger": 2}]},
    ),
    (
        "an anonymous type by parts",
        replace("Patient.contact[0]", part=[part("telecom", valueContactPoint={"use": "home"})]),
        {"contact": [{"telecom": [{"use": "home"}]}]},
    ),
    ("to the end", move("Patient.identifier", 0, 1), {"identifier": PATIENT["identifier"][::-1]}),
    ("to where it is", move("Patient.identifier", 1, 1), {}),
    (
        "a primitive with its sibling",
        move("Patient.name[0].given", 1, 0),
        {
            "name": [
                {**PATIENT["name"][0], "given": ["Anne", "Marie"], "_given": [{"id": "second"}, None]},
                PATIENT["name"][1],
            ]
        },
    ),
]


@pytest.mark.parametrize(("sent", "changes"), [row[1:] for row in APPLIED], ids=[row[0] for row in APPLIED])
def test_an_operation_changes_what_it_names(sent, changes):
    after = {name: value for name, value in (PATIENT | changes).items() if value is not None}
    outcome = patched(PATIENT, sent)
    assert outcome == after
    assert not validate(outcome)


# Each with the element it names; the operation replaces its family or its value
LEADS = [
    ("Patient.name[0].family", ("name", 0)),
    ("name[1].family", ("name", 1)),
    ("%resource.name.skip(1).family", ("name", 1)),
    ("$this.name.take(1).family", ("name", 0)),
    ("Patient . name [ 0 ] . `family`", ("name", 0)),
    ("Patient.name.where(use = 'official').family", ("name", 0)),
    ("Patient.name.where('usual' = use).family", ("name", 1)),
    ("Patient.name.where(use != 'usual').family", ("name", 0)),
    ("Patient.name.where($this.use='official' and family = 'DURAND').family", ("name", 0)),
    ("Patient.name.where(use = 'old' or family = 'MARTIN').family", ("name", 1)),
    ("Patient.name.where(use = 'usual' or use = 'old' and family = 'x').family", ("name", 1)),
    ("Patient.name.where((use = 'old' or use = 'usual') and family.exists()).family", ("name", 1)),
    ("Patient.name.where(given.exists()).family", ("name", 0)),
    ("Patient.name.where(given.exists($this = 'Anne')).family", ("name", 0)),
    ("Patient.name.where(given.empty()).family", ("name", 1)),
    ("Patient.name.where(given.exists().not()).family", ("name", 1)),
    ("Patient.name.where(given[1] = 'Anne').family", ("name", 0)),
    ("Patient.name.where(family.startsWith('MA')).family", ("name", 1)),
    ("Patient.name.where(family.endsWith('AND')).family", ("name", 0)),
    ("Patient.name.where(family.contains('RAN')).family", ("name", 0)),
    ("Patient.name.where(%resource.active).family.first()", ("name", 0)),
    ("Patient.name.where(%resource.active = true and use = 'usual').family", ("name", 1)),
    ("Patient.name.family.where($this = 'MARTIN')", ("name", 1)),
    ("Patient.name.first().family", ("name", 0)),
    ("Patient.name.last().family", ("name", 1)),
    ("Patient.name.tail().single().family", ("name", 1)),
    ("(Patient.name)[1].family", ("name", 1)),
    ("Patient.name.ofType(HumanName)[1].family", ("name", 1)),
    ("Patient.extension('urn:e').value", ("extension", 0)),
    ("Patient.extension.where(url = 'urn:f').value", ("extension", 1)),
    ("Patient.extension.where(url='urn:f').valueString", ("extension", 1)),
    ("Patient.extension.value.ofType(string)[1]", ("extension", 1)),
    ("Patient.extension.value.as(FHIR.string).first()", ("extension", 0)),
    ("(Patient.extension[1].value as string)", ("extension", 1)),
    ("Patient.extension.where(value.hasValue() and value = '\\u0074w\\o').value", ("extension", 1)),
    ("Patient.extension.where(value = 'two' and ('a' = 'a')).value", ("extension", 1)),
]


@pytest.mark.parametrize(("path", "place"), LEADS)
def test_a_path_leads_to_one_element(path, place):
    name, index = place
    changed = deepcopy(PATIENT)
    changed[name][index]["family" if name == "name" else "valueString"] = "new"
    assert patched(PATIENT, replace(path, valueString="new")) == changed


# What the full engine does not offer: $this at the start, hasValue(), as() of several elements
OURS_ALONE = ("$this.name", "hasValue()", ".as(")


@pytest.mark.parametrize("path", [path for path, _ in LEADS if not any(ours in path for ours in OURS_ALONE)])
def test_the_full_engine_finds_the_same(path):
    found = Location(tree_of(PATIENT)).elements(parse_path(path))
    assert [element.value for element in found] == evaluate(PATIENT, path, {"resource": PATIENT}, models["r4"])


def test_numbers_are_compared_by_value():
    observation = parse(
        b'{"resourceType":"Observation","status":"final","code":{"text":"c"},"component":['
        b'{"code":{"text":"d"},"valueQuantity":{"value":72.50}},{"code":{"text":"e"},"valueInteger":72}]}'
    )
    for equal, index in (("value.ofType(Quantity).value = 72.5", 0), ("(value as integer) = 72.00", 1)):
        outcome = patched(observation, replace(f"Observation.component.where({equal}).code.text", valueString="new"))
        assert outcome["component"][index]["code"] == {"text": "new"}
        assert b"72.50" in serialise(outcome)


def test_operations_see_what_those_before_them_did():
    telecom = [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}]
    outcome = patched(
        PATIENT,
        *(add("Patient", "telecom", valueContactPoint=point) for point in telecom),
        delete("Patient.telecom[0]"),
        replace("Patient.telecom[0].value", valueString="3"),
    )
    assert outcome["telecom"] == [{"system": "email", "value": "3"}]


def test_parents_left_without_anything_go_too():
    only = {"resourceType": "Patient", "contact": [{"name": {"text": "X"}}]}
    assert patched(only, delete("Patient.contact.name.text")) == {"resourceType": "Patient"}
    lone = {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}}
    assert patched(lone, delete("Patient.birthDate.extension.value")) == {
        "resourceType": "Patient",
        "_birthDate": {"extension": [{"url": "urn:x"}]},
    }
    assert patched(lone, delete("Patient.birthDate.extension")) == {"resourceType": "Patient"}


def test_a_contained_resource_and_its_reference_are_added_together():
    organisation = {"resourceType": "Organization", "id": "o", "name": "O"}
    outcome = patched(
        PATIENT,
        add("Patient", "generalPractitioner", valueReference={"reference": "#o"}),
        add("Patient", "contained", resource=organisation),
        replace("Patient.contained.where(id = 'o').name", valueString="P"),
    )
    assert outcome == {**PATIENT, "contained": [{**organisation, "name": "P"}]} | {
        "generalPractitioner": [{"reference": "#o"}]
    }
    assert not validate(outcome)


def test_number_literals_survive():
    dose = b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},'
    dose += b'{"name":"path","valueString":"MedicationStatement"},{"name":"name","valueString":"dosage"},'
    dose += b'{"name":"value","valueDosage":{"doseAndRate":[{"doseQuantity":{"value":1.50}}]}}]}]}'
    before = {
        "resourceType": "MedicationStatement",
        "status": "active",
        "medicationCodeableConcept": {"text": "m"},
        "subject": {"display": "s"},
    }
    outcome = fhirpath_patched(before, parse(dose))
    assert b'"dosage":[{"doseAndRate":[{"doseQuantity":{"value":1.50}}]}]' in serialise(outcome)


# What cannot be read

TYPE_PART, PATH_PART = part("type", valueCode="replace"), part("path", valueString="Patient.active")
VALUE_PART = part("value", valueBoolean=False)
UNREADABLE = [
    ({"name": "operations"}, "", "exactly one"),
    ({"name": "Operation", "part": [TYPE_PART, PATH_PART, VALUE_PART]}, "", "named “operation”"),
    ({"name": "operation", "valueString": "replace"}, "", "needs the part type"),
    (part("operation", part=[PATH_PART, VALUE_PART]), "", "needs the part type"),
    (part("operation", part=[part("type", valueCode="update"), PATH_PART]), ".part[0]", "Use add, insert"),
    (part("operation", part=[part("type", valueInteger=1), PATH_PART]), ".part[0]", "holds a string"),
    (part("operation", part=[TYPE_PART, VALUE_PART]), "", "needs the part path"),
    (part("operation", part=[TYPE_PART, PATH_PART]), "", "needs the part value"),
    (operation("insert", "Patient.name", valueHumanName={"text": "x"}), "", "needs the part index"),
    (operation("add", "Patient", valueHumanName={"text": "x"}), "", "needs the part name"),
    (operation("move", "Patient.name", part("source", valueInteger=0)), "", "needs the part destination"),
    (operation("move", "Patient.name", part("destination", valueInteger=0)), "", "needs the part source"),
    (part("operation", part=[TYPE_PART, PATH_PART, VALUE_PART, PATH_PART]), ".part[3]", "already"),
    (operation("delete", "Patient.active", valueBoolean=True), ".part[2]", "Remove this one"),
    (part("operation", part=[TYPE_PART, PATH_PART, VALUE_PART, {**VALUE_PART, "name": "Value"}]), ".part[3]", "Remove"),
    (insert("Patient.name", -1, valueHumanName={"text": "x"}), ".part[2]", "from 0"),
    (operation("insert", "Patient.name", part("index", valueString="0"), valueId="x"), ".part[2]", "whole number"),
    (part("operation", part=[TYPE_PART, part("path", valueInteger=1), VALUE_PART]), ".part[1]", "valueString"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "place", "text"), UNREADABLE)
def test_what_cannot_be_read_is_a_bad_request(sent, place, text):
    """Also when an operation before it does not apply."""
    error = refused(PATIENT, replace("Patient.photo", valueAttachment={"title": "x"}), sent)
    assert error.status == 400
    assert text in str(error)
    assert error.issues[0].expression == f"Parameters.parameter[1]{place}"


PATHS = [
    ("Patient..name", "Character 9"),
    ("Patient.name[", "ends too early"),
    ("Patient.name]", "Character 13"),
    ("Patient.name.where(use = 'official'", "ends too early"),
    ("Patient.name.where(use = 'DURAND)", "Character 26"),
    ("Patient.name.where()", "needs a criterion"),
    ("Patient.name.first(1)", "takes nothing"),
    ("Patient.name[1.5]", "whole number"),
    ("Patient.name[9999999999]", "whole number"),
    ("Patient.name[-1]", "Character 14"),
    ("Patient.name[use]", "Character 14"),
    ("Patient.name | Patient.contact", "Character 14"),
    ("Patient.name.given + 'DURAND'", "Character 20"),
    ("Patient.name where", "Character 14"),
    ("Patient.birthDate > @1975", "Character 19"),
    ("Patient.managingOrganization.resolve().name", "not offered"),
    ("Patient.descendants()", "not offered"),
    ("Patient.repeat(contact)", "not offered"),
    ("Patient.name.family.matches('(D+)+$')", "not offered"),
    ("%context.name", "not offered"),
    ("Patient.name.ofType(Humane)", "no type"),
    ("Patient.name.ofType('HumanName')", "Character 21"),
    ("Patient.name.skip('DURAND')", "Character 19"),
    ("Patient.name.skip(1.0)", "whole number"),
    ("Patient.name.where(family.contains(1)).family", "Character 36"),
    ("Patient.name.where(family.contains(use)).family", "Character 36"),
    ("Patient.name.exists()", "gives a value"),
    ("Patient.name.family.startsWith('D')", "gives a value"),
    ("Patient.active = true", "gives a value"),
    ("'DURAND'", "gives a value"),
    ("true", "gives a value"),
    ("()", "Character 2"),
    ("(" * 17 + "Patient" + ")" * 17, "parentheses"),
    ("Patient" + ".extension" * 65, "64 steps"),
    ("Patient.name.where(family = '" + "x" * 1000 + "')", "1000 characters"),
]


@pytest.mark.parametrize(("path", "text"), PATHS)
def test_a_path_that_is_none_is_a_bad_request(path, text):
    error = refused(PATIENT, replace("Patient.gender", valueCode="male"), replace(path, valueString="x"))
    assert (error.status, error.issues[0].expression) == (400, "Parameters.parameter[1].part[1]")
    assert text in str(error)


def test_a_patch_is_parameters_that_are_valid():
    for parameters, text in (
        ({"resourceType": "Patient"}, "is a Parameters"),
        ({}, "is a Parameters"),
        ({"resourceType": "Parameters", "parameter": [{"part": []}]}, "array is empty"),
        ({"resourceType": "Parameters", "parameter": [{"name": "operation", "valueX": 1}]}, "valueX"),
    ):
        with pytest.raises(FhirError, match=text) as error:
            fhirpath_patched(PATIENT, parameters)
        assert error.value.status == 400
    assert fhirpath_patched(PATIENT, {"resourceType": "Parameters"}) == PATIENT


def test_a_part_holds_one_thing_whatever_else_is_judged_later():
    """A reference to a contained resource is judged where it comes to stand; inv-1 is judged in the Parameters."""
    error = refused(
        PATIENT, add("Patient", "managingOrganization", valueReference={"reference": "#o"}, part=[VALUE_PART])
    )
    assert (error.status, error.issues[0].expression) == (400, "Parameters.parameter[0].part[3]")


# What does not apply: operation, place below the operation, text
DO_NOT_APPLY = [
    (add("Patient.maritalStatus", "text", valueString="x"), ".part[1]", "Nothing is at the path"),
    (add("Patient.name", "text", valueString="x"), ".part[1]", "2 elements"),
    (add("Observation", "status", valueCode="final"), ".part[1]", "no element “Observation”"),
    (add("Patient", "active", valueBoolean=True), ".part[2]", "has active already"),
    (add("Patient", "deceased", valueDateTime="2020"), ".part[2]", "has deceased already"),
    (add("Patient", "gendre", valueCode="male"), ".part[3]", "Did you mean gender"),
    (add("Patient", "resourceType", valueCode="Person"), ".part[3]", "no element"),
    (add("Patient.active", "value", valueBoolean=True), ".part[3]", "no element"),
    (add("Patient", "gender", valueBoolean=True), ".part[3].value", "Send valueCode"),
    (add("Patient", "birthDate", valueDateTime="2020-01-01"), ".part[3].value", "Send valueDate"),
    (add("Patient", "implicitRules", valueString="urn:x"), ".part[3].value", "Send valueUri"),
    (add("Patient", "telecom", valueHumanName={"text": "x"}), ".part[3].value", "Send valueContactPoint"),
    (add("Patient", "contact", valueHumanName={"text": "x"}), ".part[3].value", "Send its elements as parts"),
    (add("Patient", "multipleBirth", valueString="2"), ".part[3].value", "cannot be a string"),
    (add("Patient", "multipleBirth", part=[part("id", valueString="x")]), ".part[3]", "several types"),
    (add("Patient", "contained", part=[part("id", valueString="x")]), ".part[3]", "several types"),
    (add("Patient", "telecom", resource={"resourceType": "Person", "active": True}), ".part[3]", "no resource"),
    (
        add("Patient", "contact", part=[part("name", part=[part("first", valueString="x")])]),
        ".part[3].part[0].part[0]",
        "no element “first”",
    ),
    (
        add("Patient", "contact", part=[part("gender", valueCode="male"), part("gender", valueCode="female")]),
        ".part[3].part[1]",
        "has gender already",
    ),
    (insert("Patient.identifier", 3, valueIdentifier={"value": "x"}), ".part[2]", "from 0 to 2"),
    (insert("Patient.photo", 0, valueAttachment={"title": "x"}), ".part[1]", "use add"),
    (insert("Patient.identifier[0]", 0, valueIdentifier={"value": "x"}), ".part[1]", "whole length"),
    (insert("Patient.name.where(use = 'usual')", 0, valueHumanName={"text": "x"}), ".part[1]", "whole length"),
    (insert("Patient.active", 0, valueBoolean=True), ".part[1]", "whole length"),
    (insert("Patient.identifier", 0, valueHumanName={"text": "x"}), ".part[3].value", "Send valueIdentifier"),
    (insert("Patient", 0, valueHumanName={"text": "x"}), ".part[1]", "whole resource"),
    (delete("Patient.name"), ".part[1]", "2 elements"),
    (delete("Patient"), ".part[1]", "whole resource"),
    (delete("Patient.birthdate"), ".part[1]", "Did you mean birthDate"),
    (delete("Patient.name.where($this = $this)"), ".part[1]", "elements of its own"),
    (delete("Patient.name.single()"), ".part[1]", "several elements"),
    (delete("Patient.name.where(given).family"), ".part[1]", "several values"),
    (replace("Patient", resource=PATIENT), ".part[1]", "whole resource"),
    (replace("Patient.gender", valueCode="male"), ".part[1]", "Nothing is at the path"),
    (replace("Patient.identifier", valueIdentifier={"value": "x"}), ".part[1]", "2 elements"),
    (replace("Patient.deceased", valueString="no"), ".part[2].value", "cannot be a string"),
    (replace("Patient.birthDate", valueString="1980"), ".part[2].value", "Send valueDate"),
    (move("Patient.identifier", 2, 0), ".part[2]", "from 0 to 1"),
    (move("Patient.identifier", 0, 2), ".part[3]", "from 0 to 1"),
    (move("Patient.photo", 0, 0), ".part[1]", "Nothing is at the path"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "place", "text"), DO_NOT_APPLY)
def test_what_does_not_apply_says_where(sent, place, text):
    error = refused(PATIENT, delete("Patient.photo"), sent)
    assert (error.status, error.issues[0].expression) == (422, f"Parameters.parameter[1]{place}")
    assert text in str(error)


def test_a_list_over_several_parents_is_none():
    two = {"resourceType": "Patient", "name": [{"given": ["A"]}, {"given": ["B"]}]}
    assert "whole length" in str(refused(two, move("Patient.name.given", 0, 1)))


@pytest.mark.parametrize("sent", [replace("Patient.id", valueId="p2"), delete("Patient.id")])
def test_a_patch_makes_no_other_resource(sent):
    error = refused(PATIENT, sent)
    assert (error.status, error.issues[0].expression) == (422, "Patient.id")


# Bounds


def test_the_operations_of_a_patch_are_bounded():
    test = delete("Patient.photo")
    assert patched(PATIENT, *[test] * MOST_OPERATIONS) == PATIENT
    error = refused(PATIENT, *[test] * (MOST_OPERATIONS + 1))
    assert (error.status, error.issues[0].code) == (400, "too-costly")


COSTLY = [
    ("elements of elements", "Patient.identifier.where(%resource.identifier.exists(value = 'y'))"),
    ("words that name nothing", "Patient.identifier.where(" + "'a' = 'a' and " * 50 + "false)"),
    ("long texts searched", "Patient.name.where(" + "text.contains('y') or " * 30 + "false)"),
    ("long texts compared", "Patient.name.where(" + "text != text or " * 40 + "false)"),
    ("a long list", "Patient.identifier.where(false)"),
]


@pytest.mark.parametrize("path", [row[1] for row in COSTLY], ids=[row[0] for row in COSTLY])
def test_paths_that_look_everywhere_are_ended(monkeypatch, path):
    """Each by itself passes; a hundredth of the true bound makes the test short."""
    crowd = {"resourceType": "Patient", "identifier": [{"value": "x"}] * 100, "name": [{"text": "x" * 200_000}]}
    assert patched(crowd, delete(path)) == crowd
    monkeypatch.setattr(patch_location, "MOST_VISITS", patch_location.MOST_VISITS // 100)
    error = refused(crowd, *[delete(path)] * 50)
    assert (error.status, error.issues[0].code) == (422, "too-costly")


def test_the_outcome_is_no_deeper_than_a_body_may_be():
    nested: Json = {"url": "urn:x", "valueString": "x"}
    for _ in range(20):
        nested = {"url": "urn:x", "extension": [nested]}
    sent = [add("Patient" + ".extension" * 21 * index, "extension", valueString="x") for index in range(3)]
    for each in sent:
        each["part"][-1] = part("value", **as_parts(nested))
    lone = {"resourceType": "Patient"}
    assert patched(lone, sent[0])
    assert "deeper than 64" in str(refused(lone, *sent))


def as_parts(extension: Json) -> Json:
    url = part("url", valueUri=extension["url"])
    inner = [part("extension", **as_parts(each)) for each in extension.get("extension", ())]
    return {"part": [url, *inner] if inner else [url, part("value", valueString=extension["valueString"])]}


# Any patch

WORDS = """Patient name given contact active birthDate deceased value use where( first() extension( 'urn:e' ofType( as
    string ) ( [ ] . . . . = != and or 0 1 12 true $this %resource exists() 'official' not() last() contains("""
PATHS_OF_PATIENT = "Patient name name[0] name.given name[0].given active contact.name birthDate.extension deceased"
paths = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=9).map("".join) | st.sampled_from(
    PATHS_OF_PATIENT.split()
)
values = st.sampled_from(
    [
        {"valueString": "x"},
        {"valueBoolean": True},
        {"valueHumanName": {"given": ["x"], "_given": [{"id": "y"}]}},
        {"valueExtension": 1},
        {"resource": {"resourceType": "Person", "active": True}},
        {"part": [{"name": "use", "valueCode": "old"}]},
        {"part": [{"name": "url", "valueUri": "urn:z"}]},
    ]
)
names = st.sampled_from(["name", "given", "extension", "deceased", "contained", "use", "active", "multipleBirth", "id"])
numbers = st.integers(-1, 3)
sent_parts = st.one_of(
    st.builds(lambda value: part("path", valueString=value), paths),
    st.builds(lambda value: part("name", valueString=value), names),
    st.builds(lambda value: part("value", **value), values),
    *(st.builds(lambda value, name=name: part(name, valueInteger=value), numbers) for name in ("index", "source")),
)
good = st.one_of(
    st.builds(lambda path, name, value: add(path, name, **value), paths, names, values),
    st.builds(lambda path, index, value: insert(path, index, **value), paths, numbers, values),
    st.builds(lambda path, value: replace(path, **value), paths, values),
    st.builds(delete, paths),
    st.builds(move, paths, numbers, numbers),
)
any_operation = good | st.builds(
    lambda type_, parts: part("operation", part=[part("type", valueCode=type_), *parts]),
    st.sampled_from([*PARTS, "x"]),
    st.lists(sent_parts, max_size=4),
)


@given(st.lists(any_operation, max_size=4))
def test_a_patch_applies_or_is_refused_and_its_input_stays(operations):
    before = deepcopy((PATIENT, operations))
    with suppress(FhirError):
        outcome = patched(PATIENT, *operations)
        assert (outcome["resourceType"], outcome["id"]) == ("Patient", "p1")
        # What a patch leaves can be patched again: it is in the shape of R4, whatever else is wrong with it.
        assert not [issue for issue in validate(outcome) if issue.code == "structure" and "expected" in issue.text]
    assert (PATIENT, operations) == before


people = st.lists(st.fixed_dictionaries({"value": st.sampled_from("abc")}), max_size=4)


@given(people, people)
def test_the_difference_of_two_lists_leads_from_one_to_the_other(before, after):
    operations = [delete("Patient.identifier[0]") for _ in before]
    operations += [insert("Patient.identifier", 0, valueIdentifier=each) for each in after[-2::-1]]
    operations[len(before) : len(before)] = [add("Patient", "identifier", valueIdentifier=each) for each in after[-1:]]
    operations = operations or [delete("Patient.photo")]
    resource = {"resourceType": "Patient", **({"identifier": before} if before else {})}
    assert patched(resource, *operations).get("identifier", []) == after
