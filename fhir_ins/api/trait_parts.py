"""The five traits as out parameters, named as `$ins-fetch` takes them in."""

from fhir_ins.fhir.operations import part
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.traits import GENDER_OF_SEX, fhir_date
from fhir_ins.ins.traits import Traits


def trait_parts(traits: Traits) -> list[Json | None]:
    """One parameter a trait, one a given name; a birth date with 00 is birthDateIns, which is no FHIR date."""
    date = traits.birth_date or ""
    whole = fhir_date(date) == date
    return [
        part("family", "String", traits.family),
        *(part("given", "String", name) for name in traits.given),
        part("gender", "Code", GENDER_OF_SEX.get(traits.sex or "")),
        part("birthDate" if whole else "birthDateIns", "Date" if whole else "String", traits.birth_date),
        part("birthPlace", "String", traits.birth_place),
    ]
