"""docs/insi.md says of faults, cases and behaviours what the code does."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from fhir_ins.cnda.cases import markdown
from fhir_ins.insi.faults import KNOWN_FAULTS
from fhir_ins.insi.port import FaultKind
from fhir_ins.settings import Settings
from fhir_ins.simulator.behaviour import Behaviour, Wire

PAGE = (Path(__file__).parents[1] / "docs" / "insi.md").read_text(encoding="utf-8")
ANSWERS = {FaultKind.TRANSIENT: "503", FaultKind.CONFIGURATION: "502", FaultKind.REQUEST: "422"}


def test_its_table_of_cases_is_that_of_the_code() -> None:
    assert markdown().strip() in PAGE


@pytest.mark.parametrize("fault", KNOWN_FAULTS, ids=lambda fault: fault.code)
def test_every_known_fault_is_in_its_catalogue_with_the_answer_it_gets(fault) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| ") and f"`{fault.code}`" in line.split("|")[1])
    assert row.split("|")[3].strip() == ANSWERS[fault.kind]


def test_every_behaviour_of_the_simulator_is_there() -> None:
    assert all(f"`{field.name}`" in PAGE for field in fields(Behaviour))
    assert all(f"`{wire}`" in PAGE for wire in Wire)


def test_every_setting_it_names_exists() -> None:
    named = set(re.findall(r"FHIR_INS_[A-Z0-9_]+[A-Z0-9]", PAGE)) - {"FHIR_INS_INSI"}
    assert named <= {f"FHIR_INS_{name.upper()}" for name in Settings.model_fields}
