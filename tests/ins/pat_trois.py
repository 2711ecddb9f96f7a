"""ANS's test patient as a national identity, which the tests of the wire forms change."""

from dataclasses import replace
from typing import Any

from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.national_identity import NationalIdentity
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits

NUMBER = InsNumber(Matricule("2790351215189", "89"), InsOid.NIR_TEST)
TRAITS = Traits("PAT-TROIS", ("DOMINIQUE", "MARIE-LOUISE"), "F", "1979-03-28", "51215")


def pat_trois(**changes: Any) -> NationalIdentity:
    """The identity, with these fields of it changed."""
    ins = NationalIdentity.of(NUMBER, TRAITS)
    assert isinstance(ins, NationalIdentity)
    return replace(ins, **changes)
