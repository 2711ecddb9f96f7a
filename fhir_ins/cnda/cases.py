"""The table of the known conformity cases, and the same as Markdown.

Source: CNDA conformity tests (SEL-GCONFORM_INSi), not public as such: told by tlsi-ins, by the connector of SAPA and
by DevBox-Santé. Nobody is invented; matricules and keys are as they come there, a wrong key included.
"""

from collections.abc import Sequence

from fhir_ins.cnda.case import Case, Expectation, identity
from fhir_ins.cnda.markdown import heading, row
from fhir_ins.cnda.wording import expectation_in_words, traits_in_words
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.traits import Traits

_ECETINSI = Traits("ECETINSI", ("PIERRE-ALAIN",), "M", "2009-07-14", None)
_LEONARDO = Traits("DE VINCI", ("LEONARDO",), "M", "2014-02-01", None)
_HOUILLES = ("PIERRE", "PAUL", "JACQUES", "PIERRE PAUL JACQUES")


def _technical_error(given: str) -> Expectation:
    """What the qualification environment says of people its base does not know."""
    return Expectation(((given, "insi_102"),))


CASES = (
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
            traits_in_words(case.asked),
            expectation_in_words(case.expected),
            expectation_in_words(case.live) if case.live else "the same",
            case.source,
        )
        for case in CASES
    )
    return "\n".join((*lines, *cases)) + "\n"


def _goes_by(case: Case, name: str) -> bool:
    return case.name == name or case.name.partition("-")[0] == name
