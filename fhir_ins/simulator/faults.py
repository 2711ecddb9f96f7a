"""The faults of INSi as the simulator writes them.

Source: faults seen live (desir_550, insi_102) or told by integrators; where nobody has told the wording, the role or
the severity of one (desir_560, insi_101, insi_24), they are like those of its neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Error:
    """What a fault of INSi says; `reason` is for users, `label` for integrators."""

    role: str
    siram: str
    code: str
    severity: str
    reason: str
    label: str


_LATER = "Le service est temporairement inaccessible. Veuillez renouveler votre demande ultérieurement."
_INCORRECT = "La demande est incorrecte."

UNKNOWN_SOFTWARE = Error(
    "Sender",
    "siram_100",
    "desir_550",
    "erreur",
    "L'accès par ce progiciel au service n'est pas autorisé. Contactez l'éditeur du progiciel.",
    "Numéro d'autorisation du logiciel inconnu.",
)
ACCESS_TOO_LOW = Error(
    "Sender",
    "siram_100",
    "DESIR_560",
    "erreur",
    "Vous ne disposez pas des droits suffisants pour accéder à ce service.",
    "Niveau d'accès insuffisant",
)
CARD_SEARCH_FAILED = Error(
    "Receiver",
    "siram_40",
    "insi_101",
    "fatal",
    _LATER,
    "L'appel au service de recherche avec la carte Vitale renvoie une erreur technique.",
)
SEARCH_FAILED = Error(
    "Receiver",
    "siram_40",
    "insi_102",
    "fatal",
    _LATER,
    "L'appel au service de recherche avec les traits d'identité renvoie une erreur technique.",
)
UNAVAILABLE = Error("Receiver", "siram_40", "insi_111", "fatale", _LATER, "Indisponibilité des téléservices")
NAME_MISSING = Error("Sender", "siram_10", "insi_19", "erreur", _INCORRECT, "Le champ nom de naissance est obligatoire")
SEX_WRONG = Error("Sender", "siram_10", "insi_24", "erreur", _INCORRECT, "Le format du champ sexe est incorrect")

ERRORS: Mapping[str, Error] = {
    error.code.lower(): error
    for error in (
        UNKNOWN_SOFTWARE,
        ACCESS_TOO_LOW,
        CARD_SEARCH_FAILED,
        SEARCH_FAILED,
        UNAVAILABLE,
        NAME_MISSING,
        SEX_WRONG,
    )
}
"""By code, in lower case: the wire writes DESIR_560 in capitals."""
