"""Names as the téléservice INSi takes them: A to Z, space, apostrophe, hyphen.

Source: GIE SEL-MP-043 §2, EF_INS01_03, 10_01 and 10_02: no lower case, diacritic or ligature (Œ becomes OE);
an undefined character is refused, not dropped; a double hyphen in the birth name only; a name starts with
neither space nor hyphen; space and apostrophe are neither doubled nor combined; a given name does not end
with a hyphen or an apostrophe.
"""

import re
import unicodedata
from dataclasses import replace

from anyascii import anyascii

from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.traits import Sex, Trait, Traits, birth_date_fault, birth_place_fault

_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ′´`＇ʹ"), "'")
_HYPHENS = dict.fromkeys(map(ord, "‐‑‒–—−－"), "-")
_TYPOGRAPHY = {**_APOSTROPHES, **_HYPHENS}

MOST_GIVEN_NAMES = 10

_FAMILY = re.compile(r"'?[A-Z]+(?:(?:--?|[' ])[A-Z]+)*[-']?")
_GIVEN = re.compile(r"'?[A-Z]+(?:[-'][A-Z]+)*")


def fold(name: str) -> str:
    """Rewrite `name` with INSi's letters where that loses nothing: typography, accents, ligatures, case, blanks.

    A character INSi does not define stays, so that `family_for_insi` and `given_for_insi` refuse it.
    """
    composed = unicodedata.normalize("NFC", name).translate(_TYPOGRAPHY)
    return " ".join("".join(map(_latin, composed)).upper().split())


def family_for_insi(name: str) -> str | Malformed:
    """The birth name in INSi's grammar."""
    folded = fold(name)
    if _FAMILY.fullmatch(folded):
        return folded
    return Malformed(
        "The birth name must hold only letters, single spaces, apostrophes and hyphens (a double hyphen is "
        "allowed), and start with a letter or an apostrophe; space and apostrophe are not combined."
    )


def given_for_insi(names: tuple[str, ...]) -> tuple[str, ...] | Malformed:
    """The given names in INSi's grammar, one per element: a name written with spaces is several names."""
    split = tuple(part for name in names for part in fold(name).split(" ") if part)
    if len(split) > MOST_GIVEN_NAMES:
        return Malformed(
            f"INSi is asked name by name, about {MOST_GIVEN_NAMES} given names at most: give the first ones."
        )
    if split and all(_GIVEN.fullmatch(name) for name in split):
        return split
    return Malformed(
        "Given names must hold only letters, apostrophes and single hyphens, and end with a letter; "
        "give the birth given names in the order of the civil register."
    )


def traits_for_insi(traits: Traits) -> Traits | dict[Trait, Malformed]:
    """The traits as a call sends them, or every fault by trait. Birth name, given names, sex and date are needed.

    The birth place is optional: INSi answers 02 when it takes one to tell two people apart.
    """
    faults: dict[Trait, Malformed] = {}
    family = family_for_insi(traits.family) if traits.family else Malformed("The birth name is needed.")
    given = given_for_insi(traits.given) if traits.given else Malformed("At least one given name is needed.")
    if isinstance(family, Malformed):
        faults[Trait.FAMILY] = family
    if isinstance(given, Malformed):
        faults[Trait.GIVEN] = given
    if traits.sex not in set(Sex):
        faults[Trait.GENDER] = Malformed("INSi needs the sex of civil status: male or female.")
    if fault := _date_fault(traits.birth_date):
        faults[Trait.BIRTH_DATE] = fault
    place = traits.birth_place.upper() if traits.birth_place else None
    if place and (fault := birth_place_fault(place)):
        faults[Trait.BIRTH_PLACE] = fault
    if isinstance(family, Malformed) or isinstance(given, Malformed) or faults:
        return faults
    return replace(traits, family=family, given=given, birth_place=place)


def _date_fault(date: str | None) -> Malformed | None:
    if not date:
        return Malformed("The birth date is needed.")
    return birth_date_fault(date)


def _latin(character: str) -> str:
    """The plain letters of a Latin letter (É is E, Œ is OE); any other character as it is."""
    if character.isascii() or not unicodedata.name(character, "").startswith("LATIN "):
        return character
    return anyascii(character)
