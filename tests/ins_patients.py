"""Good INS Patients of both FR Core releases, with much of what the profile knows."""

from typing import Any

from people import ADRUN, MODES, NIR, RELIABILITY, STATUSES

Json = dict[str, Any]

FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition"
INS = f"{FR_CORE}/fr-core-patient-ins"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
INSEE_CODE = f"{FR_CORE}/fr-core-address-insee-code"
GIVEN_NAMES = f"{FR_CORE}/fr-core-patient-birth-list-given-name"
CATEGORY = f"{FR_CORE}/fr-core-patient-contact-relationship-category"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
COUNTRIES = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"
ROLES = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
TYPES = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def coded(system: str, code: str, display: str | None = None) -> Json:
    return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}]}


def identifier(use: str, type_: Json, system: str, value: str) -> Json:
    return {"use": use, "type": type_, "system": system, "value": value}


def insee_code(code: str, system: str = COMMUNES) -> Json:
    return {"url": INSEE_CODE, "valueCoding": {"system": system, "code": code}}


def ins_patient(release: str = "2.2.0") -> Json:
    """A Patient that fr-core-patient-ins of this release has nothing against."""
    category = [{"url": CATEGORY, "valueCode": "role"}] if release == "2.2.0" else []
    return {
        "resourceType": "Patient",
        "meta": {"profile": [f"{INS}|{release}"]},
        "extension": [
            {"url": BIRTH_PLACE, "valueAddress": {"city": "Marsac-en-Livradois", "extension": [insee_code("63220")]}},
            {
                "url": RELIABILITY,
                "extension": [
                    {"url": "identityStatus", "valueCoding": {"system": STATUSES, "code": "VALI"}},
                    {"url": "validationDate", "valueDate": "2026-11-20"},
                    {"url": "validationMode", "valueCoding": {"system": MODES, "code": "CN"}},
                ],
            },
        ],
        "identifier": [
            identifier("official", coded(TYPES, "INS-NIR"), NIR, ADRUN),
            identifier("usual", coded(V2_0203, "PI", "Patient internal identifier"), "urn:oid:1.2.250.1.999.1.1", "7"),
        ],
        "active": True,
        "name": [
            {
                "use": "official",
                "family": "ADRUN",
                "given": ["ZOE"],
                "extension": [{"url": GIVEN_NAMES, "valueString": "ZOE MARIE"}],
            },
            {"use": "usual", "family": "Adrun-Martin", "given": ["Zoé"], "prefix": ["MME"]},
        ],
        "telecom": [{"system": "phone", "value": "+33 4 73 00 00 00", "use": "home"}],
        "gender": "female",
        "birthDate": "1975-12-31",
        "address": [
            {"use": "home", "line": ["12 rue de l'Église"], "city": "Ambert", "extension": [insee_code("63003")]}
        ],
        "maritalStatus": coded("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M"),
        "contact": [
            {
                "relationship": [{**coded(ROLES, "ECON"), **({"extension": category} if category else {})}],
                "name": {"family": "Martin"},
                "telecom": [{"system": "phone", "value": "+33 4 73 00 00 01"}],
            }
        ],
        "generalPractitioner": [{"reference": "Practitioner/1"}],
        "managingOrganization": {"reference": "Organization/1"},
    }
