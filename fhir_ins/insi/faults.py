"""The faults of INSi, and whose turn each of them makes it.

Source: faults seen on the wire and told by integrators (live answers, CNDA test files); the GIE's full list
is not public, so codes are open-ended and a rule decides what the table does not name.
"""

from dataclasses import dataclass

from fhir_ins.insi.port import FaultKind

SENDER, RECEIVER = "Sender", "Receiver"

_FATAL = frozenset({"fatal", "fatale"})


@dataclass(frozen=True, slots=True)
class KnownFault:
    """One row: SOAP role, siram subcode, own code, severity (None where nobody has told it), and the kind."""

    role: str
    siram: str
    code: str
    severity: str | None
    kind: FaultKind


KNOWN_FAULTS = (
    # Numéro d'autorisation du logiciel inconnu
    KnownFault(SENDER, "siram_100", "desir_550", "erreur", FaultKind.CONFIGURATION),
    # Niveau d'accès insuffisant: the certificate's CN is not exactly INSI-AUTO or INSI-MANU
    KnownFault(SENDER, "siram_100", "desir_560", None, FaultKind.CONFIGURATION),
    # The search with the carte Vitale, then the search by traits, end in a technical error
    KnownFault(RECEIVER, "siram_40", "insi_101", None, FaultKind.TRANSIENT),
    KnownFault(RECEIVER, "siram_40", "insi_102", "fatal", FaultKind.TRANSIENT),
    # Indisponibilité des téléservices
    KnownFault(RECEIVER, "siram_40", "insi_111", "fatale", FaultKind.TRANSIENT),
    # Le champ nom de naissance est obligatoire
    KnownFault(SENDER, "siram_10", "insi_19", "erreur", FaultKind.REQUEST),
    # Le format du champ sexe est incorrect
    KnownFault(SENDER, "siram_10", "insi_24", "erreur", FaultKind.REQUEST),
)

_KIND_OF_CODE = {fault.code: fault.kind for fault in KNOWN_FAULTS}


def kind_of(role: str | None, siram: str | None, code: str | None, severity: str | None) -> FaultKind:
    """Whose turn it is after a fault; any part may be missing, and case does not count.

    `role` is the local name of the SOAP code: Sender, Receiver, or another the envelope provoked.
    """
    known = _KIND_OF_CODE.get((code or "").lower())
    return known or _kind_by_rule(
        (role or RECEIVER).lower(), (siram or "").lower(), (code or "").lower(), (severity or "").lower()
    )


def _kind_by_rule(role: str, siram: str, code: str, severity: str) -> FaultKind:
    if role == RECEIVER.lower() or siram == "siram_40" or severity in _FATAL:
        return FaultKind.TRANSIENT
    if code.startswith("insi_") or siram == "siram_10":
        return FaultKind.REQUEST
    return FaultKind.CONFIGURATION
