"""The profiles of a FR Core release, and where its published definitions contradict themselves.

https://hl7.fr/ig/fhir/core. A person born abroad has a COG code 99xxx, of TRE_R20-Pays; the value set that
fr-core-address-insee-code requires holds communes only, in both releases (mended in the sources after 2.2.0). The
identifiers NSS-NIR and NSS-NIA of 2.2.0 are told apart by their type, which is NH for both, so that each item is taken
for both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_ins.fhir.outcome import Issue
from fhir_ins.fhir.profiles import Profiles, Table, r4_profiles, table
from fhir_ins.frcore.canonical import COUNTRIES, PATIENT, PATIENT_INS
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.invariants import INVARIANTS
from fhir_ins.frcore.release import RELEASES, Release

_BIRTH_PLACES = "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-insee-code"
_SOCIAL_SECURITY = "identifier:NSS-NIR,NSS-NIA"
_ABROAD = re.compile(r"99\d{3}")


@dataclass(frozen=True, slots=True)
class FrCore:
    """The FR Core release that Patients are written in, with the profiles they are judged by."""

    release: Release
    profiles: Profiles

    def conforms(self, patient: Json, profile: str) -> bool:
        """Whether a Patient follows one of FR Core's Patient profiles, but for what contradicts itself there."""
        return self.profiles.conforms(patient, f"{profile}|{self.release.version}")

    def faults(self, patient: Json) -> list[Issue]:
        """What breaks a profile the Patient claims, or the definition of an extension in it.

        A claim of FR Core's Patient, whatever its version, is one in this release: it is what the server will state.
        Profiles that are not loaded cannot be judged, and are not.
        """
        claimed = {self._in_this_release(found) for found in patient.get("meta", {}).get("profile", ()) if found}
        known = sorted(filter(self.profiles.knows, claimed))
        found = self.profiles.judge(patient, *known)
        return [issue for issue in found if issue.severity == "error" and not issue.published]

    def _in_this_release(self, canonical: str) -> str:
        url = canonical.partition("|")[0]
        return f"{url}|{self.release.version}" if url in (PATIENT, PATIENT_INS) else canonical


def fr_core(version: str, more: Sequence[Table] = ()) -> FrCore:
    """FR Core in this version, with the profiles of `more` tables beside it."""
    return FrCore(RELEASES[version], fr_core_profiles(version, more))


def fr_core_profiles(release: str, more: Sequence[Table] = ()) -> Profiles:
    """R4's profiles, those of `more` tables, and over them FR Core's in this release: no package brings another one."""
    fr_core = table(Path(__file__).with_name("definitions") / f"fr-core-{release}.json")
    return Profiles([r4_profiles(), *more, fr_core], INVARIANTS, published_contradiction)


def published_contradiction(rule: str, value: Any) -> bool:
    """Whether this breach is one that no Patient of its kind can help."""
    if rule == _SOCIAL_SECURITY:
        return True
    code = value.get("code", "") if isinstance(value, dict) else ""
    return rule == _BIRTH_PLACES and value.get("system") == COUNTRIES and _ABROAD.fullmatch(code) is not None
