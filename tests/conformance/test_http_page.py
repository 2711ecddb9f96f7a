"""Every requirement of R4's http page is shown by tests that are there. https://hl7.org/fhir/R4/http.html"""

import ast
from functools import cache
from pathlib import Path

import pytest
from conformance.http_page import ROWS, Row

TESTS = Path(__file__).parents[1]
# The anchors of the page whose text asks something of a server.
SECTIONS = {
    "", "root", "versioning", "security", "Status-Codes", "return", "cread", "ops", "mime-type", "version-parameter",
    "parameters", "versions", "read", "vread", "update", "upsert", "rejecting-updates", "cond-update", "concurrency",
    "patch", "delete", "cdelete", "create", "ccreate", "search", "vsearch", "capabilities", "transaction", "brules",
    "trules", "transaction-response", "other-bundles", "history", "transactional-integrity", "paging", "head", "custom",
    "summary",
}  # fmt: skip


@cache
def names(file: str) -> frozenset[str]:
    """The tests in a file: functions, and those of classes as Class.test."""
    found: set[str] = set()
    for node in ast.parse((TESTS / file).read_text()).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.add(node.name)
            case ast.ClassDef():
                found |= {f"{node.name}.{inner.name}" for inner in node.body if hasattr(inner, "name")}
    return frozenset(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.requirement}")
def test_each_requirement_is_shown(row: Row) -> None:
    assert row.tests
    for test in row.tests:
        file, _, name = test.partition("::")
        assert name in names(file), test
        assert name.rpartition(".")[2].startswith("test_")


def test_every_section_is_there() -> None:
    assert {row.section for row in ROWS} == SECTIONS
    assert len({(row.section, row.requirement) for row in ROWS}) == len(ROWS) > 140
    assert {row.strength for row in ROWS} == {"SHALL", "SHALL NOT", "SHOULD", "MAY", "says"}
