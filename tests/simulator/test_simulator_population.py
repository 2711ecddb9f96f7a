"""The population: whom an index makes, that they are coherent, and that the simulator finds them and nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from insi_requests import by_traits, by_vitale, verify

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.normalisation import traits_for_insi
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits
from fhir_ins.simulator.cards import CARDS
from fhir_ins.simulator.identities import PEOPLE, Asked
from fhir_ins.simulator.population import POPULATION, called, meant, person

INDEXES = st.integers(min_value=0, max_value=POPULATION - 1)


@given(INDEXES)
def test_everybody_is_found_by_what_they_are_called(index):
    known = person(index)
    assert called(known.family) == known
    first = known.given.split()[0]
    for place in (None, known.birth_place):
        assert meant(Asked(known.family, (first,), known.sex, known.birth_date, place)) == known
    assert meant(Asked(known.family, (first,), known.sex, known.birth_date, "63220")) is None


@given(INDEXES)
def test_everybody_is_coherent(index):
    known = person(index)
    number = known.active
    assert Matricule.parse(number.number + number.key) == Matricule(number.number, number.key)
    assert Matricule(number.number, number.key).key_is_right
    sex = {"M": "1", "F": "2"}[known.sex]
    assert number.number[:10] == sex + known.birth_date[2:4] + known.birth_date[5:7] + known.birth_place
    traits = Traits(known.family, tuple(known.given.split()), known.sex, known.birth_date, known.birth_place)
    assert traits_for_insi(traits) == traits
    assert len(set(traits.given)) == 3


@given(INDEXES, INDEXES)
def test_no_two_are_alike(one, other):
    assert one == other or (
        person(one).active.number != person(other).active.number and person(one).family != person(other).family
    )


def test_the_first_thousands_are_all_different_and_one_in_ten_has_a_nia():
    people = [person(index) for index in range(30_000)]
    assert len({known.active.number for known in people}) == len(people)
    assert sum(known.active.oid == InsOid.NIA for known in people) == 3_000
    assert {known.active.number for known in people}.isdisjoint(
        number.number
        for official in (*PEOPLE, *(card.person for card in CARDS))
        for number in (official.active, *official.history)
    )


@pytest.mark.parametrize("index", [-1, POPULATION])
def test_it_has_an_end(index):
    with pytest.raises(ValueError, match="indexes"):
        person(index)


@pytest.mark.parametrize(
    "family",
    [None, "", "ADRUN", "SIMULE-", "SIMULE-B", "SIMULE-BABE", "SIMULE-BO.", "SIMULE-" + "ZU" * 5000, "SIMULE-QA"],
)
def test_nobody_is_called_what_no_index_spells(family):
    assert called(family) is None


def test_the_simulator_finds_them_by_every_operation(tell):
    known = person(123_456)
    number, first = known.active.number + known.active.key, known.given.split()[0]
    traits = (known.family, (first,), known.sex, known.birth_date)
    assert tell(by_traits(*traits)).text("NumIdentifiant") == known.active.number
    assert tell(by_vitale(number, None, known.family)).text("ListePrenom") == known.given
    assert tell(verify(number, known.active.oid, NomNaissance=known.family)).text("Concordance") == "OK"
    assert tell(by_traits(person(123_457).family, *traits[1:])).code == "01"
