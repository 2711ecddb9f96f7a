"""Asking INSi for traits, as both operations do: the traits judged first, the sequence of calls, the outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from fhir_ins.api.context import Context, requester_of, today
from fhir_ins.api.insi_faults import raise_fault
from fhir_ins.fhir.operations import part, parts
from fhir_ins.fhir.outcome import BadGateway, Conflict, Issue, Unprocessable
from fhir_ins.frcore.document_check import RELIABILITY
from fhir_ins.ins.identity import Identity, Obtained
from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.ins.status import BLOCKING
from fhir_ins.ins.traits import Trait, Traits
from fhir_ins.insi.port import (
    ByVitale,
    Call,
    Conversation,
    Fault,
    FaultKind,
    Found,
    Insi,
    NoIdentity,
    Outcome,
    SeveralIdentities,
)
from fhir_ins.security.caller import Caller

Answer = Found | NoIdentity | SeveralIdentities

PATIENT_PLACES: Mapping[Trait, str] = {
    Trait.FAMILY: "Patient.name.where(use = 'official').family",
    Trait.GIVEN: "Patient.name.where(use = 'official').given",
    Trait.BIRTH_DATE: "Patient.birthDate",
    Trait.GENDER: "Patient.gender",
    Trait.BIRTH_PLACE: "Patient.extension('http://hl7.org/fhir/StructureDefinition/patient-birthPlace')",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What INSi is asked about a person: their traits, or what their carte Vitale says; in whose name.

    `place_of` is where each trait stood in the request, or in the Patient, for an error to point at. `assertion` is
    the AssertionPS of a professional's card, where the call is made in their name.
    """

    traits: Traits
    place_of: Callable[[Trait], str] = PATIENT_PLACES.__getitem__
    card: ByVitale | None = None
    assertion: bytes | None = field(default=None, repr=False)


async def ask(context: Context, caller: Caller, asked: Asked) -> tuple[Answer, list[Call]]:
    """INSi's answer and the calls made for it, in order.

    Raises what `search` does, and what `insi_faults` says when INSi does not answer.
    """
    conversation = await search(context, caller, asked)
    return cast(Answer, answered(context, conversation)), list(conversation.calls)


async def search(context: Context, caller: Caller, asked: Asked) -> Conversation:
    """What INSi says to this, a fault included.

    Raises Unprocessable before any call when a trait is bad, and BadGateway without a configured téléservice.
    """
    requester = requester_of(caller, asked.assertion)
    if asked.card:
        conversation = await configured_insi(context).search_by_vitale(asked.card, requester)
    else:
        conversation = await configured_insi(context).search_by_traits(traits_to_send(asked), requester)
    if conversation.calls and not is_away(conversation.outcome):
        context.deferred.insi_answers(caller.tenant)
    return conversation


def traits_to_send(asked: Asked) -> Traits:
    """The traits as a call sends them. Raises Unprocessable with the place of every bad one."""
    wire = traits_for_insi(asked.traits)
    if isinstance(wire, dict):
        raise Unprocessable(Issue("value", fault.reason, asked.place_of(trait)) for trait, fault in wire.items())
    return wire


def configured_insi(context: Context) -> Insi:
    """The téléservice. Raises BadGateway where the operator has configured none."""
    if context.insi is None:
        raise BadGateway("Server configuration: the téléservice INSi is not configured (FHIR_INS_INSI_ENDPOINT).")
    return context.insi


def answered(context: Context, conversation: Conversation) -> Outcome:
    """The outcome of a conversation; a fault is raised as `insi_faults` says."""
    if isinstance(conversation.outcome, Fault):
        raise_fault(conversation, conversation.outcome, retry_after=context.settings.insi_retry_after)
    return conversation.outcome


def is_away(outcome: Outcome) -> bool:
    """Whether INSi could not be asked, and may be later; in its test environment some people never can be."""
    waits = (FaultKind.CONFIGURATION, FaultKind.BUSY)
    return isinstance(outcome, Fault) and (outcome.retryable or outcome.kind in waits)


def refuse_blocked(identity: Identity) -> None:
    """Raise Unprocessable where INSi must not be asked: douteux or fictif (EXI ID 24/26), anonymous or hidden."""
    if identity.blocked:
        marks = ", ".join(sorted((*(identity.attributes & BLOCKING), *identity.obstacles)))
        raise Unprocessable(
            f"This identity is marked {marks}: INSi must not be asked about it. Remove the mark from "
            "identityReliability first, if it no longer holds.",
            RELIABILITY,
        )


def refuse_another(card: ByVitale | None, found: Found) -> None:
    """Raise Conflict where INSi's answer has no number that the bearer's carte Vitale says: it may be about another."""
    if card is None or card.individual is None:
        return
    if card.individual.bare not in {number.matricule.bare for number in (found.active, *found.history)}:
        raise Conflict(
            "INSi answers with a number that is not the one the carte Vitale says, so whom it means is not sure: "
            "nothing was stored. Read the card again, or search by the traits of an identity document; repeat with "
            "acceptTraits true once you are sure.",
            "Parameters.parameter",
            code="conflict",
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
            part("given", "String", call.given or None),
            part("code", "Code", call.code),
        )
        for call in calls
    ]
