"""The given-name sequence: how a person with several given names is asked for.

Source: CNDA conformity tests 2.07 (TCHITCHI, HOUILLES); each given name alone in order, then all together.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.port import ByTraits, Call, Conversation, Fault, Found, NoIdentity, Outcome, SeveralIdentities

Ask = Callable[[ByTraits], Coroutine[Any, Any, Conversation]]


async def search(ask: Ask, traits: Traits) -> Conversation:
    """Ask what the sequence asks, n + 1 questions at most for n given names.

    Compte rendu 00 or a fault ends the sequence; 01 and 02 go on. Raises ValueError when `traits` holds no
    given name: asking without one would widen the search.
    """
    if not traits.given:
        raise ValueError("INSi is asked with at least one given name.")
    outcomes: list[Outcome] = []
    calls: list[Call] = []
    for given in _sequence(traits.given):
        answered = await ask(ByTraits(traits, given))
        outcomes.append(answered.outcome)
        calls.extend(answered.calls)
        if isinstance(answered.outcome, Found | Fault):
            break
    return Conversation(_outcome(outcomes), tuple(calls))


def _sequence(given: tuple[str, ...]) -> list[tuple[str, ...]]:
    alone: list[tuple[str, ...]] = [(name,) for name in given]
    return [*alone, given] if len(given) > 1 else alone


def _outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """What a sequence says: its last answer if that found or failed, else whether a call met several people."""
    if isinstance(outcomes[-1], Found | Fault):
        return outcomes[-1]
    several = any(isinstance(outcome, SeveralIdentities) for outcome in outcomes)
    return SeveralIdentities() if several else NoIdentity()
