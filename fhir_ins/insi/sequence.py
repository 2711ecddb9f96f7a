"""The given-name sequence: how a person with several given names is asked for.

Source: CNDA conformity tests 2.07 (TCHITCHI, HOUILLES); each given name alone in order, then all together.
"""

from collections.abc import Sequence

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import Call, Fault, Found, Insi, NoIdentity, Outcome, SeveralIdentities


async def search(insi: Insi, traits: Traits) -> list[Call]:
    """Make the calls the sequence asks for, n + 1 at most for n given names, and return them in order.

    Compte rendu 00 or a fault ends the sequence; 01 and 02 go on. Raises ValueError when `traits` holds no
    given name: asking without one would widen the search.
    """
    if not traits.given:
        raise ValueError("INSi is asked with at least one given name.")
    calls: list[Call] = []
    for name in traits.given:
        calls.append(await insi.search_by_traits(traits, (name,)))
        if _ends(calls[-1].outcome):
            return calls
    if len(traits.given) > 1:
        calls.append(await insi.search_by_traits(traits, traits.given))
    return calls


def outcome_of(calls: Sequence[Call]) -> Outcome:
    """What a sequence says: its last call if that found or failed, else whether a call met several people.

    `calls` holds at least one call.
    """
    last = calls[-1].outcome
    if _ends(last):
        return last
    several = any(isinstance(call.outcome, SeveralIdentities) for call in calls)
    return SeveralIdentities() if several else NoIdentity()


def _ends(outcome: Outcome) -> bool:
    return isinstance(outcome, Found | Fault)
