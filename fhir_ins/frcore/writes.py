"""What a client's write of a Patient does to its identity: DESIGN's write rules as one pure function.

Source: RNIV 1 (strict traits, document check, douteux and fictif); référentiel INS v2.1, EXI 12 and EXI SI 08.
The status never follows from what a client claims alone: a claim of VALI records a document check, with its date
and means, by a caller who may.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_ins.fhir.outcome import Forbidden, Issue, PreconditionFailed, Unprocessable
from fhir_ins.frcore.canonical import PATIENT
from fhir_ins.frcore.carriers import misplaced, without_telling_narrative
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.forms import bare, with_claim
from fhir_ins.frcore.identifiers import is_ins
from fhir_ins.frcore.reliability import SUFFICIENT_MEANS, VALIDATED, Claim, claim_of, misused_parts
from fhir_ins.frcore.telecom import is_citizen_address, matricule_of
from fhir_ins.frcore.traits import contradictions, traits_of, with_traits
from fhir_ins.ins.comparison import compare, equivalent
from fhir_ins.ins.identity import DocumentCheck, Identity, InsNumber, Obtained
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import ins_oid
from fhir_ins.ins.status import Attribute
from fhir_ins.ins.traits import Traits

_MOST_SUPPLIED = 20
_RELIABILITY = "Patient.extension('https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability')"


@dataclass(frozen=True, slots=True)
class Known:
    """A Patient as the server keeps it: without the elements the server owns, and its identity record."""

    patient: Json
    identity: Identity


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and how: `may_qualify` and `is_reference` are rights.

    `version_known`: what is written over is what the writer has seen (If-Match), or nothing is (a create).
    """

    actor: str
    today: str
    may_qualify: bool
    is_reference: bool
    version_known: bool
    wrong_key_is_error: bool = True


def written(body: Json, before: Known | None, writer: Writer) -> Known:
    """The Patient and its identity after a client wrote `body` over `before`.

    Raises Unprocessable, Forbidden or PreconditionFailed with the place and the remedy; then nothing is kept.
    """
    if issues := [*misplaced(body), *contradictions(body), *misused_parts(body)]:
        raise Unprocessable(issues)
    shown = before.identity.obtained if before and (before.identity.conveys or writer.is_reference) else None
    _refuse_foreign_addresses(body, shown)
    numbers = supplied_numbers(body, shown, wrong_key_is_error=writer.wrong_key_is_error)
    patient = bare(without_telling_narrative(body))
    identity = before.identity if before else Identity()
    if before and (identity.obtained or identity.check):
        patient, identity = _after_edit(patient, before)
    claim = claim_of(body)
    identity = _with_attributes(identity, claim)
    identity = _with_claim(identity, claim, before.identity.check if before else None, traits_of(patient), writer)
    identity = _with_supplied(identity, numbers, before.identity if before else Identity(), writer)
    return Known(patient, identity)


def attached(before: Known, obtained: Obtained) -> Known:
    """The Patient once an INSi answer is its identity: traits exactly as received, the fact I recorded.

    A document checked against other traits than INSi's no longer counts (the caller has accepted the difference).
    """
    discordant = any(not found.concordant for found in compare(traits_of(before.patient), obtained.traits))
    identity = before.identity.edited() if discordant else before.identity
    return Known(with_claim(with_traits(before.patient, obtained.traits), PATIENT), identity.found(obtained))


def supplied_numbers(
    patient: Mapping[str, Any], shown: Obtained | None = None, *, wrong_key_is_error: bool = True
) -> tuple[InsNumber, ...]:
    """The INS identifiers a client wrote. Raises Unprocessable for a malformed matricule or a wrong key.

    Numbers of INSi that the client was `shown` may come back whatever their key: INSi's history has wrong ones.
    """
    given_back = {number.matricule for number in (shown.active, *shown.history)} if shown else set()
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
    if not equivalent(traits_of(patient), traits_of(before.patient)):
        return patient, before.identity.edited()
    obtained = before.identity.obtained
    return (with_traits(patient, obtained.traits) if obtained else patient), before.identity


def _with_attributes(identity: Identity, claim: Claim) -> Identity:
    if {Attribute.DOUTEUX, Attribute.FICTIF} <= claim.attributes:
        raise Unprocessable("An identity is not both douteux (DOUT) and fictif (FICT): keep one.", _RELIABILITY)
    if not claim.present or claim.attributes == identity.attributes:
        return identity
    return identity.marked(claim.attributes)


def _with_claim(
    identity: Identity, claim: Claim, check_before: DocumentCheck | None, traits: Traits, writer: Writer
) -> Identity:
    if claim.status is None or identity.blocked:
        return identity
    if claim.status != VALIDATED:
        return identity.unchecked()
    if check_before and _repeats(claim, check_before):
        return identity
    if any(_repeats(claim, ended) for ended in identity.ended):
        raise Unprocessable(
            "This document check ended when the identity changed. If the document was checked again against the "
            "traits as they are now, say PROV first, then VALI.",
            _RELIABILITY,
        )
    if not writer.may_qualify:
        raise Forbidden("Recording a document check (identityStatus VALI) needs the right ins.qualify.", _RELIABILITY)
    if not writer.version_known:
        raise PreconditionFailed(
            "A document check is recorded on the version that was checked: read the Patient and send its ETag "
            'in If-Match (If-Match: W/"…").',
            _RELIABILITY,
        )
    if not (traits.family and traits.given and traits.sex and traits.birth_date):
        raise Unprocessable(
            "A document is checked against traits: give the birth name (use official), given names, gender and "
            "birth date.",
            _RELIABILITY,
            code="required",
        )
    return identity.checked(_check(claim, traits.birth_date, writer))


def _repeats(claim: Claim, check: DocumentCheck) -> bool:
    """Whether the claim is the server's own statement sent back, not a new check."""
    return claim.validation_date in (check.on, None) and claim.validation_mode in (check.means, None)


def _check(claim: Claim, birth_date: str, writer: Writer) -> DocumentCheck:
    date, means = claim.validation_date, claim.validation_mode
    if not date or len(date) < len("YYYY-MM-DD") or not birth_date <= date <= writer.today:
        text = "A document check (VALI) needs its validationDate, a whole date after the birth and not after today."
        raise Unprocessable(text, f"{_RELIABILITY}.extension('validationDate')", code="required")
    if means not in SUFFICIENT_MEANS:
        known = ", ".join(sorted(SUFFICIENT_MEANS))
        text = f"A document check (VALI) needs its validationMode, a document of high confidence: {known}."
        raise Unprocessable(text, f"{_RELIABILITY}.extension('validationMode')", code="required")
    return DocumentCheck(date, means, writer.actor)


def _with_supplied(identity: Identity, numbers: tuple[InsNumber, ...], before: Identity, writer: Writer) -> Identity:
    """INSi's own numbers sent back change nothing; others are kept unconveyed, or refused beside a shown INS.

    What the client could not see decides nothing it can see.
    """
    shown = before.obtained if before.conveys or writer.is_reference else None
    known = {number.matricule for number in (shown.active, *shown.history)} if shown else set()
    new = [number for number in numbers if number.matricule not in known]
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
