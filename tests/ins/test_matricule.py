"""The matricule: form, key, Corsica, what a text of it may show."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.fr import nir

from fhir_ins.ins.malformed import Malformed
from fhir_ins.ins.matricule import Matricule

VECTORS = Path(__file__).parents[2].parent / "shared/data/vectors/ins_identities.json"

NUMBERS = st.from_regex(r"[1278][0-9]{2}(?:0[1-9]|1[0-2])(?:[0-9]{2}|2[AB])[0-9]{6}", fullmatch=True)


def parsed(text: str) -> Matricule:
    found = Matricule.parse(text)
    assert isinstance(found, Matricule)
    return found


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("275126322074974", True),
        ("114026322083356", True),
        ("180032B02040123", True),  # Corsica, 2B read as 18
        ("297022A02077878", True),  # Corsica, 2A read as 19
        ("109076322088835", True),  # a NIA has the same shape
        ("147720425367430", True),  # months above 12 exist for incomplete civil status
        ("275126322074975", False),
        ("123456789012244", False),
    ],
)
def test_the_key(text: str, right: bool) -> None:
    assert parsed(text).key_is_right is right


@given(NUMBERS)
def test_the_expected_key_is_the_one_an_independent_library_finds(number: str) -> None:
    key = Matricule(number, "").expected_key
    assert key == nir.calc_check_digits(number)


def test_a_letter_elsewhere_than_in_the_department_is_never_taken_for_corsica() -> None:
    assert isinstance(Matricule.parse("12A076322083489"), Malformed)


@pytest.mark.parametrize(
    "text",
    ["", "2751263220749", "27512632207497", "2751263220749740", "2 7512632207497", "975126322074974", "27512632207497A",
     "180032C02040123", "180032b02040123", "²75126322074974"],
)  # fmt: skip
def test_what_has_not_the_form_is_malformed(text: str) -> None:
    assert isinstance(Matricule.parse(text), Malformed)


@given(st.text())
def test_any_text_is_a_matricule_or_malformed(text: str) -> None:
    found = Matricule.parse(text)
    assert isinstance(found, Malformed) or (str(found) == text and found.expected_key is not None)


def test_a_number_insi_gives_is_kept_whatever_its_form() -> None:
    odd = Matricule("@@@", "")
    assert (odd.expected_key, odd.key_is_right) == (None, False)


def test_neither_repr_nor_mask_shows_the_whole_number() -> None:
    assert "2751263220" not in repr(parsed("275126322074974"))
    assert parsed("275126322074974").masked == "…74974"


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not at hand")
def test_the_published_identities() -> None:
    for identity in json.loads(VECTORS.read_text())["identities"]:
        matricule = parsed(identity["matricule"])
        assert matricule.key_is_right is identity["key_valid"]
        assert matricule.expected_key == identity.get("expected_key", matricule.key)
