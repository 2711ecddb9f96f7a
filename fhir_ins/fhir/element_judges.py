"""What a profile asks of one item of an element: type, value, code, size, reference, invariant.

https://hl7.org/fhir/R4/elementdefinition.html. Texts name what the definition asks for, never what was sent.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fhir_ins.fhir import fhirpath
from fhir_ins.fhir.invariants.terms import Invariant, not_after, number
from fhir_ins.fhir.judging import Breach, Breaches, Item, Judge, Resource, any_error
from fhir_ins.fhir.patterns import fixed, pattern, shown
from fhir_ins.fhir.scope import named_type
from fhir_ins.fhir.slicing import Published
from fhir_ins.fhir.structure import resource_types
from fhir_ins.fhir.valuesets import ValueSet, membership


def typed(types: frozenset[str], stem: str, label: str) -> Judge:
    """A choice in one of these types."""
    names = " or ".join(stem + type_[0].upper() + type_[1:] for type_ in sorted(types))
    breach = [Breach("structure", f"{label} takes {names} here. Send it so.")]

    def judge(item: Item, _resource: Resource) -> Breaches:
        return None if item.type in types else breach

    return judge


def fixed_value(facet: str, expected: Any, label: str) -> Judge:
    """The fixed value, or what has the pattern."""
    holds = fixed(expected) if facet == "fixed" else pattern(expected)
    verb = "must be" if facet == "fixed" or not isinstance(expected, dict | list) else "must have"
    breach = [Breach("value", f"For {label} this {verb} {shown(expected)}. Set it.")]

    def judge(item: Item, _resource: Resource) -> Breaches:
        return None if holds(item.value) else breach

    return judge


def bound(valueset: ValueSet, strength: str, label: str, published: Published) -> Judge:
    """A code of the value set: else an error when that is required, a warning when it is extensible."""
    member = membership(valueset)
    name = valueset.url.rpartition("/")[2]
    if strength == "required":
        breach = Breach("code-invalid", f"For {label} this must be a code of {name}. {valueset.advice}")
    else:
        text = f"For {label} this should be a code of {name}, unless none fits. {valueset.advice}"
        breach = Breach("code-invalid", text, severity="warning")

    def judge(item: Item, _resource: Resource) -> Breaches:
        if member(item.value) is not False:
            return None
        return [breach._replace(published=strength == "required" and published(valueset.url, item.value))]

    return judge


def limited(label: str, longest: int | None = None, least: Any = None, greatest: Any = None) -> Judge:
    """maxLength, minValue and maxValue; limits relative to now (a duration) are left to others."""
    bounds = (("at least", least, False), ("at most", greatest, True))

    def judge(item: Item, _resource: Resource) -> Breaches:
        breaches = []
        if longest is not None and isinstance(item.value, str) and len(item.value) > longest:
            breaches.append(Breach("too-long", f"{label} takes {longest} characters at most here. Shorten it."))
        for words, limit, upper in bounds:
            if limit is not None and _ordered(item.value, limit, upper) is False:
                breaches.append(Breach("value", f"For {label} this must be {words} {shown(limit)}. Correct it."))
        return breaches

    return judge


def _ordered(value: Any, limit: Any, upper: bool) -> bool | None:
    """Whether a value keeps a limit; None where the two cannot be compared."""
    if isinstance(value, dict) and isinstance(limit, dict):
        alike = all(value.get(name) == limit.get(name) for name in ("system", "code"))
        return _ordered(value.get("value"), limit.get("value"), upper) if alike and "value" in limit else None
    if isinstance(value, str) and isinstance(limit, str):
        return not_after(value, limit) if upper else not_after(limit, value)
    if isinstance(value, bool | str | dict | None) or isinstance(limit, str | dict):
        return None
    found, bound_ = number(value), Decimal(repr(limit))
    return found <= bound_ if upper else found >= bound_


def profiled(alternatives: Sequence[tuple[str, Judge]], type_: str | None, label: str) -> Judge:
    """One of the profiles of its type; `type_` is the one of a choice that this is about."""

    def judge(item: Item, resource: Resource) -> Breaches:
        if type_ is not None and item.type not in (type_, None):
            return None
        url, first = alternatives[0]
        if len(alternatives) == 1:
            if type(item.value) is dict and item.value.get("url") == url:
                resource.judged.add(id(item.value))
            return first(item, resource)
        if any(not any_error(resource.tried(item, one)) for _, one in alternatives):
            return None
        names = ", ".join(url.rpartition("/")[2] for url, _ in alternatives)
        return [Breach("structure", f"For {label} this must follow one of these profiles: {names}. Correct it.")]

    return judge


def referring(types: frozenset[str], alternatives: Sequence[tuple[str, Judge]], type_: str | None, label: str) -> Judge:
    """A Reference to one of these resource types; a contained target also follows one of the profiles."""
    breach = Breach("value", f"{label} refers to {' or '.join(sorted(types))} here. Refer to one.", ".reference")
    names = ", ".join(url.rpartition("/")[2] for url, _ in alternatives)
    text = f"{label} refers here to a resource that follows {names}; this contained one does not. Correct it."

    def judge(item: Item, resource: Resource) -> Breaches:
        reference = item.value
        if type(reference) is not dict or (type_ is not None and item.type not in (type_, None)):
            return None
        literal = reference.get("reference", "")
        target = resource.target(reference)
        named = target.get("resourceType") if target else named_type(literal)
        if named is None:
            named, where = reference.get("type"), ".type"
        else:
            where = ".reference"
        if named is not None and named not in types:
            return [breach._replace(path=where)] if named in resource_types() else None
        if target is None or not alternatives:
            return None
        if any(resource.conforms(target, one) for _, one in alternatives):
            return None
        return [Breach("structure", text, ".reference")]

    return judge


def constrained(function: Invariant | None, key: str, severity: str, expression: str, human: str, place: str) -> Judge:
    """An invariant, by our function where there is one, else by its FHIRPath. An empty result does not hold."""
    breach = [Breach("invariant", f"{key}: {function.text if function else human or expression}", severity=severity)]
    text = f"{key} cannot be evaluated here, so it was not judged: {human or expression}"
    unjudged = [Breach("informational", text, severity="information")]

    def by_expression(item: Item, resource: Resource) -> Breaches:
        try:
            return None if fhirpath.holds(expression, item.value, item.type or place, resource.root) else breach
        except fhirpath.NotEvaluable:
            return unjudged

    if function is None:
        return by_expression
    holds = function.holds

    def by_function(item: Item, resource: Resource) -> Breaches:
        return None if holds(item.value, resource.scope) else breach

    return by_function
