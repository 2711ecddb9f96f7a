"""The invariants of Patient, Parameters and their datatypes; fhirpathpy on the official FHIRPath is the oracle.

It is given `hasValue()`, which it lacks. It cannot judge dom-3 (`as(canonical)` on descendants), rng-2 (it compares
no Quantities), ref-1 of `#` (empty by FHIRPath, allowed by https://hl7.org/fhir/R4/references.html#contained) and
per-1 where zones or precisions differ; those have examples of their own.
"""

import itertools

import pytest
from fhirpathpy import apply_parsed_path, models, parse
from fhirpathpy.engine.nodes import ResourceNode

from fhir_ins.fhir.invariants import INVARIANTS, not_after
from fhir_ins.fhir.json import Number
from fhir_ins.fhir.scope import Scope
from fhir_ins.fhir.structure import definitions, validate

UCUM = "http://unitsofmeasure.org"
DATE = {"start": "2024-01-01", "end": "2024-02-01"}

# Keys, the type they belong to, and elements of which every subset is judged.
CASES = [
    (["ext-1"], "Extension", [{"valueString": "a", "extension": [{"url": "b", "valueCode": "c"}], "id": "d"}]),
    (["pat-1"], "Patient.contact", [{
        "name": {"text": "a"}, "telecom": [{"value": "b"}], "address": {"text": "c"},
        "organization": {"display": "d"}, "gender": "male"}]),
    (["cpt-2"], "ContactPoint", [{"system": "phone", "value": "1", "use": "home"}]),
    (["att-1"], "Attachment", [{"data": "QQ==", "contentType": "a/b", "url": "http://example.org"}]),
    (["qty-3"], "Quantity", [{"value": 1, "code": "kg", "system": UCUM}]),
    (["per-1"], "Period", [DATE, {"start": "2024-02-01", "end": "2024-01-01"},
                           {"start": "2024-01-01T23:00:00+02:00", "end": "2024-01-02T00:30:00Z"}]),
    (["rat-1"], "Ratio", [{"numerator": {"value": 1}, "denominator": {"value": 2},
                           "extension": [{"url": "a", "valueCode": "b"}]}]),
    (["age-1"], "Age", [{"value": value, "code": "a", "system": system}
                        for value in (-1, 0, 1) for system in (UCUM, "a")]),
    (["dis-1"], "Distance", [{"value": 1, "code": "m", "system": system} for system in (UCUM, "a")]),
    (["drt-1"], "Duration", [{"value": 1, "code": "d", "system": system} for system in (UCUM, "a")]),
    (["cnt-3"], "Count", [{"value": value, "code": code, "system": system}
                          for value in (1, 1.5) for code in "12" for system in (UCUM, "a")]),
    (["exp-1"], "Expression", [{"expression": "a", "reference": "b", "language": "text/cql"}]),
    (["drq-1"], "DataRequirement.codeFilter", [{"path": "a", "searchParam": "b", "valueSet": "c"}]),
    (["drq-2"], "DataRequirement.dateFilter", [{"path": "a", "searchParam": "b"}]),
    (["tim-1", "tim-2", "tim-4", "tim-5", "tim-6", "tim-7", "tim-8"], "Timing.repeat", [
        {"duration": 1, "durationUnit": "d", "durationMax": 2, "count": 1},
        {"period": 1, "periodUnit": "d", "periodMax": 2, "countMax": 2}]),
    (["tim-4", "tim-5"], "Timing.repeat", [{"duration": -1, "period": -1}, {"duration": 0, "period": 0}]),
    (["tim-9", "tim-10"], "Timing.repeat", [
        {"offset": 5, "when": [when], "timeOfDay": ["08:00:00"]} for when in ("C", "AC")]),
    (["trd-1", "trd-2", "trd-3"], "TriggerDefinition", [
        {"type": type_, "name": "a", "timingDate": "2024", "data": [{"type": "b"}],
         "condition": {"language": "text/cql", "expression": "c"}}
        for type_ in ("named-event", "periodic", "data-added")]),
    (["inv-1:Parameters"], "Parameters.parameter", [
        {"name": "a", "valueString": "b", "resource": {"resourceType": "Basic"}, "part": [{"name": "c"}]}]),
    (["dom-4", "dom-5"], "Patient", [{"contained": [
        {"resourceType": "Basic", "meta": {"versionId": "1"}},
        {"resourceType": "Basic", "meta": {"security": [{"code": "R"}]}},
    ]}, {"contained": [{"resourceType": "Basic", "meta": {"lastUpdated": "2024-01-01T00:00:00Z"}}]}]),
    (["ref-1"], "Reference", [{"reference": "#a", "display": "b"}, {"reference": "#b"}, {"reference": "Patient/a"}]),
]  # fmt: skip
RESOURCE = {"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "a"}]}


def subsets(element):
    for size in range(len(element) + 1):
        for names in itertools.combinations(element, size):
            yield {name: element[name] for name in names}


def has_value(collection):
    return [len(collection) == 1]


def official(key, type_, element):
    """What the published expression says, an empty collection being no breach."""
    node = ResourceNode.create_node(element, type_)
    answer = apply_parsed_path(
        node,
        parse(definitions()["invariants"][key]),
        {"rootResource": RESOURCE, "resource": RESOURCE},
        models.models["r4"],
        {"userInvocationTable": {"hasValue": {"fn": has_value, "arity": {0: []}}}, "traceFn": lambda *_: None},
    )
    return answer in ([], [True])


@pytest.mark.parametrize(
    ("key", "type_", "element"),
    [(key, type_, element) for keys, type_, elements in CASES for key in keys for element in elements],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_every_subset_is_judged_as_the_published_expression_does(key, type_, element):
    verdicts = set()
    for subset in subsets(element):
        ours = INVARIANTS[key].holds(subset, Scope(RESOURCE))
        assert ours == official(key, type_, subset), subset
        verdicts.add(ours)
    assert True in verdicts


def test_every_function_is_compared_or_named_as_beyond_the_oracle():
    assert {key for keys, _, _ in CASES for key in keys} | {"dom-3", "rng-2"} == set(INVARIANTS)


def test_every_function_has_its_key_in_the_table():
    assert set(INVARIANTS) <= set(definitions()["invariants"])


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [
        ("2024", "2024-01-01", True),
        ("2024-06", "2024", True),
        ("2024-06-15", "2024-06", True),
        ("2024-06-15T10:00:00Z", "2024-06-15", True),
        ("2024-06-16T10:00:00Z", "2024-06-15", False),
        ("2025", "2024-12-31", False),
        ("2024-06-15", "2024-06-15", True),
        ("2024-06-15T10:00:00+02:00", "2024-06-15T08:00:00Z", True),
        ("2024-06-15T10:00:00.001+02:00", "2024-06-15T08:00:00Z", False),
        ("2024-01-01T23:00:00-02:00", "2024-01-02T00:30:00Z", False),
        ("2024-06-15T23:59:60Z", "2024-06-16T00:00:00Z", True),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59-13:00", True),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", True),
    ],
)
def test_a_period_may_have_partial_dates(start, end, holds):
    assert not_after(start, end) is holds


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [
        ({"value": Number("1.10")}, {"value": Number("1.1")}, True),
        ({"value": Number("1e999")}, {"value": 1}, False),
        ({"value": 9}, {"value": 10}, True),
        ({"value": 10, "unit": "kg"}, {"value": 9, "unit": "kg"}, False),
        ({"unit": "kg"}, {"value": 9, "unit": "kg"}, True),
        ({"value": 5, "unit": "kg"}, {"value": 1, "unit": "t"}, True),
    ],
)
def test_a_range_is_compared_exactly_and_in_one_unit(low, high, holds):
    assert INVARIANTS["rng-2"].holds({"low": low, "high": high}, Scope({})) is holds


def contained(resource, **elements):
    return {"resourceType": "Patient", "contained": [resource], **elements}


ORGANIZATION = {"resourceType": "Organization", "id": "a", "name": "b"}


@pytest.mark.parametrize(
    "resource",
    [
        contained(ORGANIZATION, managingOrganization={"reference": "#a"}),
        contained({"resourceType": "RelatedPerson", "patient": {"reference": "#"}}),
        contained(ORGANIZATION, extension=[{"url": "http://example.org/e", "valueUri": "#a"}]),
        contained(ORGANIZATION, extension=[{"url": "http://example.org/e", "valueCanonical": "#a"}]),
    ],
)
def test_a_contained_resource_that_is_referred_to_or_refers_up(resource):
    assert validate(resource) == []


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        (contained(ORGANIZATION), "dom-3"),
        (contained({"resourceType": "Organization", "name": "a"}), "dom-3"),
        (contained(ORGANIZATION, name=[{"text": "#a"}]), "dom-3"),
        (contained({**ORGANIZATION, "meta": {"versionId": "1"}}, managingOrganization={"reference": "#a"}), "dom-4"),
        (contained(ORGANIZATION, managingOrganization={"reference": "#"}), "ref-1"),
    ],
)  # fmt: skip
def test_contained_resources_that_break_an_invariant(resource, key):
    issues = validate(resource)
    assert issues[0].text.startswith(key) or any(issue.text.startswith(key) for issue in issues)
    assert {issue.code for issue in issues} <= {"invariant", "value"}
