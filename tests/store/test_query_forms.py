"""Numbers, quantities, composites and modifiers as MongoDB answers them, and as the specification reads.

https://hl7.org/fhir/R4/search.html: the sections on number, quantity, composite, string, token and modifiers.
"""

import unicodedata
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyrings import CLEAR_AND_ENCRYPTED

from fhir_ins.fhir.matching import matches as keys_match
from fhir_ins.fhir.search import parse
from fhir_ins.fhir.search_parameters import PARAMETERS, keys_of
from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database
from fhir_ins.store.documents import Draft
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import Resources

Json = dict[str, Any]

INFINITY = Decimal("Infinity")


@pytest.fixture(scope="module", params=CLEAR_AND_ENCRYPTED)
async def resources(mongod: Mongod, request: pytest.FixtureRequest) -> AsyncIterator[Resources]:
    """An encrypted store answers as a clear one does."""
    database = Database(mongod.uri, f"forms_{uuid4().hex}", keyring=request.param)
    await database.prepare()
    yield Resources(database)
    await database.client.drop_database(database.database.name)
    await database.close()


# The obvious reading


def plain(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in letters if letter.isalnum() and not unicodedata.combining(letter))


def bounds(quantity: Json) -> tuple[Decimal, Decimal]:
    value = Decimal(str(quantity["value"]))
    comparator = quantity.get("comparator", "")
    return (-INFINITY if comparator.startswith("<") else value, INFINITY if comparator.startswith(">") else value)


# By prefix: the number asked for, what it may mean by its digits, and from where to where the value is.
PREFIXES: dict[str, Callable[[Decimal, Decimal, Decimal, Decimal], bool]] = {
    "": lambda asked, half, low, high: asked - half <= low and high < asked + half,
    "eq": lambda asked, half, low, high: asked - half <= low and high < asked + half,
    "ne": lambda asked, half, low, high: not (asked - half <= low and high < asked + half),
    "gt": lambda asked, _, low, high: high > asked,
    "lt": lambda asked, _, low, high: low < asked,
    "ge": lambda asked, _, low, high: high >= asked,
    "le": lambda asked, _, low, high: low <= asked,
    "sa": lambda asked, _, low, high: low > asked,
    "eb": lambda asked, _, low, high: high < asked,
    "ap": lambda asked, _, low, high: low <= asked + abs(asked) / 10 and high >= asked - abs(asked) / 10,
}


def is_amount(asked: str, quantity: Json | None) -> bool:
    if quantity is None:
        return False
    number, *units = asked.split("|")
    prefix = number[:2] if number[:2] in PREFIXES else ""
    digits = number.removeprefix(prefix)
    half = Decimal(5).scaleb(-len(digits.partition(".")[2]) - 1)
    if units and units[0] and (units[0], units[1]) != (quantity.get("system"), quantity.get("code")):
        return False
    if units and not units[0] and units[1] not in (quantity.get("code"), quantity.get("unit")):
        return False
    return PREFIXES[prefix](Decimal(digits), half, *bounds(quantity))


def is_code(asked: str, concept: Json | None) -> bool:
    system, bar, code = asked.rpartition("|")
    return any(
        (code in (coding["code"], "")) and (not bar or coding.get("system", "") == system)
        for coding in (concept or {}).get("coding", [])
    )


def has_text(asked: str, concept: Json | None) -> bool:
    texts = [
        (concept or {}).get("text", ""),
        *(coding.get("display", "") for coding in (concept or {}).get("coding", [])),
    ]
    return any(plain(text).startswith(plain(asked)) for text in texts)


def parts(observation: Json) -> list[Json]:
    return [observation, *observation.get("component", [])]


def both(asked: str, part: Json, second: str, test: Callable[[str, Any], bool]) -> bool:
    code, _, value = asked.partition("$")
    return is_code(code, part.get("code")) and test(value, part.get(second))


def strings(observation: Json) -> list[str]:
    """The string a value is, and the text of the concept it is: value-string is of both."""
    texts = observation.get("valueString"), observation.get("valueCodeableConcept", {}).get("text")
    return [text for text in texts if text]


def found_by_string(test: Callable[[str, str], bool]) -> Callable[[str, Json], bool]:
    return lambda asked, one: any(test(asked, text) for text in strings(one))


READINGS: dict[str, Callable[[str, Json], bool]] = {
    "value-quantity": lambda asked, one: is_amount(asked, one.get("valueQuantity")),
    "component-value-quantity": lambda asked, one: any(
        is_amount(asked, part.get("valueQuantity")) for part in parts(one)[1:]
    ),
    "combo-value-quantity": lambda asked, one: any(is_amount(asked, part.get("valueQuantity")) for part in parts(one)),
    "code": lambda asked, one: is_code(asked, one["code"]),
    "combo-code": lambda asked, one: any(is_code(asked, part["code"]) for part in parts(one)),
    "code:not": lambda asked, one: not is_code(asked, one["code"]),
    "combo-code:not": lambda asked, one: not any(is_code(asked, part["code"]) for part in parts(one)),
    "code:text": lambda asked, one: has_text(asked, one["code"]),
    "value-string": found_by_string(lambda asked, text: plain(text).startswith(plain(asked))),
    "value-string:exact": found_by_string(lambda asked, text: text == asked),
    "value-string:contains": found_by_string(lambda asked, text: plain(asked) in plain(text)),
    "value-string:missing": lambda asked, one: (not strings(one)) is (asked == "true"),
    "value-quantity:missing": lambda asked, one: ("valueQuantity" not in one) is (asked == "true"),
    "combo-value-quantity:missing": lambda asked, one: (
        any("valueQuantity" in part for part in parts(one)) is (asked == "false")
    ),
    "subject:missing": lambda asked, one: asked == "false",  # it is there, if but as an identifier
    "code:missing": lambda asked, one: asked == "false",  # it is there, if but as a text
    "subject:identifier": lambda asked, one: (
        is_code(asked, {"coding": [{**one["subject"]["identifier"], "code": one["subject"]["identifier"]["value"]}]})
        if "identifier" in one["subject"]
        else False
    ),
    "identifier:of-type": lambda asked, one: any(
        asked == f"{coding['system']}|{coding['code']}|{identifier['value']}"
        for identifier in one["identifier"]
        for coding in identifier["type"]["coding"]
    ),
    "code-value-quantity": lambda asked, one: both(asked, one, "valueQuantity", is_amount),
    "combo-code-value-quantity": lambda asked, one: any(
        both(asked, part, "valueQuantity", is_amount) for part in parts(one)
    ),
    "code-value-string": lambda asked, one: both(
        asked, one, "valueString", lambda text, value: value is not None and plain(value).startswith(plain(text))
    ),
    "code-value-concept": lambda asked, one: both(asked, one, "valueCodeableConcept", is_code),
}

CODES = ["a", "b"]
NUMBERS = ["4.9", "5", "5.04", "5.05", "5.5", "-5", "0", "50"]
TEXTS = ["Élan vital", "elan", "l'Élan", "plan", "E", "vitalité"]
UNITS: list[Json] = [
    {"system": "urn:u", "code": "kg", "unit": "kilo"},
    {"system": "urn:v", "code": "kg"},
    {"unit": "kg"},
    {},
]
CODINGS = st.builds(
    lambda code, system, display, text: (
        {
            "coding": [
                {"code": code} | ({"system": system} if system else {}) | ({"display": display} if display else {})
            ]
        }
        | ({"text": text} if text else {})
    ),
    st.sampled_from(CODES),
    st.sampled_from([None, "urn:s", "urn:t"]),
    st.sampled_from([None, "Poids", "poids net"]),
    st.sampled_from([None, "Pouls"]),
)
CONCEPTS = st.one_of(CODINGS, CODINGS, st.just({"text": "Pouls"}))
QUANTITIES = st.builds(
    lambda number, unit, comparator: (
        {"value": float(number), **unit} | ({"comparator": comparator} if comparator else {})
    ),
    st.sampled_from(NUMBERS),
    st.sampled_from(UNITS),
    st.sampled_from([None, None, None, "<", ">="]),
)
VALUES = st.one_of(
    QUANTITIES.map(lambda value: {"valueQuantity": value}),
    st.sampled_from(TEXTS).map(lambda text: {"valueString": text}),
    CONCEPTS.map(lambda concept: {"valueCodeableConcept": concept}),
    st.just({}),
)
SUBJECTS = st.sampled_from(
    [{"reference": "Patient/1"}, {"identifier": {"system": "urn:s", "value": "1"}}, {"identifier": {"value": "1"}}]
)
IDENTIFIERS = st.builds(
    lambda code, value: {"type": {"coding": [{"system": "urn:s", "code": code}]}, "value": value},
    st.sampled_from(CODES),
    st.sampled_from(["1", "2"]),
)
OBSERVATIONS = st.builds(
    lambda code, value, components, subject, identifier: {
        "resourceType": "Observation",
        "status": "final",
        "code": code,
        "subject": subject,
        "identifier": [identifier],
        **value,
        **({"component": components} if components else {}),
    },
    CONCEPTS,
    VALUES,
    st.lists(st.builds(lambda code, value: {"code": code, **value}, CONCEPTS, VALUES), max_size=2),
    SUBJECTS,
    IDENTIFIERS,
)
_AMOUNTS = st.builds(
    lambda prefix, number, unit: prefix + number + unit,
    st.sampled_from(list(PREFIXES)),
    st.sampled_from([*NUMBERS, "5.0"]),
    st.sampled_from(["", "|urn:u|kg", "||kg", "||kilo"]),
)
_TOKENS = st.builds(
    lambda system, code: system + code if code else "urn:s|",
    st.sampled_from(["", "urn:s|", "|"]),
    st.sampled_from(["", *CODES]),
)
_STRINGS = st.sampled_from([*TEXTS, "ELAN V", "vital", "lan"])
_ASKED: dict[str, st.SearchStrategy[str]] = {
    "quantity": _AMOUNTS,
    "code": _TOKENS,
    "string": _STRINGS,
    "missing": st.sampled_from(["true", "false"]),
    "code:text": st.sampled_from(["poids", "POU", "poids n", "net"]),
    "contains": st.sampled_from(["lan", "élan", "ital", "anvi", "vitalité"]),
    "identifier": st.sampled_from(["urn:s|1", "1", "|1", "urn:s|", "2"]),
    "of-type": st.sampled_from(["urn:s|a|1", "urn:s|b|1", "urn:t|a|1"]),
}


def asked_of(name: str) -> st.SearchStrategy[str]:
    """What may be asked of a parameter, by what it is of."""
    for part, strategy in (
        ("missing", _ASKED["missing"]),
        ("of-type", _ASKED["of-type"]),
        ("identifier", _ASKED["identifier"]),
        ("contains", _ASKED["contains"]),
        ("code:text", _ASKED["code:text"]),
        ("code-value-quantity", st.builds("{}${}".format, _TOKENS, _AMOUNTS)),
        ("code-value-string", st.builds("{}${}".format, _TOKENS, _STRINGS)),
        ("code-value-concept", st.builds("{}${}".format, _TOKENS, _TOKENS)),
        ("quantity", _AMOUNTS),
        ("string", _STRINGS),
    ):
        if part in name:
            return strategy
    return _TOKENS


CRITERIA = st.sampled_from(list(READINGS)).flatmap(lambda name: st.tuples(st.just(name), asked_of(name)))


@settings(max_examples=80, deadline=None)
@given(
    observations=st.lists(OBSERVATIONS, min_size=4, max_size=8),
    searches=st.lists(st.lists(CRITERIA, min_size=1, max_size=3), min_size=4, max_size=12),
)
async def test_mongodb_finds_what_the_specification_means(
    resources: Resources, observations: list[Json], searches: list[list[tuple[str, str]]]
) -> None:
    caller = Caller(uuid4().hex, "ehr", frozenset({Right.READ, Right.WRITE}))
    stored = {}
    for observation in observations:
        made = await resources.create(caller, "Observation", Draft(observation, None, None, Identity()))
        stored[made.id] = observation
    for pairs in searches:
        search = parse(pairs, PARAMETERS["Observation"], lenient=False)
        expected = {
            id_
            for id_, observation in stored.items()
            if all(READINGS[name](asked, observation) for name, asked in pairs)
        }
        page = await resources.search(caller, "Observation", search)
        assert {version.id for version in page.versions} == expected, pairs
        assert await resources.count(caller, "Observation", search) == len(expected), pairs
        assert set(await resources.ids(caller, "Observation", search, 100)) == expected, pairs
        in_memory = {id_ for id_, observation in stored.items() if keys_match(keys_of(observation), search)}
        assert in_memory == expected, pairs


async def found(resources: Resources, type_: str, some: list[Json], *pairs: tuple[str, str]) -> list[int]:
    """The places in the list of those that a search finds, in MongoDB and in memory."""
    caller = Caller(uuid4().hex, "ehr", frozenset({Right.READ, Right.WRITE}))
    made = [(await resources.create(caller, type_, Draft(one, None, None, Identity()))).id for one in some]
    search = parse(pairs, PARAMETERS[type_], lenient=False)
    page = await resources.search(caller, type_, search)
    places = sorted(made.index(version.id) for version in page.versions)
    assert places == [place for place, one in enumerate(some) if keys_match(keys_of(one), search)]
    return places


URLS = [
    "http://a.org/fhir",
    "http://a.org/fhir/",
    "http://a.org/fhir/ValueSet/1",
    "http://a.org/fhirx",
    "http://b.org/f",
]
BEYOND_THE_PLANE = "http://c.org/\U0001f600"


@pytest.mark.parametrize(
    ("name", "value", "places"),
    [
        ("url", "http://a.org/fhir", [0]),
        ("url:below", "http://a.org/fhir", [0, 1, 2]),
        ("url:below", "http://a.org/fhir/", [0, 1, 2]),
        ("url:below", "http://a.org", [0, 1, 2, 3]),
        ("url:above", "http://a.org/fhir/ValueSet/1/_history/5", [0, 1, 2]),
        ("url:above", "http://a.org/fhir", [0, 1]),
        ("url:above", "http://a.org", []),
        ("url:missing", "true", [5]),
        ("url:below", "http://c.org", [6]),
    ],
)
async def test_a_url_has_what_is_above_and_below_it(
    resources: Resources, name: str, value: str, places: list[int]
) -> None:
    sets = [*({"resourceType": "ValueSet", "status": "active", "url": url} for url in URLS)]
    sets.append({"resourceType": "ValueSet", "status": "active"})
    sets.append({"resourceType": "ValueSet", "status": "active", "url": BEYOND_THE_PLANE})
    assert await found(resources, "ValueSet", sets, (name, value)) == places


PLACES = [
    {"longitude": 2.3522, "latitude": 48.8566},  # Paris
    {"longitude": 2.1301, "latitude": 48.8014},  # Versailles, some 17 km off
    {"longitude": 4.8357, "latitude": 45.7640},  # Lyon, some 390 km off
]


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("48.8566|2.3522", [0, 1]),
        ("48.8566|2.3522|5|km", [0]),
        ("48.8566|2.3522|18000|m", [0, 1]),
        ("48.8566|2.3522|11|mi", [0, 1]),
        ("48.8566|2.3522|400", [0, 1, 2]),
        ("48.8566|2.3522|5|km,45.764|4.8357|1|km", [0, 2]),
        ("-48.8566|2.3522", []),
    ],
)
async def test_what_is_near_a_place(resources: Resources, value: str, places: list[int]) -> None:
    locations = [{"resourceType": "Location", "position": place} for place in PLACES]
    assert await found(resources, "Location", [*locations, {"resourceType": "Location"}], ("near", value)) == places


async def test_a_number_between_two(resources: Resources) -> None:
    risks = [
        {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 0.5}]},
        {"resourceType": "RiskAssessment", "prediction": [{"probabilityRange": {"low": {"value": 0.2}}}]},
        {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 0.1}, {"probabilityDecimal": 0.9}]},
    ]
    assert await found(resources, "RiskAssessment", risks, ("probability", "0.5")) == [0]
    assert await found(resources, "RiskAssessment", risks, ("probability", "gt0.8")) == [1, 2]
    assert await found(resources, "RiskAssessment", risks, ("probability", "sa0.1")) == [0, 1, 2]
    assert await found(resources, "RiskAssessment", risks, ("probability", "eb0.2")) == [2]


@pytest.mark.parametrize("code", ["a\x00b", "a.b", "x" * 40_000, "a\uffff", "\U0001f600"])
async def test_any_code_may_go_before_a_string(resources: Resources, code: str) -> None:
    coded = [
        {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": of}]}, "valueString": "Foole"}
        for of in (code, "other")
    ]
    assert await found(resources, "Observation", coded, ("code-value-string", f"{code}$foo")) == [0]


async def test_two_ranges_of_one_element(resources: Resources) -> None:
    chromosome = {"chromosome": {"coding": [{"code": "7"}]}}
    variants = [[{"start": 1, "end": 5}], [{"start": 1, "end": 9}], [{"start": 4, "end": 5}, {"start": 1, "end": 2}]]
    sequences = [
        {"resourceType": "MolecularSequence", "coordinateSystem": 0, "referenceSeq": chromosome, "variant": variant}
        for variant in variants
    ]
    name = "chromosome-variant-coordinate"
    assert await found(resources, "MolecularSequence", sequences, (name, "7$lt2$lt6")) == [0, 2]
    assert await found(resources, "MolecularSequence", sequences, (name, "7$gt2$5")) == [2]
    assert await found(resources, "MolecularSequence", sequences, (name, "8$lt2$lt6")) == []


@pytest.mark.parametrize(
    ("prefix", "places"),
    [("", [0]), ("ne", [1, 2]), ("gt", [1]), ("lt", [2]), ("ge", [0, 1]), ("le", [0, 2]), ("sa", [1]), ("eb", [2])],
)
async def test_dates_in_composites(resources: Resources, prefix: str, places: list[int]) -> None:
    dates = [
        {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]}, "valueDateTime": value}
        for value in ("1975-06", "1976-01-01", "1974-12-31")
    ]
    assert await found(resources, "Observation", dates, ("code-value-date", f"a${prefix}1975")) == places


async def test_long_texts_are_found_in_their_midst_and_told_apart_by_their_end(resources: Resources) -> None:
    said = ["x" * 150 + "milieu" + "y" * 20, "x" * 300 + "a", "x" * 300 + "b"]
    texts = [
        {"resourceType": "Observation", "status": "final", "code": {"text": "a"}, "valueString": text} for text in said
    ]
    assert await found(resources, "Observation", texts, ("value-string:contains", "milieu")) == [0]
    assert await found(resources, "Observation", texts, ("value-string:contains", "x" * 60 + "milieu")) == [0]
    assert await found(resources, "Observation", texts, ("value-string:exact", said[2])) == [2]
