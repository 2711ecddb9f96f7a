"""INS numbers as FHIR identifiers, in the slices of fr-core-patient-ins 2.2.0."""

from dataclasses import replace

import pytest
from frcore.records import FR_CORE, ZOE, about, number
from people import ADRUN

from fhir_ins.frcore.canonical import IDENTIFIER_TYPES
from fhir_ins.frcore.identifiers import identifier, is_ins, obtained_identifiers, old_identifiers
from fhir_ins.ins.oid import InsOid

SLICES = [
    ("1.2.250.1.213.1.4.8", "INS-NIR"),
    ("1.2.250.1.213.1.4.9", "INS-NIA"),
    ("1.2.250.1.213.1.4.10", "INS-NIR-TEST"),
    ("1.2.250.1.213.1.4.11", "INS-NIR-DEMO"),
]


@pytest.mark.parametrize(("oid", "code"), SLICES)
def test_each_authority_has_its_slice(oid: str, code: str) -> None:
    assert identifier(number(ADRUN, oid), "official", FR_CORE.release) == {
        "use": "official",
        "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": code}]},
        "system": f"urn:oid:{oid}",
        "value": ADRUN,
    }


@pytest.mark.parametrize(
    ("system", "ins"),
    [
        *((f"urn:oid:{oid}", True) for oid, _ in SLICES),
        ("1.2.250.1.213.1.4.8", True),
        ("urn:oid:1.2.250.1.213.1.4.13", False),
        ("urn:oid:1.2.250.1.213.1.4.14", False),
        ("urn:oid:1.2.250.1.213.1.4.2", False),
        ("urn:oid:1.2.250.1.213.1.4.80", False),
        ("", False),
        (None, False),
    ],
)
def test_an_ins_is_told_by_its_authority(system: str | None, ins: bool) -> None:
    assert is_ins({"system": system, "value": ADRUN}) is ins


@pytest.mark.parametrize(
    ("dates", "period"),
    [
        ({}, None),
        ({"start": "2019-03-01"}, {"start": "2019-03-01"}),
        ({"end": "2019-03-01"}, {"end": "2019-03-01"}),
        ({"start": "2019-03-01", "end": "2019-03-01"}, {"start": "2019-03-01", "end": "2019-03-01"}),
        ({"start": "2019-02-28", "end": "2019-03-01"}, {"start": "2019-02-28", "end": "2019-03-01"}),
        ({"start": "2019-03-01", "end": "2019-02-28"}, None),
    ],
)
def test_a_period_is_given_unless_it_is_reversed(dates: dict[str, str], period: dict[str, str] | None) -> None:
    assert identifier(number(**dates), "old", FR_CORE.release).get("period") == period


def test_insactif_is_official_and_insi_s_history_old() -> None:
    found = obtained_identifiers(about("ECETINSI", "PIERRE-ALAIN MURIEL FLORIANT"), FR_CORE.release)
    assert [(one["use"], one["value"]) for one in found] == [
        ("official", "109076322083489"),
        ("old", "209076322083439"),
        ("old", "209066322012355"),
    ]


def test_the_active_number_that_insi_repeats_in_the_history_comes_once() -> None:
    assert [one["use"] for one in obtained_identifiers(about("CORSE", "ANTHONY"), FR_CORE.release)] == ["official"]


def test_a_former_number_that_comes_twice_is_old_once() -> None:
    twice = replace(ZOE, history=(number(), number(), ZOE.active))
    assert [one["value"] for one in obtained_identifiers(twice, FR_CORE.release)] == [ADRUN, "260058815400233"]


def test_the_same_number_under_another_authority_is_another() -> None:
    nia_before = replace(ZOE, history=(number(ADRUN, InsOid.NIA),))
    assert [one["system"] for one in obtained_identifiers(nia_before, FR_CORE.release)] == [
        f"urn:oid:{oid}" for oid, _ in SLICES[:2]
    ]


@pytest.mark.parametrize("oid", [InsOid.NIR_TEST, InsOid.NIR_DEMO])
def test_test_and_demonstration_numbers_are_official_or_not_there(oid: str) -> None:
    with_history = replace(ZOE, history=(number(oid=oid),))
    assert [one["use"] for one in obtained_identifiers(with_history, FR_CORE.release)] == ["official"]
    assert [one["use"] for one in obtained_identifiers(replace(ZOE, active=number(oid=oid)), FR_CORE.release)] == [
        "official"
    ]


def test_supplied_numbers_are_old() -> None:
    assert [(one["use"], one["value"]) for one in old_identifiers([number()], FR_CORE.release)] == [
        ("old", "260058815400233")
    ]
