"""The forms of one Patient: what an ordinary caller reads, what is left without matricule, what a reference reads.

Source: EXI SI 08 and EXI ID 29 (a matricule is conveyed for a qualified identity only); FR Core 2.2.0
fr-core-patient-ins and its invariants fr-core-1 to fr-core-3 for the profile claim.
"""

from dataclasses import dataclass

from fhir_ins.frcore.canonical import PATIENT, PATIENT_INS, versioned
from fhir_ins.frcore.elements import Json, filtered, with_list
from fhir_ins.frcore.identifiers import is_ins, obtained_identifiers, supplied_identifiers
from fhir_ins.frcore.reliability import with_statement, without_statement
from fhir_ins.frcore.telecom import is_citizen_address, matricule_of
from fhir_ins.frcore.traits import fhir_date
from fhir_ins.ins.identity import Identity


@dataclass(frozen=True, slots=True)
class Forms:
    """`concealed` and `reference` are None when they would be the conveyed form again."""

    conveyed: Json
    concealed: Json | None = None
    reference: Json | None = None


def forms(bare: Json, identity: Identity) -> Forms:
    """All forms of a Patient given without the elements the server owns (see `bare`)."""
    own = identity.obtained.active.matricule if identity.obtained else None
    stated = with_statement(bare, identity)
    concealed = filtered(stated, "telecom", lambda contact: not is_citizen_address(contact))
    open_form = filtered(
        stated, "telecom", lambda contact: not is_citizen_address(contact) or matricule_of(contact) == own
    )
    if not identity.obtained and not identity.supplied:
        return Forms(concealed)
    full = _with_ins(open_form, identity)
    told = {number["value"] for number in full.get("identifier", ()) if is_ins(number)}
    others = [number for number in supplied_identifiers(identity.supplied) if number["value"] not in told]
    reference = _with_identifiers(full, others)
    if identity.conveys:
        return Forms(full, concealed, reference if others else None)
    return Forms(concealed, None, reference)


def bare(patient: Json) -> Json:
    """The Patient less what the server owns: INS identifiers, its statement on reliability, the FR Core claims.

    A Patient that claimed an FR Core profile keeps the claim of fr-core-patient, which holds with or without INS.
    """
    stripped = without_statement(filtered(patient, "identifier", lambda identifier: not is_ins(identifier)))
    if not any(_is_claim(profile) for profile in patient.get("meta", {}).get("profile", ())):
        return stripped
    return with_claim(stripped, PATIENT)


def with_claim(patient: Json, profile: str) -> Json:
    """The Patient claiming `profile` and no other FR Core Patient profile."""
    meta = patient.get("meta", {})
    others = [claimed for claimed in meta.get("profile", ()) if not _is_claim(claimed)]
    return {**patient, "meta": with_list(meta, "profile", [versioned(profile), *others])}


def _with_ins(patient: Json, identity: Identity) -> Json:
    if identity.obtained is None:
        return patient
    numbered = _with_identifiers(patient, obtained_identifiers(identity.obtained))
    return with_claim(numbered, PATIENT_INS) if _satisfies_ins_profile(numbered, identity) else numbered


def _with_identifiers(patient: Json, identifiers: list[Json]) -> Json:
    return with_list(patient, "identifier", [*identifiers, *patient.get("identifier", ())])


def _satisfies_ins_profile(patient: Json, identity: Identity) -> bool:
    """All five traits as INSi gave them, a whole birth date, and no second official identifier (fr-core-2)."""
    traits = identity.obtained.traits if identity.obtained else None
    if traits is None or not traits.complete:
        return False
    whole_date = fhir_date(traits.birth_date or "") == traits.birth_date
    officials = [found for found in patient.get("identifier", ()) if found.get("use") == "official"]
    return whole_date and len(officials) == 1


def _is_claim(profile: object) -> bool:
    return isinstance(profile, str) and profile.split("|")[0] in (PATIENT, PATIENT_INS)
