"""Asking INSi for traits, as both operations do: the traits judged first, the sequence of calls, the outcome."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from starlette.requests import Request

from fhir_ins.api.context import caller_of, context_of, requester_of, today
from fhir_ins.api.insi_faults import raise_fault
from fhir_ins.fhir.operations import part, parts
from fhir_ins.fhir.outcome import BadGateway, Issue, Unprocessable
from fhir_ins.frcore.document_check import RELIABILITY
from fhir_ins.ins.identity import Identity, Obtained
from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.ins.status import BLOCKING
from fhir_ins.ins.traits import Trait, Traits
from fhir_ins.insi.port import Call, Fault, Found, NoIdentity, SeveralIdentities

Answer = Found | NoIdentity | SeveralIdentities

PATIENT_PLACES: Mapping[Trait, str] = {
    Trait.FAMILY: "Patient.name.where(use = 'official').family",
    Trait.GIVEN: "Patient.name.where(use = 'official').given",
    Trait.BIRTH_DATE: "Patient.birthDate",
    Trait.GENDER: "Patient.gender",
    Trait.BIRTH_PLACE: "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-birthPlace')",
}


async def ask(request: Request, traits: Traits, place_of: Callable[[Trait], str]) -> tuple[Answer, list[Call]]:
    """INSi's answer for these traits and the calls made for it, in order.

    Raises Unprocessable before any call when a trait is bad, BadGateway without a configured téléservice, and
    what `insi_faults` says when INSi does not answer.
    """
    context = context_of(request)
    wire = traits_for_insi(traits)
    if isinstance(wire, dict):
        raise Unprocessable(Issue("value", fault.reason, place_of(trait)) for trait, fault in wire.items())
    if context.insi is None:
        raise BadGateway("Server configuration: the téléservice INSi is not configured (FHIR_INS_INSI_ENDPOINT).")
    conversation = await context.insi.search_by_traits(wire, requester_of(caller_of(request)))
    outcome = conversation.outcome
    if isinstance(outcome, Fault):
        raise_fault(conversation, outcome, retry_after=context.settings.insi_retry_after)
    return cast(Answer, outcome), list(conversation.calls)


def refuse_blocked(identity: Identity) -> None:
    """Raise Unprocessable where INSi must not be asked: douteux or fictif (EXI ID 24/26), anonymous or hidden."""
    if identity.blocked:
        marks = ", ".join(sorted((*(identity.attributes & BLOCKING), *identity.obstacles)))
        raise Unprocessable(
            f"This identity is marked {marks}: INSi must not be asked about it. Remove the mark from "
            "identityReliability first, if it no longer holds.",
            RELIABILITY,
        )


def obtained(found: Found, calls: list[Call]) -> Obtained:
    """The fact I that an answer 00 makes."""
    return Obtained(found.active, found.history, found.traits, today(), calls[-1].message_id)


def same_answer(before: Obtained | None, after: Obtained) -> bool:
    """Whether INSi said today what it had said today: then there is nothing to write."""
    return before is not None and (before.active, before.history, before.traits, before.on) == (
        after.active,
        after.history,
        after.traits,
        after.on,
    )


def call_parts(calls: list[Call]) -> list[dict[str, Any]]:
    """The `call` parameters: one for each exchange, in the order made."""
    return [
        parts(
            "call",
            part("messageId", "String", call.message_id),
            part("given", "String", call.given),
            part("code", "Code", call.code),
        )
        for call in calls
    ]
