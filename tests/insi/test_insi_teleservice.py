"""The rules of asking: what is made again and what is not, the breaker, the turns, who shares an answer with whom."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog
from insi_assertions import signed

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.breaker import Breaker, BreakerState
from fhir_ins.insi.coalescing import Coalescing
from fhir_ins.insi.port import Fault, FaultKind, Found, NoIdentity, Requester
from fhir_ins.insi.teleservice import Rules, Teleservice
from fhir_ins.simulator import answers as simulated
from fhir_ins.simulator import faults
from fhir_ins.simulator.identities import PEOPLE

WHO = Requester("tests", "a-test")
ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)
FOUND = (200, simulated.found(PEOPLE[0]).body)
NOBODY = (200, simulated.nobody().body)
AWAY = (500, simulated.fault(replace(faults.SEARCH_FAILED, code="insi_111"), "").body)
REFUSED = (500, simulated.fault(faults.SEX_WRONG, "").body)
UNKNOWN = (500, simulated.fault(faults.UNKNOWN_SOFTWARE, "").body)
HTML = (503, b"<html><body>Service Unavailable</body></html>")
QUICK = Rules(total=5, attempts=3, failures=100)


def told(insi) -> tuple[str, int]:
    """What the state says of the only tenant's breaker."""
    (tenant,) = insi.state()["tenants"]
    return tenant["breaker"], tenant["failedInARow"]


def codes(conversation) -> list[str]:
    return [call.code for call in conversation.calls]


@pytest.mark.parametrize(
    ("answers", "made"),
    [
        ([AWAY, FOUND], ["insi_111", "00"]),
        ([HTML, AWAY, FOUND], ["unreachable", "insi_111", "00"]),
        ([AWAY], ["insi_111"] * 3),
        ([FOUND], ["00"]),
        ([NOBODY, FOUND], ["01"]),
        ([REFUSED, FOUND], ["insi_24"]),
        ([UNKNOWN, FOUND], ["desir_550"]),
        ([(200, b""), FOUND], ["unreachable", "00"]),
    ],
)
async def test_a_call_is_made_again_only_when_that_may_help(wire, connect, answers, made):
    said = await Teleservice({"tests": connect(endpoint=wire.answers_in_turn(*answers))}, QUICK).search_by_traits(
        ZOE, WHO
    )
    assert codes(said) == made
    assert len({call.message_id for call in said.calls}) == len(made) == len(wire.requests)


async def test_a_call_that_took_all_its_time_is_not_made_again(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.silent())}, replace(QUICK, total=0.3))
    said = await insi.search_by_traits(ZOE, WHO)
    assert codes(said) == ["unreachable"]
    assert isinstance(said.outcome, Fault)
    assert said.outcome.kind is FaultKind.TRANSIENT


async def test_after_failures_in_a_row_insi_is_left_alone_then_tried_by_one_call(wire, connect):
    now = 0.0
    adapter = connect(endpoint=wire.answers_in_turn(AWAY, AWAY, AWAY, FOUND))
    insi = Teleservice({"tests": adapter}, Rules(attempts=1, failures=2, rest=30), clock=lambda: now)
    for _ in range(2):
        await insi.search_by_traits(ZOE, WHO)
    said = await insi.search_by_traits(ZOE, WHO)
    assert (said.calls, said.outcome.kind, said.outcome.retry_after) == ((), FaultKind.TRANSIENT, 30)
    assert told(insi) == ("open", 2)
    now = 30.0
    assert told(insi) == ("half-open", 2)
    assert codes(await insi.search_by_traits(ZOE, WHO)) == ["insi_111"]
    assert not (await insi.search_by_traits(ZOE, WHO)).calls
    now = 60.0
    assert codes(await insi.search_by_traits(ZOE, WHO)) == ["00"]
    assert told(insi) == ("closed", 0)


async def test_an_open_breaker_ends_the_repetitions_of_a_call(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.answers_in_turn(AWAY))}, replace(QUICK, failures=2))
    assert codes(await insi.search_by_traits(ZOE, WHO)) == ["insi_111", "insi_111"]


async def test_what_insi_refuses_does_not_open_the_breaker(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.answers_in_turn(REFUSED))}, replace(QUICK, failures=1))
    for _ in range(3):
        assert codes(await insi.search_by_traits(ZOE, WHO)) == ["insi_24"]


async def test_a_tenant_s_breaker_is_its_own(wire, connect):
    adapters = {"one": connect(endpoint=wire.answers_in_turn(AWAY)), "two": connect()}
    insi = Teleservice(adapters, Rules(attempts=1, failures=1))
    await insi.search_by_traits(ZOE, Requester("one", "a-test"))
    assert not (await insi.search_by_traits(ZOE, Requester("one", "a-test"))).calls
    assert isinstance((await insi.search_by_traits(ZOE, Requester("two", "a-test"))).outcome, Found)


async def test_half_open_lets_one_call_through():
    now = 0.0
    breaker = Breaker(1, 10, lambda: now)
    breaker.ended(failed=True)
    assert breaker.wait() == 10
    now = 10.0
    assert (breaker.wait(), breaker.wait(), breaker.state) == (None, 1, BreakerState.HALF_OPEN)
    breaker.ended(failed=False)
    assert breaker.wait() is None


def someone(number: int) -> Traits:
    return replace(ZOE, family="ADRUN" + "ABCDEFGHIJ"[number])


async def test_beyond_the_turns_and_the_places_a_question_is_refused_at_once(wire, connect):
    adapter = connect(endpoint=wire.slow(0.3, NOBODY[1]))
    insi = Teleservice({"tests": adapter}, Rules(at_once=2, places=3))
    said = await asyncio.gather(*(insi.search_by_traits(someone(number), WHO) for number in range(8)))
    busy = [found for found in said if isinstance(found.outcome, Fault)]
    assert [(found.outcome.kind, found.calls, found.outcome.retry_after) for found in busy] == [
        (FaultKind.BUSY, (), 1)
    ] * 3
    assert [found.outcome for found in said[:5]] == [NoIdentity()] * 5
    assert len(wire.requests) == 5
    assert codes(await insi.search_by_traits(ZOE, WHO)) == ["01"]


async def test_a_tenant_s_turns_are_its_own(wire, connect):
    hanging = connect(endpoint=wire.silent())
    insi = Teleservice({"one": hanging, "two": connect()}, Rules(total=1, attempts=1, at_once=1, places=0))
    first = asyncio.create_task(insi.search_by_traits(ZOE, Requester("one", "a-test")))
    await asyncio.sleep(0.05)
    assert isinstance((await insi.search_by_traits(ZOE, Requester("two", "a-test"))).outcome, Found)
    assert not first.done()
    await first


async def test_the_same_question_in_flight_is_asked_once_and_everyone_is_recorded(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.slow(0.2, FOUND[1]))})
    with structlog.testing.capture_logs() as events:
        said = await asyncio.gather(
            *(insi.search_by_traits(ZOE, Requester("tests", f"user-{number}")) for number in range(4))
        )
    assert len(wire.requests) == 1
    (message_id,) = {call.message_id for found in said for call in found.calls}
    joined = [event for event in events if event["event"] == "insi_joined"]
    assert {event["operator"] for event in joined} == {"user-1", "user-2", "user-3"}
    assert all(event["message_ids"] == [message_id] for event in joined)
    assert (await insi.search_by_traits(ZOE, WHO)) is not said[0]
    assert len(wire.requests) == 2


async def test_other_traits_are_another_question(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.slow(0.1, FOUND[1]))})
    changed = [ZOE, replace(ZOE, birth_place="63220"), replace(ZOE, given=("ZOE", "ANNE")), replace(ZOE, sex="M")]
    await asyncio.gather(*(insi.search_by_traits(traits, WHO) for traits in changed))
    assert len(wire.requests) == 4


async def test_an_answer_is_never_shared_across_tenants(wire, connect):
    adapters = {name: connect(endpoint=endpoint) for endpoint in [wire.slow(0.1, FOUND[1])] for name in ("one", "two")}
    insi = Teleservice(adapters)
    await asyncio.gather(*(insi.search_by_traits(ZOE, Requester(tenant, "a-test")) for tenant in adapters))
    assert len(wire.requests) == 2


async def test_an_answer_is_never_shared_across_credentials(wire, connect):
    endpoint = wire.one_way().slow(0.3, FOUND[1])
    insi = Teleservice({"tests": connect(endpoint=endpoint, certificate=None)})
    one, other = [await signed(now=datetime.now(UTC)) for _ in range(2)]
    who = [Requester("tests", "a-test", assertion) for assertion in (one, other, one)]
    said = await asyncio.gather(*(insi.search_by_traits(ZOE, requester) for requester in who))
    assert len(wire.requests) == 2
    assert said[0] == said[2] != said[1]


async def test_an_answer_is_never_shared_where_a_source_signs_for_each_operator(wire, connect):
    class Source:
        async def assertion(self, requester: Requester) -> bytes:
            return await signed(requester.operator, now=datetime.now(UTC))

    endpoint = wire.one_way().slow(0.3, FOUND[1])
    insi = Teleservice({"tests": connect(endpoint=endpoint, certificate=None, assertions=Source())})
    who = [Requester("tests", operator) for operator in ("00B9999901", "00B9999902", "00B9999901")]
    await asyncio.gather(*(insi.search_by_traits(ZOE, requester) for requester in who))
    assert len(wire.requests) == 2


async def test_a_caller_who_leaves_takes_the_answer_from_nobody(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.slow(0.2, FOUND[1]))})
    first, second = (asyncio.create_task(insi.search_by_traits(ZOE, WHO)) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    assert isinstance((await second).outcome, Found)
    assert len(wire.requests) == 1


async def test_closing_finishes_what_is_in_flight(wire, connect):
    insi = Teleservice({"tests": connect(endpoint=wire.slow(0.2, FOUND[1]))})
    running = asyncio.create_task(insi.search_by_traits(ZOE, WHO))
    await asyncio.sleep(0.05)
    await insi.aclose()
    assert isinstance((await running).outcome, Found)


async def test_a_failure_of_shared_work_reaches_all_and_is_forgotten():
    flight: Coalescing[int] = Coalescing()

    async def failing() -> int:
        await asyncio.sleep(0)
        raise ValueError("once")

    said = await asyncio.gather(*(flight.once("it", failing) for _ in range(2)), return_exceptions=True)
    assert [type(found) for found in said] == [ValueError, ValueError]
    await flight.finished()


async def test_a_structure_without_teleservice_is_told_so(connect):
    said = await Teleservice({"tests": connect()}).search_by_traits(ZOE, Requester("other", "a-test"))
    assert (said.calls, said.outcome.kind) == ((), FaultKind.CONFIGURATION)
