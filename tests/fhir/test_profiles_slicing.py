"""Slicing: each kind of discriminator, each rule. https://hl7.org/fhir/R4/profiling.html#slicing"""

from typing import Any

import pytest
from profile_tables import CORE, URL, codesystem, definition, element, judged, registry, sliced, told, valueset

Json = dict[str, Any]

MARK = "http://example.org/mark"


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", **elements}


def concept(code: str, system: str = "urn:s") -> Json:
    return {"coding": [{"system": "urn:other", "code": "x"}, {"system": system, "code": code}]}


# Each row: the element sliced, its discriminators, what the slice `a` says, an item of it and one that is not.
# The slice demands itself twice at least, so that an item is of it if and only if nothing but its second is missing.
DISCRIMINATORS: dict[str, tuple[str, list[tuple[str, str]], list[Json], Json, Json]] = {
    "value of a fixed primitive": (
        "Patient.identifier",
        [("value", "system")],
        [element("Patient.identifier:a.system", fixedUri="urn:a")],
        {"system": "urn:a"},
        {"system": "urn:b"},
    ),
    "value of a pattern": (
        "Patient.identifier",
        [("value", "type")],
        [element("Patient.identifier:a.type", patternCodeableConcept={"coding": [{"system": "urn:s", "code": "A"}]})],
        {"type": concept("A")},
        {"type": concept("A", "urn:z")},
    ),
    "value through nested arrays": (
        "Patient.contact",
        [("value", "relationship.coding.code")],
        [element("Patient.contact:a.relationship.coding.code", fixedCode="N")],
        {"relationship": [{"coding": [{"code": "N"}]}, {"coding": [{"code": "N"}]}], "name": {"text": "x"}},
        {"relationship": [{"coding": [{"code": "C"}]}], "name": {"text": "x"}},
    ),
    "value through the only slice of an element": (
        "Patient.contact",
        [("value", "relationship.coding.code")],
        [
            sliced("Patient.contact:a.relationship.coding", ("value", "code")),
            element("Patient.contact:a.relationship.coding:n", min=1),
            element("Patient.contact:a.relationship.coding:n.code", fixedCode="N"),
        ],
        {"relationship": [concept("N")], "name": {"text": "x"}},
        {"relationship": [concept("C")], "name": {"text": "x"}},
    ),
    "value of a required value set": (
        "Patient.identifier",
        [("value", "type")],
        [
            element(
                "Patient.identifier:a.type",
                binding={"strength": "required", "valueSet": "http://example.org/ValueSet/ab"},
            )
        ],
        {"type": concept("B", "urn:ab")},
        {"type": concept("C", "urn:ab")},
    ),
    "pattern, the old name of it": (
        "Patient.identifier",
        [("pattern", "use")],
        [element("Patient.identifier:a.use", patternCode="usual")],
        {"use": "usual"},
        {"use": "old"},
    ),
    "exists": (
        "Patient.identifier",
        [("exists", "period")],
        [element("Patient.identifier:a.period", min=1)],
        {"value": "1", "period": {"start": "2020"}},
        {"value": "1"},
    ),
    "exists not": (
        "Patient.identifier",
        [("exists", "period")],
        [element("Patient.identifier:a.period", max="0")],
        {"value": "1"},
        {"value": "1", "period": {"start": "2020"}},
    ),
    "an extension by its url, then its value": (
        "Patient.identifier",
        [("value", f"extension('{MARK}').value")],
        [
            element("Patient.identifier:a.extension:mark", type=[{"code": "Extension", "profile": [MARK]}]),
            element("Patient.identifier:a.extension:mark.value[x]", patternCode="a"),
        ],
        {"value": "1", "extension": [{"url": MARK, "valueCode": "a"}]},
        {"value": "1", "extension": [{"url": MARK, "valueCode": "b"}]},
    ),
    "type of a resolved reference": (
        "Patient.generalPractitioner",
        [("type", "resolve()")],
        [
            element(
                "Patient.generalPractitioner:a", type=[{"code": "Reference", "targetProfile": [CORE + "Organization"]}]
            )
        ],
        {"reference": "#org"},
        {"reference": "#pra"},
    ),
    "profile of a resolved reference": (
        "Patient.generalPractitioner",
        [("profile", "resolve()")],
        [element("Patient.generalPractitioner:a", type=[{"code": "Reference", "targetProfile": [URL + "named"]}])],
        {"reference": "#org"},
        {"reference": "#pra"},
    ),
    "value in a resolved reference": (
        "Patient.generalPractitioner",
        [("value", "resolve().name")],
        [element("Patient.generalPractitioner:a", type=[{"code": "Reference", "targetProfile": [URL + "named"]}])],
        {"reference": "#org"},
        {"reference": "#pra"},
    ),
    "two discriminators": (
        "Patient.identifier",
        [("value", "system"), ("value", "use")],
        [
            element("Patient.identifier:a.system", fixedUri="urn:a"),
            element("Patient.identifier:a.use", fixedCode="old"),
        ],
        {"system": "urn:a", "use": "old"},
        {"system": "urn:a", "use": "usual"},
    ),
    "a choice's type": (
        "Patient.extension",
        [("type", "value")],
        [element("Patient.extension:a.value[x]", type=[{"code": "string"}])],
        {"url": "urn:e", "valueString": "x"},
        {"url": "urn:e", "valueCode": "x"},
    ),
    "value of a choice": (
        "Patient.extension",
        [("value", "value")],
        [element("Patient.extension:a.value[x]", patternString="A")],
        {"url": "urn:e", "valueString": "A"},
        {"url": "urn:e", "valueString": "B"},
    ),
    "ofType": (
        "Patient.extension",
        [("value", "value.ofType(Coding).code")],
        [
            element("Patient.extension:a.value[x]", type=[{"code": "Coding"}]),
            element("Patient.extension:a.value[x].code", fixedCode="A"),
        ],
        {"url": "urn:e", "valueCoding": {"code": "A"}},
        {"url": "urn:e", "valueCoding": {"code": "B"}},
    ),
}

ARTIFACTS = [
    valueset("ab", {"system": "urn:ab"}),
    codesystem("ab", "A", "B"),
    definition("Organization", element("Organization.name", min=1, fixedString="Clinique"), name="named"),
]
CONTAINED = [
    {"resourceType": "Organization", "id": "org", "name": "Clinique"},
    {"resourceType": "Practitioner", "id": "pra", "gender": "female"},
]


def twice(path: str, says: list[Json]) -> list[Json]:
    """The slice `a` wanted twice, with what else is said of it."""
    first, *rest = says
    return [{**first, "min": 2}, *rest] if first["id"] == f"{path}:a" else [element(f"{path}:a", min=2), *says]


def holding(path: str, items: list[Json]) -> Json:
    """A Patient with these items, and every contained resource referred to."""
    resource = patient(**{path.partition(".")[2]: items})
    if "generalPractitioner" in resource:
        resource["contained"] = CONTAINED
        resource["managingOrganization"] = {"reference": "#org"}
        resource["extension"] = [{"url": "urn:r", "valueReference": {"reference": "#pra"}}]
    return resource


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_a_discriminator_tells_the_items_of_a_slice(kind: str) -> None:
    path, by, says, own, foreign = DISCRIMINATORS[kind]
    profiles = registry(definition("Patient", sliced(path, *by), *twice(path, says)), *ARTIFACTS)
    missing = [("error", "required", "Patient")]
    assert told(profiles, holding(path, [foreign, foreign])) == missing
    assert told(profiles, holding(path, [own, foreign])) == missing
    assert told(profiles, holding(path, [own, foreign, own])) == []


def test_a_slice_by_the_primitive_itself() -> None:
    profiles = registry(
        definition(
            "Patient",
            sliced("Patient.name.given", ("value", "$this")),
            element("Patient.name.given:a", min=1),
            element("Patient.name.given:a", min=1, fixedString="ZOE"),
        )
    )
    assert told(profiles, patient(name=[{"given": ["EVA", "ZOE"]}])) == []
    assert told(profiles, patient(name=[{"given": ["EVA"]}])) == [("error", "required", "Patient.name[0]")]


@pytest.mark.parametrize("head", [[], [sliced("Patient.deceased[x]", ("type", "$this"))]])
def test_a_choice_is_sliced_by_its_type(head: list[Json]) -> None:
    profiles = registry(
        definition(
            "Patient",
            *head,
            element("Patient.deceased[x]:deceasedDateTime", type=[{"code": "dateTime"}], maxLength=4),
            element("Patient.deceased[x]:deceasedBoolean", type=[{"code": "boolean"}], fixedBoolean=False),
        )
    )
    assert told(profiles, patient(deceasedBoolean=False)) == []
    assert told(profiles, patient(deceasedBoolean=True)) == [("error", "value", "Patient.deceased")]
    assert told(profiles, patient(deceasedDateTime="2020")) == []
    assert told(profiles, patient(deceasedDateTime="2020-01")) == [("error", "too-long", "Patient.deceased")]


@pytest.mark.parametrize(
    "names",
    [
        {"id": "Patient.deceasedDateTime", "path": "Patient.deceasedDateTime"},
        {"path": "Patient.deceasedDateTime", "sliceName": "deceasedDateTime"},
        {
            "id": "Patient.deceased[x]:deceasedDateTime",
            "path": "Patient.deceasedDateTime",
            "sliceName": "deceasedDateTime",
        },
    ],
)
def test_the_short_form_of_a_choice_is_its_slice(names: Json) -> None:
    short = {**names, "type": [{"code": "dateTime"}], "maxLength": 4}
    profiles = registry(definition("Patient", short))
    assert told(profiles, patient(deceasedDateTime="2020-01")) == [("error", "too-long", "Patient.deceased")]
    assert told(profiles, patient(deceasedBoolean=True)) == []


A, B, X = {"system": "urn:a"}, {"system": "urn:b"}, {"system": "urn:x"}
SLICES = [
    element("Patient.identifier:a"),
    element("Patient.identifier:a.system", fixedUri="urn:a"),
    element("Patient.identifier:b", max="1"),
    element("Patient.identifier:b.system", fixedUri="urn:b"),
]
FOREIGN = ("error", "structure")


@pytest.mark.parametrize(
    ("rules", "ordered", "items", "broken"),
    [
        ("open", False, [X, B, A], []),
        ("open", False, [B, B], [""]),
        ("closed", False, [B, A, A], []),
        ("closed", False, [A, X], ["[1]"]),
        ("openAtEnd", False, [B, A, X, X], []),
        ("openAtEnd", False, [X, A], ["[1]"]),
        ("open", True, [A, X, A, B], []),
        ("open", True, [B, X, A], ["[2]"]),
        ("closed", True, [A, B], []),
        ("closed", True, [B, A], ["[1]"]),
    ],
)
def test_a_rule_says_what_stands_beside_slices(rules: str, ordered: bool, items: list[Json], broken: list[str]) -> None:
    head = sliced("Patient.identifier", ("value", "system"), rules=rules, ordered=ordered)
    profiles = registry(definition("Patient", head, *SLICES))
    assert told(profiles, patient(identifier=items)) == [(*FOREIGN, f"Patient.identifier{index}") for index in broken]


def test_a_slice_is_needed_even_where_the_element_is_missing() -> None:
    head = sliced("Patient.identifier", ("value", "system"))
    profiles = registry(definition("Patient", head, element("Patient.identifier:a", min=1), *SLICES[1:]))
    assert told(profiles, patient()) == [("error", "required", "Patient")]


def test_a_slice_may_be_sliced_again() -> None:
    profiles = registry(
        definition(
            "Patient",
            sliced("Patient.identifier", ("value", "system")),
            element(
                "Patient.identifier:a", slicing={"discriminator": [{"type": "value", "path": "use"}], "rules": "closed"}
            ),
            element("Patient.identifier:a.system", fixedUri="urn:a"),
            element("Patient.identifier:a/old", max="1"),
            element("Patient.identifier:a/old.use", fixedCode="old"),
        )
    )
    old, usual = {**A, "use": "old"}, {**A, "use": "usual"}
    assert told(profiles, patient(identifier=[B, old])) == []
    assert told(profiles, patient(identifier=[B, usual])) == [(*FOREIGN, "Patient.identifier[1]")]
    assert told(profiles, patient(identifier=[old, B, old])) == [(*FOREIGN, "Patient.identifier")]


def test_an_item_of_two_slices_is_told_once_and_judged_as_the_one_it_fits() -> None:
    profiles = registry(
        definition(
            "Patient",
            sliced("Patient.identifier", ("value", "use")),
            element("Patient.identifier:a"),
            element("Patient.identifier:a.use", fixedCode="old"),
            element("Patient.identifier:a.system", fixedUri="urn:a"),
            element("Patient.identifier:b"),
            element("Patient.identifier:b.use", fixedCode="old"),
            element("Patient.identifier:b.system", fixedUri="urn:b"),
        )
    )
    (issue,) = judged(profiles, patient(identifier=[{"use": "old", **B}]))
    assert (issue.code, issue.expression) == ("structure", "Patient.identifier[0]")
    assert "a and for b" in issue.text


@pytest.mark.parametrize(
    "says",
    [
        [element("Patient.identifier:a", min=1)],  # nothing at the path of the discriminator
        [
            element("Patient.identifier:a", min=1),
            element("Patient.identifier:a.system", binding={"strength": "required", "valueSet": "urn:unknown"}),
        ],
    ],
)
def test_slices_that_cannot_be_told_are_not_judged_and_said_so(says: list[Json]) -> None:
    head = sliced("Patient.identifier", ("value", "system"), rules="closed")
    profiles = registry(definition("Patient", head, *says))
    assert told(profiles, patient(identifier=[A])) == [("information", "informational", "Patient.identifier")]


def test_a_reference_that_points_outside_decides_nothing() -> None:
    path, by, says, own, _ = DISCRIMINATORS["type of a resolved reference"]
    head = sliced(path, *by, rules="closed")
    profiles = registry(definition("Patient", head, *twice(path, says)))
    severities = [severity for severity, _, _ in told(profiles, holding(path, [own, {"reference": "Organization/1"}]))]
    assert severities == ["information"]
