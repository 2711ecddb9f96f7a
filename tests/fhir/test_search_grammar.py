"""The grammar of references and of their modifiers. https://hl7.org/fhir/R4/search.html#reference"""

import pytest

from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import SearchValue, UriValue, parse
from fhir_ins.fhir.search_parameters import PARAMETERS, definitions

BASE = "http://here/fhir"


def values(type_: str, name: str, value: str) -> tuple[SearchValue, ...]:
    (criterion,) = parse([(name, value)], PARAMETERS[type_], lenient=False, base=BASE).criteria
    return criterion.values


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("subject", "1", ["1"]),
        ("subject", "Patient/1", ["Patient/1"]),
        ("subject", "Patient/1/_history/2", ["Patient/1"]),
        ("subject", "Patient/1,Group/2", ["Patient/1", "Group/2"]),
        ("subject:Patient", "1", ["Patient/1"]),
        ("subject:Patient", "Patient/1", ["Patient/1"]),
        ("subject:Patient", f"{BASE}/Patient/1", ["Patient/1"]),
        ("subject:Patient", "http://a/Patient/1", ["http://a/Patient/1"]),
        ("subject", f"{BASE}/Patient/1/_history/2", ["Patient/1"]),
        ("subject", f"{BASE}x/Patient/1", [f"{BASE}x/Patient/1"]),
        ("subject", "http://a/Patient/1/_history/2", ["http://a/Patient/1"]),
        ("subject", "urn:uuid:1", ["urn:uuid:1"]),
        ("focus", "Shoe/1", ["Shoe/1"]),
        ("focus:Task", "1", ["Task/1"]),
        ("_profile", "http://a/b\\,c|1", ["http://a/b,c|1"]),
    ],
)
def test_a_reference_or_a_uri_is_read(name: str, value: str, read: list[str]) -> None:
    assert values("Observation", name, value) == tuple(UriValue(text) for text in read)


def test_a_canonical_is_read_with_its_version() -> None:
    assert values("MeasureReport", "measure", "http://a/Measure/1|2.0") == (UriValue("http://a/Measure/1|2.0"),)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("subject", "Organization/1", "Device, Group, Location, Patient"),
        ("subject:Patient", "Group/1", "types here: Patient"),
        ("subject:Patient", "http://a/Group/1", "types here: Patient"),
        ("subject:Organization", "1", "a type as modifier only: Device, Group, Location, Patient"),
        ("subject:identifier", "urn:a|1", "a type as modifier only"),
        ("subject:missing", "true", "a type as modifier only"),
        ("focus:identifier", "urn:a|1", "any resource type"),
        ("focus:Shoe", "1", "any resource type"),
        ("subject", "Patient/1/2", "Patient/123"),
        ("subject", "a b", "absolute URL"),
        ("subject", "Patient?name=x", "absolute URL"),
        ("subject.name", "x", "Valid ones"),
        ("status:Patient", "final", "is not offered with a modifier"),
        ("_profile:below", "http://a", "is not offered with a modifier"),
        ("value-quantity", "5", "Valid ones"),
        ("code-value-quantity", "1$5", "Valid ones"),
        ("_text", "x", "Valid ones"),
    ],
)
def test_what_is_not_offered_is_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        values("Observation", name, value)
    assert told in str(refused.value.issues[0].text)


def test_numbers_quantities_composites_and_specials_are_known_and_not_offered() -> None:
    later = {"number", "quantity", "composite", "special"}
    official = definitions()["parameters"]
    assert {entry["type"] for named in official.values() for entry in named.values()} >= later
    for type_, named in official.items():
        if type_ in PARAMETERS:
            assert not {name for name, entry in named.items() if entry["type"] in later} & PARAMETERS[type_].keys()


def test_leniently_a_modifier_that_is_not_offered_is_left_out() -> None:
    search = parse([("subject:missing", "true"), ("subject:Patient", "1")], PARAMETERS["Observation"], lenient=True)
    assert search.applied == (("subject:Patient", "1"),)
