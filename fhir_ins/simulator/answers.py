"""The answers of the simulator, written as the live service writes them, and with the liberties it takes.

Source: live answers of the test environment: env:Body under a soap:Envelope, RESULTAT without prefix, neither
Prenom nor TypeMatricule, `fatal` for the severity, faults with HTTP 500. What a `Behaviour` says of the writing was
seen too: the prefixes S and soap, RESULTAT under ns2, subcodes under S or soap, reasons in French declared as English,
`fatale`, and in CNDA files the dates of an INSHISTO before its IdIndividu.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from fhir_ins.insi.contract import RESULT_NAMESPACE, SIRAM_NAMESPACE, SOAP_NAMESPACE, VERDICT_NAMESPACE
from fhir_ins.simulator.behaviour import Behaviour
from fhir_ins.simulator.faults import Error
from fhir_ins.simulator.identities import Number, Person

_ORDINARY = Behaviour()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and a SOAP envelope."""

    status: int
    body: bytes


def found(person: Person, writing: Behaviour = _ORDINARY) -> Answer:
    """Compte rendu 00."""
    p = _result_prefix(writing)
    history = "".join(f"<{p}INSHISTO>{_number(former, writing)}</{p}INSHISTO>" for former in person.history)
    traits = _elements(
        p,
        ("NomNaissance", person.family),
        ("ListePrenom", person.given),
        ("Sexe", person.sex),
        ("DateNaissance", person.birth_date),
        ("LieuNaissance", person.birth_place),
    )
    individual = f"<{p}INSACTIF>{_number(person.active, writing)}</{p}INSACTIF>{history}<{p}TIQ>{traits}</{p}TIQ>"
    return _result("00", "OK", writing, f"<{p}INDIVIDU>{individual}</{p}INDIVIDU>")


def nobody(writing: Behaviour = _ORDINARY) -> Answer:
    """Compte rendu 01."""
    return _result("01", "Aucune identite trouvee", writing)


def several(writing: Behaviour = _ORDINARY) -> Answer:
    """Compte rendu 02."""
    return _result("02", "Plusieurs identites trouvees", writing)


def verdict(elements: Iterable[tuple[str, bool]], writing: Behaviour = _ORDINARY) -> Answer:
    """The answer of a unitary verification: what each element sent is worth, and hence the whole.

    These elements are the simulator's own: of the official answer only the namespace is public.
    """
    p, judged = _result_prefix(writing), list(elements)
    traits = "".join(
        f"<{p}Trait>{_elements(p, ('Nom', name), ('Concordance', _word(agrees)))}</{p}Trait>" for name, agrees in judged
    )
    whole = _elements(p, ("Concordance", _word(all(agrees for _, agrees in judged))))
    return _report(
        ("ReponseUnitaire", VERDICT_NAMESPACE), "00", "OK", writing, f"<{p}Resultat>{whole}{traits}</{p}Resultat>"
    )


def nobody_to_verify(writing: Behaviour = _ORDINARY) -> Answer:
    """The answer of a unitary verification of an INS that nobody has."""
    return _report(("ReponseUnitaire", VERDICT_NAMESPACE), "01", "Aucune identite trouvee", writing)


def fault(error: Error, message_id: str, writing: Behaviour = _ORDINARY) -> Answer:
    """A fault of INSi; a Receiver's fault does not repeat the message id, as on the live service."""
    p = _fault_prefix(writing)
    echo = f" messageID={quoteattr(message_id)}" if error.role == "Sender" else ""
    severity = writing.severity if writing.severity and error.severity.startswith("fatal") else error.severity
    detail = (
        f"<{p}Detail><siram:Erreur code={quoteattr(error.code)}{echo} severite={quoteattr(severity)}"
        f' xmlns:siram="{SIRAM_NAMESPACE}">{escape(error.label)}</siram:Erreur></{p}Detail>'
    )
    subcode = f"<{p}Subcode><{p}Value>{writing.subcode}:{error.siram}</{p}Value></{p}Subcode>"
    return _fault(error.role, subcode, writing.language, error.reason, detail, writing)


def refusal(reason: str, writing: Behaviour = _ORDINARY) -> Answer:
    """A Sender's fault without code: the request breaks the contract (codes for that are not public)."""
    return _fault("Sender", "", "en", reason, "", writing)


def _word(agrees: bool) -> str:
    return "OK" if agrees else "KO"


def _number(number: Number, writing: Behaviour) -> str:
    p = _result_prefix(writing)
    identity = _elements(p, ("NumIdentifiant", number.number), ("Cle", number.key))
    parts = [f"<{p}IdIndividu>{identity}</{p}IdIndividu>", _elements(p, ("OID", number.oid))]
    dates = _elements(p, ("DateDeb", number.start), ("DateFin", number.end))
    return "".join([dates, *parts] if writing.order == "dates-first" else [*parts, dates])


def _elements(prefix: str, *elements: tuple[str, str | None]) -> str:
    return "".join(f"<{prefix}{name}>{escape(text)}</{prefix}{name}>" for name, text in elements if text)


def _result_prefix(writing: Behaviour) -> str:
    return "ns2:" if writing.prefix == "ns2" else ""


def _fault_prefix(writing: Behaviour) -> str:
    return "S:" if writing.prefix == "S" else "soap:"


def _result(code: str, label: str, writing: Behaviour, individual: str = "") -> Answer:
    return _report(("RESULTAT", RESULT_NAMESPACE), code, label, writing, individual)


def _report(root: tuple[str, str], code: str, label: str, writing: Behaviour, content: str = "") -> Answer:
    p, (name, namespace) = _result_prefix(writing), root
    declaration = f'xmlns:{p[:-1]}="{namespace}"' if p else f'xmlns="{namespace}"'
    report = _elements(p, ("CodeCR", code), ("LibelleCR", label))
    return _envelope(200, f"<{p}{name} {declaration}><{p}CR>{report}</{p}CR>{content}</{p}{name}>", writing)


def _fault(role: str, subcode: str, language: str, reason: str, detail: str, writing: Behaviour) -> Answer:
    p = _fault_prefix(writing)
    code = f"<{p}Code><{p}Value>{p}{role}</{p}Value>{subcode}</{p}Code>"
    text = f'<{p}Reason><{p}Text xml:lang="{language}">{escape(reason)}</{p}Text></{p}Reason>'
    return _envelope(500, f"<{p}Fault>{code}{text}{detail}</{p}Fault>", writing)


def _envelope(status: int, content: str, writing: Behaviour) -> Answer:
    body = "env" if writing.prefix == "ns2" else writing.prefix
    prefixes = dict.fromkeys(prefix for prefix in (body, writing.subcode) if prefix != "soap")
    declared = "".join(f' xmlns:{prefix}="{SOAP_NAMESPACE}"' for prefix in prefixes)
    return Answer(
        status,
        (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<soap:Envelope xmlns:soap="{SOAP_NAMESPACE}"><{body}:Body{declared}>'
            f"{content}</{body}:Body></soap:Envelope>"
        ).encode(),
    )
