"""Compartments. https://hl7.org/fhir/R4/compartmentdefinition-patient.html and its neighbours"""

from typing import Any

import pytest

from fhir_ins.fhir.compartments import compartment_criteria
from fhir_ins.fhir.matching import matches
from fhir_ins.fhir.search import Search
from fhir_ins.fhir.search_parameters import PARAMETERS, definitions, keys_of
from fhir_ins.fhir.search_values import Kind

Json = dict[str, Any]

COMPARTMENTS = definitions()["compartments"]


@pytest.mark.parametrize("compartment", COMPARTMENTS)
def test_every_type_in_a_compartment_is_tied_to_it_by_parameters_that_may_name_it(compartment: str) -> None:
    for type_, names in COMPARTMENTS[compartment].items():
        criterion = compartment_criteria(compartment, "1", type_)
        assert criterion
        assert [parameter.name for parameter in criterion.parameters] == names
        if names == ["_id"]:
            assert type_ == compartment
            continue
        for name in names:
            parameter = PARAMETERS[type_][name]
            assert parameter.kind is Kind.REFERENCE
            assert not parameter.targets or compartment in parameter.targets


@pytest.mark.parametrize(
    ("compartment", "resource", "inside"),
    [
        ("Patient", {"resourceType": "Observation", "subject": {"reference": "Patient/1"}}, True),
        ("Patient", {"resourceType": "Observation", "performer": [{"reference": "Patient/1/_history/2"}]}, True),
        ("Patient", {"resourceType": "Observation", "subject": {"reference": "Patient/2"}}, False),
        ("Patient", {"resourceType": "Observation", "subject": {"reference": "Group/1"}}, False),
        ("Patient", {"resourceType": "Observation", "focus": [{"reference": "Patient/1"}]}, False),
        ("Patient", {"resourceType": "Patient", "link": [{"other": {"reference": "Patient/1"}}]}, True),
        ("Encounter", {"resourceType": "Encounter", "id": "1"}, True),
        ("Encounter", {"resourceType": "Encounter", "id": "2", "partOf": {"reference": "Encounter/1"}}, False),
        (
            "Practitioner",
            {"resourceType": "Encounter", "participant": [{"individual": {"reference": "Practitioner/1"}}]},
            True,
        ),
        ("RelatedPerson", {"resourceType": "Condition", "asserter": {"reference": "RelatedPerson/1"}}, True),
        ("Device", {"resourceType": "Observation", "device": {"reference": "Device/1"}}, True),
    ],
)
def test_who_is_in(compartment: str, resource: Json, inside: bool) -> None:
    criterion = compartment_criteria(compartment, "1", resource["resourceType"])
    assert criterion
    assert matches(keys_of(resource), Search((criterion,), 20, ())) is inside


@pytest.mark.parametrize(
    ("compartment", "type_"), [("Patient", "Organization"), ("Patient", "Shoe"), ("Organization", "Patient")]
)
def test_what_cannot_be_in(compartment: str, type_: str) -> None:
    assert compartment_criteria(compartment, "1", type_) is None
