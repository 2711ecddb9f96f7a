"""The five strict traits of an identity: birth name, given names, sex, birth date, birth place; and the others.

Source: RNIV 1 (strict traits); référentiel INS, EXI 12 (traits are those INSi returned, unaltered).
"""

import calendar
import re
from dataclasses import dataclass
from enum import StrEnum

from fhir_ins.ins.malformed import Malformed

_BIRTH_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_COG = re.compile(r"(?:\d{2}|2[AB])\d{3}", re.ASCII)

BIRTH_PLACE_UNKNOWN = "99999"


class Trait(StrEnum):
    """The strict traits, in the order the RNIV lists them."""

    FAMILY = "family"
    GIVEN = "given"
    BIRTH_DATE = "birthDate"
    GENDER = "gender"
    BIRTH_PLACE = "birthPlace"


class ComplementaryTrait(StrEnum):
    """Traits that help to recognise a person and prove nothing; INSi knows none of them (EXI ID 08)."""

    USED_NAME = "used name"
    USED_GIVEN_NAME = "used given name"
    ADDRESS = "address"
    TELECOM = "telecom"


class Sex(StrEnum):
    """The sex as INSi writes it."""

    MALE = "M"
    FEMALE = "F"


@dataclass(frozen=True, slots=True, repr=False)
class Traits:
    """Strict traits as somebody gave them, not normalised.

    `given` is the list of birth given names, first one first; `birth_date` is YYYY-MM-DD where INSi may
    write 00 for an unknown month or day; `birth_place` is a COG code. None or empty: not given.
    """

    family: str | None
    given: tuple[str, ...]
    sex: str | None
    birth_date: str | None
    birth_place: str | None

    @property
    def given_list(self) -> str:
        """All given names, space-separated, as INSi's ListePrenom writes them."""
        return " ".join(self.given)

    @property
    def complete(self) -> bool:
        """Whether all five are given: an INS is not shared without them (FR Core issue 240; PAM p. 36-38)."""
        return bool(self.family and self.given and self.sex and self.birth_date and self.birth_place)

    def __repr__(self) -> str:  # traits identify a person: they stay out of tracebacks and logs
        return "Traits(…)"


def birth_date_fault(text: str) -> Malformed | None:
    """Judge a birth date for INSi: YYYY-MM-DD of the calendar, month or day 00 where unknown (DateLunaire)."""
    match = _BIRTH_DATE.fullmatch(text)
    if not match:
        return Malformed(
            "A birth date for INSi is YYYY-MM-DD; an unknown month or day is 00 (1936-00-00), given in birthDateIns."
        )
    year, month, day = (int(part) for part in match.groups())
    if year < 1 or month > 12 or day > (calendar.monthrange(year, month)[1] if month else 31):
        return Malformed("This birth date is not in the calendar.")
    return None


def birth_place_fault(text: str) -> Malformed | None:
    """Judge a COG code: 5 characters, digits or 2A and 2B; 99xxx for a country; 99999 means unknown."""
    if not _COG.fullmatch(text):
        return Malformed("A birth place is a COG code of 5 characters: 63220, 2A020, 99255 for a country.")
    if text == BIRTH_PLACE_UNKNOWN:
        return Malformed("99999 means an unknown birth place, which INSi does not know; leave the birth place out.")
    return None
