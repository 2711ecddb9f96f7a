"""docs/identity.md says of the statuses what the code does."""

from pathlib import Path

from fhir_ins.ins.status import TRANSITIONS, Event, Status

PAGE = Path(__file__).parents[1] / "docs" / "identity.md"


def test_its_table_of_events_is_that_of_the_code() -> None:
    lines = iter(PAGE.read_text(encoding="utf-8").splitlines())
    header = next(line for line in lines if line.startswith("| Event |"))
    assert [cell.strip() for cell in header.split("|")[2:-1]] == list(Status)
    next(lines)
    for event in Event:
        cells = [cell.strip() for cell in next(lines).split("|")[2:-1]]
        told = [TRANSITIONS[status, event] for status in Status]
        assert cells == [f"{transition.after} ({transition.source})" for transition in told], event
