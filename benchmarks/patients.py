"""The Patients of the benchmarks: invented, of constant shape and size."""

import json
from typing import Any

Json = dict[str, Any]

SYSTEM = "urn:oid:1.2.250.1.999.1.1"
RECORD_SYSTEM = "urn:oid:1.2.250.1.999.1.2"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"


def patient(serial: str) -> str:
    """A Patient of about 1.1 KB as JSON text, whose two identifiers end in `serial`."""
    internal = {"system": V2_0203, "code": "PI", "display": "Patient internal identifier"}
    resource = {
        "resourceType": "Patient",
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {"city": "Marsac-en-Livradois", "extension": [_insee_code("63220")]},
            }
        ],
        "identifier": [
            {"use": "usual", "type": {"coding": [internal]}, "system": SYSTEM, "value": serial},
            {"use": "secondary", "system": RECORD_SYSTEM, "value": f"D{serial}"},
        ],
        "active": True,
        "name": [
            {"use": "official", "family": "PAT-BENCH", "given": ["DOMINIQUE"]},
            {"use": "usual", "family": "Pat-Bench", "given": ["Dominique"]},
        ],
        "telecom": [{"system": "phone", "value": "+33 4 73 00 00 00", "use": "home"}],
        "gender": "female",
        "birthDate": "1984-03-17",
        "address": [
            {
                "use": "home",
                "line": ["12 rue de l'Église"],
                "city": "Ambert",
                "postalCode": "63600",
                "country": "FRA",
            }
        ],
    }
    return _minified(resource)


def ins_patient() -> str:
    """A Patient of about 4 KB as JSON text, good for fr-core-patient-ins, with the fictitious identity ADRUN."""
    codes = FR_CORE.replace("StructureDefinition", "CodeSystem")
    reliability: dict[str, Json] = {
        "identityStatus": {"valueCoding": {"system": f"{codes}/fr-core-cs-v2-0445", "code": "VALI"}},
        "validationDate": {"valueDate": "2026-11-20"},
        "validationMode": {"valueCoding": {"system": f"{codes}/fr-core-cs-mode-validation-identity", "code": "CN"}},
        "methodCollection": {"valueCoding": {"system": f"{codes}/fr-core-cs-method-collection", "code": "INSI"}},
        "dateCollection": {"valueDate": "2026-11-20"},
    }
    given = {"url": f"{FR_CORE}/fr-core-patient-birth-list-given-name", "valueString": "ZOE MARIE LOUISE"}
    role = {"url": f"{FR_CORE}/fr-core-patient-contact-relationship-category", "valueCode": "role"}
    role_class = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
    nationality = {"coding": [{"system": "urn:iso:std:iso:3166", "code": "FR"}]}
    resource = {
        "resourceType": "Patient",
        "meta": {"profile": [f"{FR_CORE}/fr-core-patient-ins|2.2.0"]},
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {"city": "Marsac-en-Livradois", "country": "FRA", "extension": [_insee_code("63220")]},
            },
            {
                "url": f"{FR_CORE}/fr-core-identity-reliability",
                "extension": [{"url": name, **value} for name, value in reliability.items()],
            },
            {
                "url": f"{FR_CORE}/fr-core-patient-nationality",
                "extension": [{"url": "code", "valueCodeableConcept": nationality}],
            },
        ],
        "identifier": [
            _identifier(
                "official", f"{codes}/fr-core-cs-v2-0203", "INS-NIR", "urn:oid:1.2.250.1.213.1.4.8", "275126322074974"
            ),
            _identifier(
                "old", f"{codes}/fr-core-cs-v2-0203", "INS-NIA", "urn:oid:1.2.250.1.213.1.4.9", "275126322074974"
            ),
            _identifier("usual", V2_0203, "PI", SYSTEM, "1234567", "Patient internal identifier"),
            _identifier("secondary", V2_0203, "RRI", RECORD_SYSTEM, "D1234567", "Regional registry ID"),
        ],
        "active": True,
        "name": [
            {"use": "official", "family": "ADRUN", "given": ["ZOE"], "extension": [given]},
            {"use": "usual", "family": "Adrun-Martin", "given": ["Zoé"], "prefix": ["MME"]},
        ],
        "telecom": [
            {"system": "phone", "value": "+33 4 73 00 00 00", "use": "home", "rank": 1},
            {"system": "phone", "value": "+33 6 39 98 00 00", "use": "mobile", "rank": 2},
            {"system": "email", "value": "zoe.adrun@example.org", "use": "home"},
        ],
        "gender": "female",
        "birthDate": "1975-12-31",
        "deceasedBoolean": False,
        "address": [_address("home", "63003"), _address("work", "63113")],
        "maritalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}]
        },
        "contact": [
            {
                "relationship": [{"coding": [{"system": role_class, "code": "ECON"}], "extension": [role]}],
                "name": {"use": "usual", "family": "Martin", "given": ["Jean"]},
                "telecom": [{"system": "phone", "value": "+33 4 73 00 00 01", "use": "home"}],
            }
        ],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fr"}]}, "preferred": True}],
        "generalPractitioner": [{"reference": "Practitioner/1"}],
        "managingOrganization": {"reference": "Organization/1"},
    }
    return _minified(resource)


def _insee_code(code: str) -> Json:
    return {"url": f"{FR_CORE}/fr-core-address-insee-code", "valueCoding": {"system": COMMUNES, "code": code}}


def _identifier(use: str, type_system: str, code: str, system: str, value: str, display: str | None = None) -> Json:
    coding = {"system": type_system, "code": code, **({"display": display} if display else {})}
    return {"use": use, "type": {"coding": [coding]}, "system": system, "value": value}


def _address(use: str, code: str) -> Json:
    return {
        "use": use,
        "type": "both",
        "text": "12 rue de l'Église, 63600 Ambert, France",
        "line": ["12 rue de l'Église"],
        "city": "Ambert",
        "postalCode": "63600",
        "country": "FRA",
        "extension": [_insee_code(code)],
        "period": {"start": "2012-05-01"},
    }


def _minified(resource: Json) -> str:
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
