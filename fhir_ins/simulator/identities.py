"""The fictitious identities that the téléservice's test environment knows, and how it answers about them.

Source: CNDA conformity tests (SEL-GCONFORM_INSi) and test answers published by integrators; matricules, keys
(one of them wrong on purpose) and dates as they come there. Nobody is invented.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fhir_ins.ins.oid import InsOid


@dataclass(frozen=True, slots=True)
class Number:
    """A matricule (number and key) under an authority, with the dates some history entries have."""

    number: str
    key: str
    oid: str = InsOid.NIR
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Someone a search can find. `common`: without the birth place the answer is compte rendu 02."""

    family: str
    given: str
    sex: str
    birth_date: str
    birth_place: str
    active: Number
    history: tuple[Number, ...] = ()
    common: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """Someone about whom the search ends in siram_40/insi_102."""

    family: str
    given: str
    sex: str
    birth_date: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The traits of a request; `given` holds the names of all its Prenom elements, split on spaces."""

    family: str
    given: tuple[str, ...]
    sex: str
    birth_date: str
    birth_place: str | None

    def names(self, known: Person | Broken) -> bool:
        """Whether name, sex and date are equal, and the given names asked begin the known list."""
        return (self.family, self.sex, self.birth_date) == (
            known.family,
            known.sex,
            known.birth_date,
        ) and known.given.split()[: len(self.given)] == list(self.given)

    def means(self, person: Person) -> bool:
        """Whether the person is named, and the birth place is theirs if one was given."""
        return self.names(person) and self.birth_place in (None, person.birth_place)


_ECETINSI = Person(
    "ECETINSI",
    "PIERRE-ALAIN MURIEL FLORIANT",
    "M",
    "2009-07-14",
    "63220",
    Number("1090763220834", "89"),
    (
        Number("2090763220834", "39", start="2019-03-01", end="2019-02-28"),
        Number("2090663220123", "55"),
    ),
)
_HERMANN = Person(
    "HERMANN",
    "GATIEN",
    "M",
    "1981-03-24",
    "63220",
    Number("1810363220456", "76"),
    (Number("1810363220456", "76"), Number("2810363220456", "10")),
)

PEOPLE = (
    Person("ADRUN", "ZOE", "F", "1975-12-31", "63220", Number("2751263220749", "74")),
    Person("ADRDEUX", "LAURENT", "M", "1981-01-01", "63220", Number("1810163220751", "40")),
    Person("ADRTROIS", "TOUSSAINT", "M", "1960-01-01", "2B020", Number("160012B020777", "13")),
    Person("ADRTROIS", "DOMINIQUE", "F", "1997-02-26", "2A020", Number("297022A020778", "78")),
    Person(
        "D'ARTAGNAN DE L'HERAULT",
        "PIERRE-ALAIN GUNTHER",
        "M",
        "2001-06-17",
        "63220",
        Number("1010663220754", "60"),
    ),
    Person("NESSI", "MICHELANGELO ANTHONY", "M", "2010-08-07", "63220", Number("1100863220830", "60")),
    Person("NESSI", "NATHALIE", "F", "1977-07-14", "63220", Number("2770763220829", "10")),
    Person("TCHITCHI", "CATARINA BELLA", "F", "1936-06-21", "63220", Number("2360663220836", "56")),
    Person("DE VINCI", "LEONARDO PIERO", "M", "2014-02-01", "63220", Number("1140263220833", "56"), common=True),
    _ECETINSI,
    Person("PROVISOIRE", "MATRICULE", "M", "2009-07-01", "63220", Number("1090763220888", "35", InsOid.NIA)),
    Person(
        "CORSE",
        "ANTHONY",
        "M",
        "1980-03-02",
        "2B020",
        Number("180032B020401", "23"),
        (Number("180032B020401", "23"),),
    ),
    _HERMANN,
)

BROKEN = (
    Broken("VANDERMONDE", "ARIANA", "F", "1995-06-17"),
    Broken("DE VINCI", "RUTH", "F", "1976-07-14"),
)

INJECTED: Mapping[str, Person] = {
    "2.04-c1": replace(_ECETINSI, history=_ECETINSI.history[:1]),
    "2.04-c2": _ECETINSI,
    "2.08-c2": _HERMANN,
    "2.08-c2-2022": replace(
        _HERMANN,
        active=Number("1810363220456", "60"),
        history=(Number("1810363220456", "60"), Number("2810363220456", "10")),
    ),
}
"""The answers to inject, by CNDA case, where there is more than one for the same traits.

2.04-c1 is what the live service answers; the 2022 edition of 2.08-c2 has a wrong key.
"""


def as_injected(person: Person, case: str | None) -> Person:
    """The same person as the answer of that case has them."""
    other = INJECTED[case] if case else person
    return other if (other.family, other.given) == (person.family, person.given) else person


def is_broken(asked: Asked) -> bool:
    """Whether the search for these traits ends in a technical error."""
    return any(asked.names(known) for known in BROKEN)


def matches(asked: Asked) -> list[Person]:
    """The people these traits mean."""
    return [person for person in PEOPLE if asked.means(person)]
