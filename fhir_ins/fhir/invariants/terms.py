"""What the functions of invariants are written in: presence, numbers, codings, and times of unequal precision.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. An element exists with a value or with extensions only.
"""

from collections.abc import Callable, Container
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_ins.fhir.scope import Scope

Element = dict[str, Any]
Holds = Callable[[Element, Scope], bool]


class Invariant(NamedTuple):
    """Whether it holds, and what to tell when it does not."""

    holds: Holds
    text: str


def has(element: Element, name: str) -> bool:
    """The element exists, with a value or with extensions only."""
    return name in element or "_" + name in element


def has_choice(element: Element, stem: str) -> bool:
    return any(name.startswith((stem, "_" + stem)) for name in element)


def needs(name: str, other: str) -> Holds:
    """`name` exists only with `other`."""
    return lambda element, _scope: not has(element, name) or has(element, other)


def not_both(name: str, other: str) -> Holds:
    return lambda element, _scope: not (has(element, name) and has(element, other))


def one_of(*names: str) -> Holds:
    """One of these exists, or more."""
    return lambda element, _scope: any(has(element, name) for name in names)


def coded(concept: Element | None, system: str, codes: Container[str]) -> bool:
    """Whether a CodeableConcept has a coding of `system` with one of `codes`."""
    codings = concept.get("coding", ()) if concept else ()
    return any(coding.get("system") == system and coding.get("code", "") in codes for coding in codings)


def number(value: Any) -> Decimal:
    """A JSON number as it was written, exactly."""
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def not_after(start: str, end: str) -> bool:
    """Whether a period may run from `start` to `end`, two valid dateTimes.

    A partial end covers all it may mean (https://hl7.org/fhir/R4/datatypes.html#Period), so that dates of unequal
    precision are compared as far as both go.
    """
    if len(start) > 10 and len(end) > 10:
        return _seconds(start) <= _seconds(end)
    shared = min(len(start), len(end))
    return start[:shared] <= end[:shared]


def _seconds(moment: str) -> Decimal:
    """A dateTime with time and zone, as seconds on UTC's line. Leap seconds are read as the next second."""
    clock, zone = (moment[11:-1], "+00:00") if moment.endswith("Z") else (moment[11:-6], moment[-6:])
    offset = (int(zone[1:3]) * 60 + int(zone[4:])) * 60 * (-1 if zone[0] == "-" else 1)
    midnight = date.fromisoformat(moment[:10]).toordinal() * 86400
    return midnight + int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + Decimal(clock[6:]) - offset
