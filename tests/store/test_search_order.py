"""The order of a search and its pages. https://hl7.org/fhir/R4/search.html#sort, #count"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.collection import Collection
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search import Search, parse
from fhir_ins.fhir.search_parameters import PARAMETERS
from fhir_ins.ins.identity import Identity
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database
from fhir_ins.store.documents import Draft, version_document
from fhir_ins.store.finding import Start
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import Resources

Json = dict[str, Any]


@pytest.fixture(scope="module")
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    opened = Database(mongod.uri, f"order_{uuid4().hex}", most_unbounded=30)
    await opened.prepare()
    yield opened
    await opened.client.drop_database(opened.database.name)
    await opened.close()


@pytest.fixture(scope="module")
def resources(database: Database) -> Resources:
    return Resources(database)


def writer() -> Caller:
    return Caller(uuid4().hex, "ehr", frozenset({Right.READ, Right.WRITE}))


def search(*pairs: tuple[str, str], type_: str = "Patient") -> Search:
    return parse(pairs, PARAMETERS[type_], lenient=False)


async def stored(resources: Resources, caller: Caller, patients: list[Json]) -> dict[str, Json]:
    found = {}
    for patient in patients:
        made = await resources.create(caller, "Patient", Draft(patient, None, None, Identity()))
        found[made.id] = patient
    return found


async def pages(resources: Resources, caller: Caller, asked: Search, *, back: bool = False) -> list[list[str]]:
    """All pages forward; or, from the last one on, all pages back."""
    seen, start = [], None
    while True:
        page = await resources.search(caller, "Patient", asked, start)
        seen.append([version.id for version in page.versions])
        assert page.before is (start is not None)
        if not page.after:
            break
        start = Start(page.found[-1].mark)
    while back and page.before:
        page = await resources.search(caller, "Patient", asked, Start(page.found[0].mark, back=True))
        seen.append([version.id for version in page.versions])
        assert page.after
    return seen


# What a resource is sorted by: the least of its values, or the greatest; none before all else.
LEAST: dict[str, Any] = {
    "family": lambda patient: [name["family"] for name in patient.get("name", [])],
    "name": lambda patient: [
        part for name in patient.get("name", []) for part in (name["family"], *name.get("given", []))
    ],
    "birthdate": lambda patient: [patient["birthDate"]] if "birthDate" in patient else [],
    "gender": lambda patient: [patient["gender"]] if "gender" in patient else [],
    "general-practitioner": lambda patient: [
        form
        for one in patient.get("generalPractitioner", [])
        for form in (one["reference"], one["reference"].partition("/")[2])
    ],
}


def sorted_ids(patients: dict[str, Json], keys: list[tuple[str, bool]]) -> list[str]:
    ids = sorted(patients)
    for name, descending in reversed(keys):

        def place(id_: str, name: str = name, descending: bool = descending) -> tuple[bool, str]:
            values = LEAST[name](patients[id_])
            return (bool(values), (max if descending else min)(values) if values else "")

        ids.sort(key=place, reverse=descending)
    return ids


PATIENTS = st.builds(
    lambda names, given_, born, gender, doctor: {
        "resourceType": "Patient",
        **({"name": [{"family": name, "given": [given_]} for name in names]} if names else {}),
        **({"birthDate": born} if born else {}),
        **({"gender": gender} if gender else {}),
        **({"generalPractitioner": [{"reference": doctor}]} if doctor else {}),
    },
    st.lists(st.sampled_from(["ADRUN", "CORSE", "ZOLA"]), max_size=2),
    st.sampled_from(["BERTHE", "YVES"]),
    st.sampled_from([None, "1970-01-01", "1975-12-31", "1980-06-15"]),
    st.sampled_from([None, "female", "male"]),
    st.sampled_from([None, "Practitioner/1", "Practitioner/2"]),
)
KEYS = st.lists(st.tuples(st.sampled_from(sorted(LEAST)), st.booleans()), min_size=0, max_size=3)


@settings(max_examples=60, deadline=None)
@given(patients=st.lists(PATIENTS, max_size=9), keys=KEYS, count=st.integers(1, 4))
async def test_the_pages_are_the_matches_in_order_each_once_and_back_again(
    resources: Resources, patients: list[Json], keys: list[tuple[str, bool]], count: int
) -> None:
    caller = writer()
    people = await stored(resources, caller, patients)
    sort = [("_sort", ",".join("-" * descending + name for name, descending in keys))] if keys else []
    asked = search(*sort, ("_count", str(count)))
    expected = sorted_ids(people, keys)
    forward = await pages(resources, caller, asked)
    assert [id_ for page in forward for id_ in page] == expected
    there_and_back = await pages(resources, caller, asked, back=True)
    assert there_and_back == [*forward, *reversed(forward[:-1])]


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated", None, "_id", "-_id", "_id,family"])
async def test_what_the_documents_themselves_are_sorted_by(resources: Resources, sort: str | None) -> None:
    caller = writer()
    ids = list(await stored(resources, caller, [{"resourceType": "Patient"} for _ in range(7)]))
    since = [("_lastUpdated", "ge2000")] if sort is None else [("_sort", sort)]
    forward = await pages(resources, caller, search(*since, ("_count", "2")), back=True)
    updated = {id_: (await resources.read(caller, "Patient", id_)).updated for id_ in ids}
    by_time = sorted(ids, key=lambda id_: (updated[id_], [-ord(letter) for letter in id_]))
    expected = {
        None: by_time,
        "_lastUpdated": by_time,
        "-_lastUpdated": by_time[::-1],
        "_id": sorted(ids),
        "_id,family": sorted(ids),
        "-_id": sorted(ids, reverse=True),
    }[sort]
    there = [expected[at : at + 2] for at in range(0, 7, 2)]
    assert forward == [*there, *reversed(there[:-1])]


async def test_pages_hold_what_stays_while_others_come_and_go(resources: Resources) -> None:
    caller = writer()
    named = [{"resourceType": "Patient", "name": [{"family": f"NAME{number:02}"}]} for number in range(12)]
    stay = await stored(resources, caller, named)
    asked, seen, start = search(("_sort", "-family"), ("_count", "3")), [], None
    while True:
        page = await resources.search(caller, "Patient", asked, start)
        seen += [version.id for version in page.versions]
        others = await stored(resources, caller, [{"resourceType": "Patient", "name": [{"family": "NAME05"}]}] * 2)
        gone = await resources.current(caller, "Patient", next(iter(others)))
        assert gone
        await resources.replace(caller, gone, Draft({"resourceType": "Patient"}, None, None, Identity()))
        if not page.after:
            break
        start = Start(page.found[-1].mark)
    assert len(seen) == len(set(seen))
    assert [id_ for id_ in seen if id_ in stay] == list(stay)[::-1]


@pytest.mark.parametrize(
    "pairs",
    [
        [("_sort", "family")],
        [("gender:not", "male")],
        [("family:missing", "true")],
        [("gender:missing", "false"), ("birthdate:missing", "true")],
    ],
)
async def test_what_no_index_bounds_needs_a_companion_beyond_some_size(
    resources: Resources, pairs: list[tuple[str, str]]
) -> None:
    caller = writer()
    people = [{"resourceType": "Patient", "name": [{"family": "ADRUN"}]} for _ in range(30)]
    await stored(resources, caller, people)
    assert (await resources.search(caller, "Patient", search(*pairs))) is not None
    await stored(resources, caller, people[:1])
    for ask in (resources.search(caller, "Patient", search(*pairs)),):
        with pytest.raises(BadRequest, match="more than 30") as refused:
            await ask
        assert refused.value.issues[0].code == "too-costly"
    with_companion = search(*pairs, ("family", "adrun"))
    assert await resources.search(caller, "Patient", with_companion) is not None
    assert await resources.search(caller, "Patient", search(("_sort", "-_lastUpdated"))) is not None


class Deleting(CommandListener):
    """Deletes Patients as soon as a search has told where they stand, before it reads their bodies."""

    def __init__(self, collection: Collection[Json], ids: list[str]) -> None:
        self.collection, self.ids = collection, ids
        self.orders: set[int] = set()

    def started(self, event: CommandStartedEvent) -> None:
        if any("$sort" in stage for stage in event.command.get("pipeline", ())):
            self.orders.add(event.request_id)

    def failed(self, event: CommandFailedEvent) -> None: ...

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.request_id in self.orders:
            self.collection.update_many({"id": {"$in": self.ids}}, {"$set": {"live": False, "ix": None}})


@pytest.mark.parametrize(("deleted", "shown"), [([1], [0, 2, 3]), ([0, 1, 2, 3], [4, 5]), ([3], [0, 1, 2])])
async def test_a_delete_meanwhile_ends_no_paging(
    mongod: Mongod, database: Database, deleted: list[int], shown: list[int]
) -> None:
    caller, name = writer(), database.database.name
    people: list[Json] = [{"resourceType": "Patient", "name": [{"family": f"NAME{number}"}]} for number in range(6)]
    ids = list(await stored(Resources(database), caller, people))
    with pymongo.MongoClient[Json](mongod.uri) as other:
        meanwhile = Deleting(other[name]["resources"], [ids[number] for number in deleted])
        watched = Database(mongod.uri, name)
        async with AsyncMongoClient[Json](mongod.uri, tz_aware=True, event_listeners=[meanwhile]) as client:
            watched.resources = client[name]["resources"]
            page = await Resources(watched).search(caller, "Patient", search(("_sort", "family"), ("_count", "3")))
        await watched.close()
    assert [ids.index(version.id) for version in page.versions] == shown
    assert page.after is (shown[-1] < 5)


async def test_a_search_that_takes_too_long_is_refused(mongod: Mongod, database: Database) -> None:
    """A thousand Patients of sixty names each, in five orders of those: more than a twentieth of a second's work."""
    hurried = Database(mongod.uri, database.database.name, search_timeout=0.05)
    resources, caller = Resources(hurried), writer()
    names = [{"family": f"NAME{number:03} {'x' * 40}"} for number in range(60)]
    one = {"resourceType": "Patient", "active": True, "name": names}
    made = version_document(caller, "Patient", "1", Draft(one, None, None, Identity()), None, "POST")
    made["ix"] = {**made["ix"], "part": [], "exact": []}
    await hurried.resources.insert_many([{**made, "_id": f"{made['_id']}{number}"} for number in range(1000)])
    with pytest.raises(BadRequest, match="too long") as refused:
        await resources.search(caller, "Patient", search(("active", "true"), ("_sort", "name,-name,name,-name,name")))
    assert refused.value.issues[0].code == "too-costly"
    await hurried.close()


async def test_what_is_referred_to(resources: Resources) -> None:
    caller = writer()
    doctors = [[{"reference": f"Practitioner/{number}"}, {"reference": "Organization/1"}] for number in (1, 1, 2)]
    await stored(resources, caller, [{"resourceType": "Patient", "generalPractitioner": some} for some in doctors])
    parameter = PARAMETERS["Patient"]["general-practitioner"]
    ids = await resources.referred(caller, "Patient", search(), parameter, "Practitioner", 5)
    assert sorted(ids) == ["1", "2"]
    assert len(await resources.referred(caller, "Patient", search(), parameter, "Practitioner", 1)) == 1
