"""The téléservice as the rest of the server meets it: one line a tenant, and the rules of asking around its adapter.

The way of a question: an assertion past its time is refused; the same question already in flight is joined, never
across a tenant or a credential; a turn in the tenant's line; then each call under the breaker, made again where that
may help. Every call and every joined question is counted and logged, without a word of what was asked.
"""

import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from fhir_ins.ins.traits import Traits
from fhir_ins.insi import measures
from fhir_ins.insi.breaker import Breaker, BreakerState
from fhir_ins.insi.coalescing import Coalescing
from fhir_ins.insi.port import (
    Adapter,
    ByTraits,
    ByVitale,
    Call,
    Conversation,
    Fault,
    FaultKind,
    InsNumber,
    Question,
    Requester,
    Verify,
)
from fhir_ins.insi.retries import Retries
from fhir_ins.insi.sequence import search
from fhir_ins.insi.waiting_line import LineFull, WaitingLine

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """How INSi is asked; times in seconds.

    `total`: for one question, its repetitions included. `attempts` for one question. `at_once` conversations for a
    tenant, `places` more may wait. After `failures` calls in a row that failed, none is made for `rest`.
    """

    total: float = 20.0
    attempts: int = 3
    at_once: int = 20
    places: int = 200
    failures: int = 5
    rest: float = 30.0


class _Line:
    """What belongs to one tenant: the adapter with its certificate, the turns, the breaker."""

    def __init__(self, adapter: Adapter, rules: Rules, clock: Callable[[], float]) -> None:
        self.adapter = adapter
        self.turns = WaitingLine(rules.at_once, rules.places)
        self.breaker = Breaker(rules.failures, rules.rest, clock)

    def observed_as(self, tenant: str) -> None:
        """Let the gauges of this tenant show how the line is, at the moment they are read."""
        measures.GOING.labels(tenant).set_function(lambda: self.turns.going)
        measures.WAITING.labels(tenant).set_function(lambda: self.turns.waiting)
        measures.BREAKER_OPEN.labels(tenant).set_function(lambda: self.breaker.state is BreakerState.OPEN)


class Teleservice:
    """The port `Insi`; one for an event loop, with one adapter for each tenant that has INSi."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        rules: Rules | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules or Rules()
        self._lines = {tenant: _Line(adapter, self._rules, clock) for tenant, adapter in adapters.items()}
        self._retries = Retries(self._rules.attempts, self._rules.total)
        self._flight: Coalescing[Conversation] = Coalescing()
        self._last: dict[str, str] = {}
        for tenant, line in self._lines.items():
            line.observed_as(tenant)

    async def search_by_traits(self, traits: Traits, requester: Requester) -> Conversation:
        """Search by the given-name sequence; see the port."""
        first = ByTraits(traits, traits.given)
        return await self._answered(first, requester, lambda ask: search(ask, traits))

    async def search_by_vitale(self, card: ByVitale, requester: Requester) -> Conversation:
        """Search with what a carte Vitale says; see the port."""
        return await self._answered(card, requester, lambda ask: ask(card))

    async def verify(self, number: InsNumber, traits: Traits, requester: Requester) -> Conversation:
        """Ask INSi's own verification; see the port."""
        question = Verify(number, traits)
        return await self._answered(question, requester, lambda ask: ask(question))

    def verifies(self, tenant: str) -> bool:
        """Whether the unitary verification is configured for this tenant."""
        return tenant in self._lines and self._lines[tenant].adapter.verifies

    def state(self) -> Mapping[str, Any]:
        """`status` (unknown, up, down), `lastCall` (ISO time) and `lastCode` of the last call, and of each tenant the
        breaker and what the adapter says of its files.
        """
        tenants = [
            {
                "tenant": tenant,
                "breaker": line.breaker.state.value,
                "failedInARow": line.breaker.failed,
                **line.adapter.state(),
            }
            for tenant, line in self._lines.items()
        ]
        return {"status": "unknown", **self._last, "tenants": tenants}

    async def aclose(self) -> None:
        """Finish the conversations going on, then close the connections."""
        await self._flight.finished()
        for line in self._lines.values():
            await line.adapter.aclose()

    async def _answered(
        self,
        about: Question,
        requester: Requester,
        converse: Callable[["_Ask"], Coroutine[Any, Any, Conversation]],
    ) -> Conversation:
        line = self._lines.get(requester.tenant)
        if line is None:
            text = "The téléservice INSi is not configured for this structure."
            return _unasked(requester, "not-configured", Fault(FaultKind.CONFIGURATION, text))
        if fault := line.adapter.refusal(about, requester):
            return _unasked(requester, fault.kind.value, fault)

        async def work() -> Conversation:
            return await self._in_turn(line, requester, converse)

        who = requester.operator if line.adapter.speaks_for_operators else None
        said, joined = await self._flight.once((requester.tenant, requester.assertion, who, about), work)
        if joined:
            measures.JOINED.labels(requester.tenant).inc()
            ids = [call.message_id for call in said.calls]
            _log.info("insi_joined", tenant=requester.tenant, operator=requester.operator, message_ids=ids)
        return said

    async def _in_turn(
        self, line: _Line, requester: Requester, converse: Callable[["_Ask"], Coroutine[Any, Any, Conversation]]
    ) -> Conversation:
        async def ask(question: Question) -> Conversation:
            return await self._asked(line, question, requester)

        try:
            async with line.turns.turn():
                return await converse(ask)
        except LineFull:
            text = f"{line.turns.waiting} calls to INSi wait already: this one was not made. Repeat it a little later."
            return _unasked(requester, "busy", Fault(FaultKind.BUSY, text, retryable=True, retry_after=1))

    async def _asked(self, line: _Line, question: Question, requester: Requester) -> Conversation:
        if seconds := line.breaker.wait():
            text = (
                f"{line.breaker.failed} calls in a row failed: INSi is left alone for {seconds} s, this call was not "
                "made."
            )
            fault = Fault(FaultKind.TRANSIENT, text, retryable=True, retry_after=seconds)
            return _unasked(requester, "breaker", fault)

        async def attempt(seconds: float) -> Call:
            return await self._call(line, question, requester, seconds)

        calls = await self._retries.calls(attempt, while_=lambda: line.breaker.state is BreakerState.CLOSED)
        return Conversation(calls[-1].outcome, tuple(calls))

    async def _call(self, line: _Line, question: Question, requester: Requester, within: float) -> Call:
        failed = True
        try:
            with measures.SECONDS.labels(requester.tenant, question.operation).time():
                call = await line.adapter.ask(question, requester, within=within)
            failed = isinstance(call.outcome, Fault) and call.outcome.retryable
        finally:
            line.breaker.ended(failed=failed)
        measures.CALLS.labels(requester.tenant, question.operation, call.code).inc()
        down = isinstance(call.outcome, Fault) and call.outcome.kind in (FaultKind.TRANSIENT, FaultKind.CONFIGURATION)
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._last = {"status": "down" if down else "up", "lastCall": now, "lastCode": call.code}
        return call


_Ask = Callable[[Question], Coroutine[Any, Any, Conversation]]


def _unasked(requester: Requester, reason: str, fault: Fault) -> Conversation:
    measures.REFUSED.labels(requester.tenant, reason).inc()
    return Conversation(fault, ())
