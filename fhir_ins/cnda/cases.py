"""The table of the known conformity cases, and the same as Markdown.

Source: CNDA conformity tests (SEL-GCONFORM_INSi), not public as such: told by tlsi-ins, by the connector of SAPA and
by DevBox-Santé. Nobody is invented; matricules and keys are as they come there, a wrong key included.
"""

from collections.abc import Sequence
from datetime import timedelta

from fhir_ins.cnda.case import Card, Case, Expectation, Reading, identity
from fhir_ins.cnda.markdown import heading, row
from fhir_ins.cnda.wording import asked_in_words, expectation_in_words
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import FaultKind

_ECETINSI = Traits("ECETINSI", ("PIERRE-ALAIN",), "M", "2009-07-14", None)
_LEONARDO = Traits("DE VINCI", ("LEONARDO",), "M", "2014-02-01", None)
_HOUILLES = ("PIERRE", "PAUL", "JACQUES", "PIERRE PAUL JACQUES")

# What is printed on the test cards is not public: all but the names, RUTH's birth date and the number of PIERRE-ALAIN
# is as the simulator's cards have it
_RUTH = Card("DE VINCI", "RUTH", "2760763220835 53", "1976-07-14")
_DONATELLO = Card("DE VINCI", "DONATELLO", "1861263220837 79", "1986-12-13")
_INSI_01 = Card("CARTE INSI", "UN", "2810163220801 37", "1981-01-01")
_INSI_04 = Card("CARTE INSI", "QUATRE", "1840463220804 82", "1984-04-04")
_PIERRE_ALAIN = Card("ECETINSI", "PIERRE-ALAIN", "1090763220834 89", "2009-07-14")
_CARD_ANSWERED = Expectation((("", "00"),))


def _technical_error(given: str) -> Expectation:
    """What the qualification environment says of people its base does not know."""
    return Expectation(((given, "insi_102"),))


CASES = (
    Case(
        "1.01",
        "A carte Vitale, with its assertion",
        Reading(_RUTH),
        _CARD_ANSWERED,
        "DevBox-Santé",
    ),
    Case(
        "1.02-c1",
        "An assertion more than 20 minutes old is not sent",
        Reading(_RUTH, age=timedelta(minutes=20, seconds=1)),
        Expectation(refused=FaultKind.EXPIRED),
        "DevBox-Santé",
    ),
    Case(
        "1.02-c2",
        "The next card, with an assertion of its own",
        Reading(_DONATELLO),
        _CARD_ANSWERED,
        "DevBox-Santé",
    ),
    Case(
        "1.03",
        "The card changed between its reading and the call",
        Reading(_INSI_01, assertion_of=_INSI_04),
        Expectation(refused=FaultKind.REQUEST),
        "DevBox-Santé",
    ),
    Case(
        "1.10",
        "A carte Vitale whose bearer has a NIA",
        Reading(_PIERRE_ALAIN),
        identity(("", "00"), ins=_PIERRE_ALAIN.number, oid=InsOid.NIA),
        "SAPA",
        live=Expectation((("", "insi_101"),)),
    ),
    Case(
        "2.03-c1",
        "Apostrophes, spaces and a hyphen",
        Traits("D'ARTAGNAN DE L'HERAULT", ("PIERRE-ALAIN",), "M", "2001-06-17", None),
        identity(("PIERRE-ALAIN", "00"), ins="1010663220754 60", given_list="PIERRE-ALAIN GUNTHER"),
        "SAPA",
    ),
    Case(
        "2.03-c2",
        "Born in Corsica",
        Traits("ADRTROIS", ("TOUSSAINT",), "M", "1960-01-01", None),
        identity(("TOUSSAINT", "00"), ins="160012B020777 13", birth_place="2B020"),
        "tlsi-ins, SAPA",
    ),
    Case(
        "2.03-c3",
        "Typographic apostrophe, diacritics and ligatures",
        Traits("D’ÆION", ("CŒUR",), "M", "1987-01-25", None),
        Expectation((("COEUR", "01"),)),
        "tlsi-ins, SAPA",
        sent=Traits("D'AEION", ("COEUR",), "M", "1987-01-25", None),
        live=_technical_error("COEUR"),
    ),
    Case(
        "2.04-c1",
        "One former matricule",
        _ECETINSI,
        identity(
            ("PIERRE-ALAIN", "00"),
            ins="1090763220834 89",
            history=("2090763220834 39",),
            given_list="PIERRE-ALAIN MURIEL FLORIANT",
        ),
        "tlsi-ins, SAPA",
    ),
    Case(
        "2.04-c2",
        "Several former matricules",
        _ECETINSI,
        identity(
            ("PIERRE-ALAIN", "00"),
            ins="1090763220834 89",
            history=("2090763220834 39", "2090663220123 55"),
            given_list="PIERRE-ALAIN MURIEL FLORIANT",
        ),
        "tlsi-ins, SAPA",
        live=identity(("PIERRE-ALAIN", "00"), ins="1090763220834 89", history=("2090763220834 39",)),
    ),
    Case(
        "2.05",
        "A NIA",
        Traits("PROVISOIRE", ("MATRICULE",), "M", "2009-07-01", None),
        identity(("MATRICULE", "00"), ins="1090763220888 35", oid=InsOid.NIA),
        "tlsi-ins, SAPA",
        live=_technical_error("MATRICULE"),
    ),
    Case("2.06-c1", "Several identities", _LEONARDO, Expectation((("LEONARDO", "02"),)), "SAPA"),
    Case(
        "2.06-c2",
        "Several identities, told apart by the birth place",
        Traits("DE VINCI", ("LEONARDO",), "M", "2014-02-01", "63220"),
        identity(("LEONARDO", "00"), ins="1140263220833 56", given_list="LEONARDO PIERO"),
        "SAPA",
    ),
    Case(
        "2.07-c1",
        "Several given names, found by the second",
        Traits("TCHITCHI", ("OLA", "CATARINA", "BELLA"), "F", "1936-06-21", None),
        identity(("OLA", "01"), ("CATARINA", "00"), ins="2360663220836 56", given_list="CATARINA BELLA"),
        "tlsi-ins, SAPA",
        live=_technical_error("OLA"),
    ),
    Case(
        "2.07-c2",
        "Several given names, found by none of them nor by all",
        Traits("HOUILLES", ("PIERRE", "PAUL", "JACQUES"), "M", "1993-01-27", None),
        Expectation(tuple((given, "01") for given in _HOUILLES)),
        "tlsi-ins, SAPA",
        live=_technical_error("PIERRE"),
    ),
    Case(
        "2.08-c1",
        "A former matricule equal to the active one",
        Traits("CORSE", ("ANTHONY",), "M", "1980-03-02", None),
        identity(("ANTHONY", "00"), ins="180032B020401 23", history=("180032B020401 23",), birth_place="2B020"),
        "tlsi-ins, SAPA",
        live=_technical_error("ANTHONY"),
    ),
    Case(
        "2.08-c2",
        "A former matricule with a wrong key",
        Traits("HERMANN", ("GATIEN",), "M", "1981-03-24", None),
        identity(("GATIEN", "00"), ins="1810363220456 76", history=("1810363220456 76", "2810363220456 10")),
        "tlsi-ins, SAPA",
        live=_technical_error("GATIEN"),
    ),
    Case(
        "3.05-c3",
        "A known identity asked again",
        Traits("NESSI", ("NATHALIE",), "F", "1977-07-14", None),
        identity(("NATHALIE", "00"), ins="2770763220829 10"),
        "SAPA",
        live=_technical_error("NATHALIE"),
    ),
)


def chosen(names: Sequence[str]) -> tuple[Case, ...]:
    """The cases of these names in the order of the table, `2.03` for all of 2.03; without names, every case.

    Raises ValueError for a name there is no case of.
    """
    for name in names:
        if not any(_goes_by(case, name) for case in CASES):
            raise ValueError(f"There is no case {name}. There are: {', '.join(case.name for case in CASES)}.")
    return tuple(case for case in CASES if not names or any(_goes_by(case, name) for name in names))


def markdown() -> str:
    """The table as the documentation shows it."""
    lines = heading("Case", "Title", "Asked", "What must happen", "In qualification, without injection", "Source")
    cases = (
        row(
            case.name,
            case.title,
            asked_in_words(case.asked),
            expectation_in_words(case.expected),
            expectation_in_words(case.live) if case.live else "the same",
            case.source,
        )
        for case in CASES
    )
    return "\n".join((*lines, *cases)) + "\n"


def _goes_by(case: Case, name: str) -> bool:
    return case.name == name or case.name.partition("-")[0] == name
