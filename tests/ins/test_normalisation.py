"""Names, dates and places as INSi takes them. GIE SEL-MP-043 §2, EF_INS01_03, 10_01, 10_02."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.normalisation import family_for_insi, fold, given_for_insi, traits_for_insi
from fhir_ins.ins.traits import Trait, Traits

ADRUN = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("ADRUN", "ADRUN"),
        ("adrun", "ADRUN"),
        ("d’Artagnan de l’Hérault", "D'ARTAGNAN DE L'HERAULT"),
        ("D`ARTAGNAN", "D'ARTAGNAN"),
        ("D’ÆION", "D'AEION"),
        ("Cœur", "COEUR"),
        ("Nuñez–Łoś", "NUNEZ-LOS"),
        ("  DE   VINCI ", "DE VINCI"),
        ("MARTIN--DUPONT", "MARTIN--DUPONT"),
        ("E\u0301VRARD", "EVRARD"),  # a combining accent
        ("'T HOOFT", "'T HOOFT"),
    ],
)
def test_a_birth_name_is_rewritten_with_insi_letters(written: str, sent: str) -> None:
    assert family_for_insi(written) == sent


@pytest.mark.parametrize(
    "name",
    ["", "-ADRUN", "ADRUN 2", "ADRUN.", "D' ARTAGNAN", "D''ARTAGNAN", "A---B", "Иван", "李", "ADRUN/DUPONT", "A_B"],
)
def test_a_birth_name_with_what_insi_does_not_define_is_refused_not_stripped(name: str) -> None:
    assert isinstance(family_for_insi(name), Malformed)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (("Zoé",), ("ZOE",)),
        (("Pierre-Alain",), ("PIERRE-ALAIN",)),
        (("OLA CATARINA BELLA",), ("OLA", "CATARINA", "BELLA")),
        (("OLA", "CATARINA", "BELLA"), ("OLA", "CATARINA", "BELLA")),
        (("N'Golo",), ("N'GOLO",)),
    ],
)
def test_given_names_are_one_each(written: tuple[str, ...], sent: tuple[str, ...]) -> None:
    assert given_for_insi(written) == sent


@pytest.mark.parametrize(
    "names", [(), ("",), ("ZOE-",), ("ZOE'",), ("ANNE--MARIE",), ("OLA, CATARINA",), ("X Æ A-12",)]
)
def test_given_names_with_what_insi_does_not_define_are_refused(names: tuple[str, ...]) -> None:
    assert isinstance(given_for_insi(names), Malformed)


@given(st.text())
def test_folding_again_changes_nothing(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@given(st.text())
def test_whatever_is_sent_is_in_insi_grammar(name: str) -> None:
    sent = family_for_insi(name)
    assert isinstance(sent, Malformed) or re.fullmatch(r"[A-Z' -]+", sent)
    listed = given_for_insi((name,))
    assert isinstance(listed, Malformed) or all(re.fullmatch(r"[A-Z'-]*[A-Z]", one) for one in listed)


@pytest.mark.parametrize("date", ["1975-12-31", "2000-02-29", "1936-00-00", "1936-06-00", "1936-00-21"])
def test_a_date_of_the_calendar_is_sent_with_00_where_unknown(date: str) -> None:
    assert isinstance(traits_for_insi(Traits("ADRUN", ("ZOE",), "F", date, None)), Traits)


@pytest.mark.parametrize("date", [None, "", "1975", "1975-12", "31/12/1975", "2014-02-30", "1900-02-29", "1975-13-01",
                                  "0000-01-01", "1975-00-32", "1975-12-31T00:00:00Z"])  # fmt: skip
def test_any_other_date_is_a_fault_of_the_birth_date(date: str | None) -> None:
    assert set(_faults(Traits("ADRUN", ("ZOE",), "F", date, None))) == {Trait.BIRTH_DATE}


@pytest.mark.parametrize("place", ["63220", "2A020", "2b020", "97411", "99255"])
def test_a_cog_is_sent(place: str) -> None:
    sent = traits_for_insi(Traits("ADRUN", ("ZOE",), "F", "1975-12-31", place))
    assert isinstance(sent, Traits)
    assert sent.birth_place == place.upper()


@pytest.mark.parametrize("place", ["Clermont-Ferrand", "6322", "632200", "2C020", "99999"])
def test_anything_else_or_the_unknown_place_is_a_fault_of_the_birth_place(place: str) -> None:
    assert set(_faults(Traits("ADRUN", ("ZOE",), "F", "1975-12-31", place))) == {Trait.BIRTH_PLACE}


def test_every_fault_is_told_at_once() -> None:
    assert set(_faults(Traits(None, (), None, None, "X"))) == set(Trait)


def test_only_the_sexes_of_civil_status_are_sent() -> None:
    assert set(_faults(Traits("ADRUN", ("ZOE",), "U", "1975-12-31", None))) == {Trait.GENDER}


def _faults(traits: Traits) -> dict[Trait, Malformed]:
    found = traits_for_insi(traits)
    assert isinstance(found, dict)
    return found
