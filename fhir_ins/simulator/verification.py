"""The unitary verification: what each element sent is worth, beside the person who has that INS.

Source: the request's elements as integrators have shown them (`verification-requete.xsd`). How the téléservice judges
is not public: here the INS says who is meant, and every element that was sent is compared as it stands.
"""

from collections.abc import Iterator

from lxml import etree

from fhir_ins.insi.contract import VERIFICATION_NAMESPACE
from fhir_ins.simulator.cards import CARDS
from fhir_ins.simulator.identities import PEOPLE, Number, Person
from fhir_ins.simulator.population import called

_INS = "IndividuVerifie/INSFourni"
_TRAITS = "IndividuVerifie/TraitsIdentiteIndividu"


def holder(request: etree._Element) -> Person | None:
    """The person who has, or had, the number sent."""
    number = _said(request, f"{_INS}/IdIndividu/NumIdentifiant")
    candidates = [*PEOPLE, *(card.person for card in CARDS)]
    if known := called(_said(request, f"{_TRAITS}/NomNaissance")):
        candidates.append(known)
    for person in candidates:
        if number in {theirs.number for theirs in (person.active, *person.history)}:
            return person
    return None


def judged(request: etree._Element, person: Person) -> Iterator[tuple[str, bool]]:
    """Each element that was sent, by its name, and whether it is the person's; a former number is not."""
    for path, theirs in _theirs(person, person.active):
        if (said := _said(request, path)) is not None:
            yield path.rpartition("/")[2], said == theirs


def _theirs(person: Person, number: Number) -> tuple[tuple[str, str], ...]:
    return (
        (f"{_INS}/IdIndividu/NumIdentifiant", number.number),
        (f"{_INS}/IdIndividu/Cle", number.key),
        (f"{_INS}/OID", number.oid),
        (f"{_TRAITS}/NomNaissance", person.family),
        (f"{_TRAITS}/Prenom", person.given.split()[0]),
        (f"{_TRAITS}/ListePrenom", person.given),
        (f"{_TRAITS}/Sexe", person.sex),
        (f"{_TRAITS}/DateNaissance", person.birth_date),
        (f"{_TRAITS}/LieuNaissance", person.birth_place),
    )


def _said(request: etree._Element, path: str) -> str | None:
    return request.findtext("/".join(f"{{{VERIFICATION_NAMESPACE}}}{name}" for name in path.split("/"))) or None
