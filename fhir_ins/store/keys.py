"""Search keys as they stand in a document's `ix`: typed, in few arrays, so that few indexes serve every parameter.

    token   what is asked for exactly, after the tenant and the type: `main/Patient|gender|code|male`
    string  what begins so, folded: `family|ADRUN`; a composite that ends in a string too
    part    what is contained in those, from each letter on: `family|DRUN`, `family|RUN`
    exact   the strings as they are written, for `:exact`; not indexed, since `string` has found them
    range   from low to high, both included but for dates: `{p: "birthdate", low, high}`
    near    a place on Earth
    ref     what is referred to

`index` says by which rules they were made. A key that only the reference form has is marked: nobody but a holder of
ins.reference asks for it so.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import blake2b
from itertools import product
from typing import Any

from bson.decimal128 import Decimal128, create_decimal128_context

from fhir_ins.fhir.dates import Span
from fhir_ins.fhir.folding import fold
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.fhir.references import local_references
from fhir_ins.fhir.search_parameters import NO_KEYS, Keys, keys_of
from fhir_ins.fhir.search_terms import LEAST_CONTAINED
from fhir_ins.fhir.search_values import Amount, Kind, Token

# The rules of extraction that an `ix` was made by, counted up whenever a search parameter comes or finds other values:
# a store of an earlier count lacks keys until `fhir-ins reindex` has made them anew.
INDEX = 5
REFERENCE = "r!"
MOST_KEYS = 5000
LONGEST_PART = 40
_LONGEST_EXACT = 200
_SEPARATOR = "\x1f"
_NEXT = "\x1e"  # between the parts of a composite
_YEAR = 366 * 86_400_000  # milliseconds of a leap year, the longest that a date covers
# How long the dates of each class last at most, in milliseconds, so that what ends after a moment is known to start no
# longer than so before it; those of one class more last longer, or are open at an end.
DURATIONS = (_YEAR, 4 * _YEAR, 16 * _YEAR, 64 * _YEAR)
_DIGITS = create_decimal128_context()
_AMOUNTS = (Kind.NUMBER, Kind.QUANTITY)

Range = dict[str, Any]


def place_of(tenant: str, type_: str) -> str:
    """What leads every token: the tenant, and the type."""
    return f"{tenant}/{type_}"


def index_document(
    place: str,
    conveyed: dict[str, Any],
    reference: dict[str, Any] | None,
    further: Keys = NO_KEYS,
    *,
    bounded: bool = True,
) -> dict[str, Any]:
    """The `ix` of a resource; `reference` is its reference form where it has one of its own.

    That form has all the conveyed one has, and identifiers more. `further` are keys beyond FHIR's own parameters, which
    every caller may find it by. Raises Unprocessable beyond MOST_KEYS of those that everyone may use, where it is
    `bounded`: how many the others are must decide no answer.
    """
    keys = keys_of(conveyed) | further
    tokens, strings, ranges = set(exact_keys(keys)), _strings(keys), list(_ranges(keys))
    parts = _parts(keys)
    if bounded and len(tokens) + len(strings) + len(ranges) + len(parts) > MOST_KEYS:
        raise Unprocessable(
            f"The resource would be found by more than {MOST_KEYS} keys: give fewer identifiers, names and texts.",
            code="too-costly",
        )
    if reference is not None:
        more = keys_of(reference)
        tokens |= {REFERENCE + key for key in set(exact_keys(more)) - tokens}
        strings |= {REFERENCE + key for key in _strings(more) - strings}
    return {
        "index": INDEX,
        "token": sorted(f"{place}|{key}" for key in tokens),
        "string": sorted(strings),
        "part": sorted(parts),
        "exact": sorted({exact_key(name, text) for name, text in _asked_by_all_modifiers(keys)}),
        "range": ranges,
        **_near(keys),
        "ref": sorted(local_references(conveyed) | local_references(reference or {})),
    }


def _near(keys: Keys) -> dict[str, Any]:
    """Of a Location, which has one place at most."""
    places = [position for _, position in keys.positions]
    return {"near": {"type": "Point", "coordinates": list(places[0])}} if places else {}


def exact_keys(keys: Keys) -> Iterator[str]:
    """Of each uri; of each token in every form it may be asked for; of composites with nothing else.

    None under `_id`, which the document's own id answers.
    """
    for name, text in keys.uris:
        yield uri_key(name, text)
    for name, token in keys.tokens:
        if name != "_id":
            yield from (f"{name}|{form}" for form in _token_forms(token))
    for name, kinds, values in keys.composites:
        if set(kinds) <= _EXACT:
            yield from composite_keys(name, [_FORMS[kind](value) for kind, value in zip(kinds, values, strict=True)])


def _strings(keys: Keys) -> set[str]:
    found = {string_key(name, fold(text)) for name, text in keys.strings}
    for name, kinds, values in keys.composites:
        if kinds[-1] is Kind.STRING:
            forms = [_FORMS[kind](value) for kind, value in zip(kinds[:-1], values, strict=False)]
            found.update(composite_keys(name, [*forms, [fold(values[-1])]]))
    return found


def _parts(keys: Keys) -> set[str]:
    """What each string contains, from each of its letters on; what is shorter is not asked for."""
    found = set()
    for name, text in _asked_by_all_modifiers(keys):
        folded = fold(text)
        for start in range(len(folded) - LEAST_CONTAINED + 1):
            found.add(string_key(name, folded[start : start + LONGEST_PART]))
    return found


def _asked_by_all_modifiers(keys: Keys) -> Iterator[tuple[str, str]]:
    """The strings, but for those that are of a modifier themselves: there is no `code:text:contains`."""
    return ((name, text) for name, text in keys.strings if ":" not in name)


def _ranges(keys: Keys) -> Iterator[Range]:
    for name, span in keys.dates:
        yield {"p": date_key(name, duration_class(span)), "low": span.low, "high": span.high}
    for name, amount in keys.amounts:
        for form in _unit_forms(amount):
            yield {"p": amount_key(f"{name}|{form}", amount), **_bounds(Kind.QUANTITY, amount)}
    for name, kinds, values in keys.composites:
        yield from _composite_ranges(name, kinds, values)


def _composite_ranges(name: str, kinds: tuple[Kind, ...], values: tuple[Any, ...]) -> Iterator[Range]:
    """A range for every way to ask for the parts; of a second range the bounds stand beside the first one's."""
    parts = list(zip(kinds, values, strict=True))
    bounds = [_bounds(kind, value) for kind, value in parts if kind not in _EXACT and kind is not Kind.STRING]
    if not bounds:
        return
    beside = {f"{side}2": value for second in bounds[1:] for side, value in second.items()}
    for key in composite_keys(name, [_FORMS[kind](value) for kind, value in parts]):
        yield {"p": range_key(key, ranged=bounds[0]["low"] != bounds[0]["high"]), **bounds[0], **beside}


def _bounds(kind: Kind, value: Any) -> Range:
    if kind in _AMOUNTS:
        return {"low": decimal128(value.low), "high": decimal128(value.high)}
    return {"low": value.low, "high": value.high}


def decimal128(number: Decimal) -> Decimal128:
    """To the 34 digits that MongoDB keeps."""
    return Decimal128(_DIGITS.create_decimal(number))


def _token_forms(token: Token) -> list[str]:
    """With its system, by its code alone, by its system alone."""
    alone = [f"system|{token.system}"] if token.system else []
    return [both_form(token.system, token.code), code_form(token.code), *alone]


def _unit_forms(amount: Amount) -> list[str]:
    """Of any unit; of a code with its system; of a code or a unit as it is shown, without."""
    shown = {unit for unit in (amount.code, amount.unit) if unit}
    coded = [both_form(amount.system, amount.code)] if amount.system and amount.code else []
    return ["", *coded, *(code_form(unit) for unit in shown)]


_EXACT = frozenset({Kind.TOKEN, Kind.REFERENCE, Kind.URI})
_FORMS: dict[Kind, Any] = {
    Kind.TOKEN: _token_forms,
    Kind.REFERENCE: lambda text: [f"uri|{text}"],
    Kind.URI: lambda text: [f"uri|{text}"],
    Kind.NUMBER: _unit_forms,
    Kind.QUANTITY: _unit_forms,
    Kind.DATE: lambda _: [""],
}


def both_form(system: str | None, code: str | None) -> str:
    return f"both|{system or ''}{_SEPARATOR}{code}"


def code_form(code: str) -> str:
    return f"code|{code}"


def composite_keys(name: str, forms: Iterable[Iterable[str]]) -> Iterator[str]:
    """A key for each choice of one form of every part."""
    return (f"{name}|{_NEXT.join(chosen)}" for chosen in product(*forms))


def coding_of(key: str) -> dict[str, str]:
    """The Coding of a token key, of what follows its name and `both`."""
    system, _, code = key.partition(_SEPARATOR)
    return {**({"system": system} if system else {}), "code": code}


def system_key(name: str, system: str) -> str:
    return f"{name}|system|{system}"


def uri_key(name: str, text: str) -> str:
    return f"{name}|uri|{text}"


def date_key(name: str, duration: int) -> str:
    """Of a parameter's dates of one class of durations."""
    return f"{name}|{duration}" if duration else name


def duration_class(span: Span) -> int:
    """The first of DURATIONS that is as long as the span, by its index; their number when none is."""
    return sum(span.high - span.low > longest for longest in DURATIONS)


def amount_key(key: str, amount: Amount) -> str:
    return range_key(key, ranged=amount.low != amount.high)


def range_key(key: str, *, ranged: bool) -> str:
    """Numbers that are one point stand apart from ranges: where a point starts it ends."""
    return f"{key}~" if ranged else key


def string_key(name: str, folded: str) -> str:
    return f"{name}|{folded}"


def exact_key(name: str, text: str) -> str:
    """The string as it is written; of a long one the beginning, and a digest of it all."""
    if len(text) <= _LONGEST_EXACT:
        return f"{name}|{text}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{name}|{text[:_LONGEST_EXACT]}{_SEPARATOR}{digest}"
