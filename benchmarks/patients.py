"""The Patient of the benchmarks: invented, of constant shape and size, with no matricule INS."""

import json

SYSTEM = "urn:oid:1.2.250.1.999.1.1"
RECORD_SYSTEM = "urn:oid:1.2.250.1.999.1.2"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"


def patient(serial: str) -> str:
    """A Patient of about 1.1 KB as JSON text, whose two identifiers end in `serial`."""
    internal = {"system": V2_0203, "code": "PI", "display": "Patient internal identifier"}
    insee_code = {
        "url": f"{FR_CORE}/fr-core-address-insee-code",
        "valueCoding": {"system": COMMUNES, "code": "63220"},
    }
    resource = {
        "resourceType": "Patient",
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {"city": "Marsac-en-Livradois", "extension": [insee_code]},
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
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
