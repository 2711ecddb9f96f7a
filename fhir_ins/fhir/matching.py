"""Whether keys match a search: what `store.query` asks of MongoDB, asked of what is held in memory.

Source: https://hl7.org/fhir/R4/search.html, sections on string, token, reference, uri and date (prefixes).
"""

from collections.abc import Callable, Mapping

from fhir_ins.fhir.dates import Span, approximate
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.search import DateValue, Search, SearchValue, TokenValue, UriValue
from fhir_ins.fhir.search_parameters import Keys
from fhir_ins.fhir.search_values import Token


def matches(keys: Keys, search: Search) -> bool:
    """Whether all criteria match, each by any of its values under any of its parameters."""
    return all(
        any(_matches(keys, parameter.name, value) for parameter in criterion.parameters for value in criterion.values)
        for criterion in search.criteria
    )


def _matches(keys: Keys, name: str, value: SearchValue) -> bool:
    if isinstance(value, TokenValue):
        return any(_is(value, token) for of, token in keys.tokens if of == name)
    if isinstance(value, UriValue):
        return (name, value.text) in keys.uris
    if isinstance(value, DateValue):
        return any(_PREFIXES[value.prefix](value.span, span) for of, span in keys.dates if of == name)
    start = fold(value)
    return bool(start) and any(text.startswith(start) for of, text in keys.strings if of == name)


def _is(asked: TokenValue, token: Token) -> bool:
    system = asked.system is None or asked.system == (token.system or "")
    return system and asked.code in (token.code, None)


def _within(asked: Span, found: Span) -> bool:
    return asked.low <= found.low and found.high <= asked.high


_PREFIXES: Mapping[str, Callable[[Span, Span], bool]] = {
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
