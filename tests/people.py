"""The official fictitious identities the tests use, and FHIR values made of them."""

from copy import deepcopy
from typing import Any

Json = dict[str, Any]

NIR = "urn:oid:1.2.250.1.213.1.4.8"
ADRUN = "275126322074974"
RELIABILITY = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability"
STATUSES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445"
MODES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-mode-validation-identity"
INS_PROFILE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins|2.2.0"
PATIENT_PROFILE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient|2.2.0"


def ins_identifier(value: str = ADRUN, system: str = NIR) -> Json:
    return {"use": "official", "system": system, "value": value}


def traits(family: str, given: list[str], gender: str, birth_date: str, place: str | None = None, **more: bool) -> Json:
    """The Parameters of $ins-fetch, the traits one by one."""
    parameters: list[Json] = [{"name": "family", "valueString": family}]
    parameters += [{"name": "given", "valueString": name} for name in given]
    parameters += [{"name": "gender", "valueCode": gender}, {"name": "birthDate", "valueDate": birth_date}]
    if place:
        parameters.append({"name": "birthPlace", "valueString": place})
    parameters += [{"name": name, "valueBoolean": value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": parameters}


ADRUN_TRAITS = traits("ADRUN", ["ZOE"], "female", "1975-12-31")


def patient(**elements: Any) -> Json:
    """A Patient with ADRUN ZOE's traits, as an EHR writes it, changed by `elements`."""
    return {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": "ADRUN", "given": ["ZOE"]}],
        "gender": "female",
        "birthDate": "1975-12-31",
        **elements,
    }


def reliability(status: str, date: str | None = None, mode: str | None = None) -> Json:
    """One repetition of fr-core-identity-reliability."""
    parts: list[Json] = [{"url": "identityStatus", "valueCoding": {"system": STATUSES, "code": status}}]
    if date:
        parts.append({"url": "validationDate", "valueDate": date})
    if mode:
        parts.append({"url": "validationMode", "valueCoding": {"system": MODES, "code": mode}})
    return {"url": RELIABILITY, "extension": parts}


def claiming(resource: Json, *repetitions: Json) -> Json:
    """The Patient with these repetitions of identityReliability instead of its own."""
    changed = deepcopy(resource)
    others = [found for found in changed.get("extension", []) if found["url"] != RELIABILITY]
    return {**changed, "extension": [*others, *repetitions]}


def document_checked(resource: Json) -> Json:
    return claiming(resource, reliability("VALI", "2026-11-20", "CN"))


def stated_status(resource: Json) -> str | None:
    """The identityStatus the first repetition states."""
    for extension in resource.get("extension", []):
        if extension["url"] == RELIABILITY:
            return next(
                part["valueCoding"]["code"] for part in extension["extension"] if part["url"] == "identityStatus"
            )
    return None


def out(parameters: Json, name: str) -> list[Json]:
    """The out parameters of this name."""
    return [found for found in parameters["parameter"] if found["name"] == name]


def code(parameters: Json, name: str) -> str:
    return str(out(parameters, name)[0]["valueCode"])


def parts(parameter: Json) -> Json:
    """The parts of a parameter as name and value."""
    return {
        found["name"]: next(value for key, value in found.items() if key.startswith("value"))
        for found in parameter["part"]
    }
