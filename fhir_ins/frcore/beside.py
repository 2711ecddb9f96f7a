"""What a Patient says beside its INS and that travels with it: internal identifiers (IPP) and the used name.

Source: FR Core 2.2.0 fr-core-patient, slices PI of identifier and usualName of name.
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_ins.ins.national_identity import LocalIdentifier, UsedName

_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_OID = "urn:oid:"
_AN_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)


def used_name(patient: Mapping[str, Any]) -> UsedName | None:
    """The first name of use usual that has not ended, its first given name only."""
    for name in patient.get("name", ()):
        if name.get("use") == "usual" and not _ended(name):
            used = UsedName(name.get("family") or "", next((given for given in name.get("given", ()) if given), ""))
            return used if used.family or used.given else None
    return None


def internal_identifiers(patient: Mapping[str, Any]) -> tuple[LocalIdentifier, ...]:
    """The identifiers of type PI that are in force, under the authority each names."""
    return tuple(
        LocalIdentifier(found["value"], system.removeprefix(_OID), _AN_OID.fullmatch(system) is not None)
        for found in patient.get("identifier", ())
        if _is_internal(found) and not _ended(found) and (system := found.get("system")) and found.get("value")
    )


def _is_internal(identifier: Mapping[str, Any]) -> bool:
    codings = identifier.get("type", {}).get("coding", ())
    return any(coding.get("system") == _TYPES and coding.get("code") == "PI" for coding in codings)


def _ended(element: Mapping[str, Any]) -> bool:
    return element.get("use") == "old" or "end" in element.get("period", {})
