"""$ins-fetch: POST [base]/Patient/$ins-fetch and POST [base]/Patient/[id]/$ins-fetch.

Obtains the INS of a person from the téléservice INSi by their traits. profiles/OperationDefinition-ins-fetch.json
"""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.auditing import disclosed_by_reference
from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.deferring import accepted, deferred_for, deferred_with_patient
from fhir_ins.api.insi_faults import Away
from fhir_ins.api.insi_search import Answer, ask, call_parts, obtained, refuse_another, refuse_blocked
from fhir_ins.api.keeping import Kept, Wish, as_it_is, kept_on, kept_where_it_belongs, traits_to_ask
from fhir_ins.api.operation_input import FETCH, fetch_input, operation_arguments
from fhir_ins.api.patients import already_held, changed_meanwhile, current_patient, writer
from fhir_ins.api.responses import resource_response
from fhir_ins.fhir.operations import answer, part, parts
from fhir_ins.fhir.outcome import placed_at
from fhir_ins.frcore.writes import written
from fhir_ins.insi.port import Call, Found, SeveralIdentities
from fhir_ins.security.caller import Right
from fhir_ins.store.resources import AlreadyHeld, VersionChanged


async def ins_fetch(request: Request) -> Response:
    """Type level: the traits come with the request, the Patient that has the INS already is the one used."""
    context, caller = context_of(request), caller_of(request)
    caller.require(Right.FETCH)
    given = fetch_input(await operation_arguments(request, FETCH))
    if given.persist:  # what is stored is shown in the answer
        caller.require_on("cru", "Patient")
    with placed_at(given.place, "Patient"):
        start = written(given.patient, None, writer(request, caller))
        refuse_blocked(start.identity)
    wish = Wish(given.persist, given.accept_traits)
    try:
        found, calls = await ask(context, caller, given.asked)
    except Away as away:
        if not given.defer:
            raise
        return accepted(request, await deferred_with_patient(context, caller, wish, start, given.asked.traits), away)
    if not isinstance(found, Found):
        return _response(found, calls)
    if wish.persist and not wish.accept_traits:
        refuse_another(given.asked.card, found)
    kept = await kept_where_it_belongs(context, caller, wish, start, given.asked.traits, obtained(found, calls))
    return _found_response(kept, calls)


async def ins_fetch_instance(request: Request) -> Response:
    """Instance level: the traits are those of the stored Patient, and the INS is attached to that very version."""
    context, caller = context_of(request), caller_of(request)
    caller.require(Right.FETCH)
    caller.require_on("r", "Patient")
    given = fetch_input(await operation_arguments(request, FETCH), instance=True)
    if given.persist:
        caller.require_on("u", "Patient")
    current, before = await current_patient(request, caller, request.path_params["id"])
    refuse_blocked(before.identity)
    if before.identity.qualified and not given.force:
        return _found_response(as_it_is(context, current, before), [])
    wish = Wish(given.persist, given.accept_traits)
    try:
        found, calls = await ask(context, caller, replace(given.asked, traits=traits_to_ask(before)))
    except Away as away:
        if not given.defer:
            raise
        call = await deferred_for(context, caller, wish, current.id, force=given.force)
        return accepted(request, call, away)
    if not isinstance(found, Found):
        return _response(found, calls)
    if wish.persist and not wish.accept_traits:
        refuse_another(given.asked.card, found)
    try:
        kept = await kept_on(context, caller, wish, current, before, obtained(found, calls))
    except VersionChanged as error:
        raise changed_meanwhile() from error
    except AlreadyHeld as error:
        raise already_held(error) from error
    return _found_response(kept, calls)


def _response(found: Answer, calls: list[Call]) -> Response:
    code = "ambiguous" if isinstance(found, SeveralIdentities) else "not-found"
    return resource_response(answer(part("result", "Code", code), *call_parts(calls)))


def _found_response(kept: Kept, calls: list[Call]) -> Response:
    if kept.stored:
        disclosed_by_reference(kept.stored)
    stored = part("stored", "Reference", {"reference": kept.stored}) if kept.stored else None
    discrepancies = [
        parts(
            "discrepancy",
            part("trait", "Code", found.trait.value),
            part("local", "String", found.local),
            part("ins", "String", found.ins),
        )
        for found in kept.discrepancies
    ]
    return resource_response(
        answer(
            part("result", "Code", "found"),
            {"name": "patient", "resource": kept.patient},
            stored,
            *discrepancies,
            *call_parts(calls),
        )
    )
