"""Where an AssertionPS comes from: signed when needed and once only, or by a source that a setting names."""

import asyncio
from datetime import timedelta

import pytest
from insi_assertions import HOLDER, NOW, CardSigner

from fhir_ins.insi.assertion import read_assertion
from fhir_ins.insi.assertion_ps import AssertionPs
from fhir_ins.insi.assertion_source import SigningSource, load_source
from fhir_ins.insi.port import Requester

NURSE, DOCTOR = Requester("tests", "nurse"), Requester("tests", "doctor")


class Cards:
    """The cards of two professionals, of which one may be away, and a clock."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False
        self.now = NOW

    async def __call__(self, requester: Requester):
        self.asked.append(requester.operator)
        await asyncio.sleep(0)
        if self.away:
            raise OSError("no card in the reader")
        return AssertionPs(f"CN={requester.operator}", HOLDER, "123456789", "SA05"), CardSigner()


@pytest.fixture
def cards() -> Cards:
    return Cards()


@pytest.fixture
def source(cards: Cards) -> SigningSource:
    return SigningSource(cards, clock=lambda: cards.now)


async def test_an_operator_signs_once_for_all_calls_within_the_lifetime(cards, source):
    first = await source.assertion(NURSE)
    cards.now += timedelta(minutes=59)
    assert await source.assertion(NURSE) == first
    assert cards.asked == ["nurse"]


async def test_an_assertion_past_its_time_is_signed_anew(cards, source):
    first = await source.assertion(NURSE)
    cards.now += timedelta(minutes=60)
    second = read_assertion(await source.assertion(NURSE))
    assert second.xml != first
    assert second.issued == cards.now


async def test_each_operator_signs_for_themselves(cards, source):
    said = [read_assertion(await source.assertion(who)).issuer for who in (NURSE, DOCTOR, Requester("other", "nurse"))]
    assert said == ["CN=nurse", "CN=doctor", "CN=nurse"]
    assert cards.asked == ["nurse", "doctor", "nurse"]


async def test_calls_at_once_wait_for_one_signature(cards, source):
    assert len(set(await asyncio.gather(*(source.assertion(NURSE) for _ in range(5))))) == 1
    assert cards.asked == ["nurse"]


async def test_a_caller_who_gives_up_leaves_the_signature_to_the_others(cards, source):
    impatient, patient = (asyncio.create_task(source.assertion(NURSE)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert read_assertion(await patient)
    assert cards.asked == ["nurse"]


async def test_a_card_that_was_away_is_asked_again(cards, source):
    cards.away = True
    with pytest.raises(OSError, match="no card"):
        await source.assertion(NURSE)
    cards.away = False
    assert read_assertion(await source.assertion(NURSE))


def test_a_setting_names_a_factory(tmp_path, monkeypatch):
    (tmp_path / "reader_of_cards.py").write_text(
        "class Source:\n    async def assertion(self, requester): return b''\nmake = Source\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert type(load_source("reader_of_cards:make")).__name__ == "Source"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("fhir_ins.insi", "not of the form package.module:factory"),
        (":make", "not of the form"),
        ("no_such_package.cards:make", "cannot be imported"),
        ("fhir_ins.insi.assertion:make", "has no make"),
        ("builtins:dict", r"no method assertion\(requester\)"),
    ],
)
def test_a_setting_that_names_no_source_is_told_plainly(path, why):
    with pytest.raises(ValueError, match=why):
        load_source(path)
