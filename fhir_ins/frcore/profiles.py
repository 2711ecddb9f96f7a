"""The profiles of a FR Core release, and where its published definitions contradict themselves.

https://hl7.fr/ig/fhir/core. A person born abroad has a COG code 99xxx, of TRE_R20-Pays; the value set that
fr-core-address-insee-code requires holds communes only, in both releases (mended in the sources after 2.2.0). The
identifiers NSS-NIR and NSS-NIA of 2.2.0 are told apart by their type, which is NH for both, so that each item is taken
for both.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fhir_ins.fhir.profiles import Profiles, Table, r4_profiles, table
from fhir_ins.frcore.canonical import COUNTRIES, RELEASE
from fhir_ins.frcore.invariants import INVARIANTS

RELEASES = ("2.2.0", "2.1.0")

_BIRTH_PLACES = "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-insee-code"
_SOCIAL_SECURITY = "identifier:NSS-NIR,NSS-NIA"
_ABROAD = re.compile(r"99\d{3}")


def fr_core_profiles(release: str = RELEASE, more: Sequence[Table] = ()) -> Profiles:
    """R4's profiles, those of FR Core in this release, and those of `more` tables."""
    fr_core = table(Path(__file__).with_name("definitions") / f"fr-core-{release}.json")
    return Profiles([r4_profiles(), fr_core, *more], INVARIANTS, published_contradiction)


def published_contradiction(rule: str, value: Any) -> bool:
    """Whether this breach is one that no Patient of its kind can help."""
    if rule == _SOCIAL_SECURITY:
        return True
    code = value.get("code", "") if isinstance(value, dict) else ""
    return rule == _BIRTH_PLACES and value.get("system") == COUNTRIES and _ABROAD.fullmatch(code) is not None
