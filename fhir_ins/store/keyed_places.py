"""Where a search of an encrypted store looks: HMACs of what is asked for, made as `store.keyed_search` makes them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.outcome import BadRequest
from fhir_ins.fhir.search_terms import DateValue
from fhir_ins.fhir.search_values import Kind
from fhir_ins.store.keyed_search import (
    GRAM,
    IDENTIFYING_DATES,
    LONGEST_PREFIX,
    below_text,
    date_text,
    exact_text,
    gram_text,
    is_label,
    period_of,
    prefix_text,
    present_text,
    range_text,
    start_of_text,
    token_text,
)
from fhir_ins.store.keys import exact_key, string_key
from fhir_ins.store.places import NOTHING, Filter, Place, Sought

# What such a store is not asked, as its CapabilityStatement says it.
LIMITS = (
    "This server encrypts its store: _sort takes _lastUpdated, _id, dates, numbers and quantities, no names, texts, "
    "codes or references; birthdate and death-date are searched for by a whole year, month or day, without a prefix, "
    "and not sorted by."
)
# From the most frequent letter of French on; digits and others come after.
_LETTERS = "EASINTRLUODCPMVGFBQHXJYZKW"
_ORDERED = frozenset({Kind.DATE, Kind.NUMBER, Kind.QUANTITY})


@dataclass(frozen=True, slots=True)
class KeyedPlace(Place):
    """A place of an encrypted store; `keyed` is the tenant's HMAC."""

    keyed: Callable[[str], bytes]

    def tokens(self, keys: Iterable[str]) -> list[Any]:
        marked = [f"{mark}{key}" for key in keys for mark in self.marks]
        return [self.start + key if is_label(key) else self.keyed(token_text(self.type, key)) for key in marked]

    def below(self, keys: Iterable[str]) -> Iterator[Sought]:
        named = [key.split("|", 2) for key in keys]
        texts = [below_text(self.type, f"{mark}{name}", path) for name, _, path in named for mark in self.marks]
        yield Sought({"ix.token": [self.keyed(text) for text in texts]}, "token")

    def string(self, name: str, modifier: str, text: str) -> Sought:
        if modifier == "exact":
            return Sought({"ix.string": self.keyed(exact_text(self.type, exact_key(name, text)))}, "string")
        folded = fold(text)
        if not folded:
            return Sought(NOTHING, "string")
        if modifier == "contains":
            grams = {folded[start : start + GRAM] for start in range(len(folded) - GRAM + 1)}
            keys = [self.keyed(gram_text(self.type, string_key(name, gram))) for gram in sorted(grams, key=_rarity)]
            return Sought({"ix.part": {"$all": keys}}, "part", exact=len(folded) == GRAM)
        key = string_key(name, folded)
        if self.reference and name.endswith(":text"):
            found = [self.starting(mark + key) for mark in self.marks]
            strings = [one.filter["ix.string"] for one in found]
            return Sought({"ix.string": {"$in": strings}}, "string", all(one.exact for one in found))
        return self.starting(key)

    def starting(self, key: str) -> Sought:
        """By as much of the beginning as is kept."""
        kept = key[: start_of_text(key) + LONGEST_PREFIX]
        return Sought({"ix.string": self.keyed(prefix_text(self.type, kept))}, "string", exact=kept == key)

    def composed(self, key: str) -> Sought:
        return self.starting(key)

    def present(self, name: str, kind: Kind) -> list[Filter]:
        if kind is Kind.SPECIAL:
            return Place.present(self, name, kind)
        return [{"ix.has": {"$in": [self.keyed(present_text(self.type, f"{mark}{name}")) for mark in self.marks]}}]

    def dates(self, name: str, value: DateValue, *, lasting: bool) -> Iterator[Sought]:
        if (self.type, name) not in IDENTIFYING_DATES:
            yield from Place.dates(self, name, value, lasting=lasting)
            return
        period = period_of(value.span) if value.prefix == "eq" else None
        if period is None:
            raise BadRequest(
                f"{name} is searched for by a whole year, month or day here (1975, 1975-12 or 1975-12-31), without a "
                "prefix: this server encrypts its store, and keeps no order of birth and death dates.",
                code="not-supported",
            )
        yield Sought({"ix.token": [self.keyed(date_text(self.type, name, period))]}, "token")

    def ranges(self, keys: Iterable[str]) -> list[Any]:
        return [self.keyed(range_text(self.type, key)) for key in keys]

    def require_order(self, name: str, kind: Kind) -> None:
        if kind not in _ORDERED or (self.type, name) in IDENTIFYING_DATES:
            raise BadRequest(
                f"_sort does not take {name} here: this server encrypts its store, and keeps no order of texts, codes, "
                "references, birth and death dates. Sort by _lastUpdated, _id, another date or a number.",
                code="not-supported",
            )


def _rarity(gram: str) -> tuple[int, str]:
    """What sorts the rarest first: MongoDB looks up the first of several, and among what that finds for the others."""
    return sum(-(_LETTERS.find(letter) % (len(_LETTERS) + 1)) for letter in gram), gram
