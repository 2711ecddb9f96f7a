"""Resources in MongoDB: exact bytes, versions, one holder of an INS, tenants apart, searches that use an index."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from frcore.records import FR_CORE
from people import ADRUN, NIR, patient
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_ins.fhir.json import parse, serialise
from fhir_ins.fhir.outcome import NotFound
from fhir_ins.fhir.search import Search
from fhir_ins.fhir.search import parse as parse_search
from fhir_ins.fhir.search_parameters import PARAMETERS
from fhir_ins.frcore.forms import forms
from fhir_ins.ins.identity import DocumentCheck, Identity, InsNumber, Obtained
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.database import Database
from fhir_ins.store.documents import Draft
from fhir_ins.store.finding import Start
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import AlreadyHeld, Current, Resources, Version, VersionChanged, Write

Json = dict[str, Any]

TRAITS = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", "63220")
NUMBER = InsNumber(Matricule("2751263220749", "74"), "1.2.250.1.213.1.4.8")
OTHER_NUMBER = InsNumber(Matricule("2600588154002", "33"), "1.2.250.1.213.1.4.8")
OBTAINED = Obtained(NUMBER, (), TRAITS, "2026-11-20", "call")
CHECK = DocumentCheck("2026-11-20", "CN", "agent")

PLAIN = Identity()
RETRIEVED = Identity(obtained=OBTAINED)
QUALIFIED = Identity(obtained=OBTAINED, check=CHECK)


@pytest.fixture
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    database = Database(mongod.uri, "store")
    await database.prepare()
    yield database
    await database.close()


@pytest.fixture
def resources(database: Database) -> Resources:
    return Resources(database)


@pytest.fixture
def caller(tenant: str) -> Caller:
    return Caller(tenant, "ehr", frozenset({Right.READ, Right.WRITE}))


@pytest.fixture
def reference(tenant: str) -> Caller:
    return Caller(tenant, "identity desk", frozenset({Right.READ, Right.WRITE, Right.REFERENCE}))


@pytest.fixture
def stranger() -> Caller:
    return Caller(uuid4().hex, "ehr", frozenset(Right))


def draft(identity: Identity = PLAIN, **elements: Any) -> Draft:
    found = forms(patient(**elements), identity, FR_CORE)
    return Draft(found.conveyed, found.concealed, found.reference, identity)


def search(**parameters: str) -> Search:
    return parse_search(list(parameters.items()), PARAMETERS["Patient"], lenient=False)


async def current(resources: Resources, caller: Caller, id_: str) -> Current:
    found = await resources.current(caller, "Patient", id_)
    assert found
    return found


async def rewritten(resources: Resources, caller: Caller, id_: str, new: Draft | None) -> Version:
    return await resources.replace(caller, await current(resources, caller, id_), new)


def shows_matricule(version: Version) -> bool:
    return ADRUN.encode() in (version.body or b"")


async def found_ids(resources: Resources, caller: Caller, **parameters: str) -> list[str]:
    page = await resources.search(caller, "Patient", search(**parameters), None)
    assert await resources.count(caller, "Patient", search(**parameters)) == len(page.versions)
    return [version.id for version in page.versions]


# Bytes and versions


async def test_the_bytes_come_back_as_written(resources: Resources, caller: Caller) -> None:
    body = parse('{"resourceType":"Patient","extension":[{"url":"urn:x","valueDecimal":45.7770}],"id":"é"}'.encode())
    made = await resources.create(caller, "Patient", Draft(body, None, None, PLAIN))
    head = serialise({"resourceType": "Patient", "id": made.id})[:-1]
    assert made.body
    assert made.body.startswith(head + b',"meta":{"versionId":"1","lastUpdated":"')
    assert made.body.endswith(b'"extension":[{"url":"urn:x","valueDecimal":45.7770}]}')
    read = await resources.read(caller, "Patient", made.id)
    assert read == made
    assert (await resources.read_version(caller, "Patient", made.id, 1)) == made
    (version,) = (await resources.search(caller, "Patient", search(_id=made.id), None)).versions
    assert version == made
    assert (await current(resources, caller, made.id)).body == made.body


async def test_meta_says_the_version_and_when(resources: Resources, caller: Caller) -> None:
    made = await resources.create(caller, "Patient", draft(meta={"tag": [{"code": "kept"}]}))
    meta = parse(made.body or b"")["meta"]
    assert meta["tag"] == [{"code": "kept"}]
    assert meta["versionId"] == "1"
    assert datetime.fromisoformat(meta["lastUpdated"]) == made.updated


async def test_a_superseded_version_stays_readable_without_its_search_keys(
    resources: Resources, database: Database, caller: Caller
) -> None:
    first = await resources.create(caller, "Patient", draft())
    second = await rewritten(resources, caller, first.id, draft(active=True))
    assert (second.id, second.number) == (first.id, 2)
    assert await resources.read(caller, "Patient", first.id) == second
    assert await resources.read_version(caller, "Patient", first.id, 1) == first
    assert await resources.read_version(caller, "Patient", first.id, 2) == second
    (past,) = await database.versions.find({"tenant": caller.tenant}).to_list()
    assert "ix" not in past
    assert (past["_id"], past["version"]) == (f"{caller.tenant}/Patient/{first.id}/1", 1)


async def test_a_deletion_is_a_version_without_body(resources: Resources, caller: Caller) -> None:
    made = await resources.create(caller, "Patient", draft())
    deleted = await rewritten(resources, caller, made.id, None)
    assert (deleted.number, deleted.body) == (2, None)
    assert await resources.read(caller, "Patient", made.id) == deleted
    assert await resources.read_version(caller, "Patient", made.id, 1) == made
    assert await found_ids(resources, caller) == []
    again = await rewritten(resources, caller, made.id, draft())
    assert again.number == 3
    assert await found_ids(resources, caller) == [made.id]


async def test_what_never_was_is_not_found(resources: Resources, caller: Caller) -> None:
    assert await resources.current(caller, "Patient", "nobody") is None
    for id_, number in (("nobody", None), ("nobody", 1)):
        with pytest.raises(NotFound):
            await (
                resources.read_version(caller, "Patient", id_, number)
                if number
                else resources.read(caller, "Patient", id_)
            )
    made = await resources.create(caller, "Patient", draft())
    for number in (0, 2):
        with pytest.raises(NotFound):
            await resources.read_version(caller, "Patient", made.id, number)


async def test_updated_never_goes_backwards(resources: Resources, database: Database, caller: Caller) -> None:
    made = await resources.create(caller, "Patient", draft())
    ahead = datetime(2999, 1, 1, tzinfo=UTC)  # as a server with a wrong clock would have written
    await database.resources.update_one({"tenant": caller.tenant}, {"$set": {"updated": ahead}})
    assert (await rewritten(resources, caller, made.id, draft())).updated == ahead
    assert (await rewritten(resources, caller, made.id, None)).updated == ahead


# Writes at the same time


async def test_a_write_on_a_stale_version_writes_nothing(
    resources: Resources, database: Database, caller: Caller
) -> None:
    made = await resources.create(caller, "Patient", draft())
    stale = await current(resources, caller, made.id)
    second = await resources.replace(caller, stale, draft(active=True))
    for new in (draft(active=False), draft(RETRIEVED), None):
        with pytest.raises(VersionChanged):
            await resources.replace(caller, stale, new)
    assert await resources.read(caller, "Patient", made.id) == second
    assert await database.versions.count_documents({"tenant": caller.tenant}) == 1
    assert await database.keys.count_documents({"tenant": caller.tenant}) == 0


async def test_of_eight_writes_on_one_version_one_wins(
    resources: Resources, database: Database, caller: Caller
) -> None:
    made = await resources.create(caller, "Patient", draft())
    start = await current(resources, caller, made.id)
    drafts = [draft(multipleBirthInteger=number) for number in range(8)]
    answers = await asyncio.gather(*(resources.replace(caller, start, new) for new in drafts), return_exceptions=True)
    (won,) = [answer for answer in answers if isinstance(answer, Version)]
    assert [type(answer) for answer in answers if not isinstance(answer, Version)] == [VersionChanged] * 7
    assert await resources.read(caller, "Patient", made.id) == won
    assert await database.versions.count_documents({"tenant": caller.tenant}) == 1


# One holder of an INS


async def test_a_confirmed_ins_has_one_holder(resources: Resources, database: Database, caller: Caller) -> None:
    holder = await resources.create(caller, "Patient", draft(RETRIEVED))
    assert await resources.holder(caller, [NUMBER]) == holder.id
    assert await resources.holder(caller, [OTHER_NUMBER]) is None
    with pytest.raises(AlreadyHeld) as caught:
        await resources.create(caller, "Patient", draft(QUALIFIED))
    assert caught.value.holder == holder.id
    other = await resources.create(caller, "Patient", draft())
    with pytest.raises(AlreadyHeld) as caught:
        await rewritten(resources, caller, other.id, draft(RETRIEVED))
    assert caught.value.holder == holder.id
    assert await resources.read(caller, "Patient", other.id) == other
    assert await database.resources.count_documents({"tenant": caller.tenant}) == 2
    assert await database.versions.count_documents({"tenant": caller.tenant}) == 0


async def test_a_supplied_number_holds_nothing(resources: Resources, caller: Caller) -> None:
    for _ in range(2):
        await resources.create(caller, "Patient", draft(Identity(supplied=(NUMBER,))))
    assert await resources.holder(caller, [NUMBER]) is None


@pytest.mark.parametrize("without", [None, draft(), draft(Identity(check=CHECK))], ids=["deleted", "edited", "checked"])
async def test_an_ins_is_free_again_when_its_holder_loses_it(
    resources: Resources, caller: Caller, without: Draft | None
) -> None:
    first = await resources.create(caller, "Patient", draft(QUALIFIED))
    await rewritten(resources, caller, first.id, without)
    assert await resources.holder(caller, [NUMBER]) is None
    second = await resources.create(caller, "Patient", draft(RETRIEVED))
    assert await resources.holder(caller, [NUMBER]) == second.id
    with pytest.raises(AlreadyHeld):
        await rewritten(resources, caller, first.id, draft(QUALIFIED))


async def test_a_holder_keeps_its_ins_from_version_to_version(resources: Resources, caller: Caller) -> None:
    made = await resources.create(caller, "Patient", draft(RETRIEVED))
    await rewritten(resources, caller, made.id, draft(QUALIFIED))
    await rewritten(resources, caller, made.id, draft(QUALIFIED, active=True))
    assert await resources.holder(caller, [NUMBER]) == made.id


async def test_another_ins_takes_the_place_of_the_first(resources: Resources, caller: Caller) -> None:
    made = await resources.create(caller, "Patient", draft(RETRIEVED))
    other = Identity(obtained=Obtained(OTHER_NUMBER, (NUMBER,), TRAITS, "2026-11-21", "call"))
    await rewritten(resources, caller, made.id, draft(other))
    assert await resources.holder(caller, [OTHER_NUMBER]) == made.id
    assert await resources.holder(caller, [NUMBER]) is None  # a former number is nobody's


async def test_of_eight_creates_with_one_ins_one_stays(
    resources: Resources, database: Database, caller: Caller
) -> None:
    answers = await asyncio.gather(
        *(resources.create(caller, "Patient", draft(RETRIEVED)) for _ in range(8)), return_exceptions=True
    )
    (kept,) = [answer for answer in answers if isinstance(answer, Version)]
    assert [answer.holder for answer in answers if isinstance(answer, AlreadyHeld)] == [kept.id] * 7
    assert await found_ids(resources, caller) == [kept.id]
    assert await database.keys.count_documents({"tenant": caller.tenant}) == 1


async def test_of_eight_that_are_given_one_ins_one_gets_it(
    resources: Resources, database: Database, caller: Caller
) -> None:
    made = [await resources.create(caller, "Patient", draft()) for _ in range(8)]
    answers = await asyncio.gather(
        *(rewritten(resources, caller, one.id, draft(RETRIEVED)) for one in made), return_exceptions=True
    )
    (got,) = [answer for answer in answers if isinstance(answer, Version)]
    assert [answer.holder for answer in answers if isinstance(answer, AlreadyHeld)] == [got.id] * 7
    assert await resources.holder(caller, [NUMBER]) == got.id
    assert await database.versions.count_documents({"tenant": caller.tenant}) == 1


# Who sees the matricule


async def test_a_past_qualified_version_is_concealed_once_the_current_one_is_not_qualified(
    resources: Resources, caller: Caller, reference: Caller
) -> None:
    made = await resources.create(caller, "Patient", draft(QUALIFIED))
    assert shows_matricule(await resources.read(caller, "Patient", made.id))
    await rewritten(resources, caller, made.id, draft(QUALIFIED, active=True))
    assert shows_matricule(await resources.read_version(caller, "Patient", made.id, 1))
    for not_qualified in (draft(RETRIEVED), draft(), None):
        await rewritten(resources, caller, made.id, not_qualified)
        for number in (1, 2):
            past = await resources.read_version(caller, "Patient", made.id, number)
            assert past.body
            assert not shows_matricule(past)
            assert parse(past.body)["meta"]["versionId"] == str(number)
            assert shows_matricule(await resources.read_version(reference, "Patient", made.id, number))
    await rewritten(resources, caller, made.id, draft(QUALIFIED))
    assert shows_matricule(await resources.read_version(caller, "Patient", made.id, 1))
    assert not shows_matricule(await resources.read_version(caller, "Patient", made.id, 3))


@pytest.mark.parametrize(("history", "shown"), [((), False), ((NUMBER,), True)], ids=["another", "its former one"])
async def test_a_past_matricule_is_shown_while_the_identity_still_has_it(
    resources: Resources, caller: Caller, reference: Caller, history: tuple[InsNumber, ...], shown: bool
) -> None:
    made = await resources.create(caller, "Patient", draft(QUALIFIED))
    now = Identity(obtained=Obtained(OTHER_NUMBER, history, TRAITS, "2026-11-21", "call"), check=CHECK)
    await rewritten(resources, caller, made.id, draft(now))
    assert shows_matricule(await resources.read_version(caller, "Patient", made.id, 1)) is shown
    assert shows_matricule(await resources.read_version(reference, "Patient", made.id, 1))


@pytest.mark.parametrize(
    ("identity", "ordinary", "desk"),
    [
        (PLAIN, False, False),
        (Identity(supplied=(NUMBER,)), False, True),
        (RETRIEVED, False, True),
        (Identity(check=CHECK), False, False),
        (QUALIFIED, True, True),
    ],
    ids=["provisoire", "supplied", "recuperee", "validee", "qualifiee"],
)
async def test_a_matricule_is_read_and_finds_for_those_who_may(
    resources: Resources, caller: Caller, reference: Caller, identity: Identity, ordinary: bool, desk: bool
) -> None:
    made = await resources.create(caller, "Patient", draft(identity))
    for reader, may in ((caller, ordinary), (reference, desk)):
        expected = [made.id] if may else []
        assert shows_matricule(await resources.read(reader, "Patient", made.id)) is may
        assert await found_ids(resources, reader, identifier=f"{NIR}|{ADRUN}") == expected
        assert await found_ids(resources, reader, identifier=ADRUN) == expected
        assert await found_ids(resources, reader, identifier=f"{NIR}|") == expected
        assert await found_ids(resources, reader, identifier=f"r!identifier|code|{ADRUN}") == []
        (hit,) = (await resources.search(reader, "Patient", search(family="adrun"), None)).versions
        assert shows_matricule(hit) is may


async def test_a_write_starts_from_the_fullest_form(resources: Resources, caller: Caller) -> None:
    for identity in (RETRIEVED, QUALIFIED):
        made = await resources.create(caller, "Patient", draft(identity))
        found = await current(resources, caller, made.id)
        assert ADRUN.encode() in (found.body or b"")
        assert found.identity == identity
        await resources.replace(caller, found, None)


async def test_another_tenant_sees_nothing(resources: Resources, caller: Caller, stranger: Caller) -> None:
    made = await resources.create(caller, "Patient", draft(QUALIFIED))
    await rewritten(resources, caller, made.id, draft(QUALIFIED))
    assert await resources.current(stranger, "Patient", made.id) is None
    assert await resources.holder(stranger, [NUMBER]) is None
    assert await found_ids(resources, stranger) == []
    assert await found_ids(resources, stranger, _id=made.id) == []
    assert await found_ids(resources, stranger, identifier=ADRUN) == []
    with pytest.raises(NotFound):
        await resources.read(stranger, "Patient", made.id)
    for number in (1, 2):
        with pytest.raises(NotFound):
            await resources.read_version(stranger, "Patient", made.id, number)
    own = await resources.create(stranger, "Patient", draft(RETRIEVED))
    assert await resources.holder(stranger, [NUMBER]) == own.id
    assert await resources.holder(caller, [NUMBER]) == made.id


# Searches


async def test_pages_follow_each_other_in_order_of_id(resources: Resources, caller: Caller) -> None:
    ids = sorted([(await resources.create(caller, "Patient", draft())).id for _ in range(5)])
    seen: list[str] = []
    after: Start | None = None
    for more in (True, True, False):
        page = await resources.search(caller, "Patient", search(gender="female", _count="2"), after)
        assert page.after is more
        seen += [version.id for version in page.versions]
        after = Start(page.found[-1].mark)
    assert seen == ids


# Several writes at once


async def test_writes_together_are_all_made_each_with_its_history_and_keys(
    resources: Resources, database: Database, caller: Caller
) -> None:
    made = await resources.create(caller, "Patient", draft())
    over = await current(resources, caller, made.id)
    ended = await current(resources, caller, (await created(resources, caller)).id)
    changed, other, gone = await resources.together(
        caller,
        [
            Write("Patient", made.id, draft(RETRIEVED), over),
            Write("Patient", "other", draft()),
            Write("Patient", ended.id, None, ended),
        ],
    )
    assert [version.number for version in (changed, other, gone)] == [2, 1, 2]
    assert await resources.read(caller, "Patient", made.id) == changed
    assert await resources.read(caller, "Patient", "other") == other
    assert await resources.read_version(caller, "Patient", made.id, 1) == made
    assert await resources.holder(caller, [NUMBER]) == made.id


@pytest.mark.parametrize("fault", ["stale", "held", "along"])
async def test_when_one_write_fails_none_is_made(
    resources: Resources, database: Database, caller: Caller, fault: str
) -> None:
    first, second = await created(resources, caller), await created(resources, caller)
    over, stale = [await current(resources, caller, one.id) for one in (first, second)]
    if fault == "stale":
        await resources.replace(caller, stale, draft(active=True))
    if fault == "held":
        await resources.create(caller, "Patient", draft(RETRIEVED))
    before = await stored(database, caller)

    async def along(session: AsyncClientSession) -> None:
        await database.keys.insert_one({"_id": f"{caller.tenant}/along", "tenant": caller.tenant}, session=session)
        if fault == "along":
            raise RuntimeError

    writes = [
        Write("Patient", over.id, draft(active=True), over),
        Write("Patient", "new", draft()),
        Write("Patient", stale.id, draft(RETRIEVED), stale),
    ]
    with pytest.raises({"stale": VersionChanged, "held": AlreadyHeld, "along": RuntimeError}[fault]):
        await resources.together(caller, writes, along)
    assert await stored(database, caller) == before


async def test_an_ins_may_pass_from_one_to_the_other(resources: Resources, caller: Caller) -> None:
    first, second = await resources.create(caller, "Patient", draft(RETRIEVED)), await created(resources, caller)
    gives, takes = [await current(resources, caller, one.id) for one in (first, second)]
    await resources.together(
        caller,
        [Write("Patient", takes.id, draft(RETRIEVED), takes), Write("Patient", gives.id, None, gives)],
    )
    assert await resources.holder(caller, [NUMBER]) == second.id


async def created(resources: Resources, caller: Caller) -> Version:
    return await resources.create(caller, "Patient", draft())


async def stored(database: Database, caller: Caller) -> list[list[Json]]:
    """Everything of the caller's tenant."""
    collections = (database.resources, database.versions, database.keys)
    return [await collection.find({"tenant": caller.tenant}).sort("_id").to_list() for collection in collections]
