"""The grammar of a search: names, prefixes, lists and escapes. https://hl7.org/fhir/R4/search.html

A parameter we do not know, or a form we do not offer, is refused with the list of what is offered; with
`Prefer: handling=lenient` it is left out, and the self link shows what was applied.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_ins.fhir.dates import Span, span_of
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search_parameters import Kind, SearchParameter

DEFAULT_COUNT = 20
GREATEST_COUNT = 200
GREATEST_LIST = 50

_PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=\d)")
_REFERENCE = re.compile(r"(?:(?P<type>[A-Z][A-Za-z]+)/)?(?P<id>[A-Za-z0-9\-.]{1,64})")
_UNESCAPED_COMMA = re.compile(r"(?<!\\)(?:\\\\)*,")
_ESCAPE = re.compile(r"\\([,|$\\])")


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`[system]|[code]`: system None is any, "" is none at all; code None is any of the system.

    A reference is one too, its system the type it names.
    """

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class DateValue:
    prefix: str
    span: Span


SearchValue = TokenValue | DateValue | str


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter; any of its values may match."""

    parameter: SearchParameter
    values: tuple[SearchValue, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """All criteria match together. `applied` are the name and value pairs of the self link."""

    criteria: tuple[Criterion, ...]
    count: int
    applied: tuple[tuple[str, str], ...]


def parse(pairs: Sequence[tuple[str, str]], parameters: Mapping[str, SearchParameter], *, lenient: bool) -> Search:
    """Read decoded name and value pairs. Raises BadRequest naming the parameter, never its value."""
    criteria: list[Criterion] = []
    applied: list[tuple[str, str]] = []
    count = DEFAULT_COUNT
    for name, value in pairs:
        if name == "_format":
            continue
        if name == "_count":
            count = _count(value)
        elif name in parameters:
            criteria.append(_criterion(parameters[name], value))
        elif lenient:
            continue
        else:
            raise BadRequest(_unknown(name, parameters), code="not-supported")
        applied.append((name, value))
    return Search(tuple(criteria), count, tuple(applied))


def _unknown(name: str, parameters: Mapping[str, SearchParameter]) -> str:
    base, _, modifier = name.partition(":")
    if base in parameters and modifier:
        return f"The search parameter {base} is not offered with a modifier: leave it out."
    shown = base if re.fullmatch(r"[A-Za-z_.-]{1,40}", base) else "given"
    valid = ", ".join([*parameters, "_count"])
    return f"The search parameter {shown} is not one of this resource. Valid ones: {valid}."


def _count(value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise BadRequest(f"_count takes a whole number from 0 to {GREATEST_COUNT}.", code="value")
    return min(int(value), GREATEST_COUNT)


def _criterion(parameter: SearchParameter, value: str) -> Criterion:
    alternatives = _split(value)
    if len(alternatives) > GREATEST_LIST:
        raise BadRequest(
            f"The search parameter {parameter.name} takes {GREATEST_LIST} values at most.", code="too-costly"
        )
    if not all(alternatives):
        raise BadRequest(f"The search parameter {parameter.name} has an empty value.", code="value")
    return Criterion(parameter, tuple(_value(parameter, alternative) for alternative in alternatives))


def _value(parameter: SearchParameter, text: str) -> SearchValue:
    if parameter.kind is Kind.DATE:
        return _date(parameter, text)
    if parameter.kind is Kind.STRING:
        return _unescape(text)
    if parameter.kind is Kind.URI:
        return TokenValue(None, _unescape(text))
    if parameter.kind is Kind.REFERENCE:
        return _reference(parameter, _unescape(text))
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


def _reference(parameter: SearchParameter, text: str) -> TokenValue:
    parts = _REFERENCE.fullmatch(text)
    if parts is None:
        raise BadRequest(f"{parameter.name} takes an id, or a type and an id: Patient/123.", code="value")
    return TokenValue(parts["type"], parts["id"])


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
