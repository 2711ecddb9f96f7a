"""The invariants of fr-core-patient-ins, release by release, as functions.

Their FHIRPath stands in the packages; each function says what it says, oddities included. In FHIRPath a condition may
come out empty, which for an invariant means that it does not hold.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from fhir_ins.fhir.invariants.terms import Invariant
from fhir_ins.fhir.scope import Scope
from fhir_ins.frcore.canonical import BIRTH_PLACE, IDENTITY_RELIABILITY, INSEE_CODE, PATIENT_INS
from fhir_ins.frcore.elements import Json, extensions

_OID = "urn:oid:1.2.250.1.213.1.4"
_NIR, _NIA, _TEST, _DEMO = (f"{_OID}.{number}" for number in (8, 9, 10, 11))
_VALIDATED = "VALI"
_UNKNOWN_PLACE = "99999"


def _statuses(patient: Json) -> list[str]:
    """The codes of every identityStatus of every repetition of identityReliability."""
    repetitions = extensions(patient, IDENTITY_RELIABILITY)
    stated = chain.from_iterable(extensions(repetition, "identityStatus") for repetition in repetitions)
    values = (value for status in stated for name, value in status.items() if name.startswith("value"))
    return [value["code"] for value in values if isinstance(value, dict) and "code" in value]


def _birth_place_codes(patient: Json) -> Iterator[str]:
    for place in extensions(patient, BIRTH_PLACE):
        for code in extensions(place.get("valueAddress", {}), INSEE_CODE):
            if "code" in code.get("valueCoding", {}):
                yield code["valueCoding"]["code"]


def _has_an_ins_or_no_status_vali(patient: Json, _scope: Scope) -> bool:
    """fr-core-1 of 2.1.0: the .10 stands twice where .11 was meant, and two statuses are never 'VALI'.

    Without any status the condition is empty: it holds only when there is an INS.
    """
    if any(identifier.get("system") in (_NIR, _NIA, _TEST) for identifier in patient.get("identifier", ())):
        return True
    statuses = _statuses(patient)
    return bool(statuses) and statuses != [_VALIDATED]


def _official_ins_when_validated(patient: Json, _scope: Scope) -> bool:
    """fr-core-1 of 2.2.0."""
    return _VALIDATED not in _statuses(patient) or any(map(_is_official_ins, patient.get("identifier", ())))


def _is_official_ins(identifier: Json) -> bool:
    if identifier.get("use") != "official":
        return False
    codings = identifier.get("type", {}).get("coding", ())
    if identifier.get("system") == _NIR:
        return any(coding.get("code") == "INS-NIR" for coding in codings)
    return identifier.get("system") in (_NIA, _TEST, _DEMO)


def _one_official_when_validated(patient: Json, _scope: Scope) -> bool:
    """fr-core-2 of 2.2.0."""
    officials = [found for found in patient.get("identifier", ()) if found.get("use") == "official"]
    return _VALIDATED not in _statuses(patient) or len(officials) == 1


def _birth_place_known_when_validated(patient: Json, _scope: Scope) -> bool:
    """fr-core-3 of 2.2.0; without a code of the birth place the condition is empty."""
    if _VALIDATED not in _statuses(patient):
        return True
    codes = list(_birth_place_codes(patient))
    return bool(codes) and codes != [_UNKNOWN_PLACE]


INVARIANTS: Mapping[tuple[str, str], Invariant] = {
    (f"{PATIENT_INS}|2.1.0", "fr-core-1"): Invariant(
        _has_an_ins_or_no_status_vali,
        "A validated identity needs an INS identifier, and every INS Patient an identityStatus. Add what is missing.",
    ),
    (f"{PATIENT_INS}|2.2.0", "fr-core-1"): Invariant(
        _official_ins_when_validated,
        "A validated identity needs an INS identifier of use official. Add it, or claim fr-core-patient only.",
    ),
    (f"{PATIENT_INS}|2.2.0", "fr-core-2"): Invariant(
        _one_official_when_validated,
        "A validated identity has exactly one identifier of use official. Give the others another use.",
    ),
    (f"{PATIENT_INS}|2.2.0", "fr-core-3"): Invariant(
        _birth_place_known_when_validated,
        "A validated identity has a birth place that INSi can send: not 99999. Send its COG code.",
    ),
}
