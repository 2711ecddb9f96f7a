"""The operations: what each answers to a request that keeps the rules.

Source: contract DESIR_ICIR_EXP 1.5.0; faults insi_19 and insi_24 for traits the service itself asks for. Somebody
nobody knows is compte rendu 01 in production; the qualification environment, which has but a part of the base, ends
in insi_102, and in insi_101 for a carte Vitale.
"""

from collections.abc import Callable, Mapping

from lxml import etree

from fhir_ins.ins.matricule import Matricule
from fhir_ins.insi.contract import TRAITS_NAMESPACE, VITALE_NAMESPACE
from fhir_ins.simulator import answers
from fhir_ins.simulator.answers import Answer
from fhir_ins.simulator.authentication import Caller
from fhir_ins.simulator.behaviour import Behaviour
from fhir_ins.simulator.cards import CardRead, bearer
from fhir_ins.simulator.faults import CARD_SEARCH_FAILED, NAME_MISSING, SEARCH_FAILED, SEX_WRONG, Error
from fhir_ins.simulator.identities import Asked, as_injected, is_broken, matches
from fhir_ins.simulator.population import called, meant
from fhir_ins.simulator.refusal import Refused
from fhir_ins.simulator.rules import SEARCH_BY_TRAITS, SEARCH_BY_VITALE, VERIFY, Sent
from fhir_ins.simulator.verification import holder, judged


def answer(sent: Sent, caller: Caller, behaviour: Behaviour) -> Answer:
    """The answer of the operation a request names; raises `Refused` when it makes no sense."""
    return _OPERATIONS[sent.action](sent, caller, behaviour)


def _by_traits(sent: Sent, _: Caller, behaviour: Behaviour) -> Answer:
    family, sex = (_text(sent.content, TRAITS_NAMESPACE, name) for name in ("NomNaissance", "Sexe"))
    birth_date, birth_place = (
        _text(sent.content, TRAITS_NAMESPACE, name) for name in ("DateNaissance", "LieuNaissance")
    )
    prenoms = sent.content.iterfind(f"{{{TRAITS_NAMESPACE}}}Prenom")
    given = tuple(name for prenom in prenoms for name in (prenom.text or "").split())
    if not family:
        return answers.fault(NAME_MISSING, sent.message_id, behaviour)
    if sex not in ("F", "M"):
        return answers.fault(SEX_WRONG, sent.message_id, behaviour)
    if not given or not birth_date:
        raise Refused("A search by traits has a given name and a birth date.")
    asked = Asked(family, given, sex, birth_date, birth_place)
    if is_broken(asked):
        return answers.fault(SEARCH_FAILED, sent.message_id, behaviour)
    return _report(asked, sent, behaviour)


def _report(asked: Asked, sent: Sent, behaviour: Behaviour) -> Answer:
    simulated = meant(asked)
    people = [simulated] if simulated else matches(asked)
    if not people:
        return _unknown(SEARCH_FAILED, sent, behaviour)
    if len(people) > 1 or (people[0].common and asked.birth_place is None):
        return answers.several(behaviour)
    return answers.found(as_injected(people[0], behaviour.inject), behaviour)


def _by_vitale(sent: Sent, caller: Caller, behaviour: Behaviour) -> Answer:
    individual, insured = (_card_number(sent.content, name) for name in ("MatriculeIndividu", "MatriculeOD"))
    family, birth_date, rank = (
        _text(sent.content, VITALE_NAMESPACE, name) for name in ("NomNaissance", "DateNaissance", "RangNaissance")
    )
    if not individual and not insured:
        raise Refused("A search with a carte Vitale has MatriculeIndividu or MatriculeOD.")
    if (signed := _number_of_card(caller)) and signed not in (individual, insured):
        raise Refused("The Vitale assertion is of another card than the matricules: cards were changed.")
    simulated = called(family)
    person = bearer(CardRead(individual, insured, family, birth_date, rank), *([simulated] if simulated else []))
    return answers.found(person, behaviour) if person else _unknown(CARD_SEARCH_FAILED, sent, behaviour)


def _verify(sent: Sent, _: Caller, behaviour: Behaviour) -> Answer:
    person = holder(sent.content)
    return answers.verdict(judged(sent.content, person), behaviour) if person else answers.nobody_to_verify(behaviour)


def _unknown(error: Error, sent: Sent, behaviour: Behaviour) -> Answer:
    if behaviour.unknown == "01":
        return answers.nobody(behaviour)
    return answers.fault(error, sent.message_id, behaviour)


def _number_of_card(caller: Caller) -> str | None:
    """The number a Vitale assertion names, if its NameID has the form of one: which form it has is not public."""
    number = "".join((caller.card or "").split())[:13]
    return number if Matricule(number, "").expected_key else None


def _card_number(content: etree._Element, name: str) -> str | None:
    """The number of a matricule of the card, without its key, which must be right where it is given."""
    matricule = content.find(f"{{{VITALE_NAMESPACE}}}{name}")
    if matricule is None:
        return None
    number, key = (_text(matricule, VITALE_NAMESPACE, part) for part in ("NumIdentifiant", "Cle"))
    if key and not Matricule(number or "", key).key_is_right:
        raise Refused(f"The key of {name} is wrong.")
    return number


def _text(parent: etree._Element, namespace: str, name: str) -> str | None:
    return parent.findtext(f"{{{namespace}}}{name}") or None


_OPERATIONS: Mapping[str, Callable[[Sent, Caller, Behaviour], Answer]] = {
    SEARCH_BY_TRAITS: _by_traits,
    SEARCH_BY_VITALE: _by_vitale,
    VERIFY: _verify,
}
