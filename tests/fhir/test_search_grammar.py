"""The grammar of references and of their modifiers. https://hl7.org/fhir/R4/search.html#reference"""

from decimal import Decimal

import pytest

from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import LONGEST_QUERY, MOST_PARAMETERS, pairs_of, parse
from fhir_ins.fhir.search_parameters import PARAMETERS
from fhir_ins.fhir.search_terms import AmountValue, CompositeValue, NearValue, SearchValue, TokenValue, UriValue

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
        ("_profile:above", "http://a" + "/b" * 40, ["http://a" + "/b" * 40]),
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
        (
            "subject:Organization",
            "1",
            "these modifiers: missing, identifier, above, below, Device, Group, Location, Patient",
        ),
        ("focus:Shoe", "1", "any resource type"),
        ("subject", "Patient/1/2", "Patient/123"),
        ("subject", "a b", "absolute URL"),
        ("subject", "Patient?name=x", "absolute URL"),
        ("subject.name", "x", "Valid ones"),
        ("status:Patient", "final", "these modifiers: missing, not"),
        ("code:in", "http://a", "needs a terminology service"),
        ("code:above", "http://a|b", "needs a terminology service"),
        ("_id:not", "1", "is not offered with a modifier"),
        ("_lastUpdated:missing", "true", "is not offered with a modifier"),
        ("code-value-quantity:missing", "true", "is not offered with a modifier"),
        ("status:missing", "yes", "true or false"),
        ("_profile:below", "urn:a", "a URL with above and below"),
        ("value-string:contains", "é.a", "3 letters or digits"),
        ("identifier:of-type", "system|value", "system|code|value"),
        ("value-quantity", "heavy", "takes a number"),
        ("_profile:above", "http://a" + "/b" * 50, "50 segments at most"),
        ("_profile:above", "http://a/" + "b" * 1000, "1000 characters"),
        ("_profile:below", "http://a" + "/b" * 50, "50 segments at most"),
        ("value-quantity", "5|kg", "number||unit"),
        ("value-quantity", "5||", "number||unit"),
        ("code-value-quantity", "1", "token$quantity"),
        ("code-value-quantity", "1$5$6", "token$quantity"),
        ("code-value-quantity", "1$heavy", "takes a number"),
        ("_text", "x", "Valid ones"),
        ("_content", "x", "Valid ones"),
        ("_filter", "x", "Valid ones"),
        ("_contained", "true", "not searched"),
        ("_sort", "shoe", "_sort takes"),
        ("_sort", "code-value-quantity", "_sort takes"),
        ("_sort", "code,code,code,code,code,code", "5 search parameters"),
        ("_total", "some", "none, estimate or accurate"),
    ],
)
def test_what_is_not_offered_is_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        values("Observation", name, value)
    assert told in str(refused.value.issues[0].text)


def test_a_long_number_is_refused_at_once() -> None:
    """Looked through from each of its digits on, this one would take hours."""
    with pytest.raises(BadRequest, match="takes a number"):
        values("Observation", "value-quantity", "1" * 2_000_000 + "x")


def test_a_search_has_so_many_parameters_and_characters() -> None:
    assert pairs_of("&".join(["a=%C3%A9"] * MOST_PARAMETERS)) == [("a", "é")] * MOST_PARAMETERS
    for query in ("&".join(["a=b"] * (MOST_PARAMETERS + 1)), f"a={'b' * LONGEST_QUERY}", "a=%FF"):
        with pytest.raises(BadRequest):
            pairs_of(query)


def test_a_modifier_that_is_not_offered_is_refused_however_lenient() -> None:
    """Without it more would be found; a parameter that is not known is left out."""
    with pytest.raises(BadRequest):
        parse([("subject:shoe", "true")], PARAMETERS["Observation"], lenient=True)
    search = parse([("shoe", "true"), ("subject:Patient", "1")], PARAMETERS["Observation"], lenient=True)
    assert search.applied == (("subject:Patient", "1"),)


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        # https://hl7.org/fhir/R4/search.html#number
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1e2", "95", "105"),
        ("5.4", "5.35", "5.45"),
        ("5.40e-3", "0.005395", "0.005405"),
        ("-5", "-5.5", "-4.5"),
    ],
)
def test_a_number_means_as_much_as_its_digits_say(asked: str, low: str, high: str) -> None:
    (value,) = values("RiskAssessment", "probability", asked)
    assert isinstance(value, AmountValue)
    assert (value.prefix, value.low, value.high) == ("eq", Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        # https://hl7.org/fhir/R4/search.html#quantity
        ("5.4|http://unitsofmeasure.org|mg", ("eq", "5.4", "http://unitsofmeasure.org", "mg")),
        ("5.40e-3|http://unitsofmeasure.org|g", ("eq", "0.00540", "http://unitsofmeasure.org", "g")),
        ("5.4||mg", ("eq", "5.4", None, "mg")),
        ("5.4", ("eq", "5.4", None, None)),
        ("le5.4|http://unitsofmeasure.org|mg", ("le", "5.4", "http://unitsofmeasure.org", "mg")),
        ("ap5.4|http://unitsofmeasure.org|mg", ("ap", "5.4", "http://unitsofmeasure.org", "mg")),
        ("gt-5||a\\|b", ("gt", "-5", None, "a|b")),
    ],
)
def test_a_quantity_is_read(asked: str, read: tuple[str, str, str | None, str | None]) -> None:
    (value,) = values("Observation", "value-quantity", asked)
    assert isinstance(value, AmountValue)
    assert (value.prefix, value.number, value.system, value.unit) == (read[0], Decimal(read[1]), *read[2:])


def test_a_composite_is_read() -> None:
    (value,) = values("Observation", "code-value-string", "http://loinc.org|1$a\\$b")
    assert value == CompositeValue((TokenValue("http://loinc.org", "1"), "a$b"))


@pytest.mark.parametrize(
    ("asked", "read"),
    [
        ("DocumentReference/1", "DocumentReference/1"),
        (f"{BASE}/DocumentReference/1", "DocumentReference/1"),
        (f"{BASE}/DocumentReference/1/_history/2", "DocumentReference/1"),
        ("DocumentReference/1/_history/2", "DocumentReference/1"),
        ("http://a/DocumentReference/1/_history/2", "http://a/DocumentReference/1"),
        ("1", "1"),
    ],
)
def test_a_reference_in_a_composite_is_read_as_any(asked: str, read: str) -> None:
    (value,) = values("DocumentReference", "relationship", f"{asked}$replaces")
    assert value == CompositeValue((UriValue(read), TokenValue(None, "replaces")))


@pytest.mark.parametrize(
    ("asked", "metres"),
    [("48.84|2.36", 50_000), ("48.84|2.36|5", 5000), ("48.84|2.36|5|m", 5), ("48.84|2.36|1|mi", 1609.344)],
)
def test_a_place_is_read(asked: str, metres: float) -> None:
    assert values("Location", "near", asked) == (NearValue(2.36, 48.84, metres),)


NO_PLACES = [
    "48.84",
    "91|0",
    "0|181",
    "a|b",
    "1|2|3|leagues",
    "1|2|3|km|4",
    "48|2|-5|km",
    "48|2|1e999|km",
    "48|2|20001|km",
]


@pytest.mark.parametrize("asked", NO_PLACES)
def test_what_is_no_place_is_refused(asked: str) -> None:
    with pytest.raises(BadRequest, match="latitude"):
        values("Location", "near", asked)


@pytest.mark.parametrize(("asked", "applied"), [("shoe,-date", "-date"), ("shoe", None), ("code,-date", "code,-date")])
def test_leniently_an_order_goes_without_what_is_unknown(asked: str, applied: str | None) -> None:
    search = parse([("_sort", asked)], PARAMETERS["Observation"], lenient=True)
    assert ",".join(map(str, search.sort)) == (applied or "")
    assert search.applied == ((("_sort", applied),) if applied else ())


def test_the_order_is_read() -> None:
    search = parse([("_sort", "code,-date"), ("_total", "accurate")], PARAMETERS["Observation"], lenient=False)
    assert [(key.parameter.name, key.descending) for key in search.sort] == [("code", False), ("date", True)]
    assert search.total == "accurate"
