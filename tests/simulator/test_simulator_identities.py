"""The fictitious identities, and which traits mean them."""

import pytest

from fhir_ins.ins.matricule import Matricule
from fhir_ins.simulator.identities import PEOPLE, Asked, is_broken, matches

LEONARDO = Asked("DE VINCI", ("LEONARDO",), "M", "2014-02-01", None)
CATARINA = Asked("TCHITCHI", ("CATARINA",), "F", "1936-06-21", None)


def test_every_key_is_right_but_the_one_the_cnda_got_wrong():
    numbers = [number for person in PEOPLE for number in (person.active, *person.history)]
    wrong = [number.number for number in numbers if not Matricule(number.number, number.key).key_is_right]
    assert wrong == ["2810363220456"]


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: f"{person.family} {person.given}")
def test_everybody_is_meant_by_their_first_given_name_and_by_all(person):
    first, *_ = given = person.given.split()
    for names in ((first,), tuple(given)):
        for place in (None, person.birth_place):
            asked = Asked(person.family, names, person.sex, person.birth_date, place)
            assert matches(asked) == [person]


@pytest.mark.parametrize(
    "asked",
    [
        Asked("TCHITCHI", ("OLA",), "F", "1936-06-21", None),
        Asked("TCHITCHI", ("BELLA",), "F", "1936-06-21", None),
        Asked("TCHITCHI", ("OLA", "CATARINA", "BELLA"), "F", "1936-06-21", None),
        Asked("TCHITCHI", ("CATARINA",), "M", "1936-06-21", None),
        Asked("TCHITCHI", ("CATARINA",), "F", "1936-06-22", None),
        Asked("TCHITCHI", ("CATARINA",), "F", "1936-06-21", "75056"),
        Asked("TCHITCH", ("CATARINA",), "F", "1936-06-21", None),
    ],
)
def test_nobody_is_meant_by_other_traits(asked):
    assert matches(asked) == []


def test_vandermonde_ends_in_a_technical_error():
    assert is_broken(Asked("VANDERMONDE", ("ARIANA",), "F", "1995-06-17", "77284"))
    assert not is_broken(Asked("VANDERMONDE", ("ARIANA",), "M", "1995-06-17", "77284"))
