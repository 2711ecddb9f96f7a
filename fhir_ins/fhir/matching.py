"""Whether keys match a search: what `store.query` asks of MongoDB, asked of what is held in memory.

Source: https://hl7.org/fhir/R4/search.html, the sections on each type of parameter, on prefixes and on modifiers.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from math import asin, cos, radians, sin, sqrt
from typing import Any

from fhir_ins.fhir.dates import Span, approximate
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.search import Criterion, Search
from fhir_ins.fhir.search_parameters import Keys, Resource
from fhir_ins.fhir.search_terms import (
    AmountValue,
    CompositeValue,
    DateValue,
    NearValue,
    SearchValue,
    TokenValue,
    UriValue,
)
from fhir_ins.fhir.search_values import Amount, Position, Token

EARTH = 6_378_100.0  # metres, as MongoDB has it
_TENTH = Decimal("0.1")


def matches(keys: Keys, search: Search) -> bool:
    """Whether all criteria match, each by any of its values under any of its parameters."""
    return all(_meets(keys, criterion) for criterion in search.criteria)


def _meets(keys: Keys, criterion: Criterion) -> bool:
    names = {name for parameter in criterion.parameters for name in parameter.names}
    if criterion.modifier == "missing":
        names |= {modified.name for parameter in criterion.parameters for modified in parameter.modified.values()}
        present = any(True for _ in values_under(keys, names))
        return any(asked is not present for asked in criterion.values)
    found = list(values_under(keys, names))
    met = any(_is(criterion.modifier, asked, value) for asked in criterion.values for value in found)
    return met is not (criterion.modifier == "not")


def is_met(criterion: Criterion, resource: Resource) -> bool:
    """Whether a resource meets a criterion that asks for values, neither `not` nor `missing`."""
    found = [value for parameter in criterion.parameters for value in parameter.values(resource)]
    return any(_is(criterion.modifier, asked, value) for asked in criterion.values for value in found)


def values_under(keys: Keys, names: set[str]) -> Iterable[Any]:
    """The values under parameters of these names."""
    for among in (keys.tokens, keys.strings, keys.dates, keys.uris, keys.amounts, keys.positions):
        yield from (value for of, value in among if of in names)
    yield from (value for of, _, value in keys.composites if of in names)


def value_of_sort(value: Any) -> Any:
    """What a resource is sorted by: where a span or an amount starts, a token's code, a string's letters."""
    if isinstance(value, Span | Amount):
        return value.low
    if isinstance(value, Token):
        return value.code
    return fold(value)


def _is(modifier: str, asked: SearchValue, value: Any) -> bool:
    match asked:
        case TokenValue():
            return _is_token(asked, value)
        case UriValue():
            return _is_uri(modifier, asked.text, value)
        case DateValue():
            return DATES[asked.prefix](asked.span, value)
        case AmountValue():
            return _has_unit(asked, value) and AMOUNTS[asked.prefix](asked, value)
        case NearValue():
            return _distance(asked, value) <= asked.metres
        case CompositeValue():
            return all(_is("", part, found) for part, found in zip(asked.parts, value, strict=True))
        case str():
            return _is_string(modifier, asked, value)
    return False


def _is_token(asked: TokenValue, token: Token) -> bool:
    system = asked.system is None or asked.system == (token.system or "")
    return system and asked.code in (token.code, None)


def _is_string(modifier: str, asked: str, value: str) -> bool:
    if modifier == "exact":
        return asked == value
    start, text = fold(asked), fold(value)
    return bool(start) and (start in text if modifier == "contains" else text.startswith(start))


def _is_uri(modifier: str, asked: str, value: str) -> bool:
    """Above and below by whole segments of the path."""
    mine, theirs = f"{value.rstrip('/')}/", f"{asked.rstrip('/')}/"
    if modifier == "below":
        return mine.startswith(theirs)
    if modifier == "above":
        return theirs.startswith(mine)
    return asked == value


def _has_unit(asked: AmountValue, amount: Amount) -> bool:
    if asked.unit is None:
        return True
    if asked.system is None:
        return asked.unit in (amount.code, amount.unit)
    return (asked.system, asked.unit) == (amount.system, amount.code)


def _distance(asked: NearValue, position: Position) -> float:
    """Metres along the sphere (haversine)."""
    south, north = radians(asked.latitude), radians(position.latitude)
    east = radians(position.longitude - asked.longitude)
    half = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin(east / 2) ** 2
    return 2 * EARTH * asin(sqrt(half))


def approximately(asked: AmountValue) -> tuple[Decimal, Decimal]:
    """A tenth more and less, as the specification recommends for `ap`."""
    margin = abs(asked.number) * _TENTH
    return asked.number - margin, asked.number + margin


def _within(asked: Span, found: Span) -> bool:
    return asked.low <= found.low and found.high <= asked.high


def _means(asked: AmountValue, found: Amount) -> bool:
    return asked.low <= found.low and found.high < asked.high


DATES: Mapping[str, Callable[[Span, Span], bool]] = {
    "eq": _within,
    "ne": lambda asked, found: not _within(asked, found),
    "gt": lambda asked, found: found.high > asked.high,
    "lt": lambda asked, found: found.low < asked.low,
    "ge": lambda asked, found: found.high > asked.high or _within(asked, found),
    "le": lambda asked, found: found.low < asked.low or _within(asked, found),
    "sa": lambda asked, found: found.low >= asked.high,
    "eb": lambda asked, found: found.high <= asked.low,
    "ap": lambda asked, found: found.low < approximate(asked).high and found.high > approximate(asked).low,
}
# But for eq and ne, precision is not looked at; ap overlaps.
AMOUNTS: Mapping[str, Callable[[AmountValue, Amount], bool]] = {
    "eq": _means,
    "ne": lambda asked, found: not _means(asked, found),
    "gt": lambda asked, found: found.high > asked.number,
    "lt": lambda asked, found: found.low < asked.number,
    "ge": lambda asked, found: found.high >= asked.number,
    "le": lambda asked, found: found.low <= asked.number,
    "sa": lambda asked, found: found.low > asked.number,
    "eb": lambda asked, found: found.high < asked.number,
    "ap": lambda asked, found: found.low <= approximately(asked)[1] and found.high >= approximately(asked)[0],
}
