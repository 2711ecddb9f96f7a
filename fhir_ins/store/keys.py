"""Search keys as they stand in a document's `ix`: typed strings in one array, so that one index serves every parameter.

A token key that only the reference form has is prefixed: nobody but a holder of ins.reference asks for it so.
"""

from collections.abc import Iterable
from typing import Any

from fhir_ins.fhir.dates import Span
from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.fhir.references import local_references
from fhir_ins.fhir.search_parameters import NO_KEYS, Keys, keys_of
from fhir_ins.fhir.search_values import Token

# The rules of extraction that an `ix` was made by, counted up whenever a search parameter comes or finds other values:
# a store of an earlier count lacks keys until `fhir-ins reindex` has made them anew.
INDEX = 3
REFERENCE = "r!"
MOST_KEYS = 3000  # three an identifier
_SEPARATOR = "\x1f"
_YEAR = 366 * 86_400_000  # milliseconds of a leap year, the longest that a date covers
# How long the dates of each class last at most, in milliseconds, so that what ends after a moment is known to start no
# longer than so before it; those of one class more last longer, or are open at an end.
DURATIONS = (_YEAR, 4 * _YEAR, 16 * _YEAR, 64 * _YEAR)


def index_document(
    conveyed: dict[str, Any], reference: dict[str, Any] | None, further: Keys = NO_KEYS
) -> dict[str, Any]:
    """The `ix` of a resource; `reference` is its reference form where it has one of its own.

    That form has all the conveyed one has, and identifiers more; strings and dates are the same. `further` are keys
    beyond FHIR's own parameters, which every caller may find it by. Raises Unprocessable beyond MOST_KEYS of those that
    everyone may use: how many the others are must decide no answer.
    """
    found = keys_of(conveyed) | further
    tokens = set(exact_keys(found))
    if len(tokens) + len(found.strings) + len(found.dates) > MOST_KEYS:
        raise Unprocessable(
            f"The resource would be found by more than {MOST_KEYS} keys: give fewer identifiers and names.",
            code="too-costly",
        )
    if reference is not None:
        tokens |= {REFERENCE + key for key in set(exact_keys(keys_of(reference))) - tokens}
    return {
        "token": sorted(tokens),
        "string": sorted(string_key(name, folded) for name, folded in found.strings),
        "date": [
            {"p": date_key(name, duration_class(span)), "low": span.low, "high": span.high}
            for name, span in found.dates
        ],
        "ref": sorted(local_references(conveyed) | local_references(reference or {})),
    }


def exact_keys(keys: Keys) -> Iterable[str]:
    """Each uri, and each token three times: with its system, by its code alone, by its system alone.

    None under `_id`, which the document's own id answers.
    """
    for name, text in keys.uris:
        yield uri_key(name, text)
    for name, token in keys.tokens:
        if name == "_id":
            continue
        yield token_key(name, token)
        yield code_key(name, token.code)
        if token.system:
            yield system_key(name, token.system)


def token_key(name: str, token: Token) -> str:
    return f"{name}|both|{token.system or ''}{_SEPARATOR}{token.code}"


def coding_of(key: str) -> dict[str, str]:
    """The Coding of a token key less its name."""
    system, _, code = key.partition(_SEPARATOR)
    return {**({"system": system} if system else {}), "code": code}


def code_key(name: str, code: str) -> str:
    return f"{name}|code|{code}"


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


def string_key(name: str, folded: str) -> str:
    return f"{name}|{folded}"
