"""The table of statuses, one test a cell, and the identity record that follows it."""

from dataclasses import replace

import pytest

from fhir_ins.ins.identity import DocumentCheck, Identity, InsNumber, Obtained
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.status import MATRICULE, TRANSITIONS, Attribute, Event, MatriculeFate, Status
from fhir_ins.ins.traits import Traits

ACTIVE = InsNumber(Matricule("2751263220749", "74"), "1.2.250.1.213.1.4.8")
OBTAINED = Obtained(ACTIVE, (), Traits("ADRUN", ("ZOE",), "F", "1975-12-31", "63220"), "2026-11-22", "uuid:1")
CHECK = DocumentCheck("2026-11-22", "CN", "somebody")

PROV, RECUP, VALI, QUAL = Status
RECORDS = {
    PROV: Identity(),
    RECUP: Identity(obtained=OBTAINED),
    VALI: Identity(check=CHECK),
    QUAL: Identity(obtained=OBTAINED, check=CHECK),
}
FOUND, CONTRADICTED, CHECKED, WITHDRAWN, EDITED, MARKED = Event

TABLE = [
    (PROV, FOUND, RECUP), (RECUP, FOUND, RECUP), (VALI, FOUND, QUAL), (QUAL, FOUND, QUAL),
    (PROV, CONTRADICTED, PROV), (RECUP, CONTRADICTED, PROV), (VALI, CONTRADICTED, VALI), (QUAL, CONTRADICTED, VALI),
    (PROV, CHECKED, VALI), (RECUP, CHECKED, QUAL), (VALI, CHECKED, VALI), (QUAL, CHECKED, QUAL),
    (PROV, WITHDRAWN, PROV), (RECUP, WITHDRAWN, RECUP), (VALI, WITHDRAWN, PROV), (QUAL, WITHDRAWN, RECUP),
    (PROV, EDITED, PROV), (RECUP, EDITED, PROV), (VALI, EDITED, PROV), (QUAL, EDITED, PROV),
    (PROV, MARKED, PROV), (RECUP, MARKED, PROV), (VALI, MARKED, PROV), (QUAL, MARKED, PROV),
]  # fmt: skip


def after(identity: Identity, event: Event) -> Identity:
    match event:
        case Event.INSI_FOUND:
            return identity.found(OBTAINED)
        case Event.INSI_CONTRADICTED:
            return identity.contradicted()
        case Event.DOCUMENT_CHECKED:
            return identity.checked(CHECK)
        case Event.DOCUMENT_WITHDRAWN:
            return identity.unchecked()
        case Event.STRICT_TRAIT_EDITED:
            return identity.edited()
        case Event.MARKED_DOUBTFUL_OR_FICTITIOUS:
            return identity.marked(frozenset({Attribute.DOUTEUX}))


@pytest.mark.parametrize(("status", "event", "expected"), TABLE)
def test_every_cell(status: Status, event: Event, expected: Status) -> None:
    assert TRANSITIONS[status, event].after is expected
    changed = after(RECORDS[status], event)
    assert changed.status is expected
    assert (changed.obtained is not None) is (MATRICULE[expected] is not MatriculeFate.NONE)


def test_the_table_is_whole_and_every_row_has_its_source() -> None:
    assert {(status, event) for status, event, _ in TABLE} == set(TRANSITIONS)
    assert len(TABLE) == len(Status) * len(Event)
    assert all(transition.source for transition in TRANSITIONS.values())


def test_only_a_qualified_identity_conveys_its_matricule() -> None:
    assert [status for status in Status if MATRICULE[status] is MatriculeFate.CONVEYED] == [QUAL]


@pytest.mark.parametrize("status", Status)
def test_homonyme_goes_with_every_status(status: Status) -> None:
    assert RECORDS[status].marked(frozenset({Attribute.HOMONYME})).status is status


@pytest.mark.parametrize("attribute", [Attribute.DOUTEUX, Attribute.FICTIF])
def test_douteux_and_fictif_block_insi_and_hold_after_the_mark_is_gone(attribute: Attribute) -> None:
    marked = RECORDS[QUAL].marked(frozenset({attribute}))
    assert marked.blocked
    cleared = marked.marked(frozenset())
    assert not cleared.blocked
    assert cleared.status is PROV


def test_a_check_that_ended_is_remembered_until_it_is_declared_void() -> None:
    ended = RECORDS[QUAL].edited().checked(replace(CHECK, means="PA")).edited()
    assert [check.means for check in ended.ended] == ["CN", "PA"]
    assert ended.deleted() == Identity(ended=ended.ended)
    assert ended.unchecked().ended == ()


@pytest.mark.parametrize("trait", ["family", "given", "sex", "birth_date", "birth_place"])
def test_a_matricule_is_not_conveyed_without_its_five_traits(trait: str) -> None:
    assert RECORDS[QUAL].conveys
    incomplete = replace(OBTAINED, traits=replace(OBTAINED.traits, **{trait: () if trait == "given" else None}))
    assert not replace(RECORDS[QUAL], obtained=incomplete).conveys


def test_a_number_under_another_authority_is_never_conveyed() -> None:
    foreign = replace(OBTAINED, active=replace(ACTIVE, oid="1.2.250.1.213.1.4.13"))
    assert not replace(RECORDS[QUAL], obtained=foreign).conveys
