"""A parsed search as a MongoDB filter whose every part an index can serve.

Source: https://hl7.org/fhir/R4/search.html, the sections on each type of parameter, on prefixes and on modifiers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fhir_ins.fhir.dates import approximate
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
from fhir_ins.store.keys import both_form, code_form, composite_keys, decimal128, range_key, uri_key
from fhir_ins.store.places import NOTHING, Filter, Place, Sought

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What to find. `index`: the one that serves all of it, where one alone does.

    `bounded`: some criterion leads an index to what it finds; `unbounded` are the names of those that cannot.
    `judged` are the criteria that what is found may not meet: an encrypted store keeps the beginnings of texts only.
    """

    filter: Filter
    index: str | None
    bounded: bool
    unbounded: tuple[str, ...]
    judged: tuple[Criterion, ...] = ()


def compiled(search: Search, of: Place) -> Compiled:
    """Raises BadRequest where an encrypted store keeps no keys for what is asked."""
    criteria = sorted(search.criteria, key=_breadth)
    parts = [_criterion(criterion, of) for criterion in criteria]
    led = {part.index for part in parts if part.index}
    unbounded = tuple(
        criterion.parameters[0].name for criterion, part in zip(criteria, parts, strict=True) if not part.index
    )
    judged = tuple(criterion for criterion, part in zip(criteria, parts, strict=True) if not part.exact)
    here: Filter = {"tenant": of.tenant, "type": of.type}
    if not led & _OF_KEYS:  # what is deleted has no keys
        here["live"] = True
    index = next(iter(led), "list") if len(led) < 2 and led != {_SEVERAL} else None
    filters = [here, *(part.filter for part in sorted(parts, key=lambda part: not part.index))]
    return Compiled({"$and": filters}, index, bool(led), unbounded, judged)


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


def _criterion(criterion: Criterion, place: Place) -> Sought:
    """What is asked exactly, under however many parameters, is one look into one index; all else is a range each."""
    if not criterion.values:
        return Sought(NOTHING, "list")
    names = [parameter.name for parameter in criterion.parameters]
    if names == ["_id"]:
        return Sought(
            {"id": {"$in": [value.code for value in criterion.values if isinstance(value, TokenValue)]}}, "list"
        )
    if names == ["_lastUpdated"]:
        return Sought(
            _any([_updated(value) for value in criterion.values if isinstance(value, DateValue)]), "latest-of-type"
        )
    if criterion.modifier == "missing":
        return Sought(_missing(criterion, place), None)
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
            return Sought({"ix.token": {"$nin": keys}}, None)
        return Sought({"ix.token": keys[0] if len(keys) == 1 else {"$in": keys}}, "token")
    parts = [_one_of(part) for part in found]
    indexes = {part.index for part in parts}
    index = indexes.pop() if len(indexes) == 1 else _SEVERAL
    return Sought(_any([part.filter for part in parts]), index, all(part.exact for part in parts))


def _one_of(part: Sought) -> Sought:
    keys = part.filter.get("ix.token")
    return Sought({"ix.token": {"$in": keys}}, part.index) if isinstance(keys, list) else part


def _any(filters: Sequence[Filter]) -> Filter:
    """One of the filters is met; HMACs of strings are one look into their index."""
    if len(filters) == 1:
        return filters[0]
    strings = [found["ix.string"] for found in filters if len(found) == 1 and isinstance(found.get("ix.string"), bytes)]
    return {"ix.string": {"$in": strings}} if len(strings) == len(filters) else {"$or": list(filters)}


def _value(parameter: SearchParameter, modifier: str, value: SearchValue, place: Place) -> Iterator[Sought]:
    """Filters any of which is to match; the keys of exact ones are lists."""
    names = parameter.names
    match value:
        case TokenValue():
            yield Sought({"ix.token": place.tokens(f"{name}|{_form(value)}" for name in names)}, "token")
        case UriValue():
            yield from _uri(names, modifier, value.text, place)
        case DateValue():
            for name in names:
                yield from place.dates(name, value, lasting=parameter.lasting)
        case AmountValue():
            for name in names:
                for condition in _amounts(f"{name}|{_form(value)}", value):
                    yield Sought(place.within(condition), "range")
        case NearValue():
            around = [[value.longitude, value.latitude], value.metres / EARTH]
            yield Sought({"ix.near": {"$geoWithin": {"$centerSphere": around}}}, "near")
        case CompositeValue():
            for name in names:
                yield from _composite(name, parameter.components, value.parts, place)
        case str():
            for name in names:
                yield place.string(name, modifier, value)


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


def _uri(names: Sequence[str], modifier: str, text: str, place: Place) -> Iterator[Sought]:
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
        yield from place.below(uri_key(name, f"{plain}/") for name in names)
    yield Sought({"ix.token": place.tokens(uri_key(name, one) for name in names for one in asked)}, "token")


def _missing(criterion: Criterion, place: Place) -> Filter:
    """Whether there is no key under the parameter, of whatever kind."""
    if len(set(criterion.values)) == 2:
        return {}
    present: list[Filter] = []
    for parameter in criterion.parameters:
        for name in parameter.names:
            present += place.present(name, parameter.kind)
        for modified in parameter.modified.values():  # a code that is but a text, a reference that is but an identifier
            present += place.present(modified.name, modified.kind)
    return {"$nor": present} if criterion.values[0] else {"$or": present}


def _composite(name: str, kinds: Sequence[Kind], parts: Sequence[Part], place: Place) -> Iterator[Sought]:
    """The key of its parts, as far as it is exact; the bounds of its ranges beside it."""
    if kinds[-1] is Kind.STRING:
        folded = fold(str(parts[-1]))
        forms = [[_form(part)] for part in parts[:-1]]
        for key in composite_keys(name, [*forms, [folded]]):
            yield place.composed(key) if folded else Sought(NOTHING, "string")
        return
    for key in composite_keys(name, [[_form(part)] for part in parts]):
        ranged = [part for part in parts if isinstance(part, AmountValue | DateValue)]
        if not ranged:
            yield Sought({"ix.token": place.tokens([key])}, "token")
            return
        first, *others = ranged
        conditions = _amounts(key, first) if isinstance(first, AmountValue) else _spans(key, first)
        beside = [_second(other) for other in others]
        for condition in conditions:
            yield Sought(place.within(condition, beside), "range")


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
