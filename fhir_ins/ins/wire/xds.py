"""XDS sourcePatientInfo, one value a field of PID, as the DMP takes it.

Source: IHE ITI TF-3 §4.2.3.2.23; specification of the DMP (PID-3, PID-5, PID-7, PID-8 and PID-11).
"""

from fhir_ins.ins.national_identity import NationalIdentity
from fhir_ins.ins.wire.cx import dmp_cx
from fhir_ins.ins.wire.pid import birth_address, birth_name


def source_patient_info(ins: NationalIdentity) -> tuple[str, ...]:
    """The values of the slot, in the order of PID."""
    return (
        f"PID-3|{dmp_cx(ins)}",
        f"PID-5|{birth_name(ins)}",
        f"PID-7|{ins.known_birth_date}",
        f"PID-8|{ins.sex}",
        f"PID-11|{birth_address(ins)}",
    )
