"""The used name and the internal identifiers of a Patient, and the Patient that a scan makes."""

from typing import Any

import pytest
from frcore.records import FR_CORE

from fhir_ins.fhir.structure import validate
from fhir_ins.frcore.beside import internal_identifiers, used_name
from fhir_ins.frcore.scanned import scanned_patient
from fhir_ins.frcore.traits import traits_of
from fhir_ins.ins.datamatrix import Content
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.national_identity import LocalIdentifier, UsedName
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Sex

PI = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PI"}]}

BEATRICE = {"use": "usual", "family": "BEATRICE"}


@pytest.mark.parametrize(
    ("names", "used"),
    [
        ([], None),
        ([{"use": "official", "family": "ADRUN"}], None),
        ([{"use": "usual", "family": "DUBOIS", "given": ["Zo", "Anne"]}], UsedName("DUBOIS", "Zo")),
        ([{"use": "usual", "given": ["Zo"]}], UsedName("", "Zo")),
        ([{"use": "usual", "text": "Zo Dubois"}], None),
        (
            [{"use": "usual", "family": "A", "period": {"end": "2001"}}, {"use": "usual", "family": "B"}],
            UsedName("B", ""),
        ),
    ],
)
def test_the_used_name_is_the_usual_one_in_force(names: list[dict[str, Any]], used: UsedName | None) -> None:
    assert used_name({"name": names}) == used


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        ({"type": PI, "system": "urn:oid:1.2.3", "value": "7"}, (LocalIdentifier("7", "1.2.3", is_oid=True),)),
        ({"type": PI, "system": "https://chu.example", "value": "7"},
         (LocalIdentifier("7", "https://chu.example", is_oid=False),)),
        ({"type": PI, "value": "7"}, ()),
        ({"type": PI, "system": "urn:oid:1.2.3"}, ()),
        ({"type": PI, "system": "urn:oid:1.2.3", "value": "7", "use": "old"}, ()),
        ({"type": PI, "system": "urn:oid:1.2.3", "value": "7", "period": {"end": "2001"}}, ()),
        ({"system": "urn:oid:1.2.3", "value": "7"}, ()),
        ({"type": {"coding": [{"system": "urn:x", "code": "PI"}]}, "system": "urn:oid:1.2.3", "value": "7"}, ()),
    ],
)  # fmt: skip
def test_internal_identifiers_are_those_of_type_pi_in_force(
    identifier: dict[str, Any], found: tuple[LocalIdentifier, ...]
) -> None:
    assert internal_identifiers({"identifier": [identifier]}) == found


@pytest.mark.parametrize("birth_place", ["2B020", "99255", None])
@pytest.mark.parametrize("birth_date", ["1980-03-02", "1936-00-00"])
def test_a_scanned_patient_says_the_traits_and_that_they_are_to_be_verified(
    birth_date: str, birth_place: str | None
) -> None:
    number = Matricule("180032B020401", "23")
    content = Content(number, InsOid.NIR, "CORSE", ("ANTHONY", "LUC"), Sex.MALE, birth_date, birth_place)
    patient = scanned_patient(content, InsOid.NIR, FR_CORE)
    assert validate(patient) == []
    assert traits_of(patient) == content.traits
    parts = next(found for found in patient["extension"] if found["url"].endswith("identity-reliability"))["extension"]
    assert {part["url"]: part["valueCoding"]["code"] for part in parts} == {
        "methodCollection": "CB",
        "identityStatus": "PROV",
    }
