"""A conformity case: what is asked, and what must happen.

Source: CNDA conformity tests (SEL-GCONFORM_INSi), as public clients of INSi tell them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import FaultKind, Operation


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must happen: the calls in order, each by the given names it sends and its code; then the identity, if any.

    `ins` and each number of `history` are a matricule and its key. `history` is what INSHISTO must hold at least.
    None: the case does not say. `refused`: the kind of the fault that is answered instead of a call.
    """

    calls: tuple[tuple[str, str], ...] = ()
    ins: str | None = None
    oid: str | None = None
    history: tuple[str, ...] = ()
    given_list: str | None = None
    birth_place: str | None = None
    refused: FaultKind | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A test card, by its bearer; `number` is the bearer's own, with its key."""

    family: str
    given: str
    number: str
    birth_date: str
    birth_rank: str = "1"


@dataclass(frozen=True, slots=True)
class Reading:
    """A carte Vitale that is read, how long ago its assertion was made, and the card that it was made with instead."""

    card: Card
    age: timedelta = timedelta()
    assertion_of: Card | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `asked`: as a user writes it, or a card. `sent`: traits as INSi must read them, where that differs.

    `live`: what happens in the qualification environment, which cannot answer this case as expected: the CNDA hands
    out the expected answer as a file to inject. None where it can.
    """

    name: str
    title: str
    asked: Traits | Reading
    expected: Expectation
    source: str
    sent: Traits | None = None
    live: Expectation | None = None

    @property
    def operation(self) -> Operation:
        return Operation.SEARCH_BY_VITALE if isinstance(self.asked, Reading) else Operation.SEARCH_BY_TRAITS

    @property
    def elements(self) -> Mapping[str, str]:
        """What every request of the case holds, by the names of the wire.

        By traits: all but Prenom. By a card: what it is known by, for the numbers of the test cards are not public.
        """
        if isinstance(self.asked, Reading):
            return {"NomNaissance": self.asked.card.family, "DateNaissance": self.asked.card.birth_date}
        traits = self.sent or self.asked
        elements = {
            "NomNaissance": traits.family,
            "Sexe": traits.sex,
            "DateNaissance": traits.birth_date,
            "LieuNaissance": traits.birth_place,
        }
        return {name: value for name, value in elements.items() if value}

    @property
    def first_call(self) -> str:
        """The given names of the first call, with which each play of the case begins."""
        return self.expected.calls[0][0] if self.expected.calls else ""

    @property
    def given(self) -> frozenset[str]:
        """The given names of every call the case may make."""
        return frozenset(given for way in (self.expected, self.live) if way for given, _ in way.calls)


def identity(
    *calls: tuple[str, str],
    ins: str,
    oid: str = InsOid.NIR,
    history: tuple[str, ...] = (),
    given_list: str | None = None,
    birth_place: str = "63220",
) -> Expectation:
    """The expectation of an identity that is found, under the authority of the NIR and born in 63220 if not said."""
    return Expectation(calls, ins, oid, history, given_list, birth_place)
