"""A qualified identity fed by a trusted source, such as the structure's identity management (GAM).

It says what INSi and a document check would say: VALI with an INS and its five traits. Source: guide d'implémentation
INS v3.0 §2.2.2 p. 29 (qualifiée follows from matricule, OID and VALI); IHE PAM France 2.11.2 p. 36 and 41.
"""

from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.frcore.carriers import without_telling_narrative
from fhir_ins.frcore.document_check import check_of
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.forms import bare
from fhir_ins.frcore.identifiers import is_ins
from fhir_ins.frcore.known import Known, Writer
from fhir_ins.frcore.marks import with_marks
from fhir_ins.frcore.reliability import Claim
from fhir_ins.frcore.traits import completed_locally, traits_of, with_traits
from fhir_ins.ins.comparison import equivalent
from fhir_ins.ins.identity import Identity, InsNumber, Obtained
from fhir_ins.ins.traits import Sex, Traits, birth_date_fault, birth_place_fault


def told(body: Json, claim: Claim, numbers: tuple[InsNumber, ...], before: Identity, writer: Writer) -> Known:
    """The Patient with the identity its trusted source states; `numbers` are the INS identifiers of `body`, in order.

    No If-Match is needed for the check: the traits, the INS and the check about them come together. Raises
    Unprocessable when what it states could not be a qualified identity.
    """
    patient = bare(without_telling_narrative(body))
    identity = with_marks(before, claim, writer)
    traits = traits_of(patient)
    uses = [found.get("use") for found in body["identifier"] if is_ins(found)]
    current = [number for number, use in zip(numbers, uses, strict=True) if use != "old"]
    if identity.blocked or completed_locally(patient) or not _could_be_insi_s(traits) or len(current) != 1:
        raise Unprocessable(
            "A qualified identity (VALI with an INS) has one INS in use, its five traits with the birth place, a birth "
            "date that was not completed locally, and is neither douteux, fictif nor hidden. Give all of it, or leave "
            "the INS out.",
            "Patient.identifier",
        )
    former = tuple(number for number in numbers if number is not current[0])
    obtained = Obtained(current[0], former, traits, claim.collected_on, message_id=None, source=writer.actor)
    known = identity.obtained
    same = known is not None and (known.active.oid, known.active.matricule) == (current[0].oid, current[0].matricule)
    if known and same and equivalent(known.traits, traits):
        obtained = known  # our own answer of INSi is worth more than being told the same
    elif known or identity.check:
        identity = identity.edited()
    check = check_of(claim, traits.birth_date or "", writer)
    return Known(with_traits(patient, obtained.traits), identity.found(obtained).checked(check))


def _could_be_insi_s(traits: Traits) -> bool:
    """Whether all five are there, with a sex, a date and a place such as INSi gives."""
    date, place = traits.birth_date, traits.birth_place
    if not traits.complete or traits.sex not in set(Sex) or not date or not place:
        return False
    return birth_date_fault(date) is None and birth_place_fault(place) is None
