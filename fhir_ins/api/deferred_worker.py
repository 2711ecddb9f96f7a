"""Carrying out what was deferred: each call as $ins-fetch on the stored Patient does it, when INSi can be asked again.

One process at a time does so for a tenant, one call after another, the oldest first. A call ends in one transaction:
the Patient with its INS, the Task, and the call that waits no more. A process killed before that has done nothing, and
another asks INSi again; a Task deleted meanwhile, or a Patient changed, lets nothing be written.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from pymongo.errors import PyMongoError

from fhir_ins.api.auditing import without_request
from fhir_ins.api.context import Context
from fhir_ins.api.insi_search import Asked, is_away, obtained, refuse_blocked, search
from fhir_ins.api.keeping import Wish, attachment, traits_to_ask
from fhir_ins.api.patients import already_held, draft, known_patient
from fhir_ins.api.tasks import Json, because, cancelled, completed, failed, in_progress, task_draft, task_of
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.frcore.known import Known
from fhir_ins.insi.port import Conversation, Fault, FaultKind, Found, SeveralIdentities
from fhir_ins.log import places
from fhir_ins.store.deferred import LEASE_SECONDS, Turn, WaitingCall
from fhir_ins.store.resources import AlreadyHeld, VersionChanged, Write
from fhir_ins.store.versions import Current

IDLE_SECONDS = 5.0
WATCHFUL_SECONDS = 2.0
LONGEST_PAUSE = 60.0
PATIENCE = 3  # how often INSi itself may fail on one call before the others pass it,
LONGEST_FOR_ONE = 600.0  # and how long that call then waits at most

_NOT_FOUND = "INSi knows nobody with these traits: check them, above all the birth name, then call $ins-fetch."
_AMBIGUOUS = "Several people answer to these traits: give the other given names, then the birth place."
_DIFFERS = "Not stored, INSi's traits differ: check them, then call $ins-fetch with acceptTraits."
_STORED = "The INS is stored."
_AWAY = "INSi does not answer: it will be asked again."
_MISCONFIGURED = "The server's configuration keeps INSi from answering: the operator must act. It will be asked again."
_UNKNOWN_IN_TEST = "INSi's test environment does not know this person, and asking again does not help."
_REFUSED = "INSi refuses this request: check the traits, then call $ins-fetch."

_log = structlog.get_logger()


def _why(fault: Fault) -> str:
    """Why INSi's fault ends a call."""
    return _UNKNOWN_IN_TEST if fault.kind is FaultKind.TRANSIENT else _REFUSED


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a turn: whether a call was due at all, and how INSi was.

    `failures` in a row INSi has not answered; `pause` is how long it is left alone, in seconds.
    """

    worked: bool
    failures: int = 0
    pause: float = 0.0


@asynccontextmanager
async def carrying_out(context: Context, tenants: Collection[str]) -> AsyncIterator[None]:
    """Have what was deferred in these tenants carried out while inside; on the way out the running calls are ended."""
    if context.insi is None or not context.settings.insi_deferred_per_minute:
        yield
        return
    worker = DeferredWorker(context, tenants)
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await running


class DeferredWorker:
    """What one process does of what waits; `tenants` are those it has INSi for."""

    def __init__(self, context: Context, tenants: Collection[str]) -> None:
        self._context = context
        self._deferred = context.deferred
        self._tenants = tenants
        self._pace = 60 / context.settings.insi_deferred_per_minute
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look for what waits, until `stop`; then end what has begun."""
        while not self._stopping.is_set():
            self._deferred.stirred.clear()
            waits = await self._look()
            await _happened(self._deferred.stirred, WATCHFUL_SECONDS if waits else IDLE_SECONDS)
        await asyncio.gather(*self._serving.values())

    def stop(self) -> None:
        self._stopping.set()
        self._deferred.stirred.set()

    async def _look(self) -> bool:
        """Whether something waits; then each tenant's calls are being carried out, if it is this process's turn."""
        try:
            await self._deferred.end_pauses()
            waiting = await self._deferred.tenants(self._tenants)
        except PyMongoError as error:
            _log.warning("deferred_calls_not_read", error=type(error).__name__)
            return False
        for tenant in waiting:
            if tenant not in self._serving:
                self._serving[tenant] = asyncio.create_task(self._serve(tenant))
        return bool(waiting)

    async def _serve(self, tenant: str) -> None:
        """Carry out what waits in a tenant, at the pace of the settings, while it is this process's turn."""
        try:
            while not self._stopping.is_set():
                turn = await self._deferred.take_turn(tenant, pace=self._pace)
                if turn is None:
                    return
                taken = time.monotonic()
                step = await self._turn(turn)
                if not step.worked or step.pause:
                    return
                await _happened(self._stopping, taken + self._pace - time.monotonic())
        except PyMongoError as error:
            _log.warning("deferred_calls_interrupted", tenant=tenant, error=type(error).__name__)
        finally:
            del self._serving[tenant]

    async def _turn(self, turn: Turn) -> Step:
        """One call under a turn that is held as long as it takes, and given back."""
        holding = asyncio.create_task(self._hold(turn))
        step = Step(worked=False, failures=turn.failures)
        try:
            step = await self._next(turn)
        finally:
            holding.cancel()
            await self._deferred.leave_turn(turn, pause=step.pause, failures=step.failures)
        return step

    async def _hold(self, turn: Turn) -> None:
        """A turn that cannot be held is another's soon: then both ask, and one of them writes."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(PyMongoError):
                await self._deferred.keep_turn(turn)

    async def _next(self, turn: Turn) -> Step:
        """The oldest call that is due. A fault of ours about one lets the others pass."""
        call = await self._deferred.oldest(turn.tenant)
        if call is None:
            return Step(worked=False, failures=turn.failures)
        try:
            async with without_request(self._context, call.caller, "ins-fetch", call.patient):
                return await self._carried_out(call, turn.failures)
        except VersionChanged:  # the Patient was changed, or the Task deleted, under the call
            return Step(worked=True)
        except PyMongoError:
            raise
        except Exception as error:
            _log.error("unexpected_error", task=call.task, error=type(error).__name__, at=places(error.__traceback__))
            await self._deferred.postpone(call, LONGEST_PAUSE, failures=call.failures)
            return Step(worked=True)

    async def _carried_out(self, call: WaitingCall, failures: int) -> Step:
        """Ask INSi about the Patient as it is now, and end the call with what it says."""
        resources = self._context.resources
        stored = await resources.current(call.caller, "Task", call.task)
        task = task_of(stored) if stored else None
        if stored is None or task is None:  # deleted, and the call with it
            await resources.together(call.caller, (), self._deferred.removed(call.tenant, call.task))
            return Step(worked=True)
        current = await resources.current(call.caller, "Patient", call.patient)
        before = known_patient(current) if current else None
        if current is None or before is None:
            return await self._ended(call, stored, cancelled(task, because("The Patient was deleted.")))
        if needless := _needless(before, call):
            return await self._ended(call, stored, cancelled(task, because(needless)))
        if task["status"] == "requested":
            task = in_progress(task)
            stored = await self._told(call, stored, task)
        try:
            said = await search(self._context, call.caller, Asked(traits_to_ask(before)))
        except Unprocessable as error:
            text = f"INSi cannot be asked about these traits. {error}"
            return await self._ended(call, stored, failed(task, because(text)))
        if is_away(said.outcome):
            return await self._waits(call, stored, task, said, failures + 1)
        return await self._answered(call, stored, task, said, current, before)

    async def _answered(
        self, call: WaitingCall, stored: Current, task: Json, said: Conversation, current: Current, before: Known
    ) -> Step:
        """End the call with INSi's answer; the Patient is written with it where it gets the INS."""
        outcome, calls = said.outcome, said.calls
        if isinstance(outcome, Fault):
            why = because(_why(outcome), outcome)
            return await self._ended(call, stored, failed(task, why, calls), about=current)
        if not isinstance(outcome, Found):
            several = isinstance(outcome, SeveralIdentities)
            result, text = ("ambiguous", _AMBIGUOUS) if several else ("not-found", _NOT_FOUND)
            return await self._ended(call, stored, completed(task, result, calls, text), about=current)
        wish = Wish(accept_traits=call.accept_traits)
        made = attachment(wish, before, obtained(outcome, list(calls)))
        done = completed(task, "found", calls, _STORED if made.kept else _DIFFERS, made.discrepancies)
        writes = []
        if made.kept and made.changed:
            writes = [Write("Patient", current.id, draft(made.after, self._context.fr_core), over=current)]
        try:
            return await self._ended(call, stored, done, *writes, about=None if writes else current)
        except AlreadyHeld as error:
            text = str(already_held(error))
            return await self._ended(call, stored, failed(task, because(text), calls), about=current)

    async def _waits(self, call: WaitingCall, stored: Current, task: Json, said: Conversation, failures: int) -> Step:
        """INSi is away: the Task says so, once, and INSi is left alone for a while.

        Where INSi itself fails on one call time after time, it may be about this person: the others pass.
        """
        fault = said.outcome
        assert isinstance(fault, Fault)  # noqa: S101 - `is_away` says so
        if fault.kind is FaultKind.BUSY:  # people who wait for an answer go first
            return Step(worked=True, pause=WATCHFUL_SECONDS)
        misconfigured = fault.kind is FaultKind.CONFIGURATION
        reason = because(_MISCONFIGURED if misconfigured else _AWAY, fault)
        if task.get("statusReason") != reason:
            await self._told(call, stored, in_progress(task, reason))
        pause = min(float(fault.retry_after or 2 ** min(failures, 6)), LONGEST_PAUSE)
        if fault.code:
            times = call.failures + 1
            passed = min(2.0**times, LONGEST_FOR_ONE) if times >= PATIENCE else 0.0
            await self._deferred.postpone(call, passed, failures=times)
        return Step(worked=True, failures=failures, pause=pause)

    async def _told(self, call: WaitingCall, stored: Current, task: Json) -> Current:
        """The Task as it is now stored. Raises VersionChanged when it was deleted meanwhile."""
        resources = self._context.resources
        await resources.replace(call.caller, stored, task_draft(task))
        current = await resources.current(call.caller, "Task", call.task)
        if current is None:
            raise VersionChanged
        return current

    async def _ended(
        self, call: WaitingCall, stored: Current, task: Json, *writes: Write, about: Current | None = None
    ) -> Step:
        """The call waits no more: its Task says why, and these writes are made with it, in one transaction.

        `about`: the Patient whose traits INSi was asked with, and which is not written. Raises VersionChanged when it
        was changed meanwhile: what INSi says is not about what it is now.
        """
        resources = self._context.resources
        over = Write("Task", call.task, task_draft(task), over=stored)
        along = [self._deferred.removed(call.tenant, call.task), *([resources.unchanged(about)] if about else [])]
        await resources.together(call.caller, [over, *writes], *along)
        _log.info("deferred_call_ended", tenant=call.tenant, task=call.task, status=task["status"])
        return Step(worked=True)


async def _happened(event: asyncio.Event, seconds: float) -> None:
    """Wait for it, so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _needless(before: Known, call: WaitingCall) -> str | None:
    """Why INSi must not, or need not, be asked about this Patient any more."""
    try:
        refuse_blocked(before.identity)
    except Unprocessable as error:
        return str(error)
    if before.identity.qualified and not call.force:
        return "The identity was qualified meanwhile: INSi need not be asked."
    return None
