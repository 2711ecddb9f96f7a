"""Searches as MongoDB answers them against an obvious reading of the specification.

https://hl7.org/fhir/R4/search.html: the table of prefixes, string and token.
"""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyrings import CLEAR_AND_ENCRYPTED

from fhir_ins.fhir.compartments import compartment_criteria
from fhir_ins.fhir.matching import matches as keys_match
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import parse
from fhir_ins.fhir.search_parameters import PARAMETERS, keys_of
from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database
from fhir_ins.store.documents import Draft
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import Resources

Json = dict[str, Any]
Period = tuple[datetime, datetime]

GENDERS = "http://hl7.org/fhir/administrative-gender"


# The obvious reading: every patient is looked at, one value at a time


def period(text: str) -> Period:
    """All the moments a date may mean; the second bound is no longer one of them."""
    if "T" in text:
        start = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return start, start + timedelta(seconds=1)
    year, month, day = (*(int(part) for part in text.split("-")), 0, 0)[:3]
    start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    if day:
        return start, start + timedelta(days=1)
    if month:
        return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return start, datetime(year + 1, 1, 1, tzinfo=UTC)


def overlaps(one: Period, other: Period) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def contains(outer: Period, inner: Period) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


EVER = datetime.max.replace(tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)


def above(search: Period) -> Period:
    return search[1], EVER


def below(search: Period) -> Period:
    return NEVER, search[0]


def around(search: Period) -> Period:
    """A tenth of the time between the value and now, each way."""
    margin = abs(datetime.now(UTC) - search[0]) / 10
    return search[0] - margin, search[1] + margin


# "the range of the search value fully contains the range of the target value", "the range above the search value
# intersects (overlaps) with the range of the target value", …
PREFIXES: dict[str, Callable[[Period, Period], bool]] = {
    "": lambda search, target: contains(search, target),
    "eq": lambda search, target: contains(search, target),
    "ne": lambda search, target: not contains(search, target),
    "gt": lambda search, target: overlaps(above(search), target),
    "lt": lambda search, target: overlaps(below(search), target),
    "ge": lambda search, target: overlaps(above(search), target) or contains(search, target),
    "le": lambda search, target: overlaps(below(search), target) or contains(search, target),
    "sa": lambda search, target: not overlaps(search, target) and contains(above(search), target),
    "eb": lambda search, target: not overlaps(search, target) and contains(below(search), target),
    "ap": lambda search, target: overlaps(around(search), target),
}


def plain(text: str) -> str:
    """A name without case, accents, ligatures, punctuation and spaces."""
    letters = unicodedata.normalize("NFD", text.casefold().replace("œ", "oe").replace("æ", "ae"))
    return "".join(letter for letter in letters if letter.isalnum() and not unicodedata.combining(letter))


def starts(names: list[str], asked: str) -> bool:
    return any(plain(name).startswith(plain(asked)) for name in names)


def is_token(coded: tuple[str | None, str], system: str | None, code: str | None) -> bool:
    """`code`, `|code`, `system|code` and `system|`; in the second the coded value has no system."""
    if code is None:
        return coded[0] == system
    if system is None:
        return coded[1] == code
    return coded == (system or None, code)


Asked = tuple[Any, ...]  # what one value of a search asks for, before it is written as text


def matches(id_: str, patient: Json, name: str, asked: Asked) -> bool:
    names = patient.get("name", [])
    if name == "_id":
        return asked == (None, id_)
    if name == "family":
        return starts([found["family"] for found in names if "family" in found], asked[0])
    if name == "given":
        return starts([given for found in names for given in found.get("given", [])], asked[0])
    if name == "birthdate":
        return "birthDate" in patient and PREFIXES[asked[0]](period(asked[1]), period(patient["birthDate"]))
    if name == "gender":
        return "gender" in patient and is_token((GENDERS, patient["gender"]), *asked)
    return any(is_token((found.get("system"), found["value"]), *asked) for found in patient.get("identifier", []))


# Patients and searches


SYSTEMS = ["urn:a", "urn:b", "http://example.org/a|b"]
CODES = ["7", "7,8", "8", "a|b", "|", "\\", "a\\", "\\,", "$1", "a b", "A", "a", "é"]
VALUES = st.sampled_from(CODES)
IDENTIFIERS = st.fixed_dictionaries({"value": VALUES}, optional={"system": st.sampled_from(SYSTEMS)})
NAME = st.text(st.sampled_from("aAbdeéÉèêçœŒæñü'’- "), min_size=1, max_size=8).filter(plain)
DATES = st.dates(datetime(1974, 11, 1).date(), datetime(1976, 3, 1).date()).map(str)
PARTIAL = st.builds(lambda date, length: date[:length], DATES, st.sampled_from([4, 7, 10]))
TIMES = st.builds(
    lambda date, time: f"{date}T{time}", DATES, st.sampled_from(["00:00:00Z", "23:30:00-02:00", "12:00:00+01:00"])
)
PATIENTS = st.fixed_dictionaries(
    {"resourceType": st.just("Patient")},
    optional={
        "identifier": st.lists(IDENTIFIERS, min_size=1, max_size=3),
        "name": st.lists(
            st.fixed_dictionaries({"family": NAME}, optional={"given": st.lists(NAME, min_size=1, max_size=2)}),
            min_size=1,
            max_size=2,
        ),
        "gender": st.sampled_from(["male", "female", "other", "unknown"]),
        "birthDate": PARTIAL,
    },
)


def escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\,|$" else letter for letter in text)


def written(name: str, asked: Asked) -> str:
    """The value as a client writes it."""
    if name in ("family", "given"):
        return escaped(asked[0])
    if name == "birthdate":
        return f"{asked[0]}{asked[1]}"
    system, code = asked
    return ("" if system is None else f"{escaped(system)}|") + ("" if code is None else escaped(code))


def tokens(systems: list[str], codes: st.SearchStrategy[str]) -> st.SearchStrategy[Asked]:
    whole = st.tuples(st.sampled_from([None, "", *systems]), codes)
    return whole | st.tuples(st.sampled_from(systems), st.none())


def values(name: str, strategy: st.SearchStrategy[Asked]) -> st.SearchStrategy[tuple[str, list[Asked]]]:
    return st.tuples(st.just(name), st.lists(strategy, min_size=1, max_size=3))


CRITERIA = st.one_of(
    values("family", st.tuples(NAME)),
    values("given", st.tuples(NAME)),
    values("birthdate", st.tuples(st.sampled_from(list(PREFIXES)), PARTIAL | TIMES)),
    values("gender", tokens([GENDERS, "urn:a"], st.sampled_from(["male", "female", "other", "unknown", "x"]))),
    values("identifier", tokens(SYSTEMS, VALUES)),
)
SEARCHES = st.lists(st.lists(CRITERIA, min_size=1, max_size=2), min_size=8, max_size=8)


@pytest.fixture(scope="module", params=CLEAR_AND_ENCRYPTED)
async def resources(mongod: Mongod, request: pytest.FixtureRequest) -> AsyncIterator[Resources]:
    """An encrypted store answers as a clear one does, or refuses."""
    database = Database(mongod.uri, f"query_{uuid4().hex}", keyring=request.param)
    await database.prepare()
    yield Resources(database)
    await database.client.drop_database(database.database.name)
    await database.close()


def is_refused(resources: Resources, name: str, asked: Asked) -> bool:
    """An encrypted store keeps no order of birth dates: a whole year, month or day is asked for."""
    ordered = name == "birthdate" and (asked[0] not in ("", "eq") or "T" in asked[1])
    return ordered and resources._database.seals.keys is not None


@pytest.fixture
def caller(tenant: str) -> Caller:
    return Caller(tenant, "ehr", frozenset({Right.READ, Right.WRITE}))


EDGES = [
    "1974",
    "1974-12",
    "1974-12-31",
    "1975",
    "1975-01",
    "1975-01-01",
    "1975-12",
    "1975-12-31",
    "1976",
    "1976-01-01",
]
MOMENTS = ["1975-01-01T00:00:00Z", "1974-12-31T23:59:59Z", "1975-01-01T00:59:59+01:00", "1974-12-31T22:00:00-02:00"]
NAMES = [
    "D’ARTAGNAN",
    "d'artagnan de l'Hérault",
    "Œuvrard",
    "OEUVRÉ",
    "Núñez-Peña",
    "Nunez",
    "N'Unez",
    "Le Goff",
    "Legoff",
]


async def stored_one_by_one(resources: Resources, caller: Caller, patients: list[Json]) -> dict[str, Json]:
    drafts = [Draft(one, None, None, Identity()) for one in patients]
    return {(await resources.create(caller, "Patient", draft)).id: draft.conveyed for draft in drafts}


async def assert_found(resources: Resources, caller: Caller, stored: dict[str, Json], name: str, asked: Asked) -> None:
    """In MongoDB, and in memory (`fhir.matching`)."""
    search = parse([(name, written(name, asked)), ("_count", "200")], PARAMETERS["Patient"], lenient=False)
    if is_refused(resources, name, asked):
        with pytest.raises(BadRequest, match="whole year, month or day"):
            await resources.search(caller, "Patient", search, None)
        return
    page = await resources.search(caller, "Patient", search, None)
    expected = {id_ for id_, patient in stored.items() if matches(id_, patient, name, asked)}
    assert {version.id for version in page.versions} == expected, asked
    assert {id_ for id_, patient in stored.items() if keys_match(keys_of(patient), search)} == expected, asked


async def test_every_prefix_at_every_edge_of_a_day_a_month_and_a_year(resources: Resources, caller: Caller) -> None:
    born = [{"resourceType": "Patient", "birthDate": date} for date in EDGES]
    stored = await stored_one_by_one(resources, caller, born)
    for asked in product(PREFIXES, [*EDGES, *MOMENTS]):
        await assert_found(resources, caller, stored, "birthdate", asked)


async def test_every_form_of_a_token_with_every_character_that_means_something(
    resources: Resources, caller: Caller
) -> None:
    identifiers = [
        {"value": code, **({"system": system} if system else {})} for system in (None, *SYSTEMS) for code in CODES
    ]
    patients = [{"resourceType": "Patient", "identifier": [one]} for one in identifiers]
    stored = await stored_one_by_one(resources, caller, patients)
    for asked in [*product((None, "", *SYSTEMS), CODES), *((system, None) for system in SYSTEMS)]:
        await assert_found(resources, caller, stored, "identifier", asked)


async def test_a_string_is_the_start_of_a_name_however_it_is_spelled(resources: Resources, caller: Caller) -> None:
    patients = [{"resourceType": "Patient", "name": [{"family": name}]} for name in NAMES]
    stored = await stored_one_by_one(resources, caller, patients)
    for asked in {name[:length] for name in NAMES for length in range(1, len(name) + 1)}:
        if plain(asked):
            await assert_found(resources, caller, stored, "family", (asked,))


@settings(max_examples=60, deadline=None)
@given(patients=st.lists(PATIENTS, min_size=4, max_size=8), searches=SEARCHES, chosen=st.data())
async def test_mongodb_finds_what_the_specification_means(
    resources: Resources, patients: list[Json], searches: list[list[tuple[str, list[Asked]]]], chosen: Any
) -> None:
    caller = Caller(uuid4().hex, "ehr", frozenset({Right.READ, Right.WRITE}))
    drafts = [Draft(patient, None, None, Identity()) for patient in patients]
    made = await asyncio.gather(*(resources.create(caller, "Patient", draft) for draft in drafts))
    stored = {version.id: patient for version, patient in zip(made, patients, strict=True)}
    some = chosen.draw(st.lists(st.sampled_from([*range(len(made)), None]), min_size=1, max_size=3))
    searches = [*searches, [("_id", [(None, "nobody" if one is None else made[one].id) for one in some])]]
    for criteria in searches:
        pairs = [(name, ",".join(written(name, asked) for asked in any_of)) for name, any_of in criteria]
        search = parse(pairs, PARAMETERS["Patient"], lenient=False)
        if any(is_refused(resources, name, asked) for name, any_of in criteria for asked in any_of):
            with pytest.raises(BadRequest, match="whole year, month or day"):
                await resources.search(caller, "Patient", search, None)
            continue
        page = await resources.search(caller, "Patient", search, None)
        expected = {
            id_
            for id_, patient in stored.items()
            if all(any(matches(id_, patient, name, asked) for asked in any_of) for name, any_of in criteria)
        }
        assert {version.id for version in page.versions} == expected, pairs
        assert await resources.count(caller, "Patient", search) == len(expected)
        if "_id" not in dict(pairs):
            assert {id_ for id_, patient in stored.items() if keys_match(keys_of(patient), search)} == expected, pairs


@pytest.mark.parametrize(
    ("prefix", "value", "target", "found"),
    [
        ("eq", "1975", "1975-06-15", True),
        ("eq", "1975-06-15", "1975", False),
        ("ne", "1975-06-15", "1975", True),
        ("gt", "1975-06", "1975", True),
        ("lt", "1975-06", "1975", True),
        ("sa", "1975-06", "1975", False),
        ("eb", "1975-06", "1975", False),
        ("sa", "1974", "1975", True),
        ("eb", "1976", "1975", True),
        ("ge", "1975", "1975", True),
        ("le", "1975", "1975", True),
        ("ap", "1975-06", "1975", True),
        ("eq", "1975-06-15T10:00:00Z", "1975-06-15", False),
        ("lt", "1975-06-15T10:00:00Z", "1975-06-15", True),
    ],
)
def test_the_obvious_reading_is_the_specification_s(prefix: str, value: str, target: str, found: bool) -> None:
    assert PREFIXES[prefix](period(value), period(target)) is found


STARTS = ["1900", "1950-03", "1974-12-31", "1975-06-01T10:00:00Z", "1990", None]
ENDS = ["1974-12-31", "1975", "1978-02", "1990-06-30", "2020-01-01", "2300", None]
ASKED = ["1899", "1950-03-02", "1974", "1975", "1975-06-01", "1975-06-01T10:00:00Z", "1980", "2020-01-01", "2301"]


def lasting(start: str | None, end: str | None) -> Period:
    return period(start)[0] if start else NEVER, period(end)[1] if end else EVER


async def test_periods_of_any_length_and_open_ones(resources: Resources, caller: Caller) -> None:
    """Shorter and longer than a year, than a life, without start, without end: under every prefix."""
    pairs = [(start, end) for start, end in product(STARTS, ENDS) if start or end]
    periods = [(start, end) for start, end in pairs if lasting(start, end)[0] < lasting(start, end)[1]]
    stored = {}
    for start, end in periods:
        said = {name: text for name, text in (("start", start), ("end", end)) if text}
        encounter = {"resourceType": "Encounter", "period": said}
        made = await resources.create(caller, "Encounter", Draft(encounter, None, None, Identity()))
        stored[made.id] = (encounter, lasting(start, end))
    for prefix, value in product(PREFIXES, ASKED):
        pairs_asked = [("date", prefix + value), ("_count", "200")]
        search = parse(pairs_asked, PARAMETERS["Encounter"], lenient=False)
        expected = {id_ for id_, (_, target) in stored.items() if PREFIXES[prefix](period(value), target)}
        page = await resources.search(caller, "Encounter", search, None)
        assert {version.id for version in page.versions} == expected, pairs_asked
        in_memory = {id_ for id_, (encounter, _) in stored.items() if keys_match(keys_of(encounter), search)}
        assert in_memory == expected, pairs_asked


REFERRING = [
    "Patient/1",
    "Patient/1/_history/2",
    "Patient/2",
    "Group/1",
    "http://elsewhere/fhir/Patient/1",
    "urn:uuid:1",
]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("subject", "Patient/1", [0, 1]),
        ("subject", "1", [0, 1, 3]),
        ("subject", "Group/1", [3]),
        ("subject", "Group/1,Patient/2", [2, 3]),
        ("subject:Patient", "1", [0, 1]),
        ("subject:Patient", "Patient/2", [2]),
        ("subject:Group", "2", []),
        ("subject", "http://elsewhere/fhir/Patient/1", [4]),
        ("subject", "http://elsewhere/fhir/Patient/1/_history/3", [4]),
        ("subject", "http://here/fhir/Patient/1", [0, 1]),
        ("subject", "urn:uuid:1", [5]),
        ("patient", "1", [0, 1]),
        ("patient", "http://elsewhere/fhir/Patient/1", [4]),
    ],
)
async def test_every_form_of_a_reference(
    resources: Resources, caller: Caller, name: str, value: str, found: list[int]
) -> None:
    flags = [{"resourceType": "Observation", "subject": {"reference": text}} for text in REFERRING]
    made = [await resources.create(caller, "Observation", Draft(flag, None, None, Identity())) for flag in flags]
    search = parse([(name, value)], PARAMETERS["Observation"], lenient=False, base="http://here/fhir")
    page = await resources.search(caller, "Observation", search, None)
    assert {version.id for version in page.versions} == {made[number].id for number in found}
    assert [number for number, flag in enumerate(flags) if keys_match(keys_of(flag), search)] == found


async def test_a_compartment_and_more_is_one_search(resources: Resources, caller: Caller) -> None:
    compartment = compartment_criteria("Patient", "1", "Observation")
    assert compartment
    of_both = {"subject": {"reference": "Group/1"}, "performer": [{"reference": "Patient/1"}]}
    observations = [
        {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/1"}},
        {"resourceType": "Observation", "status": "final", **of_both},
        {"resourceType": "Observation", "status": "amended", **of_both},
        {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/2"}},
    ]
    made = [await resources.create(caller, "Observation", Draft(one, None, None, Identity())) for one in observations]
    search = parse([("status", "final")], PARAMETERS["Observation"], lenient=False)
    within = replace(search, criteria=(compartment, *search.criteria))
    page = await resources.search(caller, "Observation", within, None)
    assert {version.id for version in page.versions} == {made[0].id, made[1].id}


async def test_local_references_are_kept_beside_the_keys(resources: Resources, caller: Caller) -> None:
    task = {"resourceType": "Task", "for": {"reference": "Patient/1"}, "focus": {"reference": "Task/2/_history/1"}}
    reference = {**task, "owner": {"reference": "Organization/3"}}
    made = await resources.create(caller, "Task", Draft(task, None, reference, Identity()))
    for reference in ("Organization/3", "Patient/1", "Task/2"):
        assert await resources.referrers(caller, reference, but_tasks_of="urn:x") == [f"Task/{made.id}"]
    assert await resources.referrers(caller, "Patient/2", but_tasks_of="urn:x") == []
