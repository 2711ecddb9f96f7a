"""INS numbers as FHIR identifiers, in the slices of fr-core-patient-ins, and the social security numbers beside them.

Slices INS-NIR, INS-NIA, INS-NIR-TEST and INS-NIR-DEMO, told apart by type; a number no longer in use goes without type
where its slice does not take it. IHE France, constraints on HL7 data types p. 7-8: under …4.8, type NH says NSS.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_ins.frcore.canonical import IDENTIFIER_TYPES, V2_IDENTIFIER_TYPES
from fhir_ins.frcore.elements import Json, with_list
from fhir_ins.frcore.release import Release
from fhir_ins.ins.identity import InsNumber, Obtained
from fhir_ins.ins.oid import InsOid, NotAnIns, ins_oid

_TYPE_CODES = {
    InsOid.NIR: "INS-NIR",
    InsOid.NIA: "INS-NIA",
    InsOid.NIR_TEST: "INS-NIR-TEST",
    InsOid.NIR_DEMO: "INS-NIR-DEMO",
}
_MAY_HAVE_BEEN = frozenset({InsOid.NIR, InsOid.NIA})  # test numbers have no history
# The authority a social security number has of its own, for the one of the INS that FR Core 2.1.0 and PAM put it under.
_SOCIAL_SECURITY = {InsOid.NIR: f"urn:oid:{NotAnIns.NSS_NIR}", InsOid.NIA: f"urn:oid:{NotAnIns.NSS_NIA}"}
_NSS_TYPE = {"coding": [{"system": V2_IDENTIFIER_TYPES, "code": "NH"}]}


def is_ins(identifier: Mapping[str, Any]) -> bool:
    """Whether this identifier's system is one of the four INS authorities, and its type not that of an NSS."""
    return ins_oid(identifier.get("system") or "") is not None and not _typed_nss(identifier)


def is_nss(identifier: Mapping[str, Any]) -> bool:
    """Whether this is a social security number, under an authority of its own."""
    return identifier.get("system") in _SOCIAL_SECURITY.values()


def with_nss_apart(patient: Json) -> Json:
    """The Patient with social security numbers under their own authority, never under one of the INS.

    FR Core 2.1.0 (slice NSS) and PAM write them under …4.8 with type NH, where a search would take them for an INS.
    """
    found = patient.get("identifier", [])
    apart = [_apart(identifier) for identifier in found]
    return patient if apart == found else with_list(patient, "identifier", apart)


def nss_beside_slices(identifier: Json) -> Json:
    """A social security number as it may stand in a Patient that claims an FR Core profile: NH is said in words.

    Coded NH it is in a slice that 2.1.0 puts under the authority of the INS, in two slices at once in 2.2.0; official,
    it is a second official number beside an INS, which fr-core-2 forbids.
    """
    type_ = identifier.get("type", {})
    typed = any(coding.get("code") == "NH" for coding in type_.get("coding", ()))
    official = identifier.get("use") == "official"
    if not is_nss(identifier) or not (typed or official):
        return identifier
    said = {**identifier, "type": {"text": type_.get("text", "NH")}}
    return {**said, "use": "secondary"} if official else said


def nss_in_slice(identifier: Json) -> Json:
    """The same as its slice of 2.2.0 has it (`nss_beside_slices` undone)."""
    beside = is_nss(identifier) and identifier.get("type") == {"text": "NH"} and identifier.get("use") == "secondary"
    return {**identifier, "use": "official", "type": _NSS_TYPE} if beside else identifier


def identifier(number: InsNumber, use: str, release: Release) -> Json:
    """The slice for `number`, whose authority is an INS one; without type where its slice has not this use."""
    oid = InsOid(number.oid)
    found: Json = {"use": use, "system": f"urn:oid:{number.oid}", "value": str(number.matricule)}
    if use != "old" or oid in release.may_be_old:
        type_ = {"coding": [{"system": IDENTIFIER_TYPES, "code": _TYPE_CODES[oid]}]}
        found = {"use": use, "type": type_, "system": found["system"], "value": found["value"]}
    period = {"start": number.start, "end": number.end}
    in_order = not (number.start and number.end and number.start > number.end)  # seen reversed; per-1 forbids it
    if in_order and (dates := {name: day for name, day in period.items() if day}):
        found["period"] = dates
    return found


def obtained_identifiers(obtained: Obtained, release: Release) -> list[Json]:
    """INSACTIF as official (a NIA as the release has it), then each INSHISTO once as old.

    INSi repeats the active one there, and we do not. A number under another authority than the INS ones is none.
    """
    numbers = {(number.oid, str(number.matricule)): number for number in obtained.history}
    numbers.pop((obtained.active.oid, str(obtained.active.matricule)), None)
    former = [number for number in numbers.values() if ins_oid(number.oid) in _MAY_HAVE_BEEN]
    active = [active_identifier(obtained.active, release)] if ins_oid(obtained.active.oid) else []
    return [*active, *old_identifiers(former, release)]


def active_identifier(number: InsNumber, release: Release) -> Json:
    """The slice of a number in use, whose authority is an INS one."""
    return identifier(number, release.nia_use if number.oid == InsOid.NIA else "official", release)


def old_identifiers(numbers: Iterable[InsNumber], release: Release) -> list[Json]:
    """Numbers that are not this identity's INS now: former ones, or given by a client and not confirmed by INSi.

    What INSi gave under another authority than the INS ones is none.
    """
    return [identifier(number, "old", release) for number in numbers if ins_oid(number.oid)]


def _apart(identifier: Json) -> Json:
    oid = ins_oid(identifier.get("system") or "")
    return {**identifier, "system": _SOCIAL_SECURITY[oid]} if oid and _typed_nss(identifier) else identifier


def _typed_nss(identifier: Mapping[str, Any]) -> bool:
    """Under an authority of the INS, but a social security number by its type; test numbers are never one."""
    if ins_oid(identifier.get("system") or "") not in _SOCIAL_SECURITY:
        return False
    codes = {coding.get("code") for coding in identifier.get("type", {}).get("coding", ())}
    return "NH" in codes and codes.isdisjoint(_TYPE_CODES.values())
