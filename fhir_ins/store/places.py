"""Where a search looks for its values: the keys of one tenant and type, as they stand in `ix`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_ins.fhir.dates import Span, approximate
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.search_terms import DateValue
from fhir_ins.fhir.search_values import Kind
from fhir_ins.store.keys import (
    DURATIONS,
    LONGEST_PART,
    REFERENCE,
    date_key,
    exact_key,
    place_of,
    range_key,
    string_key,
)

Filter = dict[str, Any]

NOTHING: Filter = {"id": {"$in": []}}
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Sought:
    """The filter of a criterion, and the index it leads; None: it only leaves out.

    Not `exact`: it may find more than was meant, never less, so that what is found is to be judged.
    """

    filter: Filter
    index: str | None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Whose resources are searched, of what type, and by which forms (`reference`: the reference form too)."""

    tenant: str
    type: str
    reference: bool

    @property
    def marks(self) -> tuple[str, ...]:
        """Before the keys that are looked for."""
        return ("", REFERENCE) if self.reference else ("",)

    @property
    def start(self) -> str:
        """What leads the tokens that are kept in clear."""
        return f"{place_of(self.tenant, self.type)}|"

    def tokens(self, keys: Iterable[str]) -> list[Any]:
        """The keys as they stand in `ix.token`."""
        return [f"{self.start}{mark}{key}" for key in keys for mark in self.marks]

    def below(self, keys: Iterable[str]) -> Iterator[Sought]:
        """What begins with the URLs of these keys, each of which ends with a slash."""
        for start in self.tokens(keys):
            yield Sought({"ix.token": {"$elemMatch": {"$gte": start, "$lt": start + _LAST}}}, "token")

    def string(self, name: str, modifier: str, text: str) -> Sought:
        """A string as its modifier compares it."""
        folded = fold(text)
        if modifier == "exact":
            return Sought({"ix.string": string_key(name, folded), "ix.exact": exact_key(name, text)}, "string")
        if not folded:
            return Sought(NOTHING, "string")
        if modifier == "contains":
            part: Filter = {"ix.part": _starting(string_key(name, folded[:LONGEST_PART]))}
            if len(folded) > LONGEST_PART:
                part["ix.string"] = {"$regex": f"^{re.escape(name)}\\|.*{folded}"}
            return Sought(part, "part")
        start = string_key(name, folded)
        if self.reference and name.endswith(":text"):
            return Sought({"$or": [{"ix.string": _starting(mark + start)} for mark in self.marks]}, "string")
        return self.starting(start)

    def starting(self, key: str) -> Sought:
        """What begins with a string's key."""
        return Sought({"ix.string": _starting(key)}, "string")

    def composed(self, key: str) -> Sought:
        """What begins with the key of a composite, whose code may be what no expression can hold."""
        return Sought({"ix.string": {"$elemMatch": {"$gte": key, "$lt": key + _LAST}}}, "string")

    def present(self, name: str, kind: Kind) -> list[Filter]:
        """Filters any of which says that there is a value under a parameter."""
        if kind is Kind.SPECIAL:
            return [{"ix.near": {"$exists": True}}]
        if kind is Kind.STRING:
            return [{"ix.string": _starting(f"{mark}{name}|")} for mark in self.marks]
        if kind is Kind.DATE:
            return [{"ix.range.p": {"$in": date_keys(name)}}]
        if kind in (Kind.NUMBER, Kind.QUANTITY):
            return [{"ix.range.p": {"$in": number_keys(name)}}]
        return [{"ix.token": _starting(start)} for start in self.tokens([f"{name}|"])]

    def dates(self, name: str, value: DateValue, *, lasting: bool) -> Iterator[Sought]:
        """The dates under a parameter; `lasting`: they may last longer than a year."""
        for condition in _dates(name, value, lasting=lasting):
            yield Sought(self.within(condition), "range")

    def within(self, condition: Filter, beside: Sequence[Filter] = ()) -> Filter:
        """A range that meets these conditions; the first names it, by `p`."""
        named = {**condition, "p": self._named(condition["p"])}
        return {"ix.range": {"$elemMatch": {"$and": [named, *beside]} if beside else named}}

    def _named(self, p: Any) -> Any:
        return {"$in": self.ranges(p["$in"])} if isinstance(p, dict) else self.ranges([p])[0]

    def ranges(self, keys: Iterable[str]) -> list[Any]:
        """The names of ranges as they stand in `ix.range.p`."""
        return list(keys)

    def require_order(self, name: str, kind: Kind) -> None:
        """Raise BadRequest where the keys under a parameter cannot be put in order: here all can."""


def date_keys(name: str) -> list[str]:
    """Under which the dates of a parameter stand."""
    return [date_key(name, duration) for duration in range(len(DURATIONS) + 1)]


def number_keys(name: str) -> list[str]:
    """Under which the numbers of a parameter stand, of any unit."""
    return [range_key(f"{name}|", ranged=ranged) for ranged in (False, True)]


def _starting(start: str) -> Filter:
    """An anchored expression, whose bounds in an index are exact."""
    return {"$regex": f"^{re.escape(start)}"}


# Dates


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
