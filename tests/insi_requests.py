"""Requests to the simulator, written by hand: nothing of the server's own code that writes them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4
from xml.sax.saxutils import escape

from fhir_ins.insi.contract import SOAP_NAMESPACE
from fhir_ins.simulator.pki import STRUCTURE
from fhir_ins.simulator.rules import SEARCH_BY_TRAITS, SEARCH_BY_VITALE, VERIFY
from fhir_ins.simulator.service import DEFAULT_IDAM

TRAITS, VITALE = "http://www.cnamts.fr/INSiRecSans", "http://www.cnamts.fr/INSiRecVit"
REQUEST = "http://www.cnamts.fr/INSiLot2/REQUnitaire"


@dataclass(frozen=True)
class Ask:
    """A request, fresh by default."""

    body: str
    action: str = SEARCH_BY_TRAITS
    emetteur: str = STRUCTURE
    security: str = ""
    time: datetime | None = None
    idam: str = DEFAULT_IDAM

    @property
    def content_type(self) -> str:
        return f'application/soap+xml; charset=utf-8; action="{self.action}"'

    def by(self, emetteur: str, *assertions: bytes) -> "Ask":
        namespace = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
        content = "".join(assertion.decode() for assertion in assertions)
        security = f'<wsse:Security xmlns:wsse="{namespace}">{content}</wsse:Security>'
        return replace(self, emetteur=emetteur, security=security)

    def envelope(self) -> str:
        time = (self.time or datetime.now(UTC)).isoformat()
        emetteur = f"<Temps>{time}</Temps><Emetteur>{self.emetteur}</Emetteur>"
        return (
            f'<s:Envelope xmlns:s="{SOAP_NAMESPACE}" xmlns:wsa="http://www.w3.org/2005/08/addressing"><s:Header>'
            '<ContexteBAM xmlns="urn:siram:bam:ctxbam" Nature="CTXBAM" Version="01_02">'
            f"<Id>{uuid4()}</Id>{emetteur}<COUVERTURE/></ContexteBAM>"
            '<ContexteLPS xmlns="urn:siram:lps:ctxlps" Nature="CTXLPS" Version="01_00">'
            f'<Id>{uuid4()}</Id>{emetteur}<LPS><IDAM R="4">{self.idam}</IDAM><Version>1.0</Version>'
            f"<Instance>{uuid4()}</Instance><Nom>urn:lps:tests:1.0</Nom></LPS></ContexteLPS>"
            f"<wsa:Action>{self.action}</wsa:Action><wsa:MessageID>uuid:{uuid4()}</wsa:MessageID>{self.security}"
            f"</s:Header><s:Body>{self.body}</s:Body></s:Envelope>"
        )


def by_traits(
    family: str | None = "ADRUN",
    given: tuple[str, ...] = ("ZOE",),
    sex: str | None = "F",
    birth_date: str | None = "1975-12-31",
    birth_place: str | None = None,
) -> Ask:
    parts = [("NomNaissance", family), *(("Prenom", name) for name in given)]
    parts += [("Sexe", sex), ("DateNaissance", birth_date), ("LieuNaissance", birth_place)]
    return Ask(f'<RECSANSVITALE xmlns="{TRAITS}">{elements(*parts)}</RECSANSVITALE>')


def by_vitale(
    individual: str | None = None,
    insured: str | None = None,
    family: str | None = None,
    birth_date: str | None = None,
    rank: str | None = None,
) -> Ask:
    """`individual` and `insured`: a number, or a number with its key."""
    numbers = "".join(
        f"<{name}>{elements(('NumIdentifiant', matricule[:13]), ('Cle', matricule[13:]))}</{name}>"
        for name, matricule in (("MatriculeIndividu", individual), ("MatriculeOD", insured))
        if matricule
    )
    rest = elements(("NomNaissance", family), ("DateNaissance", birth_date), ("RangNaissance", rank))
    return Ask(f'<RECVITALE xmlns="{VITALE}">{numbers}{rest}</RECVITALE>', SEARCH_BY_VITALE)


def verify(matricule: str, oid: str, **traits: str) -> Ask:
    number = elements(("NumIdentifiant", matricule[:13]), ("Cle", matricule[13:]), ("TypeMatricule", "INS"))
    return Ask(
        f'<RequeteUnitaire xmlns="{REQUEST}"><IndividuVerifie><INSFourni><IdIndividu>{number}</IdIndividu>'
        f"<OID>{oid}</OID></INSFourni><TraitsIdentiteIndividu>{elements(*traits.items())}</TraitsIdentiteIndividu>"
        "</IndividuVerifie></RequeteUnitaire>",
        VERIFY,
    )


def elements(*parts: tuple[str, str | None]) -> str:
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts if text)
