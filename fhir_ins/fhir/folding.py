"""Strings as search compares them: without case, accents, ligatures or punctuation.

Source: https://hl7.org/fhir/R4/search.html#string (case- and accent-insensitive, punctuation may be ignored).
"""

from anyascii import anyascii

LONGEST = 200  # longer strings are found by their beginning


def fold(text: str) -> str:
    """`D’Artagnan  de l’Hérault` as `D ARTAGNAN DE L HERAULT`."""
    plain = text if text.isascii() else anyascii(text[:LONGEST])
    folded = " ".join("".join(letter if letter.isalnum() else " " for letter in plain[: 2 * LONGEST].upper()).split())
    return folded[:LONGEST].rstrip()
