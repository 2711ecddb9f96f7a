"""INS numbers as FHIR identifiers, in the slices of fr-core-patient-ins 2.2.0.

Slices INS-NIR, INS-NIA (use official or old), INS-NIR-TEST and INS-NIR-DEMO (official only).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_ins.frcore.canonical import IDENTIFIER_TYPES
from fhir_ins.frcore.elements import Json
from fhir_ins.ins.identity import InsNumber, Obtained
from fhir_ins.ins.oid import InsOid, ins_oid

_TYPE_CODES = {
    InsOid.NIR: "INS-NIR",
    InsOid.NIA: "INS-NIA",
    InsOid.NIR_TEST: "INS-NIR-TEST",
    InsOid.NIR_DEMO: "INS-NIR-DEMO",
}
_MAY_BE_OLD = frozenset({InsOid.NIR, InsOid.NIA})


def is_ins(identifier: Mapping[str, Any]) -> bool:
    """Whether this identifier's system is one of the four INS authorities."""
    return ins_oid(identifier.get("system") or "") is not None


def identifier(number: InsNumber, use: str) -> Json:
    """The slice for `number`, whose authority is an INS one."""
    type_ = {"coding": [{"system": IDENTIFIER_TYPES, "code": _TYPE_CODES[InsOid(number.oid)]}]}
    found: Json = {"use": use, "type": type_, "system": f"urn:oid:{number.oid}", "value": str(number.matricule)}
    period = {"start": number.start, "end": number.end}
    in_order = not (number.start and number.end and number.start > number.end)  # seen reversed; per-1 forbids it
    if in_order and (dates := {name: day for name, day in period.items() if day}):
        found["period"] = dates
    return found


def obtained_identifiers(obtained: Obtained) -> list[Json]:
    """INSACTIF as official, then each INSHISTO once as old; INSi repeats the active one there, and we do not.

    A number under another authority than the INS ones is none, and test numbers have no old use.
    """
    numbers = {(number.oid, str(number.matricule)): number for number in obtained.history}
    numbers.pop((obtained.active.oid, str(obtained.active.matricule)), None)
    old = (number for number in numbers.values() if ins_oid(number.oid) in _MAY_BE_OLD)
    active = [obtained.active] if ins_oid(obtained.active.oid) else []
    return [*(identifier(number, "official") for number in active), *(identifier(number, "old") for number in old)]


def supplied_identifiers(numbers: Iterable[InsNumber]) -> list[Json]:
    """Numbers a client gave and INSi has not confirmed."""
    return [identifier(number, "old") for number in numbers]
