"""Search parameters find what their official expressions say, as another FHIRPath engine reads them."""

import contextlib
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from fhirpathpy import compile as fhirpath
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.models import models
from filled_resources import filled
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.dates import span_of, span_of_period, span_of_timing
from fhir_ins.fhir.references import local_reference, target_type, unversioned
from fhir_ins.fhir.search_expressions import NotReadable
from fhir_ins.fhir.search_parameters import NOT_OFFERED, PARAMETERS, definitions
from fhir_ins.fhir.search_paths import extractor
from fhir_ins.fhir.search_values import Amount, Kind, Position, Token
from fhir_ins.fhir.structure import resource_types

Json = dict[str, Any]

FEWEST, MOST = 3, 24  # resources of a type that are tried
OFFERED = [(type_, name) for type_ in sorted(resource_types()) for name in PARAMETERS[type_]]


def resolve(inputs: list[Any]) -> list[Any]:
    """What a literal reference tells of its target: its type."""
    types = (target_type(one.data if isinstance(one, ResourceNode) else one) for one in inputs)
    return [ResourceNode({"resourceType": type_}, type_) for type_ in types if type_]


@cache
def engine(expression: str) -> Callable[[Any, Json], list[Any]]:
    """The expression compiled by fhirpathpy, which has no resolve() and takes `as` for single elements only."""
    functions = {"resolve": {"fn": resolve, "arity": {0: []}}}
    each = re.sub(r"\((\S+) as (\w+)\)|(\S+)\.as\((\w+)\)", r"\1\3.ofType(\2\4)", expression)
    return fhirpath(each, models["r4"], {"userInvocationTable": functions})


def measured(low: Any, high: Any, units: Json) -> Amount:
    return Amount(Decimal(str(low)), Decimal(str(high)), *(units.get(name) for name in ("system", "code", "unit")))


def obvious(kind: Kind, raw: Any) -> Iterator[Any]:
    """The values of one element by the tables of search.html; those of tokens without their systems."""
    match kind, raw:
        case Kind.TOKEN, bool():
            yield str(raw).lower()
        case Kind.TOKEN, {"coding": codings}:
            yield from (coding["code"] for coding in codings)
        case Kind.TOKEN, {"code": text} | {"value": text}:
            yield text
        case Kind.STRING, dict():
            for name in ("text", "family", "prefix", "suffix", "given", "line", "city", "district", "state"):
                part = raw.get(name, [])
                yield from [part] if isinstance(part, str) else part
            yield from (raw[name] for name in ("postalCode", "country") if name in raw)
        case Kind.DATE, str():
            yield span_of(raw)
        case Kind.DATE, {"event": _} | {"repeat": _}:
            yield span_of_timing(raw)
        case Kind.DATE, dict():
            yield span_of_period(raw)
        case Kind.REFERENCE, {"reference": text} if not text.startswith("#"):
            yield unversioned(text)
            if local := local_reference(text):
                yield local.partition("/")[2]
        case Kind.REFERENCE | Kind.URI, str():
            yield raw
            yield raw.partition("|")[0]
        case Kind.TOKEN | Kind.STRING, str():
            yield raw
        case Kind.NUMBER, int() | float() | Decimal():
            yield Amount(Decimal(str(raw)), Decimal(str(raw)))
        case Kind.QUANTITY, {"value": _, "currency": currency}:
            yield measured(raw["value"], raw["value"], {"system": "urn:iso:std:iso:4217", "code": currency})
        case Kind.QUANTITY, {"value": value}:
            comparator = raw.get("comparator", " ")[0]
            yield measured("-inf" if comparator == "<" else value, "inf" if comparator == ">" else value, raw)
        case Kind.NUMBER | Kind.QUANTITY, {"low": low, "high": high}:
            yield measured(low["value"], high["value"], low)
        case Kind.SPECIAL, {"longitude": longitude, "latitude": latitude}:
            yield Position(longitude, latitude)


def test_every_parameter_of_r4_is_offered_or_said_why_not() -> None:
    stated = {
        entry["url"]
        for named in definitions()["parameters"].values()
        for entry in named.values()
        if "expression" in entry
    }
    offered = {PARAMETERS[type_][name].definition for type_, name in OFFERED}
    assert offered | NOT_OFFERED.keys() == stated
    assert not offered & NOT_OFFERED.keys()
    assert len(OFFERED) > 2000


@pytest.mark.parametrize("type_", sorted(resource_types()))
def test_a_parameter_finds_what_fhirpath_finds(type_: str) -> None:
    official = definitions()["parameters"].get(type_, {})
    offered = [name for name in official if name in PARAMETERS[type_]]
    plain = [name for name in offered if "xtension(" not in official[name]["expression"]]
    plain = [name for name in plain if PARAMETERS[type_][name].kind is not Kind.COMPOSITE]
    silent = set(plain)
    for number, resource in enumerate(filled(type_)):
        if number >= FEWEST and not silent:
            break
        assert number < MOST, silent
        for name in plain:
            parameter = PARAMETERS[type_][name]
            expected = {
                value
                for raw in engine(official[name]["expression"])(resource, {})
                for value in obvious(parameter.kind, raw)
                if value
            }
            values = parameter.values(resource)
            assert {value.code if isinstance(value, Token) else value for value in values} == expected, name
            silent -= {name} if expected else set()


ASSESSED = "http://hl7.org/fhir/StructureDefinition/DiagnosticReport-geneticsAssessedCondition"
SUBJECT = "http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject"
GENDERS = "http://hl7.org/fhir/administrative-gender"
PAST, EVER = -(10**15), 10**15
UCUM = "http://unitsofmeasure.org"
WEIGHT, HEIGHT = {"coding": [{"code": "weight"}]}, {"coding": [{"code": "height"}]}
WEIGHED = Token(None, "weight")


def amount(low: str, high: str | None = None, *units: str) -> Amount:
    return Amount(Decimal(low), Decimal(high or low), *units)


@pytest.mark.parametrize(
    ("name", "resource", "values"),
    [
        # https://hl7.org/fhir/R4/search.html#token
        ("Patient.identifier", {"identifier": [{"system": "urn:a", "value": "1"}]}, [Token("urn:a", "1")]),
        ("Patient.identifier", {"identifier": [{"value": "1"}, {"system": "urn:a"}]}, [Token(None, "1")]),
        ("Patient.gender", {"gender": "male"}, [Token(GENDERS, "male")]),
        ("Patient.active", {"active": False}, [Token("http://hl7.org/fhir/special-values", "false")]),
        ("Patient.email", {"telecom": [{"system": "email", "value": "e"}, {"value": "f"}]}, [Token(None, "e")]),
        ("Patient._tag", {"meta": {"tag": [{"code": "t"}, {"system": "urn:a"}]}}, [Token(None, "t")]),
        ("Task.code", {"code": {"coding": [{"system": "s", "code": "c"}, {"display": "d"}]}}, [Token("s", "c")]),
        ("Patient.deceased", {}, [Token("http://hl7.org/fhir/special-values", "false")]),
        ("Patient.deceased", {"deceasedBoolean": False}, [Token("http://hl7.org/fhir/special-values", "false")]),
        ("Patient.deceased", {"deceasedBoolean": True}, [Token("http://hl7.org/fhir/special-values", "true")]),
        ("Patient.deceased", {"deceasedDateTime": "2020"}, [Token("http://hl7.org/fhir/special-values", "true")]),
        # #string
        ("Patient.name", {"name": [{"family": "F", "given": ["G", None], "use": "usual"}]}, ["F", "G"]),
        ("Patient.given", {"name": [{"given": [None, "G"]}, {"family": "F"}]}, ["G"]),
        ("Patient.address", {"address": [{"line": ["1 rue"], "city": "A", "use": "home"}]}, ["1 rue", "A"]),
        # #date
        ("Patient.birthdate", {"birthDate": "1970"}, [span_of("1970")]),
        ("Patient.birthdate", {"birthDate": "1970-02-30"}, []),
        ("Encounter.date", {"period": {"start": "1970-01-01"}}, [(0, EVER)]),
        ("Encounter.date", {"period": {"end": "1970-01-01"}}, [(PAST, 86_400_000)]),
        ("Encounter.date", {"period": {"start": "1970-01-01", "end": "1970-01-02"}}, [(0, 2 * 86_400_000)]),
        ("Encounter.date", {"period": {"extension": []}}, []),
        ("Observation.date", {"effectiveTiming": {"event": ["1970-01-02", "1970-01-01"]}}, [(0, 2 * 86_400_000)]),
        (
            "Observation.date",
            {"effectiveTiming": {"event": ["1970-01-01"], "repeat": {"boundsPeriod": {"start": "1970-01-01"}}}},
            [(0, EVER)],
        ),
        ("Observation.date", {"effectiveTiming": {"repeat": {"frequency": 1}}}, []),
        # #reference
        ("Observation.subject", {"subject": {"reference": "Patient/1/_history/2"}}, ["Patient/1", "1"]),
        ("Observation.patient", {"subject": {"reference": "Group/1"}}, []),
        ("Observation.patient", {"subject": {"reference": "urn:uuid:1", "type": "Patient"}}, ["urn:uuid:1"]),
        (
            "Observation.patient",
            {"subject": {"reference": "http://a/b/Patient/1/_history/2"}},
            ["http://a/b/Patient/1"],
        ),
        ("Observation.subject", {"subject": {"reference": "#p"}}, []),
        ("Observation.subject", {"subject": {"identifier": {"value": "1"}, "display": "x"}}, []),
        ("ValueSet.reference", {"compose": {"include": [{"system": "urn:a"}]}}, ["urn:a"]),
        ("Measure.depends-on", {"library": ["http://a/L|1"]}, ["http://a/L|1", "http://a/L"]),
        ("Patient._profile", {"meta": {"profile": ["http://a|1"]}}, ["http://a|1", "http://a"]),
        ("Patient._source", {"meta": {"source": "urn:a"}}, ["urn:a"]),
        # #number, #quantity
        ("RiskAssessment.probability", {"prediction": [{"probabilityDecimal": 0.80}]}, [amount("0.8")]),
        (
            "RiskAssessment.probability",
            {"prediction": [{"probabilityRange": {"low": {"value": 1}, "high": {"value": 2}}}]},
            [amount("1", "2")],
        ),
        (
            "Observation.value-quantity",
            {"valueQuantity": {"value": 5.40, "unit": "kg", "system": UCUM, "code": "kg"}},
            [amount("5.4", None, UCUM, "kg", "kg")],
        ),
        ("Observation.value-quantity", {"valueQuantity": {"value": 5, "comparator": ">="}}, [amount("5", "inf")]),
        ("Observation.value-quantity", {"valueQuantity": {"unit": "kg"}}, []),
        ("Condition.onset-age", {"onsetRange": {"high": {"value": 7}}}, [amount("-inf", "7")]),
        ("Invoice.totalnet", {"totalNet": {"value": 9}}, [amount("9")]),
        # #special
        ("Location.near", {"position": {"longitude": 2.36, "latitude": 48.84}}, [(2.36, 48.84)]),
        ("Location.near", {"position": {"longitude": 2000, "latitude": 48.84}}, []),
        # #composite
        (
            "Observation.combo-code-value-quantity",
            {
                "code": WEIGHT,
                "valueQuantity": {"value": 5},
                "component": [{"code": HEIGHT, "valueQuantity": {"value": 6}}, {"code": WEIGHT}],
            },
            [(Token(None, "weight"), amount("5")), (Token(None, "height"), amount("6"))],
        ),
        (
            "Group.characteristic-value",
            {"characteristic": [{"code": HEIGHT, "valueCodeableConcept": WEIGHT}]},
            [(Token(None, "height"), Token(None, "weight"))],
        ),
        ("Observation.code-value-date", {"code": WEIGHT, "valueDateTime": "1970"}, [(WEIGHED, span_of("1970"))]),
        (
            "MolecularSequence.chromosome-variant-coordinate",
            {"referenceSeq": {"chromosome": WEIGHT}, "variant": [{"start": 1, "end": 3}]},
            [(WEIGHED, amount("1"), amount("3"))],
        ),
        ("DocumentReference.relationship", {"relatesTo": [{"code": "appends"}]}, []),
        # extensions
        (
            "DiagnosticReport.assessed-condition",
            {"extension": [{"url": ASSESSED, "valueReference": {"reference": "Condition/1"}}, {"url": "x"}]},
            ["Condition/1", "1"],
        ),
        (
            "QuestionnaireResponse.item-subject",
            {
                "item": [
                    {"extension": [{"url": SUBJECT}], "answer": [{"valueReference": {"reference": "Patient/1"}}]},
                    {"answer": [{"valueReference": {"reference": "Patient/2"}}]},
                ]
            },
            ["Patient/1", "1"],
        ),
    ],
)
def test_the_tables_of_values(name: str, resource: Json, values: list[Any]) -> None:
    type_, _, name = name.partition(".")
    assert list(PARAMETERS[type_][name].values({"resourceType": type_, **resource})) == values


def test_only_periods_and_timings_last() -> None:
    assert [name for name, parameter in PARAMETERS["Patient"].items() if parameter.lasting] == []
    assert [name for name, parameter in PARAMETERS["Encounter"].items() if parameter.lasting] == [
        "date",
        "location-period",
    ]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("Patient.shoe", Kind.STRING),
        ("Patient.name[0].family", Kind.STRING),
        ("Patient.name.family.first()", Kind.STRING),
        ("Patient.name.where(given='x').family", Kind.STRING),
        ("Patient.name.where(use='usual').where(text='x')", Kind.STRING),
        ("Patient.birthDate", Kind.STRING),
        ("Patient.telecom.where(resolve() is Patient)", Kind.TOKEN),
        ("Patient.active = true", Kind.TOKEN),
        ("Patient.(name)", Kind.STRING),
        ("Patient.name |", Kind.STRING),
        ("Patient.name family", Kind.STRING),
        ("Patient.name & family", Kind.STRING),
        ("'Patient'", Kind.STRING),
        ("", Kind.STRING),
    ],
)
def test_an_expression_beyond_us_is_told(expression: str, kind: Kind) -> None:
    with pytest.raises(NotReadable):
        extractor(expression, "Patient", kind)


@given(st.text(alphabet="Patient.namewhr()|'= !", max_size=30) | st.text(max_size=10))
def test_any_text_is_read_or_told_not_to_be(text: str) -> None:
    with contextlib.suppress(NotReadable):
        extractor(text, "Patient", Kind.STRING)


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("Patient.name", {"family", "given"}),
        ("Patient.family", set()),
        ("Patient.address", {"address-city", "address-country", "address-postalcode", "address-state"}),
        ("Patient.telecom", set()),
        ("Observation.combo-value-quantity", {"value-quantity", "component-value-quantity"}),
    ],
)
def test_what_other_parameters_find_has_its_keys_there(name: str, also: set[str]) -> None:
    type_, _, name = name.partition(".")
    assert set(PARAMETERS[type_][name].also) == also


@pytest.mark.parametrize("type_", sorted(resource_types()))
def test_no_value_is_lost_by_having_keys_elsewhere(type_: str) -> None:
    resource = next(filled(type_))
    for parameter in PARAMETERS[type_].values():
        own = set((parameter.own or parameter.values)(resource))
        elsewhere = {value for name in parameter.also for value in PARAMETERS[type_][name].values(resource)}
        assert own | elsewhere == set(parameter.values(resource))
