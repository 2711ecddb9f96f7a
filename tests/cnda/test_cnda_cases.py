"""The table of conformity cases: what it promises of itself."""

import pytest

from fhir_ins.cnda.case import Reading
from fhir_ins.cnda.cases import CASES, chosen, markdown
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.normalisation import traits_for_insi

WRONG_ON_PURPOSE = {"2810363220456 10"}


def test_every_case_has_a_name_of_its_own_and_the_table_is_in_order() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert names == sorted(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_matricule_has_its_key(case) -> None:  # type: ignore[no-untyped-def]
    ways = [way for way in (case.expected, case.live) if way]
    said = {number for way in ways for number in (*way.history, *([way.ins] if way.ins else []))}
    cards = [case.asked.card, case.asked.assertion_of] if isinstance(case.asked, Reading) else []
    for written in said | {card.number for card in cards if card}:
        assert Matricule(*written.split()).key_is_right == (written not in WRONG_ON_PURPOSE)


BY_TRAITS = [case for case in CASES if not isinstance(case.asked, Reading)]


@pytest.mark.parametrize("case", BY_TRAITS, ids=lambda case: case.name)
def test_what_must_be_sent_is_what_normalisation_makes_of_what_is_asked(case) -> None:  # type: ignore[no-untyped-def]
    assert traits_for_insi(case.asked) == (case.sent or case.asked)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["2.03-c2"], ["2.03-c2"]),
        (["2.06", "2.03-c1"], ["2.03-c1", "2.06-c1", "2.06-c2"]),
        (["2.05"], ["2.05"]),
        ([], [case.name for case in CASES]),
    ],
)
def test_cases_are_chosen_by_their_names_in_the_order_of_the_table(names: list[str], found: list[str]) -> None:
    assert [case.name for case in chosen(names)] == found


@pytest.mark.parametrize("name", ["2.0", "2.03-c", "", "9.99"])
def test_a_name_of_no_case_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=r"There are: .*2\.03-c1"):
        chosen(["2.03", name])


def test_the_table_as_markdown_has_a_line_for_each_case() -> None:
    lines = markdown().splitlines()
    assert len(lines) == 2 + len(CASES)
    assert {line.count("|") for line in lines} == {7}
    assert "| 2.07-c1 |" in markdown()
    assert (
        "carte Vitale of DE VINCI RUTH, its assertion 20 minutes old | refused before any call (expired)" in markdown()
    )
    assert "carte Vitale of CARTE INSI UN, the assertion of CARTE INSI QUATRE | refused" in markdown()
    assert "OLA → 01, CATARINA → 00; 2360663220836 56 under 1.2.250.1.213.1.4.8" in markdown()
