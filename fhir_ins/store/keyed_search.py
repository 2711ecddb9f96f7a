"""Search keys of an encrypted store: HMACs by the tenant's index key, each of the parameter and the value.

Made of the clear keys of `store.keys`, so that both find the same. All strings, tokens, uris and references are keyed,
and the names of all ranges; the dates on which people are born or die are keyed as day, month and year. In clear are
the labels of `meta`, which are read back, and the numbers of other dates, of quantities and of places.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_ins.fhir.dates import Span, span_of
from fhir_ins.fhir.search_terms import LEAST_CONTAINED
from fhir_ins.store.keys import REFERENCE, place_of

Document = dict[str, Any]
Keyed = Callable[[str], bytes]

LONGEST_PREFIX = 12
GRAM = LEAST_CONTAINED
LABELS = frozenset({"_profile", "_security", "_tag"})
IDENTIFYING_DATES = frozenset(
    {("Patient", "birthdate"), ("Patient", "death-date"), ("Person", "birthdate"), ("RelatedPerson", "birthdate")}
)
_NEXT = "\x1e"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keyed_index(tenant: str, type_: str, ix: Document, keyed: Keyed) -> Document:
    """The `ix` of an encrypted store, of that of a clear one."""
    before = f"{place_of(tenant, type_)}|"
    tokens = [token.removeprefix(before) for token in ix["token"]]
    kept = [key for key in tokens if is_label(key)]
    ranges = [range_ for range_ in ix["range"] if not is_identifying(type_, range_["p"])]
    dates = [range_ for range_ in ix["range"] if is_identifying(type_, range_["p"])]
    found = [token_text(type_, key) for key in tokens if not is_label(key)]
    found += [below_text(type_, name, path) for key in tokens for name, path in _paths(key)]
    found += [
        date_text(type_, _name_of(range_["p"]), period)
        for range_ in dates
        for period in periods_around(Span(range_["low"], range_["high"]))
    ]
    strings = {prefix_text(type_, key[:length]) for key in ix["string"] for length in _prefixes(key)}
    strings.update(exact_text(type_, key) for key in ix["exact"])
    parts = {gram_text(type_, key[: key.index("|") + 1 + GRAM]) for key in ix["part"]}
    named = {_name_of(key) for key in (*tokens, *ix["string"])} | {_name_of(range_["p"]) for range_ in ix["range"]}
    return {
        **ix,
        "token": [before + key for key in kept] + sorted(map(keyed, set(found))),
        "string": sorted(map(keyed, strings)),
        "part": sorted(map(keyed, parts)),
        "exact": [],
        "range": [{**range_, "p": keyed(range_text(type_, range_["p"]))} for range_ in ranges],
        "ref": sorted(keyed(f"ref|{reference}") for reference in ix["ref"]),
        "has": sorted(keyed(present_text(type_, name)) for name in named),
    }


def is_label(key: str) -> bool:
    return _name_of(key).removeprefix(REFERENCE) in LABELS


def is_identifying(type_: str, p: str) -> bool:
    """Whether it is a date on which somebody is born or dies."""
    return (type_, _name_of(p)) in IDENTIFYING_DATES


# What each kind of key is the HMAC of: none is another's


def token_text(type_: str, key: str) -> str:
    return f"token|{type_}|{key}"


def below_text(type_: str, name: str, path: str) -> str:
    """Of a URL's beginning, as far as a slash."""
    return f"below|{type_}|{name}|{path}"


def date_text(type_: str, name: str, period: str) -> str:
    """Of a year, a month or a day."""
    return f"date|{type_}|{name}|{period}"


def prefix_text(type_: str, key: str) -> str:
    return f"prefix|{type_}|{key}"


def exact_text(type_: str, key: str) -> str:
    return f"exact|{type_}|{key}"


def gram_text(type_: str, key: str) -> str:
    return f"gram|{type_}|{key}"


def range_text(type_: str, p: str) -> str:
    return f"range|{type_}|{p}"


def present_text(type_: str, name: str) -> str:
    return f"has|{type_}|{name}"


def start_of_text(key: str) -> int:
    """Where in a string's key its letters start: after its name, after the other parts of a composite."""
    return max(key.find("|"), key.rfind(_NEXT)) + 1


def period_of(span: Span) -> str | None:
    """The year, month or day that a span is; None where it is none."""
    return next((period for period in _periods(span) if span_of(period) == span), None)


def periods_around(span: Span) -> Iterator[str]:
    """The year, month and day that a span lies within, as far as it does."""
    for period in _periods(span):
        around = span_of(period)
        if around and around.low <= span.low and span.high <= around.high:
            yield period


def _periods(span: Span) -> tuple[str, ...]:
    day = (_EPOCH + timedelta(milliseconds=span.low)).date().isoformat()
    return day[:4], day[:7], day


def _prefixes(key: str) -> range:
    """The lengths of a string's key that are kept, the first with one letter."""
    start = start_of_text(key)
    return range(start + 1, min(len(key), start + LONGEST_PREFIX) + 1)


def _paths(key: str) -> Iterator[tuple[str, str]]:
    """Of a key of a URL, its parameter and each beginning of it that ends with a slash."""
    name, _, rest = key.partition("|")
    kind, _, text = rest.partition("|")
    if kind != "uri" or "://" not in text:
        return
    path = f"{text.rstrip('/')}/"
    for end, letter in enumerate(path, start=1):
        if letter == "/":
            yield name, path[:end]


def _name_of(key: str) -> str:
    """The parameter a key is of, marked where only the reference form has it."""
    return key.partition("|")[0].removesuffix("~")
