"""Literal references. https://hl7.org/fhir/R4/references.html#literal"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.references import local_reference, local_references, target_type, unversioned


@pytest.mark.parametrize(
    ("text", "local", "type_", "plain"),
    [
        ("Patient/1", "Patient/1", "Patient", "Patient/1"),
        ("Patient/1/_history/2", "Patient/1", "Patient", "Patient/1"),
        ("http://a/fhir/Patient/1", None, "Patient", "http://a/fhir/Patient/1"),
        ("https://a/Patient/1/_history/2", None, "Patient", "https://a/Patient/1"),
        ("urn:uuid:1", None, None, "urn:uuid:1"),
        ("#Patient/1", None, None, "#Patient/1"),
        ("Patient", None, None, "Patient"),
        ("Patient/1/2", None, None, "Patient/1/2"),
        ("patient/1", None, None, "patient/1"),
        ("Patient?identifier=1", None, None, "Patient?identifier=1"),
        ("", None, None, ""),
    ],
)
def test_a_reference_is_local_or_not(text: str, local: str | None, type_: str | None, plain: str) -> None:
    assert local_reference(text) == local
    assert target_type({"reference": text}) == type_
    assert unversioned(text) == plain


def test_the_type_is_told_by_the_address_or_else_by_itself() -> None:
    assert target_type({"reference": "urn:uuid:1", "type": "Patient"}) == "Patient"
    assert target_type({"reference": "Group/1", "type": "Patient"}) == "Group"
    assert target_type({"display": "x"}) is None


def test_local_references_are_found_wherever_they_stand() -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "contained": [{"resourceType": "Condition", "recorder": {"reference": "Practitioner/2/_history/1"}}],
        "extension": [{"url": "x", "valueReference": {"reference": "Location/3"}}],
        "performer": [{"reference": "Patient/1"}, {"reference": "http://a/Patient/4"}, {"reference": "#c"}],
        "related": [{"reference": {"reference": "Task/5"}}],
        "note": [{"text": "Patient/6"}],
        "given": [None, "Patient/7"],
    }
    assert local_references(resource) == {"Patient/1", "Practitioner/2", "Location/3", "Task/5"}


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_is_walked(value: object) -> None:
    assert local_references({"a": value, "b": {"reference": "Patient/1"}}) >= {"Patient/1"}
