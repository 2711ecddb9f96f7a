"""Any number of fictitious people, each of whom follows from an index: nothing is stored, nothing is drawn.

The simulator finds them by their family name, which spells the index. No official fictitious identity, and nobody in
France, is called SIMULE- and such syllables; their communes of birth are those of no official identity either, so
that no matricule is anybody else's. Source: structure of the NIR (INSEE): sex, year, month, place of birth, rank.
"""

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid
from fhir_ins.simulator.identities import Asked, Number, Person

_PREFIX = "SIMULE-"
_SYLLABLES = tuple(consonant + vowel for consonant in "BCDFGHJKLMNPRSTVWXYZ" for vowel in "AEIOU")
_VALUES = {syllable: value for value, syllable in enumerate(_SYLLABLES)}

_SEXES = ("M", "F")
_FIRST_YEAR, _YEARS = 1925, 100
# Paris, Lyon, Marseille, Nice, Ajaccio, Bastia, Saint-Denis de La Réunion, Fort-de-France, Germany, Morocco
_PLACES = ("75056", "69123", "13055", "06088", "2A004", "2B033", "97411", "97209", "99109", "99350")
_MONTHS, _DAYS = 12, 28
_RANKS = 999
_EVERY_NIA = 10
_GIVEN_NAMES = {
    "M": ("JEAN-BAPTISTE", "PAUL", "ANDRE", "LOUIS", "KARIM", "YANN", "MARC-ANTOINE", "NOE"),
    "F": ("MARIE-LAURE", "ZOE", "ANNE", "LOUISE", "SAMIRA", "MAEVA", "ROSE-MARIE", "EVE"),
}

POPULATION = len(_SEXES) * len(_PLACES) * _MONTHS * _YEARS * _RANKS
"""How many people there are: with one more, two would have the same matricule."""


def person(index: int) -> Person:
    """The person of that index, from 0 to POPULATION - 1; raises ValueError beyond.

    Their matricule, with its key, agrees with their sex, birth date and birth place; no two are equal. One in ten has
    a NIA.
    """
    if not 0 <= index < POPULATION:
        raise ValueError(f"The population has indexes from 0 to {POPULATION - 1}.")
    rest, sex = divmod(index, len(_SEXES))
    rest, place = divmod(rest, len(_PLACES))
    rest, month = divmod(rest, _MONTHS)
    rank, year = divmod(rest, _YEARS)
    birth_date = f"{_FIRST_YEAR + year}-{month + 1:02d}-{index % _DAYS + 1:02d}"
    letter, commune = _SEXES[sex], _PLACES[place]
    number = f"{sex + 1}{birth_date[2:4]}{birth_date[5:7]}{commune}{rank + 1:03d}"
    key = Matricule(number, "").expected_key or ""
    oid = InsOid.NIA if index % _EVERY_NIA == _EVERY_NIA - 1 else InsOid.NIR
    return Person(_family(index), _given(letter, index), letter, birth_date, commune, Number(number, key, oid))


def called(family: str | None) -> Person | None:
    """The person of the population with that family name, if there is one."""
    if not family or not family.startswith(_PREFIX):
        return None
    spelt = family.removeprefix(_PREFIX)
    values = [_VALUES.get(spelt[place : place + 2]) for place in range(0, len(spelt), 2)]
    index = 0
    for value in values:
        if value is None:
            return None
        index = index * len(_SYLLABLES) + value
        if index >= POPULATION:
            return None
    known = person(index)
    return known if known.family == family else None


def meant(asked: Asked) -> Person | None:
    """The person of the population whom these traits mean."""
    known = called(asked.family)
    return known if known and asked.means(known) else None


def _family(index: int) -> str:
    spelt = ""
    while index or not spelt:
        index, value = divmod(index, len(_SYLLABLES))
        spelt = _SYLLABLES[value] + spelt
    return _PREFIX + spelt


def _given(sex: str, index: int) -> str:
    """Three different given names, whose order follows from the index."""
    names = _GIVEN_NAMES[sex]
    first = index // len(_SEXES)
    return " ".join(names[(first + step) % len(names)] for step in (0, 1, 3))
