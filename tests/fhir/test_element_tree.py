"""A resource as a tree of elements, and back: nothing is lost."""

from itertools import chain
from pathlib import Path

import pytest

from fhir_ins.fhir.element_tree import Element, resource_of, tree_of
from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.places import Place, element_names, property_of
from fhir_ins.fhir.structure import definitions, elements_of, validate

PROFILES = Path(__file__).parents[2] / "profiles"

RESOURCES = [
    {"resourceType": "Patient"},
    {"resourceType": "Patient", "deceasedBoolean": False, "multipleBirthInteger": 2},
    {"resourceType": "Patient", "birthDate": "1975-12-31", "_birthDate": {"id": "b"}, "active": True},
    {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}},
    {"resourceType": "Patient", "name": [{"given": ["A", "B"], "_given": [None, {"id": "b"}]}, {"family": "C"}]},
    {
        "resourceType": "Patient",
        "name": [{"given": [None, "B"], "_given": [{"extension": [{"url": "urn:x", "valueCode": "masked"}]}, None]}],
    },
    {"resourceType": "Patient", "name": [{"_given": [{"extension": [{"url": "urn:x", "valueCode": "masked"}]}]}]},
    {
        "resourceType": "Patient",
        "text": {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "c"},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
        "performer": [{"reference": "#o"}],
        "component": [{"code": {"text": "d"}, "valueBoolean": True, "referenceRange": [{"text": "e"}]}],
    },
    {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Person", "active": True}}],
    },
    {
        "resourceType": "Parameters",
        "parameter": [{"name": "a", "part": [{"name": "b", "part": [{"name": "c", "valueDate": "1975"}]}]}],
    },
]
PUBLISHED = [pytest.param(parse(file.read_bytes()), id=file.stem) for file in sorted(PROFILES.rglob("*.json"))]


@pytest.mark.parametrize("resource", [*RESOURCES, *PUBLISHED])
def test_what_is_read_is_written_back(resource):
    assert validate(resource) == []
    assert resource_of(tree_of(resource)) == resource


def test_number_literals_survive():
    body = b'{"resourceType":"Observation","valueQuantity":{"value":72.50}}'
    assert serialise(resource_of(tree_of(parse(body)))) == body


def elements(element: Element) -> list[Element]:
    return [element, *chain.from_iterable(elements(child) for child in chain(*element.children.values()))]


def test_each_element_knows_where_it_is():
    root = tree_of(RESOURCES[8])
    assert [element.expression for element in elements(root)] == [
        "Observation",
        "Observation.status",
        "Observation.code",
        "Observation.code.text",
        "Observation.contained[0]",
        "Observation.contained[0].id",
        "Observation.contained[0].name",
        "Observation.performer[0]",
        "Observation.performer[0].reference",
        "Observation.component[0]",
        "Observation.component[0].code",
        "Observation.component[0].code.text",
        "Observation.component[0].value",
        "Observation.component[0].referenceRange[0]",
        "Observation.component[0].referenceRange[0].text",
    ]


def test_every_property_of_r4_is_an_element_of_its_place():
    """Quantities by a profile too: Dosage.doseAndRate.doseQuantity is a SimpleQuantity."""
    types = definitions()["types"]
    for type_ in types:
        for path, element in elements_of(type_).items():
            parent, _, leaf = path.rpartition(".")
            place, stem = Place(type_, parent), leaf.removesuffix("[x]")
            assert stem in element_names(place)
            for named in element.get("types", ()) if stem != leaf else ():
                suffix = types[named]["base"] if types.get(named, {}).get("profile") else named
                found = property_of(place, stem + suffix[0].upper() + suffix[1:])
                assert found is not None, (path, named)
                assert (found.element, found.type) == (leaf, suffix)
    assert {"name", "extension", "modifierExtension", "id"} <= element_names(Place("Patient", "contact"))
    assert element_names(Place("Element")) == {"extension", "id"}
