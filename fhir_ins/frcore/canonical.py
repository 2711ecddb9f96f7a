"""Canonical URLs and code systems of FR Core 2.2.0. https://hl7.fr/ig/fhir/core"""

RELEASE = "2.2.0"

_ROOT = "https://hl7.fr/ig/fhir/core"
_STRUCTURE = f"{_ROOT}/StructureDefinition"
_CODES = f"{_ROOT}/CodeSystem"

PATIENT = f"{_STRUCTURE}/fr-core-patient"
PATIENT_INS = f"{_STRUCTURE}/fr-core-patient-ins"

IDENTITY_RELIABILITY = f"{_STRUCTURE}/fr-core-identity-reliability"
BIRTH_LIST_GIVEN_NAME = f"{_STRUCTURE}/fr-core-patient-birth-list-given-name"
INSEE_CODE = f"{_STRUCTURE}/fr-core-address-insee-code"
LUNAR_DATE = f"{_STRUCTURE}/fr-core-lunar-date"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"

IDENTIFIER_TYPES = f"{_CODES}/fr-core-cs-v2-0203"
IDENTITY_STATUSES = f"{_CODES}/fr-core-cs-v2-0445"
COLLECTION_METHODS = f"{_CODES}/fr-core-cs-method-collection"
VALIDATION_MODES = f"{_CODES}/fr-core-cs-mode-validation-identity"

COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
COUNTRIES = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"


def versioned(profile: str) -> str:
    """The canonical with its release, as the profile's own meta.profile slice asks (`…|2.2.0`)."""
    return f"{profile}|{RELEASE}"
