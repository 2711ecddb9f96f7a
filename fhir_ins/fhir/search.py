"""The grammar of a search: names, modifiers, prefixes, lists and escapes. https://hl7.org/fhir/R4/search.html

A parameter we do not know, or a form we do not offer, is refused with the list of what is offered; with
`Prefer: handling=lenient` it is left out, and the self link shows what was applied.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fhir_ins.fhir.dates import Span, span_of
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.references import local_reference, target_type, unversioned
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_values import Kind
from fhir_ins.fhir.structure import resource_types

DEFAULT_COUNT = 20
GREATEST_COUNT = 200
GREATEST_LIST = 50

_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=\d)")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+", re.ASCII)
_UNESCAPED_COMMA = re.compile(r"(?<!\\)(?:\\\\)*,")
_ESCAPE = re.compile(r"\\([,|$\\])")


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`[system]|[code]`: system None is any, "" is none at all; code None is any of the system."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class DateValue:
    prefix: str
    span: Span


@dataclass(frozen=True, slots=True)
class UriValue:
    """A uri; or a reference: `Type/id`, an id of any type, or an absolute or canonical URL."""

    text: str


SearchValue = TokenValue | DateValue | UriValue | str


@dataclass(frozen=True, slots=True)
class Criterion:
    """Any of the values may match, under any of the parameters: a search names one, a compartment may take several.

    Without values nothing matches: a chain has found nothing to refer to.
    """

    parameters: tuple[SearchParameter, ...]
    values: tuple[SearchValue, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """All criteria match together. `applied` are the name and value pairs of the self link."""

    criteria: tuple[Criterion, ...]
    count: int
    applied: tuple[tuple[str, str], ...]


NO_CHAINS: Mapping[tuple[str, str], Criterion] = MappingProxyType({})


def parse(
    pairs: Sequence[tuple[str, str]],
    parameters: Mapping[str, SearchParameter],
    *,
    lenient: bool,
    base: str | None = None,
    chained: Mapping[tuple[str, str], Criterion] = NO_CHAINS,
) -> Search:
    """Read decoded name and value pairs. Raises BadRequest naming the parameter, never its value.

    `base` is the address of this server: a reference that starts with it is a local one. `chained` are the pairs of
    chained parameters, and what each has been resolved to.
    """
    criteria: list[Criterion] = []
    applied: list[tuple[str, str]] = []
    count = DEFAULT_COUNT
    for name, value in pairs:
        if name == "_format":
            continue
        if name == "_count":
            count = _count(value)
        elif found := chained.get((name, value)):
            criteria.append(found)
        elif asked := asked_for(name, parameters):
            criteria.append(_criterion(asked, value, base))
        elif lenient:
            continue
        else:
            known = name.partition(":")[0] in parameters
            message = "MSG_PARAM_MODIFIER_INVALID" if known else "MSG_PARAM_UNKNOWN"
            raise BadRequest(_unknown(name, parameters), code="not-supported", message=message)
        applied.append((name, value))
    return Search(tuple(criteria), count, tuple(applied))


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter as a search names it: `target` is the type it gives as modifier, `subject:Patient`."""

    parameter: SearchParameter
    target: str | None


def asked_for(name: str, parameters: Mapping[str, SearchParameter]) -> Asked | None:
    """The parameter of this name; None where it, or its modifier, is not offered."""
    base, colon, modifier = name.partition(":")
    parameter = parameters.get(base)
    if parameter is None or not colon:
        return Asked(parameter, None) if parameter else None
    allowed = parameter.kind is Kind.REFERENCE and modifier in (parameter.targets or resource_types())
    return Asked(parameter, modifier) if allowed else None


def _unknown(name: str, parameters: Mapping[str, SearchParameter]) -> str:
    base, _, modifier = name.partition(":")
    if base in parameters and modifier:
        if parameters[base].kind is Kind.REFERENCE:
            types = ", ".join(sorted(parameters[base].targets)) or "any resource type"
            return f"The search parameter {base} is offered with a type as modifier only: {types}. Or leave it out."
        return f"The search parameter {base} is not offered with a modifier: leave it out."
    shown = base if re.fullmatch(r"[A-Za-z_.-]{1,40}", base) else "given"
    valid = ", ".join([*parameters, "_count"])
    return f"The search parameter {shown} is not one of this resource. Valid ones: {valid}."


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise BadRequest(f"_count takes a whole number from 0 to {GREATEST_COUNT}.", code="value")
    return min(int(value), GREATEST_COUNT)


def _criterion(asked: Asked, value: str, base: str | None) -> Criterion:
    parameter = asked.parameter
    alternatives = _split(value)
    if len(alternatives) > GREATEST_LIST:
        raise BadRequest(
            f"The search parameter {parameter.name} takes {GREATEST_LIST} values at most.", code="too-costly"
        )
    if not all(alternatives):
        raise BadRequest(
            f"The search parameter {parameter.name} has an empty value.", code="value", message="MSG_PARAM_INVALID"
        )
    if parameter.kind is Kind.REFERENCE:
        return Criterion((parameter,), tuple(_reference(asked, _unescape(one), base) for one in alternatives))
    return Criterion((parameter,), tuple(_value(parameter, alternative) for alternative in alternatives))


def _value(parameter: SearchParameter, text: str) -> SearchValue:
    if parameter.kind is Kind.DATE:
        return _date(parameter, text)
    if parameter.kind is Kind.STRING:
        return _unescape(text)
    if parameter.kind is Kind.URI:
        return UriValue(_unescape(text))
    system, bar, code = _bar(text)
    if not bar:
        return TokenValue(None, _unescape(text))
    if not system and not code:
        raise BadRequest(f"{parameter.name} takes system|code, |code or system|.", code="value")
    return TokenValue(_unescape(system), _unescape(code) if code else None)


def _date(parameter: SearchParameter, text: str) -> DateValue:
    prefix = _PREFIX.match(text)
    span = span_of(text[2:] if prefix else text)
    if span is None:
        raise BadRequest(
            f"{parameter.name} takes a date of the calendar (1975, 1975-12 or 1975-12-31), after a prefix or not: "
            "eq ne gt lt ge le sa eb ap.",
            code="value",
        )
    return DateValue(prefix.group() if prefix else "eq", span)


def _reference(asked: Asked, text: str, base: str | None) -> UriValue:
    """`Type/id` where the type is told or given as modifier; without its version, which no search may ask for."""
    name, target = asked.parameter.name, asked.target
    if base and text.startswith(f"{base}/"):
        text = text.removeprefix(f"{base}/")
    if _ID.fullmatch(text):
        return UriValue(f"{target}/{text}" if target else text)
    local = local_reference(text)
    if local is None and not _ABSOLUTE.fullmatch(text):
        raise BadRequest(f"{name} takes an id, a type and an id (Patient/123), or an absolute URL.", code="value")
    type_ = target_type({"reference": text})
    allowed = {target} if target else asked.parameter.targets
    if allowed and type_ and (local or target) and type_ not in allowed:
        raise BadRequest(f"{name} refers to these types here: {', '.join(sorted(allowed))}.", code="value")
    return UriValue(local or unversioned(text))


def _split(value: str) -> list[str]:
    parts, start = [], 0
    for match in _UNESCAPED_COMMA.finditer(value):
        parts.append(value[start : match.end() - 1])
        start = match.end()
    return [*parts, value[start:]]


def _bar(text: str) -> tuple[str, str, str]:
    """Cut at the first unescaped bar."""
    match = re.search(r"(?<!\\)(?:\\\\)*\|", text)
    return (text[: match.end() - 1], "|", text[match.end() :]) if match else (text, "", "")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)
