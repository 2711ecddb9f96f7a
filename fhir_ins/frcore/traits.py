"""The five strict traits in a Patient: reading them, and writing INSi's.

Source: FR Core 2.2.0 fr-core-patient-ins: officialName with birth-list-given-name, gender, birthDate, birthPlace
with its COG; given holds the first given name only.
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_ins.fhir.outcome import Issue
from fhir_ins.frcore.canonical import (
    BIRTH_DATE_UPDATED,
    BIRTH_LIST_GIVEN_NAME,
    BIRTH_PLACE,
    COMMUNES,
    COMMUNES_MISSPELT,
    COUNTRIES,
    INSEE_CODE,
    LUNAR_DATE,
)
from fhir_ins.frcore.elements import Json, extension_value, extensions, with_extension, with_list
from fhir_ins.ins.comparison import starts
from fhir_ins.ins.traits import Sex, Traits, birth_date_fault, birth_place_fault

SEX_OF_GENDER: Mapping[str | None, str] = {"male": Sex.MALE.value, "female": Sex.FEMALE.value}
GENDER_OF_SEX = {sex: gender for gender, sex in SEX_OF_GENDER.items()}  # any other sex is unknown
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
_LUNAR = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def official_name(patient: Mapping[str, Any]) -> Json | None:
    """The birth name: the name of use official that has not ended, else the only name when it has no use."""
    names = patient.get("name", [])
    official = next(iter(_officials(patient)), None)
    if official is None and len(names) == 1 and "use" not in names[0]:
        return names[0]  # type: ignore[no-any-return]
    return official


def traits_of(patient: Mapping[str, Any]) -> Traits:
    """The traits as the Patient has them; the given-name list comes first, then the given names."""
    name = official_name(patient) or {}
    listed = extension_value(name, BIRTH_LIST_GIVEN_NAME, "String")
    given = listed.split() if listed else [given for given in name.get("given", ()) if given]
    return Traits(
        family=name.get("family"),
        given=tuple(given),
        sex=SEX_OF_GENDER.get(patient.get("gender"), patient.get("gender")),
        birth_date=_lunar_date(patient) or patient.get("birthDate"),
        birth_place=_birth_place(patient),
    )


def contradictions(patient: Mapping[str, Any]) -> list[Issue]:
    """Where a trait is said twice and not the same: a reader would see one, INSi be asked about the other.

    The given names start the list of given names (EXI ID 10); birthDate is what FHIR can say of the lunar date.
    """
    issues = []
    for index, name in enumerate(patient.get("name", ())):
        listed = extension_value(name, BIRTH_LIST_GIVEN_NAME, "String")
        given = tuple(given for given in name.get("given", ()) if given)
        if listed and given and not starts(given, tuple(listed.split())):
            text = "The given names must start the list in birth-list-given-name: make the two agree."
            issues.append(Issue("business-rule", text, f"Patient.name[{index}].given"))
    if len(_officials(patient)) > 1:
        text = "One name is official, the birth name: give the others another use, or the end of their period."
        issues.append(Issue("business-rule", text, "Patient.name"))
    lunar = _lunar_date(patient)
    if lunar and patient.get("birthDate") != fhir_date(lunar):
        text = "birthDate and the lunar date differ: make birthDate what is known of it, 1936 for 1936-00-00."
        issues.append(Issue("business-rule", text, "Patient.birthDate"))
    return issues


def _officials(patient: Mapping[str, Any]) -> list[Json]:
    names = patient.get("name", ())
    return [name for name in names if name.get("use") == "official" and "end" not in name.get("period", {})]


def with_birth_place_system(patient: Json) -> Json:
    """The Patient with the system of its birth place's COG where that was left out, or misspelt as in FR Core 2.1.0."""
    coding, address = _birth_place_coding(patient), extension_value(patient, BIRTH_PLACE, "Address") or {}
    cog = coding.get("code", "")
    if birth_place_fault(cog) or coding.get("system") not in (None, COMMUNES_MISSPELT):
        return patient
    read = next(extensions(address, INSEE_CODE))
    spelt = {**read, "valueCoding": {**coding, "system": _system_of(cog)}}
    inside = {**address, "extension": [spelt if found is read else found for found in address["extension"]]}
    place = next(extensions(patient, BIRTH_PLACE))
    known = {**place, "valueAddress": inside}
    return with_list(patient, "extension", [known if found is place else found for found in patient["extension"]])


def completed_locally(patient: Mapping[str, Any]) -> bool:
    """Whether the birth date is the structure's own completion or correction (birthdate-update-indicator, ZFD-4 = Y).

    Such an identity is neither récupérée nor qualifiée (IHE PAM France 2.11.2 p. 38).
    """
    return any(found.get("valueBoolean") is True for found in extensions(patient, BIRTH_DATE_UPDATED))


def with_traits(patient: Json, traits: Traits) -> Json:
    """The Patient with INSi's traits written exactly as received; its other names and elements stay.

    The birth date is then INSi's, no more completed locally.
    """
    changed = _with_official_name(patient, traits)
    changed["gender"] = GENDER_OF_SEX.get(traits.sex or "", "unknown")
    date = fhir_date(traits.birth_date or "")
    changed.pop("birthDate", None)
    if date:
        changed["birthDate"] = date
    if (time := _birth_time(patient)) and not time.startswith(date or "none"):
        changed.pop("_birthDate", None)
    lunar = {"url": LUNAR_DATE, "valueString": traits.birth_date} if traits.birth_date != date else None
    changed = with_extension(changed, lunar, LUNAR_DATE)
    changed = with_extension(changed, None, BIRTH_DATE_UPDATED)
    if traits.birth_place is None:
        return changed
    return with_extension(changed, _birth_place_extension(traits.birth_place), BIRTH_PLACE)


def fhir_date(birth_date: str) -> str | None:
    """INSi's date as a FHIR date: what follows an unknown month or day (00) cannot be said, so it is cut.

    None when it is no date of the calendar at all.
    """
    if birth_date_fault(birth_date):
        return None
    year, month, day = birth_date.split("-")
    if month == "00":
        return year
    return f"{year}-{month}" if day == "00" else birth_date


def _with_official_name(patient: Json, traits: Traits) -> Json:
    before = official_name(patient)
    kept = {key: value for key, value in (before or {}).items() if key in ("extension", "prefix", "suffix", "period")}
    name: Json = {**kept, "use": "official"}
    if traits.family:
        name["family"] = traits.family
    if traits.given:
        name["given"] = [traits.given[0]]
        listed = {"url": BIRTH_LIST_GIVEN_NAME, "valueString": traits.given_list}
        name = with_extension(name, listed, BIRTH_LIST_GIVEN_NAME)
    others = [other for other in patient.get("name", ()) if other is not before]
    ended = [{**other, "use": "old"} if other.get("use") == "official" else other for other in others]
    return with_list(patient, "name", [name, *ended])


def _lunar_date(patient: Mapping[str, Any]) -> str | None:
    lunar = extension_value(patient, LUNAR_DATE, "String")
    return lunar if lunar and _LUNAR.fullmatch(lunar) else None


def _birth_place(patient: Mapping[str, Any]) -> str | None:
    """The COG of the birth place; the former CI-SIS place for it, Address.district, is read too."""
    address = extension_value(patient, BIRTH_PLACE, "Address") or {}
    district = address.get("district", "")
    return _birth_place_coding(patient).get("code") or (district if not birth_place_fault(district) else None)


def _birth_place_coding(patient: Mapping[str, Any]) -> Json:
    address = extension_value(patient, BIRTH_PLACE, "Address") or {}
    return extension_value(address, INSEE_CODE, "Coding") or {}


def _system_of(cog: str) -> str:
    return COUNTRIES if cog.startswith("99") else COMMUNES


def _birth_time(patient: Mapping[str, Any]) -> str:
    return str(extension_value(patient.get("_birthDate") or {}, _BIRTH_TIME, "DateTime") or "")


def _birth_place_extension(cog: str) -> Json:
    code = {"url": INSEE_CODE, "valueCoding": {"system": _system_of(cog), "code": cog}}
    return {"url": BIRTH_PLACE, "valueAddress": {"extension": [code]}}
