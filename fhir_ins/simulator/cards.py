"""The cartes Vitale of the CNDA's tests, and whom the search with a card finds.

Source: CNDA cases 1.01, 1.02 (DE VINCI RUTH, DONATELLO), 1.03 (the cards INSi 01 and INSi 04), 1.10 (ECETINSI
PIERRE-ALAIN, who is answered under the authority of the NIA there). What is printed on the cards is not public: the
numbers of RUTH and DONATELLO, DONATELLO's family name and birth, and all of INSi 01 and INSi 04 with the twins on it
are ours. Anybody else the simulator knows has a card with their own number.
"""

from dataclasses import dataclass

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid
from fhir_ins.simulator.identities import PEOPLE, Number, Person


@dataclass(frozen=True, slots=True)
class Card:
    """A person on a carte Vitale: whose rights it opens (`holder`, a number) and, for twins, their rank."""

    person: Person
    holder: str
    rank: str = "1"


@dataclass(frozen=True, slots=True)
class CardRead:
    """What a request says was read; numbers without their key, None for what is not said."""

    individual: str | None
    holder: str | None
    family: str | None
    birth_date: str | None
    rank: str | None

    def means(self, card: Card) -> bool:
        """Whether the card is this one: by the bearer's number, else by the holder's with birth date and rank.

        A card's date may be written without hyphens. What is said beside must agree.
        """
        person = card.person
        if self.individual:
            is_theirs = self.individual == person.active.number
        else:
            is_theirs = bool(self.holder and self.birth_date)
        return (
            is_theirs
            and self.holder in (None, card.holder)
            and self.family in (None, person.family)
            and (self.birth_date or person.birth_date).replace("-", "") == person.birth_date.replace("-", "")
            and self.rank in (None, card.rank)
        )


def _ours(number: str) -> Number:
    return Number(number, Matricule(number, "").expected_key or "")


_RUTH = Person("DE VINCI", "RUTH", "F", "1976-07-14", "63220", _ours("2760763220835"))
_DONATELLO = Person("DE VINCI", "DONATELLO", "M", "1986-12-13", "63220", _ours("1861263220837"))
_ECETINSI = Person(
    "ECETINSI",
    "PIERRE-ALAIN MURIEL FLORIANT",
    "M",
    "2009-07-14",
    "63220",
    Number("1090763220834", "89", InsOid.NIA),
)
_FIRST = Person("CARTE INSI", "UN", "F", "1981-01-01", "63220", _ours("2810163220801"))
_FOURTH = Person("CARTE INSI", "QUATRE", "M", "1984-04-04", "63220", _ours("1840463220804"))
_TWINS = (
    Person("CARTE INSI", "PREMIERE", "F", "2015-05-05", "63220", _ours("2150563220805")),
    Person("CARTE INSI", "SECONDE", "F", "2015-05-05", "63220", _ours("2150563220806")),
)

CARDS = (
    *(Card(person, person.active.number) for person in (_RUTH, _DONATELLO, _ECETINSI, _FIRST, _FOURTH)),
    *(Card(twin, _FOURTH.active.number, rank) for twin, rank in zip(_TWINS, "12", strict=True)),
)
_OTHERS = tuple(Card(person, person.active.number) for person in PEOPLE if person.family != _ECETINSI.family)


def bearer(read: CardRead, *more: Person) -> Person | None:
    """The person a card means, among those known and `more`; None when nobody, or not one alone, is meant.

    Compte rendu 02 belongs to the search by traits: twins without their rank are nobody here.
    """
    cards = (*CARDS, *_OTHERS, *(Card(person, person.active.number) for person in more))
    people = [card.person for card in cards if read.means(card)]
    return people[0] if len(people) == 1 else None
