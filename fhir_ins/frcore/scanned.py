"""A Patient made of what an INS datamatrix says, marked as still to be verified.

Source: FR Core, fr-core-identity-reliability: method CB (bar code), status PROV.
"""

from fhir_ins.frcore.canonical import COLLECTION_METHODS, IDENTITY_RELIABILITY, IDENTITY_STATUSES, PATIENT
from fhir_ins.frcore.elements import Json
from fhir_ins.frcore.forms import claiming
from fhir_ins.frcore.identifiers import active_identifier
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.reliability import PROVISIONAL
from fhir_ins.frcore.traits import with_traits
from fhir_ins.ins.datamatrix import Content
from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.oid import InsOid


def scanned_patient(content: Content, oid: InsOid, fr_core: FrCore) -> Json:
    """The Patient as `$ins-verify` takes it; `oid` is the content's own, known to be an INS authority."""
    reliability = {
        "url": IDENTITY_RELIABILITY,
        "extension": [
            {"url": "methodCollection", "valueCoding": {"system": COLLECTION_METHODS, "code": "CB"}},
            {"url": "identityStatus", "valueCoding": {"system": IDENTITY_STATUSES, "code": PROVISIONAL}},
        ],
    }
    start = {
        "resourceType": "Patient",
        "extension": [reliability],
        "identifier": [active_identifier(InsNumber(content.matricule, oid), fr_core.release)],
    }
    return claiming(with_traits(start, content.traits), (PATIENT,), fr_core)
