"""The matricule as an HL7 v2 CX, extended composite id. CX-5, not the OID, says that it is an INS.

Source: IHE PAM France 2.11.2 p. 36; IHE France, constraints on HL7 data types 1.8.2 p. 7-8; ANS samples of PAM (test
authority) and specification of the DMP (CX-5 is NH there).
"""

from collections.abc import Mapping

from fhir_ins.ins.national_identity import LocalIdentifier, NationalIdentity
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.wire.hl7v2 import components, escaped

# A test number keeps the namespace of the NIR in ANS's samples; nothing is published of a demonstration number.
_NAMESPACES: Mapping[InsOid, str] = {
    InsOid.NIR: "ASIP-SANTE-INS-NIR",
    InsOid.NIA: "ASIP-SANTE-INS-NIA",
    InsOid.NIR_TEST: "ASIP-SANTE-INS-NIR",
    InsOid.NIR_DEMO: "ASIP-SANTE-INS-NIR",
}


def pam_cx(ins: NationalIdentity) -> str:
    """The CX of PID-3 in IHE PAM France; CX-7 and CX-8 stay empty."""
    return components(str(ins.matricule), "", "", f"{_NAMESPACES[ins.oid]}&{ins.oid}&ISO", "INS")


def dmp_cx(ins: NationalIdentity) -> str:
    """The CX of the DMP: XDS patientId, and PID-3 of sourcePatientInfo."""
    return components(str(ins.matricule), "", "", f"&{ins.oid}&ISO", "NH")


def local_cx(identifier: LocalIdentifier) -> str:
    """The CX of an internal identifier (IPP), type PI, under its OID or URI."""
    authority = f"&{escaped(identifier.authority)}&{'ISO' if identifier.is_oid else 'URI'}"
    return components(escaped(identifier.value), "", "", authority, "PI")
