"""$ins-fetch: POST [base]/Patient/$ins-fetch and POST [base]/Patient/[id]/$ins-fetch.

Obtains the INS of a person from the téléservice INSi by their traits. profiles/OperationDefinition-ins-fetch.json
"""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import caller_of, context_of
from fhir_ins.api.insi_search import (
    PATIENT_PLACES,
    Answer,
    ask,
    call_parts,
    obtained,
    refuse_blocked,
    same_answer,
)
from fhir_ins.api.negotiation import require_json_answer
from fhir_ins.api.operation_input import FETCH, FetchInput, fetch_input, operation_arguments
from fhir_ins.api.patients import (
    already_held,
    changed_meanwhile,
    current_patient,
    draft,
    known_patient,
    over_current,
    writer,
)
from fhir_ins.api.responses import resource_response
from fhir_ins.fhir.operations import answer, part, parts
from fhir_ins.fhir.outcome import placed_at
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.traits import traits_of
from fhir_ins.frcore.writes import attached, written
from fhir_ins.ins.comparison import Comparison, compare
from fhir_ins.ins.identity import Obtained
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import Call, Found, SeveralIdentities
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.documents import with_server_elements
from fhir_ins.store.resources import AlreadyHeld, Current, VersionChanged


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a found identity: the Patient to show, the reference when it is stored, what differs."""

    patient: dict[str, Any]
    stored: str | None
    discrepancies: tuple[Comparison, ...]


async def ins_fetch(request: Request) -> Response:
    """Type level: the traits come with the request, the Patient that has the INS already is the one used."""
    require_json_answer(request)
    caller = caller_of(request)
    caller.require(Right.FETCH)
    given = fetch_input(await operation_arguments(request, FETCH))
    if given.persist:  # what is stored is shown in the answer
        caller.require(Right.WRITE)
        caller.require(Right.READ)
    with placed_at(given.place, "Patient"):
        start = written(given.patient, None, writer(request, caller))
        refuse_blocked(start.identity)
    found, calls = await ask(request, given.traits, given.place_of)
    if not isinstance(found, Found):
        return _response(found, None, calls)
    asked = compare(given.traits, found.traits)
    return _response(found, await _kept(request, caller, given, start, obtained(found, calls), asked), calls)


async def ins_fetch_instance(request: Request) -> Response:
    """Instance level: the traits are those of the stored Patient, and the INS is attached to that very version."""
    require_json_answer(request)
    caller = caller_of(request)
    caller.require(Right.FETCH)
    caller.require(Right.READ)
    given = fetch_input(await operation_arguments(request, FETCH), instance=True)
    if given.persist:
        caller.require(Right.WRITE)
    current, before = await current_patient(request, caller, request.path_params["id"])
    refuse_blocked(before.identity)
    if before.identity.qualified and not given.force:
        shown = with_server_elements(_shown(request, before), current.id, current.number, current.updated)
        return _found_response(Kept(shown, f"Patient/{current.id}", ()), [])
    traits = before.identity.obtained.traits if before.identity.obtained else traits_of(before.patient)
    found, calls = await ask(request, traits, PATIENT_PLACES.__getitem__)
    if not isinstance(found, Found):
        return _response(found, None, calls)
    new = obtained(found, calls)
    discrepancies = _discrepancies(traits, new.traits)
    if not given.persist or (discrepancies and not given.accept_traits):
        return _found_response(Kept(_shown(request, attached(before, new)), None, discrepancies), calls)
    try:
        kept = await _refreshed(request, caller, current, before, new, discrepancies)
    except VersionChanged as error:
        raise changed_meanwhile() from error
    except AlreadyHeld as error:
        raise already_held(error) from error
    return _found_response(kept, calls)


async def _kept(
    request: Request,
    caller: Caller,
    given: FetchInput,
    start: Known,
    new: Obtained,
    asked: tuple[Comparison, ...],
) -> Kept:
    """Store what was found: on the Patient that has this INS already, else on a new one; never twice."""
    differing = tuple(found for found in asked if not found.concordant)
    fresh = attached(start, new)
    if not given.persist or (differing and not given.accept_traits):
        return Kept(_shown(request, fresh), None, differing)
    context = context_of(request)

    async def attempt() -> Kept:
        holder = await context.resources.holder(caller, new.numbers)  # a NIA may have become a NIR
        if holder is not None:
            return await _kept_on_holder(request, caller, given, holder, fresh, differing)
        try:
            version = await context.resources.create(caller, "Patient", draft(fresh, context.fr_core))
        except AlreadyHeld as error:
            raise VersionChanged from error
        shown = with_server_elements(_shown(request, fresh), version.id, version.number, version.updated)
        return Kept(shown, f"Patient/{version.id}", differing)

    return await over_current(attempt)


async def _kept_on_holder(
    request: Request,
    caller: Caller,
    given: FetchInput,
    holder: str,
    fresh: Known,
    differing: tuple[Comparison, ...],
) -> Kept:
    """Refresh the Patient that has this INS. Raises VersionChanged when it was changed or deleted meanwhile.

    Where INSi has changed the traits since, that is a discrepancy too, to be accepted before it is written. A Patient
    that is anonymous or hidden is not shown, nor written to: the answer is what INSi has just said, stored nowhere.
    """
    resources = context_of(request).resources
    current = await resources.current(caller, "Patient", holder)
    before = known_patient(current) if current else None
    new = fresh.identity.obtained
    if current is None or before is None or new is None:
        raise VersionChanged
    if before.identity.blocked:
        return Kept(_shown(request, fresh), None, differing)
    changed = _discrepancies(traits_of(before.patient), new.traits)
    told = tuple({found.trait: found for found in (*changed, *differing)}.values())
    if changed and not given.accept_traits:
        return Kept(_shown(request, attached(before, new)), None, told)
    return await _refreshed(request, caller, current, before, new, told)


async def _refreshed(
    request: Request, caller: Caller, current: Current, before: Known, new: Obtained, told: tuple[Comparison, ...]
) -> Kept:
    """The stored Patient with INSi's answer, written unless INSi had said it all today already.

    Raises VersionChanged or AlreadyHeld.
    """
    context = context_of(request)
    after = attached(before, new)
    number, updated = current.number, current.updated
    if not same_answer(before.identity.obtained, new):
        version = await context.resources.replace(caller, current, draft(after, context.fr_core))
        number, updated = version.number, version.updated
    shown = with_server_elements(_shown(request, after), current.id, number, updated)
    return Kept(shown, f"Patient/{current.id}", told)


def _shown(request: Request, known: Known) -> dict[str, Any]:
    """The INS Patient with INSi's numbers and no others: the one answer that shows a matricule not yet qualified."""
    identity = replace(known.identity, supplied=(), withdrawn=())
    found = forms(known.patient, identity, context_of(request).fr_core)
    return found.reference or found.conveyed


def _discrepancies(local: Traits, ins: Traits) -> tuple[Comparison, ...]:
    return tuple(found for found in compare(local, ins) if not found.concordant)


def _response(found: Answer, kept: Kept | None, calls: list[Call]) -> Response:
    if kept:
        return _found_response(kept, calls)
    code = "ambiguous" if isinstance(found, SeveralIdentities) else "not-found"
    return resource_response(answer(part("result", "Code", code), *call_parts(calls)))


def _found_response(kept: Kept, calls: list[Call]) -> Response:
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
