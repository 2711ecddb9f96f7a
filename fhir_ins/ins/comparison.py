"""Local traits against INSi's, trait by trait, with the reason of each verdict.

Source: RNIV 1 (coherence check after a call); EXI ID 10 (the first given name starts the list; hyphen and
apostrophe equal a space there).
"""

from dataclasses import dataclass
from enum import Enum

from fhir_ins.ins.normalisation import fold
from fhir_ins.ins.traits import Trait, Traits


class Verdict(Enum):
    """What one trait's comparison says; only DIFFERENT is a discrepancy."""

    EQUAL = "equal"
    EQUIVALENT = "equal after normalisation"
    COMPLETED = "completed by INSi"
    MISSING = "not given on one side"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """One strict trait: both sides as written, and the verdict."""

    trait: Trait
    local: str | None
    ins: str | None
    verdict: Verdict

    @property
    def concordant(self) -> bool:
        return self.verdict is not Verdict.DIFFERENT


def compare(local: Traits, ins: Traits) -> tuple[Comparison, ...]:
    """The five comparisons, in the order of `Trait`."""
    return (
        _compared(Trait.FAMILY, local.family, ins.family),
        Comparison(Trait.GIVEN, local.given_list or None, ins.given_list or None, _given_verdict(local, ins)),
        _compared(Trait.BIRTH_DATE, local.birth_date, ins.birth_date),
        _compared(Trait.GENDER, local.sex, ins.sex),
        _compared(Trait.BIRTH_PLACE, local.birth_place, ins.birth_place),
    )


def equivalent(local: Traits, ins: Traits) -> bool:
    """Whether the five traits are the same once written as INSi writes them: nothing altered, completed or missing."""
    return all(found.verdict in (Verdict.EQUAL, Verdict.EQUIVALENT) for found in compare(local, ins))


def starts(names: tuple[str, ...], listed: tuple[str, ...]) -> bool:
    """Whether `names` are the first of the list, whole names only; hyphen and apostrophe equal a space (EXI ID 10)."""
    wanted, found = _words(names), list[str]()
    for name in listed:
        if len(found) >= len(wanted):
            break
        found += _words((name,))
    return bool(wanted) and found == wanted


def _compared(trait: Trait, local: str | None, ins: str | None) -> Comparison:
    return Comparison(trait, local, ins, _verdict(local, ins))


def _verdict(local: str | None, ins: str | None) -> Verdict:
    if local == ins:
        return Verdict.EQUAL
    if not local or not ins:
        return Verdict.MISSING
    return Verdict.EQUIVALENT if fold(local) == fold(ins) else Verdict.DIFFERENT


def _given_verdict(local: Traits, ins: Traits) -> Verdict:
    whole = _verdict(local.given_list or None, ins.given_list or None)
    if whole is not Verdict.DIFFERENT:
        return whole
    return Verdict.COMPLETED if starts(local.given, ins.given) else Verdict.DIFFERENT


def _words(names: tuple[str, ...]) -> list[str]:
    return fold(" ".join(names)).replace("-", " ").replace("'", " ").split()
