"""Canonical URLs and code systems of FR Core, the same in every release (https://hl7.fr/ig/fhir/core), and of ours."""

_ROOT = "https://hl7.fr/ig/fhir/core"
_STRUCTURE = f"{_ROOT}/StructureDefinition"
_CODES = f"{_ROOT}/CodeSystem"

PATIENT = f"{_STRUCTURE}/fr-core-patient"
PATIENT_INS = f"{_STRUCTURE}/fr-core-patient-ins"

IDENTITY_RELIABILITY = f"{_STRUCTURE}/fr-core-identity-reliability"
BIRTH_LIST_GIVEN_NAME = f"{_STRUCTURE}/fr-core-patient-birth-list-given-name"
INSEE_CODE = f"{_STRUCTURE}/fr-core-address-insee-code"
LUNAR_DATE = f"{_STRUCTURE}/fr-core-lunar-date"
BIRTH_DATE_UPDATED = f"{_STRUCTURE}/fr-core-patient-birthdate-update-indicator"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"

IDENTIFIER_TYPES = f"{_CODES}/fr-core-cs-v2-0203"
IDENTITY_STATUSES = f"{_CODES}/fr-core-cs-v2-0445"
IDENTITY_STATUSES_TWIN = f"{_CODES}/fr-core-cs-fiabilite-identite"  # the same codes, published twice
# Of FR Core not yet published: there VALI is validated without INSi, and QUAL is what 2.2.0 calls VALI with an INS.
NEXT_IDENTITY_STATUSES = f"{_CODES}/fr-core-cs-identity-status"
NEXT_IDENTITY_COMMENTS = f"{_CODES}/fr-core-cs-identity-status-comment"
COLLECTION_METHODS = f"{_CODES}/fr-core-cs-method-collection"
VALIDATION_MODES = f"{_CODES}/fr-core-cs-mode-validation-identity"

V2_IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
COMMUNES_MISSPELT = "https://mos.esante.gouv.fr/NOS/TRE_R13-Commune/FHIR/TRE-R13-Commune"  # of 2.1.0's own example
COUNTRIES = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"

OURS = "https://fhir-ins.example/fhir"
STATUSES_OF_OURS = f"{OURS}/CodeSystem/ins-identity-status"
