"""Search keys as they stand in a document's `ix`: typed strings in one array, so that one index serves every parameter.

A token key that only the reference form has is prefixed: nobody but a holder of ins.reference asks for it so.
"""

from collections.abc import Iterable
from typing import Any

from fhir_ins.fhir.outcome import Unprocessable
from fhir_ins.fhir.search_parameters import NO_KEYS, Keys, Token, keys_of

# The rules of extraction that an `ix` was made by, counted up whenever a search parameter comes or finds other values:
# a store of an earlier count lacks keys until `fhir-ins reindex` has made them anew.
INDEX = 2
REFERENCE = "r!"
MOST_KEYS = 3000  # three an identifier
_SEPARATOR = "\x1f"


def index_document(
    conveyed: dict[str, Any], reference: dict[str, Any] | None, further: Keys = NO_KEYS
) -> dict[str, Any]:
    """The `ix` of a resource; `reference` is its reference form where it has one of its own.

    That form has all the conveyed one has, and identifiers more; strings and dates are the same. `further` are keys
    beyond FHIR's own parameters, which every caller may find it by. Raises Unprocessable beyond MOST_KEYS of those that
    everyone may use: how many the others are must decide no answer.
    """
    found = keys_of(conveyed) | further
    tokens = set(token_keys(found))
    if len(tokens) + len(found.strings) + len(found.dates) > MOST_KEYS:
        raise Unprocessable(
            f"The resource would be found by more than {MOST_KEYS} keys: give fewer identifiers and names.",
            code="too-costly",
        )
    if reference is not None:
        tokens |= {REFERENCE + key for key in set(token_keys(keys_of(reference))) - tokens}
    return {
        "token": sorted(tokens),
        "string": sorted(string_key(name, folded) for name, folded in found.strings),
        "date": [{"p": name, "low": span.low, "high": span.high} for name, span in found.dates],
    }


def token_keys(keys: Keys) -> Iterable[str]:
    """Each token three times: with its system, by its code alone, by its system alone."""
    for name, token in keys.tokens:
        yield token_key(name, token)
        yield code_key(name, token.code)
        if token.system:
            yield system_key(name, token.system)


def token_key(name: str, token: Token) -> str:
    return f"{name}|both|{token.system or ''}{_SEPARATOR}{token.code}"


def code_key(name: str, code: str) -> str:
    return f"{name}|code|{code}"


def system_key(name: str, system: str) -> str:
    return f"{name}|system|{system}"


def string_key(name: str, folded: str) -> str:
    return f"{name}|{folded}"
