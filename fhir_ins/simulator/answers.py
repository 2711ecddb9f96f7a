"""The answers of the simulator, written as the live service writes them.

Source: live answers of the test environment: env:Body under a soap:Envelope, RESULTAT without prefix, neither
Prenom nor TypeMatricule, `fatal` for the severity, faults with HTTP 500.
"""

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from fhir_ins.insi.contract import RESULT_NAMESPACE, SIRAM_NAMESPACE, SOAP_NAMESPACE
from fhir_ins.simulator.identities import Number, Person


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and a SOAP envelope."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Error:
    """What a fault of INSi says; `reason` is for users, `label` for integrators."""

    role: str
    siram: str
    code: str
    severity: str
    reason: str
    label: str


UNKNOWN_SOFTWARE = Error(
    "Sender",
    "siram_100",
    "desir_550",
    "erreur",
    "L'accès par ce progiciel au service n'est pas autorisé. Contactez l'éditeur du progiciel.",
    "Numéro d'autorisation du logiciel inconnu.",
)
SEARCH_FAILED = Error(
    "Receiver",
    "siram_40",
    "insi_102",
    "fatal",
    "Le service est temporairement inaccessible. Veuillez renouveler votre demande ultérieurement.",
    "L'appel au service de recherche avec les traits d'identité renvoie une erreur technique.",
)
NAME_MISSING = Error(
    "Sender",
    "siram_10",
    "insi_19",
    "erreur",
    "La demande est incorrecte.",
    "Le champ nom de naissance est obligatoire",
)
SEX_WRONG = Error(
    "Sender",
    "siram_10",
    "insi_24",
    "erreur",
    "La demande est incorrecte.",
    "Le format du champ sexe est incorrect",
)


def found(person: Person) -> Answer:
    """Compte rendu 00."""
    history = "".join(f"<INSHISTO>{_number(former)}</INSHISTO>" for former in person.history)
    traits = "".join(
        f"<{name}>{escape(value)}</{name}>"
        for name, value in (
            ("NomNaissance", person.family),
            ("ListePrenom", person.given),
            ("Sexe", person.sex),
            ("DateNaissance", person.birth_date),
            ("LieuNaissance", person.birth_place),
        )
    )
    individual = f"<INSACTIF>{_number(person.active)}</INSACTIF>{history}<TIQ>{traits}</TIQ>"
    return _result("00", "OK", f"<INDIVIDU>{individual}</INDIVIDU>")


def nobody() -> Answer:
    """Compte rendu 01."""
    return _result("01", "Aucune identite trouvee")


def several() -> Answer:
    """Compte rendu 02."""
    return _result("02", "Plusieurs identites trouvees")


def fault(error: Error, message_id: str) -> Answer:
    """A fault of INSi; a Receiver's fault does not repeat the message id, as on the live service."""
    echo = f" messageID={quoteattr(message_id)}" if error.role == "Sender" else ""
    detail = (
        f"<soap:Detail><siram:Erreur code={quoteattr(error.code)}{echo} severite={quoteattr(error.severity)}"
        f' xmlns:siram="{SIRAM_NAMESPACE}">{escape(error.label)}</siram:Erreur></soap:Detail>'
    )
    subcode = f"<soap:Subcode><soap:Value>soap:{error.siram}</soap:Value></soap:Subcode>"
    return _fault(error.role, subcode, "fr", error.reason, detail)


def refusal(reason: str) -> Answer:
    """A Sender's fault without code: the request breaks the contract (codes for that are not public)."""
    return _fault("Sender", "", "en", reason, "")


def _number(number: Number) -> str:
    dates = "".join(
        f"<{name}>{value}</{name}>" for name, value in (("DateDeb", number.start), ("DateFin", number.end)) if value
    )
    return (
        f"<IdIndividu><NumIdentifiant>{number.number}</NumIdentifiant><Cle>{number.key}</Cle></IdIndividu>"
        f"<OID>{number.oid}</OID>{dates}"
    )


def _result(code: str, label: str, individual: str = "") -> Answer:
    report = f"<CR><CodeCR>{code}</CodeCR><LibelleCR>{label}</LibelleCR></CR>"
    return _envelope(200, f'<RESULTAT xmlns="{RESULT_NAMESPACE}">{report}{individual}</RESULTAT>')


def _fault(role: str, subcode: str, language: str, reason: str, detail: str) -> Answer:
    code = f"<soap:Code><soap:Value>soap:{role}</soap:Value>{subcode}</soap:Code>"
    text = f'<soap:Reason><soap:Text xml:lang="{language}">{escape(reason)}</soap:Text></soap:Reason>'
    return _envelope(500, f"<soap:Fault>{code}{text}{detail}</soap:Fault>")


def _envelope(status: int, content: str) -> Answer:
    return Answer(
        status,
        (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<soap:Envelope xmlns:soap="{SOAP_NAMESPACE}"><env:Body xmlns:env="{SOAP_NAMESPACE}">'
            f"{content}</env:Body></soap:Envelope>"
        ).encode(),
    )
