"""The releases of FR Core that Patients are written in: 2.2.0 (the default) and 2.1.0.

Source: the packages hl7.fhir.fr.core 2.1.0 and 2.2.0. Nothing else of ours knows how they differ; what a client writes
is read whichever release it follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_ins.ins.oid import InsOid


@dataclass(frozen=True, slots=True)
class Release:
    """What one release says otherwise than another.

    `claims_version`: a profile is claimed with its version. `nia_use`: the use of an active INS-NIA. `may_be_old`: the
    authorities whose identifier slice takes a number no longer in use. `means`: the codes of document checks it has;
    `ins_means`: those of them an INS Patient may carry.
    """

    version: str
    claims_version: bool
    nia_use: str
    may_be_old: frozenset[InsOid]
    means: frozenset[str]
    ins_means: frozenset[str]

    def claim(self, profile: str) -> str:
        """The canonical as the profile's own meta.profile slice has it."""
        return f"{profile}|{self.version}" if self.claims_version else profile


_MEANS_2_1_0 = frozenset({"AN", "CC", "CE", "CM", "CN", "CS", "LE", "PA", "PC", "TC"})

RELEASES: Mapping[str, Release] = {
    "2.2.0": Release(
        version="2.2.0",
        claims_version=True,
        nia_use="official",
        may_be_old=frozenset({InsOid.NIR, InsOid.NIA}),
        means=_MEANS_2_1_0 | {"AC", "DC", "IE"},
        ins_means=frozenset({"AN", "CN", "LE", "PA"}),
    ),
    "2.1.0": Release(
        version="2.1.0",
        claims_version=False,
        nia_use="temp",
        may_be_old=frozenset(),
        means=_MEANS_2_1_0,
        ins_means=_MEANS_2_1_0,
    ),
}
