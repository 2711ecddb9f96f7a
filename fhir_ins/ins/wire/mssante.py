"""The MSSanté citizen address, which is the matricule itself: `<15 characters>@patient.mssante.fr`.

Source: ANS samples of CDA and HL7 v2 (`mailto:279035121518989@patient.mssante.fr`).
"""

from fhir_ins.ins.matricule import Matricule

CITIZEN_DOMAIN = "patient.mssante.fr"


def citizen_address(matricule: Matricule) -> str:
    """The address of Mon espace santé; it carries no OID, so a test number has one like any other."""
    return f"{matricule}@{CITIZEN_DOMAIN}"
