"""How the cases, what came and what was expected read in a report; everybody in them is fictitious."""

from collections.abc import Sequence

from fhir_ins.cnda.case import Card, Expectation, Reading
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import Fault, Found, InsNumber, NoIdentity, Outcome, SeveralIdentities, Verified


def asked_in_words(asked: Traits | Reading) -> str:
    if isinstance(asked, Traits):
        return traits_in_words(asked)
    parts = [f"carte Vitale of {_bearer(asked.card)}"]
    if asked.age:
        parts.append(f"its assertion {asked.age.total_seconds() / 60:.0f} minutes old")
    if asked.assertion_of:
        parts.append(f"the assertion of {_bearer(asked.assertion_of)}")
    return ", ".join(parts)


def _bearer(card: Card) -> str:
    return f"{card.family} {card.given}"


def traits_in_words(traits: Traits) -> str:
    parts = (traits.family, traits.given_list, traits.sex, traits.birth_date, traits.birth_place)
    return " / ".join(part for part in parts if part)


def calls_in_words(calls: Sequence[tuple[str, str]]) -> str:
    """Each call by the given names it sends and its code, in order."""
    return ", ".join(f"{given} → {code}" if given else f"→ {code}" for given, code in calls) or "no call"


def expectation_in_words(expected: Expectation) -> str:
    if expected.refused:
        return f"refused before any call ({expected.refused.value})"
    parts = [calls_in_words(expected.calls)]
    if expected.ins:
        parts.append(f"{expected.ins} under {expected.oid}")
    if expected.history:
        parts.append(f"formerly {', '.join(expected.history)}")
    if expected.given_list:
        parts.append(f"ListePrenom {expected.given_list}")
    if expected.birth_place:
        parts.append(f"born in {expected.birth_place}")
    return "; ".join(parts)


def outcome_in_words(outcome: Outcome) -> str:
    match outcome:
        case Found(active=active, history=history, traits=traits):
            formerly = f"; formerly {', '.join(map(number_in_words, history))}" if history else ""
            return f"{number_in_words(active)} under {active.oid}{formerly}; {traits_in_words(traits)}"
        case NoIdentity():
            return "nobody answers to these traits"
        case SeveralIdentities():
            return "several identities"
        case Verified(concordant=concordant):
            return "concordant" if concordant else "discordant"
        case Fault(text=text):
            codes = " ".join(code for code in (outcome.siram, outcome.code) if code)
            return f"{codes}: {text}" if codes else text


def number_in_words(number: InsNumber) -> str:
    return f"{number.matricule.number} {number.matricule.key}"
