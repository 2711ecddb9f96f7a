"""The MSSanté citizen address among the contact points of a Patient; it is a matricule (see `ins.wire.mssante`)."""

from collections.abc import Mapping
from typing import Any

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.wire.mssante import CITIZEN_DOMAIN

_DOMAIN = f"@{CITIZEN_DOMAIN}"


def is_citizen_address(contact: Mapping[str, Any]) -> bool:
    """Whether this ContactPoint carries a matricule as an MSSanté citizen address."""
    return str(contact.get("value", "")).strip().lower().endswith(_DOMAIN)


def matricule_of(contact: Mapping[str, Any]) -> Matricule | None:
    """The matricule of a citizen address, or None when its local part has not the form of one."""
    local = str(contact.get("value", "")).strip().lower().removesuffix(_DOMAIN).removeprefix("mailto:").upper()
    parsed = Matricule.parse(local)
    return parsed if isinstance(parsed, Matricule) else None
