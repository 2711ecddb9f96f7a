"""The identité nationale de santé as it travels: a matricule, its authority and the five traits, none missing.

Source: référentiel INS (the INS is the matricule with the traits INSi returned, EXI 12); FR Core issue 240 (without
its five traits it is not shared).
"""

from dataclasses import dataclass

from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid, ins_oid
from fhir_ins.ins.traits import Sex, Traits, birth_date_fault, birth_place_fault


@dataclass(frozen=True, slots=True, repr=False)
class NationalIdentity:
    """What every wire form is written from. Whether it may be conveyed at all is for `Identity.conveys` to say.

    The traits are INSi's as received; `birth_date` is YYYY-MM-DD, month or day 00 where unknown.
    """

    matricule: Matricule
    oid: InsOid
    family: str
    given: tuple[str, ...]
    sex: Sex
    birth_date: str
    birth_place: str

    @classmethod
    def of(cls, number: InsNumber, traits: Traits) -> "NationalIdentity | Malformed":
        """The identity of a number and its traits, or what no wire form could say of them."""
        oid = ins_oid(number.oid)
        if oid is None:
            return Malformed("The authority of the matricule is none of the INS: ask INSi again with $ins-fetch.")
        if isinstance(Matricule.parse(str(number.matricule)), Malformed):
            return Malformed("The matricule has not the form of one: ask INSi again with $ins-fetch.")
        if not (traits.family and traits.given and traits.sex and traits.birth_date and traits.birth_place):
            return Malformed("An INS travels with its five traits only, and INSi has not given all of them.")
        if traits.sex not in set(Sex) or birth_date_fault(traits.birth_date) or birth_place_fault(traits.birth_place):
            return Malformed("The sex, the birth date or the birth place is not what INSi gives: ask it again.")
        return cls(
            number.matricule,
            oid,
            traits.family,
            traits.given,
            Sex(traits.sex),
            traits.birth_date,
            traits.birth_place,
        )

    @property
    def traits(self) -> Traits:
        return Traits(self.family, self.given, self.sex.value, self.birth_date, self.birth_place)

    @property
    def first_given(self) -> str:
        """The first given name of the birth certificate."""
        return self.given[0]

    @property
    def given_list(self) -> str:
        """All given names of the birth certificate, the first included, space-separated."""
        return " ".join(self.given)

    @property
    def known_birth_date(self) -> str:
        """What is known of the birth date as HL7 v2 and v3 write it: YYYYMMDD, cut before an unknown month or day.

        A day of an unknown month cannot be said there (HL7 v2.5 §2.A.77, TS: precision by length).
        """
        year, month, day = self.birth_date.split("-")
        if month == "00":
            return year
        return year + month if day == "00" else year + month + day

    def __repr__(self) -> str:
        return f"NationalIdentity({self.matricule.masked})"


@dataclass(frozen=True, slots=True, repr=False)
class UsedName:
    """The name a person uses in everyday life, of civil status but no strict trait; either half may be empty."""

    family: str
    given: str

    def __repr__(self) -> str:
        return "UsedName(…)"


@dataclass(frozen=True, slots=True, repr=False)
class LocalIdentifier:
    """An internal patient identifier (IPP) under its authority: an OID, or a URI where there is none."""

    value: str
    authority: str
    is_oid: bool

    def __repr__(self) -> str:
        return "LocalIdentifier(…)"
