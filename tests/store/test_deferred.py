"""What waits for INSi: once for each key, the oldest first; and the turns to ask, which one process has at a time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhir_ins.ins.traits import Traits
from fhir_ins.security.caller import Caller
from fhir_ins.store.database import Database
from fhir_ins.store.deferred import AlreadyWaiting, DeferredCalls, WaitingCall
from fhir_ins.store.mongod import Mongod
from fhir_ins.store.resources import Resources, VersionChanged

SINCE = datetime(2026, 11, 20, tzinfo=UTC)
ADRUN = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)


@pytest.fixture
async def database(mongod: Mongod) -> AsyncIterator[Database]:
    database = Database(mongod.uri, "store")
    await database.prepare()
    yield database
    await database.close()


@pytest.fixture
def calls(database: Database) -> DeferredCalls:
    return DeferredCalls(database, bytes(32))


def call(tenant: str, number: int = 0) -> WaitingCall:
    return WaitingCall(
        tenant, f"traits/{number}", f"task{number}", f"patient{number}", "ehr", "agent", True, False,
        SINCE + timedelta(seconds=number),
    )  # fmt: skip


async def put(database: Database, calls: DeferredCalls, one: WaitingCall) -> None:
    await Resources(database).together(one.caller, (), calls.put(one))


async def test_a_call_comes_back_as_it_was_put(database: Database, calls: DeferredCalls, tenant: str) -> None:
    one = call(tenant)
    await put(database, calls, one)
    assert await calls.oldest(tenant) == one
    assert await calls.waiting(one.caller, one.key) == one
    assert await calls.waiting_for(one.caller, one.patient) == one
    assert one.caller == Caller(tenant, "ehr", frozenset(), "agent")


async def test_a_key_waits_once_in_its_tenant(database: Database, calls: DeferredCalls, tenant: str) -> None:
    one = call(tenant)
    answers = await asyncio.gather(
        *(put(database, calls, replace(one, task=f"t{number}")) for number in range(8)), return_exceptions=True
    )
    refused = [answer for answer in answers if answer is not None]
    assert [type(answer) for answer in refused] == [AlreadyWaiting] * 7
    await put(database, calls, replace(one, tenant=tenant + "b"))
    assert await calls.tenants([tenant, tenant + "b", "nobody"]) == [tenant, tenant + "b"]


async def test_the_oldest_that_is_due_goes_first(database: Database, calls: DeferredCalls, tenant: str) -> None:
    first, second, third = (call(tenant, number) for number in (1, 2, 3))
    for one in (second, third, first):
        await put(database, calls, one)
    assert await calls.oldest(tenant) == first
    await calls.postpone(first, 60, failures=3)
    assert await calls.oldest(tenant) == second
    await Resources(database).together(second.caller, (), calls.removed(tenant, second.task))
    assert await calls.oldest(tenant) == third
    await calls.postpone(first, 0, failures=4)
    assert await calls.oldest(tenant) == replace(first, failures=4)


async def test_a_call_that_has_ended_is_not_moved_back_to_wait(
    database: Database, calls: DeferredCalls, tenant: str
) -> None:
    resources, one = Resources(database), call(tenant)
    await put(database, calls, one)
    await resources.together(one.caller, (), calls.removed(tenant, one.task))
    with pytest.raises(VersionChanged):
        await resources.together(one.caller, (), calls.moved(one))
    assert await calls.oldest(tenant) is None


async def test_a_call_is_due_by_whatever_clock_it_was_put(
    database: Database, calls: DeferredCalls, tenant: str
) -> None:
    ahead = replace(call(tenant), since=datetime.now(UTC) + timedelta(minutes=5))
    await put(database, calls, ahead)
    due = await calls.oldest(tenant)
    assert due is not None
    assert due.task == ahead.task


@pytest.mark.parametrize(
    "same",
    [
        Traits("adrun", ("zoé",), "F", "1975-12-31", None),
        Traits("ADRUN ", ("ZOE",), "F", "1975-12-31", None),
    ],
)
def test_traits_have_one_key_however_they_are_written(calls: DeferredCalls, same: Traits) -> None:
    assert calls.key_of_traits("a", ADRUN) == calls.key_of_traits("a", same)


@pytest.mark.parametrize(
    "other",
    [
        replace(ADRUN, family="ADRIN"),
        replace(ADRUN, given=("ZOE", "MARIE")),
        replace(ADRUN, sex="M"),
        replace(ADRUN, birth_date="1975-12-30"),
        replace(ADRUN, birth_place="63220"),
    ],
)
def test_each_trait_makes_another_key(calls: DeferredCalls, other: Traits) -> None:
    assert calls.key_of_traits("a", ADRUN) != calls.key_of_traits("a", other)


def test_a_key_is_of_its_tenant_and_of_the_secret(database: Database, calls: DeferredCalls) -> None:
    key = calls.key_of_traits("a", ADRUN)
    assert key
    assert key != calls.key_of_traits("b", ADRUN)
    assert key != DeferredCalls(database, bytes(31) + b"1").key_of_traits("a", ADRUN)
    assert calls.key_of_traits("a", replace(ADRUN, family=None)) is None


async def test_a_turn_is_had_by_one_until_it_is_given_back(calls: DeferredCalls, tenant: str) -> None:
    taken = await asyncio.gather(*(calls.take_turn(tenant, pace=0) for _ in range(8)))
    (turn,) = [found for found in taken if found]
    assert await calls.take_turn(tenant, pace=0) is None
    assert await calls.take_turn(tenant + "b", pace=0)
    await calls.leave_turn(turn, pause=0, failures=2)
    again = await calls.take_turn(tenant, pace=0)
    assert again
    assert again.failures == 2


async def test_a_turn_is_free_when_its_lease_has_run_out(calls: DeferredCalls, tenant: str) -> None:
    lost = await calls.take_turn(tenant, pace=0, lease=0.05)
    assert lost
    await calls.keep_turn(lost, lease=0.2)
    await asyncio.sleep(0.06)
    assert await calls.take_turn(tenant, pace=0) is None
    await asyncio.sleep(0.2)
    turn = await calls.take_turn(tenant, pace=0)
    assert turn
    await calls.keep_turn(lost, lease=60)  # it is no longer theirs to keep, or to give back
    await calls.leave_turn(lost, pause=60, failures=9)
    await calls.leave_turn(turn, pause=0, failures=0)
    assert await calls.take_turn(tenant, pace=0)


async def test_neither_pace_nor_pause_is_cut_short_but_by_an_answer_of_insi(calls: DeferredCalls, tenant: str) -> None:
    turn = await calls.take_turn(tenant, pace=60)
    assert turn
    await calls.leave_turn(turn, pause=0, failures=1)
    await calls.end_pauses()
    assert await calls.take_turn(tenant, pace=0) is None
    calls.insi_answers(tenant)
    assert calls.stirred.is_set()
    await calls.end_pauses()
    again = await calls.take_turn(tenant, pace=0)
    assert again
    assert again.failures == 0
    calls.stirred.clear()
    calls.insi_answers(tenant)  # nothing was left alone since
    assert not calls.stirred.is_set()
