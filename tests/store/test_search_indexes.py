"""Every search is served by an index that the tenant leads, and reads little more than it finds."""

from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import uuid4

import pytest
from people import RELIABILITY, STATUSES, patient

from fhir_ins.fhir.search import Search
from fhir_ins.fhir.search import parse as parse_search
from fhir_ins.frcore.canonical import BIRTH_LIST_GIVEN_NAME, BIRTH_PLACE, INSEE_CODE
from fhir_ins.frcore.search_parameters import PARAMETERS, further_keys
from fhir_ins.ins.identity import DocumentCheck, Identity
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database
from fhir_ins.store.documents import Draft, version_document
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import Resources

Json = dict[str, Any]


def search(**parameters: str) -> Search:
    return parse_search(list(parameters.items()), PARAMETERS["Patient"], lenient=False)


def of_encounters(parameters: dict[str, str]) -> Search:
    return parse_search(list(parameters.items()), PARAMETERS["Encounter"], lenient=False)


MANY = 400


CHECKED = Identity(check=DocumentCheck("2026-11-20", "CN", "agent"))


def french(number: int, born: str) -> list[Json]:
    """A birth place shared by few, and a call of INSi as long ago as the birth."""
    place = {"extension": [{"url": INSEE_CODE, "valueCoding": {"system": "urn:cog", "code": f"{number // 4:05}"}}]}
    said = [
        {"url": "methodCollection", "valueCoding": {"code": "INSI"}},
        {"url": "dateCollection", "valueDate": born},
        {"url": "identityStatus", "valueCoding": {"system": STATUSES, "code": "PROV"}},
    ]
    return [{"url": BIRTH_PLACE, "valueAddress": place}, {"url": RELIABILITY, "extension": said}]


def population(caller: Caller) -> Iterable[Json]:
    """Patients of whom no two have the same name, number or birth date; half of each gender and status."""
    for number in range(MANY):
        born = f"{1950 + number // 12 % 60:04}-{number % 12 + 1:02}-{number % 28 + 1:02}"
        listed = {"url": BIRTH_LIST_GIVEN_NAME, "valueString": f"Given{number:04} Zoé"}
        resource = patient(
            extension=french(number, born),
            identifier=[
                {
                    "type": {"coding": [{"system": "urn:type", "code": "PI"}], "text": f"Number {number}"},
                    "system": "urn:ipp",
                    "value": f"n{number}",
                },
                {"system": f"urn:site:{number % 100}", "value": "1"},
            ],
            name=[{"extension": [listed], "family": f"Name{number:04}", "given": [f"Given{number:04}", "Zoé"]}],
            gender=("female", "male")[number % 2],
            birthDate=born,
            generalPractitioner=[{"identifier": {"system": "urn:rpps", "value": f"{number}"}}],
        )
        identity = (Identity(), CHECKED)[number % 2]
        draft = Draft(resource, None, None, identity, further_keys(resource, identity))
        yield version_document(caller, "Patient", f"id{number:04}", draft, None, "POST")


def encounters(caller: Caller) -> Iterable[Json]:
    """Encounters of whom two have the same patient; from an hour to decades long, every eighth still open."""
    for number in range(MANY):
        start = f"{1950 + number // 12 % 60:04}-{number % 12 + 1:02}-{number % 28 + 1:02}"
        years = (0, 0, 0, 0, 3, 12, 50, None)[number % 8]
        end = {} if years is None else {"end": f"{int(start[:4]) + years}{start[4:]}T23:00:00Z"}
        resource = {
            "resourceType": "Encounter",
            "meta": {"profile": [f"urn:profile:{number // 3}"]},
            "subject": {"reference": f"{('Patient', 'Group')[number % 2]}/{number // 4}"},
            "period": {"start": start, **end},
        }
        yield version_document(
            caller, "Encounter", f"id{number:04}", Draft(resource, None, None, Identity()), None, "POST"
        )


def observations(caller: Caller) -> Iterable[Json]:
    """Observations of one code and unit, of whom no two have the same value; a Location for each."""
    for number in range(MANY):
        value = {"value": number + 0.5, "system": "urn:u", "code": "kg", "unit": "kilo"}
        code = {"coding": [{"system": "urn:c", "code": "weight", "display": f"Weight {number}"}]}
        whole = {"resourceType": "Observation", "status": "final", "code": code}
        texts = {"valueString": f"Text {number:04}"} if number % 2 else {"valueQuantity": value}
        yield version_document(
            caller, "Observation", f"id{number:04}", Draft({**whole, **texts}, None, None, Identity()), None, "POST"
        )
        place = {"resourceType": "Location", "position": {"longitude": number / 10, "latitude": 48.5}}
        yield version_document(caller, "Location", f"id{number:04}", Draft(place, None, None, Identity()), None, "POST")


@pytest.fixture(scope="module")
async def crowd(mongod: Mongod) -> AsyncIterator[tuple[Database, Caller]]:
    """A few hundred patients in one tenant, as many in another; the database writes down every command."""
    database = Database(mongod.uri, f"crowd_{uuid4().hex}")
    await database.prepare()
    tenants = [Caller(uuid4().hex, "ehr", frozenset({Right.READ})) for _ in range(2)]
    for caller in tenants:
        await database.resources.insert_many(population(caller))
        await database.resources.insert_many(encounters(caller))
        await database.resources.insert_many(observations(caller))
    await database.database.command("profile", 2)
    yield database, tenants[0]
    await database.database.command("profile", 0)
    await database.client.drop_database(database.database.name)
    await database.close()


async def explained(database: Database, verb: str) -> Json:
    """What MongoDB says of the last command of this kind that it was sent."""
    (seen,) = await database.database["system.profile"].find({f"command.{verb}": "resources"}).sort("ts", -1).to_list(1)
    kept = {verb, "filter", "sort", "limit", "projection", "pipeline", "cursor", "hint"}
    command = {name: value for name, value in seen["command"].items() if name in kept}
    return await database.database.command("explain", command, verbosity="executionStats")


def stages(plan: Any) -> Iterable[Json]:
    """Every stage of a plan, in whatever it is nested."""
    if isinstance(plan, dict):
        if "stage" in plan:
            yield plan
        for part in plan.values():
            yield from stages(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from stages(part)


def winning_plan(explanation: Json) -> list[Json]:
    planner = explanation.get("queryPlanner") or explanation["stages"][0]["$cursor"]["queryPlanner"]
    return list(stages(planner["winningPlan"]))


def led_by_the_tenant(scan: Json, caller: Caller) -> bool:
    """By its first field, or by how every token begins."""
    first = next(iter(scan["keyPattern"]))
    if first == "tenant":
        return True
    return first == "ix.token" and all(bound.startswith(f'["{caller.tenant}/') for bound in scan["indexBounds"][first])


SELECTIVE = [
    {"_id": "id0007"},
    {"_id": "id0007,id0008,id0399"},
    {"identifier": "urn:ipp|n7"},
    {"identifier": "urn:ipp|n7,urn:ipp|n8"},
    {"identifier": "n7"},
    {"identifier": "urn:site:7|"},
    {"identifier": "|n7"},
    {"family": "name0007"},
    {"family": "Name000"},
    {"family": "name0007,name0008"},
    {"given": "given0007"},
    {"given": "Given001"},
    {"birthdate": "1960-05-13"},
    {"birthdate": "eq1960-05"},
    {"birthdate": "lt1950-03"},
    {"birthdate": "sa1983-03"},
    {"identifier": "urn:ipp|n7", "gender": "male"},
    {"family": "name0007", "birthdate": "ge1950"},
    {"birthdate": "1960-05-13,1961-02-22"},
    {"birthdate": "gt1983-03"},
    {"birthdate": "ge1983-03"},
    {"birthdate": "le1950-03"},
    {"birthdate": "eb1950-03"},
    {"birth-place-cog": "00007"},
    {"birth-place-cog": "urn:cog|00007,urn:cog|00008"},
    {"birth-list-given-name": "given0007 zoe"},
    {"ins-call-date": "1960-05-13"},
    {"ins-call-date": "ge1983-03"},
    {"identity-status": "qualifiee"},
    {"gender": "male", "identifier": "urn:ipp|n7"},
    {"identity-status": "qualifiee", "identifier": "urn:ipp|n7", "gender": "male"},
    {"name": "name0007"},
    {"given": "g", "family": "name0007"},
    {"birthdate": "ge1900", "ins-call-date": "1960-05-13"},
    {"family:exact": "Name0007"},
    {"family:contains": "me0007"},
    {"name:contains": "en0007"},
    {"name:contains": "en0007", "birthdate": "ge1900"},
    {"birth-list-given-name:contains": "0007zo"},
    {"identifier:of-type": "urn:type|PI|n7"},
    {"identifier:text": "number 7"},
    {"general-practitioner:identifier": "urn:rpps|7"},
    {"_lastUpdated": "ge2000"},
    {"family": "name0007", "gender:not": "female"},
    {"family": "name0008", "birthdate:missing": "false", "phone:missing": "true"},
]
WIDE = [
    {},
    {"gender": "female"},
    {"gender": "http://hl7.org/fhir/administrative-gender|female"},
    {"gender": "http://hl7.org/fhir/administrative-gender|"},
    {"identifier": "urn:ipp|"},
    {"family": "name"},
    {"birthdate": "ne1960"},
    {"birthdate": "gt1960"},
    {"birthdate": "ap1980"},
    {"identity-status": "provisoire"},
    {"identity-status": "PROV", "birthdate": "gt1960"},
    {"birth-place-cog": "urn:cog|"},
    {"birth-list-given-name": "given"},
    {"ins-call-date": "lt2000"},
    {"family:contains": "ame"},
    {"gender:not": "female"},
    {"phone:missing": "true"},
    {"family:missing": "false"},
]


@pytest.mark.parametrize("parameters", [*SELECTIVE, *WIDE], ids=str)
async def test_every_search_is_served_by_an_index_that_the_tenant_leads(
    crowd: tuple[Database, Caller], parameters: dict[str, str]
) -> None:
    database, caller = crowd
    await Resources(database).search(caller, "Patient", search(**parameters), None)
    plan = winning_plan(await explained(database, "find"))
    assert "COLLSCAN" not in [stage["stage"] for stage in plan]
    scans = [stage for stage in plan if stage["stage"] == "IXSCAN"]
    assert scans
    assert all(led_by_the_tenant(scan, caller) for scan in scans)


@pytest.mark.parametrize("parameters", SELECTIVE, ids=str)
async def test_a_selective_search_reads_little_more_than_it_finds(
    crowd: tuple[Database, Caller], parameters: dict[str, str]
) -> None:
    database, caller = crowd
    page = await Resources(database).search(caller, "Patient", search(**parameters), None)
    statistics = (await explained(database, "find"))["executionStats"]
    assert statistics["nReturned"] == len(page.versions) + page.after
    assert statistics["totalDocsExamined"] <= 2 * statistics["nReturned"] + 5
    assert statistics["totalKeysExamined"] <= 3 * statistics["nReturned"] + 25


@pytest.mark.parametrize("parameters", [*SELECTIVE, *WIDE], ids=str)
async def test_counting_uses_an_index_too(crowd: tuple[Database, Caller], parameters: dict[str, str]) -> None:
    database, caller = crowd
    await Resources(database).count(caller, "Patient", search(**parameters))
    plan = winning_plan(await explained(database, "aggregate"))
    assert "COLLSCAN" not in [stage["stage"] for stage in plan]
    assert all(led_by_the_tenant(scan, caller) for scan in plan if "keyPattern" in scan)


ENCOUNTERS = [
    {"subject": "Patient/7"},
    {"subject": "7"},
    {"subject:Group": "7"},
    {"patient": "7,Patient/8"},
    {"subject": "http://elsewhere/Patient/7"},
    {"_profile": "urn:profile:7"},
    {"date": "1950-05-05"},
    {"date": "lt1950-03"},
    {"date": "sa2009-10"},
    {"date": "eb1950-06"},
    {"subject": "Patient/7", "date": "ge1900"},
]


@pytest.mark.parametrize("parameters", ENCOUNTERS, ids=str)
async def test_a_selective_search_by_reference_uri_or_period_reads_little_more_than_it_finds(
    crowd: tuple[Database, Caller], parameters: dict[str, str]
) -> None:
    database, caller = crowd
    page = await Resources(database).search(caller, "Encounter", of_encounters(parameters), None)
    explanation = await explained(database, "find")
    assert "COLLSCAN" not in [stage["stage"] for stage in winning_plan(explanation)]
    statistics = explanation["executionStats"]
    assert statistics["nReturned"] == len(page.versions) + page.after
    assert statistics["totalDocsExamined"] <= 2 * statistics["nReturned"] + 5
    assert statistics["totalKeysExamined"] <= 3 * statistics["nReturned"] + 25


@pytest.mark.parametrize("date", ["ap2026-11", "ge2009-12", "gt2009-12-31", "ge2055"])
async def test_what_ends_after_a_moment_is_sought_no_further_back_than_it_may_last(
    crowd: tuple[Database, Caller], date: str
) -> None:
    """Each index scan is over one class of durations, and bounded by it; only the open ones start at any time."""
    database, caller = crowd
    await Resources(database).search(caller, "Encounter", of_encounters({"date": date}), None)
    plan = winning_plan(await explained(database, "find"))
    bounds = [stage["indexBounds"] for stage in plan if stage.get("indexName") == "range"]
    assert bounds
    for bound in bounds:
        (class_, *more), (low, *_) = bound["ix.range.p"], bound["ix.range.low"]
        assert more or "date|4" in class_ or not low.startswith("[MinKey"), bound


async def test_whether_a_resource_is_referenced_is_one_look(crowd: tuple[Database, Caller]) -> None:
    database, caller = crowd
    found = await database.resources.find({"tenant": caller.tenant, "ix.ref": "Patient/8"}).to_list()
    assert {document["type"] for document in found} == {"Encounter"}
    statistics = (await explained(database, "find"))["executionStats"]
    assert statistics["totalDocsExamined"] == len(found) == 2


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [
        ("Observation", {"value-quantity": "42.5"}),
        ("Observation", {"value-quantity": "42.5|urn:u|kg"}),
        ("Observation", {"value-quantity": "42.5||kilo"}),
        ("Observation", {"value-quantity": "gt396"}),
        ("Observation", {"value-quantity": "ge396"}),
        ("Observation", {"value-quantity": "lt3"}),
        ("Observation", {"value-quantity": "sa396"}),
        ("Observation", {"value-quantity": "eb3"}),
        ("Observation", {"value-quantity": "ap10"}),
        ("Observation", {"combo-value-quantity": "42.5"}),
        ("Observation", {"code-value-quantity": "urn:c|weight$42.5|urn:u|kg"}),
        ("Observation", {"code-value-quantity": "weight$gt396"}),
        ("Observation", {"combo-code-value-quantity": "weight$gt396"}),
        ("Observation", {"code-value-string": "weight$text 0007"}),
        ("Observation", {"code:text": "weight 39"}),
        ("Observation", {"value-string:contains": "t0007"}),
        ("Location", {"near": "48.5|10|5|km"}),
    ],
    ids=str,
)
async def test_a_selective_search_by_number_composite_or_place_reads_little_more_than_it_finds(
    crowd: tuple[Database, Caller], type_: str, parameters: dict[str, str]
) -> None:
    database, caller = crowd
    asked = parse_search(list(parameters.items()), PARAMETERS[type_], lenient=False)
    page = await Resources(database).search(caller, type_, asked)
    assert page.found
    statistics = (await explained(database, "find"))["executionStats"]
    assert statistics["nReturned"] == len(page.versions) + page.after
    assert statistics["totalDocsExamined"] <= 2 * statistics["nReturned"] + 5
    assert statistics["totalKeysExamined"] <= 3 * statistics["nReturned"] + 25
