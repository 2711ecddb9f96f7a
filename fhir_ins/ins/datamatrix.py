"""The payload of the INS datamatrix: a header of 26 characters, then blocks of a two-character id and a value.

Source: ANS, « Format datamatrix INS » v2.2.20230926, §3 (header, blocks, separator) and §5 (S1 to S7). It is no signed
2D-Doc: nothing proves what it says, hence what is read is still to be verified.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.national_identity import NationalIdentity
from fhir_ins.ins.normalisation import fold
from fhir_ins.ins.traits import Sex, Traits, birth_date_fault, birth_place_fault

HEADER = "IS01" + 22 * "0"
GS = "\x1d"

LONGEST_NAME = 100

_DATE = re.compile(r"(\d{2})-(\d{2})-(\d{4})", re.ASCII)
_NAME = re.compile(r"[A-Z' -]+")
# A control character that FHIR forbids in a string: what scanners that act as a keyboard type in its place.
_TYPED_SEPARATORS = re.compile(r"<GS>|\{GS\}|\u241d|\^\]", re.IGNORECASE)
_SYMBOLOGY = re.compile(r"\]d[0-6](?=IS)")
_LOST_SEPARATOR = "if a separator GS (ASCII 29) was lost before it, set the scanner to send it, or to type <GS>"


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its id, what it is called, the least and the most characters of its value."""

    id: str
    name: str
    least: int
    most: int
    needed: bool = True


BLOCKS: tuple[Block, ...] = (
    Block("S1", "the matricule", 15, 15),
    Block("S2", "the OID", 19, 20),
    Block("S3", "the given names", 1, LONGEST_NAME),
    Block("S4", "the birth name", 1, LONGEST_NAME),
    Block("S5", "the sex", 1, 1),
    Block("S6", "the birth date", 10, 10),
    Block("S7", "the birth place", 5, 5, needed=False),
)
_BY_ID: Mapping[str, Block] = {block.id: block for block in BLOCKS}


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """What a datamatrix says. Read from one, the key and the authority are as found, for the reader to judge."""

    matricule: Matricule
    oid: str
    family: str
    given: tuple[str, ...]
    sex: Sex
    birth_date: str
    birth_place: str | None

    @property
    def traits(self) -> Traits:
        return Traits(self.family, self.given, self.sex.value, self.birth_date, self.birth_place)

    def __repr__(self) -> str:
        return f"Content({self.matricule.masked})"


def content_of(ins: NationalIdentity) -> Content | Malformed:
    """The content for an identity: its names in capitals without accents, the list cut after a whole name.

    An unknown month or day stays 00: S6 is ten characters, and INSi's traits are not to be completed (EXI 12).
    """
    family = fold(ins.family)
    given = _listed(tuple(part for name in ins.given for part in fold(name).split()))
    if not _NAME.fullmatch(family) or len(family) > LONGEST_NAME:
        return Malformed(f"S4: the birth name must be {LONGEST_NAME} characters at most of A to Z, ', - and space.")
    if not given or not all(_NAME.fullmatch(name) for name in given):
        return Malformed("S3: given names must be of A to Z, ' and -, the first one of 100 characters at most.")
    return Content(ins.matricule, ins.oid.value, family, given, ins.sex, ins.birth_date, ins.birth_place)


def payload(content: Content) -> str:
    """The payload, ASCII, blocks in the order of the specification.

    A separator ends a block of variable length, unless it is full or the last one.
    """
    year, month, day = content.birth_date.split("-")
    values = (
        str(content.matricule),
        content.oid,
        " ".join(content.given),
        content.family,
        content.sex.value,
        f"{day}-{month}-{year}",
        content.birth_place or "",
    )
    blocks = zip(BLOCKS, values, strict=True)
    written = "".join(block.id + value + (GS if len(value) < block.most else "") for block, value in blocks if value)
    return HEADER + written


def read(text: str) -> Content | Malformed:
    """The content of a payload, its blocks in any order. Whatever the text: never an exception."""
    if fault := _header_fault(text):
        return fault
    values = _values(text)
    if isinstance(values, Malformed):
        return values
    if missing := [f"{block.id} ({block.name})" for block in BLOCKS if block.needed and block.id not in values]:
        return Malformed(f"The datamatrix lacks {', '.join(missing)}; {_LOST_SEPARATOR}.")
    return _content(values)


def text_of(scanned: bytes) -> str:
    """The text of a payload a scanner sent as bytes: ASCII by the specification, else UTF-8 or ISO 8859-1."""
    try:
        return scanned.decode()
    except UnicodeDecodeError:
        return scanned.decode("latin-1")


def text_of_typed(typed: str) -> str:
    """The text of a payload typed by a scanner that acts as a keyboard.

    GS may stand as <GS>, {GS}, ␝ (U+241D) or ^], the symbology identifier ]d1 in front, and an end of line behind.
    """
    return _SYMBOLOGY.sub("", _TYPED_SEPARATORS.sub(GS, typed.strip(" \t\r\n")), count=1)


def _listed(names: tuple[str, ...]) -> tuple[str, ...]:
    """As many of the names, from the first, as the block of given names holds."""
    counts = range(len(names), 0, -1)
    return next((names[:count] for count in counts if len(" ".join(names[:count])) <= LONGEST_NAME), ())


def _header_fault(text: str) -> Malformed | None:
    if not text.startswith("IS"):
        return Malformed("An INS datamatrix starts with IS01: scan the one marked « INS à scanner », nothing else.")
    if text[2:4] != HEADER[2:4]:
        return Malformed("The version of this INS datamatrix, characters 3 and 4, is not 01, the one known here.")
    if text[: len(HEADER)] != HEADER:
        return Malformed("Characters 5 to 26 of an INS datamatrix are zeros: scan it again, whole.")
    return None


def _values(text: str) -> dict[str, str] | Malformed:
    values: dict[str, str] = {}
    at = len(HEADER)
    while at < len(text):
        block = _BY_ID.get(text[at : at + 2])
        if block is None:
            return Malformed(f"Character {at + 1} starts none of the blocks S1 to S7; {_LOST_SEPARATOR}.")
        if block.id in values:
            return Malformed(f"{block.id} ({block.name}) stands twice: scan the datamatrix again.")
        value = text[at + 2 : at + 2 + block.most].partition(GS)[0]
        if len(value) < block.least:
            return Malformed(f"{block.id} ({block.name}) is shorter than {block.least} characters: scan it again.")
        values[block.id] = value
        at += 2 + len(value)
        at += text.startswith(GS, at)  # after a full block it is superfluous, and harmless
    return values


def _content(values: Mapping[str, str]) -> Content | Malformed:
    matricule = Matricule.parse(values["S1"])
    if isinstance(matricule, Malformed):
        return Malformed(f"S1: {matricule.reason}")
    given = tuple(values["S3"].split(" "))
    if not all(given) or not all(value.isprintable() and value.strip() for value in values.values()):
        return Malformed("A value has blanks where a name stands, or control characters: scan the datamatrix again.")
    sex = values["S5"]
    if sex not in set(Sex):
        return Malformed("S5: the sex is M or F.")
    date = _DATE.fullmatch(values["S6"])
    birth_date = f"{date[3]}-{date[2]}-{date[1]}" if date else ""
    if birth_date_fault(birth_date):
        return Malformed("S6: the birth date is JJ-MM-AAAA of the calendar, month or day 00 where unknown.")
    birth_place = values.get("S7")
    if birth_place and (fault := birth_place_fault(birth_place)):
        return Malformed(f"S7: {fault.reason}")
    return Content(matricule, values["S2"], values["S4"], given, Sex(sex), birth_date, birth_place)
