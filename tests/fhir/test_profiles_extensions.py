"""Extensions against their own definitions, wherever they stand. https://hl7.org/fhir/R4/extensibility.html"""

from typing import Any

import pytest
from profile_tables import CORE, URL, Json, definition, element, registry, told

from fhir_ins.fhir.profiles import Profiles, r4_profiles
from fhir_ins.fhir.structure import validate


def extension(*elements: Json, name: str = "e", context: list[Json] | None = None, **more: Any) -> Json:
    context = context or [{"type": "element", "expression": "Element"}]
    return definition("Extension", *elements, name=name, context=context, **more)


def at(type_: str, *expressions: str) -> list[Json]:
    return [{"type": type_, "expression": expression} for expression in expressions]


STRING = element("Extension.value[x]", min=1, type=[{"code": "string"}])
ITEM = {"url": URL + "e", "valueString": "x"}
PLACES: dict[str, tuple[Json, str]] = {
    "the resource": ({"extension": [ITEM]}, "Patient.extension[0]"),
    "a datatype": ({"name": [{"extension": [ITEM]}]}, "Patient.name[0].extension[0]"),
    "a backbone element": (
        {"contact": [{"extension": [ITEM], "name": {"text": "A"}}]},
        "Patient.contact[0].extension[0]",
    ),
    "a datatype of a backbone element": (
        {"contact": [{"name": {"extension": [ITEM]}}]},
        "Patient.contact[0].name.extension[0]",
    ),
    "a primitive": ({"_birthDate": {"extension": [ITEM]}}, "Patient.birthDate.extension[0]"),
    "a primitive of an array": (
        {"name": [{"_given": [None, {"extension": [ITEM]}], "given": ["A", "B"]}]},
        "Patient.name[0].given[1].extension[0]",
    ),
    "a choice": ({"_deceasedBoolean": {"extension": [ITEM]}}, "Patient.deceased.extension[0]"),
    "an extension": ({"extension": [{"url": URL + "other", "extension": [ITEM]}]}, "Patient.extension[0].extension[0]"),
    "the value of an extension": (
        {"extension": [{"url": "urn:v", "valueAddress": {"extension": [ITEM]}}]},
        "Patient.extension[0].value.extension[0]",
    ),
    "a contained resource": (
        {
            "contained": [{"resourceType": "Organization", "id": "o", "name": "x", "extension": [ITEM]}],
            "managingOrganization": {"reference": "#o"},
        },
        "Patient.contained[0].extension[0]",
    ),
}

# Which places each context allows.
CONTEXTS: list[tuple[list[Json], set[str]]] = [
    (at("element", "Patient"), {"the resource"}),
    (at("element", "Organization"), {"a contained resource"}),
    (at("element", "DomainResource"), {"the resource", "a contained resource"}),
    (at("element", "Patient.name"), {"a datatype"}),
    (at("fhirpath", "Patient.name"), {"a datatype"}),
    (at("element", "HumanName"), {"a datatype", "a datatype of a backbone element"}),
    (at("element", "Patient.contact"), {"a backbone element"}),
    (at("element", "Patient.contact.name"), {"a datatype of a backbone element"}),
    (at("element", "BackboneElement"), {"a backbone element"}),
    (at("element", "Patient.birthDate"), {"a primitive"}),
    (at("element", "date"), {"a primitive"}),
    (at("element", "HumanName.given"), {"a primitive of an array"}),
    (at("element", "Patient.deceased[x]"), {"a choice"}),
    (at("element", "boolean"), {"a choice"}),
    (at("element", "Address"), {"the value of an extension"}),
    (at("element", "Extension"), {"an extension"}),
    (at("element", "Extension.value[x]"), {"the value of an extension"}),
    (at("extension", URL + "other"), {"an extension"}),
    (at("element", "Patient", "Patient.birthDate"), {"the resource", "a primitive"}),
    (at("element", "Element"), set(PLACES) - {"the resource", "a contained resource"}),
    (at("element", "Resource"), {"the resource", "a contained resource"}),
    (at("fhirpath", "name.where(use = 'official')"), set(PLACES)),  # more than a path: not judged
    (at("element", "CanonicalResource"), set(PLACES)),  # no type of R4
]


@pytest.mark.parametrize(("context", "allowed"), CONTEXTS, ids=[str(context) for context, _ in CONTEXTS])
def test_an_extension_stands_where_its_context_allows(context: list[Json], allowed: set[str]) -> None:
    profiles = registry(extension(STRING, context=context))
    for place, (content, expression) in PLACES.items():
        expected = [] if place in allowed else [("error", "structure", expression)]
        assert told(profiles, {"resourceType": "Patient", **content}, "e")[1:] == expected, place


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    nested = [
        element("Extension.extension:code", min=1, max="1"),
        element("Extension.extension:code.url", fixedUri="code"),
        element("Extension.extension:code.value[x]", min=1, type=[{"code": "code"}]),
        element("Extension.extension:since", max="1"),
        element("Extension.extension:since.url", fixedUri="since"),
        element("Extension.value[x]", max="0"),
    ]
    return registry(
        extension(element("Extension.extension", max="0"), STRING),
        extension(*nested, name="nested"),
        extension(element("Extension", isModifier=True), STRING, name="modifier"),
    )


CODE = {"url": "code", "valueCode": "A"}


@pytest.mark.parametrize(
    ("held", "broken"),
    [
        ([ITEM], []),
        ([{"url": "urn:unknown", "valueString": "x"}], []),
        ([{"url": URL + "e|2", "valueCode": "x"}], []),  # another version, which is not loaded
        ([{"url": URL + "e", "valueCode": "x"}], ["[0].value"]),
        ([{"url": URL + "e", "extension": [CODE]}], ["[0].extension", "[0]"]),
        ([{"url": URL + "nested", "extension": [CODE, {"url": "more", "valueString": "x"}]}], []),
        ([ITEM, {"url": URL + "nested", "extension": [{"url": "since", "valueDate": "2020"}]}], ["[1]"]),
        ([{"url": URL + "nested", "extension": [CODE, CODE]}], ["[0].extension"]),
        ([{"url": URL + "nested", "extension": [{"url": "code", "valueString": "A"}]}], ["[0].extension[0].value"]),
        ([{"url": URL + "nested", "valueString": "x"}], ["[0]", "[0].value"]),
        ([{"url": URL + "modifier", "valueString": "x"}], ["[0]"]),
    ],
)
def test_an_extension_holds_what_its_definition_says(profiles: Profiles, held: list[Json], broken: list[str]) -> None:
    resource = {"resourceType": "Patient", "contact": [{"name": {"text": "A"}, "extension": held}]}
    assert validate(resource) == []
    found = sorted(issue.expression or "" for issue in profiles.judge(resource))
    assert found == sorted(f"Patient.contact[0].extension{place}" for place in broken)


def test_a_modifier_stands_in_modifier_extension(profiles: Profiles) -> None:
    good = {"resourceType": "Patient", "modifierExtension": [{"url": URL + "modifier", "valueString": "x"}]}
    assert [issue.expression for issue in profiles.judge(good)] == ["Patient.modifierExtension[0]"]  # context: Element
    contact = {"name": {"text": "A"}, "modifierExtension": good["modifierExtension"]}
    assert profiles.judge({"resourceType": "Patient", "contact": [contact]}) == []
    wrong = {"resourceType": "Patient", "contact": [{**contact, "modifierExtension": [ITEM]}]}
    assert [issue.expression for issue in profiles.judge(wrong)] == ["Patient.contact[0].modifierExtension[0]"]


def test_what_a_profile_judged_is_not_told_twice(profiles: Profiles) -> None:
    typed = [{"code": "Extension", "profile": [URL + "e"]}]
    profiles = registry(definition("Patient", element("Patient.extension:e", type=typed, max="1")), extension(STRING))
    found = told(profiles, {"resourceType": "Patient", "extension": [{"url": URL + "e", "valueCode": "x"}]})
    assert found == [
        ("error", "structure", "Patient.extension[0].value"),
        ("error", "structure", "Patient.extension[0]"),
    ]
    assert told(profiles, {"resourceType": "Patient", "extension": [ITEM, ITEM]})[0][2] == "Patient.extension"


def test_what_a_profile_only_tried_is_judged_by_itself() -> None:
    """A profile of two that a name may follow judges the extension; the other, which holds, does not."""
    named = definition(
        "HumanName",
        element("HumanName.family", min=1),
        element("HumanName.extension:e", type=[{"code": "Extension", "profile": [URL + "e"]}]),
        name="named",
    )
    given = definition("HumanName", element("HumanName.given", min=1), name="given")
    both = [{"code": "HumanName", "profile": [URL + "named", URL + "given"]}]
    profiles = registry(definition("Patient", element("Patient.name", type=both)), named, given, extension(STRING))
    wrong = {"given": ["ZOE"], "extension": [{"url": URL + "e", "valueCode": "x"}]}
    found = [expression for _, _, expression in told(profiles, {"resourceType": "Patient", "name": [wrong]})]
    assert found == ["Patient.name[0].extension[0].value"]


def test_every_definition_of_r4_compiles() -> None:
    table = r4_profiles()
    profiles = Profiles([table])
    profiles.prepare(table["structures"])
    assert profiles.knows(CORE + "patient-birthPlace")
    assert len(table["structures"]) > 400


def test_a_flood_of_misplaced_extensions_is_told_and_bounded() -> None:
    """One walk finds all their places; the list ends after a hundred."""
    flood = [{"url": URL + "e", "valueString": "a"} for _ in range(5000)]
    profiles = registry(extension(STRING, context=at("element", "Patient.name")))
    issues = profiles.judge({"resourceType": "Patient", "extension": flood})
    assert len(issues) == 101
    assert issues[99].expression == "Patient.extension[99]"
