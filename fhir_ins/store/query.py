"""A parsed search as a MongoDB filter whose every part an index can serve.

Source: https://hl7.org/fhir/R4/search.html, the sections on each type of parameter, on prefixes and on modifiers.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_ins.fhir.dates import Span, approximate
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.matching import EARTH, approximately
from fhir_ins.fhir.search import Criterion, Search
from fhir_ins.fhir.search_parameters import SearchParameter
from fhir_ins.fhir.search_terms import (
    AmountValue,
    CompositeValue,
    DateValue,
    NearValue,
    Part,
    SearchValue,
    TokenValue,
    UriValue,
)
from fhir_ins.fhir.search_values import Kind
from fhir_ins.store.keys import (
    DURATIONS,
    LONGEST_PART,
    REFERENCE,
    both_form,
    code_form,
    composite_keys,
    date_key,
    decimal128,
    exact_key,
    range_key,
    string_key,
    uri_key,
)

Filter = dict[str, Any]

NOTHING: Filter = {"id": {"$in": []}}
_LAST = "\uffff"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What to find. `index`: the one that serves all of it, where one alone does.

    `bounded`: some criterion leads an index to what it finds; `unbounded` are the names of those that cannot.
    """

    filter: Filter
    index: str | None
    bounded: bool
    unbounded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """The filter of a criterion, and the index it leads; None: it only leaves out."""

    filter: Filter
    index: str | None


def compiled(search: Search, tenant: str, type_: str, *, reference: bool) -> Compiled:
    """`reference`: the caller may find a resource by its reference form."""
    of = _Place(tenant, type_, reference)
    criteria = sorted(search.criteria, key=_breadth)
    parts = [_criterion(criterion, of) for criterion in criteria]
    led = {part.index for part in parts if part.index}
    unbounded = tuple(
        criterion.parameters[0].name for criterion, part in zip(criteria, parts, strict=True) if not part.index
    )
    here: Filter = {"tenant": tenant, "type": type_}
    if not led & _OF_KEYS:  # what is deleted has no keys
        here["live"] = True
    index = next(iter(led), "list") if len(led) < 2 and led != {_SEVERAL} else None
    filters = [here, *(part.filter for part in sorted(parts, key=lambda part: not part.index))]
    return Compiled({"$and": filters}, index, bool(led), unbounded)


def _breadth(criterion: Criterion) -> int:
    """Of several ranges in one array MongoDB starts from the first: what ends goes before what does not, a long name
    before a short one.
    """
    match criterion.values:
        case (str() as text, *_):
            return -len(text)
        case (DateValue() | AmountValue() as value, *_) if value.prefix not in ("eq", "ap"):
            return 1
    return 0


_SEVERAL = "several"
_OF_KEYS = frozenset({"token", "string", "part", "range", "near", _SEVERAL})


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose resources are searched, of what type, and by which forms."""

    tenant: str
    type: str
    reference: bool

    def tokens(self, keys: Iterable[str]) -> list[str]:
        """The keys as they stand in `ix.token`."""
        before = f"{self.tenant}/{self.type}|"
        marks = ("", REFERENCE) if self.reference else ("",)
        return [f"{before}{mark}{key}" for key in keys for mark in marks]


def _criterion(criterion: Criterion, place: _Place) -> _Part:
    """What is asked exactly, under however many parameters, is one look into one index; all else is a range each."""
    if not criterion.values:
        return _Part(NOTHING, "list")
    names = [parameter.name for parameter in criterion.parameters]
    if names == ["_id"]:
        return _Part(
            {"id": {"$in": [value.code for value in criterion.values if isinstance(value, TokenValue)]}}, "list"
        )
    if names == ["_lastUpdated"]:
        return _Part(
            _any([_updated(value) for value in criterion.values if isinstance(value, DateValue)]), "latest-of-type"
        )
    if criterion.modifier == "missing":
        return _Part(_missing(criterion, place), None)
    found = [
        part
        for parameter in criterion.parameters
        for value in criterion.values
        for part in _value(parameter, criterion.modifier, value, place)
    ]
    exact = [part.filter["ix.token"] for part in found if part.index == "token"]
    if len(exact) == len(found) and all(isinstance(key, list) for key in exact):
        keys = sorted({key for keys in exact for key in keys})
        if criterion.modifier == "not":
            return _Part({"ix.token": {"$nin": keys}}, None)
        return _Part({"ix.token": keys[0] if len(keys) == 1 else {"$in": keys}}, "token")
    parts = [_one_of(part) for part in found]
    indexes = {part.index for part in parts}
    return _Part(_any([part.filter for part in parts]), indexes.pop() if len(indexes) == 1 else _SEVERAL)


def _one_of(part: _Part) -> _Part:
    keys = part.filter.get("ix.token")
    return _Part({"ix.token": {"$in": keys}}, part.index) if isinstance(keys, list) else part


def _any(filters: Sequence[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else {"$or": list(filters)}


def _value(parameter: SearchParameter, modifier: str, value: SearchValue, place: _Place) -> Iterator[_Part]:
    """Filters any of which is to match; the keys of exact ones are lists."""
    names = parameter.names
    match value:
        case TokenValue():
            yield _Part({"ix.token": place.tokens(f"{name}|{_form(value)}" for name in names)}, "token")
        case UriValue():
            yield from _uri(names, modifier, value.text, place)
        case DateValue():
            for name in names:
                for condition in _dates(name, value, lasting=parameter.lasting):
                    yield _Part({"ix.range": {"$elemMatch": condition}}, "range")
        case AmountValue():
            for name in names:
                for condition in _amounts(f"{name}|{_form(value)}", value):
                    yield _Part({"ix.range": {"$elemMatch": condition}}, "range")
        case NearValue():
            around = [[value.longitude, value.latitude], value.metres / EARTH]
            yield _Part({"ix.near": {"$geoWithin": {"$centerSphere": around}}}, "near")
        case CompositeValue():
            for name in names:
                yield from _composite(name, parameter.components, value.parts, place)
        case str():
            for name in names:
                yield _string(name, modifier, value, place)


def _form(value: Part) -> str:
    """How a key says what is asked: of a token, of a unit, of a reference."""
    match value:
        case TokenValue(system, None):
            return f"system|{system}"
        case TokenValue(None, str() as code):
            return code_form(code)
        case TokenValue(system, code):
            return both_form(system, code)
        case UriValue(text):
            return f"uri|{text}"
        case AmountValue(unit=str() as unit):
            return both_form(value.system, unit) if value.system else code_form(unit)
    return ""


def _uri(names: Sequence[str], modifier: str, text: str, place: _Place) -> Iterator[_Part]:
    """Above and below by whole segments of the path."""
    plain = text.rstrip("/")
    asked = [text]
    if modifier == "above":
        scheme, _, path = plain.partition("://")
        segments = path.split("/")
        ups = [f"{scheme}://{'/'.join(segments[:length])}" for length in range(1, len(segments) + 1)]
        asked = [up + end for up in ups for end in ("", "/")]
    if modifier == "below":
        asked = [plain]
        for start in place.tokens(uri_key(name, f"{plain}/") for name in names):
            yield _Part({"ix.token": {"$elemMatch": {"$gte": start, "$lt": start + _LAST}}}, "token")
    yield _Part({"ix.token": place.tokens(uri_key(name, one) for name in names for one in asked)}, "token")


def _string(name: str, modifier: str, text: str, place: _Place) -> _Part:
    folded = fold(text)
    if modifier == "exact":
        return _Part({"ix.string": string_key(name, folded), "ix.exact": exact_key(name, text)}, "string")
    if not folded:
        return _Part(NOTHING, "string")
    if modifier == "contains":
        part: Filter = {"ix.part": _starting(string_key(name, folded[:LONGEST_PART]))}
        if len(folded) > LONGEST_PART:
            part["ix.string"] = {"$regex": f"^{re.escape(name)}\\|.*{folded}"}
        return _Part(part, "part")
    start = string_key(name, folded)
    if place.reference and name.endswith(":text"):
        return _Part({"$or": [{"ix.string": _starting(mark + start)} for mark in ("", REFERENCE)]}, "string")
    return _Part({"ix.string": _starting(start)}, "string")


def _starting(start: str) -> Filter:
    """An anchored expression, whose bounds in an index are exact."""
    return {"$regex": f"^{re.escape(start)}"}


def _missing(criterion: Criterion, place: _Place) -> Filter:
    """Whether there is no key under the parameter, of whatever kind."""
    if len(set(criterion.values)) == 2:
        return {}
    present: list[Filter] = []
    for parameter in criterion.parameters:
        for name in parameter.names:
            present += _present(name, parameter.kind, place)
    return {"$nor": present} if criterion.values[0] else {"$or": present}


def _present(name: str, kind: Kind, place: _Place) -> list[Filter]:
    if kind is Kind.SPECIAL:
        return [{"ix.near": {"$exists": True}}]
    if kind is Kind.STRING:
        return [{"ix.string": _starting(f"{name}|")}]
    if kind is Kind.DATE:
        return [{"ix.range.p": {"$in": [date_key(name, duration) for duration in range(len(DURATIONS) + 1)]}}]
    if kind in (Kind.NUMBER, Kind.QUANTITY):
        return [{"ix.range.p": {"$in": [range_key(f"{name}|", ranged=ranged) for ranged in (False, True)]}}]
    return [{"ix.token": _starting(start)} for start in place.tokens([f"{name}|"])]


def _composite(name: str, kinds: Sequence[Kind], parts: Sequence[Part], place: _Place) -> Iterator[_Part]:
    """The key of its parts, as far as it is exact; the bounds of its ranges beside it."""
    if kinds[-1] is Kind.STRING:
        folded = fold(str(parts[-1]))
        forms = [[_form(part)] for part in parts[:-1]]
        for key in composite_keys(name, [*forms, [folded]]):
            yield _Part({"ix.string": _starting(key)} if folded else NOTHING, "string")
        return
    for key in composite_keys(name, [[_form(part)] for part in parts]):
        ranged = [part for part in parts if isinstance(part, AmountValue | DateValue)]
        if not ranged:
            yield _Part({"ix.token": place.tokens([key])}, "token")
            return
        first, *others = ranged
        conditions = _amounts(key, first) if isinstance(first, AmountValue) else _spans(key, first)
        beside = [_second(other) for other in others]
        for condition in conditions:
            yield _Part({"ix.range": {"$elemMatch": {"$and": [condition, *beside]} if beside else condition}}, "range")


def _second(value: Part) -> Filter:
    """The bounds of a composite's second range."""
    assert isinstance(value, AmountValue)  # noqa: S101 - R4 has no other
    either = [{**({"low2": low} if low else {}), **({"high2": high} if high else {})} for low, high in _bounds(value)]
    return either[0] if len(either) == 1 else {"$or": either}


# Numbers


def _amounts(key: str, value: AmountValue) -> Iterator[Filter]:
    """Points and ranges apart: what is asked of the end of a point is asked of its start."""
    for low, high in _bounds(value):
        yield {"p": range_key(key, ranged=False), "low": {**high, **low}}
        yield {"p": range_key(key, ranged=True), **({"low": low} if low else {}), **({"high": high} if high else {})}


def _bounds(value: AmountValue) -> list[tuple[Filter, Filter]]:
    """What may hold of low and of high, one of these, prefix by prefix (search.html#prefix)."""
    number, start, end = decimal128(value.number), decimal128(value.low), decimal128(value.high)
    match value.prefix:
        case "eq":
            return [({"$gte": start, "$lt": end}, {"$lt": end})]
        case "ne":
            return [({"$lt": start}, {}), ({}, {"$gte": end})]
        case "gt":
            return [({}, {"$gt": number})]
        case "lt":
            return [({"$lt": number}, {})]
        case "ge":
            return [({}, {"$gte": number})]
        case "le":
            return [({"$lte": number}, {})]
        case "sa":
            return [({"$gt": number}, {})]
        case "eb":
            return [({"$lt": number}, {"$lt": number})]
    least, most = approximately(value)
    return [({"$lte": decimal128(most)}, {"$gte": decimal128(least)})]


# Dates


def _updated(value: DateValue) -> Filter:
    """When a resource was written is a moment of its document's own."""
    asked = value.span if value.prefix != "ap" else approximate(value.span)
    low, high = _moment(asked.low), _moment(asked.high)
    match value.prefix:
        case "ne":
            return {"$or": [{"updated": {"$lt": low}}, {"updated": {"$gte": high}}]}
        case "gt" | "sa":
            return {"updated": {"$gte": high}}
        case "lt" | "eb":
            return {"updated": {"$lt": low}}
        case "ge":
            return {"updated": {"$gte": low}}
        case "le":
            return {"updated": {"$lt": high}}
    return {"updated": {"$gte": low, "$lt": high}}


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=max(min(milliseconds, _LATEST), -_LATEST // 8))


def _dates(name: str, value: DateValue, *, lasting: bool) -> list[Filter]:
    """Bounds of the target's span against the value's, prefix by prefix (search.html#prefix).

    The index is led by `low`; a condition on `high` implies one on it for the dates that last no longer than so long.
    """
    asked = value.span if value.prefix != "ap" else approximate(value.span)
    classes = range(len(DURATIONS) + 1 if lasting else 1)
    of_all: Any = {"$in": [date_key(name, duration) for duration in classes]}
    within = {"p": name, "low": {"$gte": asked.low, "$lt": asked.high}, "high": {"$lte": asked.high}}
    earlier = {"p": of_all, "low": {"$lt": asked.low}}
    match value.prefix:
        case "eq":
            return [within]
        case "ne":
            return [earlier, *_later(name, classes, asked)]
        case "gt":
            return _later(name, classes, asked)
        case "lt":
            return [earlier]
        case "ge":
            return [within, *_later(name, classes, asked)]
        case "le":
            return [within, earlier]
        case "sa":
            return [{"p": of_all, "low": {"$gte": asked.high}}]
        case "eb":
            return [{**earlier, "high": {"$lte": asked.low}}]
    return _ending_after(name, classes, asked.low, {"$lt": asked.high})


def _later(name: str, classes: range, asked: Span) -> list[Filter]:
    return _ending_after(name, classes, asked.high, {})


def _ending_after(name: str, classes: range, moment: int, low: Filter) -> list[Filter]:
    """The dates that end after a moment, class by class, so far as they start within `low`."""
    found = []
    for duration in classes:
        start = {**low, "$gt": moment - DURATIONS[duration]} if duration < len(DURATIONS) else low
        found.append({"p": date_key(name, duration), **({"low": start} if start else {}), "high": {"$gt": moment}})
    return found


def _spans(key: str, value: DateValue) -> list[Filter]:
    """The dates of a composite, which stand by no class of durations."""
    asked = value.span if value.prefix != "ap" else approximate(value.span)
    of = range_key(key, ranged=True)
    within = {"p": of, "low": {"$gte": asked.low, "$lt": asked.high}, "high": {"$lte": asked.high}}
    earlier, later = {"p": of, "low": {"$lt": asked.low}}, {"p": of, "high": {"$gt": asked.high}}
    bounds: dict[str, list[Filter]] = {
        "eq": [within],
        "ne": [earlier, later],
        "gt": [later],
        "lt": [earlier],
        "ge": [within, later],
        "le": [within, earlier],
        "sa": [{"p": of, "low": {"$gte": asked.high}}],
        "eb": [{**earlier, "high": {"$lte": asked.low}}],
        "ap": [{"p": of, "low": {"$lt": asked.high}, "high": {"$gt": asked.low}}],
    }
    return bounds[value.prefix]
