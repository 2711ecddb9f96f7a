"""The identity record beyond its status: what hides it, what it remembers of the numbers it lost."""

from dataclasses import replace

import pytest
from frcore.records import CHECK, ZOE, number

from fhir_ins.ins.identity import Identity, Obtained
from fhir_ins.ins.status import CHANGES, Attribute, Event, Obstacle
from fhir_ins.ins.traits import ComplementaryTrait, Trait

QUALIFIED = Identity(obtained=ZOE, check=CHECK)
NEW = number("260058815400233")


def of(active: object, *history: object) -> Obtained:
    return replace(ZOE, active=active, history=history)


@pytest.mark.parametrize("obstacle", Obstacle)
def test_an_obstacle_blocks_insi_and_hides_the_matricule_while_it_stands(obstacle: Obstacle) -> None:
    hidden = QUALIFIED.marked(frozenset(), frozenset({obstacle}))
    assert (hidden.status, hidden.obtained) == (QUALIFIED.status, ZOE)
    assert hidden.blocked
    assert not hidden.conveys
    assert not hidden.doubtful
    assert hidden.marked(frozenset()) == QUALIFIED


@pytest.mark.parametrize(
    ("lost", "withdrawn"),
    [
        (QUALIFIED.edited(), ZOE.numbers),
        (QUALIFIED.contradicted(), ZOE.numbers),
        (QUALIFIED.marked(frozenset({Attribute.FICTIF})), ZOE.numbers),
        (QUALIFIED.unchecked(), ()),
        (QUALIFIED.edited().found(ZOE), ()),  # the same again
        (QUALIFIED.edited().found(of(NEW)), ZOE.numbers),
        (QUALIFIED.edited().found(of(NEW)).edited(), (*ZOE.numbers, NEW)),
        (QUALIFIED.found(of(NEW, ZOE.active)), ()),  # a former number of the same person is its history, not withdrawn
        (QUALIFIED.found(of(NEW, ZOE.active)).edited(), (ZOE.active, NEW)),
        (QUALIFIED.edited().found(of(NEW)).edited().found(ZOE).edited(), (NEW, *ZOE.numbers)),
        (QUALIFIED.found(of(NEW)), ZOE.numbers),  # INSi itself gives another one, and does not say they are one person
    ],
)
def test_a_number_that_is_lost_is_remembered_the_latest_last(lost: Identity, withdrawn: tuple[object, ...]) -> None:
    assert lost.withdrawn == withdrawn


def test_a_change_of_any_strict_trait_is_an_event_and_of_a_complementary_one_is_none() -> None:
    assert set(CHANGES) == {*Trait, *ComplementaryTrait}
    assert {CHANGES[trait] for trait in Trait} == {Event.STRICT_TRAIT_EDITED}
    assert {CHANGES[trait] for trait in ComplementaryTrait} == {None}
