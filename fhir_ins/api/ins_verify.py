"""$ins-verify: POST [base]/Patient/$ins-verify and POST [base]/Patient/[id]/$ins-verify.

Two methods, said in the answer: `insi-search-compare` compares a matricule and its traits with what INSi finds for
these traits; `insi-verification` is the téléservice's own unitary verification, where the operator has configured it.
profiles/OperationDefinition-ins-verify.json
"""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_ins.api.context import Context, caller_of, context_of, requester_of
from fhir_ins.api.insi_search import (
    Answer,
    Asked,
    answered,
    ask,
    call_parts,
    configured_insi,
    obtained,
    refuse_blocked,
    same_answer,
    traits_to_send,
)
from fhir_ins.api.operation_input import VERIFY, assertion_in, operation_arguments, patient_place
from fhir_ins.api.patients import already_held, changed_meanwhile, current_patient, draft
from fhir_ins.api.responses import resource_response
from fhir_ins.fhir.operations import Argument, Arguments, answer, part, parts
from fhir_ins.fhir.outcome import BadRequest, Unprocessable, placed_at
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.reliability import claim_of
from fhir_ins.frcore.traits import contradictions, traits_of
from fhir_ins.frcore.writes import attached, supplied_numbers
from fhir_ins.ins.comparison import Comparison, Verdict, compare
from fhir_ins.ins.identity import Identity, InsNumber
from fhir_ins.ins.traits import Trait
from fhir_ins.insi.port import Call, Found, Outcome, SeveralIdentities, Verified
from fhir_ins.security.caller import Caller, Right
from fhir_ins.store.resources import AlreadyHeld, VersionChanged
from fhir_ins.store.versions import Current

COMPARE = "insi-search-compare"
VERIFICATION = "insi-verification"

_COMPARED = ("matricule", "oid", *(trait.value for trait in Trait))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is verified, and whether the caller may see the matricule in the answer (it gave it, or reads it)."""

    number: InsNumber
    asked: Asked
    shown: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """The comparison of a subject with INSi's answer; `outcome` is the out parameter's code.

    `succeeded`: the traits agree, and the number is one that INSi says the person had before. `told`: what the
    téléservice's own verification says of each element, by its name.
    """

    method: str
    outcome: str
    traits: tuple[Comparison, ...] = ()
    told: tuple[tuple[str, bool], ...] = ()
    same_matricule: bool = False
    same_oid: bool = False
    succeeded: bool = False


async def ins_verify(request: Request) -> Response:
    """Type level: the Patient comes with the request; nothing is stored."""
    caller = caller_of(request)
    caller.require(Right.VERIFY)
    given = await operation_arguments(request, VERIFY)
    if not given["patient"]:
        raise BadRequest("The parameter patient is needed at type level.", "Parameters.parameter", code="required")
    argument = given["patient"][0]
    with placed_at(argument.expression, "Patient"):
        subject = _given_subject(argument, wrong_key_is_error=context_of(request).settings.wrong_key_is_error)
    subject = replace(subject, asked=replace(subject.asked, assertion=assertion_in(given)))
    verification, _, calls = await _verify(context_of(request), caller, subject, given)
    return _response(subject, verification, calls, None)


async def ins_verify_instance(request: Request) -> Response:
    """Instance level: the stored Patient's; a caller who may write has the result recorded in its identity."""
    caller = caller_of(request)
    caller.require(Right.VERIFY)
    caller.require_on("r", "Patient")
    given = await operation_arguments(request, VERIFY)
    if given["patient"]:
        raise BadRequest("At instance level the stored Patient is verified: leave patient out.", "Parameters.parameter")
    current, before = await current_patient(request, caller, request.path_params["id"])
    refuse_blocked(before.identity)
    subject = _stored_subject(before, caller)
    subject = replace(subject, asked=replace(subject.asked, assertion=assertion_in(given)))
    verification, found, calls = await _verify(context_of(request), caller, subject, given)
    after = before
    if caller.may_on("u", "Patient"):
        after = _after(before, verification, found, calls)
        await _record(request, caller, current, before, after)
    return _response(subject, verification, calls, after.identity)


def _given_subject(argument: Argument, *, wrong_key_is_error: bool) -> Subject:
    patient = argument.value
    claim = claim_of(patient)
    refuse_blocked(Identity(attributes=claim.attributes, obstacles=claim.obstacles))
    if issues := contradictions(patient):
        raise Unprocessable(issues)
    numbers = supplied_numbers(patient, wrong_key_is_error=wrong_key_is_error)
    if len(numbers) != 1:
        raise Unprocessable("The patient to verify needs one INS identifier, under its OID.", "Patient.identifier")
    return Subject(numbers[0], Asked(traits_of(patient), patient_place(argument)), shown=True)


def _stored_subject(known: Known, caller: Caller) -> Subject:
    identity = known.identity
    if identity.obtained:
        number, traits = identity.obtained.active, identity.obtained.traits
    elif identity.supplied:
        number, traits = identity.supplied[-1], traits_of(known.patient)  # the last one given
    else:
        raise Unprocessable(
            "This Patient has no matricule to verify: obtain one with Patient/{id}/$ins-fetch.",
            "Patient.identifier",
        )
    shown = identity.conveys or caller.may(Right.REFERENCE)
    return Subject(number, Asked(traits), shown)


async def _verify(
    context: Context, caller: Caller, subject: Subject, given: Arguments
) -> tuple[Verification, Found | None, list[Call]]:
    """By the method asked for, else by INSi's own verification where there is one. Raises Unprocessable without it."""
    verifies = configured_insi(context).verifies(caller.tenant)
    method = given["method"][0].value if given["method"] else VERIFICATION if verifies else COMPARE
    if method not in (COMPARE, VERIFICATION):
        raise BadRequest(f"The method is {COMPARE} or {VERIFICATION}.", given["method"][0].expression, code="value")
    if method == VERIFICATION and not verifies:
        raise Unprocessable(
            "The unitary verification of INSi is not configured on this server: leave method out, or ask for "
            f"{COMPARE}.",
            given["method"][0].expression,
            code="not-supported",
        )
    if method == VERIFICATION:
        said = await configured_insi(context).verify(
            subject.number, traits_to_send(subject.asked), requester_of(caller, subject.asked.assertion)
        )
        return _told(answered(context, said)), None, list(said.calls)
    found, calls = await ask(context, caller, subject.asked)
    return _compared(subject, found), found if isinstance(found, Found) else None, calls


def _told(outcome: Outcome) -> Verification:
    match outcome:
        case Verified(concordant=concordant, elements=elements):
            told = {code: all(agrees for name, agrees in elements if name == code) for code, _ in elements}
            coded = tuple((code, told[code]) for code in _COMPARED if code in told)
            return Verification(VERIFICATION, "concordant" if concordant else "discordant", told=coded)
        case SeveralIdentities():
            return Verification(VERIFICATION, "ambiguous")
    return Verification(VERIFICATION, "not-found")


def _compared(subject: Subject, found: Answer) -> Verification:
    if not isinstance(found, Found):
        return Verification(COMPARE, "ambiguous" if isinstance(found, SeveralIdentities) else "not-found")
    traits = tuple(
        compared for compared in compare(subject.asked.traits, found.traits) if compared.verdict is not Verdict.MISSING
    )
    same_matricule = found.active.matricule.bare == subject.number.matricule.bare
    same_oid = found.active.oid == subject.number.oid
    same_traits = all(compared.concordant for compared in traits)
    concordant = same_matricule and same_oid and same_traits
    former = {(number.oid, number.matricule.bare) for number in found.history}
    succeeded = same_traits and not same_matricule and (subject.number.oid, subject.number.matricule.bare) in former
    outcome = "concordant" if concordant else "discordant"
    return Verification(COMPARE, outcome, traits, same_matricule=same_matricule, same_oid=same_oid, succeeded=succeeded)


def _after(before: Known, verification: Verification, found: Found | None, calls: list[Call]) -> Known:
    """Concordant: INSi has given this identity. Discordant: what INSi had given no longer holds.

    A former number of the same person (a NIA that has become a NIR) is no contradiction: the new one is attached. The
    téléservice's own verification gives no identity: when it is concordant, what was obtained before still holds.
    """
    if verification.outcome not in ("concordant", "discordant"):
        return before
    if found is None and verification.outcome == "concordant":
        return before
    if found and (verification.outcome == "concordant" or verification.succeeded):
        new = obtained(found, calls)
        return before if same_answer(before.identity.obtained, new) else attached(before, new)
    return replace(before, identity=before.identity.contradicted())


async def _record(request: Request, caller: Caller, current: Current, before: Known, after: Known) -> None:
    if after == before:
        return
    context = context_of(request)
    try:
        await context.resources.replace(caller, current, draft(after, context.fr_core))
    except VersionChanged as error:
        raise changed_meanwhile() from error
    except AlreadyHeld as error:
        raise already_held(error) from error


def _response(subject: Subject, verification: Verification, calls: list[Call], identity: Identity | None) -> Response:
    compared = verification.method == COMPARE and verification.outcome in ("concordant", "discordant")
    return resource_response(
        answer(
            part("result", "Boolean", verification.outcome == "concordant"),
            part("outcome", "Code", verification.outcome),
            part("method", "Code", verification.method),
            *(_number_parts(subject, verification) if compared else ()),
            *(_trait(found.trait.value, found.concordant, found.local, found.ins) for found in verification.traits),
            *(_trait(name, agrees, None, None) for name, agrees in verification.told),
            part("status", "Code", identity.status.value) if identity else None,
            *call_parts(calls),
        )
    )


def _number_parts(subject: Subject, verification: Verification) -> tuple[dict[str, Any], ...]:
    """Matricule and OID: INSi's own are never told."""
    local = str(subject.number.matricule) if subject.shown else None
    return (
        _trait("matricule", verification.same_matricule, local, None),
        _trait("oid", verification.same_oid, subject.number.oid if subject.shown else None, None),
    )


def _trait(name: str, result: bool, local: str | None, ins: str | None) -> dict[str, Any]:
    return parts(
        "trait",
        part("name", "Code", name),
        part("result", "Boolean", result),
        part("local", "String", local),
        part("ins", "String", ins),
    )
