"""A parsed search as a MongoDB filter whose every part an index can serve.

Source: https://hl7.org/fhir/R4/search.html, sections on string, token and date (prefixes).
"""

from typing import Any

from fhir_ins.fhir.dates import approximate
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.search import Criterion, DateValue, Search, TokenValue
from fhir_ins.fhir.search_parameters import Token
from fhir_ins.store.keys import REFERENCE, code_key, string_key, system_key, token_key

Filter = dict[str, Any]

NOTHING: Filter = {"id": {"$in": []}}
_LAST = "\uffff"
_LONGEST = 366 * 86_400_000  # milliseconds of a leap year, the longest span of a date


def compiled(search: Search, *, reference: bool) -> list[Filter]:
    """One filter a criterion, all to match; `reference`: the caller may find a resource by its reference form."""
    return [_criterion(criterion, reference) for criterion in search.criteria]


def _criterion(criterion: Criterion, reference: bool) -> Filter:
    name = criterion.parameter.name
    if name == "_id":
        return {"id": {"$in": [value.code for value in criterion.values if isinstance(value, TokenValue)]}}
    tokens = [_token(name, value) for value in criterion.values if isinstance(value, TokenValue)]
    if tokens:
        tokens += [REFERENCE + key for key in tokens] if reference else []
        return {"ix.token": tokens[0] if len(tokens) == 1 else {"$in": tokens}}
    others = [_ranged(name, value) for value in criterion.values if not isinstance(value, TokenValue)]
    return others[0] if len(others) == 1 else {"$or": others}


def _token(name: str, value: TokenValue) -> str:
    if value.code is None:
        return system_key(name, value.system or "")
    if value.system is None:
        return code_key(name, value.code)
    return token_key(name, Token(value.system or None, value.code))


def _ranged(name: str, value: DateValue | str) -> Filter:
    if isinstance(value, DateValue):
        return _date(name, value)
    folded = fold(value)
    if not folded:
        return NOTHING
    start = string_key(name, folded)  # $elemMatch, or two strings of the array could meet one bound each
    return {"ix.string": {"$elemMatch": {"$gte": start, "$lt": start + _LAST}}}


def _date(name: str, value: DateValue) -> Filter:
    """Bounds of the target's span against the value's, prefix by prefix (search.html#prefix).

    Each condition on `high` implies one on `low`, because no date covers more than a year: the index is led by `low`.
    """
    asked = value.span if value.prefix != "ap" else approximate(value.span)
    within = {"low": {"$gte": asked.low, "$lt": asked.high}, "high": {"$lte": asked.high}}
    later = {"low": {"$gt": asked.high - _LONGEST}, "high": {"$gt": asked.high}}
    earlier = {"low": {"$lt": asked.low}}
    conditions: dict[str, list[Filter]] = {
        "eq": [within],
        "ne": [earlier, later],
        "gt": [later],
        "lt": [earlier],
        "ge": [later, within],
        "le": [earlier, within],
        "sa": [{"low": {"$gte": asked.high}}],
        "eb": [{"low": {"$lt": asked.low}, "high": {"$lte": asked.low}}],
        "ap": [{"low": {"$gt": asked.low - _LONGEST, "$lt": asked.high}, "high": {"$gt": asked.low}}],
    }
    found = [{"ix.date": {"$elemMatch": {"p": name, **condition}}} for condition in conditions[value.prefix]]
    return found[0] if len(found) == 1 else {"$or": found}
