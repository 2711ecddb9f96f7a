"""The document check in a client's write: fact C, when a caller who may says VALI with its date and means.

Source: RNIV 1 (documents of high confidence); référentiel INS v2.1.
"""

from fhir_ins.fhir.outcome import Forbidden, PreconditionFailed, Unprocessable
from fhir_ins.frcore.known import Writer
from fhir_ins.frcore.reliability import SUFFICIENT_MEANS, VALIDATED, Claim
from fhir_ins.ins.identity import DocumentCheck, Identity
from fhir_ins.ins.traits import Traits

RELIABILITY = "Patient.extension('https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability')"
_DATE = f"{RELIABILITY}.extension('validationDate')"
_MODE = f"{RELIABILITY}.extension('validationMode')"


def with_check(
    identity: Identity, claim: Claim, check_before: DocumentCheck | None, traits: Traits, writer: Writer
) -> Identity:
    """The identity after what the claim says of the document check, made against `traits`.

    `check_before` is the check at the start of this write: the server's own statement sent back is no new one.
    """
    if claim.status is None or identity.doubtful:
        return identity
    if claim.status != VALIDATED:
        return identity.unchecked()
    if check_before and _repeats(claim, check_before):
        return identity
    if any(_repeats(claim, ended) for ended in identity.ended):
        raise Unprocessable(
            "This document check ended when the identity changed. If the document was checked again against the "
            "traits as they are now, say PROV first, then VALI.",
            RELIABILITY,
        )
    if not writer.may_qualify:
        raise Forbidden("Recording a document check (identityStatus VALI) needs the right ins.qualify.", RELIABILITY)
    if not writer.version_known:
        raise PreconditionFailed(
            "A document check is recorded on the version that was checked: read the Patient and send its ETag "
            'in If-Match (If-Match: W/"…").',
            RELIABILITY,
        )
    if not (traits.family and traits.given and traits.sex and traits.birth_date):
        raise Unprocessable(
            "A document is checked against traits: give the birth name (use official), given names, gender and "
            "birth date.",
            RELIABILITY,
            code="required",
        )
    if claim.validation_date is None:
        raise Unprocessable(f"A document check (VALI) needs its validationDate, {_WHOLE}.", _DATE, code="required")
    if claim.validation_mode is None:
        raise Unprocessable(f"A document check (VALI) needs its validationMode: {_KNOWN}.", _MODE, code="required")
    return identity.checked(check_of(claim, traits.birth_date, writer))


def _repeats(claim: Claim, check: DocumentCheck) -> bool:
    """Whether the claim is the server's own statement sent back, not a new check."""
    return claim.validation_date in (check.on, None) and claim.validation_mode in (check.means, None)


def check_of(claim: Claim, birth_date: str, writer: Writer) -> DocumentCheck:
    """The check a claim describes. Raises Unprocessable for an impossible date, or a document that does not count."""
    date, means = claim.validation_date, claim.validation_mode
    if date is not None and (len(date) < len("YYYY-MM-DD") or not birth_date <= date <= writer.today):
        raise Unprocessable(f"The validationDate must be {_WHOLE}.", _DATE, code="value")
    if means not in (*SUFFICIENT_MEANS, None):
        raise Unprocessable(f"The validationMode must be a document of high confidence: {_KNOWN}.", _MODE, code="value")
    return DocumentCheck(date, means, writer.actor)


_WHOLE = "a whole date after the birth and not after today"
_KNOWN = ", ".join(sorted(SUFFICIENT_MEANS))
