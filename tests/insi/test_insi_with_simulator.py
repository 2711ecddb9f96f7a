"""All questions in both modes, against the simulator, which judges requests and signatures by code of its own."""

from datetime import UTC, datetime

import pytest

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.assertion_ps import AssertionPs, Signer, SoftwareSigner
from fhir_ins.insi.assertion_source import SigningSource
from fhir_ins.insi.port import ByTraits, ByVitale, Found, InsNumber, NoIdentity, Requester, Verified, Verify
from fhir_ins.insi.soap import SoapAdapter
from fhir_ins.insi.verification import VerificationContract
from fhir_ins.simulator.card_reader import Card
from fhir_ins.simulator.pki import Pki

NUMBER = Matricule("2751263220749", "74")
ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", "63220")
WHO = Requester("tests", "a-test")


def verify(number: str = "2751263220749", **changes: str) -> Verify:
    said = {"family": "ADRUN", "given": ("ZOE",), "sex": "F", "birth_date": "1975-12-31", "birth_place": "63220"}
    key = Matricule(number, "").expected_key or ""
    return Verify(InsNumber(Matricule(number, key), "1.2.250.1.213.1.4.8"), Traits(**{**said, **changes}))


@pytest.fixture(params=["mTLS", "CPx"])
def insi(request, connect, pki: Pki) -> SoapAdapter:
    """The adapter in each mode; with a card, assertions are signed by ours, over one-way TLS."""
    if request.param == "mTLS":
        return connect(verification=VerificationContract())
    signer = SoftwareSigner(pki.card, pki.passphrase)

    async def card(_: Requester) -> tuple[AssertionPs, Signer]:
        return AssertionPs.of_card(signer.certificate, "999999990", "SA05"), signer

    return connect(certificate=None, assertions=SigningSource(card), verification=VerificationContract())


async def test_a_search_by_traits_is_answered(insi):
    call = await insi.ask(ByTraits(ZOE, ("ZOE",)), WHO, within=20)
    assert isinstance(call.outcome, Found), call.outcome
    assert call.outcome.active.matricule == NUMBER


@pytest.mark.parametrize("signed", [True, False], ids=["with assertion", "without"])
async def test_a_search_with_a_carte_vitale_is_answered(insi, pki, signed):
    assertion = Card(pki.card, pki.passphrase).vitale(NUMBER.number, datetime.now(UTC)) if signed else None
    question = ByVitale(NUMBER, None, "ADRUN", "1975-12-31", "1", assertion)
    call = await insi.ask(question, WHO, within=20)
    assert isinstance(call.outcome, Found), call.outcome
    assert call.outcome.active.matricule == NUMBER


@pytest.mark.parametrize(
    ("question", "differs"),
    [
        (verify(), None),
        (verify(sex="M"), "gender"),
        (verify(birth_place="63113"), "birthPlace"),
        (verify(family="ADRDEUX"), "family"),
    ],
)
async def test_a_verification_is_answered_element_by_element(insi, question, differs):
    call = await insi.ask(question, WHO, within=20)
    assert isinstance(call.outcome, Verified), call.outcome
    assert call.outcome.concordant is (differs is None)
    elements = dict(call.outcome.elements)
    assert {"matricule", "oid", "family", "given", "gender", "birthDate"} <= elements.keys()
    assert [name for name, agrees in elements.items() if not agrees] == ([differs] if differs else [])


async def test_a_number_that_is_nobodys_has_no_verdict(insi):
    assert (await insi.ask(verify("2751263220748"), WHO, within=20)).outcome == NoIdentity()
