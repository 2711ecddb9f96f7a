"""What one value of a search asks for, by the type of its parameter: prefixes, bars, escapes.

https://hl7.org/fhir/R4/search.html#ptypes. What is wrong is said by the parameter's name, never by the value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from fhir_ins.fhir.dates import Span, span_of
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_values import LARGEST_EXPONENT, Kind

LEAST_CONTAINED = 3
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_PREFIX = re.compile(f"({'|'.join(PREFIXES)})(?=[-+.0-9])")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 40
_ESCAPE = re.compile(r"\\([,|$\\])")
_UNESCAPED = {mark: re.compile(rf"(?<!\\)(?:\\\\)*{re.escape(mark)}") for mark in ",|$"}
_METRES = {"km": 1000.0, "m": 1.0, "[mi_i]": 1609.344, "mi": 1609.344, "[mi_us]": 1609.347}
_NEAR = 50_000.0
_FARTHEST = 20_000_000.0  # metres, half way around the Earth


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


@dataclass(frozen=True, slots=True)
class AmountValue:
    """A number as it is, and from `low` (included) to `high` (excluded) what it may mean by its precision.

    Of a quantity the `unit`: any where it is None; else `system` and `code`, or with system None either is meant, a
    code of any system or the unit as it is shown.
    """

    prefix: str
    number: Decimal
    low: Decimal
    high: Decimal
    system: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class NearValue:
    """Within so many metres of a place."""

    longitude: float
    latitude: float
    metres: float


Part = TokenValue | DateValue | UriValue | AmountValue | NearValue | str


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """A value for each component."""

    parts: tuple[Part, ...]


SearchValue = Part | CompositeValue | bool  # true or false for `:missing`


def term(parameter: SearchParameter, modifier: str, text: str) -> SearchValue:
    """One value, still escaped, of a parameter that is no reference. Raises BadRequest."""
    if modifier == "missing":
        return _missing(parameter, text)
    if modifier == "contains" and len(fold(unescaped(text))) < LEAST_CONTAINED:
        raise BadRequest(f"{parameter.name}:contains takes {LEAST_CONTAINED} letters or digits at least.", code="value")
    if parameter.kind is Kind.COMPOSITE:
        return _composite(parameter, text)
    if parameter.name.endswith(":of-type"):
        return _of_type(parameter, text)
    return _TERMS[parameter.kind](parameter.name, text)


def split(text: str, mark: str) -> list[str]:
    """The parts between the marks that no backslash escapes."""
    parts, start = [], 0
    for match in _UNESCAPED[mark].finditer(text):
        parts.append(text[start : match.end() - 1])
        start = match.end()
    return [*parts, text[start:]]


def unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def _missing(parameter: SearchParameter, text: str) -> bool:
    if text not in ("true", "false"):
        raise BadRequest(f"{parameter.name}:missing takes true or false.", code="value")
    return text == "true"


def _composite(parameter: SearchParameter, text: str) -> CompositeValue:
    parts = split(text, "$")
    if len(parts) != len(parameter.components) or not all(parts):
        form = "$".join(kind.value for kind in parameter.components)
        raise BadRequest(f"{parameter.name} takes {form}, a value for each.", code="value")
    kinds = zip(parameter.components, parts, strict=True)
    return CompositeValue(tuple(_TERMS[kind](parameter.name, part) for kind, part in kinds))


def _of_type(parameter: SearchParameter, text: str) -> TokenValue:
    parts = [unescaped(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise BadRequest(f"{parameter.name} takes system|code|value, all three.", code="value")
    system, code, value = parts
    return TokenValue(system, f"{code}|{value}")


def _token(name: str, text: str) -> TokenValue:
    system, *rest = split(text, "|")
    if not rest:
        return TokenValue(None, unescaped(text))
    code = "|".join(rest)
    if not system and not code:
        raise BadRequest(f"{name} takes system|code, |code or system|.", code="value")
    return TokenValue(unescaped(system), unescaped(code) if code else None)


def _date(name: str, text: str) -> DateValue:
    prefix, rest = _prefixed(text)
    span = span_of(rest)
    if span is None:
        raise BadRequest(
            f"{name} takes a date of the calendar (1975, 1975-12 or 1975-12-31), after a prefix or not: "
            "eq ne gt lt ge le sa eb ap.",
            code="value",
        )
    return DateValue(prefix, span)


def _number(name: str, text: str) -> AmountValue:
    prefix, rest = _prefixed(text)
    number = _decimal(rest)
    if number is None:
        raise BadRequest(f"{name} takes a number, after a prefix or not: eq ne gt lt ge le sa eb ap.", code="value")
    half = _half_a_unit(number)
    return AmountValue(prefix, number, number - half, number + half)


def _quantity(name: str, text: str) -> AmountValue:
    number, *units = split(text, "|")
    if len(units) not in (0, 2) or (units and not units[1]):
        raise BadRequest(f"{name} takes number, number|system|code or number||unit.", code="value")
    amount = _number(name, number)
    if not units:
        return amount
    system, unit = (unescaped(part) for part in units)
    return AmountValue(amount.prefix, amount.number, amount.low, amount.high, system or None, unit)


def _near(name: str, text: str) -> NearValue:
    parts = [unescaped(part) for part in split(text, "|")]
    numbers = [_decimal(part) for part in parts[:3]]
    metres = _METRES.get(parts[3] if len(parts) == 4 else "km")
    latitude, longitude, distance = (*numbers, None, None)[:3]
    known = len(parts) in (2, 3, 4) and None not in numbers and metres is not None
    within = _NEAR if distance is None or metres is None else float(distance) * metres
    if (
        not known
        or latitude is None
        or longitude is None
        or abs(latitude) > 90
        or abs(longitude) > 180
        or not 0 <= within <= _FARTHEST
    ):
        raise BadRequest(
            f"{name} takes latitude|longitude, or latitude|longitude|distance|unit in km, m or mi: 48.84|2.36|5|km. No "
            "place is farther than 20000 km.",
            code="value",
        )
    return NearValue(float(longitude), float(latitude), within)


def _prefixed(text: str) -> tuple[str, str]:
    prefix = _PREFIX.match(text)
    return (prefix[1], text[2:]) if prefix else ("eq", text)


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text) if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        return None
    return number if number is not None and abs(number.adjusted()) < LARGEST_EXPONENT else None


def _half_a_unit(number: Decimal) -> Decimal:
    """Of the last digit that is given; 1e2 is from 95 to 105, as the specification has it."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - it is neither infinite nor no number
    return Decimal(5).scaleb(exponent - (2 if exponent > 0 else 1))


_TERMS: Mapping[Kind, Callable[[str, str], Part]] = {
    Kind.DATE: _date,
    Kind.NUMBER: _number,
    Kind.QUANTITY: _quantity,
    Kind.REFERENCE: lambda _, text: UriValue(unescaped(text)),
    Kind.SPECIAL: _near,
    Kind.STRING: lambda _, text: unescaped(text),
    Kind.TOKEN: _token,
    Kind.URI: lambda _, text: UriValue(unescaped(text)),
}
