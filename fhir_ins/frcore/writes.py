"""What a client's write of a Patient does to its identity: DESIGN's write rules as one pure function.

Source: RNIV 1 (strict traits, document check, douteux and fictif); référentiel INS v2.1, EXI 12 and EXI SI 08.
The status never follows from what a client claims alone: a claim of VALI records a document check, with its date
and means, by a caller who may. Only a trusted source is believed about an INS too, when it says VALI with it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_ins.fhir.outcome import Issue, Unprocessable
from fhir_ins.frcore.carriers import misplaced, without_telling_narrative
from fhir_ins.frcore.document_check import with_check
from fhir_ins.frcore.elements import Json, with_list
from fhir_ins.frcore.forms import bare
from fhir_ins.frcore.identifiers import is_ins, nss_beside_slices, with_nss_apart
from fhir_ins.frcore.known import Known, Writer
from fhir_ins.frcore.marks import with_marks
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.reliability import claim_of, misused_parts, unsayable_means
from fhir_ins.frcore.telecom import is_citizen_address, matricule_of
from fhir_ins.frcore.traits import completed_locally, contradictions, traits_of, with_birth_place_system, with_traits
from fhir_ins.frcore.trusted_source import told
from fhir_ins.ins.comparison import compare, equivalent
from fhir_ins.ins.identity import Identity, InsNumber, Obtained
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import ins_oid

_MOST_SUPPLIED = 20


def written(body: Json, before: Known | None, writer: Writer) -> Known:
    """The Patient and its identity after a client wrote `body` over `before`.

    Raises Unprocessable, Forbidden or PreconditionFailed with the place and the remedy; then nothing is kept.
    """
    body = understood(body)
    if issues := [*misplaced(body), *contradictions(body), *misused_parts(body)]:
        raise Unprocessable(issues)
    if issues := writer.fr_core.faults(judged(body, writer.fr_core)):
        raise Unprocessable(issues)
    claim = claim_of(body)
    shown = before.identity.obtained if before and (before.identity.conveys or writer.is_reference) else None
    numbers = supplied_numbers(body, shown, wrong_key_is_error=writer.wrong_key_is_error)
    if writer.is_trusted and claim.qualified and numbers:
        return told(body, claim, numbers, before.identity if before else Identity(), writer)
    _refuse_foreign_addresses(body, shown)
    patient = bare(without_telling_narrative(body))
    identity = before.identity if before else Identity()
    if before and (identity.obtained or identity.check):
        patient, identity = _after_edit(patient, before)
    identity = with_marks(identity, claim, writer)
    identity = with_check(identity, claim, before.identity.check if before else None, traits_of(patient), writer)
    identity = _with_supplied(identity, numbers, before.identity if before else Identity(), writer)
    return Known(patient, identity)


def understood(body: Json) -> Json:
    """The Patient as a client meant it: what other releases and systems write elsewhere, in its place."""
    return with_nss_apart(with_birth_place_system(body))


def judged(body: Json, fr_core: FrCore) -> Json:
    """What of a Patient its profiles judge in a write: not what the server understands, keeps and writes otherwise."""
    sayable = unsayable_means(understood(body), fr_core.release)
    own = [nss_beside_slices(identifier) for identifier in sayable.get("identifier", ())]
    return with_list(sayable, "identifier", own) if own else sayable


def attached(before: Known, obtained: Obtained) -> Known:
    """The Patient once an INSi answer is its identity: traits exactly as received, the fact I recorded.

    A document checked against other traits than INSi's no longer counts (the caller has accepted the difference).
    """
    discordant = any(not found.concordant for found in compare(traits_of(before.patient), obtained.traits))
    identity = before.identity.edited() if discordant else before.identity
    return Known(with_traits(before.patient, obtained.traits), identity.found(obtained))


def supplied_numbers(
    patient: Mapping[str, Any], shown: Obtained | None = None, *, wrong_key_is_error: bool = True
) -> tuple[InsNumber, ...]:
    """The INS identifiers a client wrote. Raises Unprocessable for a malformed matricule or a wrong key.

    Numbers of INSi that the client was `shown` may come back whatever their key: INSi's history has wrong ones.
    """
    given_back = {number.matricule for number in shown.numbers} if shown else set()
    numbers, issues = [], []
    for index, identifier in enumerate(patient.get("identifier", ())):
        if not is_ins(identifier):
            continue
        place = f"Patient.identifier[{index}].value"
        parsed = Matricule.parse(identifier.get("value") or "")
        if isinstance(parsed, Malformed):
            issues.append(Issue("value", parsed.reason, place))
        elif wrong_key_is_error and not parsed.key_is_right and parsed not in given_back:
            text = f"The key of matricule {parsed.masked} is wrong: check all 15 characters against the source."
            issues.append(Issue("value", text, place))
        else:
            numbers.append(InsNumber(parsed, str(ins_oid(identifier["system"]))))
    if issues:
        raise Unprocessable(issues)
    return tuple(numbers)


def _after_edit(patient: Json, before: Known) -> tuple[Json, Identity]:
    """Strict traits changed: both facts fall. Written otherwise but the same to INSi: INSi's writing is kept."""
    completed = completed_locally(patient) and not completed_locally(before.patient)
    if completed or not equivalent(traits_of(patient), traits_of(before.patient)):
        return patient, before.identity.edited()
    obtained = before.identity.obtained
    return (with_traits(patient, obtained.traits) if obtained else patient), before.identity


def _with_supplied(identity: Identity, numbers: tuple[InsNumber, ...], before: Identity, writer: Writer) -> Identity:
    """INSi's own numbers sent back change nothing; others are kept unconveyed, or refused beside a shown INS.

    What the client could not see decides nothing it can see.
    """
    shown = before.obtained if before.conveys or writer.is_reference else None
    own = {number.matricule for number in shown.numbers} if shown else set()
    withdrawn = {number.matricule for number in before.withdrawn} if writer.is_reference else set()
    new = [number for number in numbers if number.matricule not in own | withdrawn]
    seen = before.supplied if writer.is_reference else ()
    if before.conveys and any(number not in seen for number in new):
        raise Unprocessable(
            "This identity is qualified with the matricule INSi gave; another one is not accepted beside it. "
            "If it is wrong, ask INSi again with Patient/{id}/$ins-verify.",
            "Patient.identifier",
        )
    kept = () if writer.is_reference else identity.supplied
    newest_last = reversed(dict.fromkeys(reversed((*kept, *new))))
    return replace(identity, supplied=tuple(newest_last)[-_MOST_SUPPLIED:])


def _refuse_foreign_addresses(body: Json, shown: Obtained | None) -> None:
    own = shown.active.matricule if shown else None
    for index, contact in enumerate(body.get("telecom", ())):
        if is_citizen_address(contact) and (own is None or matricule_of(contact) != own):
            raise Unprocessable(
                "An MSSanté citizen address is a matricule: it is accepted only for a qualified identity, and only "
                "its own. Remove it.",
                f"Patient.telecom[{index}].value",
            )
