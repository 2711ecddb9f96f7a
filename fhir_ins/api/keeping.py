"""Keeping an identity that INSi found: on which Patient, and what is shown of it.

Without a request: what somebody waits for and what was deferred are kept by the same rules.
profiles/OperationDefinition-ins-fetch.json
"""

from dataclasses import dataclass, replace

from fhir_ins.api.context import Context
from fhir_ins.api.insi_search import same_answer
from fhir_ins.api.patients import draft, known_patient, over_current
from fhir_ins.fhir.json import parse
from fhir_ins.fhir.outcome import Conflict
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.forms import forms
from fhir_ins.frcore.known import Known
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.traits import traits_of
from fhir_ins.frcore.writes import attached
from fhir_ins.ins.comparison import Comparison, compare
from fhir_ins.ins.identity import Obtained
from fhir_ins.ins.traits import Traits
from fhir_ins.security.caller import Caller
from fhir_ins.store.deferred import WaitingCall
from fhir_ins.store.documents import Draft, with_server_elements
from fhir_ins.store.resources import AlreadyHeld, VersionChanged
from fhir_ins.store.versions import Current, Version


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller wants of a found identity: to keep it at all, and although INSi's traits differ."""

    persist: bool = True
    accept_traits: bool = False

    def keeps(self, discrepancies: tuple[Comparison, ...]) -> bool:
        return self.persist and (self.accept_traits or not discrepancies)


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a found identity: the Patient to show, the reference when it is stored, what differs."""

    patient: Json
    stored: str | None
    discrepancies: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """What an answer of INSi makes of a stored Patient, and what differs.

    `kept`: it is to be kept, and `changed`: that takes a new version, since INSi had not said it all today already.
    """

    after: Known
    discrepancies: tuple[Comparison, ...]
    kept: bool
    changed: bool


_TRAITS_STAND_IN = frozenset({"resourceType", "meta", "name", "gender", "birthDate", "extension"})


def traits_to_ask(known: Known) -> Traits:
    """The traits INSi is asked about a stored Patient with: INSi's own as received, else the Patient's."""
    return known.identity.obtained.traits if known.identity.obtained else traits_of(known.patient)


async def kept_where_it_belongs(
    context: Context, caller: Caller, wish: Wish, start: Known, asked: Traits, new: Obtained
) -> Kept:
    """Keep what was found for `asked`: on the Patient that has this INS already, else on the one for which a call with
    these traits was deferred, else on a new one; never twice.
    """
    differing = _discrepancies(asked, new.traits)
    fresh = attached(start, new)
    if not wish.keeps(differing):
        return Kept(_shown(fresh, context.fr_core), None, differing)

    async def attempt() -> Kept:
        holder, by_active = await context.resources.holder(caller, [new.active]), True
        if holder is None:  # a NIA may have become a NIR
            holder, by_active = await context.resources.holder(caller, new.history), False
        if holder is None:
            holder, by_active = await _waiting_patient(context, caller, asked, start.patient), True
        try:
            if holder is not None:
                found = Found(fresh, new, differing, by_active)
                return await _kept_on_holder(context, caller, wish, holder, found)
            written = draft(fresh, context.fr_core)
            version = await context.resources.create(caller, "Patient", written)
        except AlreadyHeld as error:  # since we looked
            raise VersionChanged from error
        return Kept(_shown_as(written, version, fresh, context.fr_core), f"Patient/{version.id}", differing)

    return await over_current(attempt)


async def kept_on(context: Context, caller: Caller, wish: Wish, current: Current, before: Known, new: Obtained) -> Kept:
    """Keep what was found for a stored Patient: on the very version whose traits were sent.

    Raises VersionChanged, or AlreadyHeld when another Patient has this INS.
    """
    made = attachment(wish, before, new)
    if not made.kept:
        return Kept(_shown(made.after, context.fr_core), None, made.discrepancies)
    return await _refreshed(context, caller, current, made)


def attachment(wish: Wish, before: Known, new: Obtained) -> Attachment:
    """What INSi's answer to a stored Patient's traits makes of it."""
    discrepancies = _discrepancies(traits_to_ask(before), new.traits)
    changed = not same_answer(before.identity.obtained, new)
    return Attachment(attached(before, new), discrepancies, wish.keeps(discrepancies), changed)


def as_it_is(context: Context, current: Current, before: Known) -> Kept:
    """A stored Patient that INSi need not be asked about again."""
    return Kept(_shown_as_stored(current, before, context.fr_core), f"Patient/{current.id}", ())


@dataclass(frozen=True, slots=True)
class Found:
    """What INSi found for traits that were asked: the Patient it would make, and how it differs from what was asked.

    `by_active`: the Patient that is to be refreshed has the active number, not a former one.
    """

    fresh: Known
    new: Obtained
    differing: tuple[Comparison, ...]
    by_active: bool


async def _kept_on_holder(context: Context, caller: Caller, wish: Wish, holder: str, found: Found) -> Kept:
    """Refresh the Patient that has this INS. Raises VersionChanged when it was changed or deleted meanwhile.

    Where its traits are not those that INSi gives, that is a discrepancy too. What the caller has accepted is what
    differs from the traits it asked with: it is no word on the traits of a Patient that it has not shown. And a Patient
    that has but a former number and other traits may be somebody else: Conflict names it. A Patient that is anonymous
    or hidden is not shown, nor written to: the answer is what INSi has just said, stored nowhere.
    """
    fresh, new, differing = found.fresh, found.new, found.differing
    current = await context.resources.current(caller, "Patient", holder)
    before = known_patient(current) if current else None
    if current is None or before is None:
        raise VersionChanged
    if before.identity.blocked:
        return Kept(_shown(fresh, context.fr_core), None, differing)
    changed = _discrepancies(traits_of(before.patient), new.traits)
    if changed and not found.by_active:
        raise Conflict(
            f"Patient/{holder} has a number that INSi says this person had formerly, and other traits: find out "
            "whether they are one person, then correct it, or ask INSi about it with Patient/{id}/$ins-fetch.",
            code="duplicate",
        )
    told = tuple({one.trait: one for one in (*changed, *differing)}.values())
    kept = wish.persist and all(one in differing for one in changed) and wish.keeps(differing)
    made = Attachment(attached(before, new), told, kept, not same_answer(before.identity.obtained, new))
    if not made.kept:
        return Kept(_shown(made.after, context.fr_core), None, told)
    return await _refreshed(context, caller, current, made)


async def _waiting_patient(context: Context, caller: Caller, asked: Traits, sent: Json) -> str | None:
    """The id of the Patient stored when a call with these traits was deferred, while that waits.

    None where the Patient `sent` tells more than that one.
    """
    key = context.deferred.key_of_traits(caller.tenant, asked)
    call = await context.deferred.waiting(caller, key) if key else None
    meant = await meant_by(context, caller, asked, call) if call else None
    return call.patient if call and meant and not tells_more(sent, meant) else None


async def meant_by(context: Context, caller: Caller, traits: Traits, call: WaitingCall) -> Json | None:
    """The Patient of a call that was deferred by these traits, while they are still its own and INSi may be asked."""
    current = await context.resources.current(caller, "Patient", call.patient)
    known = known_patient(current) if current else None
    if known is None or known.identity.blocked or _discrepancies(traits, traits_to_ask(known)):
        return None
    return known.patient


def tells_more(sent: Json, stored: Json) -> bool:
    """Whether a Patient that was sent may be somebody else than a stored one with the same traits, or says more.

    INSi has not said that they are one person. They are one record where the one sent has identifiers, all of which
    the other has too, or has nothing but the traits that were asked.
    """
    own = {(found.get("system"), found.get("value")) for found in sent.get("identifier", ())}
    if own:
        return not own <= {(found.get("system"), found.get("value")) for found in stored.get("identifier", ())}
    return not sent.keys() <= _TRAITS_STAND_IN


async def _refreshed(context: Context, caller: Caller, current: Current, made: Attachment) -> Kept:
    """The stored Patient with INSi's answer, written unless INSi had said it all today already.

    Raises VersionChanged or AlreadyHeld.
    """
    stored = f"Patient/{current.id}"
    if not made.changed:
        return Kept(_shown_as_stored(current, made.after, context.fr_core), stored, made.discrepancies)
    written = draft(made.after, context.fr_core)
    version = await context.resources.replace(caller, current, written)
    return Kept(_shown_as(written, version, made.after, context.fr_core), stored, made.discrepancies)


def _shown(known: Known, fr_core: FrCore) -> Json:
    """The INS Patient with INSi's numbers and no others: the one answer that shows a matricule not yet qualified."""
    identity = replace(known.identity, supplied=(), withdrawn=())
    found = forms(known.patient, identity, fr_core)
    return found.reference or found.conveyed


def _shown_as(written: Draft, version: Version, known: Known, fr_core: FrCore) -> Json:
    """The same of a Patient just written, whose fullest form it is where nobody but INSi gave a number."""
    full = written.reference or written.conveyed
    shown = _shown(known, fr_core) if _has_other_numbers(known) else full
    return with_server_elements(shown, version.id, version.number, version.updated)


def _shown_as_stored(current: Current, known: Known, fr_core: FrCore) -> Json:
    """The same of a Patient as it is stored."""
    if current.body and not _has_other_numbers(known):
        return parse(current.body)
    return with_server_elements(_shown(known, fr_core), current.id, current.number, current.updated)


def _has_other_numbers(known: Known) -> bool:
    return bool(known.identity.supplied or known.identity.withdrawn)


def _discrepancies(local: Traits, ins: Traits) -> tuple[Comparison, ...]:
    return tuple(found for found in compare(local, ins) if not found.concordant)
