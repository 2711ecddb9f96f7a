"""Strings as search compares them. https://hl7.org/fhir/R4/search.html#string"""

from anyascii import anyascii
from hypothesis import given
from hypothesis import strategies as st

from fhir_ins.fhir.folding import fold


def plainly(text: str) -> str:
    """Every letter as anyascii has it, one at a time."""
    letters = "".join(anyascii(letter) for letter in text).upper()
    return "".join(letter for letter in letters if letter.isalnum())


def test_every_letter_is_folded_as_anyascii_has_it() -> None:
    for code in [*range(0x3000), *range(0xA000, 0xD000), *range(0xF900, 0x10000)]:
        assert fold(chr(code)) == plainly(chr(code)), hex(code)


@given(st.text(alphabet=st.characters(categories=["L", "M", "P", "N", "Z"]), max_size=20))
def test_texts_are_folded_letter_by_letter(text: str) -> None:
    assert fold(text) == plainly(text)[:200]
