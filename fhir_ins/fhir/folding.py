"""Strings as search compares them: without case, accents, ligatures, punctuation or spaces.

Source: https://hl7.org/fhir/R4/search.html#string (case and accents are no difference; punctuation may be none).
So a name of several words is found however it is typed: dartagnan, D'ARTAGNAN, d artagnan.
"""

import unicodedata

from anyascii import anyascii

LONGEST = 200  # longer strings are found by their beginning
_ACCENTS = dict.fromkeys(range(0x300, 0x363))
_SEPARATORS = dict.fromkeys(code for code in range(128) if not chr(code).isalnum())


def fold(text: str) -> str:
    """`D’Artagnan  de l’Hérault` as `DARTAGNANDELHERAULT`."""
    plain = text if text.isascii() else _plain(text[:LONGEST])
    return plain[: 2 * LONGEST].upper().translate(_SEPARATORS)[:LONGEST]


def _plain(text: str) -> str:
    """In ASCII, as anyascii has it; letters that are one of ASCII's but for their accents take a tenth of the time."""
    bare = unicodedata.normalize("NFD", text).translate(_ACCENTS)
    return bare if bare.isascii() else anyascii(text)
