"""The adapter in both modes over real TLS: whose assertion goes out, what is never sent, who sees the exchange."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from insi_assertions import HOLDER, holds
from insi_assertions import signed as signed_at
from lxml import etree

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.certificate import ClientCertificate
from fhir_ins.insi.contract import BAM_NAMESPACE, LPS_NAMESPACE, SECURITY_NAMESPACE
from fhir_ins.insi.credentials import NO_ORGANISATION
from fhir_ins.insi.port import (
    ByTraits,
    ByVitale,
    Exchange,
    Fault,
    FaultKind,
    Found,
    InsNumber,
    Operation,
    Requester,
    Verified,
    Verify,
)
from fhir_ins.insi.verification import VerificationContract

ANSWERS = Path(__file__).parent / "answers"
FOUND = (ANSWERS / "found_env_body.xml").read_bytes()
FAILED = (ANSWERS / "fault_receiver_fatal.xml").read_bytes()

ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)
NUMBER = Matricule("2751263220749", "74")
BY_TRAITS = ByTraits(ZOE, ("ZOE",))
VERIFY = Verify(InsNumber(NUMBER, "1.2.250.1.213.1.4.8"), ZOE)
WHO = Requester("tests", "a-test")
NOW = datetime.now(UTC)  # within the certificate's time


async def signed(name_id: str = HOLDER, *, age: timedelta = timedelta()) -> bytes:
    return await signed_at(name_id, age=age, now=NOW)


def by_vitale(assertion: bytes | None) -> ByVitale:
    return ByVitale(NUMBER, None, "ADRUN", "1975-12-31", "1", assertion)


def sent(wire) -> tuple[list[etree._Element], set[str | None]]:
    """The assertions and the Emetteurs of the one request that came."""
    (received,) = wire.requests
    root = etree.fromstring(received.body)
    security = root.find(f".//{{{SECURITY_NAMESPACE}}}Security")
    emetteurs = {root.findtext(f".//{{{namespace}}}Emetteur") for namespace in (BAM_NAMESPACE, LPS_NAMESPACE)}
    return ([] if security is None else list(security)), emetteurs


async def test_over_mtls_the_certificate_speaks(wire, connect):
    insi = connect(endpoint=wire.answers(200, FOUND), now=NOW)
    await insi.ask(BY_TRAITS, WHO, within=20)
    assert sent(wire) == ([], {"10B0999901"})
    assert wire.requests[0].certified


async def test_over_mtls_an_assertion_ps_is_refused_rather_than_left_out(wire, connect):
    insi = connect(endpoint=wire.answers(200, FOUND), now=NOW)
    who = Requester("tests", "a-test", await signed())
    assert insi.refusal(BY_TRAITS, who) == NO_ORGANISATION
    assert (await insi.ask(BY_TRAITS, who, within=20)).outcome == NO_ORGANISATION
    assert not wire.requests


async def test_over_mtls_a_vitale_assertion_goes_out(wire, connect):
    insi = connect(endpoint=wire.answers(200, FOUND), now=NOW)
    call = await insi.ask(by_vitale(await signed(NUMBER.number)), WHO, within=20)
    assertions, emetteurs = sent(wire)
    assert (call.code, emetteurs) == ("00", {"10B0999901"})
    assert [holds(assertion) for assertion in assertions] == [True]


async def test_with_a_cpx_card_the_professional_speaks_and_tls_is_one_way(wire, connect):
    insi = connect(endpoint=wire.one_way().answers(200, FOUND), certificate=None, now=NOW)
    who = Requester("tests", "a-test", await signed())
    call = await insi.ask(by_vitale(await signed(NUMBER.number)), who, within=20)
    assertions, emetteurs = sent(wire)
    assert (call.code, emetteurs) == ("00", {HOLDER})
    assert [holds(assertion) for assertion in assertions] == [True, True]
    assert [assertion.findtext("{*}Subject/{*}NameID") for assertion in assertions] == [HOLDER, NUMBER.number]
    assert not wire.requests[0].certified


class Source:
    """A source of assertions as an operator would connect one."""

    def __init__(self, assertion: bytes | None) -> None:
        self._assertion = assertion
        self.asked: list[Requester] = []

    async def assertion(self, requester: Requester) -> bytes:
        self.asked.append(requester)
        if self._assertion is None:
            raise OSError("the card of DR FICTIF was pulled out")
        return self._assertion


async def test_a_source_signs_where_the_caller_brings_no_assertion(wire, connect):
    source = Source(await signed())
    insi = connect(endpoint=wire.one_way().answers(200, FOUND), certificate=None, assertions=source, now=NOW)
    assert insi.refusal(BY_TRAITS, WHO) is None
    assert (await insi.ask(BY_TRAITS, WHO, within=20)).code == "00"
    assert source.asked == [WHO]
    assert sent(wire)[1] == {HOLDER}


async def test_over_mtls_no_source_is_asked(wire, connect):
    source = Source(None)
    insi = connect(endpoint=wire.answers(200, FOUND), assertions=source, now=NOW)
    assert (await insi.ask(BY_TRAITS, WHO, within=20)).code == "00"
    assert source.asked == []


async def test_the_callers_assertion_comes_before_the_sources(wire, connect):
    source = Source(await signed("other"))
    insi = connect(endpoint=wire.one_way().answers(200, FOUND), certificate=None, assertions=source, now=NOW)
    await insi.ask(BY_TRAITS, Requester("tests", "a-test", await signed()), within=20)
    assert (sent(wire)[1], source.asked) == ({HOLDER}, [])


async def test_a_source_that_fails_is_a_matter_of_configuration_and_no_call_is_made(wire, connect):
    insi = connect(endpoint=wire.one_way().answers(200, FOUND), certificate=None, assertions=Source(None), now=NOW)
    with structlog.testing.capture_logs() as events:
        call = await insi.ask(BY_TRAITS, WHO, within=20)
    assert call.outcome.kind is FaultKind.CONFIGURATION
    assert wire.requests == []
    assert "FICTIF" not in f"{events} {call.outcome.text}"


async def test_a_source_that_gives_an_old_assertion_makes_no_call(wire, connect):
    source = Source(await signed(age=timedelta(hours=2)))
    insi = connect(endpoint=wire.one_way().answers(200, FOUND), certificate=None, assertions=source, now=NOW)
    call = await insi.ask(BY_TRAITS, WHO, within=20)
    assert (call.outcome.kind, wire.requests) == (FaultKind.CONFIGURATION, [])


@pytest.mark.parametrize(
    ("cpx", "professional", "vitale", "kind"),
    [
        (True, None, None, FaultKind.REQUEST),
        (True, b"<html/>", None, FaultKind.REQUEST),
        (True, timedelta(hours=1), None, FaultKind.EXPIRED),
        (True, timedelta(), timedelta(minutes=20), FaultKind.EXPIRED),
        (False, None, timedelta(minutes=20), FaultKind.EXPIRED),
        (False, None, b"nothing", FaultKind.REQUEST),
    ],
)
async def test_what_must_not_be_sent_is_refused_before_and_during_the_call(
    wire, connect, cpx, professional, vitale, kind
):
    async def assertion(made: bytes | timedelta | None, name: str) -> bytes | None:
        return await signed(name, age=made) if isinstance(made, timedelta) else made

    changes = {"certificate": None} if cpx else {}
    insi = connect(endpoint=wire.one_way().answers(200, FOUND), now=NOW, **changes)
    who = Requester("tests", "a-test", await assertion(professional, HOLDER))
    question = by_vitale(await assertion(vitale, NUMBER.number))
    refusal = insi.refusal(question, who)
    assert isinstance(refusal, Fault)
    assert refusal.kind is kind
    assert (await insi.ask(question, who, within=20)).outcome == refusal
    assert wire.requests == []


async def test_a_changed_card_is_noticed_before_the_call(wire, connect):
    """CNDA test 1.03."""
    insi = connect(endpoint=wire.answers(200, FOUND), now=NOW)
    refusal = insi.refusal(by_vitale(await signed("1140263220833")), WHO)
    assert refusal is not None
    assert (refusal.kind, wire.requests) == (FaultKind.REQUEST, [])


CONCORDANT = b"""<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"><S:Body>
<ReponseUnitaire xmlns="http://www.cnamts.fr/INSiLot2/REPUnitaire"><CR><CodeCR>00</CodeCR><LibelleCR>OK</LibelleCR></CR>
<Resultat><Concordance>OK</Concordance></Resultat></ReponseUnitaire></S:Body></S:Envelope>"""


async def test_a_verification_is_asked_where_it_is_configured(wire, connect):
    insi = connect(endpoint=wire.answers(200, CONCORDANT), verification=VerificationContract())
    call = await insi.ask(VERIFY, WHO, within=20)
    assert (insi.verifies, call.outcome, call.code, call.given) == (True, Verified(True), "ok", "ZOE")


async def test_a_verification_is_refused_where_it_is_not_configured(wire, connect):
    insi = connect(endpoint=wire.answers(200, CONCORDANT))
    assert not insi.verifies
    refusal = insi.refusal(VERIFY, WHO)
    assert refusal is not None
    assert refusal.kind is FaultKind.CONFIGURATION
    assert (await insi.ask(VERIFY, WHO, within=20)).outcome == refusal
    assert wire.requests == []


def of(issuer_prefix: str, certificate: ClientCertificate, monkeypatch) -> ClientCertificate:
    monkeypatch.setattr(
        ClientCertificate, "issuer_common_name", f"{issuer_prefix}AC IGC-SANTE ELEMENTAIRE ORGANISATIONS"
    )
    return certificate


@pytest.mark.parametrize(
    ("host", "issuer", "test"),
    [
        ("services-ps-tlsm.ameli.fr", "", False),
        ("services-ps-tlsm.ameli.fr", "TEST ", True),
        ("qualiflps-services-ps-tlsm.ameli.fr", "", True),
        ("qualiflps.services-ps.ameli.fr", None, True),
        ("services-ps.ameli.fr", None, False),
    ],
)
def test_the_issuer_or_the_host_tells_the_test_environment(connect, certificate, monkeypatch, host, issuer, test):
    used = None if issuer is None else of(issuer, certificate, monkeypatch)
    assert connect(endpoint=f"https://{host}:443/lps", certificate=used).is_test is test


async def test_in_the_test_environment_a_failed_search_is_not_made_again(connect):
    """The simulator's certificate is a test certificate."""
    traits = Traits("VANDERMONDE", ("ARIANA",), "F", "1995-06-17", None)
    call = await connect().ask(ByTraits(traits, ("ARIANA",)), WHO, within=20)
    assert (call.outcome.kind, call.outcome.retryable, call.code) == (FaultKind.TRANSIENT, False, "insi_102")
    assert "test environment" in call.outcome.text


async def test_in_production_a_failed_search_may_be_made_again(wire, connect):
    insi = connect(endpoint=wire.one_way().answers(500, FAILED), certificate=None, now=NOW)
    call = await insi.ask(BY_TRAITS, Requester("tests", "a-test", await signed()), within=20)
    assert (call.outcome.retryable, call.outcome.text) == (True, "La recherche a échoué.")


async def test_the_witness_sees_every_exchange_as_it_went_over_the_wire(wire, connect):
    seen: list[Exchange] = []

    async def witness(exchange: Exchange) -> None:
        seen.append(exchange)

    url = wire.answers(200, FOUND)
    insi = connect(endpoint=url, witness=witness, now=NOW)
    answered = await insi.ask(BY_TRAITS, WHO, within=20)
    wire.stop()
    lost = await insi.ask(by_vitale(None), WHO, within=20)
    assert [(exchange.call, exchange.answer) for exchange in seen] == [(answered, FOUND), (lost, None)]
    assert [(exchange.requester, exchange.at) for exchange in seen] == [(WHO, NOW)] * 2
    assert seen[0].request == wire.requests[0].body
    assert seen[1].call.operation is Operation.SEARCH_BY_VITALE


async def test_a_witness_that_fails_is_logged_and_loses_no_answer(wire, connect):
    async def witness(exchange: Exchange) -> None:
        raise OSError(f"no room for {exchange.request!r}")

    insi = connect(endpoint=wire.answers(200, FOUND), witness=witness)
    with structlog.testing.capture_logs() as events:
        call = await insi.ask(BY_TRAITS, WHO, within=20)
    assert isinstance(call.outcome, Found)
    assert [event["event"] for event in events] == ["insi_call", "insi_witness_failed"]
    assert events[1] == {
        "event": "insi_witness_failed",
        "log_level": "error",
        "message_id": call.message_id,
        "error": "OSError",
    }
