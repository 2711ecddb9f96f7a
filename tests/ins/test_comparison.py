"""Local traits against INSi's, with the reason."""

from dataclasses import replace

import pytest

from fhir_ins.ins.comparison import Verdict, compare, equivalent, starts
from fhir_ins.ins.traits import Trait, Traits

INS = Traits("D'ARTAGNAN DE L'HERAULT", ("PIERRE-ALAIN", "GUNTHER"), "M", "2001-06-17", "63220")


def verdict(local: Traits, trait: Trait) -> Verdict:
    return next(found.verdict for found in compare(local, INS) if found.trait is trait)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("D'ARTAGNAN DE L'HERAULT", Verdict.EQUAL),
        ("d’Artagnan de l’Hérault", Verdict.EQUIVALENT),
        ("D ARTAGNAN DE L HERAULT", Verdict.DIFFERENT),
        ("DUPONT", Verdict.DIFFERENT),
        (None, Verdict.MISSING),
    ],
)
def test_birth_name(family: str | None, expected: Verdict) -> None:
    assert verdict(replace(INS, family=family), Trait.FAMILY) is expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("PIERRE-ALAIN", "GUNTHER"), Verdict.EQUAL),
        (("Pierre-Alain", "Günther"), Verdict.EQUIVALENT),
        (("Pierre-Alain",), Verdict.COMPLETED),
        (("PIERRE ALAIN",), Verdict.COMPLETED),  # EXI ID 10: the hyphen equals a space
        (("PIERRE",), Verdict.DIFFERENT),  # half a compound is not the first given name
        (("GUNTHER",), Verdict.DIFFERENT),  # the first given name starts the list
        (("PIERRE-ALAIN", "GUNTHER", "PAUL"), Verdict.DIFFERENT),
        ((), Verdict.MISSING),
    ],
)
def test_given_names(names: tuple[str, ...], expected: Verdict) -> None:
    assert verdict(replace(INS, given=names), Trait.GIVEN) is expected


def test_sex_date_and_place_are_equal_or_different() -> None:
    other = replace(INS, sex="F", birth_date="2001-06-18", birth_place="75056")
    for trait in (Trait.GENDER, Trait.BIRTH_DATE, Trait.BIRTH_PLACE):
        assert verdict(INS, trait) is Verdict.EQUAL
        assert verdict(other, trait) is Verdict.DIFFERENT


def test_completing_or_missing_is_concordant_but_not_equivalent() -> None:
    local = replace(INS, given=("PIERRE-ALAIN",), birth_place=None)
    assert all(found.concordant for found in compare(local, INS))
    assert not equivalent(local, INS)
    assert equivalent(replace(INS, family="d’Artagnan de l’Hérault"), INS)


def test_traits_do_not_show_in_a_repr() -> None:
    assert "ARTAGNAN" not in repr(INS) + repr(compare(INS, INS))


def test_a_long_list_of_names_is_compared_in_one_walk() -> None:
    listed = tuple("A" for _ in range(20_000))
    assert starts(("A",) * 19_999, listed)
    assert not starts((*("A",) * 19_999, "B"), listed)
