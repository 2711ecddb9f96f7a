"""Deferring $ins-fetch while INSi is away: the Patient, its Task and the waiting call are stored together.

Source: the emergency case of the RNIV (care goes on under a provisoire identity) and FHIR's asynchronous pattern:
202 with Content-Location. https://hl7.org/fhir/R4/async.html
"""

from dataclasses import replace
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed_by_reference
from fhir_ins.api.context import Context, base_url
from fhir_ins.api.keeping import Wish, meant_by, tells_more
from fhir_ins.api.patients import already_held, draft, over_current
from fhir_ins.api.responses import resource_response
from fhir_ins.api.tasks import requested, task_draft
from fhir_ins.fhir.outcome import Conflict, Issue, Unavailable, operation_outcome
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.traits import traits_of, with_traits
from fhir_ins.ins.traits import Traits
from fhir_ins.security.caller import Caller
from fhir_ins.store.deferred import AlreadyWaiting, DeferredCalls, WaitingCall
from fhir_ins.store.resources import Along, AlreadyHeld, VersionChanged, Write, new_id


async def deferred_with_patient(
    context: Context, caller: Caller, wish: Wish, start: Known, traits: Traits
) -> WaitingCall:
    """Store a Patient with these traits and have INSi asked about it later, unless a call for the same ones waits.

    `start` is the Patient the caller gave, if any, and `traits` are some that INSi takes. Where the Patient of the call
    that waits has become another person meanwhile, or is deleted, that call goes on waiting beside this one; so it does
    where this Patient tells more than that one, for homonyms have the same traits.
    """
    key = context.deferred.key_of_traits(caller.tenant, traits)
    assert key is not None  # noqa: S101 - the traits were judged before INSi was asked in vain
    given = traits_of(start.patient) == traits
    patient = start if given else replace(start, patient=with_traits(start.patient, traits))
    first = Write("Patient", new_id(), draft(patient, context.fr_core))
    call = _call(caller, key, first.id, wish, force=False)

    async def attempt() -> WaitingCall:
        found = await context.deferred.waiting(caller, key)
        meant = await meant_by(context, caller, traits, found) if found else None
        if found and meant and not tells_more(start.patient, meant):
            return _asking_no_less(found, call)
        if meant:  # somebody else, for all we know: each waits for itself
            own = replace(call, key=DeferredCalls.key_of_patient(first.id))
            return await _stored(context, caller, own, [first])
        aside = [context.deferred.moved(found)] if found else []
        return await _stored(context, caller, call, [first], *aside)

    try:
        return await over_current(attempt)
    except AlreadyHeld as error:
        raise already_held(error) from error


async def deferred_for(context: Context, caller: Caller, wish: Wish, id_: str, *, force: bool) -> WaitingCall:
    """Have INSi asked later about a stored Patient, unless a call for it waits already."""
    call = _call(caller, DeferredCalls.key_of_patient(id_), id_, wish, force=force)

    async def attempt() -> WaitingCall:
        found = await context.deferred.waiting_for(caller, id_)
        return _asking_no_less(found, call) if found else await _stored(context, caller, call, [])

    return await over_current(attempt)


def accepted(request: Request, call: WaitingCall, away: Unavailable) -> Response:
    """202: what is stored, where to look, and INSi's own words."""
    text = (
        f"INSi cannot be asked now: Patient/{call.patient} is stored, and INSi will be asked about it once it answers. "
        f"Task/{call.task} tells what became of it."
    )
    disclosed_by_reference(f"Patient/{call.patient}", f"Task/{call.task}")
    told = [Issue("informational", text, severity="information")]
    told += [replace(issue, severity="information") for issue in away.issues]
    where = {"Content-Location": f"{base_url(request)}/Task/{call.task}"}
    return resource_response(operation_outcome(told), 202, where)


async def _stored(
    context: Context, caller: Caller, call: WaitingCall, writes: list[Write], *before: Along
) -> WaitingCall:
    """The call, stored with its Task and these writes, or nothing. Raises VersionChanged where another came first."""
    task = Write("Task", call.task, task_draft(requested(call)))
    try:
        await context.resources.together(caller, [*writes, task], *before, context.deferred.put(call))
    except AlreadyWaiting as error:
        raise VersionChanged from error
    context.deferred.stirred.set()
    return call


def _asking_no_less(found: WaitingCall, call: WaitingCall) -> WaitingCall:
    """The call that waits. Raises Conflict where it would do less than what is asked now."""
    missing = [
        name
        for name, wanted, has in (
            ("acceptTraits", call.accept_traits, found.accept_traits),
            ("force", call.force, found.force),
        )
        if wanted and not has
    ]
    if missing:
        raise Conflict(
            f"This call waits already as Task/{found.task}, without {' and '.join(missing)}: delete that Task, which "
            "takes it back, then repeat."
        )
    return found


def _call(caller: Caller, key: str, patient: str, wish: Wish, *, force: bool) -> WaitingCall:
    now = datetime.now(UTC)
    return WaitingCall(
        tenant=caller.tenant,
        key=key,
        task=new_id(),
        patient=patient,
        client=caller.client,
        user=caller.user,
        accept_traits=wish.accept_traits,
        force=force,
        since=now.replace(microsecond=now.microsecond // 1000 * 1000),
    )
