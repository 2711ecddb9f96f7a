"""Strings as search compares them: without case, accents, ligatures or punctuation.

Source: https://hl7.org/fhir/R4/search.html#string (case- and accent-insensitive, punctuation may be ignored).
"""

import unicodedata

from anyascii import anyascii

LONGEST = 200  # longer strings are found by their beginning
_ACCENTS = dict.fromkeys(range(0x300, 0x363))
_SEPARATORS = {code: " " for code in range(128) if not chr(code).isalnum()}


def fold(text: str) -> str:
    """`D’Artagnan  de l’Hérault` as `D ARTAGNAN DE L HERAULT`."""
    plain = text if text.isascii() else _plain(text[:LONGEST])
    folded = " ".join(plain[: 2 * LONGEST].upper().translate(_SEPARATORS).split())
    return folded[:LONGEST].rstrip()


def _plain(text: str) -> str:
    """In ASCII, as anyascii has it; letters that are one of ASCII's but for their accents take a tenth of the time."""
    bare = unicodedata.normalize("NFD", text).translate(_ACCENTS)
    return bare if bare.isascii() else anyascii(text)
