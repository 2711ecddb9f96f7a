"""A parsed search as a MongoDB filter whose every part an index can serve.

Source: https://hl7.org/fhir/R4/search.html, sections on string, token, reference, uri and date (prefixes).
"""

from collections.abc import Iterator
from typing import Any

from fhir_ins.fhir.dates import Span, approximate
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.search import Criterion, DateValue, Search, TokenValue, UriValue
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_values import Token
from fhir_ins.store.keys import (
    DURATIONS,
    REFERENCE,
    code_key,
    date_key,
    string_key,
    system_key,
    token_key,
    uri_key,
)

Filter = dict[str, Any]

NOTHING: Filter = {"id": {"$in": []}}
_LAST = "\uffff"


def compiled(search: Search, *, reference: bool) -> list[Filter]:
    """One filter a criterion, all to match; `reference`: the caller may find a resource by its reference form."""
    return [_criterion(criterion, reference) for criterion in search.criteria]


def _criterion(criterion: Criterion, reference: bool) -> Filter:
    """What is asked exactly, under however many parameters, is one look into one index; all else is a range each."""
    if not criterion.values:
        return NOTHING
    names = [parameter.name for parameter in criterion.parameters]
    if names == ["_id"]:
        return {"id": {"$in": [value.code for value in criterion.values if isinstance(value, TokenValue)]}}
    exact = [_exact(name, value) for name in names for value in criterion.values if isinstance(value, _EXACT)]
    if exact:
        exact += [REFERENCE + key for key in exact] if reference else []
        return {"ix.token": exact[0] if len(exact) == 1 else {"$in": exact}}
    ranges = [
        found
        for parameter in criterion.parameters
        for value in criterion.values
        if not isinstance(value, _EXACT)
        for found in _ranges(parameter, value)
    ]
    return ranges[0] if len(ranges) == 1 else {"$or": ranges}


_EXACT = (TokenValue, UriValue)


def _exact(name: str, value: TokenValue | UriValue) -> str:
    if isinstance(value, UriValue):
        return uri_key(name, value.text)
    if value.code is None:
        return system_key(name, value.system or "")
    if value.system is None:
        return code_key(name, value.code)
    return token_key(name, Token(value.system or None, value.code))


def _ranges(parameter: SearchParameter, value: DateValue | str) -> Iterator[Filter]:
    """Filters any of which is to match."""
    if isinstance(value, DateValue):
        yield from _dates(parameter, value)
    elif folded := fold(value):
        start = string_key(parameter.name, folded)  # $elemMatch, or two strings of the array could meet one bound each
        yield {"ix.string": {"$elemMatch": {"$gte": start, "$lt": start + _LAST}}}
    else:
        yield NOTHING


def _dates(parameter: SearchParameter, value: DateValue) -> Iterator[Filter]:
    """Bounds of the target's span against the value's, prefix by prefix (search.html#prefix).

    The index is led by `low`; a condition on `high` implies one on it for the dates that last no longer than so long.
    """
    asked = value.span if value.prefix != "ap" else approximate(value.span)
    classes = range(len(DURATIONS) + 1 if parameter.lasting else 1)
    within = {"p": parameter.name, "low": {"$gte": asked.low, "$lt": asked.high}, "high": {"$lte": asked.high}}
    of_all: Any = {"$in": [date_key(parameter.name, duration) for duration in classes]}
    earlier = {"p": of_all, "low": {"$lt": asked.low}}
    match value.prefix:
        case "eq":
            conditions = [within]
        case "ne":
            conditions = [earlier, *_later(parameter.name, classes, asked)]
        case "gt":
            conditions = _later(parameter.name, classes, asked)
        case "lt":
            conditions = [earlier]
        case "ge":
            conditions = [within, *_later(parameter.name, classes, asked)]
        case "le":
            conditions = [within, earlier]
        case "sa":
            conditions = [{"p": of_all, "low": {"$gte": asked.high}}]
        case "eb":
            conditions = [{**earlier, "high": {"$lte": asked.low}}]
        case _:
            conditions = _ending_after(parameter.name, classes, asked.low, {"$lt": asked.high})
    for condition in conditions:
        yield {"ix.date": {"$elemMatch": condition}}


def _later(name: str, classes: range, asked: Span) -> list[Filter]:
    return _ending_after(name, classes, asked.high, {})


def _ending_after(name: str, classes: range, moment: int, low: Filter) -> list[Filter]:
    """The dates that end after a moment, class by class, so far as they start within `low`."""
    found = []
    for duration in classes:
        start = {**low, "$gt": moment - DURATIONS[duration]} if duration < len(DURATIONS) else low
        found.append({"p": date_key(name, duration), **({"low": start} if start else {}), "high": {"$gt": moment}})
    return found
