"""Each rule of a request: the request that breaks it, and the sentence that says so."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from insi_requests import by_traits, by_vitale, verify

from fhir_ins.insi.contract import SECURITY_NAMESPACE, SOAP_NAMESPACE
from fhir_ins.simulator.authentication import Peer
from fhir_ins.simulator.pki import STRUCTURE
from fhir_ins.simulator.refusal import Refused
from fhir_ins.simulator.replay import Memory
from fhir_ins.simulator.rules import SEARCH_BY_VITALE

BAM = r"<ContexteBAM .*</ContexteBAM>"
LPS = r"<ContexteLPS .*</ContexteLPS>"

BROKEN = [
    (re.escape(SOAP_NAMESPACE), "http://schemas.xmlsoap.org/soap/envelope/", "a SOAP 1.2 envelope"),
    (r"^", "<!DOCTYPE a>", "a DTD"),
    (r"<s:Header>.*</s:Header>", "", "with one Header and one Body"),
    (r"(<s:Body>.*</s:Body>)", r"\1\1", "with one Header and one Body"),
    (r"<s:Body>.*</s:Body>", "<s:Body/>", "body holds one element"),
    (r"(<RECSANSVITALE .*</RECSANSVITALE>)", r"\1\1", "body holds one element"),
    (r"(<NomNaissance>.*)(<Sexe>F</Sexe>)", r"\2\1", "a valid RECSANSVITALE"),
    (r"RECSANSVITALE", "RECVITALE", "a valid RECSANSVITALE"),
    (r"INSiRecSans", "INSiRecVit", "a valid RECSANSVITALE"),
    (r"<wsa:Action>.*</wsa:Action>", "", "one valid Action"),
    (r"(<wsa:Action>.*</wsa:Action>)", r"\1\1", "one valid Action"),
    (r"<wsa:Action>urn", "<wsa:Action>xrn", "an action parameter equal to wsa:Action"),
    (r"<wsa:MessageID>.*</wsa:MessageID>", "", "one valid MessageID"),
    (r"(<wsa:MessageID>.*</wsa:MessageID>)", r"\1\1", "one valid MessageID"),
    (r"<wsa:MessageID>uuid:", "<wsa:MessageID>", "uuid: and a UUID"),
    (r"<wsa:MessageID>uuid:", "<wsa:MessageID>urn:uuid:", "uuid: and a UUID"),
    (r"http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing", "one valid Action"),
    (BAM, "", "one valid ContexteBAM"),
    (rf"({BAM})", r"\1\1", "one valid ContexteBAM"),
    (r"urn:siram:bam:ctxbam", "urn:siram:bam", "one valid ContexteBAM"),
    (r"<COUVERTURE/>", "", "one valid ContexteBAM"),
    (r'Nature="CTXBAM"', 'Nature="CTXLPS"', "one valid ContexteBAM"),
    (r'Version="01_02"', 'Version="1.0"', "ContexteBAM has Version 01_02"),
    (rf"<Id>[^<]*(</Id>.*{LPS})", r"<Id>1\1", "ContexteBAM/Id is a UUID"),
    (LPS, "", "one valid ContexteLPS"),
    (rf"({LPS})", r"\1\1", "one valid ContexteLPS"),
    (r"urn:siram:lps:ctxlps", "urn:siram:lps", "one valid ContexteLPS"),
    (r' Nature="CTXLPS"', "", "Nature CTXLPS"),
    (r'Version="01_00"', 'Version="01_02"', "ContexteLPS has Version 01_00"),
    (r"(<ContexteLPS [^>]*><Id>)[^<]*", r"\1", "ContexteLPS/Id is a UUID"),
    (r"(<ContexteLPS .*<Temps>)[^<]*", r"\1yesterday", "one valid ContexteLPS"),
    (r"<Temps>[^<]*", "<Temps>2026-01-01T00:00:00", "with its time zone"),
    (r"<Temps>[^<]*", "<Temps>-0044-03-15T00:00:00Z", "with its time zone"),
    (r"<Emetteur>[^<]*</Emetteur>", "", "ContexteBAM has an Emetteur"),
    (r"(<ContexteLPS .*<Emetteur>)[^<]*", r"\g<1>10B0999902", "The Emetteur of both contexts"),
    (r"<Emetteur>[^<]*", "<Emetteur>10B0999902", "The Emetteur of both contexts"),
    (r"<LPS>.*</LPS>", "", "an LPS with an IDAM"),
    (r"<IDAM .*</IDAM>", "", "an LPS with an IDAM"),
    (r'R="4"', 'R="3"', "an LPS with an IDAM"),
    (r' R="4"', "", "an LPS with an IDAM"),
    (r"<Version>1.0</Version>", "", "LPS has a Version"),
    (r"<Instance>[^<]*", "<Instance>installation-1", "LPS/Instance is a UUID"),
    (r"<Nom>[^<]*", "<Nom>fhir-ins", "urn:lps:<name>:<version>"),
    (r"<Nom>[^<]*", "<Nom>urn:lps:fhir-ins", "urn:lps:<name>:<version>"),
]


@pytest.mark.parametrize(("pattern", "replacement", "complaint"), BROKEN)
def test_a_request_that_breaks_a_rule_is_refused(tell, pattern, replacement, complaint):
    whole = by_traits().envelope()
    broken = re.sub(pattern, replacement, whole, flags=re.DOTALL)
    assert broken != whole
    told = tell(by_traits(), envelope=broken)
    assert told.answer.status == 500
    assert complaint in told.reason
    assert told.text("Value") == "soap:Sender"


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r' Nature="CTXBAM"', ""),
        (r"<s:Header>", "<s:Header><wsa:To>https://localhost/lps</wsa:To>"),
        (r"</s:Header>", f'<x:Security xmlns:x="{SECURITY_NAMESPACE}"/></s:Header>'),
        (r"<COUVERTURE/>", "<COUVERTURE><GrandRegime>01</GrandRegime></COUVERTURE>"),
    ],
)
def test_what_the_live_service_takes_is_taken(tell, pattern, replacement):
    assert tell(by_traits(), envelope=re.sub(pattern, replacement, by_traits().envelope())).code == "00"


@pytest.mark.parametrize(
    ("content_type", "complaint"),
    [
        ("text/xml", "content type application/soap+xml"),
        ("application/soap+xml-other", "content type application/soap+xml"),
        ("application/soap+xml", "action parameter"),
        (f'application/soap+xml; action="{SEARCH_BY_VITALE}"', "action parameter"),
        ("", "content type application/soap+xml"),
    ],
)
def test_the_media_type_names_the_action(tell, content_type, complaint):
    told = tell(by_traits(), content_type=content_type or ";")
    assert complaint in told.reason


@pytest.mark.parametrize("ask", [by_traits(), by_vitale("2751263220749"), verify("275126322074974", "1")])
def test_an_action_is_about_its_own_body(tell, ask):
    others = {each.action for each in (by_traits(), by_vitale(), verify("", ""))} - {ask.action}
    for action in others:
        assert "The body of this action" in tell(replace(ask, action=action)).reason
    assert "does not know" in tell(replace(ask, action="urn:other")).reason


@pytest.mark.parametrize(("minutes", "taken"), [(0, True), (9, True), (-9, True), (11, False), (-11, False)])
def test_a_time_is_of_now_in_any_zone(tell, minutes, taken):
    time = datetime.now(timezone(timedelta(hours=2))) + timedelta(minutes=minutes)
    told = tell(replace(by_traits(), time=time))
    assert (told.code == "00") == taken
    assert taken or "10 minutes" in told.reason


@pytest.mark.parametrize("element", ["wsa:MessageID", "ContexteBAM", "ContexteLPS"])
def test_an_identifier_is_sent_once(tell, element):
    first = by_traits().envelope()
    sent = {
        "wsa:MessageID": re.search(r"uuid:([^<]*)", first),
        "ContexteBAM": re.search(r"<Id>([^<]*)", first),
        "ContexteLPS": re.search(r"<ContexteLPS [^>]*><Id>([^<]*)", first),
    }[element][1]
    second = re.sub(rf"(<{element}[^>]*>(?:<Id>|uuid:))[^<]*", rf"\g<1>{sent.upper()}", by_traits().envelope())
    assert tell(by_traits(), envelope=first).code == "00"
    told = tell(by_traits(), envelope=second)
    assert "was sent before" in told.reason
    assert element.removeprefix("wsa:") in told.reason


def test_a_request_that_was_refused_is_not_remembered(tell):
    envelope = by_traits().envelope()
    assert tell(by_traits(), Peer("INSI-AUTO", ("OTHER",)), envelope=envelope).reason
    assert tell(by_traits(), envelope=envelope).code == "00"


def test_the_memory_of_identifiers_is_bounded():
    memory = Memory(2)
    for text in "abc":
        memory.note([("Id", text)])
    memory.note([("Id", "a")])
    with pytest.raises(Refused):
        memory.note([("Id", "C")])
    memory.note([("MessageID", "c")])


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (Peer("INSI-AUTO", (STRUCTURE,)), "00"),
        (Peer("INSI-MANU", ("OTHER", STRUCTURE)), "00"),
        (Peer("insi-auto", (STRUCTURE,)), "DESIR_560"),
        (Peer("INSI_AUTO", (STRUCTURE,)), "DESIR_560"),
        (Peer(None, (STRUCTURE,)), "DESIR_560"),
    ],
)
def test_without_an_assertion_the_certificate_is_named_insi(tell, peer, expected):
    told = tell(by_traits(), peer)
    assert (told.code, told.text("Value")) == (expected, "" if expected == "00" else "soap:Sender")


def test_without_certificate_and_assertion_nobody_calls(tell):
    assert "neither" in tell(by_traits(), None).reason


@pytest.mark.parametrize(
    ("certificate", "peer"),
    [
        (None, None),
        ({}, None),
        ({"subject": ((("organizationalUnitName", "1"),), (("commonName", "INSI-AUTO"),))}, Peer("INSI-AUTO", ("1",))),
        ({"subject": ((("commonName", "INSI-AUTO"),), (("commonName", "X"),))}, Peer(None, ())),
    ],
)
def test_a_peer_is_the_subject_of_its_certificate(certificate, peer):
    assert Peer.of(certificate) == peer
