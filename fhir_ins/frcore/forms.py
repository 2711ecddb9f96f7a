"""The forms of one Patient: what an ordinary caller reads, what is left without matricule, what a reference reads.

Source: EXI SI 08 and EXI ID 29 (a matricule is conveyed for a qualified identity only); FR Core issue 240 (not without
its five traits). An FR Core profile is claimed by a form that conforms to it, in the release of the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_ins.frcore.canonical import PATIENT, PATIENT_INS
from fhir_ins.frcore.elements import Json, filtered, with_list
from fhir_ins.frcore.identifiers import (
    is_ins,
    nss_beside_slices,
    nss_in_slice,
    obtained_identifiers,
    old_identifiers,
    with_nss_apart,
)
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.reliability import with_statement, without_statement
from fhir_ins.frcore.telecom import is_citizen_address, matricule_of
from fhir_ins.frcore.traits import fhir_date
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.matricule import Matricule


@dataclass(frozen=True, slots=True)
class Forms:
    """`concealed` and `reference` are None when they would be the conveyed form again."""

    conveyed: Json
    concealed: Json | None = None
    reference: Json | None = None


def forms(bare: Json, identity: Identity, fr_core: FrCore) -> Forms:
    """All forms of a Patient given without the elements the server owns (see `bare`)."""
    stated = with_statement(bare, identity, fr_core.release)
    wanted = (PATIENT,) if identity.obtained or _claims(bare) else ()
    plain = claiming(_with_addresses_of(stated, None), wanted, fr_core)
    if not (identity.obtained or identity.supplied or identity.withdrawn):
        return Forms(plain)
    own = identity.obtained.active.matricule if identity.obtained else None
    numbers = obtained_identifiers(identity.obtained, fr_core.release) if identity.obtained else []
    told = {number["value"] for number in numbers}
    former = old_identifiers((*identity.withdrawn, *identity.supplied), fr_core.release)
    others = {number["value"]: number for number in former if number["value"] not in told}
    addressed = _with_addresses_of(stated, own)
    profiles = (PATIENT_INS, *wanted) if _has_whole_traits(identity) else wanted
    full = claiming(_numbered(addressed, numbers), profiles, fr_core)
    reference = full
    if others:
        reference = claiming(_numbered(addressed, [*others.values(), *numbers]), profiles, fr_core)
    if identity.conveys:
        return Forms(full, plain, reference if others else None)
    return Forms(plain, None, reference)


def bare(patient: Json) -> Json:
    """The Patient less what the server owns: INS identifiers, its statement on reliability, the FR Core claims.

    A Patient that claimed an FR Core profile keeps a claim of fr-core-patient, which can hold with or without INS.
    """
    apart = with_nss_apart(patient)
    own = [nss_in_slice(identifier) for identifier in apart.get("identifier", ()) if not is_ins(identifier)]
    stripped = without_statement(with_list(apart, "identifier", own) if "identifier" in apart else apart)
    return with_claims(stripped, [PATIENT] if _claims(patient) else [])


def with_claims(patient: Json, claims: list[str]) -> Json:
    """The Patient making these claims of FR Core Patient profiles, and no other of them."""
    if not claims and not _claims(patient):
        return patient
    meta = patient.get("meta", {})
    others = [claimed for claimed in meta.get("profile", ()) if claimed and not _is_claim(claimed)]
    said = {name: value for name, value in meta.items() if name != "_profile"}  # it goes by the places of the claims
    changed = with_list(said, "profile", [*claims, *others])
    rest = {name: value for name, value in patient.items() if name != "meta"}
    return {**rest, "meta": changed} if changed else rest


def claiming(form: Json, profiles: Sequence[str], fr_core: FrCore) -> Json:
    """The form with a claim of the first of these profiles that it conforms to, or with none.

    Where a profile is claimed, social security numbers stand beside its slices (see `nss_beside_slices`).
    """
    if not profiles:
        return with_claims(form, [])
    own = [nss_beside_slices(identifier) for identifier in form.get("identifier", ())]
    beside = with_list(form, "identifier", own) if own else form
    for profile in profiles:
        claimed = with_claims(beside, [fr_core.release.claim(profile)])
        if fr_core.conforms(claimed, profile):
            return claimed
    return with_claims(beside, [])


def _numbered(patient: Json, numbers: list[Json]) -> Json:
    """The Patient with these INS numbers first."""
    return with_list(patient, "identifier", [*numbers, *patient.get("identifier", ())]) if numbers else patient


def _with_addresses_of(patient: Json, own: Matricule | None) -> Json:
    """The Patient with those MSSanté citizen addresses only that are this matricule's."""
    return filtered(
        patient,
        "telecom",
        lambda contact: not is_citizen_address(contact) or (own is not None and matricule_of(contact) == own),
    )


def _has_whole_traits(identity: Identity) -> bool:
    """Whether INSi gave all five traits with a whole birth date; 1936-00-00 is none that an INS Patient can say."""
    traits = identity.obtained.traits if identity.obtained else None
    return traits is not None and traits.complete and fhir_date(traits.birth_date or "") == traits.birth_date


def _claims(patient: Json) -> bool:
    """Whether the Patient claims an FR Core Patient profile, of whatever release."""
    return any(_is_claim(profile) for profile in patient.get("meta", {}).get("profile", ()))


def _is_claim(profile: object) -> bool:
    return isinstance(profile, str) and profile.split("|")[0] in (PATIENT, PATIENT_INS)
