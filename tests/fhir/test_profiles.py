"""Profiles: what each facet of an element asks for. https://hl7.org/fhir/R4/elementdefinition.html"""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_tables import CORE, URL, codesystem, definition, element, judged, registry, sliced, told, valueset

from fhir_ins.fhir.invariants.terms import Invariant
from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.patterns import fixed, pattern
from fhir_ins.fhir.profiles import BadProfile, Profiles

Json = dict[str, Any]


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", **elements}


def of_type(code: str, **more: Any) -> list[Json]:
    return [{"code": code, **more}]


CODING = {"system": "urn:ab", "code": "A"}
OTHER = {"system": "urn:ab", "code": "X"}
AB = "http://example.org/ValueSet/ab"
TERMS = [valueset("ab", {"system": "urn:ab"}), codesystem("ab", "A", "B")]
EXTENSION = {"url": "urn:e", "valueString": "x"}


def value(**facets: Any) -> Json:
    return element("Patient.extension.value[x]", **facets)


def extended(**choice: Any) -> Json:
    return patient(extension=[{"url": "urn:e", **choice}])


VALUE = "Patient.extension[0].value"

# What is said of an element; a resource that follows it; one that does not, with (code, expression).
FACETS: dict[str, tuple[Json, Json, Json, str, str]] = {
    "min": (element("Patient.birthDate", min=1), patient(birthDate="2020"), patient(), "required", "Patient"),
    "min of a primitive that is only extensions": (
        element("Patient.birthDate", min=1),
        patient(_birthDate={"extension": [EXTENSION]}),
        patient(),
        "required",
        "Patient",
    ),
    "min below an array": (
        element("Patient.name.family", min=1),
        patient(name=[{"family": "A"}]),
        patient(name=[{"family": "A"}, {"text": "B"}]),
        "required",
        "Patient.name[1]",
    ),
    "min of two": (
        element("Patient.name", min=2),
        patient(name=[{"text": "A"}, {"text": "B"}]),
        patient(name=[{"text": "A"}]),
        "required",
        "Patient",
    ),
    "max": (
        element("Patient.name.given", max="1"),
        patient(name=[{"given": ["A"]}]),
        patient(name=[{"given": ["A", "B"]}]),
        "structure",
        "Patient.name[0].given",
    ),
    "max 0": (
        element("Patient.photo", max="0"),
        patient(),
        patient(photo=[{"title": "x"}]),
        "structure",
        "Patient.photo",
    ),
    "max 0 of what is there once": (
        element("Patient.gender", max="0"),
        patient(),
        patient(gender="male"),
        "structure",
        "Patient.gender",
    ),
    "max 0 of a choice": (
        element("Patient.deceased[x]", max="0"),
        patient(),
        patient(deceasedBoolean=True),
        "structure",
        "Patient.deceased",
    ),
    "types of a choice": (
        value(type=[{"code": "Coding"}, {"code": "string"}]),
        extended(valueString="x"),
        extended(valueCode="x"),
        "structure",
        VALUE,
    ),
    "fixed primitive": (
        element("Patient.gender", fixedCode="male"),
        patient(gender="male"),
        patient(gender="female"),
        "value",
        "Patient.gender",
    ),
    "fixed exactly, nothing more": (
        element("Patient.maritalStatus", fixedCodeableConcept={"coding": [CODING]}),
        patient(maritalStatus={"coding": [CODING]}),
        patient(maritalStatus={"coding": [CODING], "text": "A"}),
        "value",
        "Patient.maritalStatus",
    ),
    "pattern in a richer value": (
        element("Patient.maritalStatus", patternCodeableConcept={"coding": [CODING]}),
        patient(maritalStatus={"coding": [OTHER, {**CODING, "display": "a"}]}),
        patient(maritalStatus={"coding": [OTHER], "text": "A"}),
        "value",
        "Patient.maritalStatus",
    ),
    "maxLength": (
        element("Patient.name.family", maxLength=3),
        patient(name=[{"family": "ABC"}]),
        patient(name=[{"family": "ABCD"}]),
        "too-long",
        "Patient.name[0].family",
    ),
    "minValue": (value(minValueInteger=3), extended(valueInteger=3), extended(valueInteger=2), "value", VALUE),
    "maxValue of decimals, exactly": (
        value(maxValueDecimal=0.1),
        extended(valueDecimal=0.1),
        parse(serialise(extended(valueDecimal=0.25))),
        "value",
        VALUE,
    ),
    "maxValue of dates": (
        value(maxValueDate="2020-06"),
        extended(valueDate="2020-06-30"),
        extended(valueDate="2020-07"),
        "value",
        VALUE,
    ),
    "maxValue of quantities": (
        value(maxValueQuantity={"value": 5, "system": "urn:u", "code": "g"}),
        extended(valueQuantity={"value": 5, "system": "urn:u", "code": "g"}),
        extended(valueQuantity={"value": 6, "system": "urn:u", "code": "g"}),
        "value",
        VALUE,
    ),
    "required code": (
        element("Patient.language", binding={"strength": "required", "valueSet": AB}),
        patient(language="A"),
        patient(language="X"),
        "code-invalid",
        "Patient.language",
    ),
    "required Coding": (
        value(binding={"strength": "required", "valueSet": AB + "|1"}),
        extended(valueCoding=CODING),
        extended(valueCoding={"system": "urn:z", "code": "A"}),
        "code-invalid",
        VALUE,
    ),
    "required Quantity": (
        value(binding={"strength": "required", "valueSet": AB}),
        extended(valueQuantity={"value": 1, "system": "urn:ab", "code": "A"}),
        extended(valueQuantity={"value": 1, "system": "urn:ab", "code": "X"}),
        "code-invalid",
        VALUE,
    ),
    "required CodeableConcept, one coding of it": (
        element("Patient.maritalStatus", binding={"strength": "required", "valueSet": AB}),
        patient(maritalStatus={"coding": [OTHER, CODING]}),
        patient(maritalStatus={"coding": [OTHER]}),
        "code-invalid",
        "Patient.maritalStatus",
    ),
    "required CodeableConcept, only text": (
        element("Patient.maritalStatus", binding={"strength": "required", "valueSet": AB}),
        patient(maritalStatus={"extension": [EXTENSION]}),
        patient(maritalStatus={"text": "A"}),
        "code-invalid",
        "Patient.maritalStatus",
    ),
    "profile of a datatype": (
        element("Patient.name", type=of_type("HumanName", profile=[URL + "named"])),
        patient(name=[{"family": "A"}]),
        patient(name=[{"text": "A"}]),
        "required",
        "Patient.name[0]",
    ),
    "one of two profiles": (
        element("Patient.name", type=of_type("HumanName", profile=[URL + "named", URL + "given"])),
        patient(name=[{"family": "A"}, {"given": ["B"]}]),
        patient(name=[{"text": "A"}]),
        "structure",
        "Patient.name[0]",
    ),
    "target of a reference": (
        element("Patient.generalPractitioner", type=of_type("Reference", targetProfile=[CORE + "Organization"])),
        patient(
            generalPractitioner=[
                {"reference": "Organization/1"},
                {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
            ]
        ),
        patient(generalPractitioner=[{"reference": "Practitioner/1"}]),
        "value",
        "Patient.generalPractitioner[0].reference",
    ),
    "target of a logical reference": (
        element("Patient.generalPractitioner", type=of_type("Reference", targetProfile=[CORE + "Organization|4.0.1"])),
        patient(generalPractitioner=[{"type": "Organization"}]),
        patient(generalPractitioner=[{"type": "Practitioner"}]),
        "value",
        "Patient.generalPractitioner[0].type",
    ),
    "profile of a contained target": (
        element("Patient.managingOrganization", type=of_type("Reference", targetProfile=[URL + "active"])),
        patient(
            contained=[{"resourceType": "Organization", "id": "o", "name": "x", "active": True}],
            managingOrganization={"reference": "#o"},
        ),
        patient(
            contained=[{"resourceType": "Organization", "id": "o", "name": "x"}],
            managingOrganization={"reference": "#o"},
        ),
        "structure",
        "Patient.managingOrganization.reference",
    ),
    "an extension of a primitive": (
        element("Patient.birthDate.extension", min=2),
        patient(_birthDate={"extension": [EXTENSION, EXTENSION]}),
        patient(birthDate="2020", _birthDate={"extension": [EXTENSION]}),
        "required",
        "Patient.birthDate",
    ),
    "below a choice of one type": (
        element("Patient.extension.value[x].city", min=1),
        extended(valueAddress={"city": "A"}),
        extended(valueAddress={"text": "A"}),
        "required",
        VALUE,
    ),
}
PROFILES = [
    *TERMS,
    definition("HumanName", element("HumanName.family", min=1), name="named"),
    definition("HumanName", element("HumanName.given", min=1), name="given"),
    definition("Organization", element("Organization.active", min=1), name="active"),
]


@pytest.mark.parametrize("facet", FACETS)
def test_a_facet(facet: str) -> None:
    said, good, bad, code, expression = FACETS[facet]
    profiles = registry(definition("Patient", said), *PROFILES)
    assert told(profiles, good) == []
    assert told(profiles, bad) == [("error", code, expression)]


@pytest.mark.parametrize(
    ("strength", "severities"),
    [("required", ["error"]), ("extensible", ["warning"]), ("preferred", []), ("example", [])],
)
def test_the_strength_of_a_binding(strength: str, severities: list[str]) -> None:
    said = element("Patient.maritalStatus", binding={"strength": strength, "valueSet": AB})
    issues = judged(registry(definition("Patient", said), *TERMS), patient(maritalStatus={"coding": [OTHER]}))
    assert [issue.severity for issue in issues] == severities


VALUESETS: dict[str, tuple[Json, dict[str, bool]]] = {
    "a whole code system": (valueset("v", {"system": "urn:ab"}), {"urn:ab|A": True, "urn:ab|X": False}),
    "listed concepts": (
        valueset("v", {"system": "urn:z", "concept": [{"code": "Z"}]}),
        {"urn:z|Z": True, "urn:z|A": False},
    ),
    "several systems": (
        valueset("v", {"system": "urn:ab"}, {"system": "urn:z", "concept": [{"code": "Z"}]}),
        {"urn:ab|B": True, "urn:z|Z": True, "urn:z|A": False},
    ),
    "an excluded code": (
        valueset("v", {"system": "urn:ab"}, exclude=[{"system": "urn:ab", "concept": [{"code": "A"}]}]),
        {"urn:ab|A": False, "urn:ab|B": True},
    ),
    "any code of a system not at hand": (
        valueset("v", {"system": "urn:far"}),
        {"urn:far|whatever": True, "urn:ab|A": False},
    ),
    "any but an excluded one": (
        valueset("v", {"system": "urn:far"}, exclude=[{"system": "urn:far", "concept": [{"code": "A"}]}]),
        {"urn:far|A": False, "urn:far|B": True},
    ),
    "any code of a system given in part": (valueset("v", {"system": "urn:part"}), {"urn:part|whatever": True}),
    "another value set": (valueset("v", {"valueSet": [AB]}), {"urn:ab|A": True, "urn:ab|X": False}),
    "both of two": (
        valueset("v", {"system": "urn:ab", "concept": [{"code": "B"}, {"code": "C"}], "valueSet": [AB]}),
        {"urn:ab|B": True, "urn:ab|C": False, "urn:ab|A": False},
    ),
    "a filter, which is not judged": (
        valueset("v", {"system": "urn:ab", "filter": [{"property": "concept", "op": "is-a", "value": "A"}]}),
        {"urn:q|X": True},
    ),
    "a value set that is unknown, which is not judged": (
        valueset("v", {"valueSet": ["urn:unknown"]}),
        {"urn:q|X": True},
    ),
    "itself, which is not judged": (valueset("v", {"valueSet": ["http://example.org/ValueSet/v"]}), {"urn:q|X": True}),
    "an expansion only": (
        {
            "resourceType": "ValueSet",
            "url": "http://example.org/ValueSet/v",
            "expansion": {
                "contains": [
                    {"system": "urn:x", "abstract": True, "code": "T", "contains": [{"system": "urn:x", "code": "X"}]}
                ]
            },
        },
        {"urn:x|X": True, "urn:x|T": False},
    ),
    "R4's own": (
        valueset("v", {"valueSet": ["http://hl7.org/fhir/ValueSet/name-use|4.0.1"]}),
        {"http://hl7.org/fhir/name-use|usual": True, "http://hl7.org/fhir/name-use|x": False},
    ),
}


@pytest.mark.parametrize("kind", VALUESETS)
def test_what_is_in_a_value_set(kind: str) -> None:
    found, members = VALUESETS[kind]
    said = value(binding={"strength": "required", "valueSet": "http://example.org/ValueSet/v"})
    profiles = registry(definition("Patient", said), found, *TERMS, codesystem("part", "A", content="fragment"))
    for coding, member in members.items():
        system, _, code = coding.partition("|")
        assert (told(profiles, extended(valueCoding={"system": system, "code": code})) == []) is member, coding


def test_a_profile_says_more_than_its_base() -> None:
    base = definition(
        "Patient",
        element("Patient.name", min=1),
        sliced("Patient.identifier", ("value", "system")),
        element("Patient.identifier:a", max="1"),
        element("Patient.identifier:a.system", fixedUri="urn:a"),
        name="base",
    )
    child = definition(
        "Patient", element("Patient.gender", min=1), element("Patient.identifier:a", min=1), base=URL + "base|1"
    )
    profiles = registry(base, child)
    assert [issue.expression for issue in judged(profiles, patient())] == ["Patient"] * 3
    twice = patient(name=[{"text": "A"}], gender="male", identifier=[{"system": "urn:a"}] * 2)
    assert told(profiles, twice) == [("error", "structure", "Patient.identifier")]
    assert told(profiles, twice, "base") == [("error", "structure", "Patient.identifier")]
    assert len(profiles.judge(patient(), URL + "base", URL + "p", URL + "p")) == 3  # the base is judged with the child


def test_ids_follow_from_path_and_slice_name_where_they_are_missing() -> None:
    said = [
        sliced("Patient.identifier", ("value", "system")),
        element("Patient.identifier:a"),
        element("Patient.identifier:a.system", fixedUri="urn:a"),
        element("Patient.identifier:a.period.start", min=1),
        element("Patient.identifier:b"),
        element("Patient.identifier:b.system", fixedUri="urn:b"),
        element("Patient.gender", min=1),
    ]
    without = [{name: found for name, found in each.items() if name != "id"} for each in said]
    wrong = [{**each, "id": f"e{index}"} for index, each in enumerate(said)]
    resource = patient(
        identifier=[{"system": "urn:a", "period": {"end": "2020"}}, {"system": "urn:b", "period": {"end": "2020"}}]
    )
    expected = [("error", "required", "Patient.identifier[0].period"), ("error", "required", "Patient")]
    for elements in (said, without, wrong):
        assert told(registry(definition("Patient", *elements)), resource) == expected


def test_a_snapshot_serves_where_there_is_no_differential() -> None:
    whole = definition(
        "Patient",
        element("Patient", constraint=[{"key": "dom-6", "severity": "warning", "expression": "text.exists()"}]),
        element("Patient.gender", min=1),
    )
    whole["snapshot"] = whole.pop("differential")
    assert told(registry(whole), patient()) == [("error", "required", "Patient")]


def constraint(expression: str, severity: str = "error") -> Json:
    return {"key": "x-1", "severity": severity, "expression": expression, "human": "Say it"}


@pytest.mark.parametrize(
    ("expression", "severity", "issues"),
    [
        ("name.exists()", "error", []),
        ("gender.exists()", "error", ["error"]),
        ("gender.exists()", "warning", ["warning"]),
        ("gender = 'male'", "error", ["error"]),  # empty, which does not hold
        ("birthDate.hasValue()", "error", []),
        ("gender.hasValue()", "error", ["error"]),
        ("%resource.name.exists()", "error", []),
        ("name.trace('names').exists()", "error", []),
        ("name.given.count() = 2 and name.ofType(HumanName).exists()", "error", []),
        ("gender.memberOf('urn:v')", "error", ["information"]),
        ("name.resolve().exists()", "error", ["information"]),
        ("name.where(", "error", ["information"]),
    ],
)
def test_an_invariant_without_a_function_is_evaluated(
    expression: str, severity: str, issues: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    profiles = registry(definition("Patient", element("Patient", constraint=[constraint(expression, severity)])))
    found = judged(profiles, patient(name=[{"given": ["A", "B"]}], birthDate="2020"))
    assert [issue.severity for issue in found] == issues
    assert all(issue.text.startswith("x-1") and "Say it" in issue.text for issue in found)
    assert capsys.readouterr().out == ""


def test_an_invariant_is_about_its_element() -> None:
    said = [
        element("Patient.contact", constraint=[constraint("name.family.exists()")]),
        element("Patient.birthDate", constraint=[constraint("$this.toString().length() = 4")]),
        element("Patient.deceased[x]", constraint=[constraint("($this as dateTime).toString().length() = 4")]),
    ]
    resource = patient(
        contact=[{"name": {"family": "A"}}, {"name": {"text": "B"}}], birthDate="2020-01", deceasedDateTime="2020"
    )
    found = {issue.expression for issue in judged(registry(definition("Patient", *said)), resource)}
    assert found == {"Patient.contact[1]", "Patient.birthDate"}


def test_a_function_stands_for_an_invariant_of_one_profile_and_version() -> None:
    said = definition("Patient", element("Patient", constraint=[constraint("name.memberOf('urn:never-evaluated')")]))
    functions = {(URL + "p|1", "x-1"): Invariant(lambda resource, _: "name" in resource, "Name it.")}
    profiles = registry(said, invariants=functions)
    assert told(profiles, patient(name=[{"text": "A"}])) == []
    assert [issue.text for issue in judged(profiles, patient())] == ["x-1: Name it."]


@pytest.mark.parametrize(
    ("canonical", "known"),
    [
        (URL + "p", True),
        (URL + "p|1", True),
        (URL + "p|2", False),
        (URL + "unknown", False),
        (CORE + "Patient", True),
        (CORE + "Patient|4.0.1", True),
        (CORE + "Patient|5.0.0", False),
        (CORE + "bp", True),
        (CORE + "bp|4.0.1", True),
        (CORE + "HumanName", False),
    ],
)
def test_a_canonical_names_a_profile_in_its_version(canonical: str, known: bool) -> None:
    profiles = registry(definition("Patient"))
    assert profiles.knows(canonical) is known
    if not known:
        with pytest.raises(LookupError):
            profiles.judge(patient(), canonical)


def test_a_later_table_replaces_an_earlier_ones_definition() -> None:
    from fhir_ins.fhir.compile_profiles import table
    from fhir_ins.fhir.packages import Package

    old = definition("Patient", element("Patient.gender", min=1))
    new = {**definition("Patient", element("Patient.name", min=1)), "version": "2"}
    profiles = Profiles([table(Package([old])), table(Package([new]))])
    assert "name" in profiles.judge(patient(), URL + "p")[0].text
    assert "gender" in profiles.judge(patient(), URL + "p|1")[0].text


def test_a_profile_of_another_type_is_no_profile_of_it() -> None:
    (issue,) = judged(registry(definition("Organization")), patient())
    assert (issue.code, issue.expression) == ("structure", "Patient")
    assert "Organization" in issue.text


def test_what_cannot_be_compiled_is_named() -> None:
    profiles = registry({**definition("Patient", element("Patient.name", max="many"))})
    with pytest.raises(BadProfile, match=r"StructureDefinition/p "):
        profiles.prepare([URL + "p"])


def test_at_most_a_hundred_issues_are_listed() -> None:
    profiles = registry(definition("Patient", element("Patient.name.family", min=1)))
    issues = judged(profiles, patient(name=[{"text": "A"}] * 150))
    assert len(issues) == 101
    assert issues[-1].severity == "information"


def test_profiles_that_refer_to_each_other_end() -> None:
    target = of_type("Reference", targetProfile=[URL + "p"])
    profiles = registry(
        definition("Patient", element("Patient.link", min=1), element("Patient.link.other", type=target))
    )
    around = patient(
        contained=[
            patient(id="a", link=[{"other": {"reference": "#b"}, "type": "seealso"}]),
            patient(id="b", link=[{"other": {"reference": "#a"}, "type": "seealso"}]),
        ],
        link=[{"other": {"reference": "#a"}, "type": "seealso"}],
    )
    assert told(profiles, around) == []


JSON = st.recursive(
    st.text(min_size=1) | st.booleans() | st.integers(-1000, 1000),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.text(min_size=1), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_a_value_has_itself_as_fixed_value_and_as_pattern(found: Any) -> None:
    assert fixed(found)(copy.deepcopy(found))
    assert pattern(found)(copy.deepcopy(found))


@given(JSON, JSON)
def test_a_pattern_asks_for_less_than_a_fixed_value(expected: Any, found: Any) -> None:
    assert not fixed(expected)(found) or pattern(expected)(found)
    assert pattern([expected])([found, expected])
    assert pattern({"a": expected})({"a": expected, "b": found})
    assert not fixed({"a": expected})({"a": expected, "b": found})
