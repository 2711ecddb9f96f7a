"""The adapter over real mTLS: what it sends, what it logs, and what it makes of every way to fail."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import structlog

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.certificate import CertificateFault, ClientCertificate, load_certificate
from fhir_ins.insi.port import ByTraits, ByVitale, Fault, FaultKind, Found, InsNumber, Requester, Verify
from fhir_ins.insi.soap import SoapAdapter
from fhir_ins.insi.verification import VerificationContract
from fhir_ins.simulator.pki import ensure_pki

ZOE = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)
LEONARDO = Traits("DE VINCI", ("LEONARDO", "PIERO"), "M", "2014-02-01", "63220")

BY_TRAITS = ByTraits(ZOE, ("ZOE",))
BY_VITALE = ByVitale(Matricule("2751263220749", "74"), None, "ADRUN", "1975-12-31", "1")
VERIFY = Verify(InsNumber(Matricule("2751263220749", "74"), "1.2.250.1.213.1.4.8"), ZOE)
ANSWERS = Path(__file__).parent / "answers"

WHO = Requester("tests", "a-test")


async def outcome_with(insi: SoapAdapter, within: float = 20):
    return (await insi.ask(ByTraits(ZOE, ("ZOE",)), WHO, within=within)).outcome


async def test_an_identity_is_found(connect):
    insi = connect()
    call = await insi.ask(ByTraits(ZOE, ("ZOE",)), WHO, within=20)
    assert isinstance(call.outcome, Found)
    assert str(call.outcome.active.matricule) == "275126322074974"
    assert call.message_id.startswith("uuid:")


@pytest.mark.parametrize("joined", [True, False])
async def test_several_given_names_are_found_joined_or_not(connect, joined):
    call = await connect(given_names_joined=joined).ask(ByTraits(LEONARDO, ("LEONARDO", "PIERO")), WHO, within=20)
    assert (call.code, call.given) == ("00", "LEONARDO PIERO")


async def test_the_operators_wsdl_serves_as_well(connect, published: Path):
    wsdl = published / "contract" / "DESIR_ICIR_EXP_1.5.0.wsdl"
    assert isinstance(await outcome_with(connect(wsdl=wsdl)), Found)


async def test_an_unknown_software_is_a_matter_of_configuration(connect):
    insi = connect(idam="UNKNOWN")
    fault = await outcome_with(insi)
    assert (fault.kind, fault.siram, fault.code) == (FaultKind.CONFIGURATION, "siram_100", "desir_550")


async def test_a_missing_name_is_a_matter_of_the_request(connect):
    insi = connect()
    call = await insi.ask(ByTraits(replace(ZOE, family=None), ("ZOE",)), WHO, within=20)
    assert (call.outcome.kind, call.code) == (FaultKind.REQUEST, "insi_19")


async def test_a_character_that_xml_cannot_carry_is_a_matter_of_the_request(connect):
    insi = connect()
    call = await insi.ask(ByTraits(replace(ZOE, family="ADR\x00UN"), ("ZOE",)), WHO, within=20)
    assert call.outcome.kind is FaultKind.REQUEST


async def test_the_log_has_one_event_for_a_call_and_nothing_of_the_person(connect):
    with structlog.testing.capture_logs() as events:
        call = await connect().ask(ByTraits(LEONARDO, ("LEONARDO",)), WHO, within=20)
    (event,) = events
    assert event.pop("duration_ms") >= 0
    assert event == {
        "event": "insi_call",
        "log_level": "info",
        "operation": "rechercherInsAvecTraitsIdentite",
        "tenant": "tests",
        "operator": "a-test",
        "message_id": call.message_id,
        "code": "00",
        "warnings": [],
    }
    assert not any(word in json.dumps(event) for word in ("VINCI", "LEONARDO", "2014", "63220", "1140263"))


async def test_ids_are_fresh_in_every_request(wire, connect):
    insi = connect(endpoint=wire.answers(200, b""))
    for _ in range(2):
        await insi.ask(ByTraits(ZOE, ("ZOE",)), WHO, within=20)
    first, second = wire.ids()
    assert len(set(first + second)) == 6


@pytest.mark.parametrize("question", [BY_TRAITS, BY_VITALE, VERIFY], ids=lambda question: question.operation.value)
async def test_a_request_names_its_action_and_its_media_type(wire, connect, question):
    insi = connect(endpoint=wire.answers(200, b""), verification=VerificationContract())
    call = await insi.ask(question, WHO, within=20)
    action = f"urn:ServiceIdentiteCertifiee:1.0.0:{question.operation}"
    assert wire.requests[0].content_type == f'application/soap+xml; charset=utf-8; action="{action}"'
    assert wire.requests[0].body.count(action.encode()) == 1
    assert call.operation is question.operation


async def test_an_answer_is_read_whatever_media_type_it_claims(wire, connect):
    body = (ANSWERS / "found_env_body.xml").read_bytes()
    assert isinstance(await outcome_with(connect(endpoint=wire.answers(200, body, media_type="text/html"))), Found)


async def test_the_proxy_of_the_environment_is_used_unless_it_is_bypassed(connect, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert "cannot be reached" in (await outcome_with(connect())).text
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    assert isinstance(await outcome_with(connect()), Found)


async def test_ids_and_time_can_be_chosen(wire, configuration):
    chosen = iter(UUID(int=number) for number in (1, 2, 3))
    insi = SoapAdapter(replace(configuration, endpoint=wire.answers(200, b"")), new_uuid=lambda: next(chosen))
    call = await insi.ask(ByTraits(ZOE, ("ZOE",)), WHO, within=20)
    await insi.aclose()
    assert call.message_id == f"uuid:{UUID(int=1)}"
    assert wire.ids() == [(call.message_id, str(UUID(int=2)), str(UUID(int=3)))]


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (503, b"<html><body>Service Unavailable</body></html>", "HTTP 503 with an HTML page"),
        (200, b"", "HTTP 200 with an empty body"),
        (200, b" " * (2 << 20), "HTTP 200 with more than 1048576 bytes"),
        (302, b"moved", "HTTP 302 with something that is not XML"),
    ],
)
async def test_what_is_not_an_answer_is_transient(wire, connect, status, body, text):
    fault = await outcome_with(connect(endpoint=wire.answers(status, body)))
    assert fault == Fault(FaultKind.TRANSIENT, f"INSi answered {text}.", retryable=True)


async def test_a_service_that_never_answers_is_given_up(wire, connect):
    fault = await outcome_with(connect(endpoint=wire.silent()), within=0.2)
    assert fault.kind is FaultKind.TRANSIENT
    assert "did not answer in time" in fault.text


async def test_a_service_that_answers_drop_by_drop_is_given_up_too(wire, connect):
    fault = await outcome_with(connect(endpoint=wire.dripping()), within=0.4)
    assert "did not answer in time" in fault.text


async def test_a_service_that_hangs_up_is_transient(wire, connect):
    fault = await outcome_with(connect(endpoint=wire.hanging_up()))
    assert fault.kind is FaultKind.TRANSIENT
    assert "closed the connection" in fault.text


async def test_a_service_that_is_not_there_is_transient(connect, wire):
    gone = wire.answers(200, b"")
    wire.stop()
    fault = await outcome_with(connect(endpoint=gone))
    assert fault.kind is FaultKind.TRANSIENT
    assert "cannot be reached" in fault.text


async def test_an_untrusted_server_is_a_matter_of_configuration(connect):
    fault = await outcome_with(connect(trust=None))
    assert fault.kind is FaultKind.CONFIGURATION
    assert "is not trusted" in fault.text


async def test_a_server_of_another_name_is_a_matter_of_configuration(wire, connect):
    fault = await outcome_with(connect(endpoint=wire.answers(200, b"", host="127.0.0.2")))
    assert fault.kind is FaultKind.CONFIGURATION


async def test_a_certificate_of_another_authority_gets_no_answer(connect, tmp_path: Path):
    assert isinstance(await outcome_with(connect(certificate=foreign(tmp_path))), Fault)


async def test_a_refused_client_certificate_is_a_matter_of_configuration(wire, connect, tmp_path: Path):
    fault = await outcome_with(connect(endpoint=wire.answers(200, b""), certificate=foreign(tmp_path)))
    assert fault.kind is FaultKind.CONFIGURATION
    assert "refused our client certificate" in fault.text


def foreign(directory: Path) -> ClientCertificate:
    pki = ensure_pki(directory)
    return load_certificate(pki.client, pki.passphrase)


@pytest.mark.parametrize("address", ["http://localhost/lps", "https://", "localhost/lps", ""])
def test_an_endpoint_that_is_no_https_address_is_refused(configuration, address):
    with pytest.raises(ValueError, match="https"):
        replace(configuration, endpoint=address)


def test_without_ou_the_emetteur_has_to_be_configured(configuration, certificate):
    authority = ClientCertificate(certificate.key, certificate.chain[0], ())
    assert authority.organisational_unit is None
    with pytest.raises(CertificateFault, match="configure the Emetteur"):
        SoapAdapter(replace(configuration, certificate=authority))
