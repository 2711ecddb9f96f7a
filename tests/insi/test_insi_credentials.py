"""In whose name a call is made, in both modes, and what is never sent."""

from datetime import timedelta

import pytest
from insi_assertions import HOLDER, NOW, signed

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.credentials import Credentials, credentials_of_organisation, credentials_of_professional
from fhir_ins.insi.port import ByTraits, ByVitale, Fault, FaultKind

BY_TRAITS = ByTraits(Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None), ("ZOE",))
CHILD, PARENT = Matricule("1140263220833", "56"), Matricule("2751263220749", "74")


def by_vitale(assertion: bytes | None) -> ByVitale:
    return ByVitale(CHILD, PARENT, "DE VINCI", "2014-02-01", "1", assertion)


async def test_over_mtls_the_organisation_speaks_and_no_assertion_is_sent():
    for question in (BY_TRAITS, by_vitale(None)):
        assert credentials_of_organisation(question, "10B0999901", NOW) == Credentials("10B0999901")


async def test_over_mtls_a_vitale_assertion_is_sent_alone():
    vitale = await signed(CHILD.number)
    assert credentials_of_organisation(by_vitale(vitale), "10B0999901", NOW) == Credentials("10B0999901", (vitale,))


async def test_with_a_cpx_card_the_professional_speaks():
    professional = await signed()
    for question in (BY_TRAITS, by_vitale(None)):
        assert credentials_of_professional(question, professional, NOW) == Credentials(HOLDER, (professional,))


async def test_with_a_cpx_card_the_vitale_assertion_comes_second():
    professional, vitale = await signed(), await signed(CHILD.number)
    expected = Credentials(HOLDER, (professional, vitale))
    assert credentials_of_professional(by_vitale(vitale), professional, NOW) == expected


@pytest.mark.parametrize(
    ("age", "kind", "said"),
    [
        (timedelta(hours=1), FaultKind.EXPIRED, "more than an hour old: sign a new one with the card"),
        (timedelta(minutes=-6), FaultKind.REQUEST, "issued in the future: check the clock"),
    ],
)
async def test_an_assertion_ps_out_of_its_time_is_refused(age, kind, said):
    fault = credentials_of_professional(BY_TRAITS, await signed(age=age), NOW)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retryable) == (kind, False)
    assert said in fault.text


async def test_a_vitale_assertion_is_refused_after_twenty_minutes_in_both_modes():
    question = by_vitale(await signed(CHILD.number, age=timedelta(minutes=20)))
    for fault in (
        credentials_of_organisation(question, "10B0999901", NOW),
        credentials_of_professional(question, await signed(), NOW),
    ):
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.EXPIRED
        assert "read the card again" in fault.text


async def test_what_is_no_assertion_is_refused():
    for fault in (
        credentials_of_professional(BY_TRAITS, b"<html/>", NOW),
        credentials_of_professional(by_vitale(b"nothing"), await signed(), NOW),
    ):
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.REQUEST
        assert "INSi not asked" in fault.text


@pytest.mark.parametrize("name_id", [CHILD.number, str(CHILD)])
async def test_a_patient_never_becomes_the_emetteur(name_id):
    fault = credentials_of_professional(BY_TRAITS, await signed(name_id), NOW)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.REQUEST
    assert name_id not in fault.text


@pytest.mark.parametrize(
    "name_id",
    [CHILD.number, str(CHILD), " ".join(str(CHILD)), PARENT.number, "00B9999901", "1140263220833561"],
    ids=["bearer", "with key", "with spaces", "holder", "no NIR", "too long"],
)
async def test_a_vitale_assertion_that_may_be_the_cards_is_sent(name_id):
    assert isinstance(credentials_of_organisation(by_vitale(await signed(name_id)), "E", NOW), Credentials)


@pytest.mark.parametrize("name_id", ["1810163220751", "181016322075140", "160012B020777"])
async def test_a_vitale_assertion_of_another_card_is_refused(name_id):
    fault = credentials_of_organisation(by_vitale(await signed(name_id)), "E", NOW)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.REQUEST
    assert "the card was changed" in fault.text
    assert not any(number in fault.text for number in (name_id, CHILD.number, PARENT.number))
