"""An INS is whole or is none: matricule, authority and five traits."""

from dataclasses import replace
from typing import Any

import pytest
from ins.pat_trois import NUMBER, TRAITS, pat_trois

from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.national_identity import NationalIdentity


@pytest.mark.parametrize(
    "changes",
    [{"family": None}, {"family": ""}, {"given": ()}, {"sex": None}, {"birth_date": None}, {"birth_place": None},
     {"sex": "I"}, {"birth_date": "1979-02-30"}, {"birth_date": "28/03/1979"}, {"birth_place": "99999"},
     {"birth_place": "DOMPREMY"}],
)  # fmt: skip
def test_a_trait_missing_or_not_insi_s_makes_none(changes: dict[str, Any]) -> None:
    assert isinstance(NationalIdentity.of(NUMBER, replace(TRAITS, **changes)), Malformed)


@pytest.mark.parametrize("oid", ["1.2.250.1.213.1.4.13", "1.2.250.1.213.1.4.2", "2597845632548156952", ""])
def test_another_authority_makes_none(oid: str) -> None:
    assert isinstance(NationalIdentity.of(replace(NUMBER, oid=oid), TRAITS), Malformed)


def test_a_number_without_the_form_makes_none_and_is_not_quoted() -> None:
    found = NationalIdentity.of(InsNumber(Matricule("2790351215|PV", "89"), NUMBER.oid), TRAITS)
    assert isinstance(found, Malformed)
    assert "27903" not in found.reason


def test_a_wrong_key_is_insi_s_own() -> None:
    assert isinstance(
        NationalIdentity.of(InsNumber(Matricule("2790351215189", "90"), NUMBER.oid), TRAITS), NationalIdentity
    )


@pytest.mark.parametrize(
    ("birth_date", "known"),
    [("1979-03-28", "19790328"), ("1936-06-00", "193606"), ("1936-00-00", "1936"), ("1936-00-21", "1936"),
     ("2000-10-10", "20001010")],
)  # fmt: skip
def test_what_hl7_can_say_of_a_birth_date(birth_date: str, known: str) -> None:
    assert pat_trois(birth_date=birth_date).known_birth_date == known


def test_its_repr_shows_neither_number_nor_traits() -> None:
    assert "PAT-TROIS" not in repr(pat_trois())
    assert "279035121" not in repr(pat_trois())
